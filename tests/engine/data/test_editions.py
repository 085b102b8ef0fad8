"""The editions of a small build over the real WordNet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs

from engine.contract.experiment import TIERS
from engine.data.bundles.bundles import mine_adversarial
from engine.data.bundles.danger import sibling_dangers
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.dataset_files import load, read_manifest
from engine.data.editions import _with_near
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import Lexicon, normalised, sense_id_of, synset_of, usage_event
from tests.engine.data.conftest import SMALL, bag_of_words

EDITIONS = ("v2.2", "v2.3", "enriched")


@pytest.fixture(scope="module")
def bundles(built: Path) -> dict[str, tuple[Bundle, ...]]:
    return {edition: load(built, edition).train for edition in EDITIONS}


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_bundle_never_shows_one_text_in_two_roles(bundles: dict[str, tuple[Bundle, ...]], edition: str) -> None:
    for bundle in bundles[edition]:
        forms = [normalised(event.text) for event in bundle.events]
        assert len(set(forms)) == len(forms), bundle.bundle_id
        assert bundle.siblings or bundle.cross_lemma


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_positive_shares_the_sense_and_no_negative_does(
    bundles: dict[str, tuple[Bundle, ...]], edition: str
) -> None:
    for bundle in bundles[edition]:
        assert bundle.positive.sense_id == bundle.anchor.sense_id
        assert all(event.sense_id != bundle.anchor.sense_id for event in bundle.siblings)
        assert all(event.lemma == bundle.anchor.lemma for event in bundle.siblings)
        assert all(event.lemma != bundle.anchor.lemma for event in bundle.cross_lemma)
        assert all(synset_of(event) != synset_of(bundle.anchor) for event in bundle.cross_lemma)


@pytest.mark.parametrize("edition", EDITIONS)
def test_spans_lie_in_their_texts_and_only_glosses_have_none(
    bundles: dict[str, tuple[Bundle, ...]], edition: str
) -> None:
    for event in (event for bundle in bundles[edition] for event in bundle.events):
        if event.source == "gloss":
            assert event.start == event.end == 0
        else:
            assert 0 <= event.start < event.end <= len(event.text)


@pytest.mark.parametrize("edition", EDITIONS)
def test_danger_follows_from_the_embeddings(bundles: dict[str, tuple[Bundle, ...]], edition: str) -> None:
    for bundle in bundles[edition][::5]:
        anchor, positive, *negatives = bag_of_words([encoder_text_of(event) for event in bundle.events])
        expected = max(float(anchor @ negative) for negative in negatives) - float(anchor @ positive)
        assert bundle.danger == pytest.approx(expected, abs=2e-5)


def compared_danger(bundle: Bundle) -> float:
    """Greatest similarity that the training loss sees of a negative, less that of the positive, one pair at a time."""
    events = (bundle.anchor, bundle.positive, *bundle.siblings)
    anchor, positive, *siblings = bag_of_words([encoder_text_of(event) for event in events])
    seen = [
        float(query @ vector)
        for query, target in ((anchor, bundle.positive), (positive, bundle.anchor))
        for vector, event in zip(siblings, bundle.siblings, strict=True)
        if (event.source == "gloss") == (target.source == "gloss")
    ]
    return max(seen) - float(anchor @ positive)


def test_a_sense_with_three_examples_is_an_anchor_twice_in_v23(
    bundles: dict[str, tuple[Bundle, ...]], lexicon: Lexicon
) -> None:
    core = [bundle for bundle in bundles["v2.3"] if not bundle.adversarial]
    anchors = Counter(bundle.anchor.sense_id for bundle in core)
    assert len({bundle.anchor.event_id for bundle in core}) == len(core)
    examples = {sense.sense_id: len(sense.examples) for senses in lexicon.values() for sense in senses}
    assert {examples[sense] > 2 for sense, count in anchors.items() if count == 2} == {True}
    assert max(anchors.values()) == 2


def test_ids_are_unique(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    ids = [bundle.bundle_id for edition in ("v2.2", "enriched") for bundle in bundles[edition]]
    assert len(set(ids)) == len(ids)


def test_the_baseline_has_no_tiers_and_no_cross_lemma_negatives(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    assert all(bundle.tier is None and not bundle.cross_lemma for bundle in bundles["v2.2"])


def test_v23_keeps_its_three_rules_without_exception(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    for bundle in bundles["v2.3"]:
        assert normalised(bundle.positive.text) != normalised(bundle.anchor.text)
        assert bundle.siblings
        assert all(event.pos == bundle.anchor.pos for event in bundle.siblings)
        assert bundle.cross_lemma
        assert len(bundle.similarities) == len(bundle.cross_lemma)


def test_no_sentence_of_another_lemma_is_nearer_than_the_first_negative(
    bundles: dict[str, tuple[Bundle, ...]],
) -> None:
    core = [bundle for bundle in bundles["v2.3"] if not bundle.adversarial]
    pool: dict[str, UsageEvent] = {
        event.event_id: event
        for bundle in core
        for event in (bundle.anchor, bundle.positive, *bundle.siblings)
        if event.source == "example"
    }
    vectors = dict(zip(pool, bag_of_words([event.text for event in pool.values()]), strict=True))
    for bundle in core:
        shown = {normalised(event.text) for event in (bundle.anchor, bundle.positive, *bundle.siblings)}
        nearest = max(
            float(vectors[bundle.anchor.event_id] @ vectors[other.event_id])
            for other in pool.values()
            if other.lemma != bundle.anchor.lemma
            and synset_of(other) != synset_of(bundle.anchor)
            and normalised(other.text) not in shown
        )
        assert bundle.similarities[0] == pytest.approx(nearest, abs=2e-5)
        assert list(bundle.similarities) == sorted(bundle.similarities, reverse=True)


def test_v23_has_the_tiers_of_its_danger_and_adversarial_bundles_on_top(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    mined = [bundle for bundle in bundles["v2.3"] if bundle.adversarial]
    rest = [bundle for bundle in bundles["v2.3"] if not bundle.adversarial]
    counts = Counter(bundle.tier for bundle in rest)
    assert [counts[tier] for tier in TIERS] == [
        round(0.85 * len(rest)),
        round(0.97 * len(rest)) - round(0.85 * len(rest)),
        len(rest) - round(0.97 * len(rest)),
    ]
    easiest = {tier: min(compared_danger(bundle) for bundle in rest if bundle.tier == tier) for tier in TIERS}
    assert easiest[TIERS[0]] <= easiest[TIERS[1]] <= easiest[TIERS[2]]
    hardest = {tier: max(compared_danger(bundle) for bundle in rest if bundle.tier == tier) for tier in TIERS}
    assert hardest[TIERS[0]] <= easiest[TIERS[1]] + 2e-5 and hardest[TIERS[1]] <= easiest[TIERS[2]] + 2e-5
    assert len(mined) == SMALL.adversarial_bundles
    assert all(bundle.tier == TIERS[2] for bundle in mined)
    ranked = sorted(compared_danger(bundle) for bundle in rest)
    assert all(compared_danger(bundle) >= ranked[round(0.8 * len(ranked))] - 2e-5 for bundle in mined)


def test_an_adversarial_bundle_has_other_negatives_without_the_hardest(
    bundles: dict[str, tuple[Bundle, ...]],
) -> None:
    by_anchor = {bundle.anchor.event_id: bundle for bundle in bundles["v2.3"] if not bundle.adversarial}
    for bundle in bundles["v2.3"]:
        if bundle.adversarial:
            origin = by_anchor[bundle.anchor.event_id]
            alone = [structs.replace(origin, siblings=(event,)) for event in origin.siblings]
            comparable = [
                one for one in alone if (one.siblings[0].source == "gloss") == (one.positive.source == "gloss")
            ]
            comparable += [one for one in alone if one.siblings[0].source != "gloss" and one not in comparable]
            hardest = max(comparable, key=lambda one: round(compared_danger(one), 5)).siblings[0]
            assert hardest not in bundle.siblings and set(bundle.siblings) < set(origin.siblings)


def test_an_anchor_with_one_dangerous_negative_is_not_adversarial(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    several = (b for b in bundles["v2.3"] if not b.adversarial and len(b.siblings) > 1)
    bundle = next(b for b in several if all(event.source == "example" for event in b.siblings))
    texts = EmbeddedTexts(bag_of_words)
    texts.add(encoder_text_of(event) for event in bundle.events)
    first, second = sorted((float(row) for row in sibling_dangers([bundle], texts)[0]), reverse=True)[:2]
    assert first > second
    assert mine_adversarial("v2.3", [bundle], [bundle.cross_lemma], texts, (first + second) / 2, 5) == ()
    assert len(mine_adversarial("v2.3", [bundle], [bundle.cross_lemma], texts, -2.0, 5)) == 1


def test_an_adversarial_bundle_never_goes_without_a_sibling(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    bundle = next(b for b in bundles["v2.3"] if not b.adversarial and len(b.cross_lemma) > 1)
    texts = EmbeddedTexts(bag_of_words)
    texts.add(encoder_text_of(event) for event in bundle.events)
    alone = structs.replace(bundle, siblings=bundle.siblings[:1], cross_lemma=())
    assert mine_adversarial("v2.3", [alone], [bundle.cross_lemma], texts, -2.0, 5) == ()


def test_a_negative_of_another_lemma_never_has_a_text_of_its_bundle() -> None:
    def event(lemma: str, sense: str, text: str) -> UsageEvent:
        return usage_event(lemma, "n", sense_id_of(lemma, "n", f"{sense}.n.01"), text, (0, 4), "example")

    draft = Draft(
        event("bank", "shore", "bank of the river"),
        event("bank", "shore", "a steep bank"),
        (event("bank", "firm", "a bank"),),
    )
    same = event("river", "stream", "A steep bank!")
    other = event("river", "stream", "the river rose")
    texts = EmbeddedTexts(bag_of_words)
    texts.add(one.text for one in (*draft.events, same, other))
    excluded: Counter[str] = Counter()
    assert _with_near([draft], [same, other], texts, excluded) == ([draft], [(other,)])
    assert _with_near([draft], [same], texts, excluded) == ([], [])
    assert excluded.total() == 1


def test_enriched_is_v23_and_more_than_as_many_bundles_again(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    assert bundles["enriched"][: len(bundles["v2.3"])] == bundles["v2.3"]
    assert len(bundles["enriched"]) > 2 * len(bundles["v2.3"])


def test_enrichment_is_for_senses_with_one_example_or_none(
    bundles: dict[str, tuple[Bundle, ...]], lexicon: Lexicon
) -> None:
    examples = {sense.sense_id: len(sense.examples) for senses in lexicon.values() for sense in senses}
    synthetic = [e for bundle in bundles["enriched"] for e in bundle.events if e.source == "synthetic"]
    assert len(synthetic) > 50
    assert all(examples[event.sense_id] <= 1 for event in synthetic)


def test_tiers_of_the_enriched_edition_are_on_the_scale_of_v23(
    bundles: dict[str, tuple[Bundle, ...]], built: Path
) -> None:
    cuts = read_manifest(built).tier_cuts
    for bundle in bundles["enriched"][len(bundles["v2.3"]) :]:
        danger = compared_danger(bundle)
        if all(abs(danger - cut) > 2e-5 for cut in cuts):
            assert bundle.tier == (TIERS[2] if danger > cuts[1] else TIERS[1] if danger > cuts[0] else TIERS[0])


def test_all_editions_draw_on_the_same_lemmas(bundles: dict[str, tuple[Bundle, ...]]) -> None:
    lemmas = {edition: {bundle.anchor.lemma for bundle in bundles[edition]} for edition in EDITIONS}
    assert lemmas["v2.3"] <= lemmas["v2.2"]
    assert lemmas["v2.2"] - lemmas["enriched"] <= lemmas["v2.2"] - lemmas["v2.3"]
    assert len(lemmas["v2.2"] | lemmas["enriched"]) <= (SMALL.train_lemmas or 0)
