"""The way to a host, hop by hop, as ``hosts.toml`` and the operator's ssh configuration say, known before it is taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import asyncssh
from msgspec import Struct
from msgspec.structs import replace
from platformdirs import user_config_path

from console.hosts.host_config import HostConfig
from console.hosts.ssh.errors import LinkDown
from console.sanitize import sanitize_line

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


MOST_HOPS = 8
# with AES in hardware, the first is several times as fast as ChaCha20, which asyncssh and OpenSSH would take
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


class Hop(Struct, frozen=True):
    """One SSH server on the way.

    Attributes:
        name: as the operator calls it.
        known_as: the name that its host key is known by.
        identities, explicit: key files to try; whether somebody named them.
        only_identities: nothing else of the agent's is tried.
        jump: the way to it that the configuration says.
        knocks: whether it is reached by a TCP connection of ours, so that one can knock at its port.
        asked_for: what asyncssh is to be given: the configuration and what overrides it.
    """

    name: str
    address: str
    port: int
    user: str
    known_as: str
    identities: tuple[Path, ...]
    explicit: bool
    only_identities: bool
    certificates: tuple[str, ...]
    agent: str | None
    known_hosts: tuple[Path, ...]
    algorithms_set: bool
    family: int
    source: tuple[str, int] | None
    jump: str | None
    knocks: bool
    asked_for: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


class Resolved(Struct, frozen=True):
    """What is about to be used, for the operator to see."""

    user: str
    address: str
    port: int
    jumps: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    agent: bool = False

    @property
    def where(self) -> str:
        return sanitize_line(f"{self.user}@{self.address}:{self.port}")

    @property
    def text(self) -> str:
        """For example ``operator@ramp.example:22 by way of me@gate:22, with key ~/.ssh/id_ed25519 and the agent``."""
        way = f" by way of {' and '.join(self.jumps)}" if self.jumps else ""
        keys = [f"key {key}" for key in self.keys] + ["the agent"] * self.agent
        return sanitize_line(f"{self.where}{way}, with {' and '.join(keys) if keys else 'no key'}")


async def route_to(host: HostConfig, files: SshFiles) -> tuple[Hop, ...]:
    """The hops to ``host``, itself last.

    Raises:
        LinkDown: the configuration is unusable.
    """
    assert host.address is not None
    hops = [await _hop(host.address, host.port, host.user, host.identity, files)]
    jump = host.jump if host.jump is not None else hops[0].jump
    while jump and jump.lower() != "none":
        before, _, nearest = jump.rpartition(",")
        user, name, port = _parse(nearest.strip())
        hops.insert(0, await _hop(name, port, user, None, files))
        jump = before or hops[0].jump
        if len(hops) > MOST_HOPS:
            raise LinkDown(f"more than {MOST_HOPS} hosts on the way to {host.address}: do they jump in a circle?")
    return (hops[0], *(_behind(hop) for hop in hops[1:]))


def resolved(hops: tuple[Hop, ...]) -> Resolved:
    """What the operator is shown of ``hops``."""
    target = hops[-1]
    home = str(Path.home())
    return Resolved(
        user=target.user,
        address=target.address,
        port=target.port,
        jumps=tuple(hop.where for hop in hops[:-1]),
        keys=tuple(str(key).replace(home, "~", 1) for key in target.identities if key.is_file()),
        agent=target.agent is not None,
    )


def leg(hops: tuple[Hop, ...], number: int) -> str:
    """Which of several hosts it is that does not answer: one on the way, or the last one."""
    where = hops[number].where
    if number < len(hops) - 1:
        return f"{where}, on the way to {hops[-1].where}"
    return f"{where}, by way of {hops[number - 1].where}" if number else where


def _behind(hop: Hop) -> Hop:
    """``hop`` as reached through another one, which takes the place of a proxy command."""
    return replace(hop, knocks=False, asked_for={**hop.asked_for, "proxy_command": None})


def _parse(jump: str) -> tuple[str | None, str, int | None]:
    """``[user@]host[:port]`` as ssh takes it; an IPv6 address stands in brackets."""
    user, _, rest = jump.rpartition("@")
    name, colon, port = rest.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, port = rest, ""
    if (port and not port.isdigit()) or not name:
        raise LinkDown(f"jump {sanitize_line(jump)!r} is not [user@]host[:port]")
    return user or None, name.strip("[]"), int(port) if port else None


async def _hop(name: str, port: int | None, user: str | None, identity: str | None, files: SshFiles) -> Hop:
    """``name`` looked up in the operator's configuration; what is given here goes before it."""
    asked_for: dict[str, Any] = {"config": [str(files.config)] if files.config else None}
    if port is not None:
        asked_for["port"] = port
    if user is not None:
        asked_for["username"] = user
    try:
        options = await asyncssh.SSHClientConnectionOptions.construct(
            None, host=name, known_hosts=b"#", client_keys=None, tunnel=None, x509_trusted_certs=None, **asked_for
        )
    except (asyncssh.Error, ValueError, OSError) as error:
        raise LinkDown(f"the ssh configuration for {sanitize_line(name)}: {sanitize_line(str(error))}") from error
    config = options.config
    if config.get("Ciphers") is None:
        asked_for["encryption_algs"] = CIPHERS
    named = [identity] if identity else _strings(config.get("IdentityFile"))
    agent = config.get("IdentityAgent") or files.agent
    return Hop(
        name=name,
        address=options.host,
        port=options.port,
        user=options.username,
        known_as=options.host_key_alias or options.host,
        identities=tuple(Path(file).expanduser() for file in named) or files.keys,
        explicit=bool(named),
        only_identities=bool(identity or config.get("IdentitiesOnly")),
        certificates=tuple(_strings(config.get("CertificateFile"))),
        agent=None if agent in (None, "", "none") else str(Path(str(agent)).expanduser()),
        known_hosts=_known_hosts(config, files),
        algorithms_set=config.get("HostKeyAlgorithms") is not None,
        family=options.family,
        source=options.local_addr,
        jump=next(iter(_strings(config.get("ProxyJump"))), None),
        knocks=options.proxy_command is None,
        asked_for=asked_for,
    )


def _known_hosts(config: Any, files: SshFiles) -> tuple[Path, ...]:
    """The configuration's files, else the usual ones; switching verification off is not among what it can say."""
    said = _strings(config.get("UserKnownHostsFile")) + _strings(config.get("GlobalKnownHostsFile"))
    return tuple(Path(name).expanduser() for name in said if name.lower() != "none") or files.known_hosts


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []
