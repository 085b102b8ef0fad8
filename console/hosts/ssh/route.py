"""Route to a host: its jump hosts and login settings, from ``hosts.toml`` and the operator's ssh configuration.

It is resolved before anything is connected, so that the operator sees what will be used.
"""

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

MAX_HOPS = 8
# AES-GCM has hardware support: several times as fast as ChaCha20, which asyncssh and OpenSSH prefer
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")


class SshFiles(Struct, frozen=True):
    """SSH files of the operator; all are only read, except ``own_known_hosts``.

    Attributes:
        own_known_hosts: keys that the operator confirmed in this console.
        config: ssh configuration file; None for none.
        known_hosts: used unless the configuration names others.
        keys: key files to try if neither the host nor the configuration names any.
        agent: socket of the ssh agent; None for none.
    """

    own_known_hosts: Path
    config: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    agent: str | None = None


def default_ssh_files() -> SshFiles:
    """The SSH files of the user who runs the console."""
    folder = Path.home() / ".ssh"
    config = folder / "config"
    return SshFiles(
        own_known_hosts=user_config_path("qllm-console") / "known_hosts",
        config=config if config.is_file() else None,
        known_hosts=(folder / "known_hosts", Path("/etc/ssh/ssh_known_hosts")),
        keys=tuple(folder / name for name in DEFAULT_KEYS),
        agent=os.environ.get("SSH_AUTH_SOCK"),
    )


class Hop(Struct, frozen=True):
    """One SSH server on the route.

    Attributes:
        name: name in ``hosts.toml`` or the configuration; ``address`` is what it resolves to there.
        host_key_name: name to look up in known_hosts.
        identities, identities_named: key files to try; whether they were named rather than the defaults.
        only_identities: no other keys of the agent are tried.
        host_key_algorithms_set: the configuration sets HostKeyAlgorithms.
        family, local_address: of the TCP connection.
        jump: the configuration's ProxyJump.
        direct: it is reached by a TCP connection from here, so its port can be probed.
        options: asyncssh's options: the configuration file and what overrides it.
    """

    name: str
    address: str
    port: int
    user: str
    host_key_name: str
    identities: tuple[Path, ...]
    identities_named: bool
    only_identities: bool
    certificates: tuple[str, ...]
    agent: str | None
    known_hosts: tuple[Path, ...]
    host_key_algorithms_set: bool
    family: int
    local_address: tuple[str, int] | None
    jump: str | None
    direct: bool
    options: dict[str, Any]

    @property
    def login(self) -> str:
        """``user@address:port``."""
        return f"{self.user}@{self.address}:{self.port}"


class Route(Struct, frozen=True):
    """The hops to a host, in order; the host itself is the last."""

    hops: tuple[Hop, ...]

    @property
    def login(self) -> str:
        """``user@address:port`` of the host, safe to show."""
        return sanitize_line(self.hops[-1].login)

    @property
    def text(self) -> str:
        """For example ``operator@ramp.example:22 via me@gate:22, with key ~/.ssh/id_ed25519 and the agent``."""
        *jumps, target = self.hops
        via = f" via {' and '.join(hop.login for hop in jumps)}" if jumps else ""
        home = str(Path.home())
        keys = [f"key {str(key).replace(home, '~', 1)}" for key in target.identities if key.is_file()]
        if target.agent is not None:
            keys.append("the agent")
        return sanitize_line(f"{target.login}{via}, with {' and '.join(keys) if keys else 'no key'}")

    def hop_text(self, number: int) -> str:
        """Names hop ``number`` in an error: as the host itself, or as a jump host to it."""
        login = self.hops[number].login
        if number < len(self.hops) - 1:
            return f"{login}, jump host to {self.hops[-1].login}"
        return f"{login}, via {self.hops[number - 1].login}" if number else login


async def resolve_route(host: HostConfig, files: SshFiles) -> Route:
    """The route to ``host``, by ``hosts.toml`` and the ssh configuration.

    Raises:
        LinkDown: the ssh configuration is unusable.
    """
    assert host.address is not None
    hops = [await _hop(host.address, host.port, host.user, host.identity, files)]
    jump = host.jump if host.jump is not None else hops[0].jump
    while jump and jump.lower() != "none":
        # a list of jumps is in order of travel, so its last one is next to the hop already known
        before, _, nearest = jump.rpartition(",")
        user, name, port = _parse_jump(nearest.strip())
        hops.insert(0, await _hop(name, port, user, None, files))
        jump = before or hops[0].jump
        if len(hops) > MAX_HOPS:
            raise LinkDown(f"more than {MAX_HOPS} jump hosts to {host.address}: check ProxyJump for a circle")
    for number, hop in enumerate(hops[1:], 1):  # the tunnel through the previous hop replaces a configured ProxyCommand
        hops[number] = replace(hop, direct=False, options={**hop.options, "proxy_command": None})
    return Route(tuple(hops))


def _parse_jump(jump: str) -> tuple[str | None, str, int | None]:
    """``[user@]host[:port]`` as ssh reads it; an IPv6 address is in brackets."""
    user, _, rest = jump.rpartition("@")
    name, colon, port = rest.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, port = rest, ""
    if (port and not port.isdigit()) or not name:
        raise LinkDown(f"jump {sanitize_line(jump)!r} is not [user@]host[:port]")
    return user or None, name.strip("[]"), int(port) if port else None


async def _hop(name: str, port: int | None, user: str | None, identity: str | None, files: SshFiles) -> Hop:
    """``name`` looked up in the operator's configuration; the arguments take precedence over it."""
    overrides = {"port": port, "username": user}
    options: dict[str, Any] = {option: value for option, value in overrides.items() if value is not None}
    options["config"] = [str(files.config)] if files.config else None
    try:
        resolved = await asyncssh.SSHClientConnectionOptions.construct(
            None, host=name, known_hosts=b"#", client_keys=None, tunnel=None, x509_trusted_certs=None, **options
        )
    except (asyncssh.Error, ValueError, OSError) as error:
        raise LinkDown(f"the ssh configuration for {sanitize_line(name)}: {sanitize_line(str(error))}") from error
    config = resolved.config
    if config.get("Ciphers") is None:
        options["encryption_algs"] = CIPHERS
    named = [identity] if identity else _strings(config.get("IdentityFile"))
    agent = config.get("IdentityAgent") or files.agent
    # "none" falls back to the usual files: the configuration cannot switch verification off
    known_hosts = _strings(config.get("UserKnownHostsFile")) + _strings(config.get("GlobalKnownHostsFile"))
    return Hop(
        name=name,
        address=resolved.host,
        port=resolved.port,
        user=resolved.username,
        host_key_name=resolved.host_key_alias or resolved.host,
        identities=tuple(Path(file).expanduser() for file in named) or files.keys,
        identities_named=bool(named),
        only_identities=bool(identity or config.get("IdentitiesOnly")),
        certificates=tuple(_strings(config.get("CertificateFile"))),
        agent=None if agent in (None, "", "none") else str(Path(str(agent)).expanduser()),
        known_hosts=tuple(Path(file).expanduser() for file in known_hosts if file.lower() != "none")
        or files.known_hosts,
        host_key_algorithms_set=config.get("HostKeyAlgorithms") is not None,
        family=resolved.family,
        local_address=resolved.local_addr,
        jump=next(iter(_strings(config.get("ProxyJump"))), None),
        direct=resolved.proxy_command is None,
        options=options,
    )


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []
