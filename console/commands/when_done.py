"""Runs the operator's command once all is done, as ``run`` and ``watch`` do: its output and its end are on stderr."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from console import exit_codes
from console.commands.output import report
from console.hosts.when_done import DONE_TEXT

_STDERR = 2


async def run_when_done(argv: Sequence[str]) -> int:
    """Say that all is done, and run the operator's command without a shell, its output on stderr; 1 if it failed, else 0."""
    report(DONE_TEXT)
    if not argv:
        return exit_codes.DONE
    report(f"running {argv[0]}")  # not its arguments, which may hold a key
    try:
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=_STDERR)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        report(f"{argv[0]}: {getattr(error, 'strerror', None) or error}", "error")
        return exit_codes.FAILED
    try:
        code = await process.wait()
    except asyncio.CancelledError:  # --timeout is over: half of a stop may be worse than all of it
        report(f"{argv[0]} has not ended (process {process.pid}); it goes on by itself", "error")
        raise
    report(f"{argv[0]} ended with {code}", "message" if code == 0 else "error")
    return exit_codes.DONE if code == 0 else exit_codes.FAILED
