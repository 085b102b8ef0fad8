"""``qllm-console``: the console, or with a command its headless twin. Imports nothing heavy before it must."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console import exit_codes
from console.commands.context import Context
from console.commands.output import say
from engine.contract.bad_input import BadInput


def add_sync(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add ``sync push`` and ``sync pull`` to the sub-parsers ``commands``; ``parents`` hold what all commands share."""
    sync = commands.add_parser("sync", help="push a folder to the host, pull one from it, or bring runs home")
    directions = sync.add_subparsers(dest="direction", metavar="push|pull", required=True)
    push = directions.add_parser("push", parents=parents, help="bring the host's folder in step with one here")
    push.add_argument("folder", nargs="?", metavar="FOLDER", type=Path, help="what to push (default: this folder)")
    push.add_argument("--to", dest="remote", metavar="NAME", help="folder of the workspace (default: project)")
    push.add_argument("--delete", action="store_true", help="delete there what is not here, once confirmed")
    push.add_argument("--max-delete", metavar="N|P%", default="50", help="at most so many files, or such a share (50)")
    push.add_argument("--yes", action="store_true", help="deletions within the cap need no confirmation")
    pull = directions.add_parser("pull", parents=parents, help="bring runs that ended home, or a folder with --from")
    pull.add_argument(
        "folder", nargs="?", metavar="FOLDER", type=Path, help="with --from: where to (default: this folder)"
    )
    pull.add_argument("--from", dest="remote", metavar="PATH", help="folder of the workspace, or an absolute path")
    for one in (push, pull):
        one.add_argument("--exclude", action="append", metavar="PATTERN", help="leave this out too; may be repeated")
        one.add_argument("--no-excludes", action="store_true", help="leave nothing out but what --exclude says")
        one.add_argument("--rehash", dest="afresh", action="store_true", help="read every file at both ends")
        one.add_argument("--dry-run", action="store_true", help="only say what would be done")


class _Version(argparse.Action):
    """Looks the version up only when asked for it: that alone costs as much as half the first paint."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"qllm-console {version('qllm-console')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line; the shared options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--host", metavar="NAME", help="a host of hosts.toml (default: local)")
    shared.add_argument(
        "--experiment", metavar="FILE", type=Path, help="the experiment (default: configs/scaling.toml)"
    )
    shared.add_argument("--hosts", metavar="FILE", type=Path, help="the hosts (default: configs/hosts.toml)")
    shared.add_argument("--profile", metavar="NAME", help="full, smoke or demo (default: full)")
    shared.add_argument("--runs", metavar="DIR", type=Path, help="where runs come home (default: runs)")
    shared.add_argument("--read-only", action="store_true", help="change nothing on the host")
    top = argparse.ArgumentParser(
        prog="qllm-console", parents=[shared], description="Control console for controlled scaling experiments."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    chosen = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    chosen.add_argument("--condition", action="append", metavar="NAME", help="only this condition; may be repeated")
    chosen.add_argument("--seed", action="append", type=int, metavar="N", help="only this seed; may be repeated")
    chosen.add_argument("--take-over", action="store_true", help="take the host's lease from another console")
    json_output = argparse.ArgumentParser(add_help=False)
    json_output.add_argument("--json", action="store_true", help="print JSON on stdout")
    run = commands.add_parser(
        "run", parents=[shared, chosen, json_output], help="launch runs, follow them, print results"
    )
    run.add_argument("--fresh", action="store_true", help="run again what finished with the same settings")
    strict = run.add_mutually_exclusive_group()
    strict.add_argument("--strict", action="store_true", default=None, help="a failed ship blocker fails its run")
    strict.add_argument("--no-strict", dest="strict", action="store_false", help="ship blockers are reported only")
    run.add_argument("--detach", action="store_true", help="launch and return; runs go on")
    commands.add_parser("status", parents=[shared, json_output], help="the runs as they are on the host")
    abort = commands.add_parser(
        "abort", parents=[shared, chosen, json_output], help="end runs with all their processes"
    )
    abort.add_argument("--all", action="store_true", help="every run of the profile")
    preflight = commands.add_parser(
        "preflight", parents=[shared, json_output], help="whether the host has what a run needs"
    )
    preflight.add_argument(
        "--repair", action="store_true", help="do what the checks advise, where it can be done from here"
    )
    add_sync(commands, [shared, json_output])
    commands.add_parser("results", parents=[shared, json_output], help="the results of the runs that are at home")
    return top


DEFAULTS = {
    "host": "local",
    "experiment": None,
    "hosts": None,
    "profile": "full",
    "runs": Path("runs"),
    "read_only": False,
    "condition": None,
    "seed": None,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of ``exit_codes``."""
    options = parser().parse_args(arguments)
    for name, value in DEFAULTS.items():
        if not hasattr(options, name):
            setattr(options, name, value)
    try:
        sys.exit(_command(Context(options)))
    except BadInput as error:
        say(f"qllm-console: error: {error}")
        sys.exit(exit_codes.BAD_INPUT)
    except OSError as error:
        say(f"qllm-console: error: {error}")
        sys.exit(exit_codes.FAILED)
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)


def _command(context: Context) -> int:
    match context.options.command:
        case None:
            return _open_console(context)
        case "results":
            from console.commands.results import results

            return results(context)
        case "run":
            from console.commands.run import run

            return run(context)
        case "sync":
            from console.commands.sync import sync

            return sync(context)
        case "preflight":
            from console.commands.preflight import preflight

            return preflight(context)
        case "status":
            from console.commands.status import status

            return status(context)
        case _:
            from console.commands.abort import abort

            return abort(context)


def _open_console(context: Context) -> int:
    streams = (sys.stdin, sys.stdout, sys.stderr)  # it draws on stderr
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise BadInput("the console needs a terminal; `qllm-console run`, `status` and `results` do without")
    os.environ.pop("TEXTUAL_LOG", None)  # it would write every key to a file, those of passwords too
    os.environ.setdefault("ESCDELAY", "25")  # ms: so long might Esc begin an arrow key; Textual's 100 are felt
    from console.ui.app import ConsoleApp

    app = ConsoleApp(
        context.session, context.experiment, context.profile, context.host.title, read_only=context.options.read_only
    )
    app.run()
    return app.return_code or exit_codes.DONE


if __name__ == "__main__":
    main()
