"""What of a run's settings is other than what the experiment says now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from console.sanitize import sanitize_line
from engine.contract.settings import Settings

NAMED = 3


def difference(ran: Settings, asked: Settings) -> str:
    """``training.epochs 5, now 10``, safe to show; "" where there is none.

    Ship blockers do not count: they determine no number of a run, and are judged anew as the experiment has them.
    """
    ran = msgspec.structs.replace(ran, gates=asked.gates)
    then, now = dict(_fields(msgspec.to_builtins(ran))), dict(_fields(msgspec.to_builtins(asked)))
    names = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    words = [_change(name, then.get(name), now.get(name)) for name in names[:NAMED]]
    if (more := len(names) - NAMED) > 0:
        words.append(f"{more} more")
    return "; ".join(words)


def _fields(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field by its dotted name; a list is one value."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _change(name: str, then: object, now: object) -> str:
    if isinstance(then, list | tuple) or isinstance(now, list | tuple):
        return f"other {name}"
    return sanitize_line(f"{name} {_shown(then)}, now {_shown(now)}", limit=100)


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
