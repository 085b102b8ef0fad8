"""The whole evaluation: a row an item, scores that follow from the rows, tables that come back as written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from msgspec import structs

from engine.contract.items import AttentionRow, ItemRow
from engine.data.records import AttentionProbe
from engine.evaluation.attention import QUERIES, AttentionLog, attention_rows, probes_of
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
    text = "so bank a muddy Bank"
    states = random_states([text, "other"])
    probe = AttentionProbe("probe", event(text, span=(3, 7)), ("muddy", "bank"))
    head = SenseHead(states.width, 8, seed=0)
    (row,) = attention_rows(head, states, [probe], epoch=3)
    attention = head(states.gather(states.rows([text]))).attention.tolist()
    names = ["<start>", *(text[start : start + 2] for start in range(0, len(text), 2)), "<end>"]
    assert (row.item_id, row.lemma, row.epoch, row.tokens, row.text) == ("probe", "bank", 3, len(names), text)
    assert row.lemma_mass == pytest.approx(sum(attention[1 + place // 2] for place in (2, 4, 6)))
    assert row.cue_mass == pytest.approx(sum(attention[1 + place // 2] for place in (10, 12, 14, 16, 18)))
    heaviest = sorted(range(len(names)), key=lambda place: -attention[place])[:3]
    assert row.top_tokens == " ".join(names[place] for place in heaviest)
    assert 0 < row.entropy <= 1

    log = AttentionLog(tmp_path / "attention.parquet", states, [probe])
    for epoch in (0, 1, 2):
        log.record(head, epoch)
    again = AttentionLog(tmp_path / "attention.parquet", states, [probe])
    assert again.rows == log.rows
    again.record(head, 1)
    assert [row.epoch for row in read_attention(tmp_path / "attention.parquet")] == [0, 1]


def test_without_probes_a_few_queries_stand_in_of_which_no_cue_is_known() -> None:
    task = Task()
    dataset = dataset_of(task)
    items = tuple(retrieval_item(f"q{number}", ["r"], ["w"]) for number in range(250))
    probes = probes_of(structs.replace(dataset, retrieval=items))
    assert 0 < len(probes) <= QUERIES
    assert probes[0].event == items[0].query
    assert [item.query for item in items].index(probes[-1].event) > 200
    own = (AttentionProbe("probe", items[3].query, ("q",)),)
    assert probes_of(structs.replace(dataset, retrieval=items, probes=own)) == own
    rows = attention_rows(SenseHead(task.states.width, 8, seed=0), task.states, probes_of(dataset), 0)
    assert rows
    assert all(row.cue_mass is None for row in rows)


def test_tables_have_the_agreed_columns_and_come_back_as_written(tmp_path: Path) -> None:
    row = ItemRow("retrieval", "i", "bank", "tier1_easy", "example", 4, 2, False, True, -0.1, "", 1, 0.2, "q", "a", "c")
    write_items(tmp_path / "items.parquet", [row])
    frame = pl.read_parquet(tmp_path / "items.parquet")
    assert tuple(frame.columns) == ItemRow._fields
    assert [ItemRow(*values) for values in frame.iter_rows()] == [row]
    write_items(tmp_path / "items.parquet", [])
    assert pl.read_parquet(tmp_path / "items.parquet").schema == frame.schema
    rows = [AttentionRow("i", "bank", 0, 5, 0.9, 0.1, cue_mass, "the of a", "text") for cue_mass in (0.3, None)]
    write_attention(tmp_path / "attention.parquet", rows)
    assert read_attention(tmp_path / "attention.parquet") == rows
    assert read_attention(tmp_path / "missing.parquet") == []
