"""The result of an evaluation as text for people: one table of scores, the classes of items, what the evaluation can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.contract.metrics import Estimate, EvaluationReport, Scores
from engine.evaluation.item_classes import COHERENCE_CLASSES, RETRIEVAL_CLASSES
from engine.evaluation.scores import METRICS

TITLES = dict(zip(METRICS, ("top-1", "top-3", "coherence", "transition", "final state"), strict=True))
CLASS_TITLES = {
    "right_overlaps_more": "word overlap names the right candidate",
    "equal_overlap": "word overlap cannot decide",
    "wrong_overlaps_more": "word overlap names a wrong candidate",
    "placeholder": "placeholder: a gloss says nothing beyond its lemma",
    "identical_glosses": "identical glosses",
    "verbatim": "verbatim: the right gloss stands in the text",
    "informative": "informative",
}


def report_text(report: EvaluationReport) -> str:
    """All of ``report``, scores in percent with their 95% intervals for new lemmas."""
    read = f", reads {report.encoder} layers {', '.join(map(str, report.layers))}" if report.encoder else ""
    parts = [f"{report.subject}{read}; evaluation {report.eval_fingerprint[:16]}", _score_table(report)]
    parts += [_class_table(report, names) for names in (RETRIEVAL_CLASSES, COHERENCE_CLASSES)]
    return "\n\n".join([*filter(None, parts), "\n".join(_sentences(report))])


def _score_table(report: EvaluationReport) -> str:
    scored = [name for name in METRICS if name in report.models[report.subject].intervals]
    sizes = report.models[report.subject].intervals
    header = ["percent", *(f"{TITLES[name]} (n {sizes[name].items})" for name in scored)]
    rows = [
        [name, *(_interval(scores.intervals[metric]) for metric in scored)] for name, scores in report.models.items()
    ]
    if report.gains:
        gains = (_interval(report.gains[metric], sign="+") for metric in scored)
        rows.append([f"{report.subject} - mean_pool", *gains])
    return _table(header, rows)


def _class_table(report: EvaluationReport, names: Sequence[str]) -> str:
    """Scores by class of the models but single layers; "" where no item is of these classes."""
    models = {name: scores for name, scores in report.models.items() if " layer " not in name}
    counts = report.informativeness.retrieval_classes | report.informativeness.coherence_classes
    total = sum(counts[name] for name in names)
    if not total:
        return ""
    title = "retrieval top-1 by class" if names == RETRIEVAL_CLASSES else "coherence by class"
    rows = [
        [
            CLASS_TITLES[name],
            f"{counts[name]} ({counts[name] / total:.0%})",
            *(_of_class(one, name) for one in models.values()),
        ]
        for name in names
    ]
    return _table([title, "n", *models], rows)


def _of_class(scores: Scores, name: str) -> str:
    return _interval(scores.classes[name]) if name in scores.classes else "-"


def _sentences(report: EvaluationReport) -> Iterator[str]:
    """What the evaluation can tell, what its killers and probes say, and the verdicts of the gates."""
    told, steps = report.informativeness, report.coherence_steps
    if steps:
        informative = told.coherence_classes["informative"]
        yield f"{informative} of {steps} coherence steps ({told.judged:.1%}) are a test of meaning."
        yield (
            f"The best reader would have {told.coherence_ceiling:.1%} coherence: {told.shared_gloss_steps} steps have a "
            f"gloss that cannot be told from another's."
        )
    if told.by_elimination_steps:
        yield f"{told.by_elimination_steps} steps beside a placeholder can be named by elimination."
    if report.killers and report.killer_top1 is not None:
        yield f"Of {report.killers} killers {report.killer_top1:.1%} are ranked right."
    if (seen := report.attention) is not None:
        cues = "" if seen.cue_mass is None else f", {seen.cue_mass:.1%} on cues"
        yield (
            f"Attention on {seen.probes} probes: entropy {seen.entropy:.3f} of the maximum, {seen.lemma_mass:.1%} on the "
            f"target word{cues}."
        )
    for verdict in report.gates:
        if verdict.value is None:
            yield f"{verdict.gate}: no items."
            continue
        limit = told.coherence_ceiling if verdict.gate == "coherence_accuracy" else 1.0
        beyond = f"; no reader can pass it: {limit:.1%} at best" if limit < verdict.threshold else ""
        passed = "passed" if verdict.passed else "failed"
        yield f"{verdict.gate} {verdict.value:.1%}, at least {verdict.threshold:.0%}: {passed}{beyond}."


def _interval(estimate: Estimate, sign: str = "") -> str:
    """Such as ``43.8 [40.1 47.5]``; without the interval where it is unknown, or no value differs to estimate it from."""
    mean = f"{100 * estimate.mean:{sign}.1f}"
    if estimate.low is None or estimate.high is None or not estimate.standard_error:
        return mean
    # of few lemmas it may reach beyond what a share, or a difference of shares, can be
    low, high = max(estimate.low, -1.0 if sign else 0.0), min(estimate.high, 1.0)
    return f"{mean} [{100 * low:{sign}.1f} {100 * high:{sign}.1f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    lines = (header, ["-" * width for width in widths], *rows)
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
