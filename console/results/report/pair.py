"""One comparison in full: any two conditions, or one with frozen mean pooling of its states."""

from __future__ import annotations

from msgspec import Struct

from console.results.analysis.comparisons import POOL_METRICS, Question, compare
from console.results.analysis.condition_scores import ConditionScores
from console.results.analysis.records import MEAN_POOL, Comparison
from console.results.experiment_report import ExperimentReport
from console.results.items.changes import ItemChanges, item_changes, items_sections
from console.results.items.items import item_table
from console.results.load import LoadedRuns
from console.results.records import counted_runs
from console.results.report.comparison_sections import comparison_sections, pair_label
from console.results.tables import Section, text_cell
from engine.contract.experiment import Experiment


class PairReport(Struct, frozen=True):
    """``ours`` minus ``theirs`` on every metric, and the items that ``ours`` fixed and broke."""

    ours: str
    theirs: str
    comparisons: tuple[Comparison, ...]
    changes: tuple[ItemChanges, ...] = ()


def pair_report(
    experiment: Experiment, loaded: LoadedRuns, report: ExperimentReport, ours: str, theirs: str
) -> PairReport:
    """The comparison of two conditions, or of one with ``mean_pool``; those that the report has are taken from it."""
    known = [one for one in report.analysis.comparisons if (one.ours, one.theirs) == (ours, theirs)]
    counted = counted_runs(report.results)
    pair = {name: own for name in (ours, theirs) if (own := counted.get(name))}
    if not report.results.comparable or len(pair) < (1 if theirs == MEAN_POOL else 2):
        return PairReport(ours, theirs, tuple(known))
    scores = ConditionScores(loaded, pair)
    metrics = [one for one in scores.metrics if theirs != MEAN_POOL or one in POOL_METRICS]
    missing = [metric for metric in metrics if metric not in {one.metric for one in known}]
    asked = [Question(ours, theirs, metric, "exploratory") for metric in missing]
    found = compare(scores, asked, experiment.analysis, report.analysis.plan.level) if asked else ()
    comparisons = tuple(sorted((*known, *found), key=lambda one: metrics.index(one.metric)))
    if theirs == MEAN_POOL:
        return PairReport(ours, theirs, comparisons)
    runs = [run for of_condition in pair.values() for run in of_condition]
    return PairReport(ours, theirs, comparisons, item_changes(item_table(loaded, runs, experiment), [(ours, theirs)]))


def pair_sections(pair: PairReport) -> tuple[Section, ...]:
    """The page of one comparison."""
    title = Section("", ((text_cell(f"{pair_label(pair.ours, pair.theirs)}", "title"),),), key="pair")
    if not pair.comparisons:
        return (
            Section("", (*title.rows, (text_cell("Not comparable: one of the two has no counted runs."),)), key="pair"),
        )
    return (title, *comparison_sections(pair.comparisons), *items_sections(pair.changes))
