"""What a launch asks of the host."""

from __future__ import annotations

import pytest

from console.hosts.host_config import HostConfig
from console.hosts.remote.launch_request import launch_request
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve
from engine.contract.toml_file import find_config


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HostConfig("x", "ssh"), {"device": "auto", "occupied": "wait"}),
        (HostConfig("x", "ssh", device="cuda", occupied_gpu="share"), {"device": "cuda", "occupied": "share"}),
        (HostConfig("x", "ssh", device="cpu"), None),
        (HostConfig("x", "slurm"), None),
    ],
)
def test_a_run_is_bound_to_a_gpu_unless_it_uses_the_cpu_or_slurm_chooses(
    host: HostConfig, expected: dict[str, str] | None
) -> None:
    settings = resolve(read_experiment(find_config("scaling.toml")), "smoke", RunId("A", 42))
    assert launch_request(host, ("python3",), settings, "folder", "", "k", strict=False).get("gpu") == expected
