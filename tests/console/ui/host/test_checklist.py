"""The checklist as lines of text."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.hosts.preflight.checks import Check
from console.ui.host.checklist import check_lines, preflight_text
from console.ui.host.preflight import checks_summary_text, worst_check_index
from console.ui.state import PreflightState, RepairProgress
from tests.console.ui.fake_session import ILL, WELL

LONG = Check("runs survive logout", "blocker", "what was found " * 20 + "x" * 200, "what to do " * 20, "environment")


def lines(check: Check, width: int = 80, repair: RepairProgress | None = None, now: float = 0.0) -> list[str]:
    return [line.plain for line in check_lines(check, selected=False, repair=repair, width=width, now=now)]


@pytest.mark.parametrize("width", [24, 40, 59, 60, 78, 118])
def test_no_line_exceeds_the_width_and_no_word_is_lost(width: int) -> None:
    repair = RepairProgress("runs survive logout", 0.0, "installing " * 20)
    shown = lines(LONG, width, repair)
    assert max(map(len, shown)) <= width
    words = " ".join(" ".join(shown).split())
    for part in ("what was found " * 20, "what to do " * 20, "installing " * 20):
        assert part.strip() in words
    assert "".join(" ".join(shown).split()).count("x") == 200


def test_a_check_that_is_ok_has_no_advice() -> None:
    assert lines(Check("disk", "ok", "plenty", "Free some.")) == ["  ✓ ok      disk                  plenty"]


def test_how_a_repair_ended_stays() -> None:
    ended = RepairProgress("engine", 10.0, "ready", ended_at=85.0)
    assert lines(ILL[6], repair=ended, now=500.0)[-1].strip() == "ready after 1:15"
    broke = RepairProgress("engine", 10.0, "installing", ended_at=85.0, error="the link broke")
    assert lines(ILL[6], repair=broke, now=500.0)[-1].strip() == "the link broke after 1:15; last: installing"


def test_the_preflight_text_has_the_summary_its_age_and_the_progress() -> None:
    preflight_state = PreflightState()
    waiting = preflight_text(preflight_state, 5.0).plain
    assert waiting.split("  ")[-1].strip() == "starts once the host is connected; p checks again"
    preflight_state = replace(preflight_state, started_at=5.0)
    assert preflight_text(preflight_state, 7.0).plain.endswith("  checking, 2.0 s")
    assert preflight_text(preflight_state.failed("no link"), 7.0).plain.endswith(
        "  p checks again\ncould not check: no link"
    )
    preflight_state = preflight_state.finished(ILL, 8.0)
    assert preflight_text(preflight_state, 200.0).plain.endswith(
        "  2 blockers, 2 warnings; checked 3 min ago; p checks again"
    )
    again = replace(preflight_state, started_at=200.0)
    assert preflight_text(again, 203.0).plain.endswith("checked 3 min ago; checking, 3.0 s")
    assert again.failed("no link").checks == ILL
    repairing = replace(preflight_state, repair=RepairProgress("engine", 200.0))
    assert preflight_text(repairing, 200.0).plain.endswith("checked 3 min ago; Esc stops waiting")


def test_progress_without_a_repair_changes_nothing() -> None:
    repairing = PreflightState(repair=RepairProgress("engine", 1.0)).with_repair(step="installing")
    assert repairing.repair == RepairProgress("engine", 1.0, "installing") and repairing.repairing
    assert not repairing.with_repair(ended_at=2.0).repairing
    assert PreflightState().with_repair(step="installing") == PreflightState()


def test_a_blocker_is_selected_first() -> None:
    assert worst_check_index(ILL) == 4
    assert worst_check_index(ILL[:3]) == 2
    assert worst_check_index(WELL) == worst_check_index(()) == 0
    assert checks_summary_text(WELL) == "all checks ok"
    assert checks_summary_text(ILL[:5]) == "1 blocker, 1 warning"
