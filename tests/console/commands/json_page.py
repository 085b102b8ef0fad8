"""``docs/json.md`` from the schemas of what commands print; ``python -m tests.console.commands.json_page`` writes it."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Any

from console.commands.json_schemas import json_schema, schemas

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
INTRODUCTION = """# JSON

Every command but `view` and `schema` prints JSON with `--json`: one object on stdout, or one object a line (NDJSON) where that is
said below. Errors and progress go to stderr; with `--progress ndjson` these are lines of JSON, too (schema `progress`).

Each object begins with `schema` (such as `qllm-console.status`), `version` (of that schema) and `command`. The version changes
when a field is renamed, removed or means something else. New fields may come without a new version: ignore what you do not know.
A number that does not exist, such as the mean of nothing, is null. `qllm-console schema NAME` prints a schema as JSON Schema.

This page is made from the types that the commands print: `python -m tests.console.commands.json_page`.
"""


def page() -> str:
    """The page: a section for each schema, then the records that they are made of."""
    parts = [INTRODUCTION, _overview()]
    records: dict[str, dict[str, Any]] = {}
    for one in schemas():
        found = json_schema(one)
        records |= {name: body for name, body in found["$defs"].items() if name != found.get("title")}
        said = " A line each." if one.is_line else ""
        commands = ", ".join(f"`{command}`" for command in one.commands)
        parts.append(f"## {one.name}\n\n{_text(found)}\n\nPrinted by {commands}; version {one.version}.{said}\n")
        parts.append(_fields(found, skip=("schema", "version", "command")))
    parts.append("## Records\n")
    parts += [f"### {name}\n\n{_text(body)}\n\n{_fields(body)}" for name, body in sorted(records.items())]
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        f"| [{one.name}](#{one.name}) | {', '.join(f'`{command}`' for command in one.commands)} |" for one in schemas()
    ]
    return "\n".join(["| schema | printed by |", "|---|---|", *rows, ""])


def _text(body: dict[str, Any]) -> str:
    """The docstring of the record, its list of attributes as a list."""
    text, _, attributes = cleandoc(body.get("description", "")).partition("\n\nAttributes:\n")
    entries: list[str] = []
    for line in attributes.splitlines():
        if line.startswith("     "):
            entries[-1] += " " + line.strip()
        elif line.strip():
            entries.append("- " + line.strip())
    return "\n\n".join(filter(None, (" ".join(text.split()), "\n".join(entries)))).replace("``", "`")


def _fields(body: dict[str, Any], skip: tuple[str, ...] = ()) -> str:
    rows = [f"| `{name}` | {_type(of)} |" for name, of in body.get("properties", {}).items() if name not in skip]
    return "\n".join(["| field | type |", "|---|---|", *rows, ""])


def _type(node: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        kinds = [kind for one in node["anyOf"] for kind in _type(one).split(" or ")]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    kind = node.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        if "prefixItems" in node:
            return "list of " + ", ".join(map(_type, node["prefixItems"]))
        return f"list of {_type(node.get('items') or {})}"
    if kind == "object":
        return f"object of {_type(node.get('additionalProperties') or {})}"
    return {"string": "text", "boolean": "true or false"}.get(kind, str(kind))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
