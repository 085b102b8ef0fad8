"""View 5 as a user works with it: true totals, filters, facets, fixed and broken, order, one item in full."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from console.runs.snapshot import SyncState
from console.ui.items.filter_dialog import FilterDialog
from console.ui.items.item_list import ItemList
from engine.contract.items import ItemRow
from engine.contract.settings import RunId
from tests.console.ui.driving import HOSTILE, LARGE, SIZES, SMALL, console, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished, item

SEEDS = (42, 123, 456)
FACET_ORDER = ("kind", "tier", "reason", "pos", "class", "wrong")
# ranks by condition and item, one a seed
RANKS = {
    "A": {"bank": (1, 1, 1), "spring": (1, 1, 2), "march": (2, 2, 2), "bat": (2, 2, 1)},
    "B": {"bank": (2, 2, 2), "spring": (1, 1, 1), "march": (1, 1, 1), "bat": (1, 2, 1)},
    "C": {"bank": (1, 1, 1), "spring": (2, 2, 2), "march": (2, 3, 2), "bat": (1, 1, 1)},
}


def rows_of(condition: str, seed: int) -> list[ItemRow]:
    """Three retrieval items and a coherence step, ``bat``."""
    rows = [item(f"id of {lemma}", lemma, ranks[seed]) for lemma, ranks in RANKS[condition].items()]
    rows[2] = rows[2]._replace(tier="tier3_adversarial", pos="verb")
    rows[3] = rows[3]._replace(kind="coherence", tier="", reason="", item_class="informative")
    return rows


def session_with_items() -> FakeSession:
    session = FakeSession()
    for condition in RANKS:
        for at, seed in enumerate(SEEDS):
            run = RunId(condition, seed)
            session.item_rows[run] = rows_of(condition, at)
            session.show(finished(run))
    return session


def lemmas(text: str) -> list[str]:
    """The lemmas of the rows on the screen, in order."""
    starts = (line[2:].split(" ")[0] for line in text.splitlines()[5:])
    return [word for word in starts if word in RANKS["A"]]


async def open_filters(pilot: Pilot[None]) -> None:
    await pilot.press("5")
    await until_shown(pilot, "F kind any")
    await pilot.press("F")
    await until_shown(pilot, "Only items of", "wrong in", "< any >")


@SIZES
async def test_every_item_is_counted_and_its_outcome_shown_by_condition(size: tuple[int, int]) -> None:
    async with console(session_with_items(), size) as pilot:
        await pilot.press("5")
        text = await until_shown(pilot, "showing 4 of 4 items", "● all ◐ most ◔ few ○ no seed right", "tier any")
        assert lemmas(text) == ["march", "spring", "bat", "bank"]  # most failures first
        rows = {line[2:].split(" ")[0]: line for line in text.splitlines()}
        assert "○ ● ○     6/9  -0.090" in rows["march"] and "● ○ ●     3/9" in rows["bank"]
        assert "◔ ◐ ●     3/9" in rows["bat"] and "coherence" in rows["bat"] and "◐ ● ○" in rows["spring"]
        assert "6 of 9 runs wrong" in text and "The march was steep and muddy." in text
        assert "A ○ 0/3" in text and "within_lemma_collision" in text


async def test_fixed_and_broken_items_of_each_pair() -> None:
    async with console(session_with_items(), LARGE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "fixed by B over A 2  broken 1   by majority (by margin 2, 1)")
        await pilot.press("d")
        text = await until_shown(pilot, "[fixed by B over A 2]", "showing 2 of 4", "B-A▼")
        assert lemmas(text) == ["march", "bat"]
        await pilot.press("d")
        assert lemmas(await until_shown(pilot, "[broken 1]", "showing 1 of 4")) == ["bank"]
        await pilot.press("right_square_bracket")
        assert lemmas(await until_shown(pilot, "fixed by C over B 1", "[broken 2]")) == ["march", "spring"]
        await pilot.press("left_square_bracket", "d", "d", "F", "up", "right", "enter")
        assert lemmas(await until_shown(pilot, "[fixed by B over A 2]", "by margin (by majority 2, 1)")) == [
            "march",
            "spring",
        ]
        await pilot.press("escape")
        await until_shown(pilot, "showing 4 of 4", "failed▼")


async def test_a_text_filters_as_it_is_typed_and_escape_shows_all() -> None:
    async with console(session_with_items()) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "4 of 4")
        await pilot.press("slash", *"BA")
        assert lemmas(await until_shown(pilot, "showing 2 of 4 items  filter BA")) == ["bat", "bank"]
        await pilot.press("space", "exclamation_mark", *"bank", "enter")
        assert lemmas(await until_shown(pilot, "showing 1 of 4", "BA !bank")) == ["bat"]
        await pilot.press("down", "slash", "x")
        await until_shown(pilot, "showing 0 of 4", "No item passes the filters; Esc removes them.")
        await pilot.press("enter", "enter", "down", "o", "O")  # nothing to open or to order
        await pilot.press("escape")
        await until_shown(pilot, "showing 4 of 4")


async def test_filters_go_through_the_values_that_there_are_and_the_table_follows() -> None:
    async with console(session_with_items(), LARGE) as pilot:
        await open_filters(pilot)
        for keys, facet, shown in (
            (["right"], "kind retrieval", ["march", "spring", "bank"]),
            (["right"], "kind coherence", ["bat"]),
            (["delete", "down", "left"], "tier tier3_adversarial", ["march"]),
            (["delete", "down", "right"], "reason within_lemma_collision", ["march", "spring", "bank"]),
            (["delete", "down", "right", "right"], "pos verb", ["march"]),
            (["delete", "down", "right", "right"], "class informative", ["bat"]),
            (["delete", "down", "right"], "wrong in some run", ["march", "spring", "bank", "bat"]),
            (["right"], "wrong in A", ["march", "bat"]),
            (["delete"], "wrong in any", ["march", "spring", "bank", "bat"]),
        ):
            await pilot.press(*keys, "escape")
            assert sorted(lemmas(await until_shown(pilot, facet))) == sorted(shown), facet
            await pilot.press("F", *["down"] * FACET_ORDER.index(facet.split()[0]))
            await until_shown(pilot, "Only items of")


async def test_a_click_selects_a_filter_then_changes_it_and_one_outside_closes_the_dialog() -> None:
    async with console(session_with_items(), LARGE) as pilot:
        await open_filters(pilot)
        await pilot.click("#filter-lines", offset=(3, 5))
        await until_shown(pilot, "> wrong in")
        await pilot.click("#filter-lines", offset=(3, 5))
        await until_shown(pilot, "< some run >")
        await pilot.click(offset=(0, 0))
        await until_shown(pilot, "wrong in some run", "showing 4 of 4")
        assert not isinstance(pilot.app.screen, FilterDialog)


async def test_items_are_ordered_by_any_column_and_the_cursor_stays_with_its_item() -> None:
    async with console(session_with_items(), LARGE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "failed▼")
        await pilot.press("down")
        await until_shown(pilot, "▸ spring")
        await pilot.press("o")
        assert lemmas(await until_shown(pilot, "margin▲", "▸ spring"))[0] == "march"
        orders = []
        for _ in range(8):
            await pilot.press("o")
            orders.append(lemmas(await until_shown(pilot, "▸ spring")))
        assert ["bank", "bat", "march", "spring"] in orders and ["march", "bat", "spring", "bank"] in orders
        items = pilot.app.screen.query_one(ItemList)
        await pilot.click(ItemList, offset=(3, 0))
        await until_shown(pilot, "lemma▲")
        await pilot.click(ItemList, offset=(3, 0))
        assert lemmas(await until_shown(pilot, "lemma▼")) == ["spring", "march", "bat", "bank"]
        await pilot.click(ItemList, offset=(3, 2))
        await until(pilot, lambda: items.cursor == 1)


@SIZES
async def test_an_item_in_full_under_each_run(size: tuple[int, int]) -> None:
    session = session_with_items()
    async with console(session, size) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "▸ march")
        await pilot.press("enter")
        text = await until_shown(
            pilot, "Item 1 of 4", "run 1 of 9", "wrong, first right candidate at rank 2, margin -0.170"
        )
        assert "A ○ 0/3" in text and "They sat on the march of the river." in text
        query, shares = text.splitlines()[
            (at := next(at for at, line in enumerate(text.splitlines()) if "They sat" in line)) : at + 2
        ]
        assert shares.index("40%") == query.index("river") and shares.index("25%") == query.index("march")
        candidates = [line for line in text.splitlines() if "0.550" in line or "0.410" in line or "0.380" in line]
        assert "▸ wrong  run" in candidates[0] and "The march raised" in candidates[0]
        assert "wrong  pooling" in candidates[1] and "0.700" in candidates[1]
        assert "right" in candidates[2] and "0.300  The march was steep" in candidates[2]
        await pilot.press(*["right_square_bracket"] * 3)
        await until_shown(pilot, "B/42", "run 4 of 9", "▸ right  run")
        await pilot.press("right")
        await until_shown(pilot, "Item 2 of 4", "spring", "B/42")
        assert session.details[-1] == (RunId("B", 42), "retrieval", "id of spring")
        await pilot.press("escape")
        await until_shown(pilot, "▸ spring")


async def test_an_item_that_cannot_be_read_says_why_and_an_older_run_what_it_lacks() -> None:
    session = session_with_items()
    lacking: dict[str, Any] = {"candidate_texts": [], "query_tokens": [], "query_weights": []}
    session.item_rows[RunId("A", 42)] = [row._replace(**lacking) for row in rows_of("A", 0)]
    session.item_rows[RunId("A", 123)] = [row._replace(similarities=[0.5]) for row in rows_of("A", 1)]
    async with console(session, LARGE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "▸ march")
        await pilot.press("enter")
        text = await until_shown(pilot, "attention on it was not saved by this run", "text not saved by this run")
        assert "The march raised its rates." in text and "The march was steep and muddy." in text
        await pilot.press("right_square_bracket")
        await until_shown(pilot, "It cannot be shown: ", "its candidates contradict each other")


async def test_hostile_texts_of_an_item_are_shown_as_they_are() -> None:
    session, hostile = FakeSession(), f"{HOSTILE}\x1b[31mred\x9b2J\u202e"
    row = item("id", hostile, 2, query_tokens=["<start>", "[bold", "\x1b[31mred", "<end>"], query_weights=[0.25] * 4)
    session.item_rows = {RunId("A", 42): [row._replace(query=f"on {HOSTILE} \x1b[31mred")]}
    async with console(session, LARGE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, f"Query        on {HOSTILE} red")
        await pilot.press("enter")
        text = await until_shown(pilot, f"on {HOSTILE} red", f"A {HOSTILE}red holiday.", "25%")
        assert not any(char in text for char in "\x1b\x9b\u202e")


async def test_the_key_for_signs_turns_to_ascii_and_back() -> None:
    async with console(session_with_items()) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "● all")
        await pilot.press("G", "G")
        text = await until_shown(pilot, "# all + most - few . no seed right", "> march", "failedv")
        row = next(line for line in text.splitlines() if line.startswith("> march"))
        assert ". # .     6/9" in row and row.isascii()
        await pilot.press("G")
        await until_shown(pilot, "● all")


async def test_new_items_keep_filter_order_and_cursor() -> None:
    session = session_with_items()
    async with console(session) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "4 of 4")
        await pilot.press("F", "right", "enter")
        await until_shown(pilot, "showing 3 of 4")
        await pilot.press("o", "down")
        await until_shown(pilot, "showing 3 of 4", "margin▲")
        before = pilot.app.screen.query_one("#item-text", Static).render()
        for run, rows in session.item_rows.items():
            session.item_rows[run] = [item("id of new", "aaa", 2), *rows]
        session.show(sync_states={RunId("A", 42): SyncState("synced", 9, 9, 1, 1)})
        await until_shown(pilot, "showing 4 of 5", "kind retrieval", "margin▲")
        assert str(pilot.app.screen.query_one("#item-text", Static).render()) == str(before)


@pytest.mark.parametrize("size", [(20, 6), (1, 1), SMALL])
async def test_a_hundred_conditions_at_any_size(size: tuple[int, int]) -> None:
    session = FakeSession()
    names = [f"condition{number:03d}" for number in range(100)]
    session.item_rows = {
        RunId(name, 42): [item(f"i{at}", f"lemma{at}", 1 + at % 2) for at in range(40)] for name in names
    }
    session.show(finished(RunId("A", 42)))
    async with console(session, size) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: any(len(items.rows) == 40 for items in pilot.app.screen.query(ItemList)))
        await pilot.press("end", "right", "right", "d", "d", "o", "left", "pagedown", "home")
        if size == SMALL:
            text = await until_shown(pilot, "cond… cond… cond…")
            assert "lemma1 " in text
            await pilot.press("enter")
            await until_shown(pilot, "condition000/42")
            await pilot.press("escape")
