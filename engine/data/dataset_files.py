"""The files of a data build: one JSON record a line, and a manifest with their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.data.records import (
    AttentionProbe,
    Bundle,
    CoherenceItem,
    Dataset,
    Killer,
    Rejected,
    RetrievalItem,
    UsageEvent,
)

MANIFEST = "manifest.json"
RETRIEVAL, COHERENCE, KILLERS, ATTENTION = "retrieval.jsonl", "coherence.jsonl", "killers.jsonl", "attention.jsonl"
EVALUATION = (RETRIEVAL, COHERENCE, KILLERS, ATTENTION)
DEV, REJECTED = "dev.jsonl", "rejected.ndjson"

Record = TypeVar("Record", Bundle, RetrievalItem, CoherenceItem, Killer, AttentionProbe, Rejected)


class DataManifest(Struct, frozen=True):
    """What a build holds and what it came from.

    Attributes:
        key: of everything that determined it.
        builder_version, data_seed, slice, verification: what was asked.
        wordnet_fingerprint, encoder_fingerprint: what it was made of.
        sha256: of every file, by name.
        data_fingerprints: by edition, of its bundles and the development bundles.
        eval_fingerprint: of the frozen evaluation; scores under different ones are never compared.
        lemmas: how many per split.
        records: how many per file.
        tiers: how many per tier, by file.
        tier_cuts: the least danger of tier 2 and of tier 3 in the v2.3 edition.
        adversarial: how many bundles of the v2.3 edition were mined.
        nearest_other_lemma: the median and the 5th percentile of an anchor's similarity to its nearest cross-lemma
            negative in the v2.3 edition.
        synthetics: how many were accepted and rejected, by reason.
        excluded: what training left out, by reason.
        killers: how many per reason code.
        checked_texts: how many training and development texts were compared with the evaluation; none was in it, and
            none nearly so.
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


def edition_file(edition: str) -> str:
    return f"{edition}.jsonl"


def encode_lines(records: Iterable[Struct]) -> bytes:
    """One JSON record a line."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def fingerprint_of(hashes: dict[str, str], names: Sequence[str]) -> str:
    """SHA-256 over the hashes of some files, in the order of ``names``."""
    return hashlib.sha256("".join(f"{name}\x1f{hashes[name]}\n" for name in names).encode()).hexdigest()


def load(folder: Path, edition: str) -> Dataset:
    """What one run needs, from a finished build; every file is checked against the manifest.

    Raises:
        BadInput: the folder is no build, has no such edition, or a file is missing, changed or malformed.
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
    )


def load_rejected(folder: Path) -> tuple[Rejected, ...]:
    """The synthetic contexts that a build rejected.

    Raises:
        BadInput: as ``load``.
    """
    return _read(folder, REJECTED, Rejected, read_manifest(folder))


def read_manifest(folder: Path) -> DataManifest:
    """The manifest of a build.

    Raises:
        BadInput: there is none, or it is malformed.
    """
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=DataManifest)
    except OSError:
        raise BadInput("no data build here; run `qllm-engine data build`", file=path) from None
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a data build's manifest: {error}", file=path) from error


def _read(folder: Path, name: str, shape: type[Record], manifest: DataManifest) -> tuple[Record, ...]:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error
    if hashlib.sha256(content).hexdigest() != manifest.sha256.get(name):
        raise BadInput("is not the file that was built (its SHA-256 differs); build the data again", file=path)
    decoder = msgspec.json.Decoder(shape)
    records: list[Record] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            records.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise BadInput(f"malformed record: {error}", file=path, line=number) from error
    return tuple(records)


def events_of_dataset(dataset: Dataset) -> Iterator[UsageEvent]:
    """Every event of a dataset, with repetitions."""
    for bundle in (*dataset.train, *dataset.dev):
        yield from (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma)
    for item in dataset.retrieval:
        yield from (item.query, *(candidate.event for candidate in item.candidates))
    for coherence in dataset.coherence:
        yield from (step.event for step in coherence.steps)
    yield from (probe.event for probe in dataset.probes)
