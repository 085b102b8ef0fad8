"""Exports a build to a folder in the users' file formats, with a manifest, and shows random bundles of an export."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, get_args

import msgspec
from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_dir_atomically
from engine.contract.experiment import TIERS, Edition, Expected, Experiment
from engine.contract.validation_words import error_in_words
from engine.data.dataset_files import (
    DEV,
    MANIFEST,
    REJECTED,
    RETRIEVAL,
    DataManifest,
    decode_manifest,
    encode_lines,
    load,
    load_rejected,
    read_listed_file,
    read_manifest,
    sha256_of,
    with_manifest,
)
from engine.data.formats.bundle_lines import bundle_line
from engine.data.formats.evaluation_lines import (
    attention_line,
    coherence_line,
    killer_line,
    rejected_line,
    retrieval_line,
)
from engine.data.formats.schemas import Contrastive, Groups, Metadata, SpanObject, Usage
from engine.data.records import Dataset
from engine.data.wordnet.obtain import WORDNET_3_0

EDITIONS: tuple[Edition, ...] = get_args(Edition)
EditionChoice = Literal["v2.2", "v2.3", "enriched", "all"]
_HEAD = "| lemma | anchor | positive | sibling | other lemma | tier, danger |\n|---|---|---|---|---|---|\n"
_SYNTHETIC_MARK = "†"


class EditionCounts(Struct, frozen=True):
    """Counts of an edition's bundles, and the expected counts; these are None where only a slice was built.

    ``tiers`` and ``tier_shares`` are of the bundles that are not adversarial; ``synthetic`` counts the bundles whose
    anchor or positive is.
    """

    file: str
    data_fingerprint: str
    bundles: int
    adversarial: int
    synthetic: int
    tiers: dict[str, int]
    tier_shares: dict[str, float]
    expected: Expected | None


class ExportManifest(Struct, frozen=True):
    """The manifest of an export: its sources, counts and hashes.

    Attributes:
        experiment, profile, data_seed, slice, verification: the settings of the build.
        build: the key of the build it was written from.
        sources: version and fingerprint of WordNet, name and fingerprint of the encoder.
        editions: counts by edition.
        evaluation: number of items by file; scores under different ``eval_fingerprint`` are never compared.
        lemmas: count per split.
        synthetics, excluded, killers, nearest_other_lemma, tier_cuts, checked_texts: as in the build's manifest.
        sha256: of every other file.
    """

    experiment: str
    profile: str
    data_seed: int
    slice: dict[str, int | None]
    verification: dict[str, float]
    builder_version: int
    build: str
    sources: dict[str, dict[str, str]]
    editions: dict[str, EditionCounts]
    evaluation: dict[str, int]
    eval_fingerprint: str
    lemmas: dict[str, int]
    synthetics: dict[str, int]
    excluded: dict[str, int]
    killers: dict[str, int]
    nearest_other_lemma: dict[str, float]
    tier_cuts: tuple[float, float]
    checked_texts: int
    sha256: dict[str, str]


def check_destination(folder: Path) -> None:
    """Refuse a folder that holds other files than an export, before any work is done.

    Raises:
        BadInput: it does, or it is not a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput("is not a folder", file=folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise BadInput("holds other files; name a new or an empty folder", file=folder)


def export(build: Path, choice: EditionChoice, folder: Path, experiment: Experiment, profile: str) -> ExportManifest:
    """Write one edition or all, development bundles and the frozen evaluation to ``folder``, whole or not at all.

    A folder that already holds the same export is left as it is.

    Args:
        build: a finished build.
        choice: which edition.
        folder: new, empty, or holding the same export.
        experiment, profile: those of the build, for the manifest.

    Raises:
        BadInput: the folder holds something else.
    """
    check_destination(folder)
    built = read_manifest(build)
    editions = EDITIONS if choice == "all" else (choice,)
    files: dict[str, bytes] = {}
    counts: dict[str, EditionCounts] = {}
    is_full_build = not any(built.slice.values())
    for edition in editions:
        data = load(build, edition)
        name = f"bundles_{edition}.jsonl"
        files[name] = encode_lines(bundle_line(bundle, edition) for bundle in data.train)
        counts[edition] = _edition_counts(data, name, experiment.expected.get(edition) if is_full_build else None)
    files |= _evaluation_files(data)  # the evaluation is the same in every edition
    if "enriched" in editions:
        files[REJECTED] = encode_lines(map(rejected_line, load_rejected(build)))
    manifest = _manifest(built, counts, files, experiment, profile)
    files = with_manifest(files, manifest)
    if folder.is_dir() and any(folder.iterdir()):
        if any(not (folder / name).is_file() or (folder / name).read_bytes() != files[name] for name in files):
            raise BadInput("holds another export; name a new or an empty folder", file=folder)
        return manifest
    write_dir_atomically(folder, files)
    return manifest


def _evaluation_files(data: Dataset) -> dict[str, bytes]:
    lemma_of = {item.item_id: item.lemma for item in data.retrieval}
    return {
        DEV: encode_lines(bundle_line(bundle, "dev") for bundle in data.dev),
        RETRIEVAL: encode_lines(map(retrieval_line, data.retrieval)),
        "coherence.jsonl": encode_lines(map(coherence_line, data.coherence)),
        "attention_audit.jsonl": encode_lines(map(attention_line, data.probes)),
        "tier4_killers.jsonl": encode_lines(killer_line(killer, lemma_of[killer.item_id]) for killer in data.killers),
    }


def _edition_counts(data: Dataset, name: str, expected: Expected | None) -> EditionCounts:
    core = [bundle for bundle in data.train if not bundle.adversarial]
    tiers: dict[str, int] = {tier: count for tier in TIERS if (count := sum(bundle.tier == tier for bundle in core))}
    return EditionCounts(
        file=name,
        data_fingerprint=data.data_fingerprint,
        bundles=len(core),
        adversarial=len(data.train) - len(core),
        synthetic=sum("synthetic" in (bundle.anchor.source, bundle.positive.source) for bundle in core),
        tiers=tiers,
        tier_shares={tier: round(count / len(core), 4) for tier, count in tiers.items()},
        expected=expected,
    )


def _manifest(
    built: DataManifest, counts: dict[str, EditionCounts], files: dict[str, bytes], experiment: Experiment, profile: str
) -> ExportManifest:
    bundle_files = {count.file for count in counts.values()} | {REJECTED}
    version = "3.0" if built.wordnet_fingerprint == WORDNET_3_0 else "another"
    own = {
        "experiment": experiment.name,
        "profile": profile,
        "build": built.key,
        "sources": {
            "wordnet": {"version": version, "fingerprint": built.wordnet_fingerprint},
            "encoder": {"name": experiment.data.reference_encoder.model, "fingerprint": built.encoder_fingerprint},
        },
        "editions": counts,
        "evaluation": {name: content.count(b"\n") for name, content in files.items() if name not in bundle_files},
        "sha256": sha256_of(files),
    }
    # the other fields are those of the build's manifest under the same names
    return msgspec.convert({**structs.asdict(built), **own}, ExportManifest)


def show(folder: Path, edition: str | None, count: int, seed: int) -> str:
    """A table of ``count`` bundles of ``edition``, or of every edition in ``folder``; chosen by ``seed``.

    Raises:
        BadInput: the folder is not an export, has no such edition, or a file in it has changed.
    """
    if count < 1:
        raise BadInput("at least one bundle", field="--count")
    manifest = decode_manifest(folder, ExportManifest, "cannot be read; is it what `data build --out` wrote?")
    if edition is not None and edition not in manifest.editions:
        raise BadInput(f"no edition {edition!r}; known: {', '.join(manifest.editions)}", file=folder / MANIFEST)
    parts = [
        f"Build {manifest.build} of profile {manifest.profile} (builder {manifest.builder_version}, data seed "
        f"{manifest.data_seed}); bundles drawn with seed {seed}. The target word is bold; {_SYNTHETIC_MARK} is a "
        "synthetic context; a text in italics is a gloss.\n"
    ]
    for name, counts in manifest.editions.items():
        if edition in (None, name):
            lines = read_listed_file(folder / counts.file, manifest.sha256).splitlines()
            chosen = sorted(range(len(lines)), key=lambda index: _rank(seed, lines[index]))[:count]
            rows = "".join(map(_row, (_bundle(folder / counts.file, lines, index) for index in sorted(chosen))))
            parts.append(f"## {name}\n\n{_summary(counts)}\n\n{_HEAD}{rows}")
    return "\n".join(parts)


def _summary(counts: EditionCounts) -> str:
    text = f"Fingerprint {counts.data_fingerprint[:16]}: {counts.bundles:,} bundles"
    text += f" and {counts.adversarial:,} adversarial" if counts.adversarial else ""
    if counts.expected is not None:
        more = f" and {counts.expected.adversarial:,}" if counts.expected.adversarial else ""
        text += f" ({counts.expected.bundles:,}{more} expected)"
    if counts.synthetic:
        text += f", {counts.synthetic:,} of them from synthetic contexts"
    shares = " / ".join(f"{share:.1%}" for share in counts.tier_shares.values())
    return f"{text}; tiers {shares}." if shares else f"{text}; no tiers."


def _bundle(path: Path, lines: list[bytes], index: int) -> Contrastive:
    try:
        return msgspec.json.decode(lines[index], type=Contrastive)
    except msgspec.MsgspecError as error:
        raise BadInput(f"malformed bundle: {error_in_words(error)}", file=path, line=index + 1) from error


def _rank(seed: int, line: bytes) -> bytes:
    """Sort key for a random choice in which the first n of a seed are always the same."""
    return hashlib.sha256(f"{seed} ".encode() + line).digest()


def _row(bundle: Contrastive) -> str:
    negatives = bundle.negatives if isinstance(bundle.negatives, Groups) else Groups()
    within, cross = ((*group, None)[0] for group in (negatives.within_lemma, negatives.cross_lemma))
    metadata = bundle.metadata or Metadata()
    tier = (metadata.tier or "").partition("_")[0] + (", adversarial" if metadata.adversarial else "")
    danger = f"{tier}, {metadata.danger:+.2f}" if tier else f"{metadata.danger:+.2f}"
    other = f"{_text(cross)} ({cross.similarity:.2f})" if cross else ""
    pos = bundle.anchor.pos if bundle.anchor else ""
    cells = (f"{bundle.lemma} ({pos})", _text(bundle.anchor), _text(bundle.positive), _text(within), other, danger)
    return f"| {' | '.join(cells)} |\n"


def _text(usage: Usage | None) -> str:
    """A text with its target word in bold; a gloss in italics."""
    if usage is None or not isinstance(usage.span, SpanObject):
        return ""
    start, end = usage.span.start, usage.span.end
    if start == end:
        return f"*{_escaped(usage.text)}*"
    text = f"{_escaped(usage.text[:start])}**{_escaped(usage.text[start:end])}**{_escaped(usage.text[end:])}"
    return f"{text} {_SYNTHETIC_MARK}" if usage.source == "synthetic" else text


def _escaped(text: str) -> str:
    """``text`` with Markdown's special characters escaped."""
    return "".join(f"\\{character}" if character in "\\|*_`[]<>" else character for character in text)
