"""Where Python imports from: what is installed comes before the folders that a user's environment and shell name.

Programs import this module before any other: it needs nothing but ``os`` and ``sys``, which Python has loaded by then.
"""

from __future__ import annotations

import os
import sys


def isolated_python() -> tuple[str, ...]:
    """Command line of this Python, started so that it imports what is installed and no module of the user's.

    The user's own site-packages, ``~/.local``, count only where they do so in this process: it may be installed there.
    """
    import site

    return (sys.executable, *(("-E", "-P") if site.ENABLE_USER_SITE else ("-I",)))


def put_user_folders_last() -> None:
    """Put the folders of ``PYTHONPATH`` and the current one at the end of ``sys.path``; programs call it before they import.

    They stay on it: a cluster's modules name installed packages by ``PYTHONPATH``. There, a file called ``queue.py`` is no
    longer imported in place of Python's own.
    """
    named = set()
    if not sys.flags.ignore_environment and "PYTHONPATH" in os.environ:
        named = {_absolute(folder) for folder in os.environ["PYTHONPATH"].split(os.pathsep)}
    if sys.path and _absolute(sys.path[0]) == _absolute(""):  # as of -m and -c
        named.add(_absolute(""))
    sys.path[:] = sorted(sys.path, key=lambda folder: _absolute(folder) in named)  # sorted is stable


def _absolute(folder: str) -> str:
    try:
        return os.path.abspath(folder)  # noqa: PTH100 - pathlib imports more
    except FileNotFoundError:  # the current folder was deleted
        return folder
