"""Checks printed JSON against the schema that ``qllm-console schema`` prints for it: as much of JSON Schema as these use."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from console.commands.json_schemas import json_schema, schemas

KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
    "array": (list,), "object": (dict,),
}  # fmt: skip


def checked(printed: str) -> Any:
    """The one object in ``printed``, decoded; AssertionError if it does not fit the schema that it names."""
    body = json.loads(printed)
    schema = _schemas()[body["schema"].removeprefix("qllm-console.")]
    assert list(body)[:3] == ["schema", "version", "command"]
    _check(body, schema, schema["$defs"], body["schema"])
    return body


@cache
def _schemas() -> dict[str, Any]:
    return {one.name: json_schema(one) for one in schemas()}


def _check(value: Any, schema: dict[str, Any], known: dict[str, Any], where: str) -> None:
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert any(_fits(value, one, known) for one in schema["anyOf"]), f"{where}: {value!r}"
        return
    if "const" in schema or "enum" in schema:
        assert value in schema.get("enum", [schema.get("const")]), f"{where}: {value!r}"
        return
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)):
            break
    else:
        assert not kinds, f"{where}: {value!r} is not {kinds}"
    if isinstance(value, dict):
        properties = schema.get("properties")
        for name, one in value.items():
            if properties is not None:
                assert name in properties, f"{where}: unknown {name}"
            _check(
                one,
                properties[name] if properties else schema.get("additionalProperties") or {},
                known,
                f"{where}.{name}",
            )
        assert set(schema.get("required", ())) <= set(value), f"{where}: lacks {set(schema['required']) - set(value)}"
    if isinstance(value, list):
        fixed = schema.get("prefixItems", [])
        for number, one in enumerate(value):
            of = fixed[number] if number < len(fixed) else schema.get("items") or {}
            _check(one, of, known, f"{where}[{number}]")


def _fits(value: Any, schema: dict[str, Any], known: dict[str, Any]) -> bool:
    try:
        _check(value, schema, known, "")
    except AssertionError:
        return False
    return True
