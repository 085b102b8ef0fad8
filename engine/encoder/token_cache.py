"""Cache of token states on disk: each text is encoded once per encoder, for all layers that are wanted of it.

Every layer has a folder of shards; a shard is named by the hash of its texts.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from engine.contract.durable import TEMPORARY_FILES, write_durably
from engine.contract.events import Progress
from engine.contract.file_lock import FileLock
from engine.encoder.encoder import Encoder, TextStates
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import TokenStates

_VERSION = "1"
_REPORT_EVERY = 512


class _Shard(NamedTuple):
    """An open shard, mapped into memory.

    states: (N, H) float16. offsets: (texts + 1,) int64. characters: (N, 2) int32. keys: of its texts, in order.
    """

    states: torch.Tensor
    offsets: torch.Tensor
    characters: torch.Tensor
    keys: list[bytes]


class TokenCache:
    """Token states of one encoder's layers, in ``folder``.

    A text's states do not depend on the texts encoded with it (see ``Encoder.encode``), so it does not matter which
    process wrote which shard.

    Args:
        folder: see ``cache_folder``.
        encoder: encodes missing texts.
        kept_layers: further layers to keep of the texts that are encoded; others read them.
    """

    def __init__(self, folder: Path, encoder: Encoder, kept_layers: Iterable[int] = ()) -> None:
        self.folder = folder
        self.encoder = encoder
        self._layers = dict.fromkeys(encoder.settings.cached_layers)
        self._kept_layers = sorted({*self._layers, *kept_layers})
        self._shards: dict[int, dict[str, _Shard]] = {layer: {} for layer in self._kept_layers}

    def fill(self, texts: Iterable[str]) -> Generator[Progress, None, None]:
        """Encode the missing ones of ``texts``, in one process at a time."""
        wanted = sorted(set(texts))
        if not self._missing(wanted):
            return
        lock = FileLock(self.folder / "lock")
        yield from acquire(lock)
        with lock:
            yield from share_progress(lock, self._fill(wanted))

    def _fill(self, wanted: Sequence[str]) -> Iterator[Progress]:
        """Encode the missing ones of ``wanted``; the caller holds the lock, so nobody else writes."""
        # broken shards and temporary files of killed writers
        for layer in self._kept_layers:
            for path in (*self._open_new_shards(layer), *_folder_of(self.folder, layer).glob(TEMPORARY_FILES)):
                path.unlink(missing_ok=True)
        # another process may have encoded some while this one waited
        missing = self._missing(wanted)
        done, total = 0, sum(map(len, missing.values()))
        for layers, texts in missing.items():
            for part in _split(texts, self.encoder.shape.shard_tokens(len(layers))):
                yield from self._write_shards(part, layers, done, total)
                done += len(part)

    def states(self, inputs: Iterable[EncoderInput], device: str = "cpu") -> TokenStates:
        """The token states of ``inputs``, encoding missing texts, as one table on ``device``, sorted."""
        wanted = sorted(set(inputs))
        texts = [one.text for one in wanted]
        for _ in self.fill(texts):
            pass
        settings = self.encoder.settings
        cached, lowest = settings.cached_layers, settings.input_layer
        layers = [self._pieces(layer, texts) for layer in cached]
        below = None if lowest is None else cached.index(lowest)
        states = [of_layer for of_layer, _ in layers]
        return TokenStates.from_layers(wanted, states, layers[0][1], device, len(settings.layers), below)

    def _pieces(self, layer: int, texts: Sequence[str]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Of each text the states of ``layer``, (T, H), and the character spans, (T, 2)."""
        locations, shards = self._locations(layer), self._shards[layer]
        states, characters = [], []
        for name, row in (locations[_key(text)] for text in texts):
            shard = shards[name]
            start, end = int(shard.offsets[row]), int(shard.offsets[row + 1])
            states.append(shard.states[start:end])
            characters.append(shard.characters[start:end])
        return states, characters

    def _missing(self, wanted: Sequence[str]) -> dict[tuple[int, ...], list[str]]:
        """The texts without one of the encoder's layers, by the layers to make of them: those to keep that they lack."""
        for layer in self._layers:
            self._open_new_shards(layer)
        own = [self._locations(layer) for layer in self._layers]
        if not (lacking := [text for text in wanted if any(_key(text) not in known for known in own)]):
            return {}
        for layer in self._kept_layers:
            self._open_new_shards(layer)
        known = {layer: self._locations(layer) for layer in self._kept_layers}
        missing: dict[tuple[int, ...], list[str]] = {}
        for text in lacking:
            layers = tuple(layer for layer in self._kept_layers if _key(text) not in known[layer])
            missing.setdefault(layers, []).append(text)
        return missing

    def _locations(self, layer: int) -> dict[bytes, tuple[str, int]]:
        """Shard of ``layer`` and row of each text, by the text's key."""
        return {key: (name, row) for name, shard in self._shards[layer].items() for row, key in enumerate(shard.keys)}

    def _open_new_shards(self, layer: int) -> list[Path]:
        """Open shards written since the last call; returns the broken ones, whose texts count as missing."""
        broken, shards = [], self._shards[layer]
        for path in sorted(_folder_of(self.folder, layer).glob("*.safetensors")):
            if path.name in shards:
                continue
            if (shard := _open(path)) is None:
                broken.append(path)
            else:
                shards[path.name] = shard
        return broken

    def _write_shards(self, texts: list[str], layers: tuple[int, ...], before: int, total: int) -> Iterator[Progress]:
        """Encode ``texts`` into one shard of each of ``layers``, named by the hash of their list."""
        encoded: dict[int, TextStates] = {}
        yield Progress(before, total, "texts")
        for count, (index, states) in enumerate(self.encoder.encode(texts, layers), start=1):
            encoded[index] = states
            if count % _REPORT_EVERY == 0:
                yield Progress(before + count, total, "texts")
        in_order = [encoded[index] for index in range(len(texts))]
        name = f"{hashlib.sha256(json.dumps(texts).encode()).hexdigest()}.safetensors"
        for at, layer in enumerate(layers):
            folder = _folder_of(self.folder, layer)
            folder.mkdir(exist_ok=True)
            of_layer = [TextStates(np.split(one.states, len(layers), axis=1)[at], one.characters) for one in in_order]
            write_durably(folder / name, _shard_bytes(texts, of_layer))
            self._open_new_shards(layer)
        yield Progress(before + len(texts), total, "texts")


def acquire(lock: FileLock) -> Iterator[Progress]:
    """Acquire ``lock``; meanwhile yield its holder's progress, which is the lock's note, whenever that changes."""
    for note, _ in groupby(lock.waiting()):
        match note.split(maxsplit=2):
            case done, total, unit if done.isdecimal() and total.isdecimal():
                yield Progress(int(done), int(total), unit)


def share_progress(lock: FileLock, work: Iterator[Progress]) -> Iterator[Progress]:
    """Yield the progress of ``work``, and note it in ``lock`` for the processes that wait for it."""
    for progress in work:
        lock.note(f"{progress.done} {progress.total} {progress.unit}")
        yield progress


def _split(texts: list[str], tokens: int) -> list[list[str]]:
    """Split a long list into shards of about ``tokens`` tokens; a token is about four characters.

    A shard is in memory, in several copies, while it is written, and is what a killed process loses at most.
    """
    parts: list[list[str]] = []
    room = 0
    for text in texts:
        if not parts or room <= 0:
            parts.append([])
            room = tokens
        parts[-1].append(text)
        room -= len(text) // 4 + 2
    return parts


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _shard_bytes(texts: Sequence[str], encoded: Sequence[TextStates]) -> bytes:
    lengths = [len(states.states) for states in encoded]
    tensors = {
        "states": np.concatenate([states.states for states in encoded]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "characters": np.concatenate([states.characters for states in encoded]),
        "keys": np.frombuffer(b"".join(_key(text) for text in texts), dtype=np.uint8).reshape(-1, 16),
    }
    # one metadata key only: safetensors orders several at random, and a shard must have the same bytes each time
    return save(tensors, {"shard": _version_and_checksum(tensors.values())})


def _version_and_checksum(arrays: Iterable[np.ndarray]) -> str:
    """Metadata of a shard: the format's version and a CRC-32 of the content."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, value)
    return f"{_VERSION} {value:08x}"


def _open(path: Path) -> _Shard | None:
    """Map a shard into memory; None when it is truncated, altered or of another version.

    Raises:
        OSError: it could not be read; its content may be good.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = [file.get_tensor(name) for name in ("states", "offsets", "characters", "keys")]
    except (FileNotFoundError, SafetensorError, ValueError):
        return None
    states, offsets, characters, keys = tensors
    if metadata.get("shard") != _version_and_checksum(tensor.numpy() for tensor in tensors):
        return None
    raw = keys.numpy().tobytes()
    return _Shard(states, offsets, characters, [raw[start : start + 16] for start in range(0, len(raw), 16)])


def _folder_of(folder: Path, layer: int) -> Path:
    return folder / f"layer{layer}"


def cache_folder(workspace: Path, encoder: Encoder) -> Path:
    """The folder in ``workspace`` for the token states of all layers of ``encoder``; created when missing.

    Each kind of device has its own folder, because states differ in the last bits between CPU and CUDA.
    """
    folder = workspace / "cache" / f"{encoder.model_fingerprint}-{encoder.device}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
