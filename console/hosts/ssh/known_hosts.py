"""Host keys: read from and appended to known_hosts files, and confirmed by the operator where no file knows them."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs
from msgspec import Struct

from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused
from console.hosts.ssh.prompts import NobodyToAsk, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line

DEFAULT_PORT = 22
UNSAFE = frozenset(" \t\r\n,*?!|@#\"'")


class Line(Struct, frozen=True):
    """One usable line of a file."""

    file: Path
    number: int
    hosts: asyncssh.SSHKnownHosts


class KnownHosts:
    """The lines of all files; a line that cannot be read is passed over, as ssh does."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self._lines = lines

    @classmethod
    def read(cls, files: Iterable[Path]) -> KnownHosts:
        """Read ``files``, blocking; one that is missing is empty.

        Raises:
            OSError: one is there and cannot be read.
        """
        lines: list[Line] = []
        for file in files:
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            for number, content in enumerate(text.splitlines(), 1):
                try:
                    lines.append(Line(file, number, asyncssh.import_known_hosts(content)))
                except ValueError:
                    continue
        return cls(tuple(lines))

    def trusted(
        self, name: str, port: int
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """Trusted keys, trusted certificate authorities and revoked keys of a host.

        A host at another port than 22 may also show a key it is known by without its port, as with ssh. Addresses count
        for nothing unless the host is called by its address: a name must not become trusted by where it points.
        """
        keys: list[asyncssh.SSHKey] = []
        authorities: list[asyncssh.SSHKey] = []
        revoked: list[asyncssh.SSHKey] = []
        for line in self._lines:
            for called in {entry_name(name, port), name}:
                found = line.hosts.match(called, "", None)
                keys += found[0]
                authorities += found[1]
                revoked += found[2]
        return keys, authorities, revoked

    def known_by(self, name: str, port: int) -> list[Line]:
        """The lines that say which key the host at that very port has."""
        return [line for line in self._lines if line.hosts.match(entry_name(name, port), "", None)[0]]

    def algorithms(self, name: str, port: int) -> list[str]:
        """Host key algorithms to ask for: first those of known keys, so that a host with several shows the known one.

        All others follow: a host that shows a key of another type than the known one must be seen to do so.
        """
        keys, authorities, _ = self.trusted(name, port)
        wanted = [algorithm for key in keys for algorithm in key.sig_algorithms]
        certificates = get_default_certificate_algs() if authorities else []
        ordered = dict.fromkeys([*certificates, *wanted, *get_default_public_key_algs()])
        return [algorithm.decode("ascii") for algorithm in ordered]


def entry_name(name: str, port: int) -> str:
    """How a host is called in a known_hosts file."""
    return name if port == DEFAULT_PORT else f"[{name}]:{port}"


def remember(file: Path, name: str, port: int, key: asyncssh.SSHKey) -> None:
    """Append ``key`` to ``file`` (mode 600) so that it survives a crash; blocking.

    Raises:
        ValueError: the name would mean more than one host there.
        OSError: the disk said no.
    """
    if not name or UNSAFE & set(name):
        raise ValueError(f"not the name of one host: {name!r}")
    kind, data = key.export_public_key().decode("ascii").split()[:2]
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two consoles may consent at once
        os.fchmod(handle, 0o600)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        entry = f"{entry_name(name, port)} {kind} {data}\n".encode()
        os.write(handle, (b"\n" if torn else b"") + entry)
        os.fsync(handle)
    finally:
        os.close(handle)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


CONSENT = "yes"


async def consent(hop: Hop, key: asyncssh.SSHKey, known: KnownHosts, access: Access) -> None:
    """Have the operator consent to ``key``, and remember it.

    Raises:
        HostKeyChanged: the host is known by another key. Nobody is asked: the way out is outside of this console.
        HostKeyRefused: the operator said no, or nobody could be asked, or the key cannot be remembered.
    """
    name = sanitize_line(entry_name(hop.known_as, hop.port))
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    lines = known.known_by(hop.known_as, hop.port)
    if lines:
        places = ", ".join(f"{line.file} line {line.number}" for line in lines)
        raise HostKeyChanged(
            f"THE HOST KEY OF {name} HAS CHANGED: it shows {shown}, but is known by another ({places}). Either the host was "
            "set up anew, or somebody stands between. Not connected. Ask its administrator for the fingerprint; only if "
            "it is the one shown, delete those lines and connect again"
        )
    question = Question(
        title=f"Unknown host {name}",
        lines=(
            f"{sanitize_line(hop.where)} has never been connected to from here, and no file knows its key.",
            f"It shows {shown}.",
            "Compare this with what its administrator says: whoever consents to a wrong one talks to a stranger.",
            f"The key is kept in {access.files.own_known_hosts}.",
        ),
        prompt=f"Type {CONSENT} to trust it:",
        consent=CONSENT,
    )
    try:
        answer = await access.ask(question)
    except NobodyToAsk as nobody:
        raise HostKeyRefused(f"the key of {name} is unknown ({shown}), and {nobody}") from nobody
    if answer is None or answer.strip() != CONSENT:
        raise HostKeyRefused(f"the key of {name} is unknown ({shown}), and was not consented to")
    try:
        await asyncio.to_thread(remember, access.files.own_known_hosts, hop.known_as, hop.port, key)
    except (OSError, ValueError) as error:
        raise HostKeyRefused(f"the key of {name} cannot be remembered: {sanitize_line(str(error))}") from error
