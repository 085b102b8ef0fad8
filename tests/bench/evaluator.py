"""``qllm-engine evaluate`` on 500 retrieval items of 12 candidates of some 30 tokens, encoding included, nothing cached."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.row import Row, row

PAIRS = 2
ITEMS, CANDIDATES, WORDS = 500, 12, 24
LIMIT = 60.0
TEXT = (
    "river water stone bridge money account interest letter window garden paper music winter market teacher doctor "
    "mountain village captain machine engine science history language answer question morning evening kitchen table "
    "station railway corner street minister election council army general soldier castle queen forest animal flower "
    "slowly always never often perhaps under across between through against before after while because although when "
    "opened closed carried followed reached turned waited answered remembered discovered the a of and in to with for"
)
VOCABULARY = TEXT.split()


def retrieval_line(number: int, draw: random.Random) -> bytes:
    """A made-up retrieval item of two senses; every text holds its lemma once."""
    lemma = VOCABULARY[number % 40]

    def usage(sense: str) -> dict[str, object]:
        words = draw.choices([word for word in VOCABULARY if word != lemma], k=WORDS)
        words.insert(draw.randrange(WORDS), lemma)
        text = " ".join(words) + "."
        start = len(" ".join(words[: words.index(lemma)])) + (1 if words.index(lemma) else 0)
        span = {"start": start, "end": start + len(lemma), "surface": lemma}
        return {"text": text, "span": span, "sense_id": f"wp:{lemma}.n.{lemma}#{sense}"}

    candidates = [
        {**usage("one" if at < 2 else "two"), "passage_id": f"p{at}", "is_correct_sense": at < 2}
        for at in range(CANDIDATES)
    ]
    return msgspec.json.encode(
        {"eval_id": f"item{number}", "lemma": lemma, "query": usage("one"), "candidates": candidates}
    )


def seconds(folder: Path) -> float:
    """Wall seconds of the whole command, with a new workspace."""
    draw = random.Random(0)
    file = folder / "retrieval.jsonl"
    file.write_bytes(b"".join(retrieval_line(number, draw) + b"\n" for number in range(ITEMS)))
    command = [sys.executable, "-m", "engine.cli", "evaluate", "--baseline", "mean_pool", "--retrieval", str(file)]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--workspace", str(folder / "workspace"), "--device", "cpu"], check=True, capture_output=True
    )
    return time.perf_counter() - start


def measure() -> Row:
    pairs = []
    for _ in range(PAIRS):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append((seconds(Path(folder)), LIMIT))
    cores = len(os.sched_getaffinity(0))
    note = f"peer: the limit; {ITEMS} items of {CANDIDATES} candidates of some 30 tokens, {cores} cores"
    return row("evaluate 500 items", pairs, 1.0, note)
