"""No class of ours sets an attribute that a library's class keeps for itself: the next Python's may have the same name."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from functools import cache

import console
import engine

OURS = ("console", "engine")
WITHOUT_STATE = (
    "argparse",
    "asyncssh",
    "enum",
    "msgspec",
    "sentence_transformers.base.modules",
    "textual",
    "torch.nn.modules.module",
)
"""Modules whose classes are made to be subclassed; a thread, a process or a lock is a part of ours instead."""

SETTINGS = {"animation_level", "tokenizer"}
"""Attributes that a library documents as ours to set, though only its ``__init__`` names them."""

REPLACED = {
    "Parser": {"_check_value"},
    "ConsoleService": {"_open_app_process", "_process", "_stdin"},
}
"""Private methods that are replaced on purpose, of libraries whose next versions are tried first, and what these set."""


def our_classes() -> Iterator[type]:
    """Every class of the console and the engine that has a library's class among its bases."""
    for package in (console, engine):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                module = importlib.import_module(found.name)
                yield from (
                    one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == found.name
                )


def library_bases(one: type) -> list[type]:
    skipped = ("abc", "builtins", "typing")
    return [base for base in one.__mro__ if not base.__module__.startswith(OURS) and base.__module__ not in skipped]


@cache
def attributes(one: type) -> set[str]:
    """Names that the body of a class defines, and those that its methods set on ``self``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
    except (OSError, TypeError):  # written in C
        return set(vars(one))
    (body,) = tree.body
    assert isinstance(body, ast.ClassDef)
    names = {node.name for node in body.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            names |= {node.attr} if isinstance(node.ctx, ast.Store) else set()
    for statement in body.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("__")}


def test_no_attribute_of_a_library_is_shadowed() -> None:
    for one in our_classes():
        own = attributes(one)
        for base in library_bases(one):
            shadowed = own & attributes(base)
            hidden = {name for name in shadowed if name.startswith("_") or not hasattr(base, name)}
            hidden -= SETTINGS | REPLACED.get(one.__name__, set())
            assert not hidden, f"{one} and {base} both have {sorted(hidden)}"


def test_only_classes_that_are_made_for_it_are_subclassed() -> None:
    for one in our_classes():
        foreign = [base for base in library_bases(one) if not base.__module__.startswith(WITHOUT_STATE)]
        assert not foreign, f"make {foreign} a part of {one} instead of a base"
