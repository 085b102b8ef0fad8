"""Curriculum sampling: which bundles an epoch draws, and in what order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from engine.contract.experiment import ADVERSARIAL, Curriculum


def sampling_weights(tiers: Sequence[str | None], curriculum: Curriculum) -> Tensor:
    """The weight of each bundle, (n,) float64."""
    return torch.tensor([curriculum.weight(tier) for tier in tiers], dtype=torch.float64)


def tier3_exposures(draws: int, tiers: Sequence[str | None], curriculum: Curriculum) -> float | None:
    """How often each tier3 bundle is expected to be drawn in ``draws`` draws; None where there is none.

    This is draws x p(tier3) / (number of tier3 bundles), with draws = steps x batch.
    """
    if ADVERSARIAL not in tiers:
        return None
    return draws * curriculum.weight(ADVERSARIAL) / math.fsum(map(curriculum.weight, tiers))


class EpochSampler:
    """Draws an epoch's bundles. Stateless: an epoch depends on seed and number only, so a resumed run can skip batches.

    With equal weights an epoch is a permutation: every bundle once. Otherwise it is as many draws as there are bundles,
    in proportion to their weights, by systematic sampling: a bundle with expectation e is drawn floor(e) or ceil(e)
    times, so the tier mix is the same from epoch to epoch.

    Args:
        weights: (n,) positive.
        batch_size: bundles per step; the last batch of an epoch may be smaller.
        seed: of the draws and their order.
    """

    def __init__(self, weights: Tensor, batch_size: int, seed: int) -> None:
        self.weights = weights
        self.batch_size = batch_size
        self.seed = seed

    @property
    def batches(self) -> int:
        """Batches per epoch."""
        return -(-len(self.weights) // self.batch_size)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Tensor]:
        """The batches of ``epoch`` after the first ``skip``, each (b,) int64 indices of bundles."""
        order = self._order(epoch)
        for batch in range(skip, self.batches):
            yield order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _order(self, epoch: int) -> Tensor:
        generator = Generator().manual_seed(self.seed * 1_000_003 + epoch)
        count = len(self.weights)
        shuffled = torch.randperm(count, generator=generator)
        if bool((self.weights == self.weights[0]).all()):
            return shuffled
        # systematic sampling (Madow 1949): equally spaced points on the cumulative weights of a shuffled list
        cumulative = self.weights[shuffled].cumsum(0)
        first = torch.rand(1, generator=generator, dtype=torch.float64)
        points = (torch.arange(count, dtype=torch.float64) + first) * (cumulative[-1] / count)
        drawn = shuffled[torch.searchsorted(cumulative, points, right=True).clamp(max=count - 1)]
        return drawn[torch.randperm(count, generator=generator)]
