"""``qllm-console notify``: what the host has notified of, or with ``--test`` a test message from the host itself."""

from __future__ import annotations

import time

from console import exit_codes
from console.commands.answers import NotifyLogAnswer, NotifyTestAnswer, print_json
from console.commands.connect import command, connected
from console.commands.context import Context
from console.commands.output import print_line, report, table
from console.runs.sent_messages import outcomes_text
from engine.contract.bad_input import BadInput


@command
async def notify(context: Context) -> int:
    """Print the host's log of messages, or the outcome of a test for each URL.

    Returns:
        0; 1 if a test message was not sent to one of the URLs.
    """
    if not context.options.test:
        return await _print_log(context)
    if context.options.read_only:
        raise BadInput("nothing is sent, and no URL is kept on the host", field="--read-only")
    if not context.host.notify:
        raise BadInput("this host's entry in hosts.toml names no URL", field=f"hosts.{context.host_name}.notify")
    session = context.session()
    async with connected(session):
        try:
            await session.upkeep.keep_urls()
        except BadInput as error:
            report(f"these URLs are tested, and those before stay in use on the host: {error}")
        outcomes = await session.upkeep.test_notify()
    sent = not any(outcome.error for outcome in outcomes)
    if context.options.json:
        print_json("notify-test", "notify", NotifyTestAnswer(context.host_name, sent, outcomes))
    else:
        rows = [[str(number), one.url, one.error or "sent"] for number, one in enumerate(outcomes, 1)]
        print_line(table(("entry", "url", "outcome"), rows))
    return exit_codes.DONE if sent else exit_codes.FAILED


async def _print_log(context: Context) -> int:
    session = context.session()
    async with connected(session):
        messages = await session.upkeep.sent_messages()
    if context.options.json:
        print_json("notify-log", "notify", NotifyLogAnswer(context.host_name, messages))
        return exit_codes.DONE
    rows = [[_clock(one.at), one.folder, one.text, outcomes_text(one.outcomes)] for one in messages]
    print_line(table(("time", "runs", "message", "outcome"), rows) if rows else "nothing was sent yet")
    return exit_codes.DONE


def _clock(at: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, ValueError, OSError):  # a host that sends nonsense
        return "-"
