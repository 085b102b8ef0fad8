"""Two consoles on one host: one launches and aborts, the other looks on until it takes over."""

from __future__ import annotations

from console.ui.dialogs.confirm import ConfirmDialog
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, console, notices, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import training, view_of

A42 = RunId("A", 42)


def asked(pilot: object) -> bool:
    return isinstance(pilot.app.screen, ConfirmDialog)  # type: ignore[attr-defined]


async def test_a_console_without_the_lease_looks_on_until_it_takes_over() -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)), lease="[b]ann@laptop")
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "looking on ([b]ann@laptop has the lease)")
        await pilot.press("a")
        await until(pilot, lambda: notices(pilot))
        assert "t takes over" in notices(pilot)[0]
        await pilot.press("x")
        await pilot.pause()
        assert not asked(pilot)
        await pilot.press("t")
        await until_shown(pilot, "[b]ann@laptop launches and aborts on this host")
        await pilot.press("t")
        await pilot.pause()
        assert asked(pilot)
        await pilot.press("y")
        await until(pilot, lambda: "looking on" not in screen(pilot).splitlines()[0])
        await pilot.press("x")
        await until(pilot, lambda: asked(pilot))
    assert not session.launched


async def test_taking_over_what_one_has_only_says_so() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot) == ["This console has the host's lease already."]
