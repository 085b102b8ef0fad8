"""The frozen encoder: its states, token positions and fingerprint, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings
from engine.encoder.encoder import Encoder, TextStates
from engine.encoder.model_files import model_folder
from tests.engine.samples import DEVICES

TEXTS = ("a bank", "the river bank", "she sat on it", "x", "the bank holds the mortgage on my home", "a dog")


def encode(encoder: Encoder, texts: tuple[str, ...]) -> dict[str, TextStates]:
    return {texts[index]: states for index, states in encoder.encode(texts)}


def encoder(folder: Path, layers: tuple[int, ...] = (2,), max_tokens: int = 128, device: str = "cpu") -> Encoder:
    return Encoder(EncoderSettings(model=str(folder), layers=layers, max_tokens=max_tokens), device)


@pytest.mark.parametrize("device", DEVICES)
def test_states_are_those_of_the_model_on_one_text_alone(tiny_encoder: Path, device: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    made = encode(encoder(tiny_encoder, (1, 2), device=device), TEXTS)
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_encoder), AutoModel.from_pretrained(tiny_encoder).eval()
    for text in TEXTS:
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        alone = torch.cat([hidden[1], hidden[2]], dim=-1)[0].numpy()
        assert made[text].states.dtype == np.float16
        np.testing.assert_allclose(made[text].states, alone, atol=2e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_the_states_of_a_text_do_not_depend_on_its_batch(tiny_encoder: Path, device: str) -> None:
    made = encode(encoder(tiny_encoder, device=device), TEXTS)
    reversed_order = encode(encoder(tiny_encoder, device=device), TEXTS[::-1])
    for text in TEXTS:
        alone = encode(encoder(tiny_encoder, device=device), (text,))[text]
        assert made[text].states.tobytes() == alone.states.tobytes() == reversed_order[text].states.tobytes()


def test_each_token_has_its_character_span(tiny_encoder: Path) -> None:
    text = "Naïve 😀 bank"
    characters = encode(encoder(tiny_encoder), (text,))[text].characters
    assert characters[0].tolist() == characters[-1].tolist() == [0, 0]
    assert "".join(text[start:end] for start, end in characters.tolist()).endswith("bank")


def test_a_long_text_is_cut_to_the_longest_allowed(tiny_encoder: Path) -> None:
    made = encode(encoder(tiny_encoder, max_tokens=8), ("abcdefghijklmnop",))
    assert len(made["abcdefghijklmnop"].states) == 8


def test_encoding_leaves_the_number_of_threads_as_it_was(tiny_encoder: Path) -> None:
    before = torch.get_num_threads()
    encode(encoder(tiny_encoder), TEXTS)
    assert torch.get_num_threads() == before


def test_the_fingerprint_is_of_content_layers_and_length(tiny_encoder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    first = encoder(tiny_encoder).fingerprint
    assert encoder(copy).fingerprint == first
    assert encoder(copy, (1,)).fingerprint != first
    assert encoder(copy, max_tokens=64).fingerprint != first
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert encoder(copy).fingerprint != first


def test_making_an_encoder_loads_no_model(tiny_encoder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(b"no weights at all")
    broken = encoder(copy)
    with pytest.raises(BadInput, match="cannot be loaded"):
        encode(broken, TEXTS)


def test_an_unusable_model_is_bad_input(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        encoder(tmp_path / "missing")
    with pytest.raises(BadInput, match=r"config\.json with safetensors"):
        encoder(tmp_path)
    with pytest.raises(BadInput, match="layers 0 to 2, not 3"):
        encoder(tiny_encoder, (0, 3))
    with pytest.raises(BadInput, match="no Hugging Face model that can be downloaded"):
        model_folder("no model is called so!")
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    (copy / "config.json").write_text(json.dumps([1]))
    with pytest.raises(BadInput, match="no model configuration"):
        encoder(copy)


def test_states_beyond_half_precision_are_bad_input(tiny_encoder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    weights = load_file(copy / "model.safetensors")
    weights["encoder.layer.1.output.LayerNorm.weight"].fill_(1e6)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"encoder\.layers: a state of layers \(2,\) is outside the range of float16"):
        encode(encoder(copy), TEXTS)
    assert encode(encoder(copy, (1,)), TEXTS).keys() == set(TEXTS)


def test_texts_longer_than_the_model_reads_are_refused(tiny_encoder: Path) -> None:
    positions = json.loads((tiny_encoder / "config.json").read_text())["max_position_embeddings"]
    Encoder(EncoderSettings(str(tiny_encoder), (1,), positions), "cpu")
    with pytest.raises(BadInput, match=rf"encoder\.max_tokens: the encoder reads {positions} tokens at most"):
        Encoder(EncoderSettings(str(tiny_encoder), (1,), positions + 1), "cpu")


def test_the_number_of_layers_is_found_under_either_of_its_names(tiny_encoder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    stated = json.loads((copy / "config.json").read_text())
    stated["n_layers"] = stated.pop("num_hidden_layers")
    (copy / "config.json").write_text(json.dumps(stated))
    assert encoder(copy, (2,)).fingerprint != encoder(tiny_encoder, (2,)).fingerprint
    with pytest.raises(BadInput, match="layers 0 to 2, not 3"):
        encoder(copy, (3,))
    del stated["n_layers"]
    (copy / "config.json").write_text(json.dumps(stated))
    with pytest.raises(BadInput, match="no model configuration"):
        encoder(copy)


def test_minilm_is_the_packaged_model() -> None:
    assert (model_folder("minilm") / "model.safetensors").is_file()
