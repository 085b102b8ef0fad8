"""Token states on disk: each unique text is encoded once per encoder, in content-addressed shards."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Generator, Iterable, Sequence
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
from engine.encoder.token_states import TokenStates

_VERSION = "1"
_SHARD_TOKENS = 200_000
_REPORT_EVERY = 512


class _Shard(NamedTuple):
    """An open shard, mapped into memory: (N, H) f16, (texts + 1,) i64, (N, 2) i32, and its texts' keys in order."""

    states: torch.Tensor
    offsets: torch.Tensor
    characters: torch.Tensor
    keys: list[bytes]


class TokenCache:
    """The token states of one encoder under ``folder``.

    A text's states do not depend on its companions (see ``Encoder.encode``), so what a reader gets depends on the texts
    it asks for and never on which shards were made before.

    Args:
        folder: see ``cache_folder``.
        encoder: makes what is missing.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.folder = folder
        self.encoder = encoder
        self._shards: dict[str, _Shard] = {}

    def fill(self, texts: Iterable[str]) -> Generator[Progress, None, int]:
        """Encode what is missing of ``texts``, in one process at a time; returns how many texts this call encoded."""
        wanted = sorted(set(texts))
        if not self._missing(wanted):
            return 0
        lock = FileLock(self.folder / "lock")
        for note in lock.waiting():
            if (said := note.split()) and all(word.isdigit() for word in said):
                yield Progress(int(said[0]), int(said[-1]), "texts")
        with lock:
            self._tidy()
            missing = self._missing(wanted)
            done = 0
            for part in _parts(missing):
                for progress in self._make(part, done, len(missing)):
                    lock.note(f"{progress.done} {progress.total}")
                    yield progress
                done += len(part)
            return len(missing)

    def states(self, texts: Iterable[str], device: str = "cpu") -> TokenStates:
        """The token states of ``texts``, encoding what is missing, as one table on ``device``."""
        wanted = sorted(set(texts))
        for _ in self.fill(wanted):
            pass
        places = self._places()
        pieces = [_slice(self._shards[name], row) for name, row in (places[_key(text)] for text in wanted)]
        return TokenStates.from_pieces(wanted, [p[0] for p in pieces], [p[1] for p in pieces], device)

    def _missing(self, wanted: Sequence[str]) -> list[str]:
        self._open_new_shards()
        places = self._places()
        return [text for text in wanted if _key(text) not in places]

    def _places(self) -> dict[bytes, tuple[str, int]]:
        return {key: (name, row) for name, shard in self._shards.items() for row, key in enumerate(shard.keys)}

    def _open_new_shards(self) -> list[Path]:
        """Open shards that appeared since; returns those that are broken, whose texts count as missing."""
        broken = []
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name in self._shards:
                continue
            if (shard := _open(path)) is None:
                broken.append(path)
            else:
                self._shards[path.name] = shard
        return broken

    def _tidy(self) -> None:
        """Remove broken shards and what a killed writer left; only who holds the lock may, as nobody else writes then."""
        for path in (*self._open_new_shards(), *self.folder.glob(TEMPORARY_FILES)):
            path.unlink(missing_ok=True)

    def _make(self, texts: list[str], before: int, total: int) -> Generator[Progress, None, None]:
        """Encode ``texts`` into one shard named by their list."""
        made: dict[int, TextStates] = {}
        yield Progress(before, total, "texts")
        for count, (index, states) in enumerate(self.encoder.encode(texts), start=1):
            made[index] = states
            if count % _REPORT_EVERY == 0:
                yield Progress(before + count, total, "texts")
        content = _shard_bytes(texts, [made[index] for index in range(len(texts))])
        write_durably(self.folder / f"{_list_key(texts)}.safetensors", content)
        self._open_new_shards()
        yield Progress(before + len(texts), total, "texts")


def _parts(texts: list[str]) -> list[list[str]]:
    """Cut a long list into shards; a token is about four characters.

    One shard is in memory, several times over, while it is made, and is all that a process killed meanwhile loses.
    """
    parts: list[list[str]] = []
    room = 0
    for text in texts:
        if not parts or room <= 0:
            parts.append([])
            room = _SHARD_TOKENS
        parts[-1].append(text)
        room -= len(text) // 4 + 2
    return parts


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _list_key(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _shard_bytes(texts: Sequence[str], made: Sequence[TextStates]) -> bytes:
    lengths = [len(states.states) for states in made]
    tensors = {
        "states": np.concatenate([states.states for states in made]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "characters": np.concatenate([states.characters for states in made]),
        "keys": np.frombuffer(b"".join(_key(text) for text in texts), dtype=np.uint8).reshape(-1, 16),
    }
    # one key only: the library writes several in an order of its own, and a shard's bytes are to be the same each time
    return save(tensors, {"shard": _mark(tensors.values())})


def _mark(arrays: Iterable[np.ndarray]) -> str:
    """The format's version and a checksum of the content."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, value)
    return f"{_VERSION} {value:08x}"


def _open(path: Path) -> _Shard | None:
    """A shard mapped into memory, or None when it is truncated, altered or of another version.

    Raises:
        OSError: it could not be read, which says nothing about its content.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = [file.get_tensor(name) for name in ("states", "offsets", "characters", "keys")]
    except (FileNotFoundError, SafetensorError, ValueError):
        return None
    states, offsets, characters, keys = tensors
    if metadata.get("shard") != _mark(tensor.numpy() for tensor in tensors):
        return None
    raw = keys.numpy().tobytes()
    return _Shard(states, offsets, characters, [raw[start : start + 16] for start in range(0, len(raw), 16)])


def _slice(shard: _Shard, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    start, end = int(shard.offsets[row]), int(shard.offsets[row + 1])
    return shard.states[start:end], shard.characters[start:end]


def cache_folder(workspace: Path, encoder: Encoder) -> Path:
    """Where ``workspace`` keeps the token states of ``encoder``; made when missing.

    Each kind of device has its own: their states differ in the last bits, and a run is to get those of its own.
    """
    folder = workspace / "cache" / f"{encoder.fingerprint}-{encoder.device}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
