"""Prepares a dataset from the records of users' files: split, sliced, cleaned, combined with a build if needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.contract.input_files import InputFile
from engine.contract.settings import Settings
from engine.data.bundles.danger import compared_dangers, tier_cuts, with_danger, with_tiers_by_rank
from engine.data.bundles.encoder_text import Embed, EmbeddedTexts, bundle_encoder_texts, evaluation_encoder_texts
from engine.data.dataset_files import (
    MANIFEST,
    DataManifest,
    DatasetContents,
    encode_dataset,
    load,
    load_confirm,
    read_manifest,
    write_dataset,
)
from engine.data.development import EvaluationFilter, without_development_texts
from engine.data.evaluation.items import round_robin, with_tiers
from engine.data.evaluation.killers import killer_set
from engine.data.formats.check import reports_as_json
from engine.data.formats.user_files import UserFiles
from engine.data.leakage import Excluded, exclude, glosses_of
from engine.data.plan import by_hash
from engine.data.records import Bundle, Dataset, DevelopmentSet, FrozenEvaluation, Killer

IMPORTER_VERSION = 6
"""Increased whenever the same files would give other bytes."""

DEV_SHARE = 0.10
MAX_DEV_BUNDLES = 1_500

Item = TypeVar("Item")
Report = Callable[[int, int, str], None]
_STAGES = 3


class UserManifest(DataManifest, frozen=True, kw_only=True):
    """A dataset manifest that also lists the users' files and the integrity gate's reports on them."""

    inputs: tuple[InputFile, ...]
    integrity: dict[str, Any]


def user_dataset_key(settings: Settings, built: Path | None, encoder_fingerprint: str) -> str:
    """The name of a prepared dataset: 16 hex digits, a hash of everything that determines its content."""
    inputs = [
        IMPORTER_VERSION,
        settings.inputs,
        settings.edition,
        settings.data,
        settings.data_seed,
        built.name if built else None,
        encoder_fingerprint,
    ]
    return hashlib.sha256(msgspec.json.encode(inputs)).hexdigest()[:16]


def prepare_user_dataset(
    settings: Settings,
    files: UserFiles,
    built: Path | None,
    embed: Embed,
    encoder_fingerprint: str,
    folder: Path,
    report: Report,
) -> None:
    """Split, clean and tier the records of users' files into the dataset ``folder``, whole or not at all.

    Args:
        settings: state the slice to take, and the seed of the split by lemma.
        files: the records of the files that ``settings`` name.
        built: the finished build that supplies the roles without files; None if every role has files.
        embed: unique texts -> float32 (texts, H), L2-normalised, frozen mean pooling.
        encoder_fingerprint: of the encoder behind ``embed``.
        folder: the dataset's own folder, named by ``user_dataset_key``.
        report: called with the stages done, their total and the word "stages".

    Raises:
        BadInput: too little data is left to train and evaluate on.
    """
    if (folder / MANIFEST).is_file():
        return
    report(0, _STAGES, "stages")
    base = load(built, settings.edition or "v2.2") if built else None  # the evaluation is the same in every edition
    confirm = load_confirm(built, settings.edition or "v2.2") if built else None
    train, dev = _bundles(settings, files, base)
    evaluation, killers = _evaluation(settings, files, base)
    held_out = evaluation.texts() | (confirm.evaluation.texts() if confirm else set())
    if settings.edition and not settings.has_user_evaluation:
        held_out = set()  # the build has been checked against its own evaluation, which takes long
    # the build's glosses and development items belong to its own lemmas
    extra = (base.glosses, base.dev_items) if base and settings.edition else ()
    cleaned = exclude(train, dev, held_out, *extra)
    # beside the user's own evaluation, development sets have been cleaned as they were read
    built_items = [one.evaluation for one in (None if settings.has_user_evaluation else base, confirm) if one]
    development, dropped = _development(settings, files, built_items)
    cleaned = without_development_texts(cleaned, development)
    _require_enough(settings, cleaned)
    report(1, _STAGES, "stages")
    texts = EmbeddedTexts(embed)
    contents = _with_danger_and_killers(settings, cleaned, evaluation, killers, texts)
    report(2, _STAGES, "stages")
    contents = structs.replace(contents, development=development)
    if confirm is not None:
        contents = structs.replace(contents, confirm=confirm.evaluation, confirm_killers=confirm.killers)
    encoded, described = encode_dataset(contents)
    bundles = contents.editions[settings.bundle_set]
    source = read_manifest(built) if built else None
    manifest = UserManifest(
        key=user_dataset_key(settings, built, encoder_fingerprint),
        builder_version=IMPORTER_VERSION,
        data_seed=settings.data_seed,
        slice=structs.asdict(settings.data),
        verification=structs.asdict(settings.synthetics) if built else {},
        wordnet_fingerprint=source.wordnet_fingerprint if source else "",
        encoder_fingerprint=encoder_fingerprint,
        lemmas={
            "train": len({bundle.anchor.lemma for bundle in bundles}),
            "dev": len({bundle.anchor.lemma for bundle in contents.dev}),
            "eval": len(contents.evaluation.lemmas()),
        },
        tier_cuts=source.tier_cuts if source and settings.edition else tier_cuts(compared_dangers(bundles, texts)),
        adversarial=sum(bundle.adversarial for bundle in bundles),
        nearest_other_lemma={},
        synthetics={},
        excluded=dict(sorted((cleaned.counts | dropped).items())),
        checked_texts=cleaned.checked,
        inputs=settings.inputs,
        integrity=reports_as_json(files.reports),
        **described,
    )
    write_dataset(folder, encoded, manifest)
    report(_STAGES, _STAGES, "stages")


def _bundles(
    settings: Settings, files: UserFiles, built: Dataset | None
) -> tuple[tuple[Bundle, ...], tuple[Bundle, ...]]:
    """Training and development bundles: the build's if an edition is named, else those of the users' files, sliced."""
    if built is not None and settings.edition is not None:
        return built.train, built.dev
    part, seed = settings.data, settings.data_seed
    train, dev = (files.bundles, files.dev) if files.dev else split_dev(files.bundles, seed)
    return of_first_lemmas(train, part.train_lemmas, seed), of_first_lemmas(dev, part.dev_lemmas, seed)


def _development(
    settings: Settings, files: UserFiles, held_out: Sequence[FrozenEvaluation]
) -> tuple[tuple[DevelopmentSet, ...], dict[str, int]]:
    """The user's development sets, without items of ``held_out`` and sliced; and the numbers of all items dropped."""
    part, seed = settings.data, settings.data_seed
    evaluation = EvaluationFilter(files.development, held_out)
    sets = []
    for one in map(evaluation.without_evaluation, files.development):
        retrieval = sliced(one.retrieval, attrgetter("lemma"), part.dev_lemmas, part.retrieval_items, seed)
        coherence = sliced(one.coherence, attrgetter("lemma"), part.dev_lemmas, part.coherence_items, seed)
        sets.append(DevelopmentSet(one.name, retrieval, coherence))
    return tuple(sets), dict(evaluation.counts + Counter(files.excluded))


def _evaluation(
    settings: Settings, files: UserFiles, built: Dataset | None
) -> tuple[FrozenEvaluation, tuple[Killer, ...] | None]:
    """The frozen evaluation and its killers; killers are None if they must still be found."""
    if built is not None and not settings.has_user_evaluation:
        return built.evaluation, built.killers
    part, seed = settings.data, settings.data_seed
    retrieval = sliced(files.retrieval, attrgetter("lemma"), part.eval_lemmas, part.retrieval_items, seed)
    coherence = sliced(files.coherence, attrgetter("lemma"), part.eval_lemmas, part.coherence_items, seed)
    probes = sliced(files.probes, attrgetter("event.lemma"), part.eval_lemmas, None, seed)
    has_killer_file = any(file.role == "killers" for file in settings.inputs)
    known = {item.item_id for item in retrieval}
    killers = tuple(killer for killer in files.killers if killer.item_id in known)
    return FrozenEvaluation(retrieval, coherence, probes), killers if has_killer_file else None


def _with_danger_and_killers(
    settings: Settings,
    cleaned: Excluded,
    evaluation: FrozenEvaluation,
    killers: tuple[Killer, ...] | None,
    texts: EmbeddedTexts,
) -> DatasetContents:
    """Compute danger, tiers and killers of what comes from users' files; a build has them already."""
    train, dev = cleaned.train, cleaned.dev
    if settings.edition is None:
        texts.add(bundle_encoder_texts((*train, *dev)))
        train, dev = (
            with_tiers_by_rank(with_danger(bundles, texts), compared_dangers(bundles, texts))
            for bundles in (train, dev)
        )
    if settings.has_user_evaluation:
        texts.add(evaluation_encoder_texts(evaluation))
        evaluation = structs.replace(evaluation, retrieval=with_tiers(evaluation.retrieval, texts))
    if killers is None:
        killers = killer_set(evaluation.retrieval, texts)
    glosses = cleaned.glosses if settings.edition else glosses_of(train, dev)
    return DatasetContents(
        {settings.bundle_set: train}, dev, evaluation, killers, glosses=glosses, dev_items=cleaned.dev_items
    )


def _require_enough(settings: Settings, cleaned: Excluded) -> None:
    """Refuse data without a bundle to train on or without one to choose the best epoch by."""
    left_out = ", ".join(f"{count} {reason}" for reason, count in cleaned.counts.items())
    because = f" ({left_out})" if left_out else ""
    field = f"conditions.{settings.condition}"
    if not any(map(_can_train, cleaned.train)):
        raise BadInput(f"no training bundle is left that has a negative of its own lemma{because}", field=field)
    if not any(map(_can_validate, cleaned.dev)):
        raise BadInput(
            f"no development bundle is left that has a negative of its own lemma to be ranked with{because}; "
            "bundles of more lemmas are needed, or files of their own under dev",
            field=field,
        )


def _can_train(bundle: Bundle) -> bool:
    """Whether it has a sibling of a kind, gloss or sentence, that its anchor or positive has, too."""
    kinds = {event.source == "gloss" for event in (bundle.anchor, bundle.positive)}
    return any((event.source == "gloss") in kinds for event in bundle.siblings)


def _can_validate(bundle: Bundle) -> bool:
    """Whether validation can rank it: a sentence is compared with sentences only, a gloss with glosses."""
    glosses = bundle.anchor.source == bundle.positive.source == "gloss"
    return any((event.source == "gloss") == glosses for event in bundle.siblings)


def split_dev(bundles: Sequence[Bundle], data_seed: int) -> tuple[tuple[Bundle, ...], tuple[Bundle, ...]]:
    """Split bundles into training and development: a tenth of the lemmas by hash, up to about ``MAX_DEV_BUNDLES``.

    Development gets at least one lemma, if there are two. Both keep the order of ``bundles``.
    """
    by_lemma = _grouped(bundles, lambda bundle: bundle.anchor.lemma)
    lemmas = by_hash(by_lemma, data_seed)
    dev_lemmas: set[str] = set()
    count = 0
    for lemma in lemmas[: max(round(DEV_SHARE * len(lemmas)), min(1, len(lemmas) - 1))]:
        if count >= MAX_DEV_BUNDLES:
            break
        dev_lemmas.add(lemma)
        count += len(by_lemma[lemma])
    return (
        tuple(bundle for bundle in bundles if bundle.anchor.lemma not in dev_lemmas),
        tuple(bundle for bundle in bundles if bundle.anchor.lemma in dev_lemmas),
    )


def of_first_lemmas(bundles: Sequence[Bundle], limit: int | None, data_seed: int) -> tuple[Bundle, ...]:
    """The bundles of the first ``limit`` lemmas by hash; all if it is None."""
    if limit is None:
        return tuple(bundles)
    chosen = set(by_hash({bundle.anchor.lemma for bundle in bundles}, data_seed)[:limit])
    return tuple(bundle for bundle in bundles if bundle.anchor.lemma in chosen)


def sliced(
    items: Sequence[Item], lemma_of: Callable[[Item], str], lemmas: int | None, count: int | None, data_seed: int
) -> tuple[Item, ...]:
    """The items in their order if no limit is set, else up to ``count`` of ``lemmas`` lemmas, taken in turn from each.

    Lemmas are in the order of their hashes.
    """
    if lemmas is None and count is None:
        return tuple(items)
    grouped = _grouped(items, lemma_of)
    return round_robin([grouped[lemma] for lemma in by_hash(grouped, data_seed)[:lemmas]], count)


def _grouped(items: Iterable[Item], lemma_of: Callable[[Item], str]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(lemma_of(item), []).append(item)
    return groups
