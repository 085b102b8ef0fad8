"""Cells of tables: intervals as text and as bars, and their layout in 80, 120 and 200 columns and in ASCII."""

from __future__ import annotations

import pytest

from console.results.report.layout import as_ascii, section_lines
from console.results.report.markup import as_csv, latex_escaped
from console.results.tables import (
    Axis,
    Bar,
    Mark,
    Number,
    Range,
    Role,
    Section,
    Text,
    cell_text,
    header_row,
    number_text,
    sparkline,
    text_cell,
)

GATE = Bar(0.6, 0.7, 0.8, marks=(Mark("|", 0.9), Mark("c", 0.1), Mark("m", 0.76)), role="fail")


def lines_of(section: Section, width: int = 76, ascii_only: bool = False) -> list[str]:
    return ["".join(part.text for part in line) for line in section_lines(section, width, ascii_only)]


def test_a_range_is_an_interval_in_words() -> None:
    assert Range(0.414, 0.432, 0.453, shows_mean=False).text == "41.4 – 45.3"
    assert Range(0.004, 0.036, 0.069, "points").text == "+3.6 [+0.4, +6.9]"
    assert Range(None, 0.036, None, "points").text == "+3.6"
    assert Range(None, None, None).text == Range(None, 0.1, None, shows_mean=False).text == "-"
    assert Range(-0.01, 0.001, 0.02, "gain").text == "+0.001 [-0.010, +0.020]"


def test_a_narrow_range_has_short_ends_and_all_its_digits_otherwise() -> None:
    narrow = Range(0.3132, 0.357, 0.4049, has_short_ends=True)
    assert narrow.text == "35.7 [31, 40]" and (narrow.low, narrow.high) == (0.3132, 0.4049)
    assert Range(None, 0.357, None, has_short_ends=True).text == "35.7"


def test_a_sparkline_has_a_block_for_each_value_and_is_drawn_in_every_output() -> None:
    assert sparkline([0.0, 0.5, 1.0, 2.0, -1.0, float("nan")], 0.0, 1.0) == "▁▅██▁ "
    assert sparkline([3.0, 3.0], 3.0, 3.0) == "▁▁"
    assert as_ascii("▁▂▃▄▅▆▇█") == "_.-:=+*#"
    assert latex_escaped("▁█") == r"\rule{.5em}{0.125em}\rule{.5em}{1em}"


def test_what_is_drawn_beside_a_number_is_no_part_of_its_name_in_csv() -> None:
    row = (text_cell("token"), (Number(0.25), Text(" ███")), (Number(0.5), Text("% of 3")))
    lines = as_csv([Section("", (row,), header_row("", "A", "B"), "probe")]).splitlines()
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["probe", "token", "A", "0.25"],
        ["probe", "token", "B % of 3", "0.5"],
    ]


def test_columns_are_cut_only_where_the_table_does_not_fit() -> None:
    long = "a label of more than eighteen columns"
    rows = ((text_cell(long), (Number(0.5),)),)
    assert lines_of(Section("", rows, header_row("", "A")))[-1].startswith(long)
    assert lines_of(Section("", rows, header_row("", "A")), width=40)[-1].startswith("a label of more t…")


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "<.001"), (0.034, ".034"), (0.46, ".46"), (0.999, "1.00"), (None, "-")]
)
def test_a_p_value_has_no_more_digits_than_it_is_worth(p: float | None, text: str) -> None:
    assert number_text(p, "p") == text


def test_a_number_that_is_not_finite_is_a_dash() -> None:
    assert number_text(float("nan"), "count") == number_text(float("inf"), "decimal") == "-"


def test_a_bar_shows_interval_mean_and_marks_at_their_places() -> None:
    assert "".join(part.text for part in GATE.drawn(21)) == "..c.........├─●m┤.|.."
    assert "".join(part.text for part in GATE.drawn(21, ascii_only=True)) == "..c.........[-om].|.."
    assert {part.role for part in GATE.drawn(21) if part.text.strip("|cm.")} == {"fail"}


def test_a_mean_outside_the_axis_is_marked_at_its_end() -> None:
    assert cell_text((Bar(None, -0.2, None),))[0] == "<"
    assert cell_text((Bar(None, 1.2, None),))[-1] == ">"
    assert cell_text((Bar(None, None, None),)) == "." * 17
    assert cell_text((Bar(-0.5, 0.5, 1.5),)) == "<" + "─" * 7 + "●" + "─" * 7 + ">"


def test_an_axis_leaves_out_labels_that_would_touch() -> None:
    assert Axis().drawn(21).split() == ["0", "20", "40", "60", "80", "100"]
    assert Axis().drawn(13).split() == ["0", "40", "80"]
    assert Axis().drawn(41).split() == ["0", "20", "40", "60", "80", "100"]
    points = Axis((-0.08, 0.0, 0.08), -0.08, 0.08, "points").drawn(21)
    assert points.split() == ["-8", "0", "+8"] and points.index("0") == 10


@pytest.mark.parametrize("width", [76, 116, 196])
def test_bars_take_the_width_that_is_there_and_no_line_is_longer(width: int) -> None:
    row = (text_cell("A", "name"), (GATE,), (Range(0.6, 0.7, 0.8),), text_cell("FAIL", "fail"))
    head = (text_cell("gate"), (Axis(),), text_cell("95%"), text_cell("verdict"))
    lines = lines_of(Section("Ship blockers", (row, (text_cell("words " * 40),)), head), width)
    assert max(map(len, lines)) <= width
    bar = lines[2].split()[1]
    assert len(bar) == min(81, width - len("gate") - len("70.0 [60.0, 80.0]") - len("verdict") - 6)
    assert lines[1].index("100") + 3 == lines[2].index(bar) + len(bar)


def test_optional_columns_come_with_the_width() -> None:
    cells = tuple((Text("x" * 18),) for _ in range(5))
    section = Section("t", (cells, (text_cell("note"),)), header_row(*"abcde"), optional=(2, 4))
    assert [lines_of(section, width)[1].split() for width in (100, 80, 60)] == [
        list("abcde"),
        list("abcd"),
        list("abd"),
    ]


def test_a_long_last_cell_is_wrapped_under_its_beginning_and_keeps_its_roles() -> None:
    words: Role = "warning"
    section = Section(
        "",
        ((text_cell("B"), (Text("one ", words), Text("two ", words), Number(0.5), Text(" three " * 9))),),
        header_row("", ""),
    )
    lines = section_lines(section, 30)
    texts = ["".join(part.text for part in line) for line in lines]
    assert all(len(text) <= 30 for text in texts) and len(texts) > 2
    assert all(text.startswith("   ") for text in texts[2:])
    assert " ".join(" ".join(texts[1:]).split()) == "B one two 50.0" + " three" * 9
    assert any(part.role == words for part in lines[1])


def test_a_word_longer_than_the_line_is_broken() -> None:
    texts = lines_of(Section("", ((text_cell("y" * 100),),)), 30)
    assert max(map(len, texts)) <= 30 and "".join(texts).replace(" ", "") == "y" * 100


def test_ascii_holds_the_same_facts() -> None:
    row = (
        text_cell("A − B"),
        (GATE,),
        (Range(0.1, 0.2, 0.3, shows_mean=False),),
        (Number(0.5, sd=0.1),),
        text_cell("≥ 30 …"),
    )
    lines = lines_of(Section("Δ", (row,), header_row(*"abcde")), 76, ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert "10.0 - 30.0" in lines[2] and "50.0 +- 10.0" in lines[2] and ">= 30 ..." in lines[2]
