"""A trained run as a folder that Sentence Transformers loads: weights, encoder, the code that joins them, card, curves."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
from safetensors.torch import save

import engine
from engine.contract import metrics as metrics_file
from engine.contract.bad_input import BadInput
from engine.contract.durable import making_dir, write_durably
from engine.contract.metrics import Metrics
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Spec, read_spec
from engine.contract.validation_words import error_in_words
from engine.data.bundles.encoder_text import gloss_encoder_input
from engine.data.records import FULL_POS_NAMES, POS_NAMES
from engine.encoder.encoder import CPU_LEAST_TOKENS, Encoder
from engine.encoder.model_files import FILES, PACKAGED, WEIGHTS, own_folder
from engine.encoder.token_states import RaggedBatch
from engine.export.curves import curves_csv, read_events
from engine.export.model_card import model_card
from engine.model.architecture import head_arguments, new_head
from engine.pipeline.spec import versions
from engine.pipeline.train import load_weights, run_head, trained_weights
from engine.training.checkpoint import Position

MODULE = "engine.export.sense_encoder"
"""The module that Sentence Transformers loads; the class in it is ``CLASS``."""

CLASS = "SenseEncoder"
CONFIG, HEAD, ENCODER = "sense_encoder.json", "head.safetensors", "encoder"

_IMPORT = re.compile(r"^from (engine\.\w+(?:\.\w+)*) import", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class TrainedRun(NamedTuple):
    """What is exported of a run; ``metrics`` is None where it was not evaluated, ``width`` is H, all layers joined."""

    spec: Spec
    position: Position
    weights: dict[str, torch.Tensor]
    encoder: Encoder
    width: int
    metrics: Metrics | None


def read_run(folder: RunFolder) -> TrainedRun:
    """Read a run that has been trained.

    Raises:
        BadInput: it is no run, its training has not ended, its files cannot be read, or its encoder is not available.
    """
    spec = read_spec(folder.spec)
    weights, position = trained_weights(spec, folder)
    encoder = Encoder(spec.settings.encoder, "cpu")
    if encoder.fingerprint != spec.encoder_fingerprint:
        name = spec.settings.encoder.model
        raise BadInput(f"trained on another encoder than the {name!r} that is available here", file=folder.spec)
    return TrainedRun(
        spec, position, weights, encoder, encoder.shape.width * len(encoder.settings.layers), _metrics_of(folder)
    )


def write_model_folder(run: TrainedRun, folder: RunFolder, destination: Path, *, include_encoder: bool) -> None:
    """Write ``destination``, whole or not at all.

    Args:
        folder: of ``run``.
        include_encoder: copy an encoder of the Hugging Face hub; others are always copied, having no name elsewhere.

    Raises:
        BadInput: ``destination`` is not empty, or the run's events or weights cannot be read.
    """
    check_empty(destination)
    settings = run.spec.settings
    files = {name: source.encode() for name, source in module_sources().items()}
    files[HEAD] = save({name: weight.contiguous() for name, weight in run.weights.items()})
    reference = None if include_encoder else hub_reference(settings.encoder.model, run.encoder.folder)
    files[CONFIG] = _json({**_config(run, folder), "encoder": reference})
    module = {"idx": 0, "name": "0", "path": "", "type": f"{MODULE.rpartition('.')[2]}.{CLASS}"}
    files["modules.json"] = _json([module])
    files["config_sentence_transformers.json"] = _json(
        {
            "model_type": "SentenceTransformer",
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        }
    )
    files["curves.csv"] = curves_csv(read_events(folder.events))
    card = model_card(run.spec, run.position, run.metrics, run.encoder.folder, reference, versions())
    files["README.md"] = card.encode()
    with making_dir(destination) as temporary:
        for name, content in files.items():
            write_durably(temporary / name, content)
        if reference is None:
            (temporary / ENCODER).mkdir()
            for path in _encoder_files(run.encoder.folder):
                shutil.copyfile(path, temporary / ENCODER / path.name)


def check_empty(destination: Path) -> None:
    """Raise BadInput if ``destination`` is anything but nothing or an empty folder."""
    if destination.is_dir() and any(destination.iterdir()):
        raise BadInput("is not empty; give another folder", file=destination)
    if destination.exists() and not destination.is_dir():
        raise BadInput("is no folder", file=destination)


def hub_reference(model: str, folder: Path) -> dict[str, str] | None:
    """Name and commit by which an encoder of the Hugging Face hub is found again; None for a packaged one or a folder."""
    # the hub's cache names a snapshot's folder by its commit
    is_on_hub = model not in PACKAGED and not own_folder(model) and _COMMIT.fullmatch(folder.name)
    return {"model": model, "revision": folder.name} if is_on_hub else None


def module_sources() -> dict[str, str]:
    """Source by file name of ``MODULE`` and of all that it imports of the engine, importing each other as neighbours."""
    root = Path(engine.__file__).resolve().parent.parent
    sources: dict[str, str] = {}
    pending = [MODULE]
    while pending:
        module = pending.pop()
        name = f"{module.rpartition('.')[2]}.py"
        if name in sources:
            continue
        text = (root / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        pending += _IMPORT.findall(text)
        neighbours = _IMPORT.sub(lambda found: f"from .{found[1].rpartition('.')[2]} import", text)
        sources[name] = (
            f"# {module} of qllm-console, (c) The qllm-console authors; SPDX-License-Identifier: MIT\n{neighbours}"
        )
    return sources


def gloss_format(sense_text: Any) -> str:
    """How a sense is read, with ``{lemma}``, ``{pos}`` and ``{gloss}`` where these stand."""
    read = gloss_encoder_input("{lemma}", "n", "{gloss}", sense_text).text
    return read.replace(f"({FULL_POS_NAMES['n']})", "({pos})")


def _config(run: TrainedRun, folder: RunFolder) -> dict[str, Any]:
    """The arguments of ``CLASS`` beside tokenizer and model."""
    settings = run.spec.settings
    encoder, model = settings.encoder, settings.model
    load_weights(run_head(settings, run.encoder), run.weights, folder)
    head = new_head(model, run.width, len(encoder.layers), settings.seed)
    with torch.no_grad():
        size = head(_one_token(run.width)).embedding.shape[1]
    parts_of_speech: dict[str, str] = {"s": FULL_POS_NAMES["a"]}
    for pos, name in FULL_POS_NAMES.items():
        parts_of_speech |= {pos: name, POS_NAMES[pos]: name}
    return {
        "layers": encoder.layers,
        "max_tokens": run.encoder.max_tokens,
        "cpu_least_tokens": CPU_LEAST_TOKENS,
        "gloss_format": gloss_format(model.sense_text),
        "parts_of_speech": parts_of_speech,
        "architecture": model.architecture,
        "head_arguments": head_arguments(model, run.width, len(encoder.layers)),
        "embedding_size": size,
        "trained_layers": encoder.trained_layers,
        "lora_rank": encoder.lora_rank,
    }


def _one_token(width: int) -> RaggedBatch:
    """A batch of one text of one token, to see a head's shapes."""
    mark = torch.zeros(1, dtype=torch.bool)
    return RaggedBatch(torch.ones(1, width), torch.tensor([0, 1]), mark, mark)


def _encoder_files(folder: Path) -> list[Path]:
    named = [folder / name for name in FILES]
    return [path for path in named if path.is_file()] + [path for kind in WEIGHTS for path in sorted(folder.glob(kind))]


def _metrics_of(folder: RunFolder) -> Metrics | None:
    if not folder.metrics.exists():
        return None
    try:
        return metrics_file.decode(folder.metrics.read_bytes())
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a run's metrics: {error_in_words(error)}", file=folder.metrics) from error


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
