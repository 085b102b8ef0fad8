"""What is done about a host key that no file knows: consent to it, typed; and a hard stop if it is another than before."""

from __future__ import annotations

import asyncio

import asyncssh

from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused
from console.hosts.ssh.known_hosts import KnownHosts, entry_name, remember
from console.hosts.ssh.prompts import NobodyToAsk, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line

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
