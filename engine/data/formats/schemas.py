"""The formats of the user's own files: how each is told from the others, and the fields that are read of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from engine.contract.experiment import Tier
from engine.contract.input_files import Role
from engine.contract.items import ReasonCode

Format = Literal[
    "bundle 2.1",
    "contrastive, grouped negatives",
    "contrastive, listed negatives",
    "retrieval",
    "coherence",
    "attention",
    "killer",
]
BUNDLES: frozenset[Format] = frozenset(
    {"bundle 2.1", "contrastive, grouped negatives", "contrastive, listed negatives"}
)
OF_ROLE: dict[Role, frozenset[Format]] = {
    "bundles": BUNDLES,
    "dev": BUNDLES,
    "retrieval": frozenset({"retrieval"}),
    "coherence": frozenset({"coherence"}),
    "attention": frozenset({"attention"}),
    "killers": frozenset({"killer"}),
}
"""What a file may hold that an experiment names for a role."""

Id: TypeAlias = Annotated[str, Meta(max_length=200)] | int
ShortText = Annotated[str, Meta(max_length=200)]


class SpanObject(Struct, frozen=True):
    """A span with the surface form that it should hold."""

    start: int
    end: int
    surface: str | None = None


Span: TypeAlias = SpanObject | tuple[int, int] | None


class Usage(Struct, frozen=True):
    """A text with a target word; both contrastive shapes and retrieval write it, each with its own names."""

    text: str
    span: Span = None
    sense_id: ShortText | None = None
    sense: ShortText | None = None
    lemma: ShortText | None = None
    pos: ShortText | None = None
    source: ShortText | None = None


class Word(Struct, frozen=True):
    """The word of a bundle 2.1."""

    lemma: ShortText
    pos: ShortText | None = None


class BundleItem(Struct, frozen=True):
    """A text of a bundle 2.1 in its role."""

    role: Literal["anchor", "positive", "negative", "hard_negative"]
    sense_id: ShortText
    context: str
    target_span: Span = None
    item_id: Id | None = None


class Bundle21(Struct, frozen=True):
    """A bundle of schema 2.1."""

    bundle_id: Id
    word: Word
    items: tuple[BundleItem, ...]


class Groups(Struct, frozen=True):
    """Negatives in groups."""

    within_lemma: tuple[Usage, ...] = ()
    cross_lemma: tuple[Usage, ...] = ()


class Metadata(Struct, frozen=True):
    """What a contrastive bundle knows of its difficulty; an adversarial one says so, or how many line-ups it passed."""

    tier: Tier | None = None
    passes: int | None = None
    adversarial: bool | None = None


class Contrastive(Struct, frozen=True):
    """A contrastive bundle in either shape."""

    anchor: Usage | None = None
    positive: Usage | None = None
    negatives: Groups | tuple[Usage, ...] | None = None
    id: Id | None = None
    bundle_id: Id | None = None
    lemma: ShortText | None = None
    metadata: Metadata | None = None


class RetrievalCandidate(Usage, frozen=True):
    """A candidate of a retrieval item."""

    passage_id: Id | None = None
    is_correct_sense: bool | None = None


class Retrieval(Struct, frozen=True):
    """A retrieval item."""

    eval_id: Id
    query: Usage
    candidates: tuple[RetrievalCandidate, ...]
    lemma: ShortText | None = None
    correct_passage_ids: tuple[Id, ...] | None = None


class Step(Struct, frozen=True):
    """A step of a coherence item."""

    context: str
    expected_sense: ShortText
    sense_gloss: str
    span: Span = None


class Coherence(Struct, frozen=True):
    """A coherence item."""

    eval_id: Id
    steps: tuple[Step, ...]
    lemma: ShortText | None = None


class Attention(Struct, frozen=True):
    """An attention probe."""

    eval_id: Id
    query: str
    cue_tokens: tuple[ShortText, ...]
    lemma: ShortText | None = None
    target_sense_id: ShortText | None = None
    span: Span = None


class KillerLine(Struct, frozen=True):
    """A killer of the retrieval evaluation."""

    eval_id: Id
    reason_code: ReasonCode
    margin: float
    best_correct_rank: Annotated[int, Meta(ge=1, le=1_000_000)]
    type: Literal["retrieval"] = "retrieval"
    severity: float | None = None
    wrong_sense_id: ShortText | None = None


Shape: TypeAlias = Bundle21 | Contrastive | Retrieval | Coherence | Attention | KillerLine

SHAPES: dict[Format, type[Shape]] = {
    "bundle 2.1": Bundle21,
    "contrastive, grouped negatives": Contrastive,
    "contrastive, listed negatives": Contrastive,
    "retrieval": Retrieval,
    "coherence": Coherence,
    "attention": Attention,
    "killer": KillerLine,
}


def recognise(record: dict[str, Any]) -> Format | None:
    """The format of a decoded line, by the fields that only this format has."""
    if "items" in record and ("word" in record or "schema_version" in record):
        return "bundle 2.1" if record.get("schema_version", "2.1") == "2.1" else None
    if "anchor" in record and not ("candidates" in record or "steps" in record):
        listed = isinstance(record["negatives"], list) if "negatives" in record else "bundle_id" in record
        return "contrastive, listed negatives" if listed else "contrastive, grouped negatives"
    if "candidates" in record and "query" in record:
        return "retrieval"
    if "steps" in record:
        return "coherence"
    if "cue_tokens" in record:
        return "attention"
    if "reason_code" in record:
        return "killer"
    return None
