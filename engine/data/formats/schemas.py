"""The users' file formats: one schema each for reading and writing, and how a line's format is detected."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

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
FORMATS_OF_ROLE: dict[Role, frozenset[Format]] = {
    "bundles": BUNDLES,
    "dev": BUNDLES,
    "development_retrieval": frozenset({"retrieval"}),
    "development_coherence": frozenset({"coherence"}),
    "retrieval": frozenset({"retrieval"}),
    "coherence": frozenset({"coherence"}),
    "attention": frozenset({"attention"}),
    "killers": frozenset({"killer"}),
}
"""The formats allowed in a file that an experiment names for a role."""

Id: TypeAlias = Annotated[str, Meta(max_length=200)] | int
ShortText = Annotated[str, Meta(max_length=200)]
WriteOnly: TypeAlias = Any
"""A field that is written for other programs and never read, so that users' files may hold anything in it."""


class _Line(Struct, frozen=True, omit_defaults=True):
    """Base of all schemas. Fields are written in their order; those with their default value are not written."""


class SpanObject(Struct, frozen=True):
    """``text[start:end]`` of the target word, with the surface form it should equal; ``start == end`` in a gloss."""

    start: int
    end: int
    surface: str | None = None


Span: TypeAlias = SpanObject | tuple[int, int] | None


class Usage(_Line, frozen=True, kw_only=True):
    """A text with a target word. Grouped negatives and retrieval say ``sense_id``, listed negatives ``sense``."""

    text: str
    span: Span = None
    sense_id: ShortText | None = None
    sense: ShortText | None = None
    lemma: ShortText | None = None
    pos: ShortText | None = None
    source: ShortText | None = None
    similarity: WriteOnly = field(name="_similarity", default=None)  # cosine of a cross-lemma negative to the anchor


class Word(_Line, frozen=True, kw_only=True):
    """The target word of a bundle of schema 2.1."""

    lemma: ShortText
    pos: ShortText | None = None


class BundleItem(_Line, frozen=True, kw_only=True):
    """One text of a bundle of schema 2.1: anchor, positive or negative."""

    role: Literal["anchor", "positive", "negative", "hard_negative"]
    sense_id: ShortText
    context: str
    target_span: Span = None
    item_id: Id | None = None


class Bundle21(_Line, frozen=True, kw_only=True):
    """A bundle of schema 2.1; read only."""

    bundle_id: Id
    word: Word
    items: tuple[BundleItem, ...]


class Groups(Struct, frozen=True):
    """Grouped negatives: of the anchor's lemma, and of other lemmas."""

    within_lemma: tuple[Usage, ...] = ()
    cross_lemma: tuple[Usage, ...] = ()


class Metadata(_Line, frozen=True, kw_only=True):
    """Metadata of a contrastive bundle. ``passes`` (of the adversarial mining) or ``adversarial`` marks a mined one.

    ``tier`` is written as null in editions without tiers; ``source`` is synthetic if anchor or positive is.
    """

    edition: WriteOnly = None
    tier: Tier | UnsetType | None = UNSET
    danger: WriteOnly = None
    source: WriteOnly = None
    passes: int | None = None
    adversarial: bool | None = None


class Contrastive(_Line, frozen=True, kw_only=True):
    """A contrastive bundle, its negatives grouped or listed."""

    id: Id | None = None
    bundle_id: Id | None = None
    lemma: ShortText | None = None
    anchor: Usage | None = None
    positive: Usage | None = None
    negatives: Groups | tuple[Usage, ...] | None = None
    metadata: Metadata | None = None


class RetrievalQuery(Usage, frozen=True, kw_only=True):
    """The query of a retrieval item; a ``cue_strength`` that is no number is not read."""

    cue_strength: Any = None


class RetrievalCandidate(Usage, frozen=True, kw_only=True):
    """A candidate of a retrieval item."""

    passage_id: Id | None = None
    is_correct_sense: bool | None = None


class Retrieval(_Line, frozen=True, kw_only=True):
    """A retrieval item."""

    eval_id: Id
    eval_type: WriteOnly = None
    lemma: ShortText | None = None
    query: RetrievalQuery
    candidates: tuple[RetrievalCandidate, ...]
    correct_passage_ids: tuple[Id, ...] | None = None
    num_correct: WriteOnly = None
    num_distractors: WriteOnly = None
    difficulty_tier: WriteOnly = None
    scoring: WriteOnly = None


class Step(_Line, frozen=True, kw_only=True):
    """A step of a coherence item."""

    step_num: WriteOnly = None
    context: str
    span: Span = None
    expected_sense: ShortText
    sense_gloss: str
    instruction: WriteOnly = None


class Coherence(_Line, frozen=True, kw_only=True):
    """A coherence item."""

    eval_id: Id
    eval_type: WriteOnly = None
    lemma: ShortText | None = None
    num_steps: WriteOnly = None
    num_sense_shifts: WriteOnly = None
    steps: tuple[Step, ...]
    scoring: WriteOnly = None


class Attention(_Line, frozen=True, kw_only=True):
    """An attention probe."""

    eval_id: Id
    lemma: ShortText | None = None
    query: str
    target_sense_id: ShortText | None = None
    cue_tokens: tuple[ShortText, ...]
    cue_tier: WriteOnly = None
    span: Span = None
    source: WriteOnly = None


class KillerLine(_Line, frozen=True, kw_only=True):
    """A killer of the retrieval items."""

    type: Literal["retrieval"] | UnsetType = UNSET
    eval_id: Id
    lemma: WriteOnly = None
    best_correct_rank: Annotated[int, Meta(ge=1, le=1_000_000)]
    margin: float
    reason_code: ReasonCode
    wrong_sense_id: ShortText | None = None
    severity: float | None = None
    tier4: WriteOnly = field(name="_tier4", default=None)


class RejectedLine(_Line, frozen=True, kw_only=True):
    """A synthetic context that is in no edition, and why; written only."""

    lemma: str
    sense_id: str
    text: str
    span: SpanObject
    original: str
    reason: str
    similarity: float
    gap: float


Schema: TypeAlias = Bundle21 | Contrastive | Retrieval | Coherence | Attention | KillerLine

SCHEMAS: dict[Format, type[Schema]] = {
    "bundle 2.1": Bundle21,
    "contrastive, grouped negatives": Contrastive,
    "contrastive, listed negatives": Contrastive,
    "retrieval": Retrieval,
    "coherence": Coherence,
    "attention": Attention,
    "killer": KillerLine,
}


def detect_format(record: dict[str, Any]) -> Format | None:
    """The format of a decoded line, by the fields that only this format has."""
    if "items" in record and ("word" in record or "schema_version" in record):
        return "bundle 2.1" if record.get("schema_version", "2.1") == "2.1" else None
    if "anchor" in record and not ("candidates" in record or "steps" in record):
        listed = isinstance(record["negatives"], list) if "negatives" in record else "bundle_id" in record
        return "contrastive, listed negatives" if listed else "contrastive, grouped negatives"
    if "candidates" in record and "query" in record:
        return "retrieval"
    by_field: dict[str, Format] = {"steps": "coherence", "cue_tokens": "attention", "reason_code": "killer"}
    return next((known for name, known in by_field.items() if name in record), None)
