"""Builds the dataset of an experiment from WordNet: three editions, development bundles, the frozen evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import structs

from engine.contract.experiment import DataSlice, Verification
from engine.data.bundles.encoder_text import Embed, EmbeddedTexts
from engine.data.dataset_files import (
    MANIFEST,
    DataManifest,
    DatasetContents,
    count_names,
    encode_dataset,
    write_dataset,
)
from engine.data.editions import make_editions
from engine.data.evaluation.items import with_tiers
from engine.data.evaluation.killers import killer_set
from engine.data.leakage import check_leakage
from engine.data.plan import make_plan
from engine.data.records import Bundle
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import read_lexicon

BUILDER_VERSION = 5
"""Increased whenever the same inputs would give other bytes."""

ADVERSARIAL_BUNDLES = 598
"""How many adversarial bundles the v2.3 edition has when the slice does not say."""

Report = Callable[[int, int, str], None]
_STAGES = 4


def build_key(
    part: DataSlice, data_seed: int, verification: Verification, wordnet_fingerprint: str, encoder_fingerprint: str
) -> str:
    """The name of a build: 16 hex digits, a hash of everything that determines its content."""
    inputs = [BUILDER_VERSION, part, data_seed, verification, wordnet_fingerprint, encoder_fingerprint]
    return hashlib.sha256(msgspec.json.encode(inputs)).hexdigest()[:16]


def build_all(
    part: DataSlice,
    data_seed: int,
    verification: Verification,
    wordnet: WordNet,
    embed: Embed,
    encoder_fingerprint: str,
    folder: Path,
    report: Report,
) -> None:
    """Build the dataset into ``folder``, whole or not at all; a folder that already holds a build is left as it is.

    Args:
        part: how much of the data to take.
        data_seed: seed of the split by lemma.
        verification: thresholds for synthetic contexts.
        wordnet: the source of all sentences.
        embed: unique texts -> float32 (texts, H), L2-normalised, frozen mean pooling; called once, and once more with
            the few texts that only accepted synthetic contexts add.
        encoder_fingerprint: of the encoder behind ``embed``.
        folder: the build's own folder, named by ``build_key``.
        report: called with the stages done, their total and the word "stages".

    Raises:
        BadInput: the slice is too small to hold any items.
        Leakage: evaluation data are in the training data; nothing is written.
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
    evaluation, confirm, dev_items = (
        structs.replace(one, retrieval=with_tiers(one.retrieval, texts))
        for one in (plan.evaluation, plan.confirm, plan.dev_items)
    )
    train = [bundle for bundles in editions.bundles.values() for bundle in bundles]
    checked = check_leakage(
        train, editions.dev, evaluation, editions.originals, confirm, glosses=plan.glosses, dev_items=dev_items
    )
    report(3, _STAGES, "stages")
    files, described = encode_dataset(
        DatasetContents(
            editions={str(name): bundles for name, bundles in editions.bundles.items()},
            dev=editions.dev,
            evaluation=evaluation,
            killers=killer_set(evaluation.retrieval, texts),
            rejected=editions.rejected,
            confirm=confirm,
            confirm_killers=killer_set(confirm.retrieval, texts),
            glosses=plan.glosses,
            dev_items=dev_items,
        )
    )
    manifest = DataManifest(
        key=build_key(part, data_seed, verification, wordnet.fingerprint, encoder_fingerprint),
        builder_version=BUILDER_VERSION,
        data_seed=data_seed,
        slice=structs.asdict(part),
        verification=structs.asdict(verification),
        wordnet_fingerprint=wordnet.fingerprint,
        encoder_fingerprint=encoder_fingerprint,
        lemmas={name: len(lemmas) for name, lemmas in plan.lemmas.items()},
        tier_cuts=editions.tier_cuts,
        adversarial=sum(bundle.adversarial for bundle in editions.bundles["v2.3"]),
        nearest_other_lemma=_nearest_other_lemma(editions.bundles["v2.3"]),
        synthetics=count_names(rejected.reason for rejected in editions.rejected)
        | {"accepted": len(editions.originals)},
        excluded=dict(sorted((plan.excluded + editions.excluded).items())),
        checked_texts=checked,
        **described,
    )
    write_dataset(folder, files, manifest)
    report(_STAGES, _STAGES, "stages")


def _nearest_other_lemma(bundles: Sequence[Bundle]) -> dict[str, float]:
    """Median and 5th percentile of the anchors' similarity to their nearest cross-lemma negative."""
    # the first negative of an adversarial bundle need not be its nearest
    near = [bundle.similarities[0] for bundle in bundles if not bundle.adversarial]
    return {"median": round(float(np.median(near)), 3), "p5": round(float(np.percentile(near, 5)), 3)}
