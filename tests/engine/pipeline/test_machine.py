"""What a machine has is found without PyTorch."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings
from engine.pipeline import machine
from engine.pipeline.machine import device_found, encoder_found


@pytest.mark.parametrize(("cuda", "device"), [("'13.0'", "cuda"), ("None", "cpu")])
def test_a_gpu_is_used_if_pytorch_is_built_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: str, device: str
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 570.1'\n")
    tool.chmod(0o755)
    (tmp_path / "version.py").write_text(f"__all__ = ['cuda']\ncuda: Optional[str] = {cuda}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "find_spec", lambda _: ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py")))
    found = device_found({})
    assert (found.device, found.gpus) == (device, ("NVIDIA H100 80GB HBM3, 81559 MiB, 570.1",))
    assert device_found({"CUDA_VISIBLE_DEVICES": ""}).device == "cpu"
    tool.write_text("#!/bin/sh\necho $3\n")
    assert device_found({"CUDA_VISIBLE_DEVICES": "GPU-1b"}).gpus == ("--id=GPU-1b",), "a run is on one of several"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert device_found({}).gpus == ()


def test_an_encoder_is_a_package_a_folder_or_still_to_be_downloaded(tiny_encoder: Path) -> None:
    tiny = encoder_found(EncoderSettings(str(tiny_encoder), (1, 2), 16), ("D",), "encoder")
    assert (tiny.source, tiny.layer_count) == ("folder", 2)
    assert str(tiny) == f"encoder {tiny_encoder}, layers 1, 2 of 2, up to 16 tokens (D), folder: {tiny_encoder}"
    absent = encoder_found(EncoderSettings("nobody/has-this-model", (3,)), ("E",), "encoder")
    assert absent.folder is None and "downloaded when a run first needs it" in str(absent)
    with pytest.raises(BadInput, match=r"^encoder.model: no such folder"):
        encoder_found(EncoderSettings("./none"), ("A",), "encoder")
    with pytest.raises(BadInput, match=r"^encoder.model: 'no model is called so!' is no folder and no Hugging Face"):
        encoder_found(EncoderSettings("no model is called so!"), ("A",), "encoder")
