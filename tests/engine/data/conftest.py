"""What the tests of the data share: the real WordNet, read once, a hashed bag of words, and one small build."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.contract.experiment import DataSlice, Verification
from engine.data.build import build_all
from engine.data.wordnet.database import WordNet, find_wordnet
from engine.data.wordnet.usage_events import Lexicon
from tests.engine.wordnet_once import lexicon_of, wordnet_of

SMALL = DataSlice(
    train_lemmas=60,
    dev_lemmas=10,
    eval_lemmas=15,
    retrieval_items=20,
    coherence_items=20,
    adversarial_bundles=4,
)


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """A stand-in for an encoder: signed hashed word counts, (texts, 64), unit rows; the same in every process."""
    matrix = np.full((len(texts), 64), 1e-3, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            hashed = hashlib.sha256(word.encode()).digest()
            matrix[row, hashed[0] % 64] += 1.0 if hashed[1] % 2 else -1.0
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


def silent(done: int, total: int, unit: str) -> None:
    """A report that nobody reads."""


@pytest.fixture(scope="session")
def wordnet_folder() -> Path:
    return find_wordnet(os.environ)


@pytest.fixture(scope="session")
def wordnet(wordnet_folder: Path) -> WordNet:
    return wordnet_of(wordnet_folder)


@pytest.fixture(scope="session")
def lexicon(wordnet: WordNet) -> Lexicon:
    return lexicon_of(wordnet)


@pytest.fixture(scope="session")
def built(wordnet: WordNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small build over the bag of words; not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "small"
    build_all(SMALL, 0, Verification(), wordnet, bag_of_words, "bag of words", folder, silent)
    return folder


@pytest.fixture
def tiny_wordnet(tmp_path: Path) -> Path:
    """A hand-written WordNet of three synsets."""
    return write_tiny(tmp_path / "tiny")


def write_tiny(folder: Path, *, shift: int = 0, gloss: str = 'an entity; "it was a thing"') -> Path:
    """Two nouns and a verb in WordNet's own format; ``shift`` moves every byte offset."""
    folder.mkdir()
    first, second, verb = (f"{1740 + shift + step:08d}" for step in (0, 500, 900))
    licence = "  1 This software and database is being provided to you  \n"
    files = {
        "data.noun": f"{first} 03 n 02 thing 0 Big_Thing 0 000 | {gloss}  \n{second} 03 n 01 thing 1 000 | a matter  \n",
        "index.noun": f"big_thing n 1 0 1 0 {first}  \nthing n 2 1 @ 2 1 {first} {second}  \n",
        "data.verb": f'{verb} 29 v 01 run 0 001 @ {verb} v 0000 01 + 02 00 | move fast; "he ran"; "she runs"  \n',
        "index.verb": f"run v 1 1 @ 1 1 {verb}  \n",
        "noun.exc": "geese goose\n",
        "verb.exc": "ran run\nrunning run\n",
        "adj.exc": "better good\n",
        "adv.exc": "best well\n",
    }
    for name in ("data.adj", "index.adj", "data.adv", "index.adv"):
        files[name] = ""
    for name, content in files.items():
        (folder / name).write_text(licence + content if "." in name and not name.endswith(".exc") else content)
    return folder
