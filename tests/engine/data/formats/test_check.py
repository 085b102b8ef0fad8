"""``qllm-engine data check``: the report, the quarantine, the verdict."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from engine import cli
from tests.engine.data.formats import sample_lines as samples


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Ten lines of every format, of which two are bad, one is repaired and one is blank."""
    good: list[Any] = [
        build(number) for build in samples.FORMATS.values() if build is not samples.killer for number in (0, 1)
    ]
    spanless = samples.grouped(5)
    del spanless["anchor"]["span"]
    empty = samples.grouped(6)
    empty["positive"]["text"] = ""
    return samples.write(tmp_path / "mixed.jsonl", [*good, samples.killer(0), b"", spanless, empty, b'{"id": "\xff"}'])


def outcome(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["data", "check", *arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_the_table_names_formats_repairs_reasons_and_lines(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, error = outcome(capsys, str(mixed))
    assert (code, error) == (0, "")
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == [f"{mixed}:", "17", "lines,", "1", "blank"]
    assert ["contrastive,", "grouped", "negatives", "2", "1", "1"] in rows
    assert ["contrastive,", "listed", "negatives", "0", "2", "0"] in rows
    assert ["not", "recognised", "0", "0", "1"] in rows and ["all", "11", "3", "2"] in rows
    assert "  quarantined 1 · empty_text: a text is empty\n    line 16; the first: positive\n" in output
    assert "  repaired 3 · span_found: " in output and "    lines 3, 4, 15; the first: anchor\n" in output


def test_json_has_every_line_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [b"{}"] * 15 + [samples.line(samples.grouped(number)) for number in range(85)]
    path = samples.write(tmp_path / "many.jsonl", lines)
    code, output, _ = outcome(capsys, str(path), "--json")
    (file,) = json.loads(output)["files"]
    assert code == 0 and file["reasons"]["unknown_format"]["lines"] == list(range(1, 16))
    assert (file["lines"], file["kept"], file["repaired"], file["quarantined"], file["blank"]) == (100, 85, 0, 15, 0)
    assert "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 5 more" in outcome(capsys, str(path))[1]


def test_more_than_a_fifth_in_quarantine_fails_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [samples.grouped(number) for number in range(8)]
    enough = samples.write(tmp_path / "enough.jsonl", [*good, b"{}", b"{}"])
    assert outcome(capsys, str(enough))[0] == 0
    bad = samples.write(tmp_path / "bad.jsonl", [*good, b"{}", b"{}", b"{}"])
    code, output, error = outcome(capsys, str(bad), str(enough), str(bad))
    assert code == 2 and output.count(" lines\n") == 3
    assert error == (
        f"qllm-engine: error: {bad}:9: 3 of 11 records quarantined (27%, at most 20%); most often (3): "
        "the line is of none of the known formats; the first: an empty object (and 1 more of the files fail)\n"
    )


def test_quarantined_lines_are_kept_as_they_were(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "quarantine"
    assert outcome(capsys, str(mixed), "--quarantine", str(folder))[0] == 0
    (kept,) = folder.iterdir()
    assert kept.name == "mixed.jsonl.quarantine.jsonl"
    text, raw = (json.loads(line) for line in kept.read_bytes().splitlines())
    lines = mixed.read_bytes().split(b"\n")
    assert (text["line"], text["reason"], text["raw"].encode()) == (16, "empty_text", lines[15])
    assert (raw["line"], raw["reason"], base64.b64decode(raw["base64"])) == (17, "not_utf8", lines[16])


def test_a_quarantine_of_an_earlier_check_does_not_outlive_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = tmp_path / "quarantine", tmp_path / "file.jsonl"
    for last, size in ((b"{}", 1), (samples.line(samples.grouped(9)), 0)):
        samples.write(path, [*map(samples.grouped, range(8)), last])
        assert outcome(capsys, str(path), "--quarantine", str(folder))[0] == 0
        assert len((folder / "file.jsonl.quarantine.jsonl").read_bytes().splitlines()) == size


def test_two_files_with_the_same_name_cannot_share_a_quarantine_folder(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, error = outcome(capsys, str(mixed), str(mixed), "--quarantine", str(mixed.parent / "q"))
    assert (code, output) == (2, "") and "--quarantine: 2 files are called mixed.jsonl" in error


def test_killers_are_compared_with_the_retrieval_items_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killers = samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(10)))
    assert outcome(capsys, str(killers))[0] == 0
    without_text = samples.retrieval(4)
    without_text["query"]["text"] = ""
    items = samples.write(tmp_path / "items.jsonl", [*map(samples.retrieval, (0, 1, 2, 3, 5, 6, 7, 8)), without_text])
    code, output, _ = outcome(capsys, str(killers), str(items))
    assert code == 0
    assert (
        "  quarantined 1 · unknown_item: the killer names no retrieval item\n    line 10; the first: eval0009" in output
    )
    assert "  quarantined 1 · item_quarantined: the killer's retrieval item is in quarantine\n    line 5;" in output


def test_killers_of_quarantined_items_are_left_out_and_are_no_fault_of_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken: list[Any] = [samples.retrieval(number) for number in range(2)]
    del broken[0]["query"]["text"]
    broken[1]["candidates"] = []
    items = samples.write(tmp_path / "items.jsonl", [*map(samples.retrieval, range(2, 12)), *broken])
    killers = samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(3)))
    code, output, _ = outcome(capsys, str(killers), str(items))
    assert code == 0 and "  quarantined 2 · item_quarantined: " in output
    assert (
        "wrong_type: a field is missing or of the wrong type\n    line 11; the first: query.text: is missing" in output
    )


def test_killers_of_another_retrieval_file_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = samples.write(tmp_path / "items.jsonl", map(samples.retrieval, range(6)))
    killers = samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(6, 9)))
    code, _, error = outcome(capsys, str(killers), str(items))
    assert code == 2
    assert error == (
        f"qllm-engine: error: {killers}:1: none of its 3 killers names a retrieval item; the first names eval0006\n"
    )


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = samples.grouped(0)
    evil["id"] = "\x1b]0;owned\x07"
    path = samples.write(tmp_path / "\x1b[31m.jsonl", [evil, evil, b'{"\x9b31m": 1}', *map(samples.grouped, range(20))])
    _, output, _ = outcome(capsys, str(path))
    assert "duplicate_id" in output and all(character.isprintable() or character == "\n" for character in output)


def test_a_file_without_records_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = samples.write(tmp_path / "blank.jsonl", [b"", b" "])
    code, output, error = outcome(capsys, str(path))
    assert code == 2 and "2 lines, 2 blank" in output and error.endswith("blank.jsonl: holds no records\n")
