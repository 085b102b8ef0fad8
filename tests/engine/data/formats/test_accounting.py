"""Every line is accounted for once, whatever stands in it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.formats.gate import Gate
from engine.data.formats.lines import Line, read_lines
from engine.data.formats.tally import Tally
from engine.data.records import Bundle
from tests.engine.data.formats import made_lines as made
from tests.engine.data.formats.made_lines import Record

MUTATIONS = 10_000
_TOKEN = re.compile(rb'"[^"]*"|-?[0-9.]+|true|false|null')
_STRANGE = (
    *(b"null", b"true", b"[]", b"{}", b'""', b"0", b"-1", b"1.5", b"NaN", b"1e999", b"9" * 30, b"9" * 400),
    *(
        b'"\\ud83d"',
        b'"\\u0000"',
        b'"\x01"',
        b'"\xff"',
        b'"\xe2\x80\xa8"',
        b"[" * 150,
        b"[" * 90 + b"]" * 90,
        b'{"a":1,"a":2}',
    ),
)


def mutated(content: bytes, random: random.Random) -> bytes:
    """``content`` with one thing or two wrong with it."""
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(content) + 1)
        match random.randrange(10):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
            case 2:
                content = content[:at] + content[at + random.randrange(1, 40) :]
            case 3 | 7 | 8 | 9:
                start, end = random.choice([token.span() for token in _TOKEN.finditer(content)] or [(0, 0)])
                content = content[:start] + random.choice(_STRANGE) + content[end:]
            case 4:
                other = random.randrange(len(content) + 1)
                content = content[: max(at, other)] + content[min(at, other) :]
            case 5:
                content = content.replace(b'": ', b'": ' + random.choice(_STRANGE) + b', "again": ', 1)
            case 6:
                content = content.replace(b'"', random.choice((b"'", b'"\t', b'\\"')), random.randrange(1, 4))
    return content.replace(b"\n", b"")


@pytest.mark.parametrize(("name", "build"), made.FORMATS.items())
def test_ten_thousand_spoiled_lines_of_each_format(name: str, build: Callable[[int], Record]) -> None:
    shuffled = random.Random(name)
    good = [made.line(build(number)) for number in range(12)]
    gate, tally = Gate(), Tally(Path(name))
    for number in range(1, MUTATIONS + 1):
        content = mutated(good[number % 12], shuffled)
        verdict = gate.verdict(Line(number, content, len(content)))
        tally.add(verdict)
        assert (verdict.quarantined is None and bool(content.strip())) == bool(verdict.records)
    total = tally.total
    assert total.kept + total.repaired + total.quarantined + tally.blank == tally.lines == MUTATIONS
    assert sum(len(found.lines) for found in tally.quarantined.values()) == total.quarantined > MUTATIONS / 2
    assert len(tally.quarantined) > 6


LINES = st.one_of(
    st.builds(
        lambda build, number: made.line(build(number)), st.sampled_from(list(made.FORMATS.values())), st.integers(0, 30)
    ),
    st.binary(max_size=30).map(lambda content: content.replace(b"\n", b"")),
    st.sampled_from([b"", b"  \t", b"\r", b"{}", b"[]", b"null"]),
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_kept_and_repaired_and_quarantined_and_blank_are_all_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], last: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "mixed.jsonl"
    path.write_bytes(b"\n".join([b"{}", *lines]) + b"\n" * last)
    tally, records = Tally(path), 0
    for verdict in Gate().judge(read_lines(path)):
        tally.add(verdict)
        records += bool(verdict.records)
    total = tally.total
    assert (
        total.records + tally.blank
        == tally.lines
        == path.read_bytes().count(b"\n") + (not last and lines[-1:] != [b""])
    )
    assert records == total.kept + total.repaired
    assert sum(counts.records for counts in tally.formats.values()) == total.records


def test_what_passes_holds_together() -> None:
    """Events of mutated bundles that pass keep the promises that training relies on."""
    shuffled = random.Random(1)
    passed = 0
    for number in range(3000):
        content = mutated(made.line(made.grouped(number)), shuffled)
        for bundle in Gate().verdict(Line(1, content, len(content))).records:
            assert isinstance(bundle, Bundle)
            passed += 1
            events = (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma)
            assert all(event.text.strip() and 0 <= event.start <= event.end <= len(event.text) for event in events)
            assert bundle.anchor.sense_id == bundle.positive.sense_id and len(events) > 2
            assert len({event.text for event in events[:2]}) == 2
    assert passed > 200
