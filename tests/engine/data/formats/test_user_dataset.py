"""Users' files are read, cleaned, split and tiered into a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract.bad_input import BadInput
from engine.contract.experiment import DataSlice
from engine.contract.settings import Settings
from engine.data.bundles.danger import compared_dangers
from engine.data.bundles.encoder_text import EmbeddedTexts, bundle_encoder_texts
from engine.data.dataset_files import load, read_manifest
from engine.data.formats.gate import Gate
from engine.data.formats.lines import Line
from engine.data.formats.user_dataset import MAX_DEV_BUNDLES, prepare_user_dataset, split_dev, user_dataset_key
from engine.data.near_copies import near_copies
from engine.data.records import Bundle, Dataset, Killer
from tests.engine.data.conftest import bag_of_words, silent
from tests.engine.data.formats import sample_lines as samples
from tests.engine.user_experiment import files_of, user_settings, write_user_experiment


def prepared(path: Path, folder: Path) -> tuple[Dataset, Settings]:
    experiment, settings = user_settings(path)
    prepare_user_dataset(settings, files_of(experiment, settings), None, bag_of_words, "bag", folder, silent)
    return load(folder, settings.bundle_set), settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_user_experiment(tmp_path / "here")


def test_every_record_of_the_files_is_kept_and_each_lemma_in_one_split(path: Path, tmp_path: Path) -> None:
    dataset, _ = prepared(path, tmp_path / "made")
    assert len(dataset.train) + len(dataset.dev) == 36 + 12 + 2 * 12
    train, dev = ({bundle.anchor.lemma for bundle in bundles} for bundles in (dataset.train, dataset.dev))
    assert len(train) == 11 and len(dev) == 1 and not train & dev
    assert len(dataset.retrieval) == len(dataset.coherence) == len(dataset.probes) == 12
    assert [killer.item_id for killer in dataset.killers] == ["eval0000", "eval0003", "eval0006", "eval0009"]


def test_the_same_files_give_the_same_bytes_wherever_they_lie(path: Path, tmp_path: Path) -> None:
    _, settings = prepared(path, tmp_path / "one")
    _, again = prepared(write_user_experiment(tmp_path / "elsewhere"), tmp_path / "two")
    assert (
        user_dataset_key(settings, None, "bag")
        == user_dataset_key(again, None, "bag")
        != user_dataset_key(again, None, "other")
    )
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "two").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_a_tier_is_the_files_own_or_by_rank_of_danger(path: Path, tmp_path: Path) -> None:
    dataset, _ = prepared(path, tmp_path / "made")
    stated = {bundle.bundle_id: bundle.tier for bundle in dataset.train if "poly" not in bundle.bundle_id}
    assert set(stated.values()) == {"tier1_easy", "tier3_adversarial"}
    assert all((tier == "tier3_adversarial") == name.startswith("bnd_") for name, tier in stated.items())
    for bundle in dataset.train:
        texts = [bundle.anchor.text, bundle.positive.text, *(e.text for e in (*bundle.siblings, *bundle.cross_lemma))]
        anchor, *others = bag_of_words(texts)
        near = [float(anchor @ other) for other in others]
        assert bundle.danger == pytest.approx(max(near[1:]) - near[0], abs=1e-4)
        assert bundle.tier is not None
    texts_of = EmbeddedTexts(bag_of_words)
    texts_of.add(bundle_encoder_texts(dataset.train))
    compared = dict(zip(dataset.train, compared_dangers(dataset.train, texts_of), strict=True))
    by_rank = sorted((bundle for bundle in dataset.train if "poly" in bundle.bundle_id), key=lambda one: compared[one])
    assert [bundle.tier for bundle in by_rank] == sorted(str(bundle.tier) for bundle in by_rank)


def test_bundles_with_evaluation_texts_are_left_out_and_counted(path: Path, tmp_path: Path) -> None:
    asked, step = samples.retrieval(3)["query"]["text"], samples.coherence(4)["steps"][0]["context"]
    exact, near, nearer = map(samples.grouped, (36, 37, 38))
    exact["negatives"]["cross_lemma"][0].update(text=asked.upper(), span=None)
    for bundle, word in ((near, " today."), (nearer, ", I hear.")):
        bundle["positive"].update(text=step.replace(".", word), span=None)
    file = path.with_name("grouped.jsonl")
    samples.write(file, [*map(samples.grouped, range(36)), exact, near, nearer])
    dataset, _ = prepared(path, tmp_path / "made")
    manifest = read_manifest(tmp_path / "made")
    assert manifest.excluded == {
        "training bundle with a near-copy of the evaluation": 2,
        "training bundle with a text of the evaluation": 1,
    }
    texts = {
        e.text for b in (*dataset.train, *dataset.dev) for e in (b.anchor, b.positive, *b.siblings, *b.cross_lemma)
    }
    held_out = {item.query.text for item in dataset.retrieval} | {
        step.event.text for item in dataset.coherence for step in item.steps
    }
    assert not near_copies(texts, held_out) and manifest.checked_texts > len(texts)


def test_development_files_replace_the_split(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    shared = samples.write(path.with_name("dev.jsonl"), map(samples.grouped, range(24, 36)))
    path.write_text(text.replace('"listed.jsonl", "bundles21.jsonl"]', f']\ndev = ["{shared.name}"]'))
    dataset, _ = prepared(path, tmp_path / "made")
    assert (len(dataset.dev), len(dataset.train)) == (10, 26)  # the slice takes ten lemmas
    asked = {text for bundle in dataset.dev for text in (bundle.anchor.text, bundle.positive.text)}
    assert not asked & {text for bundle in dataset.train for text in (bundle.anchor.text, bundle.positive.text)}
    assert read_manifest(tmp_path / "made").excluded["training bundle with a text of development"] == 10


def test_without_a_killer_file_killers_are_computed(path: Path, tmp_path: Path) -> None:
    path.write_text(path.read_text().replace('killers = "killers.jsonl"\n', ""))

    def misled(texts: Sequence[str]) -> NDArray[np.float32]:
        """The right answer, which tells of ducks, is unlike everything else."""
        angles = [float("ducks" in text) for text in texts]
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    experiment, settings = user_settings(path)
    prepare_user_dataset(settings, files_of(experiment, settings), None, misled, "misled", tmp_path / "made", silent)
    killers = load(tmp_path / "made", "own").killers
    assert len(killers) == 12 and all(isinstance(killer, Killer) and killer.margin < 0 for killer in killers)


def test_a_slice_takes_whole_lemmas_and_every_lemmas_first_item(path: Path, tmp_path: Path) -> None:
    experiment, settings = user_settings(path)
    part = DataSlice(train_lemmas=3, dev_lemmas=1, eval_lemmas=4, retrieval_items=2, coherence_items=3)
    settings = msgspec.structs.replace(settings, data=part)
    prepare_user_dataset(settings, files_of(experiment, settings), None, bag_of_words, "bag", tmp_path / "made", silent)
    dataset = load(tmp_path / "made", "own")
    assert len({bundle.anchor.lemma for bundle in dataset.train}) == 3 and len(dataset.train) == 3 * 6
    assert (len(dataset.retrieval), len(dataset.coherence), len(dataset.probes)) == (2, 3, 4)
    assert {killer.item_id for killer in dataset.killers} <= {item.item_id for item in dataset.retrieval}


@pytest.mark.parametrize(
    ("name", "records", "message"),
    [
        ("grouped.jsonl", [{}, *map(samples.grouped, range(3))], "1 of 4 records quarantined"),
        ("retrieval.jsonl", [*map(samples.coherence, range(3))], "another format than this file is named for"),
        ("grouped.jsonl", [samples.grouped(0)], "no development bundle is left"),
        (
            "grouped.jsonl",
            [{**samples.grouped(0), "negatives": {"cross_lemma": samples.grouped(0)["negatives"]["cross_lemma"]}}],
            "no training bundle is left",
        ),
        ("coherence.jsonl", [b"", b""], "coherence.jsonl: evaluation.coherence: holds no records"),
    ],
)
def test_files_that_must_not_be_used_leave_nothing_behind(
    path: Path, tmp_path: Path, name: str, records: list[samples.Record], message: str
) -> None:
    path.write_text(path.read_text().replace(', "listed.jsonl", "bundles21.jsonl"', ""))
    samples.write(path.with_name(name), records)
    with pytest.raises(BadInput, match=message):
        prepared(path, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_that_changed_after_the_run_was_requested_is_refused(path: Path, tmp_path: Path) -> None:
    experiment, settings = user_settings(path)
    samples.write(path.with_name("grouped.jsonl"), map(samples.grouped, range(35)))
    with pytest.raises(BadInput, match="has changed since the run was requested"):
        prepare_user_dataset(
            settings, files_of(experiment, settings), None, bag_of_words, "bag", tmp_path / "made", silent
        )


def bundles_of(count: int) -> tuple[Bundle, ...]:
    gate, found = Gate(), []
    for number in range(count):
        content = samples.line(samples.grouped(number))
        found += [
            record for record in gate.verdict(Line(1, content, len(content))).records if isinstance(record, Bundle)
        ]
    return tuple(found)


@given(st.integers(1, 60), st.integers(0, 2**31 - 1))
def test_the_split_keeps_lemmas_together_and_leaves_something_to_train_on(count: int, seed: int) -> None:
    bundles = bundles_of(count)
    train, dev = split_dev(bundles, seed)
    assert sorted((*train, *dev), key=lambda one: one.bundle_id) == list(bundles)
    assert not {one.anchor.lemma for one in train} & {one.anchor.lemma for one in dev}
    assert train and (bool(dev) == (count > 1))


def test_development_stops_at_about_fifteen_hundred_bundles() -> None:
    bundles = tuple(
        msgspec.structs.replace(one, anchor=msgspec.structs.replace(one.anchor, lemma=f"lemma{number // 100}"))
        for number, one in enumerate(bundles_of(1) * 30_000)
    )
    _, dev = split_dev(bundles, 0)
    assert MAX_DEV_BUNDLES <= len(dev) < MAX_DEV_BUNDLES + 100
