"""An end is recorded by one process at a time, and a sealed folder stays as it is, whatever else was deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from console.hosts.agent import abort
from engine.contract.run_folder import EXIT, MANIFEST, SEALED, STATE
from tests.console.hosts.agent.lifecycle_model import EXPERIMENT, RUNS, Model
from tests.console.hosts.agent.simulated_host import ANY_STEPS, Folder, Thread
from tests.console.hosts.agent.simulation import simulation

RUN = RUNS[0]
MAX_ROUNDS = 1000  # more than the longest wait for a lock has


@pytest.fixture
def simulated() -> Iterator[None]:
    with simulation():
        yield


def run_to_the_end(model: Model, *threads: Thread) -> None:
    """Let ``threads`` go on in turn, through all their sleeps."""
    for _ in range(MAX_ROUNDS):
        left = [thread for thread in threads if not thread.done and not thread.process.dead]
        if not left:
            return
        for thread in left:
            model.resume(thread, ANY_STEPS)
    raise AssertionError(f"waits for ever: {[thread.name for thread in threads]}")


def make_steps(model: Model, thread: Thread, steps: int) -> None:
    """Let ``thread`` make ``steps`` steps, through its sleeps."""
    model.resume(thread, steps)
    while not thread.done and model.host.budget >= 0:  # it sleeps, and has made fewer
        model.resume(thread, model.host.budget)


def run_folder(model: Model) -> Folder:
    found = model.host.lookup(("w", "runs", EXPERIMENT, str(RUN)))
    assert isinstance(found, Folder)
    return found


def killed_without_its_job_folder() -> Model:
    """A run whose supervisor was killed beside its job, and all job folders deleted."""
    model = Model(slots=1)
    launch = model.launch(model.make_plan((RUN,), False))
    assert launch is not None
    run_to_the_end(model, launch)
    supervisor = next(one for one in model.host.threads if one.process.kind == "supervisor")
    while not model.jobs():
        model.resume(supervisor, ANY_STEPS)
    model.resume(supervisor, ANY_STEPS)
    model.host.exit(supervisor.process)
    root = model.host.root["w"]
    assert isinstance(root, Folder)
    del root["jobs"]
    return model


def abort_of(model: Model) -> Thread:
    """A request to abort the run that is only begun."""
    (key,) = model.started
    return model.request("abort", lambda: abort.abort(model.workspace, {"key": key, "by": "me"}), lambda _: None)


def another_abort(model: Model) -> None:
    model.connect()
    run_to_the_end(model, abort_of(model))


def the_caretaker(model: Model) -> None:
    """The caretaker of another agent, told by a poll of a run that has ended and is not sealed."""
    model.connect()
    model.poll()
    model.look()
    assert model.looking is not None
    run_to_the_end(model, model.looking)


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("meanwhile", [another_abort, the_caretaker])
@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "is killed there"])
def test_an_abort_that_is_held_at_any_step_and_another_process_record_one_end(
    meanwhile: Callable[[Model], None], killed: bool
) -> None:
    """The model refuses any write to a sealed folder."""
    steps, done = 0, False
    while not done:
        model = killed_without_its_job_folder()
        held = abort_of(model)
        make_steps(model, held, steps)
        done = held.done
        if killed:
            model.host.exit(held.process)
        meanwhile(model)  # where it waits for a lock of the one that is held, that ends after a time
        run_to_the_end(model, held)
        another_abort(model)
        the_caretaker(model)
        folder = run_folder(model)
        assert MANIFEST in folder, f"not sealed after {steps} steps"
        ended = {name: folder[name].content for name in (EXIT, STATE)}  # type: ignore[union-attr]
        assert ended[STATE]["state"] in SEALED, ended
        assert ended[STATE]["ended_at"] == ended[EXIT]["ended_at"], f"two ends were recorded: {ended}"
        steps += 1
    assert steps > 20, "no step is left out"
