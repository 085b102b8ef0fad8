"""Items as text: marks, tokens over their percentages, columns for every width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.content import Content

from console.glyphs import ASCII, BRAILLE
from console.results.items.detail import Token
from console.ui.items.columns import columns
from console.ui.items.item_text import HEAVIEST, flow, legend, outcome_mark, signed, token_lines


@pytest.mark.parametrize(
    ("right", "seeds", "sign", "name"),
    [
        (3, 3, "#", "right"),
        (2, 3, "+", "most"),
        (1, 2, "-", "few"),
        (1, 3, "-", "few"),
        (0, 3, ".", "wrong"),
        (0, 0, " ", "missing"),
    ],
)
def test_a_mark_tells_all_most_few_and_none(right: int, seeds: int, sign: str, name: str) -> None:
    assert outcome_mark(right, seeds, ASCII) == (sign, name)
    shape, same = outcome_mark(right, seeds, BRAILLE)
    assert same == name and (shape in legend(BRAILLE) or name == "missing")


def test_a_sign_before_a_number_and_a_dash_for_none() -> None:
    assert signed(float("nan")) == "-" and signed(-0.25) == "-0.250" and signed(0.25) == "+0.250"


def words(text: str, weights: list[float]) -> list[Token]:
    """``text`` with a weight a word."""
    tokens: list[Token] = []
    for word, weight in zip(text.split(" "), weights, strict=True):
        tokens += [Token(" ")] if tokens else []
        tokens.append(Token(word, weight))
    return tokens


def test_percentages_stand_under_the_heaviest_tokens() -> None:
    text, shares = token_lines(words("the river bank was steep", [0.05, 0.4, 0.3, 0.1, 0.15]), 60)
    assert text.plain == "  the river bank was steep"
    for share, word in (("40%", "river"), ("30%", "bank"), ("15%", "steep")):
        assert shares.plain.index(share) == text.plain.index(word)
    shaded = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert shaded["river"] == "on $accent 75%" and shaded["bank"] == "on $accent 56%"


def test_a_percentage_without_room_is_left_out_and_none_touches_another() -> None:
    text, shares = token_lines(words("a b c do", [0.1, 0.4, 0.3, 0.2]), 60)
    assert (text.plain, shares.plain) == ("  a b c do", "  10% 30%")
    assert token_lines(words("a bb c do", [0.0, 0.4, 0.3, 0.3]), 60)[1].plain == "    40%  30%"


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_long_or_wide_query_is_wrapped_and_nothing_of_it_is_lost(width: int) -> None:
    weights = [1 / 40] * 40
    tokens = words(" ".join(["word", "河岸", "w" * 30, "é"] * 10), weights)
    lines = token_lines(tokens, width)
    assert all(cell_len(line.plain) <= width + 4 for line in lines)  # a last percentage may stand out
    texts = [line.plain for line in lines if "%" not in line.plain]
    assert "".join("".join(texts).split()) == "".join(token.text.strip() for token in tokens)
    assert 1 <= sum(line.plain.count("%") for line in lines) <= HEAVIEST
    assert [line.plain for line in token_lines([], width)] == ["  "]
    assert [line.plain for line in token_lines([Token("a", 0.0)], width)] == ["  a"]


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120, 200])
@pytest.mark.parametrize("conditions", [(), ("A", "B", "C"), tuple(f"condition{number}" for number in range(100))])
@pytest.mark.parametrize("compared", [False, True])
def test_the_columns_fill_the_width_and_those_of_a_pair_come_first(
    width: int, conditions: tuple[str, ...], compared: bool
) -> None:
    pair = (conditions[1], conditions[0]) if compared and conditions else None
    shown = columns(conditions, width, pair)
    assert {"lemma", "tier", "failed", "margin", "query"} <= {column.key for column in shown}
    if width >= 80:
        assert 1 + sum(column.width + 1 for column in shown) == width
    of_conditions = [column.key for column in shown if isinstance(column.key, int)]
    assert of_conditions == ([1, 0, 2, 3, 4, 5, 6, 7, 8, 9] if pair else list(range(10)))[: len(of_conditions)]
    if width >= 80:
        assert len(of_conditions) >= min(len(conditions), 2)
        assert ("difference" in [column.key for column in shown]) is bool(pair)


def test_parts_flow_on_lines_and_are_never_broken() -> None:
    lines = flow([Content("aaa"), Content("bb"), Content("cccccc"), Content("d")], 8, 2)
    assert [line.plain for line in lines] == ["aaa  bb", "cccccc", "d"] and flow([], 8, 2)[0].plain == ""
