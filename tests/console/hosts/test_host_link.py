"""The link to a host: what a lost connection leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.ssh.errors import LinkDown
from engine.contract.settings import RunId


async def test_a_lost_link_leaves_no_cancellation_that_later_timeouts_would_take_for_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> None:
        await asyncio.sleep(0)
        raise LinkDown("cut")

    async def waits(*_: Any) -> None:
        await asyncio.Event().wait()

    host = HostConfig(title="a host", launcher="ssh", address="127.0.0.1")
    link = HostLink(
        "host",
        host,
        "folder",
        tmp_path,
        (RunId("A", 42),),
        wants_lease=False,
        take_over=False,
        on_change=lambda: None,
        syncs_runs=False,
    )
    monkeypatch.setattr(link, "_poll", lost)
    monkeypatch.setattr(link, "_refresh_facts", waits)
    with pytest.raises(LinkDown, match="cut"):
        await link._follow(None, None)  # type: ignore[arg-type]
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
