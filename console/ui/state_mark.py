"""How the states of a run look: a sign, a word and a colour, never a colour alone."""

from __future__ import annotations

from msgspec import Struct

from console.run_view import RunView


class Mark(Struct, frozen=True):
    """The look of one state."""

    sign: str
    word: str
    style: str


MARKS = {
    "none": Mark("·", "not launched", "$text-muted"),
    "queued": Mark("◦", "queued", "$text-primary"),
    "running": Mark("▶", "running", "bold $text-accent"),
    "finished": Mark("✓", "finished", "bold $text-success"),
    "failed": Mark("✗", "failed", "bold $text-error"),
    "aborted": Mark("■", "aborted", "bold $text-warning"),
    "lost": Mark("?", "lost", "bold $text-error"),
}
SHORT_GATES = {"retrieval_top1": "top-1", "retrieval_top3": "top-3", "coherence_accuracy": "coherence"}
STAGES = {
    "data": "building data",
    "encode": "encoding",
    "warm_start": "warm start",
    "train": "training",
    "evaluate": "evaluating",
    "seal": "sealing",
}


def mark_of(view: RunView) -> Mark:
    """The look of ``view``'s state."""
    return MARKS[view.name]
