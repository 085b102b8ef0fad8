"""WordNet and its lexicon, read once by each process of the tests: reading them is most of the time of a small build."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from engine.data import build
from engine.data.wordnet.database import WordNet, read_wordnet
from engine.data.wordnet.usage_events import Lexicon, read_lexicon
from engine.pipeline import prepare

_lexicons: dict[str, Lexicon] = {}


@cache
def wordnet_of(folder: Path) -> WordNet:
    return read_wordnet(folder)


def lexicon_of(wordnet: WordNet) -> Lexicon:
    if wordnet.fingerprint not in _lexicons:
        _lexicons[wordnet.fingerprint] = read_lexicon(wordnet)
    return _lexicons[wordnet.fingerprint]


def share(patch: pytest.MonkeyPatch) -> None:
    """Let builds in this process use them too."""
    patch.setattr(prepare, "read_wordnet", wordnet_of)
    patch.setattr(build, "read_lexicon", lexicon_of)
