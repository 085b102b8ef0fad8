"""Host keys: read from and appended to known_hosts files, and confirmed by the operator where no file knows them."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs
from msgspec import Struct

from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused, Misconfigured
from console.hosts.ssh.prompts import OperatorUnavailable, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line
from engine.contract.durable import sync_folder
from engine.contract.file_lock import locked

CONFIRM_WORD = "yes"
BLANKS = re.compile(r"[ \t]+")
PATTERN_CHARACTERS = frozenset(" \t\r\n,*?!|@#\"'")  # in a name they would make the line trust more than one host


class KnownHostsLine(Struct, frozen=True):
    """One readable line of a known_hosts file.

    Attributes:
        number: of the line, from 1.
        marker: ``@cert-authority``, ``@revoked`` or "".
        hosts: names and patterns with commas between them, or one hashed name.
    """

    file: Path
    number: int
    marker: str
    hosts: str
    key: asyncssh.SSHKey

    def is_for(self, name: str) -> bool:
        """Whether the line is for ``name``, which is in lower case, as ssh matches it.

        Not by asyncssh, which takes ``10.0.0.0/8`` for all addresses of the network, and tells capitals apart.
        """
        if self.hosts.startswith("|"):
            _, _, salt, digest = self.hosts.split("|")
            hashed = hmac.digest(binascii.a2b_base64(salt), name.encode("utf-8", "surrogateescape"), "sha1")
            return hmac.compare_digest(hashed, binascii.a2b_base64(digest))
        found = False
        for pattern in self.hosts.lower().split(","):
            if _matches(pattern.removeprefix("!"), name):
                if pattern.startswith("!"):
                    return False
                found = True
        return found


def _matches(pattern: str, name: str) -> bool:
    """Whether ``name`` fits ``pattern``, in which ``*`` and ``?`` stand for any characters or one."""
    wildcards = {"*": ".*", "?": "."}
    parts = re.findall(r"\*+|\?|[^*?]+", pattern)
    return re.fullmatch("".join(wildcards.get(part[0], re.escape(part)) for part in parts), name, re.DOTALL) is not None


def _parsed(file: Path, number: int, text: str) -> KnownHostsLine:
    """One line of a known_hosts file in its parts; raises ValueError if ssh would skip it."""
    # as ssh does it: other blanks than these two are characters like any
    fields = BLANKS.split(text.strip(" \t\r\n"))
    marker, hosts, kind, key = (*fields, "")[:4] if fields[0].startswith("@") else ("", *fields, "", "")[:4]
    if marker not in ("", "@cert-authority", "@revoked"):
        raise ValueError(f"unknown marker {marker}")
    if hosts.startswith("|"):
        method, salt, digest = hosts[1:].split("|")
        if method != "1" or not binascii.a2b_base64(salt) or not binascii.a2b_base64(digest):
            raise ValueError("not a hashed name")
    return KnownHostsLine(file, number, marker, hosts, asyncssh.import_public_key(f"{kind} {key}"))


class KnownHosts(Struct, frozen=True):
    """The lines of all known_hosts files, and keys that are revoked for every host.

    Lines that cannot be read are skipped, as ssh does.
    """

    lines: list[KnownHostsLine]
    revoked: list[asyncssh.SSHKey] = []

    @classmethod
    def read(
        cls,
        files: Iterable[Path],
        revoked_keys: Path | None = None,
        authority_algorithms: Sequence[str] | None = None,
    ) -> KnownHosts:
        """Read ``files``, of which a missing one is empty, and ``revoked_keys``, which must be there. Blocking.

        Args:
            authority_algorithms: an authority that signs by none of these does not count; None for all.

        Raises:
            OSError: one of ``files`` exists and cannot be read.
            Misconfigured: ``revoked_keys`` cannot be read, is a binary revocation list, or has a line that is no key.
        """
        lines: list[KnownHostsLine] = []
        for file in files:
            try:
                text = file.read_bytes().decode("utf-8", "surrogateescape")
            except FileNotFoundError:
                continue
            for number, content in enumerate(text.split("\n"), 1):
                with contextlib.suppress(ValueError):
                    lines.append(_parsed(file, number, content))
        if authority_algorithms is not None:
            allowed = {algorithm.encode() for algorithm in authority_algorithms}
            lines = [line for line in lines if line.marker != "@cert-authority" or allowed & {*line.key.sig_algorithms}]
        return cls(lines, _revoked(revoked_keys) if revoked_keys is not None else [])

    def trusted(
        self, names: Sequence[str]
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """Trusted keys, trusted certificate authorities and revoked keys of the host that is known under ``names``.

        Lines for an address count only if the host is named by its address: a name must not become trusted through the
        address it resolves to.
        """
        found = [line for line in self.lines if any(line.is_for(name) for name in names)]
        keys = [line.key for line in found if not line.marker]
        authorities = [line.key for line in found if line.marker == "@cert-authority"]
        revoked = [line.key for line in found if line.marker == "@revoked"]
        return keys, authorities, [*revoked, *self.revoked]

    def lines_for(self, name: str) -> list[KnownHostsLine]:
        """The lines with a key of the host under exactly this name."""
        return [line for line in self.lines if not line.marker and line.is_for(name)]

    def host_key_algorithms(self, names: Sequence[str]) -> list[str]:
        """Algorithms to request, those of known keys first, so that a host with several keys shows the known one.

        All others follow, so that a host that has only a key of another type is seen as changed.
        """
        keys, authorities, _ = self.trusted(names)
        known = [algorithm for key in keys for algorithm in key.sig_algorithms]
        certificates = get_default_certificate_algs() if authorities else []
        ordered = dict.fromkeys([*certificates, *known, *get_default_public_key_algs()])
        return [algorithm.decode("ascii") for algorithm in ordered]


def _revoked(file: Path) -> list[asyncssh.SSHKey]:
    """The keys of RevokedHostKeys, one a line; raises Misconfigured."""
    name = f"RevokedHostKeys of the ssh configuration: {sanitize_line(str(file))}"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{name}: {error.strerror}") from error
    if data.startswith(b"SSHKRL\n\0"):
        raise Misconfigured(f"{name} is a binary revocation list, which is not supported: list the keys, one a line")
    keys: list[asyncssh.SSHKey] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if (text := line.strip(b" \t\r")) and not text.startswith(b"#"):
            try:
                keys.append(asyncssh.import_public_key(text))
            except ValueError as error:
                raise Misconfigured(f"{name} line {number}: not a public key") from error
    return keys


def append_key(file: Path, name: str, key: asyncssh.SSHKey) -> None:
    """Append ``key`` to ``file`` (mode 600) under ``name``, such as ``[ramp.example]:2222``, durably. Blocking.

    Raises:
        ValueError: the name is a pattern that would match more than one host.
        OSError: the file cannot be written.
    """
    plain = re.fullmatch(r"\[(.+)\]:\d+", name)
    if not (bare := plain[1] if plain else name) or PATTERN_CHARACTERS & set(bare):
        raise ValueError(f"not the name of a single host: {name!r}")
    kind, data = key.export_public_key().decode("ascii").split()[:2]
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # two consoles may append at the same time
    with locked(file.with_name(f".{file.name}.lock")), open(file, "a+b") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.seek(max(0, opened.tell() - 1))
        # a file that was cut off or edited by hand may lack its last newline
        separator = b"" if opened.read() in (b"", b"\n") else b"\n"
        opened.write(separator + f"{name} {kind} {data}\n".encode())
        opened.flush()
        os.fsync(opened.fileno())
    sync_folder(file.parent)


async def confirm_host_key(hop: Hop, key: asyncssh.SSHKey, known: KnownHosts, access: Access) -> None:
    """Ask the operator to confirm an untrusted ``key``, and append it to the console's own known_hosts file.

    Raises:
        HostKeyChanged: the host is known by another key. This is not a question: it is settled outside of the console.
        HostKeyRefused: the operator declines, nobody can be asked, or the key cannot be saved.
    """
    name = sanitize_line(hop.known_as[0])
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    if lines := known.lines_for(hop.known_as[0]):
        locations = sanitize_line(", ".join(f"{line.file} line {line.number}" for line in lines))
        raise HostKeyChanged(
            f"THE HOST KEY OF {name} HAS CHANGED: it shows {shown}, but another key is known ({locations}). The host was "
            "reinstalled, or somebody intercepts the connection. Not connected. Ask its administrator for the fingerprint; "
            "only if it is the one shown, delete those lines and connect again"
        )
    if hop.strict:
        raise HostKeyRefused(f"the host key of {name} is unknown ({shown}), and StrictHostKeyChecking is yes")
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
        await asyncio.to_thread(append_key, access.files.own_known_hosts, hop.known_as[0], key)
    except (OSError, ValueError) as error:
        raise HostKeyRefused(f"the host key of {name} cannot be saved: {sanitize_line(str(error))}") from error
