"""Preparation step: dataset and token states of a run, made once per workspace and shared by its runs."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.contract.durable import write_durably
from engine.contract.events import Body, Progress, Stage
from engine.contract.experiment import EncoderSettings
from engine.contract.file_lock import FileLock
from engine.contract.settings import Settings
from engine.data.build import Report, build_all, build_key
from engine.data.bundles.encoder_text import Embed, encoder_inputs_of
from engine.data.dataset_files import load, load_confirm
from engine.data.formats.user_dataset import prepare_user_dataset, user_dataset_key
from engine.data.formats.user_files import read_user_files
from engine.data.records import Dataset
from engine.data.wordnet.database import REQUIRED, find_wordnet, read_wordnet
from engine.encoder.encoder import Encoder
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_cache import TokenCache, acquire, cache_folder, share_progress
from engine.encoder.token_states import TokenStates
from engine.model.embedding import mean_pool_of


class Prepared(NamedTuple):
    """What training and evaluation read; tensors are on the encoder's device.

    dataset: bundles and evaluation items. encoder: the frozen encoder. states: token states of all that the run reads.
    """

    dataset: Dataset
    encoder: Encoder
    states: TokenStates


def prepare(
    settings: Settings,
    workspace: Path,
    device: str,
    files: Mapping[str, Path] | None = None,
    check: Callable[[Dataset, Encoder], object] | None = None,
    encoders: Sequence[EncoderSettings] = (),
    *,
    confirm: bool = False,
) -> Generator[Body, None, Prepared]:
    """Make or find the dataset of ``settings``, and encode the texts in it that are not in the workspace's cache.

    Args:
        workspace, device, files, encoders: as for ``run_pipeline``.
        check: called before anything is encoded, which may take long; raises BadInput if the run must not continue.
        confirm: read the sealed confirm split in the place of the evaluation, after ``check``.

    Raises:
        BadInput: the encoder cannot be used, or as ``prepare_dataset`` and ``check``.
    """
    encoders = (settings.reference_encoder, settings.encoder, *encoders)
    reference = reference_cache(settings, workspace, device, encoders)
    encoder = Encoder(settings.encoder, device)
    if settings.encoder.trained_layers:
        encoder.top_layers(settings.seed)  # before anything is built: the architecture may not be known
    cache = _cache(encoder, workspace, encoders)

    yield Stage("data", "own files" if settings.edition is None else f"edition {settings.edition}")
    folder = yield from prepare_dataset(settings, workspace, reference, files)
    dataset = load(folder, settings.bundle_set)
    if check is not None:
        check(dataset, encoder)
    if confirm:
        dataset = load_confirm(folder, settings.bundle_set)

    inputs = encoder_inputs_of(dataset, settings.model.sense_text, glosses=settings.training.gloss_weight > 0)
    texts = {one.text for one in inputs}
    yield Stage("encode", f"{len(texts)} texts")
    yield from cache.fill(texts)
    return Prepared(dataset, encoder, cache.states(inputs, device))


def reference_cache(
    settings: Settings, workspace: Path, device: str, encoders: Sequence[EncoderSettings] = ()
) -> TokenCache:
    """The token states behind the similarities of a dataset, those of the reference encoder.

    Raises:
        BadInput: the reference encoder cannot be used.
    """
    encoder = Encoder(settings.reference_encoder, device, "data.reference_encoder")
    return _cache(encoder, workspace, encoders)


def _cache(encoder: Encoder, workspace: Path, encoders: Sequence[EncoderSettings]) -> TokenCache:
    """The cache of ``encoder``, that keeps all layers which ``encoders`` name of the same model."""
    own = (encoder.settings.model, encoder.max_tokens)
    same = [one for one in encoders if (one.model, encoder.shape.tokens_read(one.max_tokens)) == own]
    named = {layer for one in same for layer in one.cached_layers}
    # another condition may name a layer that is not there: that run fails, not this one
    kept = [layer for layer in named if layer <= encoder.shape.layers]
    return TokenCache(cache_folder(workspace, encoder), encoder, kept)


def prepare_dataset(
    settings: Settings, workspace: Path, reference: TokenCache, files: Mapping[str, Path] | None = None
) -> Generator[Progress, None, Path]:
    """The folder of the dataset that ``settings`` describe; made first when it is missing.

    One process makes it; the others wait for it. The folder appears complete or not at all. Users' files are read before
    anything is built, because a build takes minutes and a wrong file should show at once.

    Args:
        workspace, files: as for ``run_pipeline``.
        reference: see ``reference_cache``.

    Raises:
        BadInput: there is no usable WordNet where one is needed, a named file cannot be used, or the slice holds nothing.
    """
    folder, fingerprint = workspace / "data", reference.encoder.fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    built = _existing_build(settings, folder, fingerprint)
    if not settings.inputs:
        return built or (yield from _built_dataset(settings, folder, reference, lock))
    if built or not settings.needs_wordnet:
        own = folder / user_dataset_key(settings, built, fingerprint)
        if own.is_dir():
            return own
    user_files = read_user_files(settings.inputs, files or {})
    if settings.needs_wordnet and built is None:
        built = yield from _built_dataset(settings, folder, reference, lock)
    own = folder / user_dataset_key(settings, built, fingerprint)

    def make(embed: Embed, report: Report) -> None:
        prepare_user_dataset(settings, user_files, built, embed, fingerprint, own, report)

    if not own.is_dir():
        yield from acquire(lock)
        with lock:
            if not own.is_dir():
                yield from _make(make, reference, lock)
    return own


def _built_dataset(
    settings: Settings, folder: Path, reference: TokenCache, lock: FileLock
) -> Generator[Progress, None, Path]:
    """The folder of the dataset built from WordNet."""
    source, fingerprint = find_wordnet(os.environ), reference.encoder.fingerprint
    data, seed, synthetics = settings.data, settings.data_seed, settings.synthetics
    yield from acquire(lock)
    with lock:
        wordnet = read_wordnet(source)
        write_durably(folder / "wordnet.json", msgspec.json.encode({_signature(source): wordnet.fingerprint}))
        built = folder / build_key(data, seed, synthetics, wordnet.fingerprint, fingerprint)

        def make(embed: Embed, report: Report) -> None:
            build_all(data, seed, synthetics, wordnet, embed, fingerprint, built, report)

        if not built.is_dir():
            yield from _make(make, reference, lock)
    return built


def _existing_build(settings: Settings, folder: Path, fingerprint: str) -> Path | None:
    """The folder of the dataset built from WordNet, if one is needed and known to exist without reading WordNet."""
    remembered = _remembered_fingerprint(folder, find_wordnet(os.environ)) if settings.needs_wordnet else None
    if not remembered:
        return None
    built = folder / build_key(settings.data, settings.data_seed, settings.synthetics, remembered, fingerprint)
    return built if built.is_dir() else None


def _make(make: Callable[[Embed, Report], None], cache: TokenCache, lock: FileLock) -> Iterator[Progress]:
    """Run ``make`` in a thread, under the held ``lock``, with an ``embed`` that reports what it encodes."""

    def work(report: Report) -> None:
        def embed(texts: Sequence[str]) -> NDArray[np.float32]:
            """Frozen mean pooling, (texts, H), unit rows."""
            for progress in cache.fill(texts):
                report(progress.done, progress.total, progress.unit)
            inputs = [EncoderInput(text) for text in texts]
            states = cache.states(inputs)
            vectors: NDArray[np.float32] = mean_pool_of(states, states.rows(inputs)).numpy()
            return vectors

        make(embed, report)

    return share_progress(lock, progress_of(work))


def progress_of(work: Callable[[Report], None]) -> Iterator[Progress]:
    """Run ``work(report)`` in a thread; yield what it reports, and raise its exception.

    Closing the generator early does not stop the work, which ends by itself or with the process.
    """
    queue: SimpleQueue[Progress | None] = SimpleQueue()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work(lambda done, total, unit: queue.put(Progress(done, total, unit)))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the calling thread
            failure.append(error)
        finally:
            queue.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (progress := queue.get()) is not None:
        yield progress
    if failure:
        raise failure[0]


def _remembered_fingerprint(folder: Path, source: Path) -> str | None:
    """WordNet's fingerprint from the last time, or None when a file's size or time has changed; reading it takes seconds."""
    try:
        fingerprints = msgspec.json.decode((folder / "wordnet.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return None
    return fingerprints.get(_signature(source))


def _signature(source: Path) -> str:
    """SHA-256 of the paths, sizes and modification times of WordNet's files."""
    digest = hashlib.sha256()
    for name in REQUIRED:
        stat = (source / name).stat()
        digest.update(f"{source.resolve() / name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
