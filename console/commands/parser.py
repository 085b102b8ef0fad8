"""Parser of the command line: the options that commands share, and errors in words on one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

from engine.contract.bad_input import BadInput
from engine.contract.local_paths import local_path

_ARGUMENT = re.compile(r"argument (\S+): (.*)", re.DOTALL)
_WORDS = (  # argparse's own messages, in every version since 3.11
    (re.compile(r"expected (?:one|at least one) argument"), "needs a value"),
    (re.compile(r"not allowed with argument (\S+)"), r"cannot be given together with \1"),
    (re.compile(r"ignored explicit argument (.*)", re.DOTALL), r"takes no value, but got \1"),
    (re.compile(r"unrecognized arguments: (.*)", re.DOTALL), r"unknown argument: \1"),
    (re.compile(r"the following arguments are required: (.*)", re.DOTALL), r"missing: \1"),
)


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose errors are BadInput in words, on one line without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput for a message of argparse."""
        named = _ARGUMENT.fullmatch(message)
        field, text = named.groups() if named else (None, message)
        for pattern, words in _WORDS:
            text = pattern.sub(words, text)
        raise BadInput(f"{text}; see {self.prog} --help", field=field)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As in argparse, whose message differs from one version of Python to the next."""
        if action.choices is not None and value not in action.choices:
            known = ", ".join(str(choice) for choice in action.choices)
            raise argparse.ArgumentError(action, f"{value!r} is not one of: {known}")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def shared_options() -> Parser:
    """Options of every command."""
    shared = part()
    shared.add_argument("--host", metavar="NAME", help="a host of hosts.toml (default: local)")
    shared.add_argument(
        "--experiment", metavar="FILE", type=local_path, help="experiment file (default: configs/scaling.toml)"
    )
    shared.add_argument("--hosts", metavar="FILE", type=local_path, help="hosts file (default: configs/hosts.toml)")
    shared.add_argument("--profile", metavar="NAME", help="full, smoke or demo (default: full)")
    shared.add_argument("--runs", metavar="DIR", type=local_path, help="folder that runs are synced to (default: runs)")
    shared.add_argument("--read-only", action="store_true", help="change nothing but the synced runs")
    return shared


def condition_option() -> Parser:
    """The option that chooses conditions of the profile."""
    chosen = part()
    chosen.add_argument("--condition", action="append", metavar="NAME", help="only this condition; may be repeated")
    return chosen


def chosen_options() -> Parser:
    """Options that choose runs of the profile."""
    chosen = Parser(add_help=False, argument_default=argparse.SUPPRESS, parents=[condition_option()])
    chosen.add_argument("--seed", action="append", type=whole, metavar="N", help="only this seed; may be repeated")
    return chosen


def host_options() -> Parser:
    """Options of every command that asks a host."""
    on_host = part()
    on_host.add_argument("--timeout", type=seconds, metavar="S", help="give up after S seconds, with exit code 124")
    on_host.add_argument(
        "--progress", choices=("text", "ndjson"), help="progress on stderr: lines of text (default), or of JSON"
    )
    return on_host


def json_option() -> Parser:
    """The option of every command that prints something."""
    as_json = Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print JSON on stdout, as docs/json.md describes it")
    return as_json


def part() -> Parser:
    """A group of options for ``parents=``; those that are not given leave the defaults alone."""
    return Parser(add_help=False, argument_default=argparse.SUPPRESS)


def whole(text: str) -> int:
    """Parse a whole number; as all of these, raises ArgumentTypeError."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def not_empty(text: str) -> str:
    """Refuse "", which is what a shell makes of a variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if (number := whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def decimal(text: str, wanted: str, fits: Callable[[float], bool]) -> float:
    """Parse a number that ``fits``; the error says that ``wanted`` is."""
    with suppress(ValueError):
        if fits(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")


def seconds(text: str) -> float:
    """Parse a finite time in seconds above 0."""
    return decimal(text, "a number of seconds above 0", lambda value: 0 < value < math.inf)


def port(text: str) -> int:
    """Parse a TCP port number; 0 lets the system choose a free one."""
    if not 0 <= (number := whole(text)) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to 65535")
    return number


def fraction(text: str) -> float:
    """Parse the weight of an exponential average, 0 to 0.99."""
    return decimal(text, "a number from 0 to 0.99", lambda value: 0 <= value <= 0.99)
