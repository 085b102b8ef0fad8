"""Every view at three sizes is as it was looked at and kept in ``screens``, to the character.

``PIN_SCREENS=1 pytest tests/console/ui/test_screens.py`` keeps them as they are now: look at the difference.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.runs.snapshot import SyncState
from engine.contract.settings import RunId
from tests.console.ui.driving import console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished, item

FOLDER = Path(__file__).parent / "screens"
# what tells that a view is complete, below what is drawn or computed in a thread
VIEWS = {
    "1": ("host", "Preflight"),
    "2": ("runs", "✓ finished"),
    "3": ("live", "end: failed ship blockers"),
    "4": ("results", "Ship blockers"),
    "5": ("items", "showing "),
}
_AGE = re.compile(r"(\d+ min )?[\d.]+ s\b")


def evaluated() -> FakeSession:
    """Nine runs that differ, the log of one of them, some items; nothing in it tells the time."""
    session = FakeSession()
    runs = list(session.snapshot.runs)
    views = [
        finished(run, top1=0.43 + 0.004 * number, coherence=0.69 + 0.003 * number, failed=("coherence_accuracy",))
        for number, run in enumerate(runs)
    ]
    session.show(*views, sync_states={run: SyncState("synced", 9, 9, 120_000, 120_000) for run in runs})
    session.item_rows = {
        RunId("A", 42): [item("r1", "bank"), item("r2", "spring", 2)],
        RunId("B", 42): [item("r1", "bank", 3), item("r2", "spring")],
    }
    lines = [f"step {step}/200 loss {2 - step / 200:.4f}" for step in range(0, 200, 40)]
    log = "\n".join(
        [*lines, "warning: loss_spike: 3.2 times the median", "end: failed ship blockers: coherence_accuracy", ""]
    )
    session.log(runs[0]).feed(log.encode())
    return session


def shown(pilot: Pilot[None]) -> str:
    """The screen without trailing blanks; ages, which go on, in place of their number have the sign #."""
    lines = (line.rstrip() for line in screen(pilot).splitlines())
    return "\n".join(_AGE.sub("# s", line) for line in lines) + "\n"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("key", VIEWS)
async def test_the_view_is_as_it_was_looked_at(key: str, size: tuple[int, int]) -> None:
    name, text = VIEWS[key]
    path = FOLDER / f"{name}_{size[0]}x{size[1]}.txt"
    async with console(evaluated(), size) as pilot:
        await until_shown(pilot, "✓ finished")
        await pilot.press(key)
        await until_shown(pilot, text)
        if os.environ.get("PIN_SCREENS"):
            await settle(pilot)
            path.write_text(shown(pilot), encoding="utf-8")
        pinned = path.read_text(encoding="utf-8")
        try:
            await until(pilot, lambda: shown(pilot) == pinned, f"{path.name} as it was")
        except AssertionError as error:
            difference = difflib.unified_diff(
                pinned.splitlines(), shown(pilot).splitlines(), path.name, "now", lineterm=""
            )
            raise AssertionError("\n".join(difference)) from error


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the screen has stayed the same for two seconds: for a person who pins it, and looks at it then."""
    last, same = "", 0
    while same < 20:
        await pilot.pause(0.1)
        last, same = (shown(pilot), same + 1) if shown(pilot) == last else (shown(pilot), 0)
