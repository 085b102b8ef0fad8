"""Attention is compared on the probes that all runs have, seeds averaged, with a test over lemmas."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.results.descriptions.attention import attention_report
from console.results.descriptions.load_training import load_training
from console.results.descriptions.records import AttentionReport
from console.results.report.layout import page_lines
from console.results.report.training_sections import attention_sections
from console.results.statistics.multiplicity import benjamini_hochberg
from engine.contract.items import AttentionRow
from engine.contract.settings import RunId
from tests.console.results.recordings import probe, write_attention

PROBES = [f"probe {at:02}" for at in range(20)]


def report_of(folder: Path, rows: Mapping[tuple[str, int], Sequence[AttentionRow]]) -> AttentionReport:
    runs = [RunId(condition, seed) for condition, seed in rows]
    for run, of_run in zip(runs, rows.values(), strict=True):
        write_attention(folder, run, of_run)
    return attention_report(load_training(folder, runs), runs)


def text(report: AttentionReport, width: int = 76, ascii_only: bool = False) -> str:
    return "\n".join(
        "".join(part.text for part in line) for line in page_lines(attention_sections(report), width, ascii_only)
    )


def entropies(shift: float, **columns: Any) -> list[AttentionRow]:
    return [probe(item, 0.7 + shift + at / 1000, **columns) for at, item in enumerate(PROBES)]


def test_conditions_are_compared_probe_by_probe(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        {
            ("A", 42): entropies(0.00),
            ("A", 123): entropies(0.02),
            ("B", 42): entropies(0.11, cue_mass=0.4),
            ("B", 123): entropies(0.11, cue_mass=0.2),
        },
    )
    assert [(one.condition, one.seeds, one.probes, one.lemmas) for one in report.conditions] == [
        ("A", (42, 123), 20, 20),
        ("B", (42, 123), 20, 20),
    ]
    entropy = report.conditions[0].evaluated["entropy"]
    means = [statistics.fmean(0.7 + shift + at / 1000 for at in range(20)) for shift in (0.0, 0.02)]
    assert entropy.n == 2 and entropy.mean == pytest.approx(statistics.fmean(means))
    assert entropy.sd == pytest.approx(statistics.stdev(means))
    found = {one.measure: one for one in report.comparisons}
    assert [(one.ours, one.theirs, one.probes) for one in report.comparisons] == [("B", "A", 20)] * 3
    assert found["entropy"].test.interval.mean == pytest.approx(0.10)
    assert found["entropy"].test.p is not None and found["entropy"].test.p < 0.001
    assert found["cue_mass"].test.interval.mean == pytest.approx(0.0) and found["cue_mass"].test.p == 1.0
    ps = [one.test.p for one in report.comparisons if one.test.p is not None]
    assert [one.adjusted_p for one in report.comparisons] == benjamini_hochberg(ps) and len(ps) == 3
    assert "Benjamini-Hochberg over 3" in text(report)


def test_only_probes_that_all_runs_have_are_compared(tmp_path: Path) -> None:
    ours = [probe("shared", 0.9), probe("own", 0.1), probe("other text", 0.1, text="this one")]
    theirs = [probe("shared", 0.8), probe("other text", 0.1, text="that one"), probe("shared too", 0.5)]
    again = [ours[0], probe("own", 0.1, text="not that text"), ours[2]]
    report = report_of(tmp_path, {("A", 42): theirs, ("B", 42): ours, ("B", 123): again})
    assert [(one.condition, one.probes) for one in report.conditions] == [("A", 3), ("B", 2)]
    assert {one.probes for one in report.comparisons} == {1}
    assert all(one.test.p is None and one.adjusted_p is None for one in report.comparisons)  # a single lemma
    assert "not told apart" in text(report)


def test_a_measure_that_no_probe_has_is_not_compared(tmp_path: Path) -> None:
    report = report_of(tmp_path, {("A", 42): entropies(0.0, cue_mass=None), ("B", 42): entropies(0.1)})
    assert [one.measure for one in report.comparisons] == ["entropy", "lemma_mass"]
    assert report.conditions[0].cue_mass == () and "cue_mass" not in report.conditions[0].evaluated
    assert text(report)


def test_curves_are_means_over_probes_and_seeds(tmp_path: Path) -> None:
    def run(shift: float) -> list[AttentionRow]:
        early = [probe(item, 0.95 + shift, step=0, epoch=0.0) for item in PROBES[:4]]
        return [*early, *(probe(item, 0.6 + shift) for item in PROBES[:4])]

    (condition,) = report_of(tmp_path, {("A", 42): run(0.0), ("A", 123): run(0.04)}).conditions
    assert [(one.epoch, round(one.mean, 6), one.n) for one in condition.entropy] == [(0.0, 0.97, 2), (2.0, 0.62, 2)]
    assert condition.entropy[0].sd == pytest.approx(statistics.stdev([0.95, 0.99]))


def test_the_probe_with_the_greatest_difference_is_shown_token_by_token(tmp_path: Path) -> None:
    alike, other, long = [0.2, 0.5, 0.3], [0.5, 0.1, 0.4], [0.05] * 20
    report = report_of(
        tmp_path,
        {
            ("A", 42): [probe("a", 0.9, alike), probe("b", 0.9, alike), probe("c", 0.9, long)],
            ("A", 123): [probe("a", 0.9, alike), probe("b", 0.9, [0.4, 0.3, 0.3]), probe("c", 0.9, long)],
            ("B", 42): [probe("a", 0.9, alike), probe("b", 0.9, other), probe("c", 0.9, long)],
            ("B", 123): [probe("a", 0.9, alike), probe("b", 0.9, other), probe("c", 0.9, long)],
        },
    )
    assert [one.item_id for one in report.shown] == ["b", "a"]  # c has too many tokens
    first = report.shown[0]
    assert first.tokens == ("<start>", "word0", "<end>") and first.seeds == {"A": 2, "B": 2}
    assert first.weights == {"A": pytest.approx((0.3, 0.4, 0.3)), "B": pytest.approx((0.5, 0.1, 0.4))}
    lines = text(report).splitlines()
    row = lines[next(at for at, line in enumerate(lines) if line.startswith("<start>"))]
    assert row.split() == ["<start>", "30.0", "██████", "50.0", "██████████"]
    assert text(report, ascii_only=True).isascii()


def test_conditions_whose_tokens_differ_are_not_shown_side_by_side(tmp_path: Path) -> None:
    rows = [probe("a", 0.9)]
    report = report_of(tmp_path, {("A", 42): rows, ("B", 42): [probe("a", 0.9, [0.1, 0.2, 0.3, 0.4])]})
    assert list(report.shown[0].weights) == ["A"] and report.comparisons[0].probes == 1


def test_many_conditions_are_each_compared_with_the_first(tmp_path: Path) -> None:
    report = report_of(tmp_path, {(f"C{at}", 42): entropies(at / 100) for at in range(7)})
    assert {(one.ours, one.theirs) for one in report.comparisons} == {(f"C{at}", "C0") for at in range(1, 7)}
    assert max(map(len, text(report).splitlines())) <= 76
    keys = [section.key for section in attention_sections(report)]
    assert len(keys) == len({*keys}) and keys[-3:] == ["probe", "probe-2", "probe-3"]


def test_hostile_tokens_cannot_steer_the_terminal(tmp_path: Path) -> None:
    row = probe(
        "a\x1b[2J", 0.9, lemma="\x1b[31mlemma", text="\u202etext", token_texts=["\x1b]0;owned\x07", "\n", "x" * 500]
    )
    shown = text(report_of(tmp_path, {("A", 42): [row]}))
    assert "\x1b" not in shown and "\u202e" not in shown and "owned" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_no_attention_is_said(tmp_path: Path) -> None:
    report = attention_report(load_training(tmp_path, [RunId("A", 42)]), [RunId("A", 42)])
    assert report == AttentionReport()
    assert "No counted run has attention" in text(report)
