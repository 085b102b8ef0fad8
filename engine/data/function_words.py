"""Words that carry no sense by themselves, so that sharing one tells nothing."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    """
    a about above across after again against ago all almost along already also although always am among an and any
    anybody anyone anything are around as at away back be became because become becomes been before being below between
    both but by came can cannot come comes could did do does doing done down during each either else enough even ever
    every everybody everyone everything few for from further gave get gets getting give given gives go goes going gone
    got had has have having he her here hers herself him himself his how however i if in into is it its itself just keep
    kept less let like made make makes making many may me might mine more most much must my myself near need neither
    never no nobody none nor not nothing now of off often on once one only onto or other others our ours ourselves out
    over own perhaps put quite rather same seem seemed seems shall she should since so some somebody someone something
    sometimes soon still such take taken takes taking than that the their theirs them themselves then there these they
    this those though three through thus to together too took toward towards two under until up upon us use used using
    usually very was way we well went were what whatever when where whether which while who whole whom whose why will
    with within without would yet you your yours yourself
    """
)
"""Closed classes, and the verbs so general that they stand beside every sense."""

DEFINING_WORDS = _words(
    """
    act acting action activity cause certain characteristic characterized consisting containing especially etc form
    generally group kind lacking large manner marked member new number part particular people person piece place quality
    relating resembling several small sort specific specified state thing things time type unit various
    """
)
"""Words that definitions of all kinds are made with."""
