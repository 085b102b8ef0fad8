"""Samples for tests: small token states, events, bundles and items, random where content does not matter, repeatable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from engine.contract.experiment import Curriculum, DataSlice, EncoderSettings, Gates, ModelSettings, Tier, Training
from engine.contract.items import ItemRow
from engine.contract.settings import Settings
from engine.data.bundles.encoder_text import gloss_encoder_text
from engine.data.records import (
    Bundle,
    Candidate,
    CoherenceItem,
    CoherenceStep,
    Dataset,
    DevelopmentSet,
    Pos,
    RetrievalItem,
    UsageEvent,
)
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import TokenStates
from engine.model.embedding import mean_pool_of

torch.set_num_threads(1)  # as the commands do

MODEL = ModelSettings(embedding_size=16, dropout=0.2)
SENSE_TEXT = MODEL.sense_text
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def ragged_lengths(count: int, seed: int, most: int = 9) -> list[int]:
    return torch.randint(1, most + 1, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def inputs_of(texts: Iterable[str | EncoderInput]) -> tuple[EncoderInput, ...]:
    """What the encoder reads for ``event(text)`` of each text; ``bank: ...`` is the gloss of a sense."""
    return tuple(
        one if isinstance(one, EncoderInput) else EncoderInput(one, 0, min(4, len(one)), one.startswith("bank: "))
        for one in texts
    )


def random_states(
    texts: Iterable[str | EncoderInput], width: int = 12, seed: int = 0, device: str = "cpu"
) -> TokenStates:
    """Random states; the tokens of a text are its characters two by two, between two special tokens."""
    generator = torch.Generator().manual_seed(seed)
    pieces, spans = [], []
    inputs = inputs_of(texts)
    for text, *_ in inputs:
        token_spans = [[0, 0], *([start, min(start + 2, len(text))] for start in range(0, len(text), 2)), [0, 0]]
        spans.append(torch.tensor(token_spans, dtype=torch.int32))
        pieces.append(torch.randn(len(token_spans), width, generator=generator).half())
    return TokenStates.from_layers(inputs, [pieces], spans, device)


def mean_pool_all(states: TokenStates) -> Tensor:
    """Frozen mean pooling of every input of the table: (inputs, H), unit rows."""
    return mean_pool_of(states, torch.arange(len(states.inputs), device=states.device))


def states_of(vectors: dict[str, Sequence[float]], device: str = "cpu") -> TokenStates:
    """One token a text, with the state given: mean pooling is then that vector, normalized."""
    spans = [torch.zeros(1, 2, dtype=torch.int32) for _ in vectors]
    pieces: list[Tensor] = [torch.tensor([vector]).half() for vector in vectors.values()]
    return TokenStates.from_layers(inputs_of(vectors), [pieces], spans, device)


def event(
    text: str,
    sense: str = "s1",
    source: Literal["example", "gloss", "synthetic"] = "example",
    lemma: str = "bank",
    pos: Pos = "n",
    span: tuple[int, int] | None = None,
) -> UsageEvent:
    start, end = span or (0, 0 if source == "gloss" else min(4, len(text)))
    return UsageEvent(f"id of {text}", lemma, pos, sense, text, start, end, source)


def bundle(
    anchor: str | UsageEvent,
    positive: str | UsageEvent,
    siblings: Sequence[str | UsageEvent],
    tier: Tier | None = None,
    cross_lemma: Sequence[UsageEvent] = (),
) -> Bundle:
    def as_event(text: str | UsageEvent) -> UsageEvent:
        return event(text) if isinstance(text, str) else text

    first = as_event(anchor)
    return Bundle(
        f"bundle of {first.text}",
        first,
        as_event(positive),
        tuple(map(as_event, siblings)),
        tuple(cross_lemma),
        0.0,
        tier,
    )


def retrieval_item(
    query: str | UsageEvent, right: Sequence[str | UsageEvent], wrong: Sequence[str | UsageEvent]
) -> RetrievalItem:
    candidates = [
        Candidate(event(one) if isinstance(one, str) else one, is_right)
        for is_right, group in ((True, right), (False, wrong))
        for one in group
    ]
    query_event = event(query) if isinstance(query, str) else query
    return RetrievalItem(f"item of {query_event.text}", "bank", query_event, tuple(candidates), "tier1_easy")


def coherence_item(steps: Sequence[tuple[str, int]], glosses: Sequence[str]) -> CoherenceItem:
    senses = tuple(f"s{number}" for number in range(len(glosses)))
    coherence_steps = tuple(CoherenceStep(event(text), sense) for text, sense in steps)
    return CoherenceItem(f"item of {steps[0][0]}", "bank", senses, tuple(glosses), coherence_steps)


def item_row(**changes: Any) -> ItemRow:
    """A row of a retrieval item of two candidates, the first right and ranked first, with ``changes`` to its columns."""
    row = ItemRow(
        kind="retrieval",
        item_id="item",
        lemma="bank",
        tier="tier1_easy",
        source="example",
        candidates=2,
        rank=1,
        correct_at_1=True,
        correct_at_3=True,
        margin=0.1,
        reason="",
        mean_pool_rank=1,
        mean_pool_margin=0.1,
        query="q",
        answer="a",
        chosen="a",
        pos="noun",
        senses=2,
        step=0,
        steps=0,
        item_class="equal_overlap",
        best_expected=1.0,
        overlap_right=0.5,
        overlap_wrong=0.5,
        similarities=[0.2, 0.1],
        right=[True, False],
        mean_pool_similarities=[0.2, 0.1],
        baseline_ranks=[2],
        baseline_margins=[0.0],
        chosen_sense="s1",
        cue_strength=None,
        killer="",
        candidate_texts=["a", "b"],
        query_tokens=["<start>", "q", "<end>"],
        query_weights=[0.25, 0.5, 0.25],
    )
    return row._replace(**changes)


def settings(training: Training, curriculum: Curriculum | None = None, seed: int = 1) -> Settings:
    return Settings(
        experiment="made-up",
        profile="full",
        condition="A",
        seed=seed,
        edition="v2.2",
        curriculum=curriculum or Curriculum(),
        encoder=EncoderSettings(),
        model=MODEL,
        training=training,
        gates=Gates(),
        data=DataSlice(),
        data_seed=0,
        reference_encoder=EncoderSettings(),
    )


class SenseTask:
    """A task that mean pooling fails and a projection solves: senses differ in one weak direction under strong noise."""

    def __init__(self, lemmas: int = 24, width: int = 16, seed: int = 3, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(seed)
        tiers: tuple[Tier, ...] = ("tier1_easy", "tier2_robust", "tier3_adversarial")
        texts: dict[str, Tensor] = {}

        def add_text(name: str, sense: float) -> str:
            states = 2.0 * torch.randn(4, width, generator=generator)
            states[:, 0] = sense
            texts[name] = states
            return name

        bundles = []
        for lemma in range(lemmas):
            sides = [(1.5, f"a{lemma}"), (-1.5, f"b{lemma}")]
            for (sense, name), (other_sense, other) in ((sides[0], sides[1]), (sides[1], sides[0])):
                anchor, positive = add_text(f"{name} anchor", sense), add_text(f"{name} positive", sense)
                siblings = [add_text(f"{other} other {number} of {name}", other_sense) for number in range(3)]
                bundles.append(bundle(anchor, positive, siblings, tiers[lemma % 3]))
        for index in range(len(bundles)):
            for gloss, sense in zip(glosses_of(index), (1.5, -1.5), strict=True):
                add_text(gloss_encoder_text("bank", gloss), sense)
        self.train = tuple(bundles[: len(bundles) // 2])
        self.dev = tuple(bundles[len(bundles) // 2 :])
        self.sets: tuple[DevelopmentSet, ...] = (DevelopmentSet("wordnet", *items_of(self.dev)),)
        self.glosses = tuple(
            event(text, sense, "gloss") for text, sense in zip(glosses_of(0), ("s1", "s2"), strict=True)
        )
        # the second token is on the target word
        spans = [torch.tensor([[0, 0], [0, 4], [4, 8], [0, 0]], dtype=torch.int32) for _ in texts]
        pieces = [states.half() for states in texts.values()]
        self.states = TokenStates.from_layers(inputs_of(texts), [pieces], spans, device)


def dataset_of(task: SenseTask) -> Dataset:
    """The task's development bundles as retrieval items, and coherence items with definitions of their own."""
    return Dataset(
        "v2.2", task.train, task.dev, *items_of(task.dev), "data", "eval", development=task.sets, glosses=task.glosses
    )


def items_of(bundles: Sequence[Bundle]) -> tuple[tuple[RetrievalItem, ...], tuple[CoherenceItem, ...]]:
    """Each bundle as a retrieval item, and a coherence item with definitions of its own."""
    retrieval = tuple(retrieval_item(held.anchor, [held.positive], list(held.siblings)) for held in bundles)
    coherence = tuple(
        coherence_item([(held.anchor.text, 0), (held.siblings[0].text, 1)], glosses_of(index))
        for index, held in enumerate(bundles)
    )
    return retrieval, coherence


def glosses_of(index: int) -> tuple[str, str]:
    return f"one meaning of {index}", f"another meaning of {index}"
