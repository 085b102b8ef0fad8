"""The command line of ``qllm-console sync``; imports nothing, so that every other command stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
