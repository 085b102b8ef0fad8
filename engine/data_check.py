"""``qllm-engine data check``: prints what the integrity gate makes of files, and fails if one of them must not be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.data.importing.check import check_files
from engine.data.importing.report import as_json, table
from engine.data.importing.tally import Tally


def data_check(files: Sequence[Path], quarantine: Path | None, *, as_one_json: bool) -> None:
    """Check ``files`` and print a table for each, or one JSON object for all.

    Raises:
        BadInput: a file cannot be read, holds no records, or has too many of them in quarantine.
    """
    tallies: list[Tally] = []
    for tally in check_files(files, quarantine):
        tallies.append(tally)
        if not as_one_json:
            print(table(tally), flush=True)
    if as_one_json:
        print(json.dumps(as_json(tallies), indent=1))
    refused: list[BadInput] = []
    for tally in tallies:
        try:
            tally.refuse_if_bad()
        except BadInput as error:
            refused.append(error)
    if refused:
        first = refused[0]
        more = f" (and {len(refused) - 1} more of the files fail)" if len(refused) > 1 else ""
        raise BadInput(first.message + more, file=first.file, line=first.line)
