"""Users' files are read into records by role, and errors name them as the user does."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.input_files import remote_name
from engine.data.formats.user_files import read_evaluation_files, read_user_files
from tests.engine.data.formats import sample_lines as samples
from tests.engine.user_experiment import files_of, user_settings, write_user_experiment


def test_evaluation_files_are_read_by_role(tmp_path: Path) -> None:
    items = samples.write(
        tmp_path / "items.jsonl", [*map(samples.retrieval, range(4)), {**samples.retrieval(4), "query": 1}]
    )
    killers = samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(3, 5)))
    files = read_evaluation_files(retrieval=items, killers=killers)
    assert [item.item_id for item in files.retrieval] == [f"eval{number:04}" for number in range(4)]
    assert [killer.item_id for killer in files.killers] == ["eval0003"]
    assert [(report.total.kept, report.total.quarantined) for report in files.reports] == [(4, 1), (1, 1)]
    assert (files.coherence, files.probes, files.bundles) == ((), (), ())


def test_killers_without_a_retrieval_file_are_compared_with_the_given_items(tmp_path: Path) -> None:
    killers = samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(3)))
    assert len(read_evaluation_files(killers=killers).killers) == 3
    with pytest.raises(BadInput, match="none of its 3 killers names a retrieval item; the first names eval0000"):
        read_evaluation_files(killers=killers, items=["other"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^retrieval.jsonl: evaluation.retrieval: is empty"),
        (
            b'{"eval_id": 1, "query": {}, "candidates": []}\n',
            r"^retrieval.jsonl:1: evaluation.retrieval: .*wrong type; the first: query.text: is missing",
        ),
        (b"PAR1", r"^retrieval.jsonl: evaluation.retrieval: is a Parquet file"),
    ],
)
def test_errors_give_the_files_name_in_the_experiment(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_user_experiment(tmp_path / "console")
    path.with_name("retrieval.jsonl").write_bytes(content)
    experiment, settings = user_settings(path)
    paths = {}
    for file in experiment.files.values():  # as on a host, whose paths say nothing
        paths[file.sha256] = file.path.rename(tmp_path / remote_name(file.sha256))
    with pytest.raises(BadInput, match=message):
        read_user_files(settings.inputs, paths)


def test_development_items_of_the_users_own_evaluation_are_dropped_as_they_are_read(tmp_path: Path) -> None:
    path = write_user_experiment(tmp_path / "console")
    items = [samples.retrieval(1), {**samples.retrieval(lemma="fork", first=40), "eval_id": "new"}]
    samples.write(path.with_name("mine.jsonl"), items)
    path.write_text(path.read_text() + '[development.mine]\nretrieval = "mine.jsonl"\n')
    experiment, settings = user_settings(path)
    files = files_of(experiment, settings)
    (mine,) = files.development
    assert (mine.name, [item.item_id for item in mine.retrieval]) == ("mine", ["new"])
    assert files.excluded == {"retrieval item of mine with a lemma of the evaluation": 1}
    samples.write(path.with_name("mine.jsonl"), items[:1])
    experiment, settings = user_settings(path)
    with pytest.raises(BadInput, match=r"^development.mine.retrieval: none of its 1 items is left"):
        files_of(experiment, settings)
