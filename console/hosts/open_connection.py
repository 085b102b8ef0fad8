"""The one door to hosts: a verified SSH connection, whatever launches jobs behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_ssh
from console.hosts.ssh.embedded_host import open_embedded
from console.hosts.ssh.route import Resolved


@asynccontextmanager
async def open_connection(
    host: HostConfig,
    workspace: Path,
    access: Access | None = None,
    report: Callable[[Resolved], None] = lambda resolved: None,
) -> AsyncIterator[HostConnection]:
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
        async with open_embedded(host, workspace, access.timeouts) as connection:
            yield connection
    else:
        async with open_ssh(host, access, report) as connection:
            yield connection
