"""Property test of the life of launches: whatever is killed, cut, full, stopped or deleted, no result is lost or doubled."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from engine.contract.run_folder import MANIFEST, SEALED
from engine.contract.settings import RunId
from tests.conftest import Fault
from tests.console.hosts.agent.lifecycle_model import EXPERIMENT, ROUNDS, RUNS, Model
from tests.console.hosts.agent.simulated_host import ANY_STEPS, Folder, Process, Thread
from tests.console.hosts.agent.simulation import simulation

BURST = 10  # steps drawn at once: Hypothesis needs longer to choose one step than the host to make it
BURSTS = 10  # in one life of a host
WEIGHTS = {
    "resume": 40, "advance": 20, "launch": 8, "restart": 3, "hold_plan": 2, "launch_held": 2, "refuse": 1, "restore": 1,
    "abort": 4, "poll": 6, "look": 8, "end_job": 8, "kill": 5, "kill_at_change": 5, "stall": 2, "go_on": 4, "fill": 2,
    "free": 4, "cut": 3, "restart_console": 1, "wait": 3, "move_away": 1, "move_back": 2, "delete": 1, "reboot": 1,
}  # fmt: skip
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
BUDGETS = (ANY_STEPS, ANY_STEPS, ANY_STEPS, 1, 1, 2, 3, 5, 8, 13, 21, 40)  # steps that a thread makes before it is held


class Action(NamedTuple):
    """One step of the machine: a method of it and two numbers that choose."""

    name: str
    which: int
    how: int


def actions(drawn: bytes) -> list[Action]:
    """The actions of a burst, four bytes each."""
    words = (drawn[start : start + 4] for start in range(0, len(drawn), 4))
    return [
        Action(NAMES[one[0] % len(NAMES)], one[1] | (one[2] & 15) << 8, one[3] | (one[2] & 240) << 4) for one in words
    ]


class Launches(RuleBasedStateMachine):
    """Console and host at random; the invariants are checked by the model as things happen, and at the end."""

    steps = 0  # of all machines

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(slots=1)
        self.deletes = ""  # "jobs" or "runs": who deletes the one and moves the other away has lost all that is known

    @rule(burst=st.binary(min_size=4 * BURST, max_size=4 * BURST).map(actions))
    def act(self, burst: list[Action]) -> None:
        for action in burst:
            Launches.steps += 1
            note(str(action))
            getattr(self, action.name)(action.which, action.how)

    # processes

    def threads(self) -> list[Thread]:
        return [one for one in self.model.host.threads if one.ready]

    def resume(self, which: int, how: int) -> None:
        if threads := self.threads():
            self.model.resume(threads[which % len(threads)], BUDGETS[how % len(BUDGETS)])

    def advance(self, which: int, how: int) -> None:
        """Everything goes on for a while."""
        if how % 2:
            self.model.look()
        for thread in self.threads():
            self.model.resume(thread, ANY_STEPS)

    def processes(self) -> list[Process]:
        return [one for one in self.model.host.processes.values() if one.threads or one.kind == "agent"]

    def kill(self, which: int, how: int) -> None:
        if processes := self.processes():
            self.model.host.exit(processes[which % len(processes)])

    def kill_at_change(self, which: int, how: int) -> None:
        if threads := self.threads():
            thread = threads[which % len(threads)]
            for _ in range(how % 6):
                if not thread.done:
                    self.model.resume(thread, ANY_STEPS, until_change=True)
            self.model.host.exit(thread.process)

    def stall(self, which: int, how: int) -> None:
        if processes := self.processes():
            processes[which % len(processes)].stopped = True

    def go_on(self, which: int, how: int) -> None:
        for process in self.model.host.processes.values():
            process.stopped = False

    def end_job(self, which: int, how: int) -> None:
        if jobs := self.model.jobs():
            job = jobs[which % len(jobs)]
            if how % 8 == 7:
                job.stubborn = True  # it ignores SIGTERM
            elif how % 8 == 6 and job.kind == "job":  # it leaves a process in the background
                child = Process(self.model.host, "child", job.pid, job.session)
                child.key, child.folder, child.stubborn = job.key, job.folder, bool(how & 8)
                self.model.host.exit(job)
            else:
                self.model.host.exit(job, how % 2)

    def wait(self, which: int, how: int) -> None:
        self.model.host.now += (1.0, 40.0)[how % 2]

    def reboot(self, which: int, how: int) -> None:
        self.model.host.reboot()

    # the console

    def wanted(self, which: int) -> tuple[RunId, ...]:
        return tuple(run for number, run in enumerate(RUNS) if (which % 7 + 1) >> number & 1)

    def start(self, thread: Thread | None, how: int) -> None:
        if thread is not None:
            self.model.resume(thread, BUDGETS[how % len(BUDGETS)])

    def launch(self, which: int, how: int) -> None:
        self.start(self.model.launch(self.model.make_plan(self.wanted(which), False)), how)

    def restart(self, which: int, how: int) -> None:
        self.start(self.model.launch(self.model.make_plan(self.wanted(which), True)), how)

    def refuse(self, which: int, how: int) -> None:
        self.start(self.model.launch(self.model.make_plan(self.wanted(which), True), undo=True), how)

    def hold_plan(self, which: int, how: int) -> None:
        self.model.plan = self.model.make_plan(self.wanted(which), how % 4 == 0)

    def launch_held(self, which: int, how: int) -> None:
        if self.model.plan is not None:
            self.start(self.model.launch(self.model.plan), how)

    def abort(self, which: int, how: int) -> None:
        for thread in self.model.abort(self.wanted(which)):
            self.start(thread, how)

    def restore(self, which: int, how: int) -> None:
        self.start(self.model.restore(RUNS[which % len(RUNS)], which >> 4), how)

    def poll(self, which: int, how: int) -> None:
        self.model.poll()

    def look(self, which: int, how: int) -> None:
        self.model.look()
        self.start(self.model.looking, how)

    def cut(self, which: int, how: int) -> None:
        self.model.disconnect()

    def restart_console(self, which: int, how: int) -> None:
        self.model.console_starts()

    # the disk

    def fill(self, which: int, how: int) -> None:
        self.model.host.full, self.model.host.no_files = True, how % 2 == 1

    def free(self, which: int, how: int) -> None:
        self.model.host.full = self.model.host.no_files = False

    def runs(self) -> Folder:
        found = self.model.host.lookup(("w", "runs", EXPERIMENT))
        return found if isinstance(found, Folder) else Folder()

    def move_away(self, which: int, how: int) -> None:
        runs, name = self.runs(), str(RUNS[which % len(RUNS)])
        if self.deletes != "jobs" and name in runs and name not in self.model.away:
            self.deletes = "runs"
            self.model.away[name] = runs.pop(name)  # type: ignore[assignment]

    def move_back(self, which: int, how: int) -> None:
        runs = self.runs()
        for name in list(self.model.away):
            if name not in runs:
                runs[name] = self.model.away.pop(name)

    def delete(self, which: int, how: int) -> None:
        """Somebody deletes the folder of all jobs, of one job, or a lock file."""
        root = self.model.host.root["w"]
        assert isinstance(root, Folder)
        jobs = root.get("jobs")
        if not isinstance(jobs, Folder) or self.deletes == "runs":
            return
        self.deletes = "jobs"
        if how % 4 == 0:
            self.model.claimed.clear()
            del root["jobs"]
        elif jobs:
            name = sorted(jobs)[which % len(jobs)]
            folder = jobs[name]
            assert isinstance(folder, Folder)
            if how % 4 == 1:
                self.model.claimed.pop(name, None)
                del jobs[name]
            else:
                folder.pop("lock", None)

    # at the end, everything is healed, and every run must be in a state that a command can leave

    def teardown(self) -> None:
        host = self.model.host
        try:
            self.heal()
        finally:
            for process in list(host.processes.values()):
                host.exit(process)

    def heal(self) -> None:
        model = self.model
        self.free(0, 0)
        self.go_on(0, 0)
        self.move_back(0, 0)
        model.disconnect()
        model.connect()
        self.settle(20)
        model.poll()
        for thread in model.abort(RUNS):
            self.start(thread, 0)
        self.settle(ROUNDS)
        assert not model.jobs(), "processes of jobs are left"
        model.poll()
        assert model.views is not None
        for run, view in model.views.items():
            if view.state is not None:
                assert view.state_name in SEALED or view.state_name == "lost", f"{run} is {view.state}"
                folder = self.runs()[str(run)]
                assert isinstance(folder, Folder)
                assert view.state_name == "lost" or MANIFEST in folder, f"{run} is not sealed: {view.state}"
        model.check_capsules()
        plan = model.make_plan(RUNS, True)
        assert plan.launch == RUNS, f"cannot be launched: {plan}"
        before = set(model.started)
        self.start(model.launch(plan), 0)
        self.settle(ROUNDS, ends_jobs=True)
        model.poll()
        for run, view in model.views.items():
            assert view.state_name == "finished", f"{run} is {view.state}"
            assert view.state is not None and view.state.key not in before, f"{run} was not launched"
        model.check_capsules()

    def settle(self, rounds: int, ends_jobs: bool = False) -> None:
        """Everything goes on until nothing changes any more, or for some rounds."""
        model, host = self.model, self.model.host
        quiet = 0
        for _ in range(rounds):
            before = host.changes
            model.poll()
            self.advance(0, 1)
            if ends_jobs:
                for job in model.jobs():
                    host.exit(job)
            requests = [one for one in host.threads if one.process.kind == "agent"]
            waiting = [one for one in host.threads if one.process.kind == "supervisor"]
            quiet = quiet + 1 if before == host.changes and not requests and not (ends_jobs and waiting) else 0
            if quiet > 2 and not requests:
                return
        assert rounds < ROUNDS, f"waits for ever: {[one.name for one in host.threads]}"


@pytest.mark.fault("launches under kills, cuts, stalls, full disks, reboots: model", "nothing lost, doubled or stuck")
@pytest.mark.timeout(3600)
def test_life_of_launches(fault: Fault) -> None:
    steps = fault.size(10_000, 1_000_000)
    options = settings(
        max_examples=-(-steps // (BURST * BURSTS)),
        stateful_step_count=BURSTS,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
    )
    Launches.steps = 0
    with simulation():
        run_state_machine_as_test(with_seed(fault.seed)(Launches), settings=options)
    fault.note(f"{Launches.steps:,} steps")
