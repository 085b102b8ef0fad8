"""Reads users' files through the integrity gate into records, by role, with a report on each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.input_files import InputFile, Role, hash_file
from engine.data.development import EvaluationFilter
from engine.data.formats.gate import FileReport, Gate, ItemIds, Record, Verdict, file_offsets
from engine.data.formats.lines import read_lines
from engine.data.formats.schemas import FORMATS_OF_ROLE
from engine.data.records import (
    AttentionProbe,
    Bundle,
    CoherenceItem,
    DevelopmentSet,
    FrozenEvaluation,
    Killer,
    RetrievalItem,
)

Kind = TypeVar("Kind")
_Key = tuple[Role, str]
"""A role, and the development set of its files, else ""."""


class UserFiles(Struct, frozen=True):
    """The records of users' files by role, and a report on each file; a role without files is empty.

    ``excluded`` counts the items of development sets that were dropped for the user's own evaluation, by reason.
    """

    bundles: tuple[Bundle, ...] = ()
    dev: tuple[Bundle, ...] = ()
    retrieval: tuple[RetrievalItem, ...] = ()
    coherence: tuple[CoherenceItem, ...] = ()
    probes: tuple[AttentionProbe, ...] = ()
    killers: tuple[Killer, ...] = ()
    development: tuple[DevelopmentSet, ...] = ()
    reports: tuple[FileReport, ...] = ()
    excluded: dict[str, int] = {}


class _File(NamedTuple):
    """A file to read: its name for people, its path, the SHA-256 it must have, and the setting that names it, if any."""

    name: Path
    path: Path
    sha256: str | None = None
    field: str | None = None


def read_user_files(inputs: Iterable[InputFile], paths: Mapping[str, Path]) -> UserFiles:
    """Read the files of ``inputs`` from ``paths`` (by SHA-256); ids must be unique within a role of a set.

    Errors give a file's name in the experiment, because on a host its path is a hash.

    Raises:
        BadInput: a file is missing, has changed, or has too many lines in quarantine, or none of the items of a
            development file is left beside the user's own evaluation.
    """
    files: dict[_Key, list[_File]] = {}
    for file in inputs:
        named = _File(Path(file.name), paths[file.sha256], file.sha256, _field_of(file))
        files.setdefault((file.role, file.development), []).append(named)
    read = _read_roles(files, None)
    if not (read.development and read.retrieval):
        return read
    evaluation = EvaluationFilter(read.development, [FrozenEvaluation(read.retrieval, read.coherence, read.probes)])
    development = tuple(map(evaluation.without_evaluation, read.development))
    return structs.replace(read, development=development, excluded=dict(evaluation.counts))


def _field_of(file: InputFile) -> str:
    """The setting of an experiment that names ``file``; without the condition, for files of bundles."""
    if file.development:
        return f"development.{file.development}.{file.role.removeprefix('development_')}"
    return file.role if file.role in ("bundles", "dev") else f"evaluation.{file.role}"


def read_evaluation_files(
    *,
    retrieval: Path | None = None,
    coherence: Path | None = None,
    attention: Path | None = None,
    killers: Path | None = None,
    items: Iterable[str] | None = None,
) -> UserFiles:
    """Read files of evaluation items from their paths, each role from one file or none.

    Args:
        items: ids of the retrieval items that killers may name, where there is no ``retrieval``; None is any.

    Raises:
        BadInput: a file is missing, of another format, or has too many lines in quarantine.
    """
    named: tuple[tuple[Role, Path | None], ...] = (
        ("retrieval", retrieval),
        ("coherence", coherence),
        ("attention", attention),
        ("killers", killers),
    )
    files: dict[_Key, list[_File]] = {(role, ""): [_File(path, path)] for role, path in named if path is not None}
    return _read_roles(files, None if items is None else ItemIds(items))


def _read_roles(files: Mapping[_Key, Sequence[_File]], items: ItemIds | None) -> UserFiles:
    reports: list[FileReport] = []

    def read(role: Role, kind: type[Kind], items: ItemIds | None = None, development: str = "") -> tuple[Kind, ...]:
        gate = Gate(FORMATS_OF_ROLE[role], items)  # one for all files of a role, so that ids are unique among them
        records: list[Record] = []
        for file in files.get((role, development), ()):
            for verdict in _verdicts(gate, file, reports):
                records += verdict.records
                if role == "retrieval":
                    known.add(verdict)
        return tuple(record for record in records if isinstance(record, kind))

    known = ItemIds()
    retrieval = read("retrieval", RetrievalItem)
    return UserFiles(
        retrieval=retrieval,
        killers=read("killers", Killer, known if ("retrieval", "") in files else items),
        bundles=read("bundles", Bundle),
        dev=read("dev", Bundle),
        coherence=read("coherence", CoherenceItem),
        probes=read("attention", AttentionProbe),
        development=tuple(
            DevelopmentSet(
                name,
                read("development_retrieval", RetrievalItem, development=name),
                read("development_coherence", CoherenceItem, development=name),
            )
            for name in dict.fromkeys(development for _, development in files if development)
        ),
        reports=tuple(reports),
    )


def _verdicts(gate: Gate, file: _File, reports: list[FileReport]) -> Iterator[Verdict]:
    """The verdict on each line of ``file``; adds its report at the end."""
    report = FileReport(file.name)
    try:
        report.offsets = file_offsets(file.path)
        for line in read_lines(file.path):
            verdict = gate.verdict(line, report.offsets)
            report.add(verdict)
            yield verdict
        if file.sha256 is not None and hash_file(file.path).sha256 != file.sha256:
            raise BadInput("has changed since the run was requested")
        report.raise_if_unusable()
    except BadInput as error:
        raise BadInput(error.message, file=file.name, line=error.line, field=file.field) from error
    reports.append(report)
