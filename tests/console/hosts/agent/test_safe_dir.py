"""Names that may cross the link: whatever the other end sends, nothing else gets past."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.safe_dir import unsafe_reason

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
    assert unsafe_reason(name)


@pytest.mark.parametrize(
    "name", ["a", "a b/c.txt", "..a/b..", "données/été.json", "日本/語", "a-b", ".hidden", "a" * 255]
)
def test_a_safe_name_is_accepted(name: str) -> None:
    assert unsafe_reason(name) == ""


@given(st.text(alphabet=st.sampled_from("aA./\\-\0\n\u202e~é "), max_size=12))
def test_no_accepted_name_leads_out_of_its_folder(name: str) -> None:
    if not unsafe_reason(name):
        pure = PurePosixPath(name)
        assert not pure.is_absolute() and str(pure) == name
        assert not {"..", ".", ""} & set(pure.parts) and name.isprintable()
        assert not any(part.startswith("-") for part in pure.parts)
