"""Options of the commands that ask a host: run, status, abort, restore, preflight, sync."""

from __future__ import annotations

from console.commands.parser import Commands, Parser, chosen_options, condition_option, count, not_empty, port
from engine.contract.local_paths import local_path


def add_host_commands(commands: Commands, parents: list[Parser]) -> None:
    """Add the commands; ``parents`` are the options that all of them have."""
    chosen = chosen_options()
    _add_run(commands, [*parents, condition_option()])
    commands.add_parser("status", parents=parents, help="print the state of every run on the host")
    _add_watch(commands, [*parents, chosen])
    wait = commands.add_parser("wait", parents=[*parents, chosen], help="wait until runs have ended or reached a state")
    wait.add_argument(
        "--until",
        metavar="WHAT",
        default="all-ended",
        help="finished, failed, all-ended (default), or RUN=STATE such as A/42=running",
    )
    _add_logs(commands, [*parents, chosen])
    abort = commands.add_parser("abort", parents=[*parents, chosen], help="end runs with all their processes")
    abort.add_argument("--all", action="store_true", help="every run of the profile")
    _add_take_over(abort)
    _add_restore(commands, parents)
    preflight = commands.add_parser("preflight", parents=parents, help="check that the host has what a run needs")
    preflight.add_argument("--repair", action="store_true", help="carry out the repairs that the checks advise")
    notify = commands.add_parser("notify", parents=parents, help="print what the host has notified of, or test it")
    notify.add_argument(
        "--test", action="store_true", help="have the host send a test message to each URL of its entry"
    )
    _add_sync(commands, parents)
    _add_serve(commands, parents[:-1])  # it waits for no host


def _add_watch(commands: Commands, parents: list[Parser]) -> None:
    watch = commands.add_parser("watch", parents=parents, help="show the runs as they change, until interrupted")
    watch.add_argument(
        "--until",
        choices=("synced",),
        default=None,
        help="sync the runs, and end once all (or the chosen ones) have ended and every byte on the host is local and verified",
    )
    watch.add_argument(
        "argv",
        nargs="*",
        metavar="-- COMMAND",
        help="with --until: run this program then, such as a provider's stop call (default: when_done of hosts.toml)",
    )


def _add_run(commands: Commands, parents: list[Parser]) -> None:
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
    _add_take_over(run)


def _add_logs(commands: Commands, parents: list[Parser]) -> None:
    logs = commands.add_parser("logs", parents=parents, help="print the logs of runs, or follow them on the host")
    logs.add_argument("run", nargs="?", metavar="RUN", help="the run, such as A/42 (default: all chosen ones)")
    logs.add_argument("-f", "--follow", action="store_true", help="follow the host's logs until the runs have ended")
    logs.add_argument(
        "--grep",
        metavar="QUERY",
        default="",
        help="only lines with these words: text, /regular expression/, !word to exclude, as in view 3",
    )
    logs.add_argument(
        "--level", choices=("debug", "info", "warning", "error"), help="only lines of this level or above"
    )
    logs.add_argument("--tail", type=count, metavar="N", help="only the last N lines of each log (with -f: 20)")


def _add_take_over(command: Parser) -> None:
    command.add_argument("--take-over", action="store_true", help="take the host's lease from another console")


def _add_restore(commands: Commands, parents: list[Parser]) -> None:
    restore = commands.add_parser("restore", parents=parents, help="bring back what a later launch of a run set aside")
    restore.add_argument("run", metavar="RUN", help="the run, such as A/42")
    restore.add_argument("--key", metavar="KEY", help="launch to restore, or its first digits (default: list them)")
    _add_take_over(restore)


def _add_sync(commands: Commands, parents: list[Parser]) -> None:
    sync = commands.add_parser("sync", help="push a folder to the host, pull one from it, or pull ended runs")
    directions = sync.add_subparsers(dest="direction", metavar="push|pull", required=True)
    push = directions.add_parser("push", parents=parents, help="make a folder on the host equal to a local one")
    push.add_argument(
        "folder", nargs="?", metavar="FOLDER", type=local_path, help="local folder; . is the whole of this one"
    )
    push.add_argument(
        "--to", dest="remote", metavar="NAME", type=not_empty, help="folder in the workspace (default: project)"
    )
    push.add_argument(
        "--delete", action="store_true", help="delete files that exist only on the host, after confirmation"
    )
    push.add_argument("--max-delete", metavar="N|P%", default="50", help="delete at most N files or P percent (50)")
    push.add_argument("--yes", action="store_true", help="deletions within the limit need no confirmation")
    pull = directions.add_parser("pull", parents=parents, help="pull every ended run, or with --from a folder")
    pull.add_argument(
        "folder", nargs="?", metavar="FOLDER", type=local_path, help="with --from: local folder (default: this)"
    )
    pull.add_argument(
        "--from", dest="remote", metavar="PATH", type=not_empty, help="folder in the workspace, or an absolute path"
    )
    for direction in (push, pull):
        direction.add_argument(
            "--exclude", action="append", metavar="PATTERN", help="exclude this too; may be repeated"
        )
        direction.add_argument("--no-excludes", action="store_true", help="exclude nothing but what --exclude names")
        direction.add_argument("--rehash", action="store_true", help="hash every file again at both ends")
        direction.add_argument("--dry-run", action="store_true", help="only print what would be done")


def _add_serve(commands: Commands, parents: list[Parser]) -> None:
    serve = commands.add_parser("serve", parents=parents, help="show the console in a browser, read-only")
    serve.add_argument("--read-write", action="store_true", help="let the page launch and abort runs")
    serve.add_argument("--port", type=port, metavar="N", default=0, help="port (default: any free one)")
    serve.add_argument("--address", metavar="IP", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--allow-remote", action="store_true", help="allow an address that other machines can reach")
