"""Which tokens belong to a target word."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from engine.data.reading import reading_of
from engine.data.records import Bundle, UsageEvent
from engine.encoder.token_states import TokenStates


def covers(characters: Tensor, event: UsageEvent) -> Tensor:
    """Which of a text's tokens overlap its target word: spans (T, 2) -> (T,) bool. A gloss has none."""
    starts, ends = characters.unbind(1)
    return (ends > starts) & (event.end > event.start) & (starts < event.end) & (ends > event.start)


def target_tokens(bundles: Iterable[Bundle], states: TokenStates) -> Tensor:
    """(N,) bool over the whole table: the token is part of a target word of some event with that text."""
    marked = torch.zeros(len(states.characters), dtype=torch.bool)
    for bundle in bundles:
        for event in (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma):
            if event.source != "gloss":
                start, end = states.span(reading_of(event))
                marked[start:end] |= covers(states.characters[start:end], event)
    return marked.to(states.device)
