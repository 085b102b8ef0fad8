"""Users' data files: read through the integrity gate, split for development, sliced as a profile asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.input_files import InputFile, Role, hash_file
from engine.data.evaluation.items import round_robin
from engine.data.formats.gate import FileReport, Gate, Record
from engine.data.formats.lines import read_lines
from engine.data.formats.schemas import FORMATS_OF_ROLE
from engine.data.plan import by_hash
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem

DEV_SHARE = 0.10
MAX_DEV_BUNDLES = 1_500

Item = TypeVar("Item")


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


class UserFiles(Struct, frozen=True):
    """The records of users' files by role, and a report on each file; a role without files is empty."""

    bundles: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    probes: tuple[AttentionProbe, ...]
    killers: tuple[Killer, ...]
    reports: tuple[FileReport, ...]


def read_user_files(inputs: Iterable[InputFile], paths: Mapping[str, Path]) -> UserFiles:
    """Read the files of ``inputs`` from ``paths`` (by SHA-256); ids must be unique within a role.

    Raises:
        BadInput: a file is missing, has changed, or has too many lines in quarantine.
    """
    named: dict[Role, list[InputFile]] = {}
    for file in inputs:
        named.setdefault(file.role, []).append(file)
    reports: list[FileReport] = []

    def read(role: Role, kind: type[Item], items: Set[str] | None = None) -> tuple[Item, ...]:
        gate = Gate(FORMATS_OF_ROLE[role], items)  # one for all files of a role, so that ids are unique among them
        records = (record for file in named.get(role, ()) for record in _records(gate, file, paths, reports))
        return tuple(record for record in records if isinstance(record, kind))

    retrieval = read("retrieval", RetrievalItem)
    return UserFiles(
        retrieval=retrieval,
        killers=read("killers", Killer, {item.item_id for item in retrieval}),
        bundles=read("bundles", Bundle),
        dev=read("dev", Bundle),
        coherence=read("coherence", CoherenceItem),
        probes=read("attention", AttentionProbe),
        reports=tuple(reports),
    )


def _records(gate: Gate, file: InputFile, paths: Mapping[str, Path], reports: list[FileReport]) -> list[Record]:
    path = paths[file.sha256]
    report = FileReport(Path(file.name))
    records: list[Record] = []
    for verdict in map(gate.verdict, read_lines(path)):
        report.add(verdict)
        records += verdict.records
    if hash_file(path).sha256 != file.sha256:
        raise BadInput("has changed since the run was requested", file=path)
    report.raise_if_unusable()
    reports.append(report)
    return records
