"""An evaluation's report as text: shares within their range, ceilings beside gates."""

from __future__ import annotations

from msgspec import structs

from engine.contract.experiment import Gates
from engine.contract.metrics import Estimate, EvaluationReport
from engine.data.records import Dataset
from engine.evaluation.report import baseline_report
from engine.evaluation.report_text import report_text
from tests.engine.samples import coherence_item, retrieval_item


def made(*glosses: str) -> EvaluationReport:
    """The report of word overlap on a retrieval item and a coherence item of two steps with ``glosses``."""
    retrieval = (retrieval_item("a b", ["a b c"], ["x", "y"]),)
    coherence = (coherence_item([("on the bank", 0), ("of the bank", 1)], glosses),)
    dataset = Dataset("", (), (), retrieval, coherence, "", "e")
    return baseline_report("word_overlap", dataset, Gates(), has_tiers=False)


def test_a_gate_above_the_best_readers_score_says_that_nobody_can_pass_it() -> None:
    text = report_text(made("bank (context)", "bank in mining context"))
    assert "0 of 2 coherence steps (0.0%) are a test of meaning." in text
    assert "The best reader would have 50.0% coherence: 2 steps have a gloss that cannot be told" in text
    assert "at least 80%: failed; no reader can pass it: 50.0% at best." in text
    text = report_text(made("sloping land", "bank (context)"))
    assert "2 steps beside a placeholder can be named by elimination." in text and "no reader" not in text


def test_intervals_are_cut_to_what_a_share_can_be_and_gains_have_signs() -> None:
    report = made("sloping land", "an institution")
    wide = Estimate(0.5, 2, 2, 0.5, -5.8, 6.8)
    scores = structs.replace(report.models["word_overlap"], intervals={"retrieval_top1": wide})
    models = {"A/42": scores, "random": scores}
    text = report_text(structs.replace(report, subject="A/42", models=models, gains={"retrieval_top1": wide}))
    lines = [line.split() for line in text.splitlines()]
    assert ["A/42", "50.0", "[0.0", "100.0]"] in lines
    assert ["A/42", "-", "mean_pool", "+50.0", "[-100.0", "+100.0]"] in lines
