"""Reads bundles of schema 2.1 and of both contrastive formats; writes contrastive bundles with grouped negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.contract.experiment import ADVERSARIAL, Tier
from engine.data.formats.reasons import Quarantined, Reason
from engine.data.formats.schemas import Bundle21, BundleItem, Contrastive, Groups, Metadata, Usage
from engine.data.formats.usages import (
    Lexeme,
    LineReading,
    event_of,
    event_of_usage,
    lexeme_of,
    parse_sense_id,
    sense_of,
    usage_fields,
    usage_of,
)
from engine.data.records import Bundle, Source, UsageEvent
from engine.data.wordnet.usage_events import text_key


def bundles_of_21(line: Bundle21, reading: LineReading) -> tuple[Bundle, ...]:
    """One bundle for each positive, the first under the line's own id; a negative of another lemma is cross-lemma.

    Raises:
        Quarantined: the line breaks a rule of bundles.
    """
    word = lexeme_of(line.word.lemma, None, line.word.pos)
    by_role: dict[str, list[BundleItem]] = {"anchor": [], "positive": [], "negative": []}
    for item in line.items:
        by_role["negative" if item.role == "hard_negative" else item.role].append(item)

    def event(item: BundleItem) -> UsageEvent:
        lemma = parse_sense_id(item.sense_id).lemma or word.lemma
        lexeme = word if lemma == word.lemma else Lexeme(lemma)
        where = item.role if item.item_id is None else f"{item.role} {item.item_id}"
        return event_of(item.context, item.target_span, item.sense_id, lexeme, reading, where)

    if len(by_role["anchor"]) != 1:
        raise Quarantined(Reason.NO_ANCHOR, f"{len(by_role['anchor'])} anchors")
    anchor = event(by_role["anchor"][0])
    positives = [event(item) for item in by_role["positive"]]
    negatives = [event(item) for item in by_role["negative"]]
    siblings = [negative for negative in negatives if negative.lemma == anchor.lemma]
    others = [negative for negative in negatives if negative.lemma != anchor.lemma]
    return _bundles(str(line.bundle_id), anchor, positives, siblings, others, None, adversarial=False)


def bundles_of_contrastive(line: Contrastive, reading: LineReading) -> tuple[Bundle, ...]:
    """The bundle of a line; listed negatives that do not state their kind are classified by their lemma.

    Raises:
        Quarantined: the line breaks a rule of bundles.
    """
    bundle_id = line.id if line.id is not None else line.bundle_id
    if bundle_id is None:
        raise Quarantined(Reason.NO_ID)
    if line.anchor is None:
        raise Quarantined(Reason.NO_ANCHOR, "0 anchors")
    word = lexeme_of(line.lemma or line.anchor.lemma, sense_of(line.anchor), line.anchor.pos)
    anchor = event_of_usage(line.anchor, word, reading, "anchor")
    positives = [event_of_usage(line.positive, word, reading, "positive")] if line.positive is not None else []
    siblings: list[UsageEvent] = []
    others: list[UsageEvent] = []
    for number, (usage, within) in enumerate(_negatives(line.negatives, word), start=1):
        lexeme = word if within else lexeme_of(usage.lemma, sense_of(usage), usage.pos)
        (siblings if within else others).append(event_of_usage(usage, lexeme, reading, f"negative {number}"))
    metadata = line.metadata
    tier = (metadata.tier or None) if metadata else None
    marked_adversarial = metadata is not None and (metadata.adversarial or metadata.passes is not None)
    # adversarial mining gives tier 3 only, so the mark is ignored on other tiers
    mined = marked_adversarial and tier == ADVERSARIAL
    return _bundles(str(bundle_id), anchor, positives, siblings, others, tier, adversarial=mined)


def _negatives(negatives: Groups | tuple[Usage, ...] | None, word: Lexeme) -> Iterator[tuple[Usage, bool]]:
    """Each negative, and whether it is of the bundle's lemma."""
    if isinstance(negatives, Groups):
        yield from ((usage, True) for usage in negatives.within_lemma)
        yield from ((usage, False) for usage in negatives.cross_lemma)
        return
    for usage in negatives or ():
        if usage.source in ("within_lemma", "cross_lemma"):
            yield usage, usage.source == "within_lemma"
        else:
            sense = sense_of(usage)
            lemma = usage.lemma or (parse_sense_id(sense).lemma if sense else None)
            yield usage, lemma is None or lexeme_of(lemma, None).lemma == word.lemma


def _bundles(
    bundle_id: str,
    anchor: UsageEvent,
    positives: Sequence[UsageEvent],
    siblings: Sequence[UsageEvent],
    others: Sequence[UsageEvent],
    tier: Tier | None,
    *,
    adversarial: bool,
) -> tuple[Bundle, ...]:
    """One bundle for each positive; danger is 0 until it is computed.

    Raises:
        Quarantined: the events break a rule of bundles.
    """
    if not positives:
        raise Quarantined(Reason.NO_POSITIVE)
    if wrong := next((event for event in positives if event.sense_id != anchor.sense_id), None):
        raise Quarantined(Reason.POSITIVE_SENSE, f"{wrong.sense_id} for {anchor.sense_id}")
    anchor_key = text_key(anchor.text)
    positive_keys = {text_key(event.text) for event in positives}
    if anchor_key in positive_keys:
        raise Quarantined(Reason.POSITIVE_IS_ANCHOR, anchor.text)
    if not siblings and not others:
        raise Quarantined(Reason.NO_NEGATIVE)
    for event in (*siblings, *others):
        if event.sense_id == anchor.sense_id:
            raise Quarantined(Reason.NEGATIVE_SENSE, event.sense_id)
        if text_key(event.text) in {anchor_key, *positive_keys}:
            raise Quarantined(Reason.NEGATIVE_IS_ANSWER, event.text)
    return tuple(
        Bundle(
            bundle_id=f"{bundle_id}/{number}" if number > 1 else bundle_id,
            anchor=anchor,
            positive=positive,
            siblings=tuple(siblings),
            cross_lemma=tuple(others),
            danger=0.0,
            tier=tier,
            adversarial=adversarial,
        )
        for number, positive in enumerate(positives, start=1)
    )


def bundle_line(bundle: Bundle, edition: str) -> Contrastive:
    """The line of a built bundle of ``edition``."""
    near = zip(bundle.cross_lemma, bundle.similarities, strict=True)
    sources = (bundle.anchor.source, bundle.positive.source)
    source: Source = "synthetic" if "synthetic" in sources else bundle.positive.source
    return Contrastive(
        id=bundle.bundle_id,
        lemma=bundle.anchor.lemma,
        anchor=usage_of(bundle.anchor),
        positive=usage_of(bundle.positive),
        negatives=Groups(
            within_lemma=tuple(map(usage_of, bundle.siblings)),
            cross_lemma=tuple(Usage(**usage_fields(event), similarity=similarity) for event, similarity in near),
        ),
        metadata=Metadata(
            edition=edition, tier=bundle.tier, danger=bundle.danger, source=source, adversarial=bundle.adversarial
        ),
    )
