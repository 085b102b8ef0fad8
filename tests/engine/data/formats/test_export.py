"""Export of a build in the users' formats: files, refusals, reading back unchanged, tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.contract.experiment import TIERS, Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.toml_file import find_config
from engine.data.build import BUILDER_VERSION
from engine.data.dataset_files import load, load_rejected, read_manifest
from engine.data.formats.export import EDITIONS, ExportManifest, check_destination, export, show
from engine.data.formats.gate import Gate
from engine.data.formats.lines import read_lines
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem

EVALUATION = ("dev.jsonl", "retrieval.jsonl", "coherence.jsonl", "attention_audit.jsonl", "tier4_killers.jsonl")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


@pytest.fixture(scope="module")
def exported(built: Path, experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All editions of the small build; not to be changed."""
    folder = tmp_path_factory.mktemp("export") / "all"
    export(built, "all", folder, experiment, "small")
    return folder


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_back(path: Path) -> Iterator[Bundle | RetrievalItem | CoherenceItem | AttentionProbe | Killer]:
    """The records that the integrity gate makes of a file, nothing repaired and nothing quarantined."""
    for verdict in map(Gate().verdict, read_lines(path)):
        assert verdict.quarantined is None
        assert verdict.repairs == ()
        yield from verdict.records


@pytest.mark.parametrize("edition", EDITIONS)
def test_exported_bundles_are_read_back_unchanged(built: Path, exported: Path, edition: str) -> None:
    # what frozen mean pooling says of a bundle is recomputed when it is read
    there = [structs.replace(bundle, danger=0.0, similarities=()) for bundle in load(built, edition).train]
    assert list(read_back(exported / f"bundles_{edition}.jsonl")) == there


def test_the_exported_evaluation_is_read_back_unchanged(built: Path, exported: Path) -> None:
    data = load(built, "v2.2")
    easiest = [structs.replace(item, tier=TIERS[0]) for item in data.retrieval]
    dev = [structs.replace(bundle, danger=0.0, similarities=()) for bundle in data.dev]
    expected = (dev, easiest, list(data.coherence), list(data.probes), list(data.killers))
    for name, records in zip(EVALUATION, expected, strict=True):
        assert records
        assert list(read_back(exported / name)) == records


def test_exported_bundles_have_the_users_format(exported: Path) -> None:
    for line in lines(exported / "bundles_enriched.jsonl"):
        assert set(line) == {"id", "lemma", "anchor", "positive", "negatives", "metadata"}
        anchor, negatives, metadata = line["anchor"], line["negatives"], line["metadata"]
        assert isinstance(anchor, dict)
        assert isinstance(negatives, dict)
        assert isinstance(metadata, dict)
        span = anchor["span"]
        assert anchor["text"][span["start"] : span["end"]] == span["surface"]
        assert set(negatives) == {"within_lemma", "cross_lemma"}
        assert all(-1 <= negative["_similarity"] <= 1 for negative in negatives["cross_lemma"])
        assert metadata["tier"] in TIERS
        assert metadata["source"] in ("example", "gloss", "synthetic")


def test_killers_name_their_threshold(exported: Path) -> None:
    items = {line["eval_id"] for line in lines(exported / "retrieval.jsonl")}
    for line in lines(exported / "tier4_killers.jsonl"):
        tier4 = line["_tier4"]
        assert isinstance(tier4, dict)
        assert line["eval_id"] in items
        assert tier4["reasons"]
        assert ("margin" in tier4["reasons"]) == (tier4["margin"] <= -0.15)
        assert ("rank" in tier4["reasons"]) == (tier4["rank"] >= 4)


def test_rejected_synthetics_are_exported_with_their_reason(built: Path, exported: Path) -> None:
    rejected = lines(exported / "rejected.ndjson")
    assert [line["text"] for line in rejected] == [one.event.text for one in load_rejected(built)]
    for line in rejected:
        similarity, gap = line["similarity"], line["gap"]
        assert isinstance(similarity, float)
        assert isinstance(gap, float)
        assert (line["reason"] == "too far from its original") == (similarity < 0.5)
        assert similarity < 0.5 or gap < 0.05


def test_the_manifest_counts_what_is_there(built: Path, exported: Path) -> None:
    manifest = msgspec.json.decode((exported / "manifest.json").read_bytes(), type=ExportManifest)
    assert set(manifest.sha256) == {path.name for path in exported.iterdir()} - {"manifest.json"}
    for counts in manifest.editions.values():
        assert counts.bundles + counts.adversarial == len(lines(exported / counts.file))
        assert counts.expected is None
    assert manifest.evaluation == {name: len(lines(exported / name)) for name in EVALUATION}
    assert (manifest.build, manifest.eval_fingerprint) == (
        read_manifest(built).key,
        read_manifest(built).eval_fingerprint,
    )
    assert manifest.sources["wordnet"]["version"] == "3.0"
    assert sum(manifest.editions["v2.3"].tier_shares.values()) == pytest.approx(1, abs=1e-3)


def test_the_manifest_of_a_full_build_has_the_expected_counts(
    built: Path, experiment: Experiment, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    for path in built.iterdir():
        (whole / path.name).write_bytes(path.read_bytes())
    manifest_json = json.loads((whole / "manifest.json").read_text())
    manifest_json["slice"] = dict.fromkeys(manifest_json["slice"])
    (whole / "manifest.json").write_text(json.dumps(manifest_json))
    manifest = export(whole, "v2.3", tmp_path / "out", experiment, "full")
    expected = manifest.editions["v2.3"].expected
    assert expected is not None
    assert (expected.bundles, expected.adversarial, sum(expected.tiers.values())) == (15_113, 598, 15_113)


def test_one_edition_is_written_alone_and_the_same_bytes_each_time(
    built: Path, experiment: Experiment, exported: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export(built, "v2.2", tmp_path / name, experiment, "small")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"bundles_v2.2.jsonl", *EVALUATION, "manifest.json"}
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        if path.name != "manifest.json":
            assert path.read_bytes() == (exported / path.name).read_bytes()
    export(built, "v2.2", tmp_path / "one", experiment, "small")  # once more into the same folder: it is there


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(
    built: Path, experiment: Experiment, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(BadInput, match="holds other files"):
        check_destination(tmp_path / "mine")
    with pytest.raises(BadInput, match="is not a folder"):
        check_destination(tmp_path / "mine" / "thesis.txt")
    export(built, "v2.2", tmp_path / "export", experiment, "small")
    before = {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()}
    with pytest.raises(BadInput, match="another export"):
        export(built, "v2.3", tmp_path / "export", experiment, "small")
    assert {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()} == before
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_bundles_are_shown_as_tables(exported: Path) -> None:
    output = show(exported, None, 4, 0)
    assert [line for line in output.splitlines() if line.startswith("## ")] == [f"## {edition}" for edition in EDITIONS]
    rows = [line for line in output.splitlines() if line.startswith("| ") and not line.startswith("| lemma")]
    assert len(rows) == 12
    assert all(row.count(" | ") == 5 and "**" in row for row in rows)
    assert show(exported, None, 4, 0) == output != show(exported, None, 4, 1)
    assert show(exported, "v2.3", 4, 0).count("## ") == 1


@given(count=st.integers(1, 400), seed=st.integers(0, 10))
def test_a_larger_selection_contains_the_smaller(exported: Path, count: int, seed: int) -> None:
    few, more = (set(show(exported, "enriched", number, seed).splitlines()) for number in (count, count + 3))
    assert few <= more


def test_a_folder_that_is_no_export_or_was_changed_is_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data build --out.*No such file"):
        show(tmp_path, None, 1, 0)
    with pytest.raises(BadInput, match="at least one"):
        show(exported, None, 0, 0)
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bundles_v2.2.jsonl").write_bytes(b"")
    with pytest.raises(BadInput, match="SHA-256"):
        show(tmp_path, "v2.2", 1, 0)


def test_the_documented_examples_are_of_this_builder() -> None:
    page = Path(__file__).parents[4] / "docs" / "editions.md"
    assert f"(builder {BUILDER_VERSION}, " in page.read_text(encoding="utf-8")
