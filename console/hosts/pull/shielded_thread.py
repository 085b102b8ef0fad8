"""Work in a thread that is never left behind: who is cancelled while it goes on waits for its end first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def shielded_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """``work`` in a thread. For what holds a lock or moves files: both must be over before anybody else goes on."""
    task = asyncio.create_task(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait({task})
