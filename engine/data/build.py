"""Builds the data of an experiment into a folder: three editions, development bundles, the frozen evaluation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from engine.contract.durable import write_dir_atomically
from engine.contract.experiment import Slice, Verification
from engine.data.bundles.editions import Editions, make_editions
from engine.data.bundles.encoder_text import Embed, EmbeddedTexts
from engine.data.dataset_files import (
    ATTENTION,
    COHERENCE,
    DEV,
    EVALUATION,
    KILLERS,
    MANIFEST,
    REJECTED,
    RETRIEVAL,
    DataManifest,
    edition_file,
    encode_lines,
    fingerprint_of,
    load,
)
from engine.data.evaluation.items import with_tiers
from engine.data.evaluation.killers import killer_set
from engine.data.leakage.check import check_leakage
from engine.data.plan import make_plan
from engine.data.records import Bundle, RetrievalItem
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import read_lexicon

__all__ = ["BUILDER_VERSION", "build_all", "build_key", "load"]

BUILDER_VERSION = 2
"""Raised whenever the same inputs would give other bytes."""

ADVERSARIAL_BUNDLES = 598
"""How many adversarial bundles the v2.3 edition has when the slice does not say."""

Report = Callable[[int, int, str], None]
_STAGES = 4


def build_key(
    part: Slice, data_seed: int, verification: Verification, wordnet_fingerprint: str, encoder_fingerprint: str
) -> str:
    """16 hex digits that name a build: a hash of everything that determines it."""
    asked = [BUILDER_VERSION, part, data_seed, verification, wordnet_fingerprint, encoder_fingerprint]
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:16]


def build_all(
    part: Slice,
    data_seed: int,
    verification: Verification,
    wordnet: WordNet,
    embed: Embed,
    encoder_fingerprint: str,
    folder: Path,
    report: Report,
) -> None:
    """Build the data into ``folder``, whole or not at all; a folder that holds a build already is left as it is.

    Args:
        part: how much of the data to take.
        data_seed: of the split by lemma.
        verification: what a synthetic context must reach.
        wordnet: where the sentences come from.
        embed: unique texts -> float32 (texts, H), L2-normalised, frozen mean pooling; called once, and
            once more with the few texts that only accepted synthetic contexts bring in.
        encoder_fingerprint: of what ``embed`` uses.
        folder: the build's own folder, named by ``build_key``.
        report: told how many of how many stages are done.

    Raises:
        BadInput: the slice holds nothing.
        Leakage: something of the evaluation stands in the training data; nothing is written then.
    """
    if (folder / MANIFEST).is_file():
        return
    report(0, _STAGES, "stages")
    plan = make_plan(part, data_seed, wordnet, read_lexicon(wordnet))
    report(1, _STAGES, "stages")
    texts = EmbeddedTexts(embed)
    texts.add(plan.encoder_texts())
    report(2, _STAGES, "stages")
    wanted = ADVERSARIAL_BUNDLES if part.adversarial_bundles is None else part.adversarial_bundles
    editions = make_editions(plan, texts, wanted, verification)
    evaluation = plan.evaluation
    retrieval = with_tiers(evaluation.retrieval, texts)
    killers = killer_set(retrieval, texts)
    train = [bundle for bundles in editions.bundles.values() for bundle in bundles]
    checked = check_leakage(train, editions.dev, evaluation, editions.originals)
    report(3, _STAGES, "stages")
    records: dict[str, Sequence[Struct]] = {edition_file(name): made for name, made in editions.bundles.items()}
    records |= {DEV: editions.dev, RETRIEVAL: retrieval, COHERENCE: evaluation.coherence}
    records |= {KILLERS: killers, ATTENTION: evaluation.probes, REJECTED: editions.rejected}
    files = {name: encode_lines(made) for name, made in records.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = DataManifest(
        key=build_key(part, data_seed, verification, wordnet.fingerprint, encoder_fingerprint),
        builder_version=BUILDER_VERSION,
        data_seed=data_seed,
        slice=msgspec.structs.asdict(part),
        verification=msgspec.structs.asdict(verification),
        wordnet_fingerprint=wordnet.fingerprint,
        encoder_fingerprint=encoder_fingerprint,
        sha256=hashes,
        data_fingerprints={name: fingerprint_of(hashes, (edition_file(name), DEV)) for name in editions.bundles},
        eval_fingerprint=fingerprint_of(hashes, EVALUATION),
        lemmas={name: len(lemmas) for name, lemmas in plan.lemmas.items()},
        records={name: len(made) for name, made in records.items()},
        tiers=_tiers(editions, retrieval),
        tier_cuts=editions.tier_cuts,
        adversarial=sum(bundle.adversarial for bundle in editions.bundles["v2.3"]),
        nearest_other_lemma=_nearest(editions.bundles["v2.3"]),
        synthetics=_counted(rejected.reason for rejected in editions.rejected) | {"accepted": len(editions.originals)},
        excluded=_sorted(plan.excluded + editions.excluded),
        killers=_counted(killer.reason for killer in killers),
        checked_texts=checked,
    )
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    _put(files, folder)
    report(_STAGES, _STAGES, "stages")


def _tiers(editions: Editions, retrieval: Sequence[RetrievalItem]) -> dict[str, dict[str, int]]:
    held: dict[str, Sequence[Bundle | RetrievalItem]] = {edition_file(name): b for name, b in editions.bundles.items()}
    held |= {DEV: editions.dev, RETRIEVAL: retrieval}
    return {name: _counted(str(item.tier) for item in items) for name, items in held.items()}


def _nearest(bundles: Sequence[Bundle]) -> dict[str, float]:
    """How near the nearest cross-lemma negatives are; the first of a bundle that was not mined is its nearest."""
    near = [bundle.similarities[0] for bundle in bundles if not bundle.adversarial]
    return {"median": round(float(np.median(near)), 3), "p5": round(float(np.percentile(near, 5)), 3)}


def _counted(names: Iterable[str]) -> dict[str, int]:
    return _sorted(Counter(names))


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _put(files: Mapping[str, bytes], folder: Path) -> None:
    try:
        write_dir_atomically(folder, files)
    except OSError:
        # another process may have finished the same build first; the same inputs give the same bytes
        if not (folder / MANIFEST).is_file():
            raise
