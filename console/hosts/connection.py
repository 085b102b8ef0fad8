"""The one door to hosts: a verified SSH connection, whatever launches jobs behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from console.hosts.access import Access
from console.hosts.embedded_host import reach_embedded
from console.hosts.host_config import HostConfig
from console.hosts.link_down import LinkDown
from console.hosts.reached import Reached
from console.hosts.ssh_connection import reach_ssh
from console.hosts.ssh_route import Resolved

__all__ = ["LinkDown", "Reached", "Resolved", "reach"]


@asynccontextmanager
async def reach(
    host: HostConfig,
    workspace: Path,
    access: Access | None = None,
    report: Callable[[Resolved], None] = lambda resolved: None,
) -> AsyncIterator[Reached]:
    """Connect to ``host`` for the length of the block.

    Args:
        workspace: the embedded host's, unless ``host`` names one.
        access: with whose files, asking whom; the operator's files and nobody by default.
        report: told whom and what will be used, before it is.

    Raises:
        LinkDown: it cannot be reached, or it is not who it should be.
    """
    access = access or Access()
    if host.launcher == "embedded":
        async with reach_embedded(host, workspace, access.pace) as reached:
            yield reached
    else:
        async with reach_ssh(host, access, report) as reached:
            yield reached
