from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

from engine.contract.bad_input import BadInput
from engine.contract.experiment import TIERS, DataSlice, Verification
from engine.data import build
from engine.data.build import build_all, build_key
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.dataset_files import DatasetContents, encode_dataset, load, load_confirm, load_rejected, read_manifest
from engine.data.editions import Editions, make_editions
from engine.data.leakage import Leakage
from engine.data.plan import Plan
from engine.data.wordnet.database import WordNet
from tests.engine.data.conftest import SMALL, bag_of_words, silent

FILES = {
    "v2.2.jsonl",
    "v2.3.jsonl",
    "enriched.jsonl",
    "dev.jsonl",
    "glosses.jsonl",
    "dev_retrieval.jsonl",
    "dev_coherence.jsonl",
    "retrieval.jsonl",
    "coherence.jsonl",
    "killers.jsonl",
    "attention.jsonl",
    "confirm_retrieval.jsonl",
    "confirm_coherence.jsonl",
    "confirm_killers.jsonl",
    "rejected.ndjson",
}


def test_a_build_has_its_files_and_its_manifest_counts_them(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {*FILES, "manifest.json"}
    manifest = read_manifest(built)
    for name in FILES:
        assert manifest.records[name] == len((built / name).read_bytes().splitlines())
    assert manifest.records["retrieval.jsonl"] == SMALL.retrieval_items
    assert manifest.records["coherence.jsonl"] == SMALL.coherence_items
    assert manifest.lemmas == {
        "train": SMALL.train_lemmas,
        "dev": SMALL.dev_lemmas,
        "eval": SMALL.eval_lemmas,
        "confirm": SMALL.eval_lemmas,
    }
    assert manifest.synthetics["accepted"] > 0
    rejected = Counter(one.reason for one in load_rejected(built))
    assert rejected == Counter({reason: n for reason, n in manifest.synthetics.items() if reason != "accepted"})
    assert sum(manifest.killers.values()) == len(load(built, "v2.2").killers) > 0
    assert manifest.checked_texts > 0


def test_retrieval_items_have_tiers_by_danger(built: Path) -> None:
    items = load(built, "v2.2").retrieval
    assert [sum(item.tier == tier for item in items) for tier in TIERS] == [
        round(0.85 * len(items)),
        round(0.97 * len(items)) - round(0.85 * len(items)),
        len(items) - round(0.97 * len(items)),
    ]


def test_editions_differ_in_data_and_share_the_evaluation(built: Path) -> None:
    data = [load(built, edition) for edition in ("v2.2", "v2.3", "enriched")]
    assert len({dataset.data_fingerprint for dataset in data}) == 3
    assert len({dataset.eval_fingerprint for dataset in data}) == 1
    assert len({(dataset.killers, dataset.probes) for dataset in data}) == 1
    assert all(dataset.dev == data[0].dev and dataset.retrieval == data[0].retrieval for dataset in data)


def test_glosses_and_development_items_are_of_their_own_lemmas_and_part_of_the_data_fingerprint(built: Path) -> None:
    data, manifest = load(built, "v2.3"), read_manifest(built)
    dev_lemmas = {bundle.anchor.lemma for bundle in data.dev}
    assert {gloss.source for gloss in data.glosses} == {"gloss"}
    assert dev_lemmas | {bundle.anchor.lemma for bundle in data.train} <= {gloss.lemma for gloss in data.glosses}
    assert data.dev_items.retrieval and data.dev_items.coherence and data.dev_items.lemmas() <= dev_lemmas
    contents = DatasetContents(
        {"v2.3": data.train}, data.dev, data.evaluation, (), glosses=data.glosses, dev_items=data.dev_items
    )
    changed = (
        contents,
        structs.replace(contents, glosses=data.glosses[1:]),
        structs.replace(contents, dev_items=structs.replace(data.dev_items, coherence=data.dev_items.coherence[1:])),
        structs.replace(contents, dev_items=structs.replace(data.dev_items, retrieval=data.dev_items.retrieval[1:])),
    )
    fingerprints = [encode_dataset(one)[1]["data_fingerprints"]["v2.3"] for one in changed]
    assert len(set(fingerprints)) == 4 and fingerprints[0] == manifest.data_fingerprints["v2.3"]


def test_the_confirm_split_takes_the_evaluations_place_under_a_fingerprint_of_its_own(built: Path) -> None:
    usual, confirm = load(built, "v2.3"), load_confirm(built, "v2.3")
    assert (confirm.train, confirm.dev, confirm.data_fingerprint) == (usual.train, usual.dev, usual.data_fingerprint)
    assert confirm.eval_fingerprint == read_manifest(built).confirm_fingerprint != usual.eval_fingerprint
    assert confirm.evaluation.lemmas().isdisjoint(usual.evaluation.lemmas())
    assert {item.tier for item in confirm.retrieval} == {item.tier for item in usual.retrieval}
    assert confirm.killers and {killer.item_id for killer in confirm.killers} <= {
        item.item_id for item in confirm.retrieval
    }


def test_the_same_inputs_give_the_same_bytes_in_another_process(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    program = (
        "import os, sys; from pathlib import Path\n"
        "from engine.data.build import build_all; from engine.data.wordnet.database import find_wordnet, read_wordnet\n"
        "from engine.contract.experiment import Verification\n"
        "from tests.engine.data.conftest import SMALL, bag_of_words, silent\n"
        "wordnet = read_wordnet(find_wordnet(os.environ))\n"
        "build_all(SMALL, 0, Verification(), wordnet, bag_of_words, 'bag of words', Path(sys.argv[1]), silent)\n"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(again)], check=True, env=environ, timeout=120)
    for path in built.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_a_build_that_fails_leaves_nothing_behind(wordnet: WordNet, tmp_path: Path) -> None:
    def broken(texts: Sequence[str]) -> NDArray[np.float32]:
        raise MemoryError

    with pytest.raises(MemoryError):
        build_all(SMALL, 0, Verification(), wordnet, broken, "broken", tmp_path / "data" / "it", silent)
    assert not (tmp_path / "data").exists()


def test_leakage_fails_the_build(wordnet: WordNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(plan: Plan, texts: EmbeddedTexts, adversarial: int, thresholds: Verification) -> Editions:
        made = make_editions(plan, texts, adversarial, thresholds)
        bundle = made.bundles["v2.2"][0]
        anchor = structs.replace(
            bundle.anchor, text=plan.evaluation.coherence[0].glosses[0].upper(), event_id="planted"
        )
        return structs.replace(made, bundles={**made.bundles, "v2.2": (structs.replace(bundle, anchor=anchor),)})

    monkeypatch.setattr(build, "make_editions", leaking)
    with pytest.raises(Leakage):
        build_all(SMALL, 0, Verification(), wordnet, bag_of_words, "bag of words", tmp_path / "leaky", silent)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_build_is_not_repeated(wordnet: WordNet, built: Path) -> None:
    def never(texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError

    build_all(SMALL, 0, Verification(), wordnet, never, "bag of words", built, silent)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("v2.3.jsonl", lambda content: content[:-20], "SHA-256 differs"),
        ("retrieval.jsonl", None, "cannot be read"),
        ("manifest.json", None, "no data build"),
        ("manifest.json", lambda content: content[:-20], "malformed manifest"),
    ],
)
def test_a_damaged_build_is_refused(built: Path, tmp_path: Path, name: str, change: object, message: str) -> None:
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if callable(change):
        (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    else:
        (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=message) as raised:
        load(tmp_path, "v2.3")
    assert raised.value.file == tmp_path / name


def test_a_malformed_record_is_named_by_its_line(built: Path, tmp_path: Path) -> None:
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / "dev.jsonl").read_bytes().splitlines()
    lines[2] = lines[2].replace(b'"danger":', b'"damage":')
    content = b"\n".join(lines) + b"\n"
    (tmp_path / "dev.jsonl").write_bytes(content)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["sha256"]["dev.jsonl"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="danger") as raised:
        load(tmp_path, "v2.2")
    assert raised.value.line == 3


def test_an_unknown_edition_is_refused(built: Path) -> None:
    with pytest.raises(BadInput, match=r"v9.*known: v2\.2"):
        load(built, "v9")


def test_everything_that_determines_a_build_is_in_its_key() -> None:
    usual = Verification()
    key = build_key(SMALL, 0, usual, "wordnet", "encoder")
    others = [
        build_key(structs.replace(SMALL, train_lemmas=61), 0, usual, "wordnet", "encoder"),
        build_key(SMALL, 1, usual, "wordnet", "encoder"),
        build_key(SMALL, 0, Verification(least_gap=0.1), "wordnet", "encoder"),
        build_key(SMALL, 0, Verification(least_similarity=0.6), "wordnet", "encoder"),
        build_key(SMALL, 0, usual, "other", "encoder"),
        build_key(SMALL, 0, usual, "wordnet", "other"),
    ]
    assert len({key, *others}) == 7
    assert key == build_key(msgspec.convert(msgspec.to_builtins(SMALL), DataSlice), 0, usual, "wordnet", "encoder")


@given(st.builds(DataSlice, **{name: st.none() | st.integers(1, 9) for name in DataSlice.__struct_fields__}))
def test_two_slices_have_two_keys(part: DataSlice) -> None:
    usual = Verification()
    assert (build_key(part, 0, usual, "w", "e") == build_key(DataSlice(), 0, usual, "w", "e")) is (part == DataSlice())


def test_higher_thresholds_reject_more(wordnet: WordNet, built: Path, tmp_path: Path) -> None:
    stricter = tmp_path / "stricter"
    build_all(SMALL, 0, Verification(0.7, 0.2), wordnet, bag_of_words, "bag of words", stricter, silent)
    before, after = load_rejected(built), load_rejected(stricter)
    assert {one.event for one in before} < {one.event for one in after}
    assert all(one.similarity < 0.7 or one.gap < 0.2 for one in after)
    assert read_manifest(stricter).synthetics["accepted"] < read_manifest(built).synthetics["accepted"]
