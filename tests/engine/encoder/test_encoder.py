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
from engine.encoder.model_files import is_local, model_folder
from tests.engine.samples import DEVICES
from tests.engine.tiny_encoder import FAMILIES, Family, write_tiny_encoder

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
@pytest.mark.parametrize("width", [16, 384])
def test_the_states_of_a_text_do_not_depend_on_its_batch(tmp_path: Path, width: int, device: str) -> None:
    write_tiny_encoder(tmp_path, width)
    wide = encoder(tmp_path, device=device)
    others = tuple(f"{TEXTS[0][:-1]}{letter}" for letter in "abcdefg")  # as long as the first text
    made = encode(wide, (*TEXTS, *others))
    reversed_order = encode(wide, TEXTS[::-1])
    for text in TEXTS:
        alone = encode(wide, (text,))[text]
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


@pytest.mark.parametrize("family", FAMILIES)
def test_encoders_of_another_family_and_shape(tmp_path: Path, family: Family) -> None:
    from transformers import AutoModel, AutoTokenizer

    write_tiny_encoder(tmp_path, width=24, layers=3, family=family, positions=20)
    many = encoder(tmp_path, (1, 3, 2))
    assert many.shape == (3, 24, 20)
    long = "she sat on the bank of the river"  # 28 tokens with both ends
    made = encode(many, (*TEXTS[:2], long))
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path).eval()
    for text, states in made.items():
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=20)
        with torch.no_grad():
            hidden = model(ids["input_ids"], ids["attention_mask"], output_hidden_states=True).hidden_states
        np.testing.assert_allclose(states.states, torch.cat([hidden[1], hidden[3], hidden[2]], dim=-1)[0], atol=2e-3)
    assert made[long].states.shape == (20, 3 * 24)
    # reading fewer tokens by the setting or by the model is the same
    assert many.fingerprint == encoder(tmp_path, (1, 3, 2), max_tokens=20).fingerprint
    with pytest.raises(BadInput, match="layers 0 to 3, not 4"):
        encoder(tmp_path, (4,))


def test_minilm_is_the_packaged_model() -> None:
    assert (model_folder("minilm") / "model.safetensors").is_file()


def test_a_folder_may_be_named_from_the_home_folder_and_by_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my models").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MODELS", str(tmp_path))
    for name in ("~/my models", "$MODELS/my models"):
        assert is_local(name) and model_folder(name) == tmp_path / "my models"
    for name, message in (
        ("~nobody-here/x", "there is no user 'nobody-here'"),
        ("$NOT_SET_HERE/x", r"\$NOT_SET_HERE is not set"),
        ("$MODELS/missing", "no such folder"),
    ):
        with pytest.raises(BadInput, match=message):
            model_folder(name)
