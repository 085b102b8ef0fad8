"""``qllm-engine data check``: what the integrity gate makes of files, before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.contract.durable import writing_durably
from engine.data.importing.formats import OF_ROLE
from engine.data.importing.gate import Gate
from engine.data.importing.lines import Line, read_lines
from engine.data.importing.quarantine import keep, quarantine_file
from engine.data.importing.tally import Tally
from engine.data.records import RetrievalItem


def check_files(files: Sequence[Path], quarantine: Path | None = None) -> Iterator[Tally]:
    """What becomes of the lines of each file; killers must name retrieval items, if any of the files holds some.

    Args:
        files: one or more; ids must be unique within each.
        quarantine: a folder, made when missing, to which each file's quarantined lines are written.

    Raises:
        BadInput: a file cannot be read as lines, or two would be quarantined under one name.
    """
    if quarantine is not None:
        _refuse_one_name(files)
        quarantine.mkdir(parents=True, exist_ok=True)
    items = {item for file in files for item in _retrieval_items(file)}
    for file in files:
        tally = Tally(file)
        place = None if quarantine is None else quarantine_file(quarantine, file)
        with nullcontext() if place is None else writing_durably(place) as out:
            for verdict in Gate(items=items or None).judge(read_lines(file)):
                tally.add(verdict)
                if out is not None:
                    keep(verdict, out)
        yield tally


def _retrieval_items(file: Path) -> Iterator[str]:
    """The ids of the retrieval items of ``file`` that pass the gate."""
    gate = Gate(accepts=OF_ROLE["retrieval"])
    for verdict in gate.judge(line for line in read_lines(file) if _may_be_retrieval(line)):
        yield from (record.item_id for record in verdict.records if isinstance(record, RetrievalItem))


def _may_be_retrieval(line: Line) -> bool:
    return not line.too_long and b'"candidates"' in line.content


def _refuse_one_name(files: Sequence[Path]) -> None:
    name, count = Counter(file.name for file in files).most_common(1)[0]
    if count > 1:
        raise BadInput(f"{count} files are called {name}; quarantine them one at a time", field="--quarantine")
