"""The sync plan is a function of the files at both ends."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.file_index import Entry, FileIndex
from console.hosts.transfer.errors import TooManyDeletions
from console.hosts.transfer.plan import DeletionCap, clashes, parse_deletion_cap, plan_sync
from engine.contract.bad_input import BadInput


def entry(path: str, content: str = "") -> Entry:
    return Entry(path, len(content), hashlib.sha256(content.encode()).hexdigest(), False)


def file_index(*entries: Entry, refused: tuple[tuple[str, str], ...] = ()) -> FileIndex:
    return FileIndex(sorted(entries), list(refused))


FOLDERS = st.dictionaries(st.sampled_from(["a", "b", "c", "d/e", "d/f", "g/h/i"]), st.sampled_from(["", "x", "yy"]))


@given(FOLDERS, FOLDERS, st.booleans())
def test_an_executed_plan_leaves_nothing_to_do(source: dict[str, str], target: dict[str, str], delete: bool) -> None:
    local, remote = ({path: entry(path, text) for path, text in files.items()} for files in (source, target))
    plan = plan_sync(file_index(*local.values()), file_index(*remote.values()), delete=delete)
    for removed in plan.remove:
        del remote[removed.path]
    remote |= {entry.path: entry for entry in plan.transfer}
    again = plan_sync(file_index(*local.values()), file_index(*remote.values()), delete=delete)
    assert not again.transfer and not again.remove
    assert set(plan.syncable) == set(local.values())
    assert delete or set(target) <= set(remote)
    assert not delete or set(remote) == set(local)


@given(FOLDERS)
def test_equal_folders_transfer_nothing(files: dict[str, str]) -> None:
    both = file_index(*(entry(path, text) for path, text in files.items()))
    plan = plan_sync(both, both, delete=True)
    assert not plan.transfer and not plan.remove and not plan.refused


def test_a_changed_mode_alone_transfers_the_file() -> None:
    plan = plan_sync(file_index(entry("run.sh")._replace(executable=True)), file_index(entry("run.sh")))
    assert [entry.path for entry in plan.transfer] == ["run.sh"]


def test_unsafe_names_are_refused() -> None:
    plan = plan_sync(file_index(entry("../x"), entry("a"), entry("/b"), entry("c\u202e")), file_index())
    assert [entry.path for entry in plan.transfer] == ["a"] and len(plan.refused) == 3
    assert all(refusal.path.isprintable() for refusal in plan.refused)


def test_a_clash_of_case_is_refused_and_deletes_nothing() -> None:
    plan = plan_sync(file_index(entry("A"), entry("a")), file_index(entry("a", "old")), delete=True)
    assert not plan.transfer and not plan.remove and len(plan.refused) == 2


@pytest.mark.parametrize(
    ("source", "target", "refused"),
    [
        ("a/b", file_index(entry("a")), "target's a is not a folder: a file"),
        ("a", file_index(entry("a/b")), "not a regular file: a folder"),
        ("a/b", file_index(refused=(("a", "it is a symlink"),)), "a symlink"),
        ("a", file_index(refused=(("a", "it is a symlink"),)), "symlink"),
    ],
)
def test_a_path_that_is_blocked_at_the_target_is_refused(source: str, target: FileIndex, refused: str) -> None:
    plan = plan_sync(file_index(entry(source)), target)
    assert not plan.transfer and refused in plan.refused[0].reason


def test_a_file_is_replaced_by_a_folder_only_if_deletions_are_requested() -> None:
    plan = plan_sync(file_index(entry("a/b")), file_index(entry("a")), delete=True)
    assert [removed.path for removed in plan.remove] == ["a"] and [entry.path for entry in plan.transfer] == ["a/b"]


def test_what_cannot_be_read_at_the_source_is_not_deleted_at_the_target() -> None:
    plan = plan_sync(
        file_index(refused=(("d", "it cannot be read"),)), file_index(entry("d/x"), entry("e")), delete=True
    )
    assert [removed.path for removed in plan.remove] == ["e"]


def test_deletions_are_capped_by_number_and_by_share() -> None:
    plan = plan_sync(file_index(), file_index(*(entry(str(number)) for number in range(10))), delete=True)
    DeletionCap(files=10).check(plan, 10)
    DeletionCap(share=1.0).check(plan, 10)
    for cap in (DeletionCap(files=9), DeletionCap(share=0.9), DeletionCap()):
        with pytest.raises(TooManyDeletions, match="10 of 10"):
            cap.check(plan, 10)


def test_a_cap_is_a_number_or_a_percentage() -> None:
    assert parse_deletion_cap("50") == DeletionCap(files=50) and parse_deletion_cap("10%") == DeletionCap(share=0.1)
    for text in ("", "%", "-1", "ten", "101%", "1.5"):
        with pytest.raises(BadInput):
            parse_deletion_cap(text)


def test_names_or_folders_that_differ_only_in_case_or_accents_clash() -> None:
    assert clashes(["a.txt", "A.txt", "b.txt"]) == {"a.txt", "A.txt"}
    assert clashes(["data/x", "Data/y", "other/x"]) == {"data/x", "Data/y"}
    assert clashes(["caf\u00e9", "cafe\u0301"]) == {"caf\u00e9", "cafe\u0301"}
    assert not clashes(["data/x", "data/y", "x"])
