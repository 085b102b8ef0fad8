"""Evaluation texts are held out of training, excluded from users' bundles, and found by the check of a build."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.data.dataset_files import load, load_confirm
from engine.data.leakage import HeldOut, Leakage, check_leakage, exclude, glosses_of
from engine.data.records import Bundle, Dataset, FrozenEvaluation, UsageEvent
from engine.data.wordnet.usage_events import Lexicon, Sense, normalised, usage_event

WORDS = st.lists(st.sampled_from(["river", "money", "steep", "robbed", "the", "bank"]), min_size=5, max_size=9)
LONG = "they went down to the bank of the river and sat there"


def sense(lemma: str, gloss: str, *examples: str) -> Sense:
    made = tuple(usage_event(lemma, "n", f"{lemma}.1", text, (0, 4), "example") for text in examples)
    return Sense(
        f"{lemma}.1", lemma, "n", f"{lemma}.n.01", usage_event(lemma, "n", lemma, gloss, (0, 0), "gloss"), made
    )


@given(st.lists(WORDS, max_size=6))
def test_held_out_texts_match_in_any_spelling(texts: list[list[str]]) -> None:
    held_out = HeldOut(" ".join(words) for words in texts)
    assert all(normalised("-".join(words).upper()) in held_out for words in texts)
    assert "elsewhere" not in held_out


def test_a_near_copy_is_held_out_once_it_was_found() -> None:
    held_out = HeldOut([LONG])
    copy = f"And {LONG} a while"
    assert normalised(copy) not in held_out
    assert held_out.add_near_copies([copy, "something else entirely"]) == {copy}
    assert normalised(copy) in held_out
    assert normalised(copy) in held_out.near_copies
    assert normalised("something else entirely") not in held_out


def test_added_texts_are_held_out_without_their_near_copies() -> None:
    held_out = HeldOut([])
    held_out.add([LONG])
    assert normalised(LONG) in held_out
    assert held_out.add_near_copies([f"And {LONG}"]) == set()


def test_lemmas_that_lost_a_text_are_returned() -> None:
    lexicon: Lexicon = {
        "bank": (sense("bank", "sloping land", f"And {LONG} a while"),),
        "shore": (sense("shore", LONG.replace("they", "we") + " too"),),
        "sky": (sense("sky", "the air above", "the sky was grey"),),
    }
    held_out = HeldOut([LONG])
    assert held_out.lemmas_with_near_copies(lexicon, ["bank", "shore", "sky"]) == {"bank", "shore"}
    assert held_out.lemmas_with_near_copies(lexicon, ["bank", "shore", "sky"]) == set()


EVALUATED = "The committee postponed its decision until the auditors had read every ledger"


def bundle(name: str, text: str) -> Bundle:
    """``text`` is its sibling; its other texts are its own."""
    anchor, positive, sibling = (
        usage_event(name, "n", f"sense {number}", content, (0, 0), "gloss")
        for number, content in ((1, f"anchor of {name}"), (1, f"its positive, {name}"), (2, text))
    )
    return Bundle(name, anchor, positive, (sibling,), (), 0.0, None)


@pytest.mark.parametrize(
    ("text", "held", "reason"),
    [
        (EVALUATED.upper(), EVALUATED, "training bundle with a text of the evaluation"),
        (EVALUATED + " twice", EVALUATED, "training bundle with a near-copy of the evaluation"),
        ("?!", "?!", "training bundle with a text of the evaluation"),
    ],
)
def test_a_text_of_the_evaluation_leaves_its_bundle_out(text: str, held: str, reason: str) -> None:
    left, kept = bundle("one", text), bundle("two", "Quite another thing altogether")
    cleaned = exclude((left, kept), (), {held})
    assert cleaned.train == (kept,) and cleaned.counts == {reason: 1}


@pytest.fixture(scope="module")
def data(built: Path) -> Dataset:
    return load(built, "v2.3")


def check(data: Dataset, train: tuple[Bundle, ...]) -> int:
    return check_leakage(train, data.dev, frozen(data), {})


def frozen(data: Dataset) -> FrozenEvaluation:
    return FrozenEvaluation(data.retrieval, data.coherence, data.probes)


def evaluation_texts(data: Dataset) -> list[str]:
    queries = [item.query.text for item in data.retrieval]
    candidates = [c.event.text for item in data.retrieval for c in item.candidates]
    steps = [step.event.text for item in data.coherence for step in item.steps]
    glosses = [gloss for item in data.coherence for gloss in item.glosses]
    return [*queries, *candidates, *steps, *glosses, *(probe.event.text for probe in data.probes)]


def replace_text(bundle: Bundle, role: str, text: str) -> Bundle:
    """The bundle with another text, under another id, in one of its roles."""

    def changed(event: UsageEvent) -> UsageEvent:
        return structs.replace(event, text=text, event_id="planted")

    held = getattr(bundle, role)
    return structs.replace(bundle, **{role: (changed(held[0]),) if isinstance(held, tuple) else changed(held)})


def test_a_clean_build_passes_and_counts_the_texts_compared(data: Dataset) -> None:
    assert check(data, data.train) > 100


@given(
    st.data(),
    st.sampled_from(["anchor", "positive", "siblings", "cross_lemma"]),
    st.sampled_from([str.upper, str.title, lambda text: f"“{text}!”", lambda text: text.replace(" ", "  ")]),
)
def test_an_evaluation_text_anywhere_in_training_is_found(
    data: Dataset, draw: st.DataObject, role: str, disguise: object
) -> None:
    assert callable(disguise)
    text = draw.draw(st.sampled_from(evaluation_texts(data)))
    place = draw.draw(st.integers(0, len(data.train) - 1))
    train = list(data.train)
    train[place] = replace_text(train[place], role, disguise(text))
    with pytest.raises(Leakage, match="training text is an evaluation text"):
        check(data, tuple(train))


@given(st.data(), st.sampled_from(["Yesterday, {}", "{} as they say", "{} {}"]))
def test_a_near_copy_of_an_evaluation_text_is_found(data: Dataset, draw: st.DataObject, around: str) -> None:
    long = [text for text in evaluation_texts(data) if len(normalised(text)) >= 24]
    text = draw.draw(st.sampled_from(long))
    place = draw.draw(st.integers(0, len(data.train) - 1))
    train = list(data.train)
    train[place] = replace_text(train[place], "anchor", around.format(text, "and so on"))
    with pytest.raises(Leakage, match="nearly copy"):
        check(data, tuple(train))


def test_a_near_copy_among_the_development_texts_is_found(data: Dataset) -> None:
    text = max(evaluation_texts(data), key=len)
    dev = (replace_text(data.dev[0], "positive", f"Yes: {text}"), *data.dev[1:])
    with pytest.raises(Leakage, match="nearly copy"):
        check_leakage(data.train, dev, frozen(data), {})


def test_the_confirm_split_is_kept_out_of_training_like_the_evaluation(data: Dataset, built: Path) -> None:
    confirm = load_confirm(built, "v2.3").evaluation
    assert check_leakage(data.train, data.dev, frozen(data), {}, confirm) > 100
    planted = replace_text(data.train[0], "anchor", confirm.retrieval[0].query.text)
    with pytest.raises(Leakage, match="training text is an evaluation text"):
        check_leakage((planted, *data.train[1:]), data.dev, frozen(data), {}, confirm)
    with pytest.raises(Leakage, match="confirm lemma is an evaluation lemma"):
        check_leakage(data.train, data.dev, frozen(data), {}, frozen(data))


def test_glosses_and_development_items_are_checked_as_raw_text(data: Dataset) -> None:
    train_gloss = next(gloss for gloss in data.glosses if gloss.lemma == data.train[0].anchor.lemma)
    dev_gloss = next(gloss for gloss in data.glosses if gloss.lemma == data.dev[0].anchor.lemma)

    def planted(gloss: UsageEvent, text: str) -> None:
        glosses = (*data.glosses, structs.replace(gloss, text=text))
        check_leakage(data.train, data.dev, frozen(data), {}, glosses=glosses, dev_items=data.dev_items)

    planted(train_gloss, "quite another definition")
    held_out = data.coherence[0].glosses[0]
    for gloss, text, message in (
        (train_gloss, held_out.upper(), "training text is an evaluation text"),
        (dev_gloss, held_out, "development text is an evaluation text"),
        (train_gloss, dev_gloss.text, "training text is a development text"),
        (train_gloss, data.dev_items.coherence[0].steps[0].event.text, "training text is a development text"),
        (structs.replace(dev_gloss, lemma=data.retrieval[0].lemma), "new words", "lemma is an evaluation lemma"),
    ):
        with pytest.raises(Leakage, match=message):
            planted(gloss, text)


def test_users_bundles_give_glosses_that_share_no_text_between_training_and_development() -> None:
    left, right = bundle("one", "Shared words"), bundle("two", "shared, words!")
    texts = [(event.lemma, event.text) for event in glosses_of((left, left), (right,))]
    assert ("one", "Shared words") not in texts and ("two", "shared, words!") in texts
    assert len(texts) == len(set(texts)) == 5


def test_glosses_and_development_items_with_a_text_of_the_evaluation_are_left_out(data: Dataset) -> None:
    item, gloss = data.dev_items.coherence[0], data.glosses[0]
    cleaned = exclude((), (), {item.glosses[0].upper(), gloss.text}, data.glosses, data.dev_items)
    assert item not in cleaned.dev_items.coherence and gloss not in cleaned.glosses
    assert cleaned.dev_items.retrieval == data.dev_items.retrieval and len(cleaned.glosses) > 100
    assert cleaned.counts["development coherence item with a text of the evaluation"] >= 1


def test_a_synthetic_text_made_from_an_evaluation_text_is_found(data: Dataset) -> None:
    near_copy = structs.replace(data.train[0].positive, source="synthetic", event_id="near copy", text="new words")
    train = (structs.replace(data.train[0], positive=near_copy),)
    with pytest.raises(Leakage, match="training text is an evaluation text"):
        check_leakage(train, data.dev, frozen(data), {"near copy": data.retrieval[0].query.text})


def test_a_held_out_lemma_is_found_even_in_new_words(data: Dataset) -> None:
    held_out_lemma = structs.replace(
        data.train[0].cross_lemma[0], lemma=data.retrieval[0].lemma, text="new", event_id="new"
    )
    with pytest.raises(Leakage, match="training lemma is an evaluation lemma"):
        check(data, (structs.replace(data.train[0], cross_lemma=(held_out_lemma,)),))


def test_development_data_share_nothing_with_training_either(data: Dataset) -> None:
    with pytest.raises(Leakage, match="development"):
        check(data, (*data.train, data.dev[0]))
