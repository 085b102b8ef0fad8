"""One item of one run: candidates in order, what was chosen, tokens with their attention; older, hostile and damaged files."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from console.results.items.detail import Token, read_item
from console.results.load import UnusableCapsule
from engine.contract.items import ItemRow
from tests.console.results.capsules import row

NEW = ("candidate_texts", "query_tokens", "query_weights")


def write(folder: Path, *, without: tuple[str, ...] = (), **changes: Any) -> Path:
    """Items of which ``r1`` has three candidates: the second is right, the third chosen."""
    columns: dict[str, Any] = {
        "similarities": [0.1, 0.5, 0.75],
        "right": [False, True, False],
        "mean_pool_similarities": [0.2, 0.6, 0.4],
        "candidate_texts": ["first", "right one", "third"],
        "query": "by the  river bank",
        "answer": "right one",
        "chosen": "third",
        "query_tokens": ["<start>", "by", "the", "river", "ban", "k", "<end>"],
        "query_weights": [0.05, 0.1, 0.05, 0.5, 0.1, 0.1, 0.1],
    }
    rows = [row("r0", 1, margin=0.3), row("r1", 2, margin=-0.25)._replace(**columns | changes)]
    path = folder / "items.parquet"
    frame = pl.DataFrame(rows, schema=list(ItemRow._fields), orient="row")
    frame.drop(without).write_parquet(path)
    return path


def test_candidates_come_by_cosine_with_the_right_and_the_chosen_ones_marked(tmp_path: Path) -> None:
    path = write(tmp_path)
    detail = read_item(path, hashlib.sha256(path.read_bytes()).hexdigest(), "retrieval", "r1")
    assert [(one.text, one.similarity, one.mean_pool_similarity) for one in detail.candidates] == [
        ("third", 0.75, 0.4),
        ("right one", 0.5, 0.6),
        ("first", 0.1, 0.2),
    ]
    marks = [(one.is_right, one.is_chosen, one.is_mean_pool_choice) for one in detail.candidates]
    assert marks == [(False, True, False), (True, False, True), (False, False, False)]
    assert (detail.rank, detail.margin, detail.query) == (2, -0.25, "by the  river bank")


def test_a_wrong_candidate_is_chosen_where_a_right_one_only_equals_it(tmp_path: Path) -> None:
    path = write(tmp_path, similarities=[0.5, 0.5, 0.1])
    first, second, _ = read_item(path, "", "retrieval", "r1").candidates
    assert (first.text, first.is_chosen, second.is_chosen) == ("first", True, False)


def test_tokens_and_what_stands_between_them_are_the_whole_query(tmp_path: Path) -> None:
    detail = read_item(write(tmp_path), "", "retrieval", "r1")
    assert detail.tokens == (
        Token("<start>", 0.05, True),
        Token("by", 0.1),
        Token(" "),
        Token("the", 0.05),
        Token("  "),
        Token("river", 0.5),
        Token(" "),
        Token("ban", 0.1),
        Token("k", 0.1),
        Token("<end>", 0.1, True),
    )
    cut = write(tmp_path, query_tokens=["<start>", "by", "<end>"], query_weights=[0.25, 0.5, 0.25])
    texts = [token.text for token in read_item(cut, "", "retrieval", "r1").tokens]
    assert texts == ["<start>", "by", " the  river bank", "<end>"]


def test_an_older_run_has_the_two_texts_that_it_saved_and_no_attention(tmp_path: Path) -> None:
    detail = read_item(write(tmp_path, without=NEW), "", "retrieval", "r1")
    assert [one.text for one in detail.candidates] == ["third", "right one", None]
    assert detail.tokens == () and detail.candidates[0].mean_pool_similarity == 0.4
    detail = read_item(write(tmp_path, without=(*NEW, "mean_pool_similarities")), "", "retrieval", "r1")
    assert [one.mean_pool_similarity for one in detail.candidates] == [None] * 3
    assert not any(one.is_mean_pool_choice for one in detail.candidates)


def test_hostile_texts_are_made_safe(tmp_path: Path) -> None:
    bad = "\x1b[31mred\x1b]0;t\x07\u202e"
    path = write(
        tmp_path,
        candidate_texts=[bad, bad, bad],
        query=f"a {bad}",
        query_tokens=["a", "\x1b", "[31mred", bad],
        query_weights=[0.25] * 4,
    )
    detail = read_item(path, "", "retrieval", "r1")
    assert {one.text for one in detail.candidates} == {"red"} and detail.query == "a red"
    assert not any(char in token.text for token in detail.tokens for char in "\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"similarities": [0.1, math.nan, 0.2]}, "a similarity is not a number"),
        ({"similarities": [0.1, 0.2]}, "its candidates contradict each other"),
        ({"right": [True, True, True]}, "its candidates contradict each other"),
        ({"candidate_texts": ["one"]}, "its candidates contradict each other"),
        ({"query_weights": [0.5]}, "its tokens contradict each other"),
        ({"query_weights": [math.nan] * 7}, "its tokens contradict each other"),
    ],
)
def test_an_item_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(UnusableCapsule, match=expected):
        read_item(path, "", "retrieval", "r1")


def test_another_file_a_missing_one_and_an_unknown_item_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(UnusableCapsule, match=r"is not the file that metrics.json is of"):
        read_item(path, "0" * 64, "retrieval", "r1")
    with pytest.raises(UnusableCapsule, match=r"the item cannot be read from items.parquet"):
        read_item(path, "", "coherence", "r1")
    with pytest.raises(UnusableCapsule, match=r"the item cannot be read from items.parquet"):
        read_item(tmp_path / "gone" / "items.parquet", "", "retrieval", "r1")
