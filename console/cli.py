"""``qllm-console``: the console, or with a command its headless twin. Imports nothing heavy before it is needed."""

from __future__ import annotations

import os
import sys

# for this import the engine beside this package comes first, not a folder of that name that PYTHONPATH names
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
from engine.contract.import_path import put_user_folders_last

del sys.path[0]
put_user_folders_last()

import argparse
import gc
import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.completion import SHELLS, PrintCompletion
from console.commands.context import Context
from console.commands.host_options import add_host_commands
from console.commands.output import progress_as_ndjson, report_error
from console.commands.parser import Parser, host_options, json_option, shared_options
from console.commands.result_options import add_result_commands, add_view
from console.commands.switch import ContextSwitcher
from console.glyphs import glyphs_for
from console.user_settings import read_settings, settings_folder, state_folder
from engine.contract.bad_input import BadInput
from engine.contract.local_paths import ensure_account

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter
    from console.local.session import LocalSession
    from console.session import Session
    from console.ui.session_protocol import SessionProtocol, Switcher
    from engine.contract.experiment import Experiment


class _Version(argparse.Action):
    """Prints the version. It is looked up only here, because that takes half as long as the first paint."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"qllm-console {version('qllm-console')}")
        parser.exit()


_COMMANDS = {
    "run": "run",
    "status": "status",
    "watch": "watch",
    "wait": "wait",
    "abort": "abort",
    "restore": "restore",
    "preflight": "preflight",
    "notify": "notify",
    "sync": "sync",
    "results": "results",
    "compare": "results",
    "report": "results",
    "items": "items",
    "decisions": "decisions",
    "decide": "decisions",
    "derive": "derive",
    "schema": "json_schemas",
    "serve": "serve",
    "logs": "logs",
    "curves": "curves",
}
"""Module in ``console/commands`` of each command; the function there has the command's name."""

DEFAULTS = {
    "command": None,
    "host": "local",
    "experiment": None,
    "hosts": None,
    "profile": "full",
    "runs": Path("runs"),
    "read_only": False,
    "condition": None,
    "seed": None,
    "settings": None,
    "timeout": None,
    "progress": "text",
}


def parser() -> Parser:
    """Parser of the command line; the shared options may stand before or after the command."""
    shared, as_json = shared_options(), json_option()
    top = Parser(
        prog="qllm-console",
        parents=[shared],
        description="Control console for controlled scaling experiments. Without a command, it opens on the terminal.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    top.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        metavar="SHELL",
        help="print the completion script for bash, zsh, tcsh or fish, and exit",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    add_host_commands(commands, [shared, as_json, host_options()])
    add_result_commands(commands, [shared, as_json])
    add_view(commands)
    return top


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options in ``arguments``.

    Raises:
        BadInput: they are wrong.
    """
    # making the parsers of all commands takes 10 ms before the first paint
    if {*_COMMANDS, "view"}.isdisjoint(arguments):
        with suppress(BadInput):  # the complete parser says what is wrong, and knows --help
            return shared_options().parse_args(arguments, argparse.Namespace(**DEFAULTS))
    return parser().parse_args(arguments, argparse.Namespace(**DEFAULTS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of ``exit_codes``."""
    progress_as_ndjson(None)
    ensure_account()
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        if options.progress == "ndjson":
            from console.commands.answers import use_ndjson

            use_ndjson(options.command)
        sys.exit(_view(options) if options.command == "view" else _command(Context(options)))
    except BadInput as error:
        report_error(error)
        sys.exit(exit_codes.BAD_INPUT)
    except OSError as error:
        report_error(error)
        sys.exit(exit_codes.FAILED)
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)


def _command(context: Context) -> int:
    """Exit code of the command: the function of its name in ``console/commands``; without a command, the console opens."""
    name: str | None = context.options.command
    if name is None:
        return _open_console(context)
    module = importlib.import_module(f"console.commands.{_COMMANDS[name]}")
    return int(getattr(module, name)(context))


def _open_console(context: Context) -> int:
    _prepare_terminal()

    switcher = ContextSwitcher(context)

    def open_session(prompter: Prompter) -> Session:
        switcher.remember()
        return context.session(prompter)

    return _run_console(
        open_session,
        context.experiment,
        context.profile,
        context.host_title,
        read_only=context.options.read_only,
        switcher=switcher,
        cli_options=_file_options(context.options),
        runs_dir=context.runs_dir,
    )


def _file_options(options: argparse.Namespace) -> tuple[str, ...]:
    """The options that name files, as far as they were given, for the commands that the console shows to be copied."""
    chosen = {name: getattr(options, name) for name in ("experiment", "hosts", "runs")}
    given = {name: path for name, path in chosen.items() if path not in (None, DEFAULTS[name])}
    return tuple(word for name, path in given.items() for word in (f"--{name}", str(path)))


def _view(options: argparse.Namespace) -> int:
    """Open the console on local copies alone."""
    from console.local.experiment import find_experiment

    found = find_experiment(options.folder, options.experiment)
    _prepare_terminal()

    def open_session(_: Prompter) -> LocalSession:
        from console.local.replay import ReplaySession
        from console.local.session import LocalSession

        return ReplaySession(found, options.speed) if options.replay else LocalSession(found)

    return _run_console(
        open_session,
        found.experiment,
        found.profile,
        "local copy",
        has_host=False,
        in_replay=options.replay,
        runs_dir=None if options.replay else found.folder.parent,
    )


def _prepare_terminal() -> None:
    """Make the process ready to draw; raises BadInput where there is no terminal."""
    if _is_served():
        return
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on stderr
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise BadInput("the console needs a terminal; `qllm-console run`, `status` and `results` do not")
    os.environ.pop("TEXTUAL_LOG", None)  # Textual would write every key to this file, those of passwords too
    os.environ.setdefault(
        "ESCDELAY", "25"
    )  # ms to wait after Esc for the rest of an arrow key; Textual's 100 ms are noticeable
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # empty, it asks for nothing; Textual takes it for a request
    sys.setswitchinterval(0.001)  # a thread that computes delays keys and screen by 1 ms, not by 5
    gc.disable()  # there is no garbage yet, and looking for it takes 7% of the time to the first paint


def _is_served() -> bool:
    """Whether a web page shows this console, so that its streams are pipes to the server."""
    driver = os.environ.get("TEXTUAL_DRIVER")
    if driver is None:
        return False
    from console.commands.serve import SERVED_DRIVER

    return driver == SERVED_DRIVER


def _run_console(
    open_session: Callable[[Prompter], SessionProtocol],
    experiment: Experiment,
    profile: str,
    host_title: str,
    *,
    read_only: bool = False,
    has_host: bool = True,
    in_replay: bool = False,
    switcher: Switcher | None = None,
    cli_options: tuple[str, ...] = (),
    runs_dir: Path | None = None,
) -> int:
    """Run the console; ``open_session`` is called in a thread, after the first paint.

    Args:
        runs_dir: folder of all experiments, whose screens are as they were left; None: they begin in view 2.
    """
    folder = settings_folder()
    settings = read_settings(folder)
    term = "xterm" if _is_served() else os.environ.get("TERM", "")
    glyphs = glyphs_for(sys.stderr.encoding, term, settings.glyphs)
    from console.ui.app import ConsoleApp
    from console.ui.keymap import read_keys
    from console.ui.saved_screen import SavedScreens

    moved_keys = read_keys(folder, vim_keys=settings.vim_keys)

    def open_after_paint(prompter: Prompter) -> SessionProtocol:
        gc.freeze()
        gc.enable()
        return open_session(prompter)

    screens = None
    if runs_dir is not None and not _is_served():  # whoever looks at a page does not move the operator's screen
        screens = SavedScreens(state_folder(), runs_dir, may_write=not read_only)
    app = ConsoleApp(
        open_after_paint,
        experiment,
        profile,
        host_title,
        read_only=read_only,
        has_host=has_host,
        in_replay=in_replay,
        settings=settings,
        moved_keys=moved_keys,
        glyphs=glyphs,
        switcher=switcher,
        cli_options=cli_options,
        screens=screens,
    )
    app.run()
    return app.return_code or exit_codes.DONE


if __name__ == "__main__":
    main()
