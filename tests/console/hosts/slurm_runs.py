"""Launching and observing runs through Slurm in tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.conftest import FOLDER, Host, states_when
from tests.console.hosts.slurm import Slurm

WAIT_FOREVER = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(60)"
WAIT_FOR_GO_FILE = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)"
ONE_AT_A_TIME = {"gres": "gpu:2"}
State = dict[str, Any]


def python_job(run: str, code: str, **more: Any) -> dict[str, Any]:
    """A launch of Python ``code`` through Slurm; ``more`` overrides."""
    argv = ["python3", "-c", code, "{run}"]
    return {"key": uuid.uuid4().hex, "folder": FOLDER, "run": run, "argv": argv, "slurm": {}, **more}


async def launch(link: AgentClient, run: str, code: str, **more: Any) -> str:
    reply = await link.request("launch", **python_job(run, code, **more))
    assert reply["new"]
    return str(reply["key"])


async def state_when(link: AgentClient, run: str, condition: Callable[[State], bool], timeout: float = 30.0) -> State:
    """The state of ``run`` as soon as it fulfils ``condition``."""
    states = await states_when(link, lambda states: run in states and condition(states[run]), timeout)
    return dict(states[run])


def has_job(state: State) -> bool:
    return bool(state["state"] == "running" and state.get("job"))


async def until(condition: Callable[[], bool], timeout: float = 15.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)


def jobs_with_comment(slurm: Slurm, comment: str) -> list[tuple[str, str]]:
    """Id and state of every job with that comment."""
    return [(job, state) for job, state, its_comment in slurm.queue() if its_comment == comment]


def log_of(host: Host, run: str) -> str:
    """What the run printed so far."""
    path = host.run_folder / run / "log.txt"
    return path.read_text() if path.exists() else ""
