"""``qllm-console wait``: which conditions there are, when they are reached, and what it exits with."""

from __future__ import annotations

import itertools

import pytest

from console import exit_codes
from console.commands.until import parse_until, reached
from console.commands.wait import wait
from engine.contract.bad_input import BadInput
from tests.console.commands.json_checker import checked
from tests.console.commands.scripted import A42, A123, RUNS, scripted_context, shown

BOTH = ("--condition", "A", "--seed", "42", "--seed", "123")


@pytest.mark.parametrize(
    ("until", "states", "expected"),
    [
        ("finished", ("finished", "finished"), "yes"),
        ("finished", ("finished", "running"), "not yet"),
        ("finished", ("finished", None), "not yet"),
        ("finished", ("running", "failed"), "never"),
        ("finished", ("queued", "aborted"), "never"),
        ("failed", ("running", "failed"), "yes"),
        ("failed", ("running", "finished"), "not yet"),
        ("failed", ("aborted", "finished"), "never"),
        ("all-ended", ("finished", "failed"), "yes"),
        ("all-ended", ("finished", None), "yes"),
        ("all-ended", ("finished", "queued"), "not yet"),
        ("all-ended", (None, None), "not yet"),
        ("A/42=running", ("running", None), "yes"),
        ("A_seed42=running", ("queued", None), "not yet"),
        ("A/42=running", ("finished", None), "never"),
        ("A/42=lost", ("lost", None), "yes"),
    ],
)
def test_a_condition_is_reached_not_yet_or_never(until: str, states: tuple[str | None, ...], expected: str) -> None:
    named = {run: state for run, state in zip((A42, A123), states, strict=True) if state is not None}
    assert reached(parse_until(until, (A42, A123)), shown(named).runs) == expected


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("done", "--until: 'done' is not one of: finished, failed, all-ended, RUN=STATE"),
        ("A/7=running", "--until: no run 'A/7'; known: A/42, A/123"),
        ("A/42=", "--until: no state ''; known: queued, running, finished, failed, aborted, lost"),
        ("=running", "--until: no run ''; known: A/42, A/123"),
    ],
)
def test_what_is_no_condition_is_one_line(until: str, expected: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_until(until, (A42, A123))
    assert str(error.value) == expected


def test_it_ends_when_all_chosen_runs_have_ended_and_says_on_the_way_what_happened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = [
        shown({A42: "running", A123: "queued"}),
        shown({A42: "finished", A123: "running"}),
        shown({A42: "finished", A123: "failed"}, reason="out of memory"),
    ]
    assert wait(scripted_context(["wait", *BOTH], script)) == exit_codes.DONE
    out, err = capsys.readouterr()
    assert out == "all-ended: reached; A/42 finished, A/123 failed\n"
    assert "A/42 finished" in err and "A/123 failed: out of memory" in err
    assert err.splitlines()[-1].startswith("next: qllm-console sync pull --profile full --host local --runs ")
    assert ", then qllm-console results --profile full --runs " in err


def test_what_cannot_be_reached_any_more_has_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    script = [shown({A42: "running"}), shown({A42: "aborted"})]
    context = scripted_context(["wait", "--until", "A/42=finished", "--json"], script)
    assert wait(context) == exit_codes.NOT_REACHED
    out, err = capsys.readouterr()
    assert "next:" not in err
    answer = checked(out)
    assert (answer["reached"], answer["until"], answer["runs"][0]["state"]) == (False, "A/42=finished", "aborted")


def test_a_timeout_ends_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    running = itertools.repeat(shown({A42: "running"}))
    assert wait(scripted_context(["wait", "--timeout", "0.1"], running)) == exit_codes.TIMED_OUT
    assert "timed out after 0.1 s" in capsys.readouterr().err


def test_a_host_that_needs_the_operator_ends_the_wait() -> None:
    assert wait(scripted_context(["wait"], [shown(dict.fromkeys(RUNS, "running"))])) == exit_codes.UNREACHABLE
