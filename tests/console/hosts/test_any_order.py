"""Commands and faults in any order, on the real product: nothing is lost, nothing doubled, every run can be ended."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from operator import eq
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import psutil
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from engine.contract import manifest
from engine.contract.run_folder import size_and_sha256
from engine.contract.settings import RunId
from tests.conftest import Fault
from tests.console.hosts.forked_console import JOB, ForkedConsole, Server, Setup
from tests.console.hosts.small_disk import fill, mounted
from tests.console.tiny import PROFILE, write_experiment

SLOTS = 2
STEPS = 50  # of one sequence
END_S = 40.0  # for all runs to come to an end by commands
FOLDER = f"tiny-{PROFILE}"

FAULTS = (
    "cut",
    "kill console",
    "kill agents",
    "stop agents",
    "kill server",
    "kill supervisors",
    "stop supervisors",
    "fill the disk",
)
PROGRAMS = ("serve", "supervise")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP)
RUNS = st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True)
FAULT = st.sampled_from(FAULTS)
MOMENT = {"during": st.just("") | FAULT, "after_ms": st.integers(0, 300)}
LAUNCH = {"runs": RUNS, "work": st.sampled_from(("done", "wait", "fail", "fork")), "restart": st.booleans(), **MOMENT}


Step: TypeAlias = tuple[str, dict[str, Any]]


def step(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """A step: a method of ``AnyOrder`` and its arguments."""
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


STEP = st.one_of(
    step("launch", **LAUNCH),
    step("abort", runs=RUNS, **MOMENT),
    step("launch", **LAUNCH),
    step("inject", what=FAULT),
    step("launch", **LAUNCH),
    step("signal_at", program=st.sampled_from(PROGRAMS), number=st.sampled_from(SIGNALS), steps=st.integers(1, 25)),
    step("cut_after", size=st.integers(1, 20_000)),
    step("let_finish", runs=RUNS),
    step("recover"),
)


class AnyOrder:
    """Runs of one experiment on one host.

    Attributes:
        asked: keys of launches whose results the operator was told would be set aside.
        launched: keys of launches that the host took on.
        steps: what was done so far, and with what result.
    """

    def __init__(self, folder: Path) -> None:
        self.began = time.monotonic()
        self._stack = ExitStack()
        control = folder / "control"
        (control / "locks").mkdir(parents=True)
        (control / "job.sh").write_text(JOB)
        workspace = folder / "disk"
        self._disk: Path | None = None
        with suppress(pytest.skip.Exception):
            self._disk = self._stack.enter_context(mounted(workspace, 16 << 20, 40_000))
        self.setup = Setup(write_experiment(folder), workspace, folder / "runs", control, SLOTS)
        self.runs = self.setup.runs
        self.server = Server(control)
        self.console = ForkedConsole(self.setup)
        self.asked: set[str] = set()
        self.launched: set[str] = set()
        self.steps: list[str] = []
        self._replies: dict[str, dict[str, Any] | None] = {}

    # steps

    def launch(self, runs: list[int], work: str, restart: bool, during: str, after_ms: int) -> None:
        self._command("launch", during, after_ms, runs=runs, work=work, restart=restart)

    def abort(self, runs: list[int], during: str, after_ms: int) -> None:
        self._command("abort", during, after_ms, runs=runs)

    def cut_after(self, size: int) -> None:
        """Cut the next connection after so many bytes."""
        self._command("cut after", size=size)

    def signal_at(self, program: str, number: signal.Signals, steps: int) -> None:
        """The next process of the program that gets that far sends itself the signal before so many durable steps."""
        self._note(f"{program} sends itself {number.name} before its durable step {steps}")
        (self.setup.control / f"signal-{program}").write_text(f"{number.value} {steps}")

    def let_finish(self, runs: list[int]) -> None:
        """From now on only the jobs of these runs do not wait."""
        self._note(f"{', '.join(self.runs[run].label for run in runs)} can finish")
        for number, run in enumerate(self.runs):
            if number in runs:
                self._go(run).touch()
            else:
                self._go(run).unlink(missing_ok=True)

    def recover(self) -> None:
        """The disk has room again, and what was stopped continues."""
        self._note("recover")
        self._free_disk()
        for process in self._processes(str(self.setup.workspace)):
            with suppress(psutil.Error):
                process.resume()

    def inject(self, what: str) -> None:
        self._note(what)
        self._inject(what)

    def check(self) -> None:
        """What always holds."""
        self._no_job_runs_twice()
        self._no_finished_result_was_set_aside_unasked()

    def _no_job_runs_twice(self) -> None:
        violations = self.setup.control / "violations"
        if violations.exists():
            self._fail(violations.read_text())
        started = self.setup.control / "started"
        keys = Counter(started.read_text().split() if started.exists() else ())
        twice = [key for key, starts in keys.items() if starts > 1]
        if twice:
            self._fail(f"launches whose jobs were started more than once: {twice}")

    def _no_finished_result_was_set_aside_unasked(self) -> None:
        for root in self._roots:
            for file in root.glob(".previous/*/state.json"):
                state = json.loads(file.read_bytes())
                if state["state"] == "finished" and state["key"] not in self.asked:
                    self._fail(f"{file.parent} was set aside, and nobody had asked for it")

    def close(self) -> None:
        """End everything that was started."""
        self.console.close()
        self.server.kill()
        self.recover()
        for process in self._processes(str(self.setup.workspace)) + self._jobs():
            with suppress(psutil.Error):
                process.kill()
        self._stack.close()
        (self.setup.control / "steps.txt").write_text(
            "\n".join((*self.steps, f"{time.monotonic() - self.began:.1f} s", ""))
        )

    def drive_to_the_end(self) -> None:
        """Every run is brought to an end by commands alone; then all are launched until they have finished and are synced."""
        self._note("the end")
        self._free_disk()  # what was stopped stays so
        for program in PROGRAMS:
            (self.setup.control / f"signal-{program}").unlink(missing_ok=True)
        all_runs = list(range(len(self.runs)))
        self._until(_nothing_is_left_to_abort, lambda: self._command("abort", runs=all_runs))
        self._until(_all_are_synced, lambda: self._command("launch", runs=all_runs, work="done", restart=False))
        deadline = time.monotonic() + END_S
        while left := self._left_over():
            if time.monotonic() > deadline:
                self._fail(f"left over: {left}")
            self._command("poll")
        self.check()
        for run in self.runs:
            host, local = (root / str(run) for root in self._roots)
            sealed = manifest.decode((host / "manifest.json").read_bytes())
            if sealed != manifest.decode((local / "manifest.json").read_bytes()):
                self._fail(f"the local manifest of {run} is not the host's")
            for entry in sealed.files:
                expected = entry.size, entry.sha256
                if not size_and_sha256(host / entry.path) == size_and_sha256(local / entry.path) == expected:
                    self._fail(f"{run}/{entry.path} is not what the manifest says")

    def _left_over(self) -> list[str]:
        """Launches under way, processes, and launches that the host took on and that are neither a run nor set aside.

        A stopped supervisor of a launch that is over does no harm.
        """
        host, _ = self._roots
        kept = {_key(file) for file in (*host.glob("*/state.json"), *host.glob(".previous/*/state.json"))}
        supervisors = self._processes("supervise", str(self.setup.workspace))
        return [
            *(str(path) for path in (self.setup.workspace / "jobs").iterdir()),
            *(str(path) for path in host.glob(".launching/*")),
            *(str(process) for process in self._jobs()),
            *(str(process) for process in supervisors if process.status() != psutil.STATUS_STOPPED),
            *(f"lost launch {key}" for key in self.launched - kept),
        ]

    def _until(self, condition: Callable[[dict[str, Any]], bool], act: Callable[[], object]) -> None:
        deadline = time.monotonic() + END_S
        while not condition(seen := self._command("poll") or {}):
            if time.monotonic() > deadline:
                self._fail(f"{condition.__name__} never came true: {json.dumps(seen, indent=1)}")
            act()

    # parts

    @property
    def _roots(self) -> tuple[Path, Path]:
        """The experiment's folder on the host, and the local one."""
        return self.setup.workspace / "runs" / FOLDER, self.setup.runs_dir / FOLDER

    def _command(self, do: str, during: str = "", after_ms: int = 0, **arguments: Any) -> dict[str, Any] | None:
        """Have the console carry out a command, and inject a fault meanwhile; returns the reply, None if it was killed."""
        runs = [self.runs[number] for number in arguments.pop("runs", ())]
        words = [do, *(run.label for run in runs), *(f"{name}={value}" for name, value in arguments.items())]
        if during:
            words.append(f"and after {after_ms} ms: {during}")
        self._note(" ".join(words))
        if self.console.killed:
            self.console.close()
            self.console = ForkedConsole(self.setup)
        console, start = self.console, time.monotonic()
        console.send(do, runs=[(run.condition, run.seed) for run in runs], **arguments)
        if during:
            time.sleep(after_ms / 1000)  # hypothesis chooses the moment
            self._inject(during)
        try:
            reply = console.reply()
        except TimeoutError:
            self._fail(f"{do} did not end within {time.monotonic() - start:.0f} s")
        self.asked.update(key for plan in console.plans for key in plan["results_aside"])
        if do == "launch" and reply is not None:
            self.launched.update(key for _, done, _, key in reply.get("outcomes", ()) if done)
        self._note_reply(do, reply, time.monotonic() - start)
        if reply is None and not console.killed:
            self._fail("the console ended by itself")
        return reply

    def _inject(self, what: str) -> None:
        match what:
            case "cut":
                if not self.console.killed:
                    self.console.cut()
            case "kill console":
                self.console.kill()
            case "kill agents":
                self._signal(signal.SIGKILL, "serve", "transfer")
            case "stop agents":
                self._signal(signal.SIGSTOP, "serve", "transfer")
            case "kill server":
                self.server.kill()
                self.server = Server(self.setup.control)
            case "kill supervisors":
                self._signal(signal.SIGKILL, "supervise")
            case "stop supervisors":
                self._signal(signal.SIGSTOP, "supervise")
            case "fill the disk":
                if self._disk is not None:
                    fill(self._disk)

    def _go(self, run: RunId) -> Path:
        """The file for which the jobs of a run wait."""
        return self.setup.control / f"go-{run}"

    def _free_disk(self) -> None:
        (self.setup.workspace / "filler").unlink(missing_ok=True)

    def _signal(self, number: signal.Signals, *programs: str) -> None:
        for program in programs:
            for process in self._processes(program, str(self.setup.workspace)):
                with suppress(psutil.Error):
                    process.send_signal(number)

    def _jobs(self) -> list[psutil.Process]:
        """The processes of all jobs, and what they have forked."""
        words = [self.setup.control, *map(self._go, self.runs)]
        return [process for word in words for process in self._processes(str(word))]

    def _processes(self, *words: str) -> list[psutil.Process]:
        """Processes with these words one after the other in their command line."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if any(command[start : start + len(words)] == list(words) for start in range(len(command))):
                found.append(process)
        return found

    def _note(self, text: str) -> None:
        self.steps.append(text)

    def _note_reply(self, do: str, reply: dict[str, Any] | None, seconds: float) -> None:
        text = "the same" if self._replies.get(do) == reply else json.dumps(reply)
        self._replies[do] = reply
        self.steps.append(f"    {seconds:.2f} s: {text}")

    def _fail(self, text: str) -> NoReturn:
        log = (self.setup.control / "console.log").read_text()[-2000:]
        raise AssertionError("\n".join((text, "after these steps:", *self.steps, "the console's stderr:", log)))


def _key(state: Path) -> str:
    return str(json.loads(state.read_bytes())["key"])


def _nothing_is_left_to_abort(seen: dict[str, Any]) -> bool:
    states = seen["states"].values()
    return all(state["state"] not in ("queued", "running") and not state.get("processes") for state in states)


def _all_are_synced(seen: dict[str, Any]) -> bool:
    return all(
        state["state"] == "finished" and seen["sync"][run][:2] == ["synced", state["key"]]
        for run, state in seen["states"].items()
    )


@pytest.mark.server
@pytest.mark.timeout(3600, func_only=True)
@pytest.mark.fault(
    "launches, aborts, cuts, kills, stalls, full disks in any order", "nothing lost, nothing doubled, all can be ended"
)
def test_whatever_happens_in_whatever_order(tmp_path: Path, fault: Fault) -> None:
    print(f"--fault-seed {fault.seed} gives the same commands and faults again; when they take effect differs")
    sequences = fault.size(100, 2000) // STEPS
    done: list[list[Step]] = []
    failures: list[AssertionError] = []

    @seed(fault.seed)
    @settings(
        max_examples=sequences,
        phases=[Phase.generate],  # a shorter list of steps would often not fail: when a fault takes effect differs
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def in_this_order(steps: list[Step]) -> None:
        if failures:  # hypothesis tries a failing sequence once more, which might not fail then
            raise failures[0]
        # hypothesis also tries the simplest sequence, and those that are another one but for a few steps
        assume(all(sum(map(eq, steps, other)) < STEPS // 2 for other in (*done, steps[:1] * STEPS)))
        done.append(steps)
        any_order = AnyOrder(tmp_path / str(len(done)))
        try:
            for name, arguments in steps:
                getattr(any_order, name)(**arguments)
                any_order.check()
            any_order.drive_to_the_end()
        except AssertionError as failure:
            failures.append(failure)
            raise
        finally:
            any_order.close()

    in_this_order()
    assert len(done) >= sequences
