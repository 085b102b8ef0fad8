"""The operator's own SSH files, and ours beside them."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from platformdirs import user_config_path

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")


class SshFiles(Struct, frozen=True):
    """What a connection reads of the operator's, and the one file it writes.

    Attributes:
        config: as ``~/.ssh/config``; None for none.
        known_hosts: read only, unless the configuration names others.
        own_known_hosts: hosts whose key the operator consented to in this console; the only file written.
        keys: tried where neither the host nor the configuration names any.
        agent: the agent's socket; None for none.
    """

    own_known_hosts: Path
    config: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    agent: str | None = None


def operators_files() -> SshFiles:
    """The files of whoever runs the console."""
    folder = Path.home() / ".ssh"
    config = folder / "config"
    return SshFiles(
        own_known_hosts=user_config_path("qllm-console") / "known_hosts",
        config=config if config.is_file() else None,
        known_hosts=(folder / "known_hosts", Path("/etc/ssh/ssh_known_hosts")),
        keys=tuple(folder / name for name in DEFAULT_KEYS),
        agent=os.environ.get("SSH_AUTH_SOCK"),
    )
