"""What may be imported where, as the import-linter contracts say, checked once more by looking at what is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "polars", "scipy", "numpy", "asyncssh", "textual", "transformers", "plotext")


def loaded_by(module: str) -> set[str]:
    """The heavy packages that importing ``module`` loads, in a fresh interpreter."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        (
            "engine.contract.experiment, engine.contract.events, engine.contract.manifest, engine.contract.metrics",
            set(),
        ),
        ("console.cli", set()),
        ("engine.cli", set()),
        (
            "console.runs.run_view, console.runs.launch_plan, console.runs.snapshot, console.results.records",
            set(),
        ),
        ("console.results.analysis.records, console.results.statistics.estimates", set()),
        ("console.results.statistics.crossed, console.results.statistics.variance", {"numpy", "scipy"}),
        ("console.session", {"asyncssh"}),
        (
            "console.results.aggregate, console.results.items.items, console.results.items.changes, console.results.items.detail",
            {"polars", "numpy"},
        ),
        ("console.ui.app", {"textual"}),
    ],
)
def test_a_module_loads_no_more_than_it_may(module: str, allowed: set[str]) -> None:
    assert loaded_by(module) <= allowed
