"""The host's clock is off by a day, and jumps: order and states do not depend on it."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.console.hosts.conftest import Host, launch, states_when

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

CLOCK = ("LD_PRELOAD", "FAKETIME")
CODE = "import time; open('order', 'a').write('RUN '); open('clocks', 'a').write(f'{time.time()} ')"


@pytest.mark.skipif(FAKETIME is None, reason="needs libfaketime (Debian: faketime)")
@pytest.mark.fault("clock off by a day", "order and state unaffected")
async def test_order_and_states_do_not_depend_on_the_clock(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    # the monotonic clock is moved, too: with it left alone, libfaketime makes every time.sleep of Python 3.11 an error
    runs = []
    host.config = replace(host.config, environment=CLOCK)
    # the links stay open: what the processes of one share by libfaketime goes with its host, and a job that begins in
    # that moment would fail
    async with AsyncExitStack() as links:
        for number, offset in enumerate(("+1d", "-1d", "+0")):
            with monkeypatch.context() as clock:
                clock.setenv("LD_PRELOAD", str(FAKETIME))
                clock.setenv("FAKETIME", offset)
                _, link = await links.enter_async_context(host.open_connection())
            for half in range(2):
                run = f"A_seed{10 * (5 - number) + half}"  # by name they would sort the other way round
                await launch(link, run, CODE.replace("RUN", run), environment=CLOCK)
                runs.append(run)
        _, link = await links.enter_async_context(host.open_connection())
        states = await states_when(
            link, lambda states: all(one["state"] not in ("queued", "running") for one in states.values())
        )
    assert {one["state"] for one in states.values()} == {"finished"}, states
    assert (host.workspace / "order").read_text().split() == runs
    clocks = [float(clock) for clock in (host.workspace / "clocks").read_text().split()]
    assert clocks[0] - time.time() > 80_000 and clocks[2] - time.time() < -80_000, "the clocks were off indeed"
    manifest = json.loads((host.run_folder / runs[0] / "manifest.json").read_text())
    assert manifest["key"] == states[runs[0]]["key"]
