"""Markers and options of the tests, and the table that ``make faults`` prints: a row for each test marked ``fault``."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

pytest_plugins = ("tests.timeouts",)

# examples share their machine with other tests: how long they take says nothing of the code
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")


class FaultRow(NamedTuple):
    """One row of the table: the injected fault, the requirement, whether it held, seconds, measurements, seed."""

    fault: str
    required: str
    held: bool
    seconds: float
    note: str
    seed: str


ROWS: list[FaultRow] = []
ROW = "fault row"
"""Name of a report's property that holds its row."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-size", action="store_true", help="inject faults at the size that the table states")
    parser.addoption(
        "--fault-seed", type=int, default=None, help="seed of injected faults (default: 1; drawn under --full-size)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name, required): a row of the table that `make faults` prints")
    config.addinivalue_line(
        "markers", "server: needs a real server, a whole run or all of WordNet; `make check` leaves it out"
    )
    # jobs are started as python3: pyenv's, a shell script in front of all others, would take longer than most of them
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).resolve().parent), os.environ["PATH"]))
    config.addinivalue_line("markers", "alone: measures times; `make faults` runs it after the others, beside nothing")
    if hasattr(config, "workerinput"):  # a worker of xdist
        config.option.fault_seed = config.workerinput["fault_seed"]
    elif config.getoption("--fault-seed") is None:
        # a change is judged by the same faults each time; new ones are searched for at full size
        drawn = random.SystemRandom().randrange(2**31)
        config.option.fault_seed = drawn if config.getoption("--full-size") else 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each worker of xdist the seed of them all."""
    node.workerinput["fault_seed"] = node.config.option.fault_seed


# fixtures behind which a real server stands, a whole run, or the whole of WordNet
COSTLY = frozenset({"built", "embedded", "finished", "host", "lexicon", "slurm", "sshd", "wordnet", "workspace"})


GROUPS = (
    ("slurm", {"slurm"}),
    ("engine runs", {"workspace"}),
    ("finished", {"finished"}),
    ("wordnet", {"built", "lexicon", "wordnet"}),
    ("encoder", {"tiny_encoder"}),
)
"""Tests that share something costly: they run on one worker, so that it is made once, and begin first, in this order."""

LONGEST = (
    "test_whatever_happens_in_whatever_order",
    "test_nothing_is_launched_twice_and_no_exit_is_lost",
    "test_life_of_launches",
    "test_a_launch_killed_at_any_step",
)


def group_of(item: pytest.Item, fixtures: set[str]) -> str | None:
    """Name of the first group that a test belongs to."""
    if marker := item.get_closest_marker("xdist_group"):
        return str(marker.args[0])
    callspec = getattr(item, "callspec", None)
    if callspec is not None and callspec.params.get("host") == "slurm":
        return "slurm"
    if not item.nodeid.startswith("tests/engine/"):
        fixtures = fixtures - {"workspace"}  # the console's tests have cheap ones of that name
    return next((name for name, shared in GROUPS if fixtures & shared), None)


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark costly tests, which `make check` leaves out; group them by what they share; put the longest first.

    The others alternate between those that wait for servers and those that compute, so that both go on all the time.
    """
    order = [name for name, _ in GROUPS]
    first: list[tuple[int, pytest.Item]] = []
    waiting: list[pytest.Item] = []
    computing: list[pytest.Item] = []
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & COSTLY:
            item.add_marker("server")
        if group := group_of(item, fixtures):
            item.add_marker(pytest.mark.xdist_group(group))
            first.append((order.index(group), item))
        elif getattr(item, "originalname", item.name) in LONGEST:
            first.append((0, item))
        else:
            (waiting if item.get_closest_marker("server") else computing).append(item)
    first.sort(key=lambda one: one[0])
    items[:] = [item for _, item in first] + alternated(waiting, computing)


def alternated(one: list[pytest.Item], other: list[pytest.Item]) -> list[pytest.Item]:
    """Both lists as one, each in its own order and evenly spread."""
    places = [((at + 0.5) / len(each), item) for each in (one, other) for at, item in enumerate(each)]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse versions of pytest and xdist that do not keep a group of tests on one worker: two Slurms disturb each other.

    What was imported and collected is left out of garbage collections.
    """
    gc.freeze()  # modules and tests stay to the end: no garbage collection need visit them
    if session.config.getoption("loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError("this pytest-xdist does not group tests with this pytest; see constraints.txt")


class Fault:
    """Fixture of a fault test: its size, its seeded random numbers, and notes for its row of the table."""

    def __init__(self, full: bool, seed: int) -> None:
        self.full = full
        self.seed = seed
        self.random = random.Random(seed)
        self.notes: list[str] = []

    def size(self, small: int, full: int) -> int:
        """``full`` with ``--full-size``, else ``small``; it is noted."""
        size = full if self.full else small
        self.note(f"size {size:,}")
        return size

    def note(self, text: str) -> None:
        """Add a measurement to the row."""
        self.notes.append(text)


INJECTED = pytest.StashKey[Fault]()


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    config = request.config
    injected = Fault(bool(config.getoption("--full-size")), int(config.getoption("--fault-seed")))
    request.node.stash[INJECTED] = injected
    return injected


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the row of a fault test to its report, with which it comes from the worker that ran it."""
    outcome: object = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    marker = item.get_closest_marker("fault")
    ran = report.when == "call" or (report.when == "setup" and report.failed)
    if marker is None or not ran or report.skipped:
        return
    injected = item.stash.get(INJECTED, None)
    notes = ", ".join(injected.notes) if injected else ""
    name, required = marker.args
    row = FaultRow(name, required, report.passed, report.duration, notes, str(injected.seed) if injected else "")
    report.user_properties.append((ROW, tuple(row)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, values in report.user_properties:
        if name == ROW:
            add_row(FaultRow(*values))  # type: ignore[misc]


def add_row(row: FaultRow) -> None:
    """Add a row to the table; of one fault in several forms there is one row, which held if all of them did."""
    same = next((number for number, other in enumerate(ROWS) if other.fault == row.fault), None)
    if same is None:
        ROWS.append(row)
        return
    before = ROWS[same]
    joined = "; ".join(dict.fromkeys(note for note in (before.note, row.note) if note))
    ROWS[same] = row._replace(
        held=row.held and before.held, seconds=row.seconds + before.seconds, note=joined, seed=row.seed or before.seed
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--full-size") or not ROWS:
        return
    from console.commands.output import table

    terminalreporter.section("faults")
    rows = [
        (row.fault, row.required, "yes" if row.held else "NO", f"{row.seconds:.1f}", row.seed, row.note)
        for row in sorted(ROWS)  # workers end in any order
    ]
    terminalreporter.write_line(table(("fault", "required", "held", "seconds", "seed", "measured"), rows))
