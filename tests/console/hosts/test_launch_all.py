"""Several launches in one request: in their order, each with an outcome of its own."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.conftest import FOLDER, Host, states_when

pytestmark = pytest.mark.every_host


def a_request(run: str) -> dict[str, Any]:
    argv = ["python3", "-c", f"open('order', 'a').write('{run} ')"]
    return {"key": uuid.uuid4().hex, "folder": FOLDER, "run": run, "argv": argv}


async def test_one_that_is_refused_does_not_keep_the_others_from_running_in_order(
    link: AgentClient, host: Host
) -> None:
    requests = [a_request(run) for run in ("B_seed2", "../B_seed1", "A_seed3", "A_seed1")]
    reply = await link.request("launch_all", requests=requests)
    first, second, *others = reply["outcomes"]
    launched = [(outcome["new"], outcome["key"], outcome["state"]) for outcome in (first, *others)]
    assert launched == [(True, requests[number]["key"], "queued") for number in (0, 2, 3)]
    assert list(second) == ["refused"] and "not a run name" in second["refused"]
    await states_when(link, lambda states: [state["state"] for state in states.values()] == ["finished"] * 3)
    assert (host.workspace / "order").read_text().split() == ["B_seed2", "A_seed3", "A_seed1"]


async def test_asked_again_nothing_is_launched_twice(link: AgentClient, host: Host) -> None:
    requests = [a_request(run) for run in ("A_seed1", "A_seed2")]
    await link.request("launch_all", requests=requests)
    reply = await link.request("launch_all", requests=requests)
    launched = [(outcome["new"], outcome["key"]) for outcome in reply["outcomes"]]
    assert launched == [(False, request["key"]) for request in requests]
    await states_when(link, lambda states: [state["state"] for state in states.values()] == ["finished"] * 2)
    assert sorted((host.workspace / "order").read_text().split()) == ["A_seed1", "A_seed2"]


async def test_nothing_asked_nothing_launched(link: AgentClient) -> None:
    assert await link.request("launch_all", requests=[]) == {"outcomes": []}
