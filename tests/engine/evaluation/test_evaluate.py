"""The whole evaluation: a row an item, scores that follow from the rows, tables that come back as written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from engine.contract.items import AttentionRow, ItemRow
from engine.evaluation.attention import PROBES, AttentionLog, attention_rows, choose_probes
from engine.evaluation.evaluate import evaluate
from engine.evaluation.tables import read_attention, write_attention, write_items
from engine.model.embed import mean_pool_all
from engine.model.sense_head import SenseHead
from tests.engine.made_up import DEVICES, Task, dataset_of, event, random_states, retrieval_item


@pytest.mark.parametrize("device", DEVICES)
def test_scores_follow_from_the_rows(device: str) -> None:
    task = Task(device=device)
    dataset = dataset_of(task)
    head = SenseHead(task.states.width, 16, 0.5, seed=0).to(device)
    done = evaluate(head, mean_pool_all(task.states), task.states, dataset)
    retrieval = [row for row in done.rows if row.kind == "retrieval"]
    coherence = [row for row in done.rows if row.kind == "coherence"]
    assert [row.item_id for row in retrieval] == [item.item_id for item in dataset.retrieval]
    assert len(coherence) == sum(len(item.steps) for item in dataset.coherence)
    assert len({(row.kind, row.item_id) for row in done.rows}) == len(done.rows)
    assert done.head.retrieval_top1 == pytest.approx(sum(row.correct_at_1 for row in retrieval) / len(retrieval))
    assert done.head.retrieval_top3 == pytest.approx(sum(row.correct_at_3 for row in retrieval) / len(retrieval))
    assert done.head.margins.mean == pytest.approx(sum(row.margin for row in retrieval) / len(retrieval))
    assert done.head.coherence_accuracy == pytest.approx(sum(row.rank == 1 for row in coherence) / len(coherence))
    assert done.mean_pool.retrieval_top1 == pytest.approx(
        sum(row.mean_pool_rank == 1 for row in retrieval) / len(retrieval)
    )
    for row in done.rows:
        assert (row.rank == 1) == (row.margin > 0) == (row.chosen == row.answer)
        assert not (row.reason and row.correct_at_1)


def test_mean_pooling_beside_the_head_is_mean_pooling() -> None:
    task = Task()
    dataset, pooled = dataset_of(task), mean_pool_all(task.states)
    done = evaluate(SenseHead(task.states.width, 16, seed=0), pooled, task.states, dataset)
    item, row = dataset.retrieval[0], done.rows[0]
    query = pooled[task.states.row(item.query.text)]
    near = {c.event.text: float(query @ pooled[task.states.row(c.event.text)]) for c in item.candidates}
    right = max(near[c.event.text] for c in item.candidates if c.right)
    assert row.mean_pool_rank == 1 + sum(near[c.event.text] >= right for c in item.candidates if not c.right)


def test_attention_rows_tell_where_the_head_looks(tmp_path: Path) -> None:
    text = "aabbccdd"
    states = random_states([text, "other"])
    probe = retrieval_item(event(text, span=(2, 6)), ["other"], ["other"])
    head = SenseHead(states.width, 8, seed=0)
    (row,) = attention_rows(head, states, [probe], epoch=3)
    attention = head(states.gather(states.rows([text]))).attention.tolist()
    assert (row.epoch, row.tokens, row.text) == (3, 6, text)
    assert row.lemma_mass == pytest.approx(attention[2] + attention[3])
    names = ["<start>", "aa", "bb", "cc", "dd", "<end>"]
    heaviest = sorted(range(6), key=lambda place: -attention[place])[:3]
    assert row.top_tokens.split() == [names[place] for place in heaviest]
    assert 0 < row.entropy <= 1

    log = AttentionLog(tmp_path / "attention.parquet", states, [probe])
    for epoch in (0, 1, 2):
        log.record(head, epoch)
    again = AttentionLog(tmp_path / "attention.parquet", states, [probe])
    assert again.rows == log.rows
    again.record(head, 1)
    assert [row.epoch for row in read_attention(tmp_path / "attention.parquet")] == [0, 1]


def test_probes_are_few_and_spread_over_all_items() -> None:
    items = [retrieval_item(f"q{number}", ["r"], ["w"]) for number in range(250)]
    probes = choose_probes(items)
    assert 0 < len(probes) <= PROBES
    assert probes[0] == items[0]
    assert items.index(probes[-1]) > 200
    assert choose_probes(items[:5]) == tuple(items[:5])


def test_tables_have_the_agreed_columns_and_come_back_as_written(tmp_path: Path) -> None:
    row = ItemRow("retrieval", "i", "bank", "tier1_easy", "example", 4, 2, False, True, -0.1, "", 1, 0.2, "q", "a", "c")
    write_items(tmp_path / "items.parquet", [row])
    frame = pl.read_parquet(tmp_path / "items.parquet")
    assert tuple(frame.columns) == ItemRow._fields
    assert [ItemRow(*values) for values in frame.iter_rows()] == [row]
    write_items(tmp_path / "items.parquet", [])
    assert pl.read_parquet(tmp_path / "items.parquet").schema == frame.schema
    rows = [AttentionRow("i", "bank", 0, 5, 0.9, 0.1, "the of a", "text")]
    write_attention(tmp_path / "attention.parquet", rows)
    assert read_attention(tmp_path / "attention.parquet") == rows
    assert read_attention(tmp_path / "missing.parquet") == []
