"""The whole evaluation: a row an item, scores that follow from the rows, tables that are read back as written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from msgspec import structs

from engine.contract.items import AttentionRow, ItemRow
from engine.data.bundles.encoder_text import encoder_input_of
from engine.data.formats.evaluation_lines import retrieval_line
from engine.data.formats.user_files import read_evaluation_files
from engine.data.records import AttentionProbe, Dataset, Killer
from engine.encoder.encoder_input import EncoderInput
from engine.evaluation.attention import MAX_QUERIES, AttentionLog, attention_rows, probes_of, query_attention
from engine.evaluation.evaluate import EvaluationResult, evaluate, killer_top1, overlap_rankings
from engine.evaluation.item_files import read_attention, write_rows
from engine.evaluation.ranking import TextVectors, rank_all, ranking_inputs
from engine.model.embedding import embed_rows
from engine.model.sense_head import SenseHead
from tests.engine.data.formats import sample_lines as samples
from tests.engine.samples import (
    DEVICES,
    SENSE_TEXT,
    SenseTask,
    dataset_of,
    event,
    item_row,
    mean_pool_all,
    random_states,
    retrieval_item,
)


def evaluated(head: SenseHead, task: SenseTask, dataset: Dataset) -> EvaluationResult:
    """``head`` and mean pooling scored on ``dataset``."""
    states, inputs = task.states, ranking_inputs(dataset, SENSE_TEXT)
    rows = states.rows(inputs)
    embedding, mean_pool = embed_rows(head, states, rows)[0], mean_pool_all(states)[rows]
    of_head, of_mean_pool = (
        rank_all(dataset, TextVectors(inputs, vectors, SENSE_TEXT)) for vectors in (embedding, mean_pool)
    )
    attention = query_attention(head, states, dataset, SENSE_TEXT)
    layers = {"mean_pool layer 0": of_mean_pool}
    return evaluate(dataset.retrieval, dataset.coherence, of_head, of_mean_pool, layers, attention=attention)


@pytest.mark.parametrize("device", DEVICES)
def test_scores_follow_from_the_rows(device: str) -> None:
    task = SenseTask(device=device)
    dataset = dataset_of(task)
    head = SenseHead(task.states.width, 16, 0.5, seed=0).to(device)
    done = evaluated(head, task, dataset)
    retrieval = [row for row in done.rows if row.kind == "retrieval"]
    coherence = [row for row in done.rows if row.kind == "coherence"]
    assert [row.item_id for row in retrieval] == [item.item_id for item in dataset.retrieval]
    assert len(coherence) == sum(len(item.steps) for item in dataset.coherence)
    assert len({(row.kind, row.item_id) for row in done.rows}) == len(done.rows)
    assert done.head.retrieval_top1 == pytest.approx(sum(row.correct_at_1 for row in retrieval) / len(retrieval))
    assert done.head.retrieval_top3 == pytest.approx(sum(row.correct_at_3 for row in retrieval) / len(retrieval))
    assert done.head.margins is not None
    assert done.head.margins.mean == pytest.approx(sum(row.margin for row in retrieval) / len(retrieval))
    assert done.head.coherence_accuracy == pytest.approx(sum(row.rank == 1 for row in coherence) / len(coherence))
    assert list(done.baselines) == ["random", "word_overlap", "mean_pool layer 0"]
    assert done.baselines["mean_pool layer 0"] == done.mean_pool
    assert done.mean_pool.retrieval_top1 == pytest.approx(
        sum(row.mean_pool_rank == 1 for row in retrieval) / len(retrieval)
    )
    for row in done.rows:
        assert (row.rank == 1) == (row.margin > 0) == (row.chosen == row.answer)
        assert not (row.reason and row.correct_at_1)
        assert len(row.similarities) == len(row.right) == row.candidates and row.pos == "noun"
        assert row.senses == (2 if row.kind == "coherence" else 1)  # the samples have one sense id
        near = row.mean_pool_similarities
        assert len(near) == row.candidates and len(row.baseline_ranks) == len(row.baseline_margins) == 2
        assert (row.baseline_ranks[1], row.baseline_margins[1]) == (row.mean_pool_rank, row.mean_pool_margin)
        best = {
            right: max(near for near, one in zip(row.similarities, row.right, strict=True) if one is right)
            for right in (True, False)
        }
        assert row.margin == best[True] - best[False]


def test_mean_pooling_beside_the_head_is_mean_pooling() -> None:
    task = SenseTask()
    dataset, pooled = dataset_of(task), mean_pool_all(task.states)
    done = evaluated(SenseHead(task.states.width, 16, seed=0), task, dataset)
    item, row = dataset.retrieval[0], done.rows[0]
    query = pooled[task.states.row(encoder_input_of(item.query, SENSE_TEXT))]
    near = {
        c.event.text: float(query @ pooled[task.states.row(encoder_input_of(c.event, SENSE_TEXT))])
        for c in item.candidates
    }
    right = max(near[c.event.text] for c in item.candidates if c.right)
    assert row.mean_pool_rank == 1 + sum(near[c.event.text] >= right for c in item.candidates if not c.right)


def test_each_row_has_its_candidates_and_the_attention_on_its_query() -> None:
    task = SenseTask()
    dataset, head = dataset_of(task), SenseHead(task.states.width, 16, seed=0)
    rows = evaluated(head, task, dataset).rows
    queries = [item.query for item in dataset.retrieval]
    queries += [step.event for item in dataset.coherence for step in item.steps]
    for row, query in zip(rows, queries, strict=True):
        read = encoder_input_of(query, SENSE_TEXT)
        attention = head(task.states.gather(task.states.rows([read]))).attention.tolist()
        assert (row.query_tokens[0], row.query_tokens[-1]) == ("<start>", "<end>")
        assert read.text.startswith("".join(row.query_tokens[1:-1]))
        assert row.query_weights == pytest.approx(attention, abs=5.1e-5) and len(row.query_tokens) == len(attention)
        assert row.answer in [text for text, right in zip(row.candidate_texts, row.right, strict=True) if right]
        assert row.candidate_texts[row.similarities.index(max(row.similarities))] == row.chosen
    first = dataset.retrieval[0]
    assert rows[0].candidate_texts == [candidate.event.text for candidate in first.candidates]
    overlap = overlap_rankings(dataset.retrieval, ())
    without_head = evaluate(dataset.retrieval, (), overlap, overlap, {}).rows
    assert not any(row.query_tokens or row.query_weights for row in without_head)


def test_attention_rows_give_mass_on_target_and_cues_entropy_and_top_tokens(tmp_path: Path) -> None:
    text = "so bank a muddy Bank"
    read = EncoderInput(text, 3, 7)
    states = random_states([read, "other"])
    probe = AttentionProbe("probe", event(text, span=(3, 7)), ("muddy", "bank"))
    head = SenseHead(states.width, 8, seed=0)
    (row,) = attention_rows(head, states, [probe], SENSE_TEXT, step=30, epoch=1.5)
    attention = head(states.gather(states.rows([read]))).attention.tolist()
    names = ["<start>", *(text[start : start + 2] for start in range(0, len(text), 2)), "<end>"]
    assert (row.item_id, row.lemma, row.step, row.epoch, row.tokens, row.text) == (
        "probe",
        "bank",
        30,
        1.5,
        len(names),
        text,
    )
    assert row.lemma_mass == pytest.approx(sum(attention[1 + index // 2] for index in (2, 4, 6)))
    assert row.cue_mass == pytest.approx(sum(attention[1 + index // 2] for index in (10, 12, 14, 16, 18)))
    heaviest = sorted(range(len(names)), key=lambda index: -attention[index])[:3]
    assert row.top_tokens == " ".join(names[index] for index in heaviest)
    assert 0 < row.entropy <= 1
    assert row.token_texts == names and row.weights == pytest.approx(attention)

    log = AttentionLog(tmp_path / "attention.parquet", states, [probe], SENSE_TEXT)
    for step in (0, 10, 20):
        log.record(head, step, step / 20)
    again = AttentionLog(tmp_path / "attention.parquet", states, [probe], SENSE_TEXT)
    assert again.rows == log.rows
    again.record(head, 10, 0.5)
    assert [(row.step, row.epoch) for row in read_attention(again.path)] == [(0, 0.0), (10, 0.5)]


def test_without_probes_a_few_queries_are_the_probes_without_cues() -> None:
    task = SenseTask()
    dataset = dataset_of(task)
    items = tuple(retrieval_item(f"q{number}", ["r"], ["w"]) for number in range(250))
    probes = probes_of(structs.replace(dataset, retrieval=items))
    assert 0 < len(probes) <= MAX_QUERIES
    assert probes[0].event == items[0].query
    assert [item.query for item in items].index(probes[-1].event) > 200
    own = (AttentionProbe("probe", items[3].query, ("q",)),)
    assert probes_of(structs.replace(dataset, retrieval=items, probes=own)) == own
    head = SenseHead(task.states.width, 8, seed=0)
    rows = attention_rows(head, task.states, probes_of(dataset), SENSE_TEXT, 0, 0.0)
    assert rows
    assert all(row.cue_mass is None for row in rows)


def test_tables_have_the_agreed_columns_and_are_read_back_as_written(tmp_path: Path) -> None:
    row = item_row()
    write_rows(tmp_path / "items.parquet", [row], ItemRow)
    frame = pl.read_parquet(tmp_path / "items.parquet")
    assert tuple(frame.columns) == ItemRow._fields
    assert [ItemRow(*values) for values in frame.iter_rows()] == [row]
    write_rows(tmp_path / "items.parquet", [], ItemRow)
    assert pl.read_parquet(tmp_path / "items.parquet").schema == frame.schema
    tokens = (["<start>", "text", "<end>"], [0.25, 0.5, 0.25])
    rows = [AttentionRow("i", "bank", 3, 0.5, 3, 0.9, 0.1, mass, "text", "text", *tokens) for mass in (0.3, None)]
    write_rows(tmp_path / "attention.parquet", rows, AttentionRow)
    assert read_attention(tmp_path / "attention.parquet") == rows
    assert read_attention(tmp_path / "missing.parquet") == []


def test_the_cue_strength_of_a_users_item_is_kept_with_it_and_changes_no_other_line(tmp_path: Path) -> None:
    lines = [samples.retrieval(number) for number in range(4)]
    for line, strength in zip(lines, (0.72, 1, "strong", None), strict=True):
        line["query"]["cue_strength"] = strength
    files = read_evaluation_files(retrieval=samples.write(tmp_path / "retrieval.jsonl", lines))
    ranked = overlap_rankings(files.retrieval, ())
    rows = evaluate(files.retrieval, (), ranked, ranked, {}).rows
    assert [row.cue_strength for row in rows] == [0.72, 1.0, None, None]
    assert b"cue_strength" not in msgspec.json.encode(files.retrieval[2:])
    written = msgspec.json.encode(retrieval_line(files.retrieval[0]))
    assert msgspec.json.decode(written)["query"]["cue_strength"] == 0.72


def test_an_item_of_the_frozen_killer_set_says_why_it_is_one_whatever_a_head_does(tmp_path: Path) -> None:
    lines = [samples.retrieval(number) for number in range(2)]
    files = read_evaluation_files(retrieval=samples.write(tmp_path / "retrieval.jsonl", lines))
    ranked = overlap_rankings(files.retrieval, ())
    killer = Killer(files.retrieval[1].item_id, "style_mismatch", -0.4, 1.4, 2)
    rows = evaluate(files.retrieval, (), ranked, ranked, {}, [killer]).rows
    assert [row.killer for row in rows] == ["", "style_mismatch"]


def test_the_killer_set_counts_its_retrieval_items_alone() -> None:
    rows = [
        *(item_row(item_id=name, rank=rank) for name, rank in (("a", 1), ("b", 2), ("c", 1))),
        item_row(kind="coherence", item_id="a", rank=4),
    ]
    killers = [Killer(name, "within_lemma_collision", -0.4, 1.4, 2) for name in ("a", "b")]
    assert killer_top1(rows, killers) == 0.5
    assert killer_top1(rows, killers[1:]) == 0.0
    assert killer_top1(rows, []) is None
