"""Curves of a run: a row for each step and measurement in CSV, the same numbers in TensorBoard's event file."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.events import Event
from engine.export.curves import curve_points, curves_csv, read_events
from engine.export.tensorboard import write_tensorboard
from engine.pipeline.event_log import EventWriter
from tests.engine.export.trained_run import EVENTS


@pytest.fixture
def events(tmp_path: Path) -> list[Event]:
    writer = EventWriter(tmp_path / "events.jsonl", clock=iter(range(1_000, 2_000)).__next__)
    for body in EVENTS:
        writer.write(body)
    with open(writer.path, "ab") as file:
        file.write(b'{"seq":8,"t":1')  # cut short by a crash
    return read_events(writer.path)


def test_csv_has_a_row_for_each_step_and_measurement_the_last_of_what_was_done_again(events: list[Event]) -> None:
    rows = list(csv.DictReader(io.StringIO(curves_csv(events).decode())))
    assert [(row["step"], row["unix_time"], row["train/loss"]) for row in rows] == [
        ("1", "1001.0", "0.9"),
        ("2", "1003.0", "0.7"),
        ("2", "1004.0", ""),
        ("3", "1005.0", "0.6"),
        ("4", "1006.0", "0.5"),
        ("4", "1007.0", ""),
    ]
    assert rows[1]["train/drawn/tier3_adversarial"] == "1"
    measured = {name: value for name, value in rows[2].items() if value}
    assert measured == {
        "step": "2",
        "unix_time": "1004.0",
        "development/epoch": "1.0",
        "development/loss": "1.5",
        "development/top1": "0.5",
        "development/margin": "-0.25",
        "development/attention_entropy": "0.75",
        "development/score": "0.625",
        "development/best_step": "2",
        "development/tier1_easy/top1": "0.5",
        "development/WordNet/top1": "0.25",
        "development/WordNet/coherence": "0.75",
        "development/mean_pool/top1": "0.375",
        "development/mean_pool/score": "0.5",
        "development/mean_pool/WordNet/top1": "0.125",
        "development/mean_pool/tier1_easy/top1": "0.875",
        "development/chance/top1": "0.25",
        "development/chance/score": "0.375",
        "development/chance/tier1_easy/top1": "0.5",
        "development/chance/WordNet/coherence": "0.5",
        "train/tier3_exposures": "1.5",
    }
    assert rows[5]["evaluation/mean_pool_top1"] == "0.375"


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"seq":0,"t":1,"body":{"type":"end"}}\n{}\n')
    with pytest.raises(BadInput, match=r"events.jsonl:2: not an event"):
        read_events(path)
    with pytest.raises(BadInput, match="without its events"):
        read_events(tmp_path / "missing.jsonl")


def test_tensorboard_has_every_value_at_its_step_and_time(events: list[Event], tmp_path: Path) -> None:
    points = curve_points(events)
    write_tensorboard(points, tmp_path / "logs" / "A_seed1")
    (path,) = (tmp_path / "logs" / "A_seed1").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    read = scalars_in(path.read_bytes())
    assert len(read) == sum(len(point.values) for point in points)
    for point in points:
        for name, value in point.values.items():
            assert read[name, point.step] == pytest.approx((point.unix_time, value), rel=1e-6)


def scalars_in(content: bytes) -> dict[tuple[str, int], tuple[float, float]]:
    """Time and value of each scalar by tag and step: TFRecord frames with an ``Event`` message each, checksums checked."""
    from tensorboardX.crc32c import crc32c  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from tensorboardX.proto.event_pb2 import Event as Message  # type: ignore[import-untyped, import-not-found, unused-ignore]

    def masked(data: bytes) -> int:
        checksum = crc32c(data)
        return int(((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    found = {}
    at = 0
    while at < len(content):
        length, of_length = struct.unpack_from("<QI", content, at)
        assert of_length == masked(content[at : at + 8])
        data = content[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", content, at + 12 + length)[0] == masked(data)
        at += 16 + length
        message = Message.FromString(data)
        for value in message.summary.value:
            found[value.tag, message.step] = (message.wall_time, value.simple_value)
    return found
