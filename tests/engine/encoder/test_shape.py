"""An encoder's shape from its configuration, and the sizes that follow from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.encoder.shape import EncoderShape, read_shape

MINILM = EncoderShape(6, 384, 512)
LARGE = EncoderShape(24, 1024, 512)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"num_hidden_layers": 6, "hidden_size": 384, "max_position_embeddings": 512}, (6, 384, 512)),
        ({"n_layers": 6, "dim": 768, "max_position_embeddings": 512, "model_type": "distilbert"}, (6, 768, 512)),
        ({"num_hidden_layers": 4, "d_model": 64}, (4, 64, None)),
        (
            {"num_hidden_layers": 12, "hidden_size": 768, "max_position_embeddings": 514, "model_type": "mpnet"},
            (12, 768, 512),
        ),
        (
            {"num_hidden_layers": 12, "hidden_size": 768, "max_position_embeddings": 514, "model_type": "roberta"},
            (12, 768, 512),
        ),
    ],
)
def test_layers_width_and_positions_under_the_names_of_each_architecture(
    tmp_path: Path, config: dict[str, object], expected: tuple[int, int, int | None]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_shape(tmp_path / "config.json") == expected


@pytest.mark.parametrize("config", ["[1]", "{", "{}", '{"num_hidden_layers": 2}', '{"n_layers": "2", "dim": 8}'])
def test_a_configuration_without_layers_or_width_is_an_error(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises((ValueError, TypeError)):
        read_shape(tmp_path / "config.json")


def test_batches_and_shards_of_larger_encoders_hold_fewer_tokens() -> None:
    assert (MINILM.batch_tokens, MINILM.shard_tokens(1), MINILM.shard_tokens(2)) == (2048, 200_000, 100_000)
    assert EncoderShape(2, 16, None).batch_tokens == 2048
    assert EncoderShape(2, 16, None).shard_tokens(2) == 100_000
    assert LARGE.batch_tokens * LARGE.width * (LARGE.layers + 1) <= 16_000_000 < MINILM.batch_tokens * 25 * 1024
    shard_bytes = [shape.shard_tokens(layers) * shape.width * layers for shape in (MINILM, LARGE) for layers in (1, 3)]
    assert max(shard_bytes) <= 200_000 * 384
    assert EncoderShape(1000, 100_000, None).batch_tokens == 1
