"""Route to a host: its jump hosts and login settings, from ``hosts.toml`` and the operator's ssh configuration.

It is resolved before anything is connected, so that the operator sees what will be used.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs
from msgspec import Struct
from msgspec.structs import replace

from console.hosts.host_config import UNSAFE_ADDRESS, UNSAFE_USER, HostConfig, split_jump
from console.hosts.ssh.errors import Misconfigured
from console.hosts.ssh.ssh_config import SshFiles, SshSettings, Tokens, read_ssh_settings
from console.sanitize import sanitize_line
from engine.contract.local_paths import nameless_user

MAX_HOPS = 8
DEFAULT_PORT = 22
CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
# AES-GCM has hardware support: several times as fast as ChaCha20, which asyncssh and OpenSSH prefer
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


class Hop(Struct, frozen=True):
    """One SSH server on the route.

    Attributes:
        name: name in ``hosts.toml`` or the configuration; ``address`` is what it resolves to there.
        known_as: the names under which known_hosts may have its key; a key is saved, and is required, under the first.
        certified_as: the name that a host certificate must be for.
        identities, identities_named: key files to try; whether they were named rather than the defaults.
        only_identities: no other keys of the agent are tried.
        certificates: files of certificates for these keys, or for keys of the agent.
        agent: socket of the ssh agent; None for none.
        known_hosts: files with keys of hosts, the user's and the system's.
        revoked_keys: file of revoked host keys.
        authority_algorithms: by which an authority may sign a host's certificate; None for all.
        strict: an unknown host key is refused without a question.
        host_key_algorithms_set: the configuration sets HostKeyAlgorithms.
        family, local_address: of the TCP connection.
        connect_timeout: seconds for it; None: as the session has it.
        jump: the configuration's ProxyJump.
        proxy_command: shell command whose input and output are the connection; None for none.
        direct: it is reached by a TCP connection from here, so its port can be probed.
        options: asyncssh's options.
    """

    name: str
    address: str
    port: int
    user: str
    known_as: tuple[str, ...]
    certified_as: str
    identities: tuple[Path, ...]
    identities_named: bool
    only_identities: bool
    certificates: tuple[Path, ...]
    agent: str | None
    known_hosts: tuple[Path, ...]
    revoked_keys: Path | None
    authority_algorithms: tuple[str, ...] | None
    strict: bool
    host_key_algorithms_set: bool
    family: int
    local_address: tuple[str, int] | None
    connect_timeout: float | None
    jump: str | None
    proxy_command: str | None
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
        """The route in words, such as ``operator@ramp.example:22 via me@gate:22, with key ~/.ssh/id_ed25519 and the agent``."""
        *jumps, target = self.hops
        via = f" via {' and '.join(hop.login for hop in jumps)}" if jumps else ""
        if self.hops[0].proxy_command is not None:
            via += " by ProxyCommand"
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
        Misconfigured: one of them is unusable.
    """
    assert host.address is not None
    hops = [await _hop(host.address, host.port, host.user, host.identity, host.jump, files)]
    jump = hops[0].jump
    while jump:
        # a list of jumps is in order of travel, so its last one is next to the hop already known
        before, _, nearest = jump.rpartition(",")
        if (parts := split_jump(nearest.strip())) is None:
            raise Misconfigured(f"jump {sanitize_line(jump)!r} is not [user@]host[:port]")
        user, name, port = parts
        # as with ssh, the configuration's own jump to it counts only where no other one is left in the list
        hops.insert(0, await _hop(name, port, user, None, before or None, files))
        jump = hops[0].jump
        if len(hops) > MAX_HOPS:
            raise Misconfigured(f"more than {MAX_HOPS} jump hosts to {host.address}: check ProxyJump for a circle")
    for number, hop in enumerate(hops[1:], 1):  # the tunnel through the previous hop replaces a configured ProxyCommand
        hops[number] = replace(hop, direct=False, proxy_command=None)
    return Route(tuple(hops))


async def _hop(
    name: str, port: int | None, user: str | None, identity: str | None, jump: str | None, files: SshFiles
) -> Hop:
    """``name`` looked up in the operator's configuration; the arguments take precedence over it."""
    settings = await read_ssh_settings(name, port, user, jump, files)
    if settings.user == nameless_user():
        text = "the user of this console has no entry in passwd, so no name to log in with: set `user` in hosts.toml"
        raise Misconfigured(f"{sanitize_line(name)}: {text}")
    tokens = Tokens(name, settings)
    for what, text, unsafe in (("address", settings.address, UNSAFE_ADDRESS), ("user", settings.user, UNSAFE_USER)):
        if unsafe.search(text):
            raise Misconfigured(f"{sanitize_line(name)}: {what} {sanitize_line(text)!r} has characters that none has")
    if settings.flag("proxyusefdpass"):
        raise Misconfigured(f"{sanitize_line(name)}: ProxyUseFdpass of the ssh configuration is not supported")

    def paths(keyword: str) -> tuple[Path, ...] | None:
        texts = settings.all(keyword)
        return None if texts is None else tuple(tokens.path(keyword, text) for text in texts)

    address = settings.address.lower()
    identities = (Path(identity).expanduser(),) if identity else paths("identityfile")
    user_files, global_files = paths("userknownhostsfile"), paths("globalknownhostsfile")
    authorities = settings.one("casignaturealgorithms")
    revoked, command, jumps = (settings.one(key) for key in ("revokedhostkeys", "proxycommand", "proxyjump"))
    bind, timeout, alias = (settings.one(key) for key in ("bindaddress", "connecttimeout", "hostkeyalias"))
    families = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
    return Hop(
        name=name,
        address=settings.address,
        port=settings.port,
        user=settings.user,
        # as with ssh, an alias has no port, and a host at another port than 22 may show a key that is known without one
        known_as=(alias.lower(),) if alias else tuple(dict.fromkeys((entry_name(address, settings.port), address))),
        certified_as=(alias or address).lower(),
        identities=files.keys if identities is None else identities,
        identities_named=identities is not None,
        only_identities=bool(identity or settings.flag("identitiesonly")),
        certificates=paths("certificatefile") or (),
        agent=_agent(settings, tokens, files),
        known_hosts=(
            *(files.known_hosts if user_files is None else user_files),
            *(files.global_known_hosts if global_files is None else global_files),
        ),
        revoked_keys=tokens.path("RevokedHostKeys", revoked) if revoked else None,
        authority_algorithms=tuple(authorities.split(",")) if authorities else None,
        strict=settings.one("stricthostkeychecking") in ("true", "yes"),
        host_key_algorithms_set=settings.one("hostkeyalgorithms") is not None,
        family=families.get(settings.one("addressfamily") or "any", socket.AF_UNSPEC),
        local_address=(bind, 0) if bind else None,
        connect_timeout=float(timeout) if timeout and timeout.isdigit() and int(timeout) else None,
        jump=tokens.expand(jumps) if jumps else None,
        proxy_command=tokens.expand(command) if command and not jumps else None,
        direct=not command and not jumps,
        options=_options(name, settings),
    )


def entry_name(address: str, port: int) -> str:
    """A host's name in a known_hosts file, such as ``[ramp.example]:2222``."""
    return address if port == DEFAULT_PORT else f"[{address}]:{port}"


def _agent(settings: SshSettings, tokens: Tokens, files: SshFiles) -> str | None:
    """The agent's socket: IdentityAgent is ``none``, ``SSH_AUTH_SOCK``, ``$NAME`` of the environment, or a path."""
    named = settings.all("identityagent")
    if named is None or named == ("SSH_AUTH_SOCK",):
        return files.agent
    if not named:
        return None
    if re.fullmatch(r"\$\w+", named[0]):
        return os.environ.get(named[0][1:]) or None
    return str(tokens.path("IdentityAgent", named[0]))


def _options(name: str, settings: SshSettings) -> dict[str, Any]:
    """asyncssh's options for what the configuration sets."""
    options: dict[str, Any] = {"encryption_algs": CIPHERS}
    known: dict[str, tuple[str, Callable[[], Sequence[bytes]]]] = {
        "ciphers": ("encryption_algs", get_encryption_algs),
        "macs": ("mac_algs", get_mac_algs),
        "kexalgorithms": ("kex_algs", get_kex_algs),
        "hostkeyalgorithms": ("server_host_key_algs", lambda: [*get_certificate_algs(), *get_public_key_algs()]),
        "pubkeyacceptedalgorithms": ("signature_algs", get_public_key_algs),
        "pubkeyacceptedkeytypes": ("signature_algs", get_public_key_algs),  # its name until OpenSSH 8.4
    }
    for keyword, (option, supported) in known.items():
        if (text := settings.one(keyword)) is None:
            continue
        if (
            settings.parsed_by_ssh
        ):  # ssh has patterns and +, - and ^ resolved, and may know algorithms that asyncssh lacks
            listed = text.split(",")
            if option == "signature_algs":  # those of a certificate's key are among them
                listed += [algorithm.replace(CERTIFICATE_SUFFIX, "") for algorithm in listed]
            names = [algorithm for algorithm in dict.fromkeys(listed) if algorithm.encode() in supported()]
            if not names:
                raise Misconfigured(f"{sanitize_line(name)}: none of {keyword} {sanitize_line(text)} is supported")
            options[option] = names
        else:
            options[option] = text
    switches = {
        "pubkeyauthentication": "public_key_auth",
        "passwordauthentication": "password_auth",
        "kbdinteractiveauthentication": "kbdint_auth",
        "challengeresponseauthentication": "kbdint_auth",  # its name until OpenSSH 8.7
        "gssapiauthentication": "gss_auth",
        "tcpkeepalive": "tcp_keepalive",
    }
    options |= {option: on for key, option in switches.items() if (on := settings.flag(key)) is not None}
    if settings.flag("compression"):
        options["compression_algs"] = "zlib@openssh.com,zlib,none"
    if methods := settings.one("preferredauthentications"):
        options["preferred_auth"] = methods
    size, _, seconds = (settings.one("rekeylimit") or "").partition(" ")
    options |= {
        name: int(text) for name, text in (("rekey_bytes", size), ("rekey_seconds", seconds)) if text.strip("0")
    }
    if variables := settings.all("setenv"):
        options["env"] = dict(variable.partition("=")[::2] for variable in variables)
    if sent := settings.all("sendenv"):
        options["send_env"] = list(sent)
    return options
