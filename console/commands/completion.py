"""``--print-completion SHELL``: completion scripts, made by shtab from the parser of the command line."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from collections.abc import Iterator

SHELLS = ("bash", "zsh", "tcsh", "fish")
PROFILES = ("full", "smoke", "demo")


class PrintCompletion(Action):
    """Action of the option: prints the script and exits."""

    def __call__(self, parser: ArgumentParser, _: object, shell: object, option: str | None = None) -> None:
        print(completion_script(parser, str(shell)))
        parser.exit()


def completion_script(parser: ArgumentParser, shell: str) -> str:
    """The script for ``shell``: commands, options, their values where these are few, files and folders."""
    import shtab  # which no command needs

    kinds = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "FOLDER": shtab.DIRECTORY}
    for action in _actions(parser):
        kind = kinds.get(str(action.metavar))
        if kind is not None:
            action.complete = kind  # type: ignore[attr-defined]  # where shtab looks
        elif "--profile" in action.option_strings:
            action.choices = PROFILES
    return shtab.complete(parser, shell)


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """The arguments of the parser and of all its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from _actions(command)
