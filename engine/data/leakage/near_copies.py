"""Finds texts that nearly copy others: an exact join on character n-grams, not a sketch that may miss one.

Candidates come from prefix filtering (Chaudhuri, Ganti & Kaushik 2006, "A primitive operator for similarity joins in
data cleaning"): two texts that share most of their n-grams share one of the rarest. Every candidate is then counted out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.data.wordnet.usage_events import normalised

NGRAM = 5
LEAST_JACCARD = 0.6
LEAST_CONTAINED = 0.9
LEAST_NGRAMS = 20
"""Fewer n-grams than these (about five words) may stand in a longer text by chance: their containment is no copy."""

_BLOCK = 1 << 18  # pairs counted out at once

Ints = NDArray[np.int64]


class _Grams(Struct, frozen=True):
    """The n-grams of some texts, each once a text and the rarest first: those of text i are ``starts[i]:starts[i + 1]``.

    A gram is its rank by rarity among all texts of both sides.
    """

    grams: Ints
    starts: Ints

    @property
    def sizes(self) -> Ints:
        return np.diff(self.starts)

    @property
    def owners(self) -> Ints:
        """The text of each gram."""
        return np.repeat(np.arange(len(self.starts) - 1), self.sizes)


def near_copies(texts: Iterable[str], against: Iterable[str]) -> dict[str, str]:
    """The ones of ``texts`` that nearly copy one of ``against``, each with the one it is most like, the first of equals.

    Texts are compared by their letters and digits in folded case. A pair are near-copies if they are equal, if the
    Jaccard similarity of their sets of character 5-grams is ``LEAST_JACCARD`` or more, or if one holds
    ``LEAST_CONTAINED`` of the 5-grams of the other, which has ``LEAST_NGRAMS`` or more. A text without letters and
    digits copies nothing.
    """
    ours = {text: form for text in texts if (form := normalised(text))}
    theirs = {form: text for text in reversed(tuple(against)) if (form := normalised(text))}
    forms = list(dict.fromkeys(ours.values()))
    copied = _most_alike(forms, list(reversed(theirs)))
    return {text: theirs[copied[form]] for text, form in ours.items() if form in copied}


def _most_alike(forms: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    mine, theirs = _grams(forms, others)
    pairs = np.unique(np.concatenate((_candidates(mine, theirs), _candidates(theirs, mine)[:, ::-1])), axis=0)
    best: dict[str, tuple[float, int]] = {}
    for start in range(0, len(pairs), _BLOCK):
        block = pairs[start : start + _BLOCK]
        shared = _shared(block, mine, theirs)
        left, right = mine.sizes[block[:, 0]], theirs.sizes[block[:, 1]]
        jaccard, smaller = shared / (left + right - shared), np.minimum(left, right)
        contained = (smaller >= LEAST_NGRAMS) & (shared >= LEAST_CONTAINED * smaller)
        found = (jaccard >= LEAST_JACCARD) | contained
        for (one, other), likeness in zip(block[found].tolist(), jaccard[found].tolist(), strict=True):
            best[forms[one]] = max(best.get(forms[one], (-1.0, 0)), (likeness, -other))
    return {form: others[-place] for form, (_, place) in best.items()}


def _grams(forms: Sequence[str], others: Sequence[str]) -> tuple[_Grams, _Grams]:
    """Both sides' n-grams on one scale of rarity; a form shorter than an n-gram is one itself."""
    numbers: dict[str, int] = {}
    rows = [
        np.fromiter({numbers.setdefault(gram, len(numbers)) for gram in _cut(form)}, dtype=np.int64)
        for form in (*forms, *others)
    ]
    flat = np.concatenate((*rows, np.empty(0, dtype=np.int64)))
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
    by_rarity = np.argsort(np.bincount(flat, minlength=len(numbers)), kind="stable")
    rank = np.empty_like(by_rarity)
    rank[by_rarity] = np.arange(len(by_rarity))
    ranked = rank[flat]
    ranked = ranked[np.lexsort((ranked, np.repeat(np.arange(len(rows)), np.diff(starts))))]
    middle = starts[len(forms)]
    return (
        _Grams(ranked[:middle], starts[: len(forms) + 1]),
        _Grams(ranked[middle:], starts[len(forms) :] - middle),
    )


def _cut(form: str) -> Iterable[str]:
    return (form[at : at + NGRAM] for at in range(max(1, len(form) - NGRAM + 1)))


def _candidates(probes: _Grams, index: _Grams) -> Ints:
    """Pairs (probe, text of the index) that share one of the probe's rarest n-grams; shape (pairs, 2).

    A text that shares m or more of a probe's n grams shares one of its n - m + 1 rarest.
    """
    sizes = probes.sizes
    least = np.ceil(min(LEAST_JACCARD, LEAST_CONTAINED) * sizes).astype(np.int64)
    place = np.arange(len(probes.grams)) - np.repeat(probes.starts[:-1], sizes)
    rare = place < np.repeat(sizes - least + 1, sizes)
    grams, owners = probes.grams[rare], probes.owners[rare]
    order = np.argsort(index.grams, kind="stable")
    held = index.grams[order]
    first, last = np.searchsorted(held, grams, "left"), np.searchsorted(held, grams, "right")
    count = last - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    texts = index.owners[order[np.repeat(first, count) + within]]
    return np.unique(np.stack((np.repeat(owners, count), texts), axis=1), axis=0)


def _shared(pairs: Ints, mine: _Grams, theirs: _Grams) -> Ints:
    """How many n-grams each pair shares; shape (pairs,)."""
    scale = 1 + max(mine.grams.max(initial=0), theirs.grams.max(initial=0))
    known = theirs.owners * scale + theirs.grams  # rising, for owners and each text's grams rise
    sizes = mine.sizes[pairs[:, 0]]
    offsets = np.cumsum(sizes) - sizes
    within = np.arange(sizes.sum()) - np.repeat(offsets, sizes)
    grams = mine.grams[np.repeat(mine.starts[pairs[:, 0]], sizes) + within]
    asked = np.repeat(pairs[:, 1], sizes) * scale + grams
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    counted = np.bincount(np.repeat(np.arange(len(pairs)), sizes), weights=known[place] == asked, minlength=len(pairs))
    return np.asarray(counted, dtype=np.int64)
