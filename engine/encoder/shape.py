"""An encoder's shape, as its configuration states it, and the sizes of batches and cache shards that follow from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

LAYER_COUNTS = ("num_hidden_layers", "n_layers")
WIDTHS = ("hidden_size", "dim", "d_model")
"""Names of these numbers in the configurations of different architectures; DistilBERT has the later ones."""

POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta"}
    | {"xlm-roberta-xl", "xmod"}
)
"""Architectures whose first token has the position after the padding token's index."""

BATCH_TOKENS = 2048
"""Tokens a batch at most: the states of 2048 tokens of all-MiniLM-L6-v2 stay in a processor's caches."""
_BATCH_VALUES = 16_000_000  # of all hidden states of a batch: 64 MB in float32
_SHARD_TOKENS = 200_000
_SHARD_WIDTH = 384


class EncoderShape(NamedTuple):
    """The number of transformer layers; the width of a token's state; the most tokens in a text, None without a limit."""

    layers: int
    width: int
    positions: int | None

    def tokens_read(self, max_tokens: int) -> int:
        """The most tokens that are read of a text where a setting allows ``max_tokens``."""
        return max_tokens if self.positions is None else min(max_tokens, self.positions)

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch; fewer in larger models, so that the hidden states of all layers fit in bounded memory."""
        return max(1, min(BATCH_TOKENS, _BATCH_VALUES // (self.width * (self.layers + 1))))

    def shard_tokens(self, layers: int) -> int:
        """Tokens of a cache shard of ``layers`` layers, of bounded bytes: 200,000 of one layer of MiniLM's width."""
        return max(1, _SHARD_TOKENS * _SHARD_WIDTH // max(_SHARD_WIDTH, self.width) // layers)


def read_shape(config: Path) -> EncoderShape:
    """The shape in a ``config.json``.

    Raises:
        OSError, ValueError, TypeError: unreadable, or it does not state layers and width.
    """
    values = json.loads(config.read_bytes())
    if not isinstance(values, dict):
        raise TypeError("not an object")
    return EncoderShape(_first(values, LAYER_COUNTS), _first(values, WIDTHS), _positions(values))


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        if isinstance(value := values.get(name), int) and value > 0:
            return value
    raise ValueError(f"no {' or '.join(names)}")


def _positions(values: Mapping[str, Any]) -> int | None:
    positions = values.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        return None
    if values.get("model_type") not in POSITIONS_AFTER_PADDING:
        return positions
    # MPNet's code has the index of padding fixed at 1, which is also the others' default
    padding = 1 if values["model_type"] == "mpnet" else values.get("pad_token_id", 1)
    return positions - int(padding) - 1
