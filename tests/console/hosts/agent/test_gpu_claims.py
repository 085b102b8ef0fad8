"""Two workspaces of one user on a host with GPUs: neither takes a GPU that a run of the other has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.hosts.agent import gpu_claims, gpu_slots
from console.hosts.agent.gpu_slots import GpuBusy, GpuRefused, GpuSlots
from console.hosts.agent.workspace import Workspace
from tests.console.hosts.agent.fake_nvidia_smi import FakeSmi, uuid
from tests.console.hosts.conftest import Host, in_state, launch, states_when

A, B = uuid("a"), uuid("b")
RUN = "import pathlib, time\nwhile not pathlib.Path('end').exists(): time.sleep(0.02)"


class Workspaces:
    """Choices of GPUs in workspaces of one user, each made as a supervisor makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, list[int]] = {}

    def choose(self, name: str, slot: int = 0, slots: int = 1, occupied: str = "wait") -> str:
        """The GPU for a run of the workspace ``name``, which has it from then on."""
        workspace = Workspace(self.folder / name)
        workspace.prepare()
        chooser = GpuSlots(workspace, {"device": "auto", "occupied": occupied}, slots, {})
        chooser.ask()
        self.held.setdefault(name, []).extend(chooser.take(slot))
        return chooser.environment["CUDA_VISIBLE_DEVICES"]

    def end_runs(self, name: str) -> None:
        while self.held.get(name):
            os.close(self.held[name].pop())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(gpu_claims, "PLACE", place)
    return place


@pytest.fixture
def both(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspaces]:
    """Workspaces on a host with two GPUs, on which no process is shown."""
    monkeypatch.setenv("PATH", str(FakeSmi(tmp_path / "bin", A, B).folder), prepend=":")
    workspaces = Workspaces(tmp_path)
    yield workspaces
    for name in workspaces.held:
        workspaces.end_runs(name)


def test_a_gpu_of_another_workspace_is_left_to_it_until_its_run_ends(both: Workspaces, tmp_path: Path) -> None:
    assert [both.choose("one"), both.choose("two")] == [A, B]
    with pytest.raises(GpuBusy) as raised:
        both.choose("three")
    owners = [
        f"GPU {number} (NVIDIA X) has a run of the workspace {tmp_path / name}"
        for number, name in ((0, "one"), (1, "two"))
    ]
    assert str(raised.value) == f"waits for a GPU: {'; '.join(owners)}"
    both.end_runs("two")
    assert both.choose("three") == B


def test_slots_that_share_a_gpu_do_not_share_it_with_another_workspace(both: Workspaces) -> None:
    assert both.choose("one") == A
    assert [both.choose("two", slot, slots=4) for slot in (1, 2)] == [B, B]
    with pytest.raises(GpuBusy, match=r"has a run of the workspace .*two"):
        both.choose("one", slot=1, slots=2)


def test_a_host_that_shares_its_gpus_shares_them_with_other_workspaces_too(both: Workspaces) -> None:
    assert [both.choose("one"), both.choose("two", occupied="share")] == [A, A]
    assert both.choose("three") == B, "and what shares it has it as well"


def test_a_run_that_is_not_to_wait_is_refused_a_gpu_of_another_workspace(
    both: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_slots, "SETTLE_S", 0.0)
    both.choose("one", slots=1)
    both.choose("two")
    with pytest.raises(GpuRefused, match=r"no GPU is free: GPU 0 .* has a run of the workspace"):
        both.choose("three", occupied="refuse")


def test_a_workspace_is_the_same_one_by_whatever_path(both: Workspaces, tmp_path: Path) -> None:
    assert [both.choose("one", slots=4), both.choose("two")] == [A, B]
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert both.choose("link", slots=4) == A


def test_both_that_take_a_gpu_at_the_same_moment_give_it_back(
    both: Workspaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's claim appears between the question and the own claim."""
    take = gpu_claims.GpuClaims.take

    def later(self: gpu_claims.GpuClaims, card: str) -> int | None:
        monkeypatch.setattr(gpu_claims.GpuClaims, "take", take)
        both.choose("two")
        return take(self, card)

    monkeypatch.setattr(gpu_claims.GpuClaims, "take", later)
    with pytest.raises(GpuBusy, match=r"has a run of the workspace .*two"):
        both.choose("one")
    assert both.choose("one") == B


def unsafe_link(folder: Path) -> None:
    folder.symlink_to(folder.parent.parent)


def unsafe_mode(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def no_folder(folder: Path) -> None:
    folder.touch()


@pytest.mark.parametrize("make", [unsafe_link, unsafe_mode, no_folder])
def test_a_folder_that_somebody_else_made_is_not_used_and_keeps_no_run(
    both: Workspaces, place: Path, make: Callable[[Path], None]
) -> None:
    folder = place / f"qllm-gpus-{os.geteuid()}"
    make(folder)
    before = sorted(place.parent.iterdir())
    assert [both.choose("one"), both.choose("two")] == [A, A]
    assert not folder.is_dir() or folder.is_symlink() or not list(folder.iterdir())
    assert set(place.parent.iterdir()) - set(before) == {place.parent / "one", place.parent / "two"}


def test_claims_of_workspaces_that_were_deleted_are_tidied_up_whichever_gpu_they_are_on(
    both: Workspaces, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.choose("one")
    (folder,) = place.iterdir()
    assert len(list(folder.iterdir())) == 1 and not folder.stat().st_mode & 0o077
    both.end_runs("one")
    (tmp_path / "one").rename(tmp_path / "moved")
    monkeypatch.setenv("PATH", str(FakeSmi(tmp_path / "other", B).folder), prepend=":")
    both.choose("two")
    assert [path.read_text() for path in folder.iterdir()] == [str(tmp_path / "two")]


async def test_a_run_waits_for_one_in_another_workspace_that_is_not_on_the_gpu_yet(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(FakeSmi(tmp_path / "bin", A).folder), prepend=":")
    wanted = {"device": "auto", "occupied": "wait"}
    other = Host(tmp_path / "other")
    async with host.open_connection() as (_, link), other.open_connection() as (_, other_link):
        await launch(link, "A_seed1", RUN, gpu=wanted)
        await states_when(link, in_state("A_seed1", "running"))
        await launch(other_link, "A_seed1", RUN, gpu=wanted)
        states = await states_when(other_link, lambda states: "GPU" in states.get("A_seed1", {}).get("reason", ""))
        assert states["A_seed1"]["reason"].endswith(f"has a run of the workspace {host.workspace}")
        assert {str(host.workspace)} <= {path.read_text() for path in gpu_claims.PLACE.glob("*/*.*.0")}
        assert Path("/tmp") != gpu_claims.PLACE  # noqa: S108 - where the developer's own runs have theirs
        (host.workspace / "end").touch()
        await states_when(other_link, in_state("A_seed1", "running"))
        (other.workspace / "end").touch()
        await states_when(other_link, in_state("A_seed1", "finished"))
