"""Names that may cross the link: whatever the other end sends, nothing else gets past."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.safe_names import clashes, excluded, why_unsafe

HOSTILE = [
    "",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\x1b[31mb",
    "\u202egnp.exe",
    "\u200bhidden",
    "\udcff",
    "-rf",
    "a/-b",
    "a\\b",
    ".qllm-sync/staging/x",
    "a/.QLLM-sync",
    "x" * 256,
    "/".join(["x" * 200] * 30),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused(name: str) -> None:
    assert why_unsafe(name)


@pytest.mark.parametrize(
    "name", ["a", "a b/c.txt", "..a/b..", "données/été.json", "日本/語", "a-b", ".hidden", "a" * 255]
)
def test_an_honest_name_passes(name: str) -> None:
    assert why_unsafe(name) == ""


@given(st.text(alphabet=st.sampled_from("aA./\\-\0\n\u202e~é "), max_size=12))
def test_no_name_that_passes_leads_out_of_its_folder(name: str) -> None:
    if not why_unsafe(name):
        pure = PurePosixPath(name)
        assert not pure.is_absolute() and str(pure) == name
        assert not {"..", ".", ""} & set(pure.parts) and name.isprintable()
        assert not any(part.startswith("-") for part in pure.parts)


def test_names_that_differ_only_in_case_or_accents_clash_and_so_do_folders_on_the_way() -> None:
    assert clashes(["a.txt", "A.txt", "b.txt"]) == {"a.txt", "A.txt"}
    assert clashes(["data/x", "Data/y", "other/x"]) == {"data/x", "Data/y"}
    assert clashes(["caf\u00e9", "cafe\u0301"]) == {"caf\u00e9", "cafe\u0301"}
    assert not clashes(["data/x", "data/y", "x"])


def test_patterns_match_names_anywhere_and_paths_as_a_whole() -> None:
    assert excluded("a/b/model.pt", ["*.pt"]) and excluded("a/__pycache__", ["__pycache__"])
    assert excluded("data/raw", ["data/raw"]) and not excluded("other/data/raw", ["data/raw"])
    assert not excluded("model.ptx", ["*.pt"])
