"""Whatever a user's TOML or JSON Lines hold, what is wrong is said in words, at its line and field, never a library's text."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.hosts.host_config import read_host, read_hosts
from console.user_settings import read_key_choices, read_settings
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.toml_file import find_config
from engine.data.formats.gate import Gate
from engine.data.formats.lines import Line
from tests.engine.data.formats import sample_lines as samples

LIBRARY_TEXT = (
    "Expected `",
    "at `",
    "`$",
    "`key`",
    "Object contains",
    "Object missing",
    "Invalid enum",
    "[...]",
    "got `",
)
ODD: list[Any] = [
    *(0, -1, 10**6, 2**63, 10**40, 1.5, inf, nan, True, "", "x y", "a.b", "v2.2", "`x`", "\x1b[31m", "x" * 300),
    *([], [1], ["a", "a"], [[1]], [{}], {}, {"x": 1}, {"": 1}, {"x y": {"z": 1}}),
    *(datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(1, 2)),
]
KEYS = [
    "",
    "x y",
    "a.b",
    "é",
    "`k`",
    "$",
    "...",
    "-",
    "*",
    "x]",
    "[0]",
    'a"b',
    "a'b",
    "k" * 300,
    "epocs",
    "a\nb - at x`",
]


def toml(value: Any) -> str:
    """``value`` as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")


def tables(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """``tree`` as lines of TOML, a table for each mapping."""
    rows = {key: one for key, one in tree.items() if isinstance(one, list) and one and isinstance(one[0], dict)}
    for key, value in tree.items():
        if not isinstance(value, dict) and key not in rows:
            yield f"{json.dumps(key)} = {toml(value)}"
    for key, value in tree.items():
        name = ".".join(map(json.dumps, (*path, key)))
        for table in value if key in rows else [value] if isinstance(value, dict) else []:
            if not isinstance(table, dict):
                continue
            yield f"[[{name}]]" if key in rows else f"[{name}]"
            yield from tables(table, (*path, key))


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def damaged(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """``whole`` with one value or key of it replaced, removed, renamed, doubled or added."""
    tree = copy.deepcopy(whole)
    path = draw(st.sampled_from(list(places(tree))))
    parent, key = at(tree, path[:-1]), path[-1]
    change = draw(st.sampled_from(("replace", "remove", "rename", "double", "add")))
    if change == "replace" or (change != "remove" and not isinstance(parent, dict)):
        parent[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
    elif change == "remove":
        del parent[key]
    elif change == "add":
        parent[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(ODD)))
    else:
        parent[draw(st.sampled_from(KEYS))] = parent.pop(key) if change == "rename" else copy.deepcopy(parent[key])
    return tree


SHIPPED = tomllib.loads(find_config("scaling.toml").read_text(encoding="utf-8"))
HOSTS = tomllib.loads(find_config("hosts.toml").read_text(encoding="utf-8"))
SETTINGS = {"theme": "dark", "glyphs": "auto", "notify": {"command": ["a"], "bell": True}}
READERS: dict[str, tuple[dict[str, Any], Callable[[Path], object]]] = {
    "scaling.toml": (SHIPPED, read_experiment),
    "hosts.toml": (HOSTS, read_hosts),
    "settings.toml": (SETTINGS, lambda path: read_settings(path.parent)),
    "keys.toml": ({"launch": "f5", "abort": ["f6", "f7"]}, lambda path: read_key_choices(path.parent)),
}


def said(error: BadInput, path: Path) -> None:
    """Assert that ``error`` is of ``path``, in words and without control characters."""
    text = str(error)
    assert error.file == path and text.isprintable() and "\n" not in text
    assert not any(part in error.message for part in LIBRARY_TEXT), text
    assert "[...]" not in (error.field or "")


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_wrong_with_a_toml_file_is_said_in_words(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    whole, read = READERS[name]
    tree = data.draw(damaged(whole))
    path = tmp_path_factory.getbasetemp() / name
    text = "\n".join(tables(tree)) + "\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path.write_text(text, encoding="utf-8")
    try:
        read(path)
    except BadInput as error:
        if error.file == path:  # not a file of the user's that is missing
            said(error, path)


@pytest.mark.parametrize("name", samples.FORMATS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_wrong_with_a_line_is_said_in_words(name: str, data: st.DataObject) -> None:
    tree = data.draw(damaged(samples.FORMATS[name](0)))
    content = json.dumps(tree, default=str).encode()
    found = Gate().verdict(Line(1, content, len(content))).quarantined
    detail = found.detail if found else ""
    assert not any(part in detail for part in LIBRARY_TEXT), detail


HOST = 'title = "x"\nlauncher = "embedded"\n'


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (
            "scaling.toml",
            ('[conditions."x y"]', 'title = "x"'),
            'conditions."x y": a name here must be up to 64 letters',
        ),
        ("scaling.toml", ('[conditions.""]', 'title = "x"'), 'conditions."": a name here must be up to 64 letters'),
        ("scaling.toml", ('[conditions."*"]', 'title = "x"'), "conditions: a name here must be up to 64 letters"),
        ("scaling.toml", ('[profiles."a]b"]', 'title = "x"'), 'profiles."a]b": a name here must be up to 64 letters'),
        (
            "scaling.toml",
            ('[conditions."B.2"]', 'title = "x"', 'curriculum = "uniform"', 'edition = "v9"'),
            "conditions.B.2.edition: 'v9' is not one of: enriched, v2.2, v2.3",
        ),
        (
            "scaling.toml",
            (
                '[conditions."B.2"]',
                'title = "x"',
                'curriculum = "uniform"',
                'edition = "v2.2"',
                'training = {"a b" = 1}',
            ),
            'conditions.B.2.training."a b": there is no such setting',
        ),
        (
            "scaling.toml",
            (
                "[[contingency]]",
                'title = "x"',
                'advice = "x"',
                'conditions = ["A"]',
                "changes = {trainig = {epochs = 2}}",
            ),
            "contingency[*].changes.trainig: 'trainig' is not one of: curriculum_weights, encoder, model",
        ),
        ("hosts.toml", ("[hosts.]", HOST), "not valid TOML: a name is missing, or has to be in quotes"),
        ("hosts.toml", ('[hosts.""]', HOST), 'hosts."": a name here must be up to 64 letters'),
        ("hosts.toml", ('[hosts."../x"]', HOST), 'hosts."../x": a name here must be up to 64 letters'),
        ("hosts.toml", ('[hosts."x y"]', HOST), 'hosts."x y": a name here must be up to 64 letters'),
    ],
)
def test_a_bad_name_in_a_mapping_is_named_with_its_line(
    tmp_path: Path, name: str, change: tuple[str, ...], expected: str
) -> None:
    path = tmp_path / name
    text = find_config(name).read_text(encoding="utf-8").rstrip() + "\n"
    path.write_text(text + "\n".join(change) + "\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        READERS[name][1](path)
    said(caught.value, path)
    message = str(caught.value).removeprefix(f"{path}:{caught.value.line}: ")
    number = str(text.count("[[contingency]]"))
    assert message.startswith(expected.replace("[*]", f"[{number}]"))
    if "*" not in change[0] and "contingency" not in change[0]:
        assert caught.value.line is not None and caught.value.line > text.count("\n")


MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_part_of_an_experiment(tmp_path: Path) -> None:
    plain = find_config("scaling.toml")
    marked = tmp_path / "scaling.toml"
    marked.write_bytes(MARK + plain.read_bytes())
    read = read_experiment(marked)
    assert read == read_experiment(plain) and not read.text.startswith("\ufeff")
    derived = '[[added_seeds]]\nseeds = [7]\nprofiles = ["full"]\nreason = "x"\nat = "2026-01-31T12:00:00+00:00"\n'
    derived_path(marked).write_bytes(MARK + derived.encode())
    assert read_experiment(marked).added_seeds[0].seeds == (7,)
    derived_path(marked).unlink()
    marked.write_bytes(MARK + b"seeds = 1\n")
    with pytest.raises(BadInput) as caught:
        read_experiment(marked)
    assert caught.value.field


def test_a_byte_order_mark_is_no_part_of_hosts_settings_and_keys(tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_bytes(MARK + f"[hosts.a]\n{HOST}".encode())
    (tmp_path / "settings.toml").write_bytes(MARK + b'theme = "dark"\n')
    (tmp_path / "keys.toml").write_bytes(MARK + b'launch = "f5"\n')
    assert read_host(tmp_path / "hosts.toml", "a").title == "x"
    assert read_settings(tmp_path).theme == "dark"
    assert [(one.action, one.keys, one.line) for one in read_key_choices(tmp_path)] == [("launch", ("f5",), 1)]
    (tmp_path / "hosts.toml").write_bytes(MARK + b'[hosts.a]\ntitle = "x"\nlauncher = "ssh"\n')
    with pytest.raises(BadInput, match=r"hosts\.toml:1: hosts\.a\.address"):
        read_host(tmp_path / "hosts.toml", "a")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
def test_a_toml_file_that_is_not_utf_8_is_refused_with_advice(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "hosts.toml"
    path.write_bytes(b"\xfe\xff" * (encoding == "utf-16-be") + "# é\n[hosts.a]\n".encode(encoding))
    with pytest.raises(BadInput) as caught:
        read_hosts(path)
    assert ("save it as UTF-8" in str(caught.value)) is (encoding != "latin-1")
