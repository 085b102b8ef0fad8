"""Host keys: read from and appended to known_hosts files, and confirmed by the operator where no file knows them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs
from msgspec import Struct

from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused
from console.hosts.ssh.prompts import OperatorUnavailable, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line
from engine.contract.durable import sync_folder
from engine.contract.file_lock import locked

DEFAULT_PORT = 22
CONFIRM_WORD = "yes"
PATTERN_CHARACTERS = frozenset(" \t\r\n,*?!|@#\"'")  # in a name they would make the line trust more than one host


class KnownHostsLine(Struct, frozen=True):
    """One readable line of a known_hosts file; ``number`` counts from 1."""

    file: Path
    number: int
    hosts: asyncssh.SSHKnownHosts


class KnownHosts(Struct, frozen=True):
    """The lines of all known_hosts files; lines that cannot be read are skipped, as ssh does."""

    lines: list[KnownHostsLine]

    @classmethod
    def read(cls, files: Iterable[Path]) -> KnownHosts:
        """Read ``files``; a missing one is empty. Blocking.

        Raises:
            OSError: a file exists and cannot be read.
        """
        lines: list[KnownHostsLine] = []
        for file in files:
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            for number, content in enumerate(text.splitlines(), 1):
                with contextlib.suppress(ValueError):
                    lines.append(KnownHostsLine(file, number, asyncssh.import_known_hosts(content)))
        return cls(lines)

    def trusted(
        self, name: str, port: int
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """Trusted keys, trusted certificate authorities and revoked keys of a host.

        A host at another port than 22 may also show a key that is known without a port, as with ssh. Lines for an address
        count only if the host is named by its address: a name must not become trusted through the address it resolves to.
        """
        found = [line.hosts.match(entry, "", None) for line in self.lines for entry in {entry_name(name, port), name}]
        keys = [key for match in found for key in match[0]]
        authorities = [key for match in found for key in match[1]]
        revoked = [key for match in found for key in match[2]]
        return keys, authorities, revoked

    def lines_for(self, name: str, port: int) -> list[KnownHostsLine]:
        """The lines with a key of the host at exactly this port."""
        return [line for line in self.lines if line.hosts.match(entry_name(name, port), "", None)[0]]

    def host_key_algorithms(self, name: str, port: int) -> list[str]:
        """Algorithms to request, those of known keys first, so that a host with several keys shows the known one.

        All others follow, so that a host that has only a key of another type is seen as changed.
        """
        keys, authorities, _ = self.trusted(name, port)
        known = [algorithm for key in keys for algorithm in key.sig_algorithms]
        certificates = get_default_certificate_algs() if authorities else []
        ordered = dict.fromkeys([*certificates, *known, *get_default_public_key_algs()])
        return [algorithm.decode("ascii") for algorithm in ordered]


def entry_name(name: str, port: int) -> str:
    """A host's name in a known_hosts file, such as ``[ramp.example]:2222``."""
    return name if port == DEFAULT_PORT else f"[{name}]:{port}"


def append_key(file: Path, name: str, port: int, key: asyncssh.SSHKey) -> None:
    """Append ``key`` to ``file`` (mode 600), durably. Blocking.

    Raises:
        ValueError: the name is a pattern that would match more than one host.
        OSError: the file cannot be written.
    """
    if not name or PATTERN_CHARACTERS & set(name):
        raise ValueError(f"not the name of a single host: {name!r}")
    kind, data = key.export_public_key().decode("ascii").split()[:2]
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # two consoles may append at the same time
    with locked(file.with_name(f".{file.name}.lock")), open(file, "a+b") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.seek(max(0, opened.tell() - 1))
        # a file that was cut off or edited by hand may lack its last newline
        separator = b"" if opened.read() in (b"", b"\n") else b"\n"
        opened.write(separator + f"{entry_name(name, port)} {kind} {data}\n".encode())
        opened.flush()
        os.fsync(opened.fileno())
    sync_folder(file.parent)


async def confirm_host_key(hop: Hop, key: asyncssh.SSHKey, known: KnownHosts, access: Access) -> None:
    """Ask the operator to confirm an untrusted ``key``, and append it to the console's own known_hosts file.

    Raises:
        HostKeyChanged: the host is known by another key. This is not a question: it is settled outside of the console.
        HostKeyRefused: the operator declines, nobody can be asked, or the key cannot be saved.
    """
    name = sanitize_line(entry_name(hop.host_key_name, hop.port))
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    if lines := known.lines_for(hop.host_key_name, hop.port):
        locations = sanitize_line(", ".join(f"{line.file} line {line.number}" for line in lines))
        raise HostKeyChanged(
            f"THE HOST KEY OF {name} HAS CHANGED: it shows {shown}, but another key is known ({locations}). The host was "
            "reinstalled, or somebody intercepts the connection. Not connected. Ask its administrator for the fingerprint; "
            "only if it is the one shown, delete those lines and connect again"
        )
    question = Question(
        title=f"Unknown host {name}",
        lines=(
            f"The host key of {sanitize_line(hop.login)} is in no known_hosts file.",
            f"It shows {shown}.",
            "Compare this with the fingerprint that its administrator gives: a wrong key means an impostor.",
            f"A trusted key is saved in {access.files.own_known_hosts}.",
        ),
        prompt=f"Type {CONFIRM_WORD} to trust it:",
        confirm_word=CONFIRM_WORD,
    )
    try:
        answer = await access.ask(question)
    except OperatorUnavailable as unavailable:
        raise HostKeyRefused(f"the host key of {name} is unknown ({shown}), and {unavailable}") from unavailable
    if answer is None or answer.strip() != CONFIRM_WORD:
        raise HostKeyRefused(f"the host key of {name} is unknown ({shown}), and was not confirmed")
    try:
        await asyncio.to_thread(append_key, access.files.own_known_hosts, hop.host_key_name, hop.port, key)
    except (OSError, ValueError) as error:
        raise HostKeyRefused(f"the host key of {name} cannot be saved: {sanitize_line(str(error))}") from error
