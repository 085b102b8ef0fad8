"""``qllm-console``: the console, or with a command its headless twin. Imports nothing heavy before it is needed."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import exit_codes
from console.commands.context import Context
from console.commands.output import report
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter
    from console.session import Session


class _Version(argparse.Action):
    """Prints the version. It is looked up only here, because that takes half as long as the first paint."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"qllm-console {version('qllm-console')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Parser of the command line; the shared options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--host", metavar="NAME", help="a host of hosts.toml (default: local)")
    shared.add_argument(
        "--experiment", metavar="FILE", type=Path, help="experiment file (default: configs/scaling.toml)"
    )
    shared.add_argument("--hosts", metavar="FILE", type=Path, help="hosts file (default: configs/hosts.toml)")
    shared.add_argument("--profile", metavar="NAME", help="full, smoke or demo (default: full)")
    shared.add_argument("--runs", metavar="DIR", type=Path, help="folder that runs are synced to (default: runs)")
    shared.add_argument("--read-only", action="store_true", help="change nothing on the host")
    chosen = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    chosen.add_argument("--condition", action="append", metavar="NAME", help="only this condition; may be repeated")
    chosen.add_argument("--take-over", action="store_true", help="take the host's lease from another console")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print JSON on stdout")
    top = argparse.ArgumentParser(
        prog="qllm-console", parents=[shared], description="Control console for controlled scaling experiments."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands, [shared, chosen, as_json])
    commands.add_parser("status", parents=[shared, as_json], help="print the state of every run on the host")
    abort = commands.add_parser("abort", parents=[shared, chosen, as_json], help="end runs with all their processes")
    abort.add_argument("--seed", action="append", type=int, metavar="N", help="only this seed; may be repeated")
    abort.add_argument("--all", action="store_true", help="every run of the profile")
    _add_restore(commands, [shared, as_json])
    preflight = commands.add_parser(
        "preflight", parents=[shared, as_json], help="check that the host has what a run needs"
    )
    preflight.add_argument("--repair", action="store_true", help="carry out the repairs that the checks advise")
    _add_sync(commands, [shared, as_json])
    _add_results(commands, shared, as_json)
    _add_items(commands, [shared, as_json])
    _add_decisions(commands, shared, as_json)
    return top


def _add_results(commands: Any, shared: argparse.ArgumentParser, as_json: argparse.ArgumentParser) -> None:
    written = argparse.ArgumentParser(add_help=False)
    formats = written.add_mutually_exclusive_group()
    for name, what in (("markdown", "Markdown"), ("latex", "a LaTeX document"), ("csv", "CSV, a row for each number")):
        formats.add_argument(f"--{name}", action="store_true", help=f"print {what} on stdout")
    results = commands.add_parser(
        "results",
        parents=[shared, as_json, written],
        help="print the results of the synced runs and the verdict; asks no host",
    )
    results.add_argument(
        "--exit-code", action="store_true", help="exit with 5 where nothing is to be shipped, with 7 if undecided"
    )
    compare = commands.add_parser("compare", parents=[shared, as_json, written], help="print one comparison in full")
    compare.add_argument("ours", metavar="OURS", help="a condition, such as B")
    compare.add_argument("theirs", metavar="THEIRS", help="the condition it is compared with, or mean_pool")
    page = commands.add_parser("report", parents=[shared], help="write the results as one HTML page without network")
    page.add_argument("--html", metavar="FILE", type=Path, required=True, help="the page, replaced if it exists")


def _add_decisions(commands: Any, shared: argparse.ArgumentParser, as_json: argparse.ArgumentParser) -> None:
    commands.add_parser(
        "decisions", parents=[shared, as_json], help="print what was decided on the results, by whom, when and why"
    )
    decide = commands.add_parser("decide", parents=[shared], help="record a decision on the results as they are now")
    decide.add_argument("decision", choices=("ship", "fall-back", "do-not-ship", "go-on"))
    decide.add_argument("--reason", dest="why", metavar="TEXT", required=True, help="why it is decided so")
    decide.add_argument(
        "--condition", dest="decided_condition", metavar="NAME", default="", help="what is shipped, or fallen back to"
    )


def _add_items(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    items = commands.add_parser("items", parents=parents, help="print the evaluation items of the synced runs")
    changed = items.add_mutually_exclusive_group()
    changed.add_argument("--fixed-by", metavar="NAME", help="items that this condition ranks right and another wrong")
    changed.add_argument("--broken-by", metavar="NAME", help="items that this condition ranks wrong and another right")
    items.add_argument("--over", metavar="NAME", help="the other condition (default: as the experiment compares)")
    items.add_argument(
        "--by",
        choices=("majority", "margin"),
        default="majority",
        help="of its seeds (default), or mean margin above 0",
    )
    items.add_argument("--lemma", metavar="WORD", default="", help="only items of this lemma")
    items.add_argument("--reason", metavar="CODE", default="", help="only killers with this reason code")
    items.add_argument("--tier", metavar="NAME", default="", help="only items of this tier")
    items.add_argument("--kind", choices=("retrieval", "coherence"), default="", help="only items of this kind")


def _add_run(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", parents=parents, help="launch runs, follow them, print the results")
    run.add_argument(
        "--seed",
        action="append",
        metavar="N|N-N",
        help="only this seed, or these; new ones are added to the profile; may be repeated",
    )
    run.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="NAME=VALUE",
        help="a changed setting, such as training.epochs=3: makes a derived condition of each chosen one; may be repeated",
    )
    run.add_argument(
        "--why", metavar="TEXT", default="", help="why conditions or seeds are added (default: what is changed)"
    )
    run.add_argument("--dry-run", action="store_true", help="only print what would be launched; asks no host")
    run.add_argument("--restart", action="store_true", help="start every run over, finished ones too")
    run.add_argument("--yes", action="store_true", help="set older results and checkpoints aside without asking")
    strict = run.add_mutually_exclusive_group()
    strict.add_argument("--strict", action="store_true", default=None, help="a failed ship blocker fails its run")
    strict.add_argument("--no-strict", dest="strict", action="store_false", help="ship blockers are only reported")
    run.add_argument("--detach", action="store_true", help="return once the runs are queued")


def _add_restore(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    restore = commands.add_parser("restore", parents=parents, help="bring back what a later launch of a run set aside")
    restore.add_argument("run", metavar="RUN", help="the run, such as A/42")
    restore.add_argument("--key", metavar="KEY", help="launch to restore, or its first digits (default: list them)")
    restore.add_argument("--take-over", action="store_true", help="take the host's lease from another console")


def _add_sync(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    sync = commands.add_parser("sync", help="push a folder to the host, pull one from it, or pull ended runs")
    directions = sync.add_subparsers(dest="direction", metavar="push|pull", required=True)
    push = directions.add_parser("push", parents=parents, help="make a folder on the host equal to a local one")
    push.add_argument("folder", nargs="?", metavar="FOLDER", type=Path, help="local folder (default: this folder)")
    push.add_argument("--to", dest="remote", metavar="NAME", help="folder in the workspace (default: project)")
    push.add_argument(
        "--delete", action="store_true", help="delete files that exist only on the host, after confirmation"
    )
    push.add_argument("--max-delete", metavar="N|P%", default="50", help="delete at most N files or P percent (50)")
    push.add_argument("--yes", action="store_true", help="deletions within the limit need no confirmation")
    pull = directions.add_parser("pull", parents=parents, help="pull every ended run, or with --from a folder")
    pull.add_argument(
        "folder", nargs="?", metavar="FOLDER", type=Path, help="with --from: local folder (default: this)"
    )
    pull.add_argument("--from", dest="remote", metavar="PATH", help="folder in the workspace, or an absolute path")
    for direction in (push, pull):
        direction.add_argument(
            "--exclude", action="append", metavar="PATTERN", help="exclude this too; may be repeated"
        )
        direction.add_argument("--no-excludes", action="store_true", help="exclude nothing but what --exclude names")
        direction.add_argument("--rehash", action="store_true", help="hash every file again at both ends")
        direction.add_argument("--dry-run", action="store_true", help="only print what would be done")


_MODULES = {"compare": "results", "report": "results", "decide": "decisions"}
"""Modules of the commands that have none of their own name."""

DEFAULTS = {
    "host": "local",
    "experiment": None,
    "hosts": None,
    "profile": "full",
    "runs": Path("runs"),
    "read_only": False,
    "condition": None,
    "seed": None,
    "settings": None,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of ``exit_codes``."""
    options = parser().parse_args(arguments, argparse.Namespace(**DEFAULTS))
    try:
        sys.exit(_command(Context(options)))
    except BadInput as error:
        report(f"qllm-console: error: {error}")
        sys.exit(exit_codes.BAD_INPUT)
    except OSError as error:
        report(f"qllm-console: error: {error}")
        sys.exit(exit_codes.FAILED)
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)


def _command(context: Context) -> int:
    """Exit code of the command: the function of its name in ``console/commands``; without a command, the console opens."""
    name: str | None = context.options.command
    if name is None:
        return _open_console(context)
    module = importlib.import_module(f"console.commands.{_MODULES.get(name, name)}")
    command = getattr(module, name)
    return int(command(context))


def _open_console(context: Context) -> int:
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on stderr
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise BadInput("the console needs a terminal; `qllm-console run`, `status` and `results` do not")
    os.environ.pop("TEXTUAL_LOG", None)  # Textual would write every key to this file, those of passwords too
    os.environ.setdefault(
        "ESCDELAY", "25"
    )  # ms to wait after Esc for the rest of an arrow key; Textual's 100 ms are noticeable
    sys.setswitchinterval(0.001)  # a thread that computes delays keys and screen by 1 ms, not by 5
    gc.disable()  # there is no garbage yet, and looking for it takes 7% of the time to the first paint
    from console.ui.app import ConsoleApp

    def open_session(prompter: Prompter) -> Session:
        gc.freeze()
        gc.enable()
        return context.session(prompter)

    app = ConsoleApp(
        open_session, context.experiment, context.profile, context.host.title, read_only=context.options.read_only
    )
    app.run()
    return app.return_code or exit_codes.DONE


if __name__ == "__main__":
    main()
