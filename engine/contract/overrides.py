"""Overrides of a table of settings: some of its fields replaced, the result checked like the table itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

Overrides = dict[str, Any]
"""New values by field, as the file states them; checked against the table that they override."""

Table = TypeVar("Table", bound=Struct)

EXCLUSIVE = (frozenset({"epochs", "steps"}),)
"""Fields of which one is in effect: an override of one replaces the others."""


def override(base: Table, changes: Mapping[str, Any]) -> Table:
    """``base`` with ``changes``, checked as if the file had stated the whole table.

    Raises:
        msgspec.ValidationError: a field is unknown, or a value does not fit.
    """
    if not changes:
        return base
    fields = without_replaced(msgspec.to_builtins(base), changes)
    return msgspec.convert(fields | dict(changes), type(base))


def without_replaced(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> Overrides:
    """Those of ``fields`` that stay in effect beside ``changes``."""
    replaced = set(changes).union(*(names for names in EXCLUSIVE if not names.isdisjoint(changes)))
    return {name: value for name, value in fields.items() if name not in replaced}


def flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every field of nested tables under its dotted name; a list is one value."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
