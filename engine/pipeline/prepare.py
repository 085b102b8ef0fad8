"""Preparation step: dataset and token states of a run, made once per workspace and shared by its runs."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.contract.durable import write_durably
from engine.contract.events import Body, Progress, Stage
from engine.contract.file_lock import FileLock
from engine.contract.settings import Settings
from engine.data.build import build_all, build_key
from engine.data.bundles.encoder_text import Embed, encoder_texts_of
from engine.data.dataset_files import load
from engine.data.formats.user_dataset import prepare_user_dataset, user_dataset_key
from engine.data.records import Dataset
from engine.data.wordnet.database import REQUIRED, WordNet, find_wordnet, read_wordnet
from engine.encoder.encoder import Encoder
from engine.encoder.token_cache import TokenCache, cache_folder
from engine.encoder.token_states import TokenStates
from engine.model.embedding import mean_pool_all

Report = TypeVar("Report")
Result = TypeVar("Result")


class Prepared(NamedTuple):
    """What training and evaluation read; tensors are on the encoder's device.

    dataset: bundles and evaluation items. encoder: the frozen encoder. states: token states of all the dataset's texts.
    mean_pool: (texts, H) float32, their frozen mean pooling, unit rows.
    """

    dataset: Dataset
    encoder: Encoder
    states: TokenStates
    mean_pool: Tensor


def prepare(
    settings: Settings, workspace: Path, device: str, files: Mapping[str, Path] | None = None
) -> Generator[Body, None, Prepared]:
    """Make or find the dataset of ``settings``, and encode the texts in it that are not in the workspace's cache.

    Args:
        workspace: holds what runs share.
        device: ``cpu`` or ``cuda``.
        files: paths of the user's own files that ``settings`` name, by SHA-256.

    Raises:
        BadInput: the encoder cannot be used, or as ``prepare_dataset``.
    """
    encoder = Encoder(settings.encoder, device)
    cache = TokenCache(cache_folder(workspace, encoder), encoder)

    yield Stage("data", "own files" if settings.edition is None else f"edition {settings.edition}")
    dataset = load((yield from prepare_dataset(settings, workspace, cache, files)), settings.bundle_set)

    texts = encoder_texts_of(dataset)
    yield Stage("encode", f"{len(texts)} texts")
    yield from cache.fill(texts)
    states = cache.states(texts, device)
    return Prepared(dataset, encoder, states, mean_pool_all(states))


def prepare_dataset(
    settings: Settings, workspace: Path, cache: TokenCache, files: Mapping[str, Path] | None = None
) -> Generator[Progress, None, Path]:
    """The folder of the dataset that ``settings`` describe; made first when it is missing.

    One process makes it; the others wait for it. The folder appears complete or not at all.

    Args:
        settings: name the edition, or files of the user's own, and how much of them to take.
        workspace: holds datasets for all runs.
        cache: token states, for similarities between texts.
        files: paths of the user's own files that ``settings`` name, by SHA-256.

    Raises:
        BadInput: there is no usable WordNet where one is needed, a named file cannot be used, or the slice holds nothing.
    """
    folder = workspace / "data"
    folder.mkdir(parents=True, exist_ok=True)
    built = (yield from _built_dataset(settings, folder, cache)) if settings.needs_wordnet else None
    if built is not None and not settings.inputs:
        return built
    fingerprint = cache.encoder.fingerprint
    own = folder / user_dataset_key(settings, built, fingerprint)
    if own.is_dir():
        return own
    lock = FileLock(folder / "lock")
    yield from _acquire(lock)
    with lock:
        if not own.is_dir():

            def work(report: Callable[[Progress], None]) -> None:
                embed = _mean_pool_embedder(cache, report)
                prepare_user_dataset(settings, files or {}, built, embed, fingerprint, own, _progress_reporter(report))

            yield from _share_progress(lock, reports_of(work))
    return own


def _built_dataset(settings: Settings, folder: Path, cache: TokenCache) -> Generator[Progress, None, Path]:
    """The folder of the dataset built from WordNet."""
    source = find_wordnet(os.environ)
    remembered = _remembered_fingerprint(folder, source)
    if remembered and (built := folder / _key(settings, remembered, cache)).is_dir():
        return built
    lock = FileLock(folder / "lock")
    yield from _acquire(lock)
    with lock:
        wordnet = read_wordnet(source)
        _remember_fingerprint(folder, source, wordnet.fingerprint)
        built = folder / _key(settings, wordnet.fingerprint, cache)
        if not built.is_dir():
            yield from _share_progress(lock, reports_of(partial(_build, settings, wordnet, cache, built)))
    return built


def _acquire(lock: FileLock) -> Generator[Progress, None, None]:
    """Acquire ``lock``; meanwhile yield its holder's progress, which is the lock's note."""
    for note in lock.waiting():
        done, _, rest = note.partition(" ")
        total, _, unit = rest.partition(" ")
        if done.isdigit() and total.isdigit():
            yield Progress(int(done), int(total), unit)


def _share_progress(lock: FileLock, work: Generator[Progress, None, None]) -> Generator[Progress, None, None]:
    """Yield the progress of ``work``, and note it in ``lock`` for the processes that wait for it."""
    for progress in work:
        lock.note(f"{progress.done} {progress.total} {progress.unit}")
        yield progress


def _key(settings: Settings, wordnet: str, cache: TokenCache) -> str:
    return build_key(settings.data, settings.data_seed, settings.synthetics, wordnet, cache.encoder.fingerprint)


def reports_of(work: Callable[[Callable[[Report], None]], Result]) -> Generator[Report, None, Result]:
    """Run ``work(report)`` in a thread; yield its reports; return its result or raise its exception.

    Closing the generator early does not stop the work, which ends by itself or with the process.
    """
    queue: SimpleQueue[Report | None] = SimpleQueue()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work(queue.put))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the calling thread
            failure.append(error)
        finally:
            queue.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while (one := queue.get()) is not None:
        yield one
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _build(
    settings: Settings, wordnet: WordNet, cache: TokenCache, folder: Path, report: Callable[[Progress], None]
) -> None:
    embed, fingerprint = _mean_pool_embedder(cache, report), cache.encoder.fingerprint
    build_all(
        settings.data,
        settings.data_seed,
        settings.synthetics,
        wordnet,
        embed,
        fingerprint,
        folder,
        _progress_reporter(report),
    )


def _mean_pool_embedder(cache: TokenCache, report: Callable[[Progress], None]) -> Embed:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        """Frozen mean pooling, (texts, H), unit rows."""
        for progress in cache.fill(texts):
            report(progress)
        states = cache.states(texts)
        vectors: NDArray[np.float32] = mean_pool_all(states)[states.rows(texts)].numpy()
        return vectors

    return embed


def _progress_reporter(report: Callable[[Progress], None]) -> Callable[[int, int, str], None]:
    return lambda done, total, unit: report(Progress(done, total, unit))


def _remembered_fingerprint(folder: Path, source: Path) -> str | None:
    """WordNet's fingerprint from the last time, or None when a file's size or time has changed; reading it takes seconds."""
    try:
        fingerprints = msgspec.json.decode((folder / "wordnet.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return None
    return fingerprints.get(_signature(source))


def _remember_fingerprint(folder: Path, source: Path, fingerprint: str) -> None:
    write_durably(folder / "wordnet.json", msgspec.json.encode({_signature(source): fingerprint}))


def _signature(source: Path) -> str:
    """SHA-256 of the paths, sizes and modification times of WordNet's files."""
    digest = hashlib.sha256()
    for name in REQUIRED:
        stat = (source / name).stat()
        digest.update(f"{source.resolve() / name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
