"""The integrity gate of bundles: schema 2.1 and both contrastive shapes become bundles, or say why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.contract.experiment import TIERS, Tier
from engine.data.formats.reasons import Quarantined
from engine.data.formats.schemas import Bundle21, BundleItem, Contrastive, Groups, Id, Usage
from engine.data.formats.usages import Lexeme, Repairs, event_of, form_of, lexeme_of, told_by
from engine.data.records import Bundle, UsageEvent


def bundles_of_21(line: Bundle21, repairs: Repairs) -> tuple[Bundle, ...]:
    """A bundle for each positive, the first under the line's own id; a negative of another lemma is cross-lemma.

    Raises:
        Quarantined: it breaks a rule of bundles.
    """
    word = lexeme_of(line.word.lemma, None, line.word.pos)
    of_role: dict[str, list[BundleItem]] = {"anchor": [], "positive": [], "negative": []}
    for item in line.items:
        of_role["negative" if item.role == "hard_negative" else item.role].append(item)

    def event(item: BundleItem) -> UsageEvent:
        lemma = told_by(item.sense_id).lemma or word.lemma
        lexeme = word if lemma == word.lemma else Lexeme(lemma)
        where = item.role if item.item_id is None else f"{item.role} {item.item_id}"
        return event_of(item.context, item.target_span, item.sense_id, lexeme, repairs, where)

    if len(of_role["anchor"]) != 1:
        raise Quarantined("no_anchor", f"{len(of_role['anchor'])} anchors")
    anchor = event(of_role["anchor"][0])
    positives = [event(item) for item in of_role["positive"]]
    negatives = [event(item) for item in of_role["negative"]]
    siblings = [negative for negative in negatives if negative.lemma == anchor.lemma]
    others = [negative for negative in negatives if negative.lemma != anchor.lemma]
    return _bundles(str(line.bundle_id), anchor, positives, siblings, others, None, adversarial=False)


def bundles_of_contrastive(line: Contrastive, repairs: Repairs) -> tuple[Bundle, ...]:
    """The bundle of a line; where negatives are listed without saying of which kind, their lemma decides.

    Raises:
        Quarantined: it breaks a rule of bundles.
    """
    bundle_id = line.id if line.id is not None else line.bundle_id
    if bundle_id is None:
        raise Quarantined("no_id")
    if line.anchor is None:
        raise Quarantined("no_anchor", "0 anchors")
    word = lexeme_of(line.lemma or line.anchor.lemma, _sense(line.anchor), line.anchor.pos)
    anchor = _event(line.anchor, word, repairs, "anchor")
    positives = [_event(line.positive, word, repairs, "positive")] if line.positive is not None else []
    siblings: list[UsageEvent] = []
    others: list[UsageEvent] = []
    for number, (usage, within) in enumerate(_negatives(line.negatives, word), start=1):
        lexeme = word if within else lexeme_of(usage.lemma, _sense(usage), usage.pos)
        (siblings if within else others).append(_event(usage, lexeme, repairs, f"negative {number}"))
    metadata = line.metadata
    tier = metadata.tier if metadata else None
    said = metadata is not None and (metadata.adversarial or metadata.passes is not None)
    mined = said and tier == TIERS[2]
    return _bundles(str(bundle_id), anchor, positives, siblings, others, tier, adversarial=mined)


def _negatives(negatives: Groups | tuple[Usage, ...] | None, word: Lexeme) -> Iterator[tuple[Usage, bool]]:
    """Each negative, and whether it is of the bundle's own lemma."""
    if isinstance(negatives, Groups):
        yield from ((usage, True) for usage in negatives.within_lemma)
        yield from ((usage, False) for usage in negatives.cross_lemma)
        return
    for usage in negatives or ():
        if usage.source in ("within_lemma", "cross_lemma"):
            yield usage, usage.source == "within_lemma"
        else:
            sense = _sense(usage)
            lemma = usage.lemma or (told_by(sense).lemma if sense else None)
            yield usage, lemma is None or lexeme_of(lemma, None).lemma == word.lemma


def _event(usage: Usage, lexeme: Lexeme, repairs: Repairs, where: str) -> UsageEvent:
    return event_of(usage.text, usage.span, _sense(usage), lexeme, repairs, where, pos=usage.pos, source=usage.source)


def _sense(usage: Usage) -> str | None:
    return usage.sense_id or usage.sense


def _bundles(
    bundle_id: Id,
    anchor: UsageEvent,
    positives: Sequence[UsageEvent],
    siblings: Sequence[UsageEvent],
    others: Sequence[UsageEvent],
    tier: Tier | None,
    *,
    adversarial: bool,
) -> tuple[Bundle, ...]:
    """One bundle a positive; their danger is 0 until it is computed.

    Raises:
        Quarantined: see the reasons.
    """
    if not positives:
        raise Quarantined("no_positive")
    if wrong := next((event for event in positives if event.sense_id != anchor.sense_id), None):
        raise Quarantined("positive_sense", f"{wrong.sense_id} for {anchor.sense_id}")
    asked = form_of(anchor.text)
    answers = {form_of(event.text) for event in positives}
    if asked in answers:
        raise Quarantined("positive_is_anchor", anchor.text)
    if not siblings and not others:
        raise Quarantined("no_negative")
    for event in (*siblings, *others):
        if event.sense_id == anchor.sense_id:
            raise Quarantined("negative_sense", event.sense_id)
        form = form_of(event.text)
        if form == asked or form in answers:
            raise Quarantined("negative_is_answer", event.text)
    return tuple(
        Bundle(
            bundle_id=f"{bundle_id}/{number}" if number > 1 else str(bundle_id),
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
