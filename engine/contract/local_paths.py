"""Paths on this machine as people write them in files and options, and the user's home folder and name.

``~`` and ``~user`` are replaced in both; ``$NAME`` and ``${NAME}`` in files alone, since a shell has done it in options.
"""

from __future__ import annotations

import os
import re
from argparse import ArgumentTypeError
from pathlib import Path

_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?", re.ASCII)
_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # in the order in which getpass reads them


def expand(text: str) -> str:
    """``text`` of a file with ``~`` and variables replaced.

    Raises:
        ValueError: a user or a variable is unknown, or no path can be so; the message says which.
    """
    path = _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), expand_home(text))
    if unset := _VARIABLE.search(path):
        raise ValueError(f"{unset.group()} is not set")
    return path


def expand_home(text: str) -> str:
    """``text`` with ``~`` replaced; raises ValueError as ``expand``."""
    if "\0" in text or "\n" in text:
        raise ValueError("a path has no null byte or new line")
    path = os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111 - Path("a/./b") is another text
    if path.startswith("~"):
        raise ValueError(f"there is no user {path[1:].partition('/')[0]!r}")
    return path


def local_path(text: str) -> Path:
    """Type of an option that names a file or folder here; raises ArgumentTypeError."""
    if not text.strip():  # what a shell makes of a variable that is not set
        raise ArgumentTypeError("is empty")
    try:
        return Path(expand_home(text))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None


def ensure_account() -> None:
    """Give this process, and those it starts, a home folder and a user name if its user has none.

    A container may run under any number, such as ``docker run --user 12345``. Without an entry in passwd and without
    variables most programs end with a traceback or make a folder called ``~``; ``/`` is the home that Docker and login give.
    """
    has_name = any(os.environ.get(name) for name in _NAMES)
    if os.environ.get("HOME") and has_name:
        return
    if name := nameless_user():
        os.environ["HOME"] = os.environ.get("HOME") or "/"
        if not has_name:
            os.environ["LOGNAME"] = name
    elif not os.environ.get("HOME"):
        os.environ.pop("HOME", None)  # empty, it would be taken for the home folder


def nameless_user() -> str:
    """What a user without an entry in passwd is called here, such as ``uid12345``; "" for a user with one."""
    import pwd  # a look-up may ask a server on the network: only where it is needed

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid{os.getuid()}"
    return ""
