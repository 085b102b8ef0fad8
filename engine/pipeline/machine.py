"""What a machine has for a run: WordNet, encoders, GPU. Found from files and by asking the driver, without PyTorch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from engine.contract.experiment import EncoderSettings
from engine.data.wordnet.database import find_wordnet
from engine.encoder.model_files import PACKAGED, encoder_shape, is_local, model_folder, own_folder

_WORDNET_VERSION = re.compile(r"WordNet (\d+(?:\.\d+)+)")
_LICENCE_BYTES = 4096  # WordNet's files begin with their licence, which names the version
_TORCH_CUDA = re.compile(r"^cuda\b[^=\n]*=\s*'([^']+)'", re.MULTILINE)
_GPU_UUID = re.compile(r"GPU-[0-9A-Za-z-]+")
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_DRIVER_TIMEOUT_S = 10.0


class WordNetFound(Struct, frozen=True):
    """WordNet's folder, and the version its files state, "" if they state none."""

    folder: str
    version: str

    def __str__(self) -> str:
        return f"WordNet {self.version or 'of an unknown version'}: {self.folder}"


class EncoderFound(Struct, frozen=True):
    """An encoder that runs read.

    Attributes:
        used_by: the conditions, and "reference" where it is that of the data.
        model, layers: its settings.
        max_tokens: read of a text at most.
        layer_count: of the model; None where it is not on this machine yet.
        source: what it comes from, for people.
        folder: None where it is not on this machine yet.
    """

    used_by: tuple[str, ...]
    model: str
    layers: tuple[int, ...]
    max_tokens: int
    layer_count: int | None
    source: str
    folder: str | None

    def __str__(self) -> str:
        many = "layers" if len(self.layers) > 1 else "layer"
        of = f" of {self.layer_count}" if self.layer_count is not None else ""
        where = f"{self.source}: {self.folder}" if self.folder else self.source
        layers = ", ".join(map(str, self.layers))
        users = ", ".join(self.used_by)
        return f"encoder {self.model}, {many} {layers}{of}, up to {self.max_tokens} tokens ({users}), {where}"


class DeviceFound(Struct, frozen=True):
    """Where runs compute: ``cpu`` or ``cuda``, and why.

    Attributes:
        cores: CPU cores that this process may use.
        gpus: name, memory and driver of each GPU, as its driver states them; of the one alone that this process is bound to.
        torch_cuda: the CUDA version that PyTorch is built for; "" for a build without CUDA.
    """

    device: str
    cores: int
    gpus: tuple[str, ...]
    torch_cuda: str

    def __str__(self) -> str:
        built = f"PyTorch is built for CUDA {self.torch_cuda}" if self.torch_cuda else "PyTorch is built without CUDA"
        gpus = "; ".join(self.gpus) or "no GPU"
        return f"device {self.device}: {self.cores} CPU cores, {gpus}, {built}"


def wordnet_found(environ: Mapping[str, str]) -> WordNetFound:
    """WordNet on this machine; BadInput if there is none."""
    folder = find_wordnet(environ)
    with open(folder / "data.noun", "rb") as file:
        stated = _WORDNET_VERSION.search(file.read(_LICENCE_BYTES).decode("utf-8", "replace"))
    return WordNetFound(str(folder), stated[1] if stated else "")


def encoder_found(settings: EncoderSettings, used_by: tuple[str, ...], table: str) -> EncoderFound:
    """An encoder on this machine; one that must still be downloaded is not looked for elsewhere.

    Args:
        table: the experiment's table that states the settings, for errors.

    Raises:
        BadInput: it is not there and cannot be downloaded, or does not have its layers.
    """
    source, folder = "Hugging Face, downloaded when a run first needs it", None
    layers, max_tokens = None, settings.max_tokens
    if is_local(settings.model):
        path = model_folder(settings.model, f"{table}.model")
        shape = encoder_shape(path, settings, table)
        folder, layers, max_tokens = str(path), shape.layers, shape.tokens_read(settings.max_tokens)
        if settings.model in PACKAGED:
            source = f"package {PACKAGED[settings.model][2]}"
        else:
            source = "folder" if own_folder(settings.model) else "Hugging Face, downloaded"
    return EncoderFound(used_by, settings.model, settings.layers, max_tokens, layers, source, folder)


def device_found(environ: Mapping[str, str]) -> DeviceFound:
    """The device that ``--device auto`` will choose, as far as files and the driver tell."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    gpus = () if visible in ("", "-1") else _gpus(visible or "")
    spec = find_spec("torch")
    built = None
    if spec is not None and spec.origin is not None:
        version = Path(spec.origin).with_name("version.py")
        built = _TORCH_CUDA.search(version.read_text(encoding="utf-8")) if version.is_file() else None
    torch_cuda = built[1] if built else ""
    return DeviceFound("cuda" if gpus and torch_cuda else "cpu", len(os.sched_getaffinity(0)), gpus, torch_cuda)


def _gpus(visible: str) -> tuple[str, ...]:
    """A line for each GPU that NVIDIA's driver knows, or for the one that ``visible`` is the UUID of; none without its tool."""
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return ()
    try:
        command = [*_NVIDIA_SMI, *([f"--id={visible}"] if _GPU_UUID.fullmatch(visible) else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DRIVER_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
