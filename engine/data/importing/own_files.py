"""The records of the files that a run's settings name, read through the integrity gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.input_files import InputFile, Role, found
from engine.data.importing.formats import OF_ROLE
from engine.data.importing.gate import Gate, Record
from engine.data.importing.lines import read_lines
from engine.data.importing.tally import Tally
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem


class OwnFiles(Struct, frozen=True):
    """What the files of each role hold, and what became of their lines; a role that is not named is empty."""

    bundles: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    probes: tuple[AttentionProbe, ...]
    killers: tuple[Killer, ...]
    tallies: tuple[Tally, ...]


def read_own_files(inputs: Iterable[InputFile], paths: Mapping[str, Path]) -> OwnFiles:
    """Read the files of ``inputs``, which lie at ``paths`` by their SHA-256; ids are unique within a role.

    Raises:
        BadInput: a file is missing, has changed, or has too many lines in quarantine.
    """
    named: dict[Role, list[InputFile]] = {}
    for file in inputs:
        named.setdefault(file.role, []).append(file)
    tallies: list[Tally] = []

    def read(role: Role, items: Set[str] | None = None) -> list[Record]:
        gate = Gate(OF_ROLE[role], items)
        return [record for file in named.get(role, ()) for record in _records(gate, file, paths, tallies)]

    retrieval = tuple(record for record in read("retrieval") if isinstance(record, RetrievalItem))
    killers = read("killers", {item.item_id for item in retrieval})
    return OwnFiles(
        bundles=tuple(record for record in read("bundles") if isinstance(record, Bundle)),
        dev=tuple(record for record in read("dev") if isinstance(record, Bundle)),
        retrieval=retrieval,
        coherence=tuple(record for record in read("coherence") if isinstance(record, CoherenceItem)),
        probes=tuple(record for record in read("attention") if isinstance(record, AttentionProbe)),
        killers=tuple(record for record in killers if isinstance(record, Killer)),
        tallies=tuple(tallies),
    )


def _records(gate: Gate, file: InputFile, paths: Mapping[str, Path], tallies: list[Tally]) -> list[Record]:
    path = paths[file.sha256]
    tally = Tally(Path(file.name))
    records: list[Record] = []
    for verdict in gate.judge(read_lines(path)):
        tally.add(verdict)
        records += verdict.records
    if found(path).sha256 != file.sha256:
        raise BadInput("has changed since the run was asked for", file=path)
    tally.refuse_if_bad()
    tallies.append(tally)
    return records
