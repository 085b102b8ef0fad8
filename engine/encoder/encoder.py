"""The frozen encoder: a Hugging Face model from local files, whose hidden states are the head's input."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import torch

from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings
from engine.encoder.model_files import encoder_shape, first_line, model_fingerprint, model_folder
from engine.encoder.top_layers import TopLayers, UnknownLayers

CPU_LEAST_TOKENS = 32
"""Tokens of a batch on the CPU at least: below 16 rows MKL's matrix product sums in another order, to other bits."""


class TextStates(NamedTuple):
    """Token states of one text.

    states: (T, L x H) float16, the chosen L hidden layers concatenated. characters: (T, 2) int32, each token's character span
    in the text; empty for special tokens.
    """

    states: np.ndarray
    characters: np.ndarray


class Encoder:
    """A frozen encoder, identified by the hash of its content.

    The constructor reads and hashes files; the model and its library are loaded at the first ``encode``.

    Args:
        settings: model, layers and maximum tokens per text.
        device: where the model runs, ``cpu`` or ``cuda``.
        table: the experiment's table that states the settings, for errors.

    Attributes:
        shape: of the model; its hidden states are 0 to ``shape.layers``.
        max_tokens: read of a text at most: as the settings say, or as many as the model can read if these are fewer.
        model_fingerprint: of weights, tokenizer, configuration and maximum tokens.
        fingerprint: of these and the layers.

    Raises:
        BadInput: no such model, or it has no safetensors weights or not all the layers.
    """

    def __init__(self, settings: EncoderSettings, device: str, table: str = "encoder") -> None:
        self.settings = settings
        self.device = device
        self._table = table
        self.folder = model_folder(settings.model, f"{table}.model")
        self.shape = encoder_shape(self.folder, settings, table)
        self.max_tokens = self.shape.tokens_read(settings.max_tokens)
        self.model_fingerprint = model_fingerprint(self.folder, self.max_tokens)
        identity = f"{self.model_fingerprint} layers {settings.layers}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    def encode(self, texts: Sequence[str], layers: Sequence[int] | None = None) -> Iterator[tuple[int, TextStates]]:
        """Yield (index in ``texts``, its token states of ``layers``, by default its own), shortest texts first.

        A text's states have the same bits whichever texts are encoded with it. Therefore a batch holds texts of one
        length, without padding or mask; on the CPU each batch runs on one thread, several side by side, and small ones
        are filled up; and on CUDA batches are filled up to one shape per length.

        Raises:
            BadInput: the model cannot be loaded, or a state is outside the range of float16.
        """
        tokenizer, model = self._tokenizer_and_model
        encoding = tokenizer(list(texts), truncation=True, max_length=self.max_tokens, return_offsets_mapping=True)
        batches = list(_batches([len(ids) for ids in encoding["input_ids"]], self.shape.batch_tokens))
        workers = 1 if self.device != "cpu" else len(os.sched_getaffinity(0))
        previous_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(workers) as pool:
                chosen = self.settings.layers if layers is None else tuple(layers)
                all_states = pool.map(
                    lambda batch: self._states(model, [encoding["input_ids"][i] for i in batch], chosen), batches
                )
                for batch, states in zip(batches, all_states, strict=True):
                    for row, index in enumerate(batch):
                        spans = np.asarray(encoding["offset_mapping"][index], dtype=np.int32).reshape(-1, 2)
                        yield index, TextStates(states[row], spans)
        finally:
            torch.set_num_threads(previous_threads)

    def top_layers(self, seed: int) -> TopLayers:
        """Copies of the layers that the settings train, on the encoder's device; ``seed`` is of low-rank additions.

        Raises:
            BadInput: the model cannot be loaded, or is of an architecture whose layers cannot be trained.
        """
        _, model = self._tokenizer_and_model
        settings, last = self.settings, max(self.settings.layers)
        try:
            return TopLayers(model, last - settings.trained_layers, last, settings.lora_rank, seed)
        except UnknownLayers as error:
            name = type(model).__name__
            message = f"the layers of {settings.model!r}, a {name}, cannot be trained: {first_line(error)}"
            raise BadInput(message, field=f"{self._table}.trained_layers") from error

    def _states(self, model: Any, ids: list[list[int]], layers: tuple[int, ...]) -> np.ndarray:
        """Token ids (B, T) -> the hidden states of ``layers``, (B, T, L x H) float16."""
        length = len(ids[0])
        least = -(-CPU_LEAST_TOKENS // length) if self.device == "cpu" else _batch_rows(length, self.shape.batch_tokens)
        rows = max(len(ids), least)
        tokens = torch.tensor(ids + ids[-1:] * (rows - len(ids)), device=self.device)
        with torch.inference_mode():
            hidden = model(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), output_hidden_states=True
            ).hidden_states
            half = torch.cat([hidden[layer] for layer in layers], dim=-1)[: len(ids)].to(torch.float16)
            if not bool(half.isfinite().all()):
                message = f"a state of layers {layers} is outside the range of float16"
                raise BadInput(message, field=f"{self._table}.layers")
        array: np.ndarray = half.cpu().numpy()
        return array

    @cached_property
    def _tokenizer_and_model(self) -> tuple[Any, Any]:
        """The tokenizer, and the model in evaluation mode; loaded without the library's warnings and progress bars."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        name, field = self.settings.model, f"{self._table}.model"
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, **options)
            model = AutoModel.from_pretrained(self.folder, use_safetensors=True, dtype=torch.float32, **options)
        except Exception as error:
            raise BadInput(f"{name!r} cannot be loaded: {first_line(error)}", field=field) from error
        if not tokenizer.is_fast:
            message = f"{name!r} has no fast tokenizer, which gives the positions of tokens in the text"
            raise BadInput(message, field=field)
        return tokenizer, model.to(self.device).eval()


def _batch_rows(length: int, batch_tokens: int) -> int:
    """Texts per batch of this length in tokens."""
    return max(1, batch_tokens // max(1, length))


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices grouped by equal length, shortest first, at most ``batch_tokens`` tokens a batch, or one text."""
    by_length = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for length, indices in groupby(by_length, key=lambda index: lengths[index]):
        while batch := list(islice(indices, _batch_rows(length, batch_tokens))):
            yield batch
