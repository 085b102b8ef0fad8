"""Sample lines of every format of users' files: as objects that tests can change, and as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]

LEMMAS = ("bank", "bark", "spring", "pitch", "seal", "crane", "bat", "ring", "match", "date", "palm", "jam")
MIDDLES = (
    *(
        "stood there all morning",
        "was painted last year",
        "looks rather new",
        "drew a small crowd",
        "needs some repair",
    ),
    *("cost us very little", "appears on every map", "made them laugh", "could not be missed", "had its own history"),
)
ENDS = {
    "one": (
        *("beside the muddy river", "under a bridge of stone", "after such heavy rain", "where the reeds grow thick"),
        *("close to wild ducks", "among willows and moss", "along the northern shore"),
    ),
    "two": (
        *("inside the marble hall", "during a board meeting", "within a busy office", "for clients with savings"),
        *("once the clerks left", "since interest had risen", "next to the cash desk"),
    ),
}


def text(lemma: str, sense: str, number: int) -> str:
    """A sentence that holds ``lemma`` once, at 5; no two of the first 70 are near-copies."""
    return f"That {lemma} {MIDDLES[number % 10]} {ENDS[sense][number % 7]}."


def sense_id(lemma: str, sense: str) -> str:
    return f"wp:{lemma}.n.{lemma}#{sense}"


def usage(lemma: str, sense: str, number: int, **more: Any) -> Record:
    """A usage as the contrastive shape with grouped negatives and retrieval write it."""
    span = {"start": 5, "end": 5 + len(lemma), "surface": lemma}
    return {"text": text(lemma, sense, number), "span": span, "sense_id": sense_id(lemma, sense), **more}


def grouped(number: int = 0) -> Record:
    """A contrastive bundle with grouped negatives."""
    lemma, other = LEMMAS[number % 12], LEMMAS[(number + 1) % 12]
    turn = number // 12
    return {
        "id": f"{number:012x}",
        "lemma": lemma,
        "anchor": usage(lemma, "one", turn, pos="noun"),
        "positive": usage(lemma, "one", turn + 9, pos="noun"),
        "negatives": {
            "within_lemma": [usage(lemma, "two", turn + step, pos="noun") for step in range(3)],
            "cross_lemma": [usage(other, "two", turn + 5, pos="noun", _similarity=0.61)],
        },
        "metadata": {"tier": "tier1_easy", "danger": -0.12},
    }


def listed(number: int = 0) -> Record:
    """A contrastive bundle with listed negatives: no spans, no lemma."""
    lemma, other = LEMMAS[number % 12], LEMMAS[(number + 1) % 12]

    def event(of: str, sense: str, place: int, **more: str) -> Record:
        return {"event_id": f"evt_{place}", "sense": f"{of}#{sense}", "text": text(of, sense, place), **more}

    negatives = [event(lemma, "two", place, source="within_lemma") for place in (1, 2)]
    return {
        "bundle_id": f"bnd_{number:03}",
        "anchor": event(lemma, "one", 3),
        "positive": event(lemma, "one", 14),
        "negatives": [*negatives, event(other, "one", 7, source="cross_lemma")],
        "metadata": {"tier": "tier3_adversarial", "danger_score": 0.623, "source": "mined", "passes": 8},
    }


def bundle21(number: int = 0) -> Record:
    """A bundle of schema 2.1 with two positives."""
    lemma = LEMMAS[number % 12]

    def item(role: str, sense: str, place: int) -> Record:
        return {
            "item_id": f"{number}_{role}_{place}",
            "role": role,
            "sense_id": f"{lemma}#{sense}",
            "context": text(lemma, sense, place),
            "target_span": [5, 5 + len(lemma)],
            "difficulty": 0.75,
        }

    return {
        "schema_version": "2.1",
        "bundle_id": f"poly_{lemma}_{number:06}",
        "word": {"lemma": lemma, "pos": "NOUN", "language": "en"},
        "sense_catalog": [{"sense_id": f"{lemma}#{sense}", "gloss": f"the {sense} of them"} for sense in ENDS],
        "items": [
            item("anchor", "one", 0),
            item("positive", "one", 5),
            item("positive", "one", 10),
            item("negative", "two", 3),
            item("hard_negative", "two", 6),
        ],
    }


def retrieval(number: int = 0, *, lemma: str = "", first: int = 16) -> Record:
    """A retrieval item; the second candidate is right. ``first`` is the number of its first text."""
    lemma = lemma or LEMMAS[number % 12]

    def candidate(sense: str, place: int) -> Record:
        right = sense == "one"
        return usage(lemma, sense, place, passage_id=f"p{place}", is_correct_sense=right)

    return {
        "eval_id": f"eval{number:04}",
        "eval_type": "multi_sense_retrieval",
        "lemma": lemma,
        "query": usage(lemma, "one", first, cue_tier="high_cue"),
        "candidates": [candidate("two", first + 1), candidate("one", first + 2), candidate("two", first + 3)],
        "correct_passage_ids": [f"p{first + 2}"],
    }


def coherence(number: int = 0) -> Record:
    """A coherence item of two steps."""
    lemma = LEMMAS[number % 12]

    def step(place: int, sense: str) -> Record:
        return {
            "step_num": place,
            "context": text(lemma, sense, 12 + place),
            "span": {"start": 5, "end": 5 + len(lemma), "surface": lemma},
            "expected_sense": sense_id(lemma, sense),
            "sense_gloss": f"what a {lemma} is in\nthe {sense} meaning",
        }

    return {"eval_id": f"coh{number:04}", "lemma": lemma, "num_steps": 2, "steps": [step(1, "one"), step(2, "two")]}


def attention(number: int = 0) -> Record:
    """An attention probe with two cues."""
    lemma = LEMMAS[number % 12]
    return {
        "eval_id": f"att{number:04}",
        "lemma": lemma,
        "query": text(lemma, "two", 16),
        "target_sense_id": sense_id(lemma, "two"),
        "cue_tokens": ["OFFICE", "busy"],
        "cue_tier": "medium_cue",
        "span": {"start": 5, "end": 5 + len(lemma), "surface": lemma},
    }


def killer(number: int = 0) -> Record:
    """A killer of the retrieval item with the same number."""
    return {
        "type": "retrieval",
        "eval_id": f"eval{number:04}",
        "lemma": LEMMAS[number % 12],
        "best_correct_rank": 3,
        "margin": -0.25,
        "reason_code": "within_lemma_collision",
        "wrong_sense_id": sense_id(LEMMAS[number % 12], "two"),
        "severity": 1.25,
    }


FORMATS: dict[str, Callable[[int], Record]] = {
    "contrastive, grouped negatives": grouped,
    "contrastive, listed negatives": listed,
    "bundle 2.1": bundle21,
    "retrieval": retrieval,
    "coherence": coherence,
    "attention": attention,
    "killer": killer,
}


def line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def write(path: Path, records: Iterable[Record | bytes]) -> Path:
    """A file of one record a line."""
    lines = [record if isinstance(record, bytes) else line(record) for record in records]
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return path
