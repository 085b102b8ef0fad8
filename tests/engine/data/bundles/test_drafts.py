from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.data.bundles.drafts import MAX_SIBLINGS, Draft, draft_v22, draft_v23, visible_senses
from engine.data.wordnet.usage_events import Lexicon, normalised


def texts_of(draft: Draft) -> list[str]:
    return [event.text for event in draft.events]


def check(draft: Draft) -> None:
    """What holds of every draft of every edition."""
    forms = [normalised(text) for text in texts_of(draft)]
    assert len(set(forms)) == len(forms), "one text in two roles"
    assert draft.anchor.source == "example"
    assert draft.positive.sense_id == draft.anchor.sense_id
    assert 1 <= len(draft.siblings) <= MAX_SIBLINGS
    assert any(event.source == "example" for event in draft.siblings)
    assert all(event.lemma == draft.anchor.lemma for event in draft.siblings)
    assert len({event.sense_id for event in (draft.anchor, *draft.siblings)}) == 1 + len(draft.siblings)


def test_drafts_of_both_editions_keep_their_rules(lexicon: Lexicon) -> None:
    crossed = 0
    for lemma in sorted(lexicon)[::11]:
        senses = visible_senses(lexicon[lemma], set())
        v22, v23 = list(draft_v22(senses)), list(draft_v23(senses))
        for draft in (*v22, *v23):
            check(draft)
        assert all(event.pos == draft.anchor.pos for draft in v23 for event in draft.siblings)
        first = {draft.anchor.sense_id: draft.anchor for draft in reversed(v23)}
        assert {anchor.event_id for anchor in first.values()} <= {draft.anchor.event_id for draft in v22}
        crossed += sum(event.pos != draft.anchor.pos for draft in v22 for event in draft.siblings)
    assert crossed > 0


def test_another_example_is_the_positive_before_the_gloss(lexicon: Lexicon) -> None:
    drafts = [draft for lemma in sorted(lexicon)[::11] for draft in draft_v23(visible_senses(lexicon[lemma], set()))]
    examples = {sense.sense_id: len(sense.examples) for senses in lexicon.values() for sense in senses}
    assert all((draft.positive.source == "example") == (examples[draft.anchor.sense_id] > 1) for draft in drafts)


@given(st.sampled_from(["line", "hold", "dry", "section", "dwell"]), st.data())
def test_a_held_out_text_is_in_no_draft(lexicon: Lexicon, lemma: str, data: st.DataObject) -> None:
    events = [event for sense in lexicon[lemma] for event in (sense.gloss, *sense.examples)]
    held_out = {normalised(event.text) for event in data.draw(st.lists(st.sampled_from(events), max_size=12))}
    for draft in draft_v22(visible_senses(lexicon[lemma], held_out)):
        check(draft)
        assert held_out.isdisjoint(normalised(text) for text in texts_of(draft))
