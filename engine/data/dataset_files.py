"""The files of a dataset folder: one JSON record a line, and a manifest with their hashes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, TypeVar

import msgspec
from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_dir_atomically
from engine.contract.experiment import WORDNET_DEVELOPMENT
from engine.contract.validation_words import error_in_words
from engine.data.records import (
    NO_ITEMS,
    AttentionProbe,
    Bundle,
    CoherenceItem,
    Dataset,
    DevelopmentSet,
    FrozenEvaluation,
    Killer,
    Rejected,
    RetrievalItem,
    UsageEvent,
)

MANIFEST = "manifest.json"
RETRIEVAL, COHERENCE, KILLERS, ATTENTION = "retrieval.jsonl", "coherence.jsonl", "killers.jsonl", "attention.jsonl"
EVALUATION = (RETRIEVAL, COHERENCE, KILLERS, ATTENTION)
CONFIRM = ("confirm_retrieval.jsonl", "confirm_coherence.jsonl", "confirm_killers.jsonl")
"""Retrieval items, coherence items and killers of the sealed confirm split."""
DEV, REJECTED = "dev.jsonl", "rejected.ndjson"
GLOSSES, DEV_RETRIEVAL, DEV_COHERENCE = "glosses.jsonl", "dev_retrieval.jsonl", "dev_coherence.jsonl"
WITH_EVERY_EDITION = (DEV, GLOSSES, DEV_RETRIEVAL, DEV_COHERENCE)
"""What a run reads beside the bundles of its edition; part of each data fingerprint."""
USER_DEVELOPMENT = "development.jsonl"
"""The user's development sets, one a line, where he names some; then part of each data fingerprint, too."""

Record = TypeVar(
    "Record", Bundle, RetrievalItem, CoherenceItem, Killer, AttentionProbe, Rejected, UsageEvent, DevelopmentSet
)
Manifest = TypeVar("Manifest", bound=Struct)


class DataManifest(Struct, frozen=True):
    """The manifest of a dataset folder: its sources, counts, hashes and fingerprints.

    Attributes:
        key: hash of everything that determines the content; names the folder.
        builder_version, data_seed, slice, verification: the settings it was built with.
        wordnet_fingerprint, encoder_fingerprint: its sources.
        sha256: of every file, by name.
        data_fingerprints: by edition, of its bundles, the glosses and the development data.
        eval_fingerprint: of the frozen evaluation; scores under different ones are never compared.
        confirm_fingerprint: of the sealed confirm split; "" where there is none.
        lemmas: count per split.
        records: count per file.
        tiers: count per tier, by file.
        tier_cuts: the least danger of tier 2 and of tier 3 in the v2.3 edition, among the negatives that training compares.
        adversarial: count of adversarial bundles in the v2.3 edition.
        nearest_other_lemma: median and 5th percentile of an anchor's similarity to its nearest cross-lemma negative in
            the v2.3 edition.
        synthetics: count of synthetic contexts accepted, and rejected by reason.
        excluded: count of what was left out of training, by reason.
        killers: count per reason code.
        checked_texts: how many training and development texts were compared with the evaluation; none is in it, nor
            nearly copies one of it.
    """

    key: str
    builder_version: int
    data_seed: int
    slice: dict[str, int | None]
    verification: dict[str, float]
    wordnet_fingerprint: str
    encoder_fingerprint: str
    sha256: dict[str, str]
    data_fingerprints: dict[str, str]
    eval_fingerprint: str
    confirm_fingerprint: str
    lemmas: dict[str, int]
    records: dict[str, int]
    tiers: dict[str, dict[str, int]]
    tier_cuts: tuple[float, float]
    adversarial: int
    nearest_other_lemma: dict[str, float]
    synthetics: dict[str, int]
    excluded: dict[str, int]
    killers: dict[str, int]
    checked_texts: int


class DatasetContents(Struct, frozen=True):
    """All records of a dataset folder before they are written.

    ``rejected`` is None where no synthetics were tried, ``confirm`` where there is no such split.
    """

    editions: Mapping[str, Sequence[Bundle]]
    dev: Sequence[Bundle]
    evaluation: FrozenEvaluation
    killers: Sequence[Killer]
    rejected: Sequence[Rejected] | None = None
    confirm: FrozenEvaluation | None = None
    confirm_killers: Sequence[Killer] = ()
    glosses: Sequence[UsageEvent] = ()
    dev_items: FrozenEvaluation = NO_ITEMS
    development: Sequence[DevelopmentSet] = ()


class EncodedFields(TypedDict):
    """The fields of a ``DataManifest`` that describe the encoded files."""

    sha256: dict[str, str]
    data_fingerprints: dict[str, str]
    eval_fingerprint: str
    confirm_fingerprint: str
    records: dict[str, int]
    tiers: dict[str, dict[str, int]]
    killers: dict[str, int]


def encode_dataset(contents: DatasetContents) -> tuple[dict[str, bytes], EncodedFields]:
    """Encode every file of a dataset; the same records give the same bytes. Returns files by name, and their description."""
    tiered: dict[str, Sequence[Bundle | RetrievalItem]] = {
        edition_file(name): bundles for name, bundles in contents.editions.items()
    }
    tiered |= {DEV: contents.dev, RETRIEVAL: contents.evaluation.retrieval, DEV_RETRIEVAL: contents.dev_items.retrieval}
    if contents.confirm is not None:
        tiered[CONFIRM[0]] = contents.confirm.retrieval
    records: dict[str, Sequence[Struct]] = {**tiered, COHERENCE: contents.evaluation.coherence}
    records |= {KILLERS: contents.killers, ATTENTION: contents.evaluation.probes}
    records |= {GLOSSES: contents.glosses, DEV_COHERENCE: contents.dev_items.coherence}
    if contents.confirm is not None:
        records |= {CONFIRM[1]: contents.confirm.coherence, CONFIRM[2]: contents.confirm_killers}
    if contents.development:
        records[USER_DEVELOPMENT] = contents.development
    if contents.rejected is not None:
        records[REJECTED] = contents.rejected
    files = {name: encode_lines(kept) for name, kept in records.items()}
    sha256 = sha256_of(files)
    shared = [name for name in (*WITH_EVERY_EDITION, USER_DEVELOPMENT) if name in files]
    return files, EncodedFields(
        sha256=sha256,
        data_fingerprints={name: _fingerprint(sha256, (edition_file(name), *shared)) for name in contents.editions},
        eval_fingerprint=_fingerprint(sha256, EVALUATION),
        confirm_fingerprint=_fingerprint(sha256, CONFIRM) if contents.confirm is not None else "",
        records={name: len(kept) for name, kept in records.items()},
        tiers={name: count_names(str(item.tier) for item in items) for name, items in tiered.items()},
        killers=count_names(killer.reason for killer in contents.killers),
    )


def write_dataset(folder: Path, files: Mapping[str, bytes], manifest: DataManifest) -> None:
    """Write a dataset folder, whole or not at all."""
    try:
        write_dir_atomically(folder, with_manifest(files, manifest))
    except OSError:
        # another process may have finished the same dataset first; the same key means the same bytes
        if not (folder / MANIFEST).is_file():
            raise


def edition_file(edition: str) -> str:
    return f"{edition}.jsonl"


def encode_lines(records: Iterable[Struct]) -> bytes:
    """One JSON record a line."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def sha256_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 in hex of each file, by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def with_manifest(files: Mapping[str, bytes], manifest: Struct) -> dict[str, bytes]:
    """``files`` and the encoded manifest that describes them."""
    return {**files, MANIFEST: msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"}


def count_names(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, sorted by name."""
    return dict(sorted(Counter(names).items()))


def _fingerprint(sha256: Mapping[str, str], names: Sequence[str]) -> str:
    """SHA-256 over the hashes of some files, in the order of ``names``."""
    return hashlib.sha256("".join(f"{name}\x1f{sha256[name]}\n" for name in names).encode()).hexdigest()


def load(folder: Path, edition: str) -> Dataset:
    """Read what one run needs from a dataset folder; every file is checked against the manifest.

    Raises:
        BadInput: there is no dataset, it has no such edition, or a file is missing, changed or malformed.
    """
    manifest = read_manifest(folder)
    if edition not in manifest.data_fingerprints:
        known = ", ".join(manifest.data_fingerprints)
        raise BadInput(f"no edition {edition!r}; known: {known}", file=folder / MANIFEST)
    return Dataset(
        edition=edition,
        train=_read(folder, edition_file(edition), Bundle, manifest),
        dev=_read(folder, DEV, Bundle, manifest),
        retrieval=_read(folder, RETRIEVAL, RetrievalItem, manifest),
        coherence=_read(folder, COHERENCE, CoherenceItem, manifest),
        data_fingerprint=manifest.data_fingerprints[edition],
        eval_fingerprint=manifest.eval_fingerprint,
        probes=_read(folder, ATTENTION, AttentionProbe, manifest),
        killers=_read(folder, KILLERS, Killer, manifest),
        glosses=_read(folder, GLOSSES, UsageEvent, manifest),
        development=_development(folder, manifest),
    )


def _development(folder: Path, manifest: DataManifest) -> tuple[DevelopmentSet, ...]:
    """The items of development lemmas as a set, unless there are none, and the user's sets."""
    retrieval = _read(folder, DEV_RETRIEVAL, RetrievalItem, manifest)
    coherence = _read(folder, DEV_COHERENCE, CoherenceItem, manifest)
    built = (DevelopmentSet(WORDNET_DEVELOPMENT, retrieval, coherence),) if retrieval or coherence else ()
    listed = USER_DEVELOPMENT in manifest.sha256
    return (*built, *(_read(folder, USER_DEVELOPMENT, DevelopmentSet, manifest) if listed else ()))


def load_evaluation(folder: Path) -> Dataset:
    """The frozen evaluation of a dataset folder, without training or development data.

    Raises:
        BadInput: as ``load``.
    """
    manifest = read_manifest(folder)
    return Dataset(
        edition="",
        train=(),
        dev=(),
        retrieval=_read(folder, RETRIEVAL, RetrievalItem, manifest),
        coherence=_read(folder, COHERENCE, CoherenceItem, manifest),
        data_fingerprint="",
        eval_fingerprint=manifest.eval_fingerprint,
        probes=_read(folder, ATTENTION, AttentionProbe, manifest),
        killers=_read(folder, KILLERS, Killer, manifest),
    )


def load_confirm(folder: Path, edition: str) -> Dataset:
    """What ``load`` reads, with the sealed confirm split, which has no probes, in the place of the evaluation.

    Raises:
        BadInput: as ``load``, or the dataset has no confirm split.
    """
    manifest, (retrieval, coherence, killers) = read_manifest(folder), CONFIRM
    if not manifest.confirm_fingerprint:
        raise BadInput("no confirm split: none of the data was built from WordNet", file=folder / MANIFEST)
    return structs.replace(
        load(folder, edition),
        retrieval=_read(folder, retrieval, RetrievalItem, manifest),
        coherence=_read(folder, coherence, CoherenceItem, manifest),
        killers=_read(folder, killers, Killer, manifest),
        probes=(),
        eval_fingerprint=manifest.confirm_fingerprint,
    )


def load_rejected(folder: Path) -> tuple[Rejected, ...]:
    """The synthetic contexts that a build rejected.

    Raises:
        BadInput: as ``load``.
    """
    return _read(folder, REJECTED, Rejected, read_manifest(folder))


def read_manifest(folder: Path) -> DataManifest:
    """The manifest of a dataset folder.

    Raises:
        BadInput: it is missing or malformed.
    """
    return decode_manifest(folder, DataManifest, "no data build here; run `qllm-engine data build`")


def decode_manifest(folder: Path, kind: type[Manifest], missing: str) -> Manifest:
    """The manifest in ``folder`` as ``kind``.

    Raises:
        BadInput: it cannot be read (the message begins with ``missing``) or is malformed.
    """
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise BadInput(f"{missing} ({error.strerror})", file=path) from None
    except msgspec.MsgspecError as error:
        raise BadInput(f"malformed manifest: {error_in_words(error)}", file=path) from error


def read_listed_file(path: Path, sha256: Mapping[str, str]) -> bytes:
    """The content of a file that a manifest lists.

    Raises:
        BadInput: it cannot be read, or its content is not what the manifest says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error
    if hashlib.sha256(content).hexdigest() != sha256.get(path.name):
        raise BadInput("has changed since it was built (its SHA-256 differs); build the data again", file=path)
    return content


def _read(folder: Path, name: str, kind: type[Record], manifest: DataManifest) -> tuple[Record, ...]:
    path = folder / name
    decoder = msgspec.json.Decoder(kind)
    records: list[Record] = []
    for number, line in enumerate(read_listed_file(path, manifest.sha256).splitlines(), start=1):
        try:
            records.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise BadInput(f"malformed record: {error_in_words(error)}", file=path, line=number) from error
    return tuple(records)
