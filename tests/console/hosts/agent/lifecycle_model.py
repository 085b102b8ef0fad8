"""A console and a host whose agent, caretaker and supervisors run the product's code on a ``simulated_host``.

The model decides nothing itself: it plans, keeps keys, claims, settles, supervises and aborts by the code of the product,
and watches what that does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from console.hosts.agent import (
    abort,
    caretaker,
    claims,
    jobs,
    restore,
    run_states,
    supervisor,
    workspace,
)
from console.hosts.pull.poll_reply import reported_state
from console.runs.launch_attempts import LaunchAttempts
from console.runs.launch_plan import LaunchPlan, plan_abort, plan_launch
from console.runs.run_view import RunView
from engine.contract.run_folder import EXIT, MANIFEST, STATE
from engine.contract.settings import RunId
from tests.console.hosts.agent.simulated_files import SimPath
from tests.console.hosts.agent.simulated_host import (
    ANY_STEPS,
    Broken,
    File,
    Folder,
    Process,
    Thread,
    new_host,
)

ROOT, EXPERIMENT = "/w", "experiment"
RUNS = (RunId("A", 1), RunId("A", 2), RunId("B", 1))
ROUNDS = 700  # within which everything that was requested is over: the longest wait is 20 s in steps of 0.1 s


class Model:
    """The host, the console, and what was seen of them."""

    def __init__(self, slots: int) -> None:
        self.host = new_host()
        self.host.start_supervisor = self._start_supervisor
        self.host.on_start, self.host.on_rename = self._on_start, self._on_rename
        self.host.on_delete, self.host.on_write = self._on_delete, self._on_write
        self.workspace = workspace.Workspace(cast(Path, SimPath(ROOT)))
        self.host.root["w"] = Folder()
        self.slots = slots
        self.runs_of: dict[str, str] = {}  # key -> run
        self.requested: set[tuple[str, str]] = set()  # (run, key of a launch whose results may be set aside)
        self.finished: set[str] = set()
        self.sealed: set[str] = set()
        self.claimed: dict[str, str] = {}  # key -> run, as committed
        self.started: set[str] = set()
        self.away: dict[str, Folder] = {}
        self.keys = 0
        self.agent: Process | None = None
        self.looking: Thread | None = None
        self.console_starts()

    # the console

    def console_starts(self) -> None:
        self.attempts = LaunchAttempts(self._new_key)
        self.views: dict[RunId, RunView] | None = None
        self.plan: LaunchPlan | None = None
        self.connect()

    def _new_key(self) -> str:
        self.keys += 1
        return f"{self.keys:032x}"

    def connect(self) -> None:
        """A new link and with it a new agent; what the old one has begun, it finishes."""
        self.disconnect()
        self.agent = Process(self.host, "agent", 1)

    def disconnect(self) -> None:
        if self.agent is not None:
            self.agent.leaving = True  # type: ignore[attr-defined]
            self._leave(self.agent)
        self.agent, self.looking = None, None

    def _leave(self, agent: Process) -> None:
        """An agent without a link ends as soon as its requests are finished; its caretaker does not delay it."""
        if not [one for one in agent.threads if one.name not in ("look", "poll")]:
            self.host.exit(agent)

    def connected(self) -> Process:
        if self.agent is None or self.agent.dead:
            self.connect()
        assert self.agent is not None
        return self.agent

    def request(self, name: str, work: Callable[[], Any], answered: Callable[[dict[str, Any]], None]) -> Thread:
        """Send a request; ``answered`` gets its answer unless the link is cut or the agent killed before."""
        agent, views = self.connected(), self.attempts

        def serve() -> None:
            try:
                reply = {"ok": work()}
            except workspace.Refused as refused:
                reply = {"refused": str(refused)}
            except Exception as error:  # noqa: BLE001 - as the agent does
                reply = {"error": repr(error)}
            thread.reply = reply  # type: ignore[attr-defined]

        def deliver() -> None:
            if self.agent is agent and self.attempts is views:
                answered(thread.reply)  # type: ignore[attr-defined]
            elif getattr(agent, "leaving", False) and not agent.dead:
                self._leave(agent)

        thread = Thread(agent, name, serve)
        thread.deliver = deliver  # type: ignore[attr-defined]
        return thread

    def poll(self) -> None:
        def answered(reply: dict[str, Any]) -> None:
            states = reply.get("ok", {})
            known = {run: reported_state(states[str(run)]) for run in RUNS if str(run) in states}
            self.views = {run: RunView(run, state=known.get(run)) for run in RUNS}

        names = [str(run) for run in RUNS]
        thread = self.request("poll", lambda: run_states.current_states(self.workspace, EXPERIMENT, names), answered)

        self.resume(thread)

    def make_plan(self, wanted: tuple[RunId, ...], restart: bool) -> LaunchPlan:
        if self.views is None:
            self.poll()
        return plan_launch(self.views or {}, wanted, same_settings=frozenset(RUNS), restart=restart)

    def launch(self, plan: LaunchPlan, undo: bool = False) -> Thread | None:
        if not plan.launch or self.views is None:
            return None
        self.connected()
        attempts = {run: self.attempts.attempt(run, plan.replaces.get(run, "")) for run in plan.launch}
        requests = []
        for run, attempt in attempts.items():
            self.runs_of[attempt.key] = str(run)
            if run in plan.results_aside:
                self.requested.add((str(run), attempt.replaces))
            requests.append(
                {"key": attempt.key, "replaces": attempt.replaces, "folder": EXPERIMENT, "run": str(run)}
                | {"slots": self.slots, "settings": "s", "files": {}, "argv": ["job"]}
            )

        def answered(reply: dict[str, Any]) -> None:
            if "ok" in reply:
                for run, answer in zip(plan.launch, reply["ok"]["outcomes"], strict=False):
                    self.attempts.outcome(run, attempts[run].key, answer)

        work = (
            (lambda: self._refuse(requests))
            if undo
            else (lambda: jobs.launch_all(self.workspace, {"requests": requests}))
        )
        return self.request("launch", work, answered)

    def _refuse(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Claim launches that their launcher refuses then, as Slurm may."""
        for request in requests:
            claimed = claims.claim(self.workspace, request)
            if isinstance(claimed, claims.Claim):
                self.claimed.pop(claimed.key, None)
                try:
                    claimed.undo()
                finally:
                    claimed.release()
        return {"outcomes": [{"refused": "by the launcher"}] * len(requests)}

    def abort(self, wanted: tuple[RunId, ...]) -> list[Thread]:
        if self.views is None:
            self.poll()
        views = self.views or {}
        keys = [state.key for run in plan_abort(views, wanted).abort if (state := views[run].state) is not None]
        return [
            self.request("abort", lambda key=key: abort.abort(self.workspace, {"key": key, "by": "me"}), lambda _: None)  # type: ignore[misc]
            for key in keys
        ]

    def restore(self, run: RunId, which: int) -> Thread | None:
        """Bring back a run that was set aside."""
        previous = self.host.lookup(("w", "runs", EXPERIMENT, ".previous"))
        found = [name for name in previous if name.startswith(f"{run}-")] if isinstance(previous, Folder) else []
        state = self.views[run].state if self.views else None
        if not found or state is None:
            return None
        self.requested.add((str(run), state.key))
        key = found[which % len(found)][len(str(run)) + 1 :]
        request = {"folder": EXPERIMENT, "run": str(run), "key": key, "replaces": state.key}
        return self.request("restore", lambda: restore.restore(self.workspace, request), lambda _: None)

    # the host

    def look(self) -> None:
        """The agent's caretaker looks."""
        if self.looking is None or self.looking.done or self.looking.process.dead:
            self.looking = Thread(self.connected(), "look", lambda: caretaker.CARETAKER.look(self.workspace))

    def resume(self, thread: Thread, steps: int = ANY_STEPS, until_change: bool = False) -> None:
        self.host.resume(thread, steps, until_change)
        if thread.done and not thread.process.dead and hasattr(thread, "deliver"):
            thread.deliver()

    def _start_supervisor(self, root: str, key: str, lock: int) -> None:
        started = Process(self.host, "supervisor", 1)
        started.supervises = key
        opened = self.host.descriptors.get(lock)
        assert opened is not None, "it inherits the lock"
        opened.owners.add(started)
        Thread(started, "supervise", lambda: supervisor.main(root, key, str(lock)))

    def jobs(self) -> list[Process]:
        return [one for one in self.host.processes.values() if one.key]

    # invariants, checked as it happens

    def _on_start(self, job: Process) -> None:
        key = job.key
        require(key not in self.started, f"{key} is started a second time")
        self.started.add(key)
        run = self.runs_of[key]
        others = [one.key for one in self.jobs() if one is not job and self.runs_of[one.key] == run]
        require(not others, f"{run} is started while {others} runs")

    def _on_rename(self, source: SimPath, target: SimPath, node: Folder | File) -> None:
        if type(node) is not Folder or source.parts[:3] != ("w", "runs", EXPERIMENT) or source.parts[3][0] == ".":
            return
        key = key_in(node)
        if target.parts[3] == ".launching":
            require(key not in self.started, "a launch that started is taken back")
        if target.parts[3] == ".previous":
            finished = key in self.finished
            require(not finished or (source.name, key) in self.requested, f"finished {key} is set aside unasked")

    def _on_delete(self, path: SimPath, _: File) -> None:
        if path.parts[:3] == ("w", "runs", EXPERIMENT) and path.parts[3] != ".launching" and path.name[0] != ".":
            require(False, f"{path} is deleted")

    def _on_write(self, path: SimPath, value: Any) -> None:
        if path.parts[:2] == ("w", "jobs") and path.name == "job.json":
            key, run = value["key"], value["run_folder"].rpartition("/")[2]
            require(key not in self.claimed, f"{key} is claimed again")
            require(self.runs_of[key] == run, f"{key} becomes {run}")
            self.claimed[key] = run
        elif path.name in (EXIT, STATE, MANIFEST) and path.parts[1] == "runs":
            folder = path.folder()
            owner = key_in(folder)
            require(not owner or owner == value["key"], f"{path.name} of {value['key']} is written to {owner}")
            require(MANIFEST not in folder, f"{path.name} is written to a capsule")
            require(path.name != EXIT or EXIT not in folder, "a second end is recorded")
            if path.name == EXIT and value["state"] == "finished":
                self.finished.add(value["key"])
            if path.name == MANIFEST:
                self.sealed.add(value["key"])

    def check_capsules(self) -> None:
        """Every capsule is somewhere, once."""
        runs = self.host.lookup(("w", "runs", EXPERIMENT))
        folders: list[Any] = list(self.away.values())
        if isinstance(runs, Folder):
            folders += [folder for name, folder in runs.items() if name[0] != "."]
            folders += list(runs.get(".previous", Folder()).values())  # type: ignore[union-attr]
        found = [folder[MANIFEST].content["key"] for folder in folders if MANIFEST in folder]
        assert len(found) == len(set(found)), "a capsule is there twice"
        assert self.sealed <= set(found), f"lost capsules: {self.sealed - set(found)}"


def require(holds: bool, text: str) -> None:
    """Raise Broken with ``text`` unless an invariant ``holds``."""
    if not holds:
        raise Broken(text)


def key_in(folder: Folder) -> str:
    """Key of the launch whose run folder it is."""
    state = folder.get(STATE)
    return str(state.content["key"]) if isinstance(state, File) and isinstance(state.content, dict) else ""
