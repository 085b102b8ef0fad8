"""Finds near-copies of texts: an exact similarity join on character n-grams, unlike a sketch, which may miss one.

Candidates come from prefix filtering (Chaudhuri, Ganti & Kaushik 2006, "A primitive operator for similarity joins in
data cleaning"): two texts that share most of their n-grams share one of the rarest.
Every candidate pair is then compared exactly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.data.wordnet.usage_events import normalised

NGRAM = 5
LEAST_JACCARD = 0.6
LEAST_CONTAINED = 0.9
LEAST_NGRAMS = 20
"""A text of fewer n-grams (about five words) may be part of a longer one by chance; its containment is no copy."""

_BLOCK = 1 << 18  # pairs compared at once
_MOST_WORKERS = 8  # each holds the n-grams of a block of pairs

Ints = NDArray[np.int64]


class _Grams(Struct, frozen=True):
    """Distinct n-grams of several texts, rarest first; those of text i are ``grams[starts[i]:starts[i + 1]]``.

    An n-gram is represented by its rank by rarity among all texts of both sides.
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
    """Those of ``texts`` that nearly copy a text of ``against``, mapped to the most similar one (the first of equals).

    Texts are compared by their letters and digits in folded case. Two texts are near-copies if they are equal, if the
    Jaccard similarity of their sets of character 5-grams is at least ``LEAST_JACCARD``, or if one contains at least
    ``LEAST_CONTAINED`` of the 5-grams of the other, which has at least ``LEAST_NGRAMS``. A text without letters and
    digits copies nothing.
    """
    forms = {text: form for text in texts if (form := normalised(text))}
    # reversed, so that the first of several texts with one normal form is kept
    against_by_form = {form: text for text in reversed(tuple(against)) if (form := normalised(text))}
    if not against_by_form:
        return {}
    copied = _most_similar(list(dict.fromkeys(forms.values())), list(reversed(against_by_form)))
    return {text: against_by_form[copied[form]] for text, form in forms.items() if form in copied}


def _most_similar(forms: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """The near-copies among ``forms``, each with the form of ``others`` of the highest Jaccard similarity."""
    left, right = _grams(forms, others)

    def compare(start: int) -> tuple[Ints, NDArray[np.float64]]:
        """The near-copies (found, 2) among a block of pairs and their Jaccard similarities (found,)."""
        block = pairs[start : start + _BLOCK]
        shared = _shared(block, left, right)
        left_sizes, right_sizes = left.sizes[block[:, 0]], right.sizes[block[:, 1]]
        jaccard, smaller = shared / (left_sizes + right_sizes - shared), np.minimum(left_sizes, right_sizes)
        contained = (smaller >= LEAST_NGRAMS) & (shared >= LEAST_CONTAINED * smaller)
        found = (jaccard >= LEAST_JACCARD) | contained
        return block[found], jaccard[found]

    best: dict[str, tuple[float, int]] = {}
    # numpy releases the interpreter while it sorts and searches
    with ThreadPoolExecutor(min(_MOST_WORKERS, len(os.sched_getaffinity(0)))) as threads:
        forward, backward = threads.map(_candidates, (left, right), (right, left))
        pairs = _unique_pairs(np.concatenate((forward, backward[:, ::-1])), len(others))
        for copies, jaccard in threads.map(compare, range(0, len(pairs), _BLOCK)):
            for (one, other), similarity in zip(copies.tolist(), jaccard.tolist(), strict=True):
                best[forms[one]] = max(best.get(forms[one], (-1.0, 0)), (similarity, -other))
    return {form: others[-index] for form, (_, index) in best.items()}


def _unique_pairs(pairs: Ints, others: int) -> Ints:
    """Each pair (i, j), j below ``others``, once and in ascending order; shape (pairs, 2)."""
    # one number a pair sorts many times faster than rows do
    return np.stack(np.divmod(np.unique(pairs[:, 0] * others + pairs[:, 1]), max(1, others)), axis=1)


def _grams(forms: Sequence[str], others: Sequence[str]) -> tuple[_Grams, _Grams]:
    """N-grams of both sides, ranked by rarity together; a form shorter than an n-gram counts as one."""
    numbers: dict[str, int] = {}
    rows = [
        np.fromiter({numbers.setdefault(gram, len(numbers)) for gram in _ngrams(form)}, dtype=np.int64)
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
    return (_Grams(ranked[:middle], starts[: len(forms) + 1]), _Grams(ranked[middle:], starts[len(forms) :] - middle))


def _ngrams(form: str) -> Iterable[str]:
    return (form[at : at + NGRAM] for at in range(max(1, len(form) - NGRAM + 1)))


def _candidates(probes: _Grams, index: _Grams) -> Ints:
    """Pairs (probe, text of the index) that share one of the probe's rarest n-grams; shape (pairs, 2).

    Prefix filter: a text that shares at least m of a probe's n grams shares one of its n - m + 1 rarest.
    """
    sizes = probes.sizes
    least = np.ceil(min(LEAST_JACCARD, LEAST_CONTAINED) * sizes).astype(np.int64)
    position = np.arange(len(probes.grams)) - np.repeat(probes.starts[:-1], sizes)
    rare = position < np.repeat(sizes - least + 1, sizes)
    grams, owners = probes.grams[rare], probes.owners[rare]
    order = np.argsort(index.grams, kind="stable")
    indexed = index.grams[order]
    first, last = np.searchsorted(indexed, grams, "left"), np.searchsorted(indexed, grams, "right")
    count = last - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    texts = index.owners[order[np.repeat(first, count) + within]]
    return _unique_pairs(np.stack((np.repeat(owners, count), texts), axis=1), len(index.starts) - 1)


def _shared(pairs: Ints, left: _Grams, right: _Grams) -> Ints:
    """Number of n-grams that each pair shares; shape (pairs,)."""
    scale = 1 + max(left.grams.max(initial=0), right.grams.max(initial=0))
    known = right.owners * scale + right.grams  # ascending, because owners and each text's grams are
    sizes = left.sizes[pairs[:, 0]]
    offsets = np.cumsum(sizes) - sizes
    within = np.arange(sizes.sum()) - np.repeat(offsets, sizes)
    grams = left.grams[np.repeat(left.starts[pairs[:, 0]], sizes) + within]
    wanted = np.repeat(pairs[:, 1], sizes) * scale + grams
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    counted = np.bincount(np.repeat(np.arange(len(pairs)), sizes), weights=known[found] == wanted, minlength=len(pairs))
    return np.asarray(counted, dtype=np.int64)
