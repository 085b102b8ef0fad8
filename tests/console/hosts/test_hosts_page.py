"""docs/hosts.md has a row for every field of hosts.toml, with its default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

import console
from console.hosts.host_config import HostConfig, SlurmSettings

PAGE = Path(console.__file__).parents[1] / "docs" / "hosts.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .+ \|$", re.MULTILINE)


@pytest.mark.parametrize(("table", "shape"), [("[hosts.NAME]", HostConfig), ("[hosts.NAME.slurm]", SlurmSettings)])
def test_the_table_of_fields_is_complete_and_has_the_defaults(table: str, shape: type[msgspec.Struct]) -> None:
    _, _, after = PAGE.read_text().partition(f"| field of `{table}` |")
    rows = ROW.findall(after.partition("\n\n")[0])
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    assert sorted(name for name, _ in rows) == sorted(fields)
    for name, default in rows:
        field = fields[name]
        if field.required:
            assert default == "required", name
        elif field.default not in (None, ""):
            assert default == f"`{json.dumps(field.default)}`", name
        else:
            assert not default.startswith("`") and default != "required", name
