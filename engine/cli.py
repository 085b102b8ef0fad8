"""Command line ``qllm-engine``. Bad input is one line and exit code 2, before anything heavy is imported."""

from __future__ import annotations

from engine.contract.import_path import put_user_folders_last

put_user_folders_last()

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from engine.commands.check import add_check
from engine.commands.data import add_data
from engine.commands.evaluate import add_evaluate
from engine.commands.export import add_export
from engine.commands.notify import add_notify
from engine.commands.run import add_run
from engine.contract.bad_input import BadInput, printable
from engine.contract.local_paths import ensure_account

MACHINE_FAILED, BAD_INPUT = 1, 2

_EXIT_CODES = """\
exit codes: 0 done; 1 the machine failed it (disk, permissions); 2 wrong usage or bad input; 5 a ship blocker failed
under --strict; 6 the loss was not finite; a signal ends it as that signal"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    ensure_account()
    try:
        parser = _Parser(
            prog="qllm-engine", description="Prepares, trains and evaluates runs on the host.", epilog=_EXIT_CODES
        )
        commands = parser.add_subparsers(required=True, metavar="COMMAND")
        add_run(commands)
        add_evaluate(commands)
        add_check(commands)
        add_data(commands)
        add_export(commands)
        add_notify(commands)
        options = parser.parse_args(arguments)
        return int(options.command(options))
    except (BadInput, OSError) as error:
        print(f"qllm-engine: error: {printable(str(error))}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, BadInput) else MACHINE_FAILED
    except KeyboardInterrupt:
        return _end_by(signal.SIGINT)
    except Terminated:
        return _end_by(signal.SIGTERM)


class Terminated(BaseException):
    """Raised on SIGTERM; unwinds the stack so that no temporary file stays."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _end_by(number: signal.Signals) -> int:
    """End by the signal itself, so that the parent process sees which it was."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, like all bad input."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(message)


if __name__ == "__main__":
    sys.exit(main())
