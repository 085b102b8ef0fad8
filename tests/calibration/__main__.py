"""``make calibration``: rejection rates under no effect, and power at the numbers that are said to be needed, as Markdown."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping

from console.results.statistics.variance import need_text
from tests.calibration.needed import plan, power, trial
from tests.calibration.procedures import NULL_LEVELS, Scores, null_rejections
from tests.calibration.simulate import Setting, as_margins, as_right

GRID = {f"{seeds} seeds, {share:g}": Setting(share, seeds) for seeds in (3, 10) for share in (0.0, 0.25, 0.5, 0.9)}
"""By number of seeds and the seeds' share of a difference's variance."""

ODD = {
    "2 seeds, 0.5": Setting(0.5, 2),
    "5 seeds, 0.5": Setting(0.5, 5),
    "8 lemmas": Setting(0.25, 3, lemmas=8),
    "20 lemmas": Setting(0.25, 3, lemmas=20),
    "277 lemmas": Setting(0.25, 3, lemmas=277),
    "97% right, 40 lemmas": Setting(0.25, 3, lemmas=40, mean=2.0),
    "4% right, 8 lemmas": Setting(0.0, 3, lemmas=8, mean=-1.8),
}


def rates(setting: Setting, shown: Scores, experiments: int) -> dict[str, float]:
    """Share of ``experiments`` in which each procedure rejects."""
    found = [null_rejections(setting, shown, number) for number in range(experiments)]
    return {name: sum(one[name] for one in found) / experiments for name in found[0]}


def null_table(settings: Mapping[str, Setting], shown: Scores, experiments: int) -> Iterable[str]:
    """Rates in percent, a line each procedure, a column each of ``settings``."""
    columns = [rates(setting, shown, experiments) for setting in settings.values()]
    yield row("procedure", "level", *settings)
    yield row("---", *["---:"] * (1 + len(settings)))
    for name, level in NULL_LEVELS.items():
        if name in columns[0]:
            yield row(name, f"{100 * level:g}", *(f"{100 * column[name]:.1f}" for column in columns))


def needed_table(experiments: int) -> Iterable[str]:
    """Power in percent as it is, and with what is said to be needed."""
    yield row(
        "seeds' share", "effect / se", "found as it is", "needed", "then found", "single data say: median (quartiles)"
    )
    yield row("---:", "---:", "---:", "---", "---:", "---")
    for share, errors in ((0.0, 2.0), (0.25, 2.2), (0.5, 2.2), (0.9, 2.2), (0.25, 0.5)):
        wanted = plan(Setting(share), errors)
        now = [trial(wanted.setting, wanted.effect, number) for number in range(experiments)]
        found_now = sum(one.is_found for one in now) / experiments
        open_ones = [one for one in now if not one.is_found]
        first = (f"{share:g}", f"{errors:g}", f"{100 * found_now:.1f}")
        if wanted.need.items is not None:
            found = power(wanted.with_more_items(), wanted.effect, experiments)
            said = quartiles([one.need.items / one.items if one.need.items else math.inf for one in open_ones])
            yield row(*first, f"{wanted.need.items / wanted.items:.2f} x the items", f"{100 * found:.1f}", f"x {said}")
        if wanted.need.more_seeds is not None:
            found = power(wanted.with_more_seeds(), wanted.effect, experiments)
            said = quartiles([one.need.more_seeds or math.inf for one in open_ones])
            yield row(*first, f"{wanted.need.more_seeds} more seeds", f"{100 * found:.1f}", said)
        if wanted.need.items is None and wanted.need.more_seeds is None:
            yield row(*first, need_text(wanted.need, "cosine"), "", "")


def quartiles(values: list[float]) -> str:
    """``3 (2 - 7)``; where no number is enough, ``none``."""
    ordered = sorted(values)
    middle, low, high = (ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.25, 0.75))
    shown = ["none" if math.isinf(value) else f"{value:.2g}" for value in (middle, low, high)]
    return f"{shown[0]} ({shown[1]} - {shown[2]})"


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main(experiments: int) -> None:
    for title, lines in (
        ("Right and wrong, no effect", null_table(GRID, as_right, experiments)),
        ("Margins, no effect", null_table(GRID, as_margins, experiments)),
        ("Right and wrong, no effect, few or many of something", null_table(ODD, as_right, experiments)),
        ("A true effect", needed_table(experiments)),
    ):
        print(f"\n{title}: {experiments} experiments each, rates in percent\n")
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
