"""Items as text: marks of outcomes, the preview of one, and all that a run saved of it; nothing is told by colour alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from console.format import number, run_label
from console.glyphs import Glyphs
from console.results.items.detail import Candidate, ItemDetail, Token
from console.results.items.items import ItemTable
from engine.contract.settings import RunId

HEAVIEST = 5  # tokens whose weight is written
_LABEL_WIDTH = 13
_DARKEST = 0.75  # opacity of the background of the heaviest token


def outcome_mark(right: int, seeds: int, glyphs: Glyphs) -> tuple[str, str]:
    """Sign and style name (``right``, ``most``, ``few``, ``wrong``, ``missing``) of an item under one condition."""
    if seeds == 0:
        return " ", "missing"
    if right == seeds:
        return glyphs.every, "right"
    if 2 * right > seeds:
        return glyphs.most, "most"
    return (glyphs.few, "few") if right else (glyphs.none, "wrong")


def legend(glyphs: Glyphs) -> str:
    """What the signs of a condition mean."""
    return f"{glyphs.every} all {glyphs.most} most {glyphs.few} few {glyphs.none} no seed right"


def signed(value: float) -> str:
    """``+0.123``; a dash for none."""
    return "-" if math.isnan(value) else f"{value:+.3f}"


def flow(parts: Iterable[Content], width: int, gap: int) -> list[Content]:
    """``parts`` on lines of at most ``width`` columns, ``gap`` spaces between; a part is broken only where it is alone."""
    lines = [Content("")]
    for part in parts:
        if lines[-1] and lines[-1].cell_length + gap + part.cell_length > width:
            lines.append(part)
        else:
            lines[-1] = lines[-1] + " " * gap + part if lines[-1] else part
    return lines


def outcome_lines(table: ItemTable, row: int, glyphs: Glyphs, width: int) -> list[Content]:
    """``A ● 3/3 +0.123`` for each condition that was evaluated on the item, as many a line as ``width`` columns hold."""
    parts = []
    for at, name in enumerate(table.conditions):
        right, seeds = int(table.right[row, at]), int(table.seeds[row, at])
        if seeds:
            mark, _ = outcome_mark(right, seeds, glyphs)
            parts.append(
                Content.assemble((name, "bold"), f" {mark} {right}/{seeds} {signed(float(table.margins[row, at]))}")
            )
    return flow(parts, width, 3)


def preview(table: ItemTable, row: int, glyphs: Glyphs, width: int) -> Content:
    """An item in a few labelled lines of ``width`` columns; only the first line of its outcomes by condition."""
    item = table.frame.row(row, named=True)
    first, *more = outcome_lines(table, row, glyphs, width - _LABEL_WIDTH - 4)
    wrong = f"{item['failed']} of {item['runs']} runs wrong, mean margin {number(item['margin'])}"
    facts = (item["item"], item["pos"], item["item_class"], item["reason"], _killer(item))
    lines = (
        ("Query", "$foreground-muted", Content(item["query"])),
        ("Right answer", "$text-success", Content(item["answer"])),
        ("Chosen", "$text-error", Content(item["chosen"] or "-")),
        ("Outcome", "$foreground-muted", Content(wrong)),
        ("", "", first + (f" {glyphs.cut}" if more else "")),
        ("Item", "$foreground-muted", Content("  ".join(filter(None, (item["kind"], *facts))))),
    )
    return Content("\n").join(Content.styled(f"{label:<{_LABEL_WIDTH}}", style) + text for label, style, text in lines)


def _killer(item: dict[str, Any]) -> str:
    return f"in the frozen killer set: {item['killer']}" if item["killer"] else ""


def detail_content(
    table: ItemTable, row: int, run: RunId, detail: ItemDetail | str, width: int, glyphs: Glyphs
) -> Content:
    """One item in full, under one run.

    Args:
        detail: what the run saved, or why it cannot be shown.
        width: in columns.
    """
    item = table.frame.row(row, named=True)
    facts = (item["tier"], item["pos"], item["item_class"], item["reason"], _killer(item))
    runs = table.runs_of(row)
    lines = [
        Content.assemble((item["lemma"], "bold"), "  ", "  ".join(filter(None, (item["kind"], *facts)))),
        Content(""),
    ]
    label = run_label(run, width // 2)
    place = f"   run {runs.index(run) + 1} of {len(runs)}" if run in runs else ""
    if isinstance(detail, str):
        return Content("\n").join([*lines, Content.assemble((label, "bold"), place), Content(detail)])
    killer = f"   a killer: {detail.reason}" if detail.reason else ""
    lines += [
        Content.assemble((label, "bold"), place, f"   {_rank(detail.rank, detail.margin)}{killer}"),
        Content.styled(
            f"Frozen mean pooling: {_rank(detail.mean_pool_rank, detail.mean_pool_margin)}", "$foreground-muted"
        ),
        Content(""),
        *_query_lines(detail, label, width, glyphs),
        Content(""),
        *_candidate_lines(detail.candidates, label, width, glyphs),
        Content(""),
        Content.styled("Seeds that rank it right, mean margin", "bold"),
        *(Content("  ") + line for line in outcome_lines(table, row, glyphs, width - 2)),
    ]
    return Content("\n").join(lines)


def _rank(rank: int, margin: float) -> str:
    outcome = "right" if rank == 1 else f"wrong, first right candidate at rank {rank}"
    return f"{outcome}, margin {signed(margin)}"


def _query_lines(detail: ItemDetail, label: str, width: int, glyphs: Glyphs) -> list[Content]:
    if not detail.tokens:
        title = Content.assemble(
            ("Query", "bold"), ("   attention on it was not saved by this run", "$foreground-muted")
        )
        return [title, *_indented(Content(detail.query), width)]
    special = sum(token.weight or 0.0 for token in detail.tokens if token.is_special)
    title = Content.assemble(
        ("Query", "bold"),
        (f"   attention of {label} shaded, heaviest in percent", "$foreground-muted"),
        (f"; both ends {100 * special:.0f}%" if special else "", "$foreground-muted"),
    )
    return [title, *token_lines([token for token in detail.tokens if not token.is_special], width)]


def token_lines(tokens: Sequence[Token], width: int) -> list[Content]:
    """A text wrapped at ``width``, its tokens shaded by weight, and under the heaviest their weight in percent."""
    indent, room = "  ", max(8, width - 2)
    weights = [token.weight for token in tokens if token.weight is not None]
    greatest = max(weights, default=0.0) or 1.0
    written = set(sorted(range(len(tokens)), key=lambda at: -(tokens[at].weight or 0.0))[:HEAVIEST])
    lines: list[Content] = []
    text, below, used, labelled = Content(indent), "", 0, 0

    def end_line() -> None:
        lines.append(text)
        if below.strip():
            lines.append(Content.styled(indent + below, "$foreground-muted"))

    for at, token in enumerate(tokens):
        for part in _pieces(token.text, room):
            piece, size = part, cell_len(part)
            if used + size > room and used:
                end_line()
                text, below, used, labelled = Content(indent), "", 0, 0
                piece = piece.lstrip(" ") if token.weight is None else piece
                size = cell_len(piece)
            style = f"on $accent {100 * _DARKEST * token.weight / greatest:.0f}%" if token.weight else ""
            text += Content.styled(piece, style) if style else Content(piece)
            share = f"{100 * (token.weight or 0.0):.0f}%"
            if at in written and token.weight and labelled <= used:
                below = below.ljust(used) + share
                labelled = len(below) + 1
                written.discard(at)
            used += size
    end_line()
    return lines


def _pieces(text: str, room: int) -> list[str]:
    """``text`` in pieces that fit a line; what stands between tokens may be broken at any of its spaces."""
    words = text.replace(" ", " \0").split("\0") if " " in text.strip() else [text]
    return [word[start : start + room] for word in words for start in range(0, max(1, len(word)), room)]


def _candidate_lines(candidates: Sequence[Candidate], label: str, width: int, glyphs: Glyphs) -> list[Content]:
    """A table of the candidates, each text wrapped beside its cosines."""
    label = label if len(label) <= 12 else f"{label[:11]}…"
    header = f"  {'':<7}{'chosen by':<17}{label:>12}  {'pooling':>7}  candidate"
    lines = [
        Content.assemble(("Candidates, by cosine with the query", "bold")),
        Content.styled(header, "$foreground-muted"),
    ]
    for one in candidates:
        choosers = [
            name for name, is_choice in (("run", one.is_chosen), ("pooling", one.is_mean_pool_choice)) if is_choice
        ]
        cursor = glyphs.cursor if one.is_chosen else " "
        pooled = "-" if one.mean_pool_similarity is None else f"{one.mean_pool_similarity:.3f}"
        head = Content.assemble(
            (f"{cursor} ", "bold"),
            (
                f"{'right' if one.is_right else 'wrong':<7}",
                "bold $text-success" if one.is_right else "$foreground-muted",
            ),
            f"{' and '.join(choosers):<17}{one.similarity:>12.3f}  {pooled:>7}  ",
        )
        is_known = one.text is not None
        style = ("$text-success" if one.is_right else "$text-error" if one.is_chosen else "") if is_known else "italic"
        text = Content.styled(one.text if one.text is not None else "text not saved by this run", style)
        room = max(16, width - head.cell_length)
        first, *more = text.wrap(room) or [Content("")]
        lines += [head + first, *(Content(" " * head.cell_length) + line for line in more)]
    return lines


def _indented(text: Content, width: int) -> list[Content]:
    return [Content("  ") + line for line in text.wrap(max(8, width - 2))]
