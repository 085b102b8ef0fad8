"""Prepares a dataset of which some or all comes from files of the user's own, in the shape of a build."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_dir_atomically
from engine.contract.input_files import InputFile
from engine.contract.settings import Settings
from engine.data.bundles.danger import cuts_of
from engine.data.bundles.encoder_text import Embed, EmbeddedTexts
from engine.data.dataset_files import (
    ATTENTION,
    COHERENCE,
    DEV,
    EVALUATION,
    KILLERS,
    MANIFEST,
    RETRIEVAL,
    DataManifest,
    edition_file,
    encode_lines,
    fingerprint_of,
    load,
    read_manifest,
)
from engine.data.evaluation.items import with_tiers
from engine.data.evaluation.killers import killer_set
from engine.data.formats.check import as_json
from engine.data.formats.own_files import (
    OwnFiles,
    encoder_texts_of_bundles,
    killers_of,
    of_first_lemmas,
    read_own_files,
    sliced_coherence,
    sliced_probes,
    sliced_retrieval,
    split_dev,
    with_danger,
)
from engine.data.leakage.exclusion import Excluded, exclude
from engine.data.leakage.held_out import FrozenEvaluation
from engine.data.records import Bundle, Dataset, Killer, RetrievalItem

IMPORTER_VERSION = 2
"""Raised whenever the same files would give other bytes."""

Report = Callable[[int, int, str], None]
_STAGES = 3


class OwnManifest(DataManifest, frozen=True, kw_only=True):
    """A build's manifest with the files of the user's own, and what the integrity gate made of their lines."""

    inputs: tuple[InputFile, ...]
    integrity: dict[str, Any]


class _Prepared(Struct, frozen=True):
    """A dataset before it is written."""

    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    evaluation: FrozenEvaluation
    killers: tuple[Killer, ...]


def own_key(settings: Settings, built: Path | None, encoder_fingerprint: str) -> str:
    """16 hex digits that name a prepared dataset: a hash of everything that determines it."""
    asked = [
        IMPORTER_VERSION,
        settings.inputs,
        settings.edition,
        settings.data,
        settings.data_seed,
        built.name if built else None,
        encoder_fingerprint,
    ]
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:16]


def prepare_own(
    settings: Settings,
    paths: Mapping[str, Path],
    built: Path | None,
    embed: Embed,
    encoder_fingerprint: str,
    folder: Path,
    report: Report,
) -> None:
    """Read, gate, split, clean and tier the files that ``settings`` name into ``folder``, whole or not at all.

    Args:
        settings: name the files, the slice of them to take, and the seed of the split by lemma.
        paths: where the files lie, by SHA-256.
        built: the finished build that what they do not name is taken from; None if they name everything.
        embed: unique texts -> float32 (texts, H), L2-normalised, frozen mean pooling.
        encoder_fingerprint: of what ``embed`` uses.
        folder: the dataset's own folder, named by ``own_key``.
        report: told how many of how many stages are done.

    Raises:
        BadInput: a file cannot be used, or what is left of the data is not enough to train and evaluate on.
    """
    if (folder / MANIFEST).is_file():
        return
    report(0, _STAGES, "stages")
    own = read_own_files(settings.inputs, paths)
    there = load(built, settings.edition or "v2.2") if built else None  # any edition has the evaluation
    train, dev = _bundles(settings, own, there)
    evaluation, killers = _evaluation(settings, own, there)
    cleaned = exclude(train, dev, evaluation.texts())
    _refuse_empty(settings, cleaned)
    report(1, _STAGES, "stages")
    prepared = _embedded(settings, cleaned, evaluation, killers, EmbeddedTexts(embed))
    report(2, _STAGES, "stages")
    edition = edition_file(settings.bundles)
    records: dict[str, Sequence[Struct]] = {edition: prepared.train, DEV: prepared.dev}
    records |= {RETRIEVAL: prepared.evaluation.retrieval, COHERENCE: prepared.evaluation.coherence}
    records |= {KILLERS: prepared.killers, ATTENTION: prepared.evaluation.probes}
    files = {name: encode_lines(made) for name, made in records.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = OwnManifest(
        key=own_key(settings, built, encoder_fingerprint),
        builder_version=IMPORTER_VERSION,
        data_seed=settings.data_seed,
        slice=structs.asdict(settings.data),
        verification=structs.asdict(settings.synthetics) if built else {},
        wordnet_fingerprint=read_manifest(built).wordnet_fingerprint if built else "",
        encoder_fingerprint=encoder_fingerprint,
        sha256=hashes,
        data_fingerprints={settings.bundles: fingerprint_of(hashes, (edition, DEV))},
        eval_fingerprint=fingerprint_of(hashes, EVALUATION),
        lemmas=_lemmas(prepared),
        records={name: len(made) for name, made in records.items()},
        tiers=_tiers(prepared, edition),
        tier_cuts=read_manifest(built).tier_cuts
        if built and settings.edition
        else cuts_of(np.array([bundle.danger for bundle in prepared.train])),
        adversarial=sum(bundle.adversarial for bundle in prepared.train),
        nearest_other_lemma={},
        synthetics={},
        excluded=cleaned.counts,
        killers=_counted(killer.reason for killer in prepared.killers),
        checked_texts=cleaned.checked,
        inputs=settings.inputs,
        integrity=as_json(own.tallies),
    )
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_dir_atomically(folder, files)
    report(_STAGES, _STAGES, "stages")


def _bundles(settings: Settings, own: OwnFiles, built: Dataset | None) -> tuple[tuple[Bundle, ...], tuple[Bundle, ...]]:
    """Bundles for training and for development."""
    if built is not None and settings.edition is not None:
        return built.train, built.dev
    part, seed = settings.data, settings.data_seed
    train, dev = (own.bundles, own.dev) if own.dev else split_dev(own.bundles, seed)
    return of_first_lemmas(train, part.train_lemmas, seed), of_first_lemmas(dev, part.dev_lemmas, seed)


def _evaluation(
    settings: Settings, own: OwnFiles, built: Dataset | None
) -> tuple[FrozenEvaluation, tuple[Killer, ...] | None]:
    """The frozen evaluation and its killers; None if they are still to be found."""
    if built is not None and not settings.own_evaluation:
        return FrozenEvaluation(built.retrieval, built.coherence, built.probes), built.killers
    part, seed = settings.data, settings.data_seed
    retrieval = sliced_retrieval(own.retrieval, part, seed)
    coherence = sliced_coherence(own.coherence, part, seed)
    named = any(file.role == "killers" for file in settings.inputs)
    killers = killers_of(own.killers, retrieval) if named else None
    return FrozenEvaluation(retrieval, coherence, sliced_probes(own.probes, part, seed)), killers


def _embedded(
    settings: Settings,
    cleaned: Excluded,
    evaluation: FrozenEvaluation,
    killers: tuple[Killer, ...] | None,
    texts: EmbeddedTexts,
) -> _Prepared:
    """The dataset with danger, tiers and killers; what was built has them already."""
    train, dev = cleaned.train, cleaned.dev
    if settings.edition is None:
        texts.add(encoder_texts_of_bundles((*train, *dev)))
        train, dev = with_danger(train, texts), with_danger(dev, texts)
    if settings.own_evaluation:
        texts.add(evaluation.encoder_texts())
        evaluation = structs.replace(evaluation, retrieval=with_tiers(evaluation.retrieval, texts))
    return _Prepared(train, dev, evaluation, killer_set(evaluation.retrieval, texts) if killers is None else killers)


def _lemmas(prepared: _Prepared) -> dict[str, int]:
    return {
        "train": len({bundle.anchor.lemma for bundle in prepared.train}),
        "dev": len({bundle.anchor.lemma for bundle in prepared.dev}),
        "eval": len(prepared.evaluation.lemmas()),
    }


def _tiers(prepared: _Prepared, edition: str) -> dict[str, dict[str, int]]:
    held: dict[str, Sequence[Bundle | RetrievalItem]] = {edition: prepared.train, DEV: prepared.dev}
    held[RETRIEVAL] = prepared.evaluation.retrieval
    return {name: _counted(str(item.tier) for item in items) for name, items in held.items()}


def _refuse_empty(settings: Settings, cleaned: Excluded) -> None:
    """Refuse data of which nothing is left to train on, or to choose an epoch by."""
    left_out = ", ".join(f"{count} {reason}" for reason, count in cleaned.counts.items())
    because = f" ({left_out})" if left_out else ""
    field = f"conditions.{settings.condition}"
    if not any(map(_trains, cleaned.train)):
        raise BadInput(f"no training bundle is left that has a negative of its own lemma{because}", field=field)
    if not any(map(_ranks, cleaned.dev)):
        raise BadInput(
            f"no development bundle is left that has a negative of its own lemma to be ranked with{because}; "
            "bundles of more lemmas are needed, or files of their own under dev",
            field=field,
        )


def _trains(bundle: Bundle) -> bool:
    kinds = {event.source == "gloss" for event in (bundle.anchor, bundle.positive)}
    return any((event.source == "gloss") in kinds for event in bundle.siblings)


def _ranks(bundle: Bundle) -> bool:
    """Whether validation can rank it: like is compared with like, a sentence with sentences."""
    glosses = bundle.anchor.source == bundle.positive.source == "gloss"
    return any((event.source == "gloss") == glosses for event in bundle.siblings)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
