"""Random bundles of an export as Markdown tables, for a person to read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from engine.contract.bad_input import BadInput
from engine.data.dataset_files import MANIFEST
from engine.data.formats.export import EditionCounts, ExportManifest
from engine.data.formats.interchange import BundleLine, Mention

_HEAD = "| lemma | anchor | positive | sibling | other lemma | tier, danger |\n|---|---|---|---|---|---|\n"
_SYNTHETIC_MARK = "†"


def show(folder: Path, edition: str | None, count: int, seed: int) -> str:
    """A table of ``count`` bundles of ``edition``, or of every edition in ``folder``; chosen by ``seed``.

    Raises:
        BadInput: the folder is no export, has no such edition, or a file in it is not what was written.
    """
    if count < 1:
        raise BadInput("at least one bundle", field="--count")
    manifest = _manifest(folder)
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
            lines = _lines(folder / counts.file, manifest)
            chosen = sorted(range(len(lines)), key=lambda place: _rank(seed, lines[place]))[:count]
            rows = "".join(map(_row, (_bundle(folder / counts.file, lines, place) for place in sorted(chosen))))
            parts.append(f"## {name}\n\n{_summary(counts)}\n\n{_HEAD}{rows}")
    return "\n".join(parts)


def _summary(counts: EditionCounts) -> str:
    said = f"Fingerprint {counts.data_fingerprint[:16]}: {counts.bundles:,} bundles"
    said += f" and {counts.adversarial:,} adversarial" if counts.adversarial else ""
    if counts.expected is not None:
        more = f" and {counts.expected.adversarial:,}" if counts.expected.adversarial else ""
        said += f" ({counts.expected.bundles:,}{more} expected)"
    if counts.synthetic:
        said += f", {counts.synthetic:,} of them from synthetic contexts"
    shares = " / ".join(f"{share:.1%}" for share in counts.tier_shares.values())
    return f"{said}; tiers {shares}." if shares else f"{said}; no tiers."


def _manifest(folder: Path) -> ExportManifest:
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=ExportManifest)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}; is it what `data build --out` wrote?", file=path) from error
    except msgspec.MsgspecError as error:
        raise BadInput(f"not the manifest of an export: {error}", file=path) from error


def _lines(path: Path, manifest: ExportManifest) -> list[bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error
    if hashlib.sha256(content).hexdigest() != manifest.sha256.get(path.name):
        raise BadInput("is not the file that was written (its SHA-256 differs)", file=path)
    return content.splitlines()


def _bundle(path: Path, lines: list[bytes], place: int) -> BundleLine:
    try:
        return msgspec.json.decode(lines[place], type=BundleLine)
    except msgspec.MsgspecError as error:
        raise BadInput(f"malformed bundle: {error}", file=path, line=place + 1) from error


def _rank(seed: int, line: bytes) -> bytes:
    return hashlib.sha256(f"{seed} ".encode() + line).digest()


def _row(bundle: BundleLine) -> str:
    within, cross = bundle.negatives.within_lemma, bundle.negatives.cross_lemma
    other = f"{_text(cross[0])} ({cross[0].similarity:.2f})" if cross else ""
    tier = (bundle.metadata.tier or "").partition("_")[0] + (", adversarial" if bundle.metadata.adversarial else "")
    danger = f"{tier}, {bundle.metadata.danger:+.2f}" if tier else f"{bundle.metadata.danger:+.2f}"
    cells = (f"{bundle.lemma} ({bundle.anchor.pos})", _text(bundle.anchor), _text(bundle.positive))
    return "| " + " | ".join((*cells, _text(within[0]) if within else "", other, danger)) + " |\n"


def _text(mention: Mention) -> str:
    start, end = mention.span.start, mention.span.end
    if start == end:
        return f"*{_escaped(mention.text)}*"
    text = f"{_escaped(mention.text[:start])}**{_escaped(mention.text[start:end])}**{_escaped(mention.text[end:])}"
    return f"{text} {_SYNTHETIC_MARK}" if mention.source == "synthetic" else text


def _escaped(text: str) -> str:
    """``text`` without what Markdown would take for its own."""
    return "".join(f"\\{character}" if character in "\\|*_`[]<>" else character for character in text)
