"""How a file counts the offsets of its spans: every convention is recognised from all of them, none from a single one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.formats.check import check_files, report_rows, report_summary, reports_as_json
from engine.data.formats.offsets import (
    CONVENTIONS,
    PLAIN,
    FileOffsets,
    OffsetConvention,
    Range,
    TargetSpan,
    cuts_word,
    recognise,
)
from engine.data.formats.reasons import Quarantined
from engine.data.formats.usages import locate_target
from engine.data.formats.user_files import read_evaluation_files

WOMAN = "\U0001f469\U0001f3fd\u200d\U0001f4bb"  # one sign on screen, four characters, seven code units, fifteen bytes
FILLERS = ("the", "an", "😀", "cafe\u0301", "naïve", WOMAN, "“shut”", "of", "𝒳", "🇫🇷")
TARGETS = ("bank", "Bank", "banks")
INCLUSIVE = OffsetConvention(end_included=True)
UTF_16 = OffsetConvention("UTF-16 code units")


def encoded(text: str, found: Range, convention: OffsetConvention) -> tuple[int, int]:
    """The offsets that a program which counts by ``convention`` writes for a range of characters."""

    def length(before: str) -> int:
        if convention.unit == "characters":
            return len(before)
        return len(before.encode()) if convention.unit == "UTF-8 bytes" else len(before.encode("utf-16-le")) // 2

    start, end = (length(text[:at]) + convention.first for at in found)
    return start, end - convention.end_included


@st.composite
def contexts(draw: st.DrawFn) -> tuple[str, Range]:
    """A text in which the target word may occur several times, and where it is meant."""
    words = [*draw(st.lists(st.sampled_from((*FILLERS, *TARGETS)), max_size=6)), draw(st.sampled_from(TARGETS))]
    text = " ".join(words)
    after = draw(st.sampled_from(("", " of them", ", bank", " 😀 bank")))
    return text + after, (len(text) - len(words[-1]), len(text))


BEFORE = ("😀", "an", "é", WOMAN)
DECISIVE = [(f"{one} é 😀 the bank of a bank", (len(one) + 9, len(one) + 13)) for one in BEFORE] * 10


def spans_in(texts: Sequence[tuple[str, Range]], convention: OffsetConvention, surface: bool) -> list[TargetSpan]:
    return [
        TargetSpan(text, *encoded(text, found, convention), text[slice(*found)] if surface else "", "bank")
        for text, found in texts
    ]


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
@given(st.lists(contexts(), max_size=4, unique=True), st.booleans())
def test_a_file_in_any_convention_has_its_true_spans_read(
    convention: OffsetConvention, texts: list[tuple[str, Range]], surface: bool
) -> None:
    texts = [*DECISIVE, *texts]
    spans = spans_in(texts, convention, surface)
    offsets = recognise(spans)
    assert offsets.conventions == (convention,) and offsets.fitting == (len(spans),) == (offsets.spans,)
    assert [offsets.locate(span).found for span in spans] == [found for _, found in texts]


@given(st.lists(contexts(), max_size=12), st.sampled_from(CONVENTIONS), st.booleans())
def test_with_little_evidence_a_span_is_right_or_not_read(
    texts: list[tuple[str, Range]], convention: OffsetConvention, surface: bool
) -> None:
    spans = spans_in(texts, convention, surface)
    offsets = recognise(spans)
    for span, (text, true) in zip(spans, texts, strict=True):
        found = offsets.locate(span).found
        if found != true and found is not None:  # only what is a whole word as it stands, and nothing speaks against it
            assert offsets.conventions[0] == PLAIN and found == (span.start, span.end)
            assert not surface and (text[slice(*found)] == "bank" or not cuts_word(text, found[1]))


@given(st.lists(contexts(), max_size=4, unique=True), st.sampled_from(CONVENTIONS[1:]))
def test_a_file_of_two_conventions_is_converted_by_neither(
    texts: list[tuple[str, Range]], other: OffsetConvention
) -> None:
    texts = [*DECISIVE, *texts]
    spans = [*spans_in(texts, PLAIN, False), *spans_in(texts, other, False)]
    offsets = recognise(spans)
    assert offsets.conventions[0] == PLAIN and other in offsets.conventions
    assert "no one convention" in str(offsets)
    for span, (_, true) in zip(spans, texts * 2, strict=True):
        assert offsets.locate(span).found in (None, true)


def test_one_span_is_no_evidence() -> None:
    spans = [TargetSpan("The bank of the bank", 4, 7, "", "bank")]
    assert recognise(spans) == FileOffsets((PLAIN,), (0,), 0, 1)
    assert recognise(spans).locate(spans[0]).found is None
    assert recognise(spans * 2).locate(spans[0]).found == (4, 8)


def test_some_wrong_spans_among_many_right_ones_are_no_convention() -> None:
    right, wrong = (
        TargetSpan("The bank of the bank", 4, 8, "", "bank"),
        TargetSpan("The bank, a bank", 4, 7, "", "bank"),
    )
    offsets = recognise([right] * 40 + [wrong] * 4)
    assert offsets.conventions == (PLAIN,) and str(offsets) == ""
    assert offsets.locate(wrong) == (None, False)


def test_stems_marked_within_inflected_forms_are_no_included_ends() -> None:
    stems = [TargetSpan("Two banks and a bank", 4, 8, "", "bank")] * 9
    whole = [TargetSpan("The bank was shut", 4, 8, "", "bank")] * 3
    assert recognise([*stems, *whole]).locate(stems[0]).found == (4, 8)
    included = [TargetSpan("The bank was shut", 4, 7, "", "bank")] * 3
    assert recognise([*stems, *included]).locate(stems[0]).found == (4, 9)
    offsets = recognise([*stems, *whole, *included])
    assert offsets.locate(stems[0]) == (None, True) and offsets.locate(whole[0]).found == (4, 8)


def test_an_empty_span_is_a_letter_only_where_the_end_is_included() -> None:
    first, later = TargetSpan("I ran, and I won", 0, 0, "", "i"), TargetSpan("Then I won, and I", 5, 5, "", "me")
    unstated = TargetSpan("A bank of a bank", 0, 0, "", "bank")
    included = recognise([TargetSpan("The bank was shut", 4, 7, "", "bank")] * 3)
    assert [included.locate(span).found for span in (first, later, unstated)] == [(0, 1), (5, 6), None]
    assert [FileOffsets().locate(span).found for span in (first, later, unstated)] == [None] * 3


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("ba|nk", True),
        ("bank| of", False),
        ("bank|'s", False),
        ("_|bank", False),
        ("cafe|\u0301", True),
        ("cafe\u0301|s", True),
        ("cafe\u0301| is", False),
        ("\U0001f469|\U0001f3fd", True),
        ("\U0001f469\u200d|\U0001f4bb", True),
        ("❤|\ufe0f", True),
        ("می\u200c|خواهم", True),
        ("银行|存款", False),
        ("은행|에서", False),
        ("42|nd", True),
        ("|bank", False),
        ("bank|", False),
    ],
)
def test_what_cuts_a_word(text: str, cut: bool) -> None:
    before, _, after = text.partition("|")
    assert cuts_word(before + after, len(before)) is cut


@pytest.mark.parametrize(
    ("text", "span", "lemma", "found"),
    [
        ("the bank of the river", [4, 7], "bank", (4, 8)),
        ("the banking hours", [4, 8], "bank", (4, 8)),
        ("Das Bankgebäude", [4, 8], "bank", (4, 8)),
        ("a cafe\u0301 here", [2, 6], "café", None),
        ("a cafe\u0301 here", [2, 7], "café", (2, 7)),
        ("she went there", [4, 8], "go", (4, 8)),
        ("she went there", [4, 7], "go", None),
        ("she was, really", [7, 8], "be", None),
    ],
)
def test_a_span_without_surface_is_the_lemma_or_whole_words(
    text: str, span: list[int], lemma: str, found: Range | None
) -> None:
    try:
        located = locate_target(text, (span[0], span[1]), lemma)
    except Quarantined as error:
        assert found is None and error.reason == "span_cuts_word"
    else:
        assert (located.start, located.end) == found


def line(
    number: int, texts: Sequence[tuple[str, Range]], convention: OffsetConvention, as_object: bool
) -> dict[str, Any]:
    def usage(place: int) -> dict[str, Any]:
        text, found = texts[place]
        start, end = encoded(text, found, convention)
        return {"text": text, "span": {"start": start, "end": end} if as_object else [start, end]}

    return {
        "eval_id": f"item{number}",
        "lemma": "bank",
        "query": {**usage(0), "sense_id": "bank#one"},
        "candidates": [
            {**usage(1), "sense_id": "bank#one", "is_correct_sense": True},
            {**usage(2), "sense_id": "bank#two", "is_correct_sense": False},
        ],
    }


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_a_users_file_is_read_by_its_own_convention(tmp_path: Path, convention: OffsetConvention) -> None:
    texts = [
        (f"{first} é 😀 the bank{place} of a bank", len(first) + 9) for first in FILLERS for place in ("", " x", "s")
    ]
    groups = [[(text, (at, at + 4 + (text[at + 4] == "s"))) for text, at in texts[i : i + 3]] for i in range(0, 30, 3)]
    file = tmp_path / "items.jsonl"
    lines = (json.dumps(line(number, group, convention, number % 2 > 0)) for number, group in enumerate(groups))
    file.write_text("\n".join(lines))
    read = read_evaluation_files(retrieval=file)
    events = [event for item in read.retrieval for event in (item.query, *(one.event for one in item.candidates))]
    assert [(event.text, (event.start, event.end)) for event in events] == [one for group in groups for one in group]
    (report,) = check_files([file])
    converted = report.repaired.get("span_converted")  # type: ignore[call-overload]
    said = f"spans are in {convention} (30 of 30 fit, "
    shown = (list(report_rows(report)), list(report_summary(report)))
    if convention == PLAIN:
        assert report.total.kept == 10 and not any("spans are" in row for rows in shown for row in rows)
    else:
        assert converted.lines == list(range(1, 11)) and report.total.repaired == 10
        assert all(any(said in row for row in rows) for rows in shown)
    (spans,) = [file["spans"] for file in reports_as_json([report])["files"]]
    assert spans == {"spans": 30, "fitting": {str(convention): 30}}


def test_what_does_not_fit_the_convention_of_its_file_is_quarantined(tmp_path: Path) -> None:
    texts = [(f"{number} 😀 the bank of a bank", (8, 12)) for number in range(3)]
    lines = [line(number, texts, UTF_16, False) for number in range(8)]
    lines[3]["query"]["span"] = [10, 13]
    lines[5]["query"] |= {"text": "4 😀 the bank of it", "span": [10, 12]}
    file = tmp_path / "items.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    (report,) = check_files([file])
    assert {reason: found.lines for reason, found in report.quarantined.items()} == {"span_cuts_word": [4]}
    assert {repair: found.lines for repair, found in report.repaired.items()} == {
        "span_converted": [1, 2, 3, 5, 6, 7, 8],
        "span_recomputed": [6],
    }
    assert str(report.offsets) == (
        "spans are in UTF-16 code units (22 of 24 fit, 0 as characters): converted where they differ"
    )
