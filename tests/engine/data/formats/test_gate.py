"""The integrity gate: a line for each reason and each repair, and every line counted once."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.formats.gate import FileReport, Gate, ItemIds, Verdict
from engine.data.formats.lines import MAX_LINE_BYTES, Line, read_lines
from engine.data.formats.reasons import Reason, Repair
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem
from tests.engine.data.formats import sample_lines as samples
from tests.engine.data.formats.sample_lines import Record, line


def verdict(content: bytes | Record) -> Verdict:
    raw = content if isinstance(content, bytes) else line(content)
    return Gate(items=ItemIds({"eval0000"})).verdict(Line(1, raw, len(raw)))


def with_field(record: Record, path: str, value: Any) -> Record:
    """``record`` with the field at ``path`` (dotted; numbers are indices) set, or taken out if ``value`` is ``...``."""
    changed = copy.deepcopy(record)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = changed
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return changed


G, L, B, R, C, A, K = (build(0) for build in samples.FORMATS.values())

BAD: list[tuple[str, bytes | Record]] = [
    ("not_utf8", b'{"id": "\xff"}'),
    ("not_utf8", b'{"id": "\\ud800"}'),
    ("unreadable_json", b'{"id": 1'),
    ("unreadable_json", b'{"id": 1} {"id": 2}'),
    ("unreadable_json", b'\x00"a"'),
    ("too_deep", b"[" * 101),
    ("too_deep", b'{"anchor": ' * 5000),
    ("bad_number", b'{"margin": NaN}'),
    ("bad_number", b'{"margin": -Infinity}'),
    ("bad_number", b'{"margin": 1e400}'),
    ("bad_number", b'{"margin": ' + b"9" * 5000 + b"}"),
    ("duplicate_key", line(G)[:-1] + b', "lemma": "bank"}'),
    ("duplicate_key", line(G).replace(b'"surface": "bank"', b'"surface": "bank", "surf\\u0061ce": "bank"', 1)),
    ("duplicate_key", line(G)[:-1] + b', "x" :1, "x":2}'),
    ("duplicate_key", line(G)[:-1] + b', "x":"\\u0022:", "lemma":"y"}'),
    ("unknown_format", b'{"hello": "world"}'),
    ("unknown_format", b"[1, 2]"),
    ("unknown_format", b"12"),
    ("unknown_format", with_field(B, "schema_version", "1.0")),
    ("wrong_type", with_field(G, "anchor", "a text")),
    ("wrong_type", with_field(G, "anchor.span", [1, 2, 3])),
    ("wrong_type", with_field(G, "metadata.tier", "\x1b[31mred")),
    ("wrong_type", with_field(R, "candidates.0.is_correct_sense", "yes")),
    ("wrong_type", with_field(R, "eval_id", "x" * 1000)),
    ("wrong_type", with_field(K, "reason_code", "bad luck")),
    ("wrong_type", with_field(K, "margin", ...)),
    ("wrong_type", with_field(K, "best_correct_rank", 0)),
    ("no_id", with_field(G, "id", ...)),
    ("no_lemma", with_field(with_field(G, "lemma", ...), "anchor.sense_id", "s1")),
    ("no_sense", with_field(G, "negatives.within_lemma.1.sense_id", ...)),
    ("no_sense", with_field(C, "steps.0.expected_sense", "")),
    ("empty_text", with_field(G, "anchor.text", "")),
    ("empty_text", with_field(G, "negatives.cross_lemma.0.text", " \n ")),
    ("empty_text", with_field(B, "items.2.context", "")),
    ("empty_text", with_field(C, "steps.1.sense_gloss", "")),
    ("span_outside", with_field(G, "anchor", samples.usage("bank", "one", 0, span=[900, 904], text="A bank, a bank."))),
    (
        "span_outside",
        with_field(B, "items.0", {**B["items"][0], "target_span": [-4, 2], "context": "Not a word of it."}),
    ),
    ("span_differs", with_field(G, "anchor.span", {"start": 5, "end": 9, "surface": "shore"})),
    ("span_differs", with_field(R, "query.span", {"start": 0, "end": 1, "surface": "a"})),
    (
        "span_cuts_word",
        with_field(G, "anchor", samples.usage("bank", "one", 0, span=[4, 7], text="The bank of banks, a bank.")),
    ),
    ("no_anchor", with_field(G, "anchor", None)),
    ("no_anchor", with_field(B, "items.1.role", "anchor")),
    ("no_positive", with_field(G, "positive", ...)),
    ("no_positive", with_field(L, "positive", None)),
    ("no_positive", with_field(B, "items", [B["items"][0], *B["items"][3:]])),
    ("positive_sense", with_field(L, "positive.sense", "bank#two")),
    ("positive_is_anchor", with_field(L, "positive.text", L["anchor"]["text"].upper() + "!")),
    ("no_negative", with_field(G, "negatives", {})),
    ("no_negative", with_field(L, "negatives", ...)),
    ("negative_sense", with_field(L, "negatives.0.sense", "bank#one")),
    ("negative_is_answer", with_field(L, "negatives.0.text", L["positive"]["text"])),
    ("no_right", with_field(with_field(R, "correct_passage_ids", []), "candidates.1.is_correct_sense", False)),
    ("no_right", with_field(with_field(R, "correct_passage_ids", ...), "candidates.1.is_correct_sense", ...)),
    ("no_right", with_field(R, "candidates", []) | {"correct_passage_ids": None}),
    ("no_wrong", with_field(R, "candidates", R["candidates"][1:2])),
    ("no_wrong", with_field(C, "steps", C["steps"][:1])),
    ("no_wrong", with_field(C, "steps", [])),
    ("right_contradicted", with_field(R, "correct_passage_ids", ["p17"])),
    ("right_contradicted", with_field(R, "correct_passage_ids", ["p18", "p99"])),
    ("right_contradicted", with_field(R, "candidates.0.is_correct_sense", True)),
    ("right_contradicted", with_field(R, "candidates.1.sense_id", "wp:bank.n.bank#two")),
    ("right_contradicted", with_field(R, "candidates.0.text", R["candidates"][1]["text"])),
    ("query_leaked", with_field(R, "candidates.1.text", R["query"]["text"])),
    ("query_leaked", with_field(C, "steps.0.sense_gloss", C["steps"][0]["context"])),
    ("duplicate_candidate", with_field(R, "candidates.2.passage_id", "p18")),
    ("gloss_contradicted", with_field(C, "steps", [*C["steps"], {**C["steps"][0], "sense_gloss": "another"}])),
    ("gloss_contradicted", with_field(C, "steps.0.sense_gloss", C["steps"][1]["sense_gloss"])),
    ("no_cue", with_field(A, "cue_tokens", [])),
    ("no_cue", with_field(A, "cue_tokens", ["bank", "absent", ""])),
    ("unknown_item", samples.killer(7)),
]


@pytest.mark.parametrize(("reason", "content"), BAD)
def test_a_bad_line_is_quarantined_for_its_reason(reason: str, content: bytes | Record) -> None:
    found = verdict(content)
    assert found.quarantined is not None and found.quarantined.reason == reason
    assert found.records == () and found.quarantined.detail.isprintable()


def test_every_reason_and_repair_has_a_sentence_and_a_test() -> None:
    assert all(member.sentence for member in (*Reason, *Repair))
    elsewhere = {"line_too_long", "other_format", "duplicate_id", "item_quarantined", "span_doubtful"}
    assert {reason for reason, _ in BAD} | elsewhere == set(Reason)


def test_a_line_that_is_too_long_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    too_long = ((MAX_LINE_BYTES + more, "line_too_long") for more in (1, 100, MAX_LINE_BYTES))
    for length, expected in ((MAX_LINE_BYTES, "unreadable_json"), *too_long):
        for mark, end in ((b"", b"\n"), (b"\xef\xbb\xbf", b"\n"), (b"", b"")):
            path.write_bytes(mark + b"x" * length + end + (line(K) if end else b""))
            verdicts = list(map(Gate().verdict, read_lines(path)))
            first = verdicts[0].quarantined
            assert first is not None and first.reason == expected
            assert len(verdicts) == 1 + bool(end) and verdicts[0].line.length == length
            assert all(after.records for after in verdicts[1:])


def test_an_id_is_unique_among_the_lines_that_pass() -> None:
    gate = Gate()
    bad = with_field(G, "anchor.text", "")
    lines = [line(record) for record in (bad, G, samples.grouped(1), G, {**L, "bundle_id": G["id"]}, A)]
    verdicts = [gate.verdict(Line(number, content, len(content))) for number, content in enumerate(lines, start=1)]
    reasons = [found.quarantined.reason if found.quarantined else None for found in verdicts]
    assert reasons == ["empty_text", None, None, "duplicate_id", "duplicate_id", None]


def test_a_file_named_for_one_role_holds_nothing_else() -> None:
    found = Gate(frozenset({"retrieval"})).verdict(Line(1, line(G), len(line(G))))
    assert found.quarantined is not None and found.quarantined.reason == "other_format"


@pytest.mark.parametrize(("name", "build"), samples.FORMATS.items())
def test_a_good_line_of_each_format_is_recognised_and_kept(name: str, build: Callable[[int], Record]) -> None:
    found = verdict(build(0))
    assert (found.format, found.quarantined) == (name, None) and found.records
    unspaced = json.dumps(build(0), separators=(",", ":")).encode()
    assert verdict(unspaced).records == verdict(line(build(0)).replace(b'": ', b'" : ')).records == found.records


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (G, ("metadata.edition", "metadata.danger", "metadata.source", "negatives.cross_lemma.0._similarity")),
        (R, ("eval_type", "num_correct", "num_distractors", "difficulty_tier", "scoring")),
        (C, ("eval_type", "num_steps", "num_sense_shifts", "scoring", "steps.0.step_num", "steps.0.instruction")),
        (A, ("cue_tier", "source")),
        (K, ("lemma", "_tier4")),
    ],
)
def test_fields_that_are_only_written_may_hold_anything(record: Record, fields: tuple[str, ...]) -> None:
    odd = record
    for field in fields:
        odd = with_field(odd, field, [{"any": None}, "thing"])
    assert verdict(odd).records == verdict(record).records != ()


def test_many_brackets_are_not_deep() -> None:
    wide = {**G, "wide": [[]] * 200, "text": "[" * 200 + '"' + "{" * 200}
    assert verdict(wide).records == verdict(G).records
    assert verdict({**G, "deep": json.loads("[" * 99 + "]" * 99)}).records == verdict(G).records


def test_a_contrastive_bundle_becomes_a_bundle() -> None:
    (bundle,) = verdict(G).records
    assert isinstance(bundle, Bundle)
    assert (bundle.bundle_id, bundle.tier, bundle.adversarial) == (G["id"], "tier1_easy", False)
    anchor = bundle.anchor
    assert anchor.text == G["anchor"]["text"] and anchor.text[anchor.start : anchor.end] == "bank"
    assert (anchor.lemma, anchor.pos, anchor.sense_id, anchor.source) == ("bank", "n", "wp:bank.n.bank#one", "example")
    assert [event.lemma for event in (*bundle.siblings, *bundle.cross_lemma)] == ["bank"] * 3 + ["bark"]


def test_a_listed_bundle_has_its_spans_found_and_its_lemmas_from_the_senses() -> None:
    found = verdict(L)
    (bundle,) = found.records
    assert isinstance(bundle, Bundle) and bundle.adversarial and bundle.tier == "tier3_adversarial"
    assert [repair for repair, _ in found.repairs] == ["span_found"] * 5
    for event in (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma):
        assert event.text[event.start : event.end] == event.lemma
    assert [event.lemma for event in bundle.cross_lemma] == ["bark"] and len(bundle.siblings) == 2


def test_listed_negatives_of_no_stated_kind_are_classified_by_lemma() -> None:
    plain = [{name: value for name, value in negative.items() if name != "source"} for negative in L["negatives"]]
    assert verdict(L | {"negatives": plain}).records == verdict(L).records


def test_each_positive_of_a_bundle_21_gives_a_bundle() -> None:
    first, second = verdict(B).records
    assert isinstance(first, Bundle) and isinstance(second, Bundle)
    assert (first.bundle_id, second.bundle_id) == (B["bundle_id"], B["bundle_id"] + "/2")
    assert first.anchor == second.anchor and first.positive != second.positive
    assert len(first.siblings) == 2 and first.tier is None
    strange = {"sense_id": "shore#one", "context": "The shore was far away.", "target_span": [4, 9]}
    (with_other, _) = verdict(with_field(B, "items.3", {**B["items"][3], **strange})).records
    assert isinstance(with_other, Bundle)
    assert [event.lemma for event in with_other.cross_lemma] == ["shore"] and len(with_other.siblings) == 1


def test_right_candidates_come_from_flags_or_the_list_of_passages() -> None:
    both = verdict(R).records
    flags = verdict(with_field(R, "correct_passage_ids", ...)).records
    for candidate in (bare := copy.deepcopy(R))["candidates"]:
        del candidate["is_correct_sense"]
    assert both == flags == verdict(bare).records
    (item,) = both
    assert isinstance(item, RetrievalItem) and [one.right for one in item.candidates] == [False, True, False]


def test_a_candidate_without_span_gets_one_or_is_read_as_a_gloss() -> None:
    spanless = with_field(with_field(R, "candidates.0.span", ...), "candidates.2.span", None)
    found = verdict(with_field(spanless, "candidates.2.text", "sloping land\nbeside “water”"))
    (item,) = found.records
    assert isinstance(item, RetrievalItem)
    first, _, last = (candidate.event for candidate in item.candidates)
    assert (first.start, first.end, first.source) == (5, 9, "example")
    assert (last.start, last.end, last.source, last.text) == (0, 0, "gloss", "sloping land\nbeside “water”")
    assert found.repairs == (("span_found", "candidate 1"), ("read_as_gloss", "candidate 3"))


def test_the_index_of_a_sense_does_not_depend_on_the_order_of_steps() -> None:
    (item,) = verdict(C).records
    (turned,) = verdict(with_field(C, "steps", C["steps"][::-1])).records
    assert isinstance(item, CoherenceItem) and isinstance(turned, CoherenceItem)
    assert item.sense_ids == turned.sense_ids and item.glosses == turned.glosses
    assert [step.sense for step in item.steps] == [0, 1] and [step.sense for step in turned.steps] == [1, 0]


def test_cues_are_spelled_as_in_the_text_and_never_the_target() -> None:
    found = verdict(with_field(A, "cue_tokens", ["OFFICE", "absent", "bank", "busy", "office"]))
    (probe,) = found.records
    assert isinstance(probe, AttentionProbe) and probe.cues == ("office", "busy")
    assert [repair for repair, _ in found.repairs] == ["cue_dropped", "cue_dropped"]


def test_a_killer_keeps_its_figures() -> None:
    (found,) = verdict(K).records
    assert found == Killer("eval0000", "within_lemma_collision", -0.25, 1.25, 3, "wp:bank.n.bank#two")
    assert verdict(with_field(K, "severity", ...)).records == (found,)


def test_a_span_as_a_pair_is_as_good_as_an_object() -> None:
    pair = with_field(G, "anchor.span", [5, 9])
    assert verdict(pair).records == verdict(G).records and verdict(pair).repairs == ()


def test_texts_are_never_altered() -> None:
    odd = "“Bank” – the\u2029 ‘bank’s’ cafe\u0301 \t bank"
    (bundle,) = verdict(with_field(with_field(G, "anchor.text", odd), "anchor.span", [1, 5])).records
    assert isinstance(bundle, Bundle) and bundle.anchor.text == odd


MUTATIONS = 10_000
_TOKEN = re.compile(rb'"[^"]*"|-?[0-9.]+|true|false|null')
_STRANGE = (
    *(b"null", b"true", b"[]", b"{}", b'""', b"0", b"-1", b"1.5", b"NaN", b"1e999", b"9" * 30, b"9" * 400),
    *(
        b'"\\ud83d"',
        b'"\\u0000"',
        b'"\x01"',
        b'"\xff"',
        b'"\xe2\x80\xa8"',
        b"[" * 150,
        b"[" * 90 + b"]" * 90,
        b'{"a":1,"a":2}',
    ),
)


def mutated(content: bytes, random: random.Random) -> bytes:
    """``content`` with one thing or two wrong with it."""
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(content) + 1)
        match random.randrange(10):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
            case 2:
                content = content[:at] + content[at + random.randrange(1, 40) :]
            case 3 | 7 | 8 | 9:
                start, end = random.choice([token.span() for token in _TOKEN.finditer(content)] or [(0, 0)])
                content = content[:start] + random.choice(_STRANGE) + content[end:]
            case 4:
                other = random.randrange(len(content) + 1)
                content = content[: max(at, other)] + content[min(at, other) :]
            case 5:
                content = content.replace(b'": ', b'": ' + random.choice(_STRANGE) + b', "again": ', 1)
            case 6:
                content = content.replace(b'"', random.choice((b"'", b'"\t', b'\\"')), random.randrange(1, 4))
    return content.replace(b"\n", b"")


@pytest.mark.parametrize(("name", "build"), samples.FORMATS.items())
def test_ten_thousand_mutated_lines_of_each_format_are_all_counted(name: str, build: Callable[[int], Record]) -> None:
    shuffled = random.Random(name)
    good = [samples.line(build(number)) for number in range(12)]
    gate, report = Gate(), FileReport(Path(name))
    for number in range(1, MUTATIONS + 1):
        content = mutated(good[number % 12], shuffled)
        verdict = gate.verdict(Line(number, content, len(content)))
        report.add(verdict)
        assert (verdict.quarantined is None and bool(content.strip())) == bool(verdict.records)
    total = report.total
    assert total.kept + total.repaired + total.quarantined + report.blank == report.lines == MUTATIONS
    assert sum(len(found.lines) for found in report.quarantined.values()) == total.quarantined > MUTATIONS / 2
    assert len(report.quarantined) > 6


LINES = st.one_of(
    st.builds(
        lambda build, number: samples.line(build(number)),
        st.sampled_from(list(samples.FORMATS.values())),
        st.integers(0, 30),
    ),
    st.binary(max_size=30).map(lambda content: content.replace(b"\n", b"")),
    st.sampled_from([b"", b"  \t", b"\r", b"{}", b"[]", b"null"]),
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_kept_and_repaired_and_quarantined_and_blank_are_all_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], last: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "mixed.jsonl"
    path.write_bytes(b"\n".join([b"{}", *lines]) + b"\n" * last)
    report, records = FileReport(path), 0
    for verdict in map(Gate().verdict, read_lines(path)):
        report.add(verdict)
        records += bool(verdict.records)
    total = report.total
    assert (
        total.records + report.blank
        == report.lines
        == path.read_bytes().count(b"\n") + (not last and lines[-1:] != [b""])
    )
    assert records == total.kept + total.repaired
    assert sum(counts.records for counts in report.formats.values()) == total.records


def test_bundles_that_pass_the_gate_are_consistent() -> None:
    """Events of mutated bundles that pass keep the promises that training relies on."""
    shuffled = random.Random(1)
    passed = 0
    for number in range(3000):
        content = mutated(samples.line(samples.grouped(number)), shuffled)
        for bundle in Gate().verdict(Line(1, content, len(content))).records:
            assert isinstance(bundle, Bundle)
            passed += 1
            events = (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma)
            assert all(event.text.strip() and 0 <= event.start <= event.end <= len(event.text) for event in events)
            assert bundle.anchor.sense_id == bundle.positive.sense_id and len(events) > 2
            assert len({event.text for event in events[:2]}) == 2
    assert passed > 200
