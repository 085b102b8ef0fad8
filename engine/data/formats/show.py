"""Shows random bundles of an export as Markdown tables."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from engine.contract.bad_input import BadInput
from engine.data.dataset_files import MANIFEST, decode_manifest, read_listed_file
from engine.data.formats.export import EditionCounts, ExportManifest
from engine.data.formats.schemas import Contrastive, Groups, Metadata, SpanObject, Usage

_HEAD = "| lemma | anchor | positive | sibling | other lemma | tier, danger |\n|---|---|---|---|---|---|\n"
_SYNTHETIC_MARK = "†"


def show(folder: Path, edition: str | None, count: int, seed: int) -> str:
    """A table of ``count`` bundles of ``edition``, or of every edition in ``folder``; chosen by ``seed``.

    Raises:
        BadInput: the folder is not an export, has no such edition, or a file in it has changed.
    """
    if count < 1:
        raise BadInput("at least one bundle", field="--count")
    manifest = decode_manifest(folder, ExportManifest, "cannot be read; is it what `data build --out` wrote?")
    if edition is not None and edition not in manifest.editions:
        known = ", ".join(manifest.editions)
        raise BadInput(f"no edition {edition!r} here; there is {known}", file=folder / MANIFEST)
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
        raise BadInput(f"malformed bundle: {error}", file=path, line=index + 1) from error


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
