"""HostUpkeep: what a connected host is checked for, and what is mended there: preflight, repairs, messages, unsynced launches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from console.hosts.host_link import HostLink
from console.hosts.preflight.checks import Check, Repair, checklist
from console.hosts.preflight.examine import (
    engine_command,
    examine_host,
    install_requirements,
    make_environment,
    obtain_wordnet,
)
from console.hosts.pull.unsynced import decode_launches, unsynced
from console.hosts.remote.agent_client import AgentRefused
from console.hosts.remote.notify import keep_urls, request_test, sent_messages
from console.hosts.ssh.errors import LinkDown
from console.runs.sent_messages import SendOutcome, SentMessage
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.validation_words import error_in_words

HASHING_S = 600.0  # without a byte of a reply, while the host hashes all that it holds


class HostUpkeep:
    """Checks and repairs of the host at the other end of ``link``.

    All of it raises LinkDown if there is no link or it breaks; what changes something on the host raises BadInput if this
    console may not.
    """

    def __init__(self, link: HostLink) -> None:
        self._link = link

    @property
    def when_done(self) -> tuple[str, ...]:
        """The operator's command for when all is done, as the host's entry names it; empty without one."""
        return self._link.host.when_done

    async def check_lease(self) -> None:
        """Have the host say that this console may change something on it now; raises BadInput if it may not."""
        _, agent = self._link.connected_to_change()
        try:
            await agent.request("check_lease")
        except AgentRefused as refusal:
            raise BadInput(str(refusal)) from refusal

    async def preflight(self) -> tuple[Check, ...]:
        """Check whether the host has what a run needs."""
        connection, agent = self._link.connected()
        host, runs = self._link.host, len(self._link.follower.views)
        return checklist(await examine_host(host, connection, agent), host, runs)

    async def repair(self, what: Repair) -> AsyncIterator[str]:
        """Do what a check advises; yields a line for each step.

        Raises:
            LinkDown: an environment that is being made is finished without the link.
            BadInput: also if the host could not do it.
        """
        connection, agent = self._link.connected_to_change()
        host = self._link.host
        if what == "wordnet":
            yield "fetching WordNet"
            if error := await obtain_wordnet(host, connection, agent):
                raise BadInput(error)
        elif what == "requirements":
            async for pushed in install_requirements(host, agent):
                now = pushed.step or "installing" if pushed.state == "making" else pushed.error or pushed.state
                yield f"{pushed.folder}: {now}"
        else:
            async for progress in make_environment(host, connection, agent):
                yield progress.step if progress.state == "making" else progress.error or progress.state

    async def unsynced(self) -> tuple[str, ...]:
        """Why not every byte of every launch in the host's workspace is local; empty if all are. Hashes both ends.

        Raises:
            LinkDown: also if the reply cannot be understood.
            BadInput: the host refused.
        """
        _, agent = self._link.connected()
        try:
            first = decode_launches(await agent.request("list_launches", HASHING_S))
            reasons = await asyncio.to_thread(unsynced, self._link.local.path.parent, first)
            # what was launched or ended while the local files were read counts as well
            changed = not reasons and decode_launches(await agent.request("list_launches", HASHING_S)) != first
        except AgentRefused as refusal:
            raise BadInput(str(refusal)) from refusal
        except msgspec.ValidationError as error:
            raise LinkDown(f"the agent's reply cannot be understood: {sanitize_line(error_in_words(error))}") from error
        return ("the host's runs changed meanwhile",) if changed else reasons

    async def keep_urls(self) -> None:
        """Have the host keep the URLs of its entry for this operator's runs, in place of those before."""
        _, agent = self._link.connected_to_change()
        await keep_urls(agent, self._link.host)

    async def test_notify(self) -> tuple[SendOutcome, ...]:
        """Have the host send a test message to each URL of its entry; needs no lease.

        Raises:
            LinkDown: also if the reply cannot be understood.
            BadInput: the entry names no URL, or the host refused.
        """
        connection, agent = self._link.connected()
        host = self._link.host
        if not host.notify:
            raise BadInput("this host's entry names no URL", field=f"hosts.{self._link.view.name}.notify")
        return await request_test(agent, host, engine_command(host, connection))

    async def sent_messages(self) -> tuple[SentMessage, ...]:
        """The last messages that the host sent, the newest last, with what came of each.

        Raises:
            LinkDown: also if the reply cannot be understood.
        """
        return await sent_messages(self._link.connected()[1])
