"""The data of a workspace: built once for all the runs that ask the same of it, then read."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.contract.durable import write_durably
from engine.contract.events import Progress
from engine.contract.file_lock import FileLock
from engine.contract.settings import Settings
from engine.data.build import build_all, build_key
from engine.data.bundles.encoder_text import Embed
from engine.data.formats.own_dataset import own_key, prepare_own
from engine.data.wordnet.database import REQUIRED, WordNet, find_wordnet, read_wordnet
from engine.encoder.token_cache import TokenCache
from engine.model.embed import mean_pool_all

Report = TypeVar("Report")
Result = TypeVar("Result")


def reports_of(work: Callable[[Callable[[Report], None]], Result]) -> Generator[Report, None, Result]:
    """Run ``work(report)`` in a thread; yield what it reports; return its result or raise its exception.

    Closing the generator early does not stop the work: that ends by itself or with the process.
    """
    queue: SimpleQueue[Report | None] = SimpleQueue()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work(queue.put))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failure.append(error)
        finally:
            queue.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while (said := queue.get()) is not None:
        yield said
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def prepare(
    settings: Settings, workspace: Path, cache: TokenCache, files: Mapping[str, Path] | None = None
) -> Generator[Progress, None, Path]:
    """The folder of the data that ``settings`` ask for, made first when it is missing.

    One process makes it; the others wait for it. It is there whole or not at all.

    Args:
        settings: name the edition, or files of the user's own, and how much of them to take.
        workspace: keeps it for all the runs.
        cache: the token states that similarities come from.
        files: where the files that ``settings`` name lie, by SHA-256.

    Raises:
        BadInput: there is no usable WordNet where one is needed, a named file cannot be used, or the slice holds nothing.
    """
    folder = workspace / "data"
    folder.mkdir(parents=True, exist_ok=True)
    built = (yield from _built(settings, folder, cache)) if settings.builds else None
    if built is not None and not settings.inputs:
        return built
    fingerprint = cache.encoder.fingerprint
    own = folder / own_key(settings, built, fingerprint)
    if own.is_dir():
        return own
    lock = FileLock(folder / "lock")
    yield from _waiting(lock)
    with lock:
        if not own.is_dir():

            def work(report: Callable[[Progress], None]) -> None:
                embed = _embedding(cache, report)
                prepare_own(settings, files or {}, built, embed, fingerprint, own, _saying(report))

            yield from _noted(lock, reports_of(work))
    return own


def _built(settings: Settings, folder: Path, cache: TokenCache) -> Generator[Progress, None, Path]:
    """The folder of what is built from WordNet."""
    source = find_wordnet(os.environ)
    known = _known_fingerprint(folder, source)
    if known and (built := folder / _key(settings, known, cache)).is_dir():
        return built
    lock = FileLock(folder / "lock")
    yield from _waiting(lock)
    with lock:
        wordnet = read_wordnet(source)
        _remember_fingerprint(folder, source, wordnet.fingerprint)
        built = folder / _key(settings, wordnet.fingerprint, cache)
        if not built.is_dir():
            yield from _noted(lock, reports_of(partial(_build, settings, wordnet, cache, built)))
    return built


def _waiting(lock: FileLock) -> Generator[Progress, None, None]:
    """Acquire ``lock``, telling meanwhile how far its holder is."""
    for note in lock.waiting():
        done, _, rest = note.partition(" ")
        total, _, unit = rest.partition(" ")
        if done.isdigit() and total.isdigit():
            yield Progress(int(done), int(total), unit)


def _noted(lock: FileLock, work: Generator[Progress, None, None]) -> Generator[Progress, None, None]:
    """Pass on how far ``work`` is, to those who wait as well."""
    for progress in work:
        lock.note(f"{progress.done} {progress.total} {progress.unit}")
        yield progress


def _key(settings: Settings, wordnet: str, cache: TokenCache) -> str:
    return build_key(settings.data, settings.data_seed, settings.synthetics, wordnet, cache.encoder.fingerprint)


def _build(
    settings: Settings, wordnet: WordNet, cache: TokenCache, folder: Path, report: Callable[[Progress], None]
) -> None:
    embed, fingerprint = _embedding(cache, report), cache.encoder.fingerprint
    build_all(
        settings.data, settings.data_seed, settings.synthetics, wordnet, embed, fingerprint, folder, _saying(report)
    )


def _embedding(cache: TokenCache, report: Callable[[Progress], None]) -> Embed:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        """Frozen mean pooling, (texts, H), unit rows."""
        for progress in cache.fill(texts):
            report(progress)
        states = cache.states(texts)
        vectors: NDArray[np.float32] = mean_pool_all(states)[states.rows(texts)].numpy()
        return vectors

    return embed


def _saying(report: Callable[[Progress], None]) -> Callable[[int, int, str], None]:
    return lambda done, total, unit: report(Progress(done, total, unit))


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
