from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.data.build import load
from engine.data.leakage.check import Leakage, check_leakage
from engine.data.leakage.held_out import FrozenEvaluation
from engine.data.records import Bundle, Dataset, UsageEvent
from engine.data.wordnet.usage_events import normalised


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


def test_a_clean_build_passes_and_says_how_much_it_compared(data: Dataset) -> None:
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


def test_a_synthetic_text_made_from_an_evaluation_text_is_found(data: Dataset) -> None:
    near_copy = structs.replace(data.train[0].positive, source="synthetic", event_id="near copy", text="new words")
    train = (structs.replace(data.train[0], positive=near_copy),)
    with pytest.raises(Leakage, match="training text is an evaluation text"):
        check_leakage(train, data.dev, frozen(data), {"near copy": data.retrieval[0].query.text})


def test_a_held_out_lemma_is_found_even_in_new_words(data: Dataset) -> None:
    stranger = structs.replace(data.train[0].cross_lemma[0], lemma=data.retrieval[0].lemma, text="new", event_id="new")
    with pytest.raises(Leakage, match="training lemma is an evaluation lemma"):
        check(data, (structs.replace(data.train[0], cross_lemma=(stranger,)),))


def test_development_data_share_nothing_with_training_either(data: Dataset) -> None:
    with pytest.raises(Leakage, match="development"):
        check(data, (*data.train, data.dev[0]))
