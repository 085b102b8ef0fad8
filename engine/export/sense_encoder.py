"""Module of Sentence Transformers: a frozen encoder and a trained head, from texts to unit vectors.

``qllm-engine export`` copies this file, with those that it imports, into the folder that it writes; it runs there without
the engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import InputModule
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer

from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import TokenStates
from engine.encoder.top_layers import TopLayers
from engine.model.encoder_head import EncoderHead
from engine.model.head import Head
from engine.model.residual_head import ResidualHead
from engine.model.sense_head import SenseHead

HEADS: dict[str, type[Head]] = {"sense_head": SenseHead, "residual": ResidualHead}
WEIGHTS = "head.safetensors"
ENCODER = "encoder"
"""Subfolder of an included encoder."""

FORMS = (
    '"text", {"text": ...}, {"text": ..., "start": ..., "end": ...} or {"lemma": ..., "pos": ..., "gloss": ...}; '
    "start and end are characters, text[start:end] is the target word"
)


class SenseEncoder(InputModule):
    """Reads contexts and glosses as the run did that trained the head, and gives the vectors of its evaluation.

    An input is a string, a context whose target word is not known; or a dictionary: ``text`` with ``start`` and ``end``
    is a context and the characters of its target word, ``lemma``, ``pos`` and ``gloss`` is a sense.

    Args:
        tokenizer, model: of the encoder; the tokenizer is a fast one.
        layers: hidden states of the encoder that are joined; 0 is its embedding layer.
        max_tokens: longer texts are cut.
        cpu_least_tokens: tokens of a batch on the CPU at least.
        gloss_format: how a sense is read, such as ``{lemma} ({pos}): {gloss}``.
        parts_of_speech: as written in ``gloss_format``, by their letter.
        architecture, head_arguments: of the head.
        embedding_size: of its vectors.
        trained_layers: the highest of ``layers`` and those directly below it, this many in all, that were trained with the
            head and belong to its weights.
        lora_rank: of the additions to them that were trained; 0 where all of their weights were.
    """

    tokenizer: Any
    config_file_name = "sense_encoder.json"
    config_keys: list[str] = [  # noqa: RUF012 - as the library declares it
        "layers",
        "max_tokens",
        "cpu_least_tokens",
        "gloss_format",
        "parts_of_speech",
        "architecture",
        "head_arguments",
        "embedding_size",
        "trained_layers",
        "lora_rank",
    ]

    def __init__(
        self,
        tokenizer: Any,
        model: Any,
        *,
        layers: Sequence[int],
        max_tokens: int,
        cpu_least_tokens: int,
        gloss_format: str,
        parts_of_speech: dict[str, str],
        architecture: str,
        head_arguments: dict[str, Any],
        embedding_size: int,
        trained_layers: int = 0,
        lora_rank: int = 0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tokenizer = tokenizer
        self.model = model.requires_grad_(False)
        self.head = HEADS[architecture](**head_arguments, seed=0)
        self.layers = list(layers)
        self.trained_layers = trained_layers
        self.lora_rank = lora_rank
        self._read_layers, self._below = self.layers, None
        if trained_layers:
            last = max(layers)
            below = last - trained_layers
            self.head = EncoderHead(self.head, TopLayers(model, below, last, lora_rank), layers, below)
            self._read_layers = list(dict.fromkeys([*layers, below]))
            self._below = self._read_layers.index(below)
        self.max_tokens = max_tokens
        self.cpu_least_tokens = cpu_least_tokens
        self.gloss_format = gloss_format
        self.parts_of_speech = parts_of_speech
        self.architecture = architecture
        self.head_arguments = head_arguments
        self.embedding_size = embedding_size

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a folder that ``qllm-engine export`` or ``save`` wrote, or such a repository of the Hugging Face hub."""
        source: dict[str, Any] = {
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **source)
        reference = config.pop("encoder")
        folder: Any
        if reference is None:
            folder, at = cls.load_dir_path(model_name_or_path, str(Path(subfolder, ENCODER)), **source), {}
        else:
            folder, at = reference["model"], {"revision": reference["revision"]}
        options = {**at, "token": token, "cache_dir": cache_folder, "local_files_only": local_files_only}
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **options)
        module = cls(tokenizer, model.eval(), **config)
        weights: Any = cls.load_file_path(model_name_or_path, WEIGHTS, subfolder, **source)
        module.head.load_state_dict(load_file(weights))
        return module

    def save(self, output_path: str, *_arguments: Any, **_options: Any) -> None:
        """Save it with its encoder into the folder ``output_path``."""
        self.tokenizer.save_pretrained(str(Path(output_path, ENCODER)))
        self.model.save_pretrained(str(Path(output_path, ENCODER)))
        save_file(
            {name: value.contiguous() for name, value in self.head.state_dict().items()}, Path(output_path, WEIGHTS)
        )
        self.save_config(output_path)

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "encoder": None}

    @property
    def max_seq_length(self) -> int:
        return self.max_tokens

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.max_tokens = value

    def get_embedding_dimension(self) -> int:
        """The size of a vector."""
        return self.embedding_size

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_options: Any) -> dict[str, Tensor]:
        """Tokenize B inputs of at most T tokens.

        Returns:
            ``input_ids`` and ``attention_mask`` (B, T), ``token_spans`` (B, T, 2): each token's characters, ``targets``
            (B, 2): those of the target word, ``is_gloss`` (B,).

        Raises:
            ValueError: an input is of none of the forms.
        """
        read = [self._read(one, prompt or "") for one in inputs]
        encoding = self.tokenizer(
            [one.text for one in read], truncation=True, max_length=self.max_tokens, return_offsets_mapping=True
        )
        if not all(encoding["input_ids"]):
            raise ValueError("an input has no token")
        ids = [torch.tensor(row) for row in encoding["input_ids"]]
        spans = [torch.tensor(row, dtype=torch.int32).view(-1, 2) for row in encoding["offset_mapping"]]
        return {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "token_spans": pad_sequence(spans, batch_first=True),
            "targets": torch.tensor([(one.start, one.end) for one in read]),
            "is_gloss": torch.tensor([one.is_gloss for one in read]),
        }

    def forward(self, features: dict[str, Any], **_options: Any) -> dict[str, Any]:
        """Add ``sentence_embedding`` (B, E), of unit length, to what ``preprocess`` returned."""
        lengths = features["attention_mask"].sum(dim=1).tolist()
        with _one_thread(features["input_ids"].device):
            states = self._hidden_states(features["input_ids"], lengths)
            spans = [row[:length] for row, length in zip(features["token_spans"].cpu(), lengths, strict=True)]
            marks = zip(features["targets"].tolist(), features["is_gloss"].tolist(), strict=True)
            inputs = [EncoderInput("", start, end, is_gloss) for (start, end), is_gloss in marks]
            table = torch.cat(states)
            offsets = torch.tensor([0, *lengths], device=table.device).cumsum(0)
            batch = TokenStates(inputs, table, offsets, torch.cat(spans), len(self.layers), self._below).gather(
                torch.arange(len(inputs), device=table.device)
            )
            return {**features, "sentence_embedding": self.head(batch).embedding}

    def _read(self, value: Any, prompt: str) -> EncoderInput:
        match value:
            case str():
                return EncoderInput(prompt + value)
            case {"text": str() as text, **rest} if not rest:
                return EncoderInput(prompt + text)
            case {"text": str() as text, "start": int() as start, "end": int() as end, **rest} if not rest:
                if not 0 <= start < end <= len(text):
                    raise ValueError(f"text[{start}:{end}] is no target word of {text!r}")
                return EncoderInput(prompt + text, start + len(prompt), end + len(prompt))
            case {"lemma": str() as lemma, "gloss": str() as gloss, **rest} if rest.keys() <= {"pos"}:
                pos = str(value.get("pos", ""))
                if not pos and "{pos}" in self.gloss_format:
                    raise ValueError(f"a sense is read as {self.gloss_format!r}: {value!r} lacks pos")
                text = self.gloss_format.format(lemma=lemma, gloss=gloss, pos=self.parts_of_speech.get(pos, pos))
                # its target word is the lemma in front, if it is there
                target = len(lemma) if self.gloss_format.startswith("{lemma}") else 0
                return EncoderInput(prompt + text, len(prompt), len(prompt) + target, is_gloss=True)
        raise ValueError(f"an input is one of {FORMS}; not {value!r}")

    def _hidden_states(self, ids: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """The joined layers of each text: ids (B, T) -> B tensors of (length, L x W) float16."""
        rows_of: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            rows_of.setdefault(length, []).append(row)
        # texts of one length together: padding would change last bits, and with them what is rounded to float16
        batches = [ids[rows, :length] for length, rows in rows_of.items()]
        if ids.device.type == "cpu":
            with ThreadPoolExecutor(_cores()) as pool:
                encoded = list(pool.map(self._encode, batches))
        else:
            encoded = [self._encode(batch) for batch in batches]
        by_row: dict[int, Tensor] = {}
        for rows, states in zip(rows_of.values(), encoded, strict=True):
            by_row.update(zip(rows, states, strict=True))
        return [by_row[row] for row in range(len(lengths))]

    @torch.no_grad()
    def _encode(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) without padding -> the hidden states of the layers read, (B, T, L x W) float16."""
        texts, length = ids.shape
        if ids.device.type == "cpu":  # the product of few rows sums in another order
            ids = torch.cat([ids, ids[-1:].expand(max(0, -(-self.cpu_least_tokens // length) - texts), -1)])
        hidden = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
        # the head was trained on states kept in float16
        half = torch.cat([hidden[layer] for layer in self._read_layers], dim=-1)[:texts].to(torch.float16)
        if not bool(half.isfinite().all()):
            raise ValueError("a hidden state is outside the range of float16, for which the head was trained")
        return half


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """On the CPU, run each operation in the block on one thread, as the run did: more change last bits."""
    previous = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(previous)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
