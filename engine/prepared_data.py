"""The data of a workspace: built once for all the runs that ask the same of it, then read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.background import reports_of
from engine.contract.durable import write_durably
from engine.contract.events import Progress
from engine.contract.experiment import Settings
from engine.contract.file_lock import FileLock
from engine.data.build import build_all, build_key
from engine.data.wordnet import REQUIRED, WordNet, find_wordnet, read_wordnet
from engine.encoder.token_cache import TokenCache
from engine.model.embed import mean_pool_all


def prepare(settings: Settings, workspace: Path, cache: TokenCache) -> Generator[Progress, None, Path]:
    """The folder of the data that ``settings`` ask for, built first when it is missing.

    One process builds; the others wait for it. A build is there whole or not at all.

    Raises:
        BadInput: there is no usable WordNet, or the slice holds nothing.
    """
    source = find_wordnet(os.environ)
    folder = workspace / "data"
    folder.mkdir(parents=True, exist_ok=True)
    known = _known_fingerprint(folder, source)
    if known and (built := folder / _key(settings, known, cache)).is_dir():
        return built
    lock = FileLock(folder / "lock")
    for note in lock.waiting():
        done, _, rest = note.partition(" ")
        total, _, unit = rest.partition(" ")
        if done.isdigit() and total.isdigit():
            yield Progress(int(done), int(total), unit)
    with lock:
        wordnet = read_wordnet(source)
        _remember_fingerprint(folder, source, wordnet.fingerprint)
        built = folder / _key(settings, wordnet.fingerprint, cache)
        if not built.is_dir():
            work = partial(_build, settings, wordnet, cache, built)
            for progress in reports_of(work):
                lock.note(f"{progress.done} {progress.total} {progress.unit}")
                yield progress
    return built


def _key(settings: Settings, wordnet: str, cache: TokenCache) -> str:
    return build_key(settings.data, settings.data_seed, wordnet, cache.encoder.fingerprint)


def _build(
    settings: Settings, wordnet: WordNet, cache: TokenCache, folder: Path, report: Callable[[Progress], None]
) -> None:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        """Frozen mean pooling, (texts, H), unit rows."""
        for progress in cache.fill(texts):
            report(progress)
        states = cache.states(texts)
        vectors: NDArray[np.float32] = mean_pool_all(states)[states.rows(texts)].numpy()
        return vectors

    def say(done: int, total: int, unit: str) -> None:
        report(Progress(done, total, unit))

    build_all(settings.data, settings.data_seed, wordnet, embed, cache.encoder.fingerprint, folder, say)


def _known_fingerprint(folder: Path, source: Path) -> str | None:
    """WordNet's fingerprint as remembered, if its files have the sizes and times they had then: reading it takes seconds."""
    try:
        known = msgspec.json.decode((folder / "wordnet.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return None
    return known.get(_signature(source))


def _remember_fingerprint(folder: Path, source: Path, fingerprint: str) -> None:
    write_durably(folder / "wordnet.json", msgspec.json.encode({_signature(source): fingerprint}))


def _signature(source: Path) -> str:
    digest = hashlib.sha256()
    for name in REQUIRED:
        stat = (source / name).stat()
        digest.update(f"{source.resolve() / name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
