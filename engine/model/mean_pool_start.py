"""Initial weights under which the SenseHead is, nearly, frozen mean pooling: training then starts where the baseline is."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from engine.encoder.token_states import TokenStates
from engine.model.embed import mean_states
from engine.model.sense_head import SenseHead

GELU_CENTRE = 1.0


GELU_SPREAD = 0.5


def start_from_mean_pool(head: SenseHead, states: TokenStates, rows: Tensor, seed: int) -> None:
    """Set the projection of ``head`` so that its similarities are those of mean pooling on the texts in ``rows`` (R,).

    The scorer stays as it is: small random scores are nearly uniform attention. The projection becomes a rotation
    drawn from ``seed``, scaled so that GELU works around 1.0 with a spread of 0.5, where it is nearly linear; its
    slope and shift there are undone, and what remains are the texts' leading principal directions, laid out at right
    angles to the all-ones vector, which LayerNorm would take away. Dropping the least directions and GELU's curvature
    are all that is lost.
    """
    with torch.no_grad():
        pooled = mean_states(states, rows)  # (R, H)
        size, width = head.output.weight.shape
        generator = Generator().manual_seed(seed)
        rotation = _orthonormal(torch.randn(width, width, generator=generator))
        directions = _principal(F.normalize(pooled, dim=-1), min(width, size - 1))  # (D, H)
        frame = torch.cat([torch.ones(size, 1), torch.randn(size, len(directions), generator=generator)], dim=1)
        across = _orthonormal(frame)[:, 1:]  # (E, D), each column sums to 0

        scale = GELU_SPREAD / float(pooled.std())
        level, slope = _gelu_at(GELU_CENTRE)
        output = across @ directions @ rotation.T / (scale * slope)  # (E, H)
        head.hidden.weight.copy_(rotation * scale)
        head.hidden.bias.fill_(GELU_CENTRE)
        head.output.weight.copy_(output)
        head.output.bias.copy_(-level * output.sum(dim=1))


def _principal(vectors: Tensor, count: int) -> Tensor:
    """The ``count`` leading directions of ``vectors`` (R, H), not centred: -> (count, H) float32 on the CPU."""
    moments = (vectors.T @ vectors).to("cpu", torch.float64)
    _, directions = torch.linalg.eigh(moments)
    leading: Tensor = directions.T.flip(0)[:count].float()
    return leading


def _orthonormal(matrix: Tensor) -> Tensor:
    """Orthonormal columns spanning those of ``matrix``, in their order."""
    columns, _ = torch.linalg.qr(matrix)
    orthonormal: Tensor = columns
    return orthonormal


def _gelu_at(place: float) -> tuple[float, float]:
    """Value and slope of GELU(x) = x * Phi(x) at ``place``."""
    cumulative = 0.5 * (1.0 + math.erf(place / math.sqrt(2.0)))
    density = math.exp(-0.5 * place * place) / math.sqrt(2.0 * math.pi)
    return place * cumulative, cumulative + place * density
