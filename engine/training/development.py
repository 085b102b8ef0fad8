"""Development data as arrays: bundles and named sets of items, their scores, and the score that chooses a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.contract.events import SetScores
from engine.contract.experiment import SenseText
from engine.contract.items import chance_in_top
from engine.data.bundles.encoder_text import coherence_inputs, encoder_input_of
from engine.data.records import Bundle, CoherenceItem, DevelopmentSet, RetrievalItem, UsageEvent
from engine.encoder.token_states import TokenStates
from engine.training.bundle_arrays import BundleArrays

CHUNK_ITEMS = 128  # bounds the memory of one comparison: items x candidates x embedding size
_QueryRows = tuple[int, list[int], list[bool]]
"""The row of a query, those of its candidates, and which of these are right."""


class ItemArrays(NamedTuple):
    """n queries with up to K candidates each; texts are rows of an embedding.

    query: (n,) int64. candidates: (n, K) int64, padded with 0. right: (n, K) bool. mask: (n, K) bool, False where padded.
    """

    query: Tensor
    candidates: Tensor
    right: Tensor
    mask: Tensor

    @classmethod
    def from_rows(cls, items: Sequence[tuple[int, Sequence[int], Sequence[bool]]], device: torch.device) -> Self:
        """Make them from each query's row, its candidates' rows, and which of these are right."""
        most = max((len(rows) for _, rows, _ in items), default=0)
        candidates = torch.zeros(len(items), most, dtype=torch.int64)
        right, mask = torch.zeros(2, len(items), most, dtype=torch.bool)
        for index, (_, rows, are_right) in enumerate(items):
            candidates[index, : len(rows)] = torch.tensor(rows)
            right[index, : len(rows)] = torch.tensor(are_right)
            mask[index, : len(rows)] = True
        query = torch.tensor([row for row, _, _ in items], dtype=torch.int64)
        return cls(*(array.to(device) for array in (query, candidates, right, mask)))

    def ranks(self, embedding: Tensor) -> Tensor:
        """Rank of the best right candidate of each query, from 1: embedding (U, E) with unit rows -> (n,) int64.

        A wrong candidate that is as near as the best right one comes before it.
        """
        if not len(self.query):
            return self.query
        parts = torch.split(torch.arange(len(self.query), device=self.query.device), CHUNK_ITEMS)
        return torch.cat([self._chunk_ranks(embedding, part) for part in parts])

    def chance(self, top: int) -> float | None:
        """Expected share of queries with a right candidate in the first ``top`` when ranked at random; None without any."""
        if not len(self.query):
            return None
        counts = zip(self.mask.sum(dim=1).tolist(), self.right.sum(dim=1).tolist(), strict=True)
        return _mean([chance_in_top(candidates, right, top) for candidates, right in counts])

    def _chunk_ranks(self, embedding: Tensor, part: Tensor) -> Tensor:
        # a sum for each pair, not a matrix product: candidates of the same text then tie exactly
        query = embedding[self.query[part]].double().unsqueeze(1)  # (c, 1, E)
        near = (query * embedding[self.candidates[part]].double()).sum(-1)  # (c, K)
        right, mask = self.right[part], self.mask[part]
        best = near.masked_fill(~right, float("-inf")).amax(dim=1, keepdim=True)
        return 1 + (mask & ~right & ~(near < best)).sum(dim=1)  # not <, so that NaN counts as nearer


class ItemSet(NamedTuple):
    """A development set as arrays; a kind of items that it lacks has no queries. Coherence has a query per step."""

    name: str
    retrieval: ItemArrays
    coherence: ItemArrays

    def scores(self, embedding: Tensor) -> SetScores:
        """Scores of the model with ``embedding`` (U, E), unit rows."""
        ranks, steps = self.retrieval.ranks(embedding), self.coherence.ranks(embedding)
        return SetScores(self.name, _share(ranks <= 1), _share(ranks <= 3), _share(steps <= 1))

    def chance(self) -> SetScores:
        """Expected scores of a model that ranks at random."""
        return SetScores(self.name, self.retrieval.chance(1), self.retrieval.chance(3), self.coherence.chance(1))


class DevelopmentData(NamedTuple):
    """Everything a head is measured on; each text is embedded once, and everything indexes these embeddings.

    rows: (U,) int64, the texts' rows in the table of token states. bundle_texts: (u,) int64, those of the bundles.
    """

    rows: Tensor
    bundle_texts: Tensor
    bundles: BundleArrays
    sets: tuple[ItemSet, ...]

    @classmethod
    def from_records(
        cls,
        bundles: Sequence[Bundle],
        sets: Iterable[DevelopmentSet],
        states: TokenStates,
        sense_text: SenseText,
        glosses: Iterable[UsageEvent] = (),
    ) -> Self:
        """Look up the texts in ``states``; ``sense_text`` and ``glosses`` are as for ``BundleArrays.from_bundles``.

        Raises:
            KeyError: a text is not in the table.
        """
        bundle_rows, arrays = BundleArrays.from_bundles(bundles, states, sense_text, glosses).unique_texts()
        items = [
            (
                one.name,
                _retrieval_rows(one.retrieval, states, sense_text),
                _coherence_rows(one.coherence, states, sense_text),
            )
            for one in sets
        ]
        item_rows = [
            row for _, *kinds in items for kind in kinds for query, others, _ in kind for row in (query, *others)
        ]
        rows = torch.unique(torch.cat([bundle_rows, torch.tensor(item_rows, dtype=torch.int64, device=states.device)]))
        bundle_texts = torch.searchsorted(rows, bundle_rows)
        place = {row: index for index, row in enumerate(rows.tolist())}

        def to_arrays(kind: list[_QueryRows]) -> ItemArrays:
            placed = [(place[query], [place[row] for row in others], right) for query, others, right in kind]
            return ItemArrays.from_rows(placed, states.device)

        return cls(
            rows,
            bundle_texts,
            arrays.reindexed(bundle_texts),
            tuple(ItemSet(name, to_arrays(retrieval), to_arrays(coherence)) for name, retrieval, coherence in items),
        )

    def set_scores(self, embedding: Tensor) -> tuple[SetScores, ...]:
        """Scores on each set of the model with ``embedding`` (U, E), unit rows."""
        return tuple(one.scores(embedding) for one in self.sets)


def selection_score(bundles_top1: float, sets: Sequence[SetScores]) -> float:
    """The score by which the best measurement is chosen, a fraction of 1: the mean of retrieval and coherence.

    Retrieval is the mean top-1 of the development bundles and of each set that has retrieval items: the bundles are
    several times as many as the built set's items, whose score alone is noise of three points. Coherence is the mean over
    the sets that have coherence items; without any, retrieval alone chooses.
    """
    retrieval = _mean([bundles_top1, *(one.top1 for one in sets if one.top1 is not None)])
    coherence = [one.coherence for one in sets if one.coherence is not None]
    return _mean([retrieval, _mean(coherence)]) if coherence else retrieval


def selection_score_name(sets: Sequence[SetScores]) -> str:
    """What ``selection_score`` is, in words."""
    retrieval = ", ".join(["bundles", *(one.name for one in sets if one.top1 is not None)])
    coherence = ", ".join(one.name for one in sets if one.coherence is not None)
    return f"retrieval top-1 ({retrieval})" + (f" and coherence ({coherence})" if coherence else "")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _share(right: Tensor) -> float | None:
    return float(right.double().mean()) if len(right) else None


def _retrieval_rows(items: Iterable[RetrievalItem], states: TokenStates, sense_text: SenseText) -> list[_QueryRows]:
    return [
        (
            states.row(encoder_input_of(item.query, sense_text)),
            [states.row(encoder_input_of(candidate.event, sense_text)) for candidate in item.candidates],
            [candidate.right for candidate in item.candidates],
        )
        for item in items
    ]


def _coherence_rows(items: Iterable[CoherenceItem], states: TokenStates, sense_text: SenseText) -> list[_QueryRows]:
    return [
        (
            states.row(encoder_input_of(step.event, sense_text)),
            [states.row(gloss) for gloss in coherence_inputs(item, sense_text)],
            [sense == step.sense for sense in range(len(item.glosses))],
        )
        for item in items
        for step in item.steps
    ]
