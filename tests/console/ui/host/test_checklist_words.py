"""The checklist as lines of text."""

from __future__ import annotations

import pytest

from console.hosts.preflight.checks import Check
from console.ui.host.checklist import check_lines, headline
from console.ui.host.preflight_state import PreflightState, RepairProgress, first_concern, verdict
from tests.console.ui.fake_session import ILL, WELL

LONG = Check("runs survive logout", "blocker", "what was found " * 20 + "x" * 200, "what to do " * 20, "environment")


def lines(check: Check, width: int = 80, repair: RepairProgress | None = None, now: float = 0.0) -> list[str]:
    return [line.plain for line in check_lines(check, selected=False, repair=repair, width=width, now=now)]


@pytest.mark.parametrize("width", [24, 40, 59, 60, 78, 118])
def test_no_line_is_wider_than_its_place_and_no_word_is_lost(width: int) -> None:
    repair = RepairProgress("runs survive logout", 0.0, "installing " * 20)
    said = lines(LONG, width, repair)
    assert max(map(len, said)) <= width
    words = " ".join(" ".join(said).split())
    for part in ("what was found " * 20, "what to do " * 20, "installing " * 20):
        assert part.strip() in words
    assert "".join(" ".join(said).split()).count("x") == 200


def test_what_is_well_needs_no_advice() -> None:
    assert lines(Check("disk", "ok", "plenty", "Free some.")) == ["  ✓ ok      disk                  plenty"]


def test_how_a_repair_ended_stays() -> None:
    ended = RepairProgress("engine", 10.0, "ready", ended=85.0)
    assert lines(ILL[6], repair=ended, now=500.0)[-1].strip() == "ready after 1:15"
    broke = RepairProgress("engine", 10.0, "installing", ended=85.0, trouble="the link broke")
    assert lines(ILL[6], repair=broke, now=500.0)[-1].strip() == "the link broke after 1:15; last: installing"


def test_the_headline_has_the_verdict_its_age_and_what_goes_on() -> None:
    preflight_state = PreflightState()
    assert headline(preflight_state, 5.0).plain.split("  ")[-1].strip() == "once the host is reached; p looks again"
    preflight_state = preflight_state.began(5.0)
    assert headline(preflight_state, 7.0).plain.endswith("  looking, 2.0 s")
    assert headline(preflight_state.failed("no link"), 7.0).plain.endswith("  p looks again\ncould not look: no link")
    preflight_state = preflight_state.found(ILL, 8.0)
    assert headline(preflight_state, 200.0).plain.endswith("  2 blockers, 2 warnings; looked 3 min ago; p looks again")
    again = preflight_state.began(200.0)
    assert headline(again, 203.0).plain.endswith("looked 3 min ago; looking, 3.0 s")
    assert again.failed("no link").checks == ILL
    repairing = preflight_state.repair_began("engine", 200.0)
    assert headline(repairing, 200.0).plain.endswith("looked 3 min ago; Esc stops waiting")


def test_a_repair_under_way_is_not_forgotten() -> None:
    under_way = PreflightState().repair_began("engine", 1.0).repair_said("installing")
    assert under_way.repair_seen().repair == RepairProgress("engine", 1.0, "installing")
    assert under_way.repair_ended(2.0).repair_seen().repair is None


def test_what_to_see_to_first_is_what_blocks() -> None:
    assert first_concern(ILL) == 4
    assert first_concern(ILL[:3]) == 2
    assert first_concern(WELL) == first_concern(()) == 0
    assert verdict(WELL) == "all well"
    assert verdict(ILL[:5]) == "1 blocker, 1 warning"
