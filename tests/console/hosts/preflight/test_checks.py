"""The preflight checklist, from findings on a host."""

from __future__ import annotations

import msgspec
import pytest

from console.hosts.host_config import HostConfig, SlurmSettings
from console.hosts.preflight.checks import (
    GIB,
    UV_MACHINES,
    Check,
    Environment,
    Findings,
    GpuUser,
    PreflightFacts,
    checklist,
    worst_status,
)
from console.hosts.remote.uv import WHEELS
from console.runs.host_facts import Gpu, HostFacts

RAMP = HostConfig("RAMP", "ssh", address="ramp", workspace="/w", gpu_memory_gib=48)
FACTS = HostFacts(
    "ramp",
    "Linux",
    8,
    0.1,
    64 * GIB,
    60 * GIB,
    500 * GIB,
    400 * GIB,
    "3.11.2",
    "/w",
    (Gpu("L40S", 46068, 1, 0, "550"),),
)
PREFLIGHT_FACTS = PreflightFacts(0.0, "root", "3.11.2", "x86_64", True, (), True, True)
READY = Environment("ready", python="/w/env/x/bin/python", check_error="")
GOOD = Findings("root at ramp:22", "SHA256:x", FACTS, PREFLIGHT_FACTS, READY, 0.1, 0.02)


def checks_of(found: Findings, host: HostConfig = RAMP) -> dict[str, Check]:
    return {check.name: check for check in checklist(found, host, runs=9)}


def with_facts(**changes: object) -> Findings:
    return msgspec.structs.replace(GOOD, facts=msgspec.structs.replace(FACTS, **changes))


def with_preflight_facts(environment: Environment = READY, **changes: object) -> Findings:
    preflight_facts = msgspec.structs.replace(PREFLIGHT_FACTS, **changes)
    return msgspec.structs.replace(GOOD, preflight_facts=preflight_facts, environment=environment)


def test_a_good_host_is_all_ok() -> None:
    checks = checklist(GOOD, RAMP, runs=9)
    assert worst_status(checks) == "ok", [check for check in checks if check.status != "ok"]


@pytest.mark.parametrize(
    ("found", "name", "status", "text"),
    [
        (with_facts(gpus=(), gpu_note="Driver/library version mismatch"), "GPU", "blocker", "mismatch"),
        (with_facts(gpus=(Gpu("A10", 23028, 1, 0, "550"),)), "GPU", "warning", "22 GiB"),
        (with_facts(gpus=(Gpu("X", None, None, None, "550"),)), "GPU", "warning", "memory unknown"),
        (
            with_preflight_facts(gpu_users=(GpuUser(7, "other", None),)),
            "GPU users",
            "warning",
            "other (7, memory unknown)",
        ),
        (with_facts(memory_available=2 * GIB), "processors and memory", "warning", "2 of 64 GiB"),
        (with_facts(disk_free=GIB), "disk", "blocker", "1.0 of 500 GiB"),
        (with_preflight_facts(writable=False), "disk", "blocker", "400.0"),
        (with_preflight_facts(environment=Environment("none"), python="3.9.2"), "Python", "blocker", "3.9.2"),
        (with_preflight_facts(environment=Environment("none"), python="3.10.1"), "Python", "blocker", "3.10.1"),
        (with_preflight_facts(environment=Environment("none"), has_venv=False), "Python", "blocker", "without venv"),
        (msgspec.structs.replace(GOOD, environment=Environment("none")), "engine", "blocker", "not installed"),
        (
            msgspec.structs.replace(GOOD, environment=Environment("failed", error="no disk")),
            "engine",
            "blocker",
            "no disk",
        ),
        (msgspec.structs.replace(GOOD, clock_offset=-86400.0), "clock", "warning", "-86400.0 s"),
        (with_preflight_facts(survives=False), "runs survive logout", "blocker", "systemd"),
        (with_preflight_facts(survives=None), "runs survive logout", "warning", "does not say"),
    ],
)
def test_each_problem_is_found_with_advice(found: Findings, name: str, status: str, text: str) -> None:
    check = checks_of(found)[name]
    assert check.status == status and text in check.found and check.advice


OLD = with_preflight_facts(python="3.8.10")


def test_a_python_too_old_for_the_engine_can_be_mended_by_uv_or_by_the_setting() -> None:
    old = msgspec.structs.replace(OLD, environment=Environment("none"))
    check = checks_of(old)["Python"]
    assert (check.status, check.found, check.repair) == ("blocker", "3.8.10", "environment")
    assert "uv" in check.advice and "`python` in hosts.toml" in check.advice
    other = msgspec.structs.replace(old.preflight_facts, machine="ppc64le")
    check = checks_of(msgspec.structs.replace(old, preflight_facts=other))["Python"]
    assert check.repair is None and "`python` in hosts.toml" in check.advice and "uv" not in check.advice


def test_an_old_python_is_no_problem_once_the_engine_has_its_own() -> None:
    ready = msgspec.structs.replace(READY, version="3.13.18")
    check = checks_of(msgspec.structs.replace(OLD, environment=ready))["Python"]
    assert (check.status, check.found) == ("ok", "3.8.10; the engine has its own, 3.13.18")


def test_uv_is_offered_where_the_console_has_a_wheel_of_it() -> None:
    assert set(UV_MACHINES) == set(WHEELS)


PROMISED = msgspec.structs.replace(RAMP, cpus=8, memory_gib=64, disk_gib=500)


@pytest.mark.parametrize(
    ("facts", "name", "advice"),
    [
        ({"cpus": 7}, "processors and memory", "hosts.toml expects 8 processors."),
        ({"memory_total": 57 * GIB}, "processors and memory", "hosts.toml expects 64 GiB memory."),
        ({"disk_total": 449 * GIB}, "disk", "hosts.toml expects 500 GiB disk."),
        ({"gpus": (Gpu("A10", 44_000, 1, 0, "550"),)}, "GPU", "hosts.toml expects 48 GiB memory."),
    ],
)
def test_a_host_with_less_than_its_entry_promises_is_warned_of(
    facts: dict[str, object], name: str, advice: str
) -> None:
    check = checks_of(with_facts(**facts), PROMISED)[name]
    assert (check.status, check.advice) == ("warning", advice)


def test_what_sellers_and_kernels_take_of_a_promised_size_is_no_fault() -> None:
    sold = with_facts(
        memory_total=int(64e9 * 0.97), disk_total=int(500e9 * 0.97), gpus=(Gpu("L40S", 45_000, 1, 0, "5"),)
    )
    checks = checklist(sold, PROMISED, runs=9)
    assert worst_status(checks) == "ok", [check for check in checks if check.status != "ok"]


def test_a_full_disk_goes_before_a_small_one() -> None:
    check = checks_of(with_facts(disk_total=400 * GIB, disk_free=GIB), PROMISED)["disk"]
    assert check.status == "blocker" and "Free some space" in check.advice


def test_a_login_node_promises_nothing_of_the_nodes() -> None:
    slurm = msgspec.structs.replace(PROMISED, launcher="slurm")
    assert checks_of(with_facts(cpus=2, memory_total=8 * GIB), slurm)["processors and memory"].status == "ok"


@pytest.mark.parametrize(
    ("slots", "text"),
    [
        (2, "2 GPUs for 2 runs at a time: each has its own"),
        (3, "2 GPUs for 3 runs at a time: up to 2 share one"),
        (1, "2 GPUs for 1 run at a time: each has its own"),
    ],
)
def test_how_runs_share_the_gpus_is_said(slots: int, text: str) -> None:
    found = with_facts(gpus=(Gpu("L40S", 46068, 1, 0, "550"),) * 2)
    assert checks_of(found, msgspec.structs.replace(RAMP, slots=slots))["GPUs of runs"].found == text
    assert "GPUs of runs" not in checks_of(GOOD)


@pytest.mark.parametrize(("policy", "text"), [("wait", "runs wait"), ("refuse", "fail at once"), ("share", "slower")])
def test_what_others_on_a_gpu_mean_for_runs_is_as_the_entry_says(policy: str, text: str) -> None:
    found = with_preflight_facts(gpu_users=(GpuUser(7, "other", None),))
    assert text in checks_of(found, msgspec.structs.replace(RAMP, occupied_gpu=policy))["GPU users"].advice


def test_a_slow_link_is_no_clock_problem() -> None:
    slow = msgspec.structs.replace(GOOD, clock_offset=2.5, round_trip=2.0)
    assert checks_of(slow)["clock"].status == "ok"


def test_no_gpu_is_fine_if_none_is_expected() -> None:
    host = msgspec.structs.replace(RAMP, gpu_memory_gib=None)
    assert checks_of(with_facts(gpus=(), gpu_note="none"), host)["GPU"].status == "ok"
    assert checks_of(with_facts(gpus=()), msgspec.structs.replace(host, device="cuda"))["GPU"].status == "blocker"


@pytest.mark.parametrize(("slurm", "status"), [(SlurmSettings(gres="gpu:1"), "ok"), (None, "warning")])
def test_a_login_node_of_slurm_needs_no_gpu(slurm: SlurmSettings | None, status: str) -> None:
    host = msgspec.structs.replace(RAMP, launcher="slurm", device="cuda", slurm=slurm)
    check = checks_of(with_facts(gpus=(), gpu_note="no nvidia-smi"), host)["GPU"]
    assert check.status == status and ("gres" in check.advice) == (status == "warning")


def test_a_torch_that_cannot_use_the_gpu_is_told() -> None:
    found = msgspec.structs.replace(GOOD, environment=msgspec.structs.replace(READY, device_error="built without CUDA"))
    check = checks_of(found)["engine"]
    assert (check.status, check.found) == ("warning", "built without CUDA") and "processors" in check.advice
    assert checks_of(found, msgspec.structs.replace(RAMP, device="cuda"))["engine"].status == "blocker"


def test_an_environment_not_yet_installed_counts_for_the_disk() -> None:
    found = with_facts(disk_free=5 * GIB)
    assert checks_of(found)["disk"].status == "ok"
    assert checks_of(msgspec.structs.replace(found, environment=Environment("none")))["disk"].status == "blocker"


def test_a_missing_wordnet_offers_to_fetch_it() -> None:
    found = msgspec.structs.replace(GOOD, environment=Environment("ready", check_error="WordNet 3.0 was not found"))
    assert checks_of(found)["engine"].repair == "wordnet"
