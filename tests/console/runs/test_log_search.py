"""A search finds the same lines however the log grows, by text and by expressions that cannot hang."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.runs import log_index, log_search
from console.runs.log_query import BadPattern, LogMatcher, LogQuery, Term
from console.runs.log_search import LogSearch
from tests.console.fed_log import FedLog, texts


def search_all(log: FedLog, text: str, near: int = 0) -> LogSearch:
    search = LogSearch(log, LogQuery.parse(text), near)
    while search.advance(1.0):
        pass
    return search


def found(search: LogSearch) -> list[int]:
    return [search.line(row) for row in range(search.count)]


@pytest.mark.parametrize(
    ("text", "line", "accepted"),
    [
        ("", "anything", True),
        ("loss", "epoch 1 LOSS 0.3", True),
        ("loss", "epoch 1", False),
        ("loss !nan", "loss nan", False),
        ("loss !nan", "loss 0.3", True),
        ("!", "anything", True),
        ("a b", "b a", True),
        ("[bold", "[bold]x", True),
        ('"two words"', "of two words", True),
        ('"two words"', "words two", False),
        (r"/step \d+0\b/", "step 120 of it", True),
        (r"/step \d+0\b/", "step 121 of it", False),
        ("/^loss/ !/[5-9]$/", "Loss 0.4", True),
        ("/^loss/ !/[5-9]$/", "Loss 0.5", False),
        ("/a.c", "abc", True),
        ("/data/x", "in data/x", True),
        ("step", "2026-11-27T10:00:00Z INFO step 4", True),
        ("/^INFO step/", "2026-11-27T10:00:00Z INFO step 4", True),
        ("2026", "2026-11-27T10:00:00Z INFO step 4", False),
    ],
)
def test_a_query_includes_and_excludes_texts_and_expressions(text: str, line: str, accepted: bool) -> None:
    assert (LogMatcher(LogQuery.parse(text)).matching(line) == [0]) is accepted


def test_what_is_typed_so_far_is_a_query_too() -> None:
    assert LogQuery.parse(r'"open /a\/b') == LogQuery((Term("open /a\\/b"),))
    assert LogQuery.parse("x !/nan") == LogQuery((Term("x"),), (Term("nan", True),))
    assert not LogQuery.parse(" ! /") or LogQuery.parse(" ! /").include == (Term("/"),)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("/(/", "unclosed group"),
        ("/(?=a)/", "look-around, including look-ahead and look-behind, is not supported"),
        ("/*/", "repetition operator missing expression"),
        ("/" + "x" * 501 + "/", "longer than 500 characters"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_in_one_line(pattern: str, reason: str) -> None:
    with pytest.raises(BadPattern, match=reason) as refused:
        LogMatcher(LogQuery.parse(pattern))
    assert "\n" not in str(refused.value)


def test_an_expression_that_would_take_for_ever_elsewhere_is_quick_or_given_up() -> None:
    log = FedLog()
    log.feed(b"".join(b"a" * 90 + b" %d!\n" % number for number in range(2000)))
    log.catch_up()
    assert search_all(log, r"/(a+)+ 1999!$/").count == 1
    slow = search_all(log, "/(.{1,100}){1,50}q/")
    assert "too slow" in slow.error and not slow.behind and not slow.spans("aaa")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["loss 1", "nan", "loss nan", "x\x1b[1m", "é loss"]), max_size=30), max_size=8),
    st.sampled_from(["loss !nan", "nan", "/[13]$/", "!loss", "zzz"]),
    st.integers(0, 90),
)
def test_searching_as_it_comes_equals_searching_at_the_end(chunks: list[list[str]], query: str, near: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_index, "BLOCK_BYTES", 60)
        patch.setattr(log_index, "MAX_BLOCKS", 16)
        log = FedLog()
        search = LogSearch(log, LogQuery.parse(query), near)
        for chunk in chunks:
            log.feed("".join(f"{line}\n" for line in chunk).encode())
            log.catch_up()
            while search.advance(1.0):
                pass
        lines = texts(log)
        matcher = LogMatcher(LogQuery.parse(query))
        expected = [number for number, line in enumerate(lines) if matcher.matching(line)]
        assert found(search) == expected and search.searched == 1.0
        for row, number in enumerate(expected):
            assert search.row(number) == row
            assert search.find(number, 1) == (expected[row + 1] if row + 1 < len(expected) else None)
            assert search.find(number, -1) == (expected[row - 1] if row else None)


def test_the_nearest_block_is_searched_first_and_both_ways_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "_AT_ONCE", 1)
    log = FedLog()
    log.feed(
        b"".join(b"hit %06d\n" % number if number % 100 == 0 else b"line %06d\n" % number for number in range(20_000))
    )
    log.catch_up()
    search = LogSearch(log, LogQuery.parse("hit"), near=11_000)
    search.advance(0.0)
    assert search.count and 9000 <= search.line(0) <= 12_000 and search.behind
    while search.advance(1.0):
        pass
    assert search.count == 200


def test_another_log_in_its_place_is_searched_from_its_start() -> None:
    log = FedLog()
    log.feed(b"old hit\nhit\n")
    log.catch_up()
    search = search_all(log, "hit")
    assert search.count == 2
    log.clear()
    log.feed(b"x\nhit\n")
    log.catch_up()
    while search.advance(1.0):
        pass
    assert found(search) == [1]


def test_matches_are_marked_where_they_are() -> None:
    search = search_all(FedLog(), r"loss /0\.\d/")
    assert search.spans("x") == []
    log = FedLog()
    log.feed(b"loss 0.5\n")
    log.catch_up()
    search = search_all(log, r"loss /0\.\d/ !nan")
    assert search.spans("Loss 0.45 nan loss 0.7") == [(0, 4), (5, 8), (14, 18), (19, 22)]
    assert search_all(log, "/x*/").spans("axxb") == [(1, 3)]
