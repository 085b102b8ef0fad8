"""Development sets: ranked as the evaluation ranks its items, and the score that chooses a measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.contract.events import SetScores
from engine.data.records import DevelopmentSet
from engine.encoder.token_states import TokenStates
from engine.evaluation.ranking import TextVectors, rank_coherence, rank_retrieval
from engine.training import development
from engine.training.development import DevelopmentData, selection_score, selection_score_name
from tests.engine.samples import SENSE_TEXT, SenseTask, coherence_item, items_of, random_states, retrieval_item

TASK = SenseTask()


def data_of(sets: tuple[DevelopmentSet, ...], states: TokenStates = TASK.states) -> DevelopmentData:
    return DevelopmentData.from_records(TASK.dev if states is TASK.states else (), sets, states, SENSE_TEXT)


@pytest.mark.parametrize("chunk", [3, 128])
def test_items_are_ranked_as_the_evaluation_ranks_them(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(development, "CHUNK_ITEMS", chunk)
    retrieval, coherence = items_of(TASK.dev)
    table = F.normalize(torch.randn(len(TASK.states.inputs), 8, generator=torch.Generator().manual_seed(1)), dim=1)
    data = data_of((DevelopmentSet("mine", retrieval, coherence), DevelopmentSet("other", (), coherence[:3])))
    vectors = TextVectors(TASK.states.inputs, table, SENSE_TEXT)
    ranks = np.array([ranked.rank for ranked in rank_retrieval(retrieval, vectors)])
    steps = np.array([ranked.rank for ranked in rank_coherence(coherence, vectors)])
    assert data.set_scores(table[data.rows]) == (
        SetScores("mine", float(np.mean(ranks == 1)), float(np.mean(ranks <= 3)), float(np.mean(steps == 1))),
        SetScores("other", None, None, float(np.mean(steps[:6] == 1))),
    )
    assert 0 < float(np.mean(ranks == 1)) < 1


def test_a_wrong_candidate_of_the_same_text_wins_the_tie_and_not_a_number_loses() -> None:
    states = random_states(["q", "right", "far"])
    items = (retrieval_item("q", ["right", "far"], ["right"]), retrieval_item("q", ["far"], ["right"]))
    data = data_of((DevelopmentSet("mine", items),), states)
    embedding = torch.tensor(
        [
            [1.0, 0.0] if text == "q" else [0.8, 0.6] if text == "right" else [0.0, 1.0]
            for text in [states.inputs[row].text for row in data.rows]
        ]
    )
    (scores,) = data.set_scores(embedding)
    assert (scores.top1, scores.top3, scores.coherence) == (0.0, 1.0, None)
    (scores,) = data.set_scores(torch.full_like(embedding, float("nan")))
    assert scores.top1 == 0.0


def test_texts_are_embedded_once_and_the_bundles_keep_their_own() -> None:
    retrieval, coherence = items_of(TASK.dev)
    data = data_of((DevelopmentSet("mine", retrieval, coherence), DevelopmentSet("same", retrieval, coherence)))
    assert len(data.rows) == len(set(data.rows.tolist()))
    names = {TASK.states.inputs[row].text for row in data.rows[data.bundle_texts]}
    assert names == {event.text for one in TASK.dev for event in one.events}
    anchors = [TASK.states.inputs[row].text for row in data.rows[data.bundles.anchor]]
    assert anchors == [one.anchor.text for one in TASK.dev]


BOTH = SetScores("wordnet", 0.4, 0.8, 0.7)


@pytest.mark.parametrize(
    ("sets", "score", "name"),
    [
        ((), 0.3, "retrieval top-1 (bundles)"),
        ((SetScores("empty"),), 0.3, "retrieval top-1 (bundles)"),
        ((BOTH,), 0.525, "retrieval top-1 (bundles, wordnet) and coherence (wordnet)"),
        (
            (BOTH, SetScores("mine", None, None, 0.8), SetScores("empty")),
            0.55,
            "retrieval top-1 (bundles, wordnet) and coherence (wordnet, mine)",
        ),
        ((SetScores("mine", 0.45, 0.9),), 0.375, "retrieval top-1 (bundles, mine)"),
    ],
)
def test_the_score_is_the_mean_of_retrieval_and_coherence(sets: tuple[SetScores, ...], score: float, name: str) -> None:
    assert selection_score(0.3, sets) == pytest.approx(score)
    assert selection_score_name(sets) == name


def test_a_text_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        data_of((DevelopmentSet("mine", (), (coherence_item([("unknown", 0)], ("a", "b")),)),))
