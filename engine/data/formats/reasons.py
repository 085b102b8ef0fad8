"""Reasons for quarantining a line and kinds of repair, each with a sentence for people."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "line_too_long",
    "not_utf8",
    "unreadable_json",
    "too_deep",
    "bad_number",
    "duplicate_key",
    "unknown_format",
    "other_format",
    "wrong_type",
    "no_id",
    "duplicate_id",
    "no_lemma",
    "no_sense",
    "empty_text",
    "span_outside",
    "span_differs",
    "no_anchor",
    "no_positive",
    "positive_sense",
    "positive_is_anchor",
    "no_negative",
    "negative_sense",
    "negative_is_answer",
    "no_right",
    "no_wrong",
    "right_contradicted",
    "query_leaked",
    "duplicate_candidate",
    "gloss_contradicted",
    "no_cue",
    "unknown_item",
]

REASONS: dict[Reason, str] = {
    "line_too_long": "the line is longer than 4 MiB",
    "not_utf8": "the line is not valid UTF-8, or has half a surrogate pair",
    "unreadable_json": "the line is not JSON",
    "too_deep": "the JSON is nested more than 100 deep",
    "bad_number": "a number is NaN, infinite or out of range",
    "duplicate_key": "an object has the same key twice",
    "unknown_format": "the line is of none of the known formats",
    "other_format": "the line is of another format than this file is named for",
    "wrong_type": "a field is missing or of the wrong type",
    "no_id": "the record has no id",
    "duplicate_id": "an earlier record has the same id",
    "no_lemma": "there is no lemma, nor a sense id that contains one",
    "no_sense": "a usage has no sense id",
    "empty_text": "a text is empty",
    "span_outside": "a span is outside its text, and the target word is not in the text exactly once",
    "span_differs": "a span does not match its surface form, which is not in the text exactly once",
    "no_anchor": "the bundle does not have exactly one anchor",
    "no_positive": "the bundle has no positive",
    "positive_sense": "a positive's sense is not the anchor's",
    "positive_is_anchor": "a positive has the anchor's text",
    "no_negative": "the bundle has no negative",
    "negative_sense": "a negative has the anchor's sense",
    "negative_is_answer": "a negative has the text of the anchor or of a positive",
    "no_right": "no candidate is right",
    "no_wrong": "no candidate is wrong, or all steps have the same sense",
    "right_contradicted": "the marks of correct candidates contradict each other",
    "query_leaked": "a query is among its candidates, or a context is its own gloss",
    "duplicate_candidate": "two candidates have the same id",
    "gloss_contradicted": "two glosses for one sense, or one gloss for two",
    "no_cue": "none of the cue tokens is in the text outside the target word",
    "unknown_item": "the killer names no retrieval item",
}

Repair = Literal["byte_order_mark", "span_recomputed", "span_found", "read_as_gloss", "cue_dropped"]

REPAIRS: dict[Repair, str] = {
    "byte_order_mark": "the byte order mark at the start of the file was removed",
    "span_recomputed": "a span that did not match its target word was recomputed from the surface form",
    "span_found": "a missing span was found in the text by surface form or lemma",
    "read_as_gloss": "a text without span or target word is read as a gloss",
    "cue_dropped": "a cue token that is not in the text outside the target word was dropped",
}

_MAX_DETAIL = 160


class Quarantined(Exception):
    """A line must not be used: the reason, and a detail that is safe to print."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason: Reason = reason
        self.detail = printable(detail)
        super().__init__(reason, self.detail)


def printable(text: str) -> str:
    """``text`` without control characters, cut to a line's length, because users' files may hold terminal escapes.

    The console has its own such function; engine and console share nothing above the contract.
    """
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:_MAX_DETAIL]
    )
    return shown if len(text) <= _MAX_DETAIL else shown + "…"
