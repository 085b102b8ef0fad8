"""Reasons for quarantining a line and kinds of repair, each with a sentence for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from engine.contract.bad_input import printable


class _Explained(StrEnum):
    """Base of ``Reason`` and ``Repair``: members are their names in reports; ``sentence`` is for people."""

    sentence: str

    def __new__(cls, name: str, sentence: str) -> Self:
        member = str.__new__(cls, name)
        member._value_, member.sentence = name, sentence
        return member


class Reason(_Explained):
    """Why a line is quarantined."""

    LINE_TOO_LONG = "line_too_long", "the line is longer than 4 MiB"
    NOT_UTF8 = "not_utf8", "the line is not valid UTF-8, or has half a surrogate pair"
    UNREADABLE_JSON = "unreadable_json", "the line is not JSON"
    TOO_DEEP = "too_deep", "the JSON is nested more than 100 deep"
    BAD_NUMBER = "bad_number", "a number is NaN, infinite or out of range"
    DUPLICATE_KEY = "duplicate_key", "an object has the same key twice"
    UNKNOWN_FORMAT = "unknown_format", "the line is of none of the known formats"
    OTHER_FORMAT = "other_format", "the line is of another format than this file is named for"
    WRONG_TYPE = "wrong_type", "a field is missing or of the wrong type"
    NO_ID = "no_id", "the record has no id"
    DUPLICATE_ID = "duplicate_id", "an earlier record has the same id"
    NO_LEMMA = "no_lemma", "there is no lemma, nor a sense id that contains one"
    NO_SENSE = "no_sense", "a usage has no sense id"
    EMPTY_TEXT = "empty_text", "a text is empty"
    SPAN_OUTSIDE = "span_outside", "a span is outside its text, and the target word is not in the text exactly once"
    SPAN_DIFFERS = "span_differs", "a span does not match its surface form, which is not in the text exactly once"
    SPAN_CUTS_WORD = (
        "span_cuts_word",
        "a span without a surface form cuts a word or marks none, and the target word is not in the text exactly once",
    )
    SPAN_DOUBTFUL = (
        "span_doubtful",
        "the file's spans follow no one convention, and this one marks different words by them",
    )
    NO_ANCHOR = "no_anchor", "the bundle does not have exactly one anchor"
    NO_POSITIVE = "no_positive", "the bundle has no positive"
    POSITIVE_SENSE = "positive_sense", "a positive's sense is not the anchor's"
    POSITIVE_IS_ANCHOR = "positive_is_anchor", "a positive has the anchor's text"
    NO_NEGATIVE = "no_negative", "the bundle has no negative"
    NEGATIVE_SENSE = "negative_sense", "a negative has the anchor's sense"
    NEGATIVE_IS_ANSWER = "negative_is_answer", "a negative has the text of the anchor or of a positive"
    NO_RIGHT = "no_right", "no candidate is right"
    NO_WRONG = "no_wrong", "no candidate is wrong, or all steps have the same sense"
    RIGHT_CONTRADICTED = "right_contradicted", "the marks of correct candidates contradict each other"
    QUERY_LEAKED = "query_leaked", "a query is among its candidates, or a context is its own gloss"
    DUPLICATE_CANDIDATE = "duplicate_candidate", "two candidates have the same id"
    GLOSS_CONTRADICTED = "gloss_contradicted", "two glosses for one sense, or one gloss for two"
    NO_CUE = "no_cue", "none of the cue tokens is in the text outside the target word"
    UNKNOWN_ITEM = "unknown_item", "the killer names no retrieval item"
    ITEM_QUARANTINED = "item_quarantined", "the killer's retrieval item is in quarantine"


class Repair(_Explained):
    """How a line was repaired."""

    BYTE_ORDER_MARK = "byte_order_mark", "a byte order mark at the start of a line was removed"
    SPAN_RECOMPUTED = (
        "span_recomputed",
        "a span that did not match its target word was recomputed from the surface form",
    )
    SPAN_CONVERTED = (
        "span_converted",
        "a span was converted to characters from the convention that the file's spans follow",
    )
    SPAN_FOUND = "span_found", "a missing span was found in the text by surface form or lemma"
    READ_AS_GLOSS = "read_as_gloss", "a text without span or target word is read as a gloss"
    CUE_DROPPED = "cue_dropped", "a cue token that is not in the text outside the target word was dropped"


_MAX_DETAIL = 160


class Quarantined(Exception):
    """A line must not be used: the reason, and a detail that is safe to print."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = printable_line(detail)
        super().__init__(reason, self.detail)


def printable_line(text: str) -> str:
    """``text`` without control characters, cut to a line's length, because users' files may hold terminal escapes."""
    return printable(text[:_MAX_DETAIL]) + ("…" if len(text) > _MAX_DETAIL else "")
