"""Splits a WordNet gloss into the definition of a sense and its example sentences."""

from __future__ import annotations

import re
from itertools import dropwhile

_QUOTED = re.compile(r'"([^"]*)"')
_INNER = re.compile(r'(?<=\w)"(?=\w)')
_BEFORE_EXAMPLE = frozenset(";:,.)?!-\"'")
_TRAILING = ' \t;:,"`'
_LEAD_INS = ("e.g.", "as in", "or", "and")


def split_gloss(gloss: str) -> tuple[str, tuple[str, ...]]:
    """The definition and the example sentences of a gloss, with single spaces and without quotes.

    A quoted string is an example if it opens the gloss or follows punctuation; quoted words inside a definition
    (``the phrase "make strides"``) stay in the definition. A gloss with an unpaired quote, of which WordNet has a few, is
    split at its semicolons. Text after the first example that is not an example (an author's name) is dropped.
    """
    gloss = " ".join(gloss.split())
    if gloss.count('"') % 2:
        return _split_unpaired(gloss)
    quoted = list(dropwhile(lambda found: not _is_example(gloss, found), _QUOTED.finditer(gloss)))
    definition = gloss[: quoted[0].start()] if quoted else gloss
    return _definition(definition), _clean([found.group(1) for found in quoted])


def _is_example(gloss: str, found: re.Match[str]) -> bool:
    before = gloss[: found.start()].rstrip()
    if not before or before[-1] in _BEFORE_EXAMPLE or before.endswith(_LEAD_INS):
        return True
    after = gloss[found.end() :].lstrip(" .")
    return (not after or after[0] == ";") and len(found.group(1).split()) > 3


def _split_unpaired(gloss: str) -> tuple[str, tuple[str, ...]]:
    definition: list[str] = []
    examples: list[str] = []
    for part in gloss.split(";"):
        stripped = part.strip()
        if stripped.startswith('"') or stripped.endswith('"'):
            examples.append(stripped.strip('"'))
        elif not examples:
            definition.append(stripped)
    if not definition:
        definition = examples[:1]
        examples = examples[1:]
    return _definition("; ".join(definition)), _clean(examples)


def _definition(text: str) -> str:
    text = text.strip(_TRAILING)
    for lead_in in ("(e.g.", "e.g.", "e.g", "as in"):
        text = text.removesuffix(f" {lead_in}").rstrip(_TRAILING)
    return text


def _clean(examples: list[str]) -> tuple[str, ...]:
    """The examples without stray quotes, closing separators, empty ones and repetitions."""
    cleaned = (" ".join(_INNER.sub("'", example).replace('"', " ").split()).strip(_TRAILING) for example in examples)
    return tuple(dict.fromkeys(example for example in cleaned if example))
