"""The local runs folder that ``--runs`` names, checked before anything starts."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from console.runs.experiment_source import read_source
from engine.contract.bad_input import BadInput

FIELD = "--runs"


def check_runs_folder(folder: Path, *, is_written: bool) -> None:
    """Check that ``folder`` can hold what is synced; it need not exist. Blocks.

    Args:
        is_written: the command writes it.

    Raises:
        BadInput: it is a file, lies below one, is a link to nothing, belongs to one experiment, or may not be read or, where
            ``is_written``, not be written.
    """
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        _check_parent(folder, is_written=is_written)
        return
    except (
        OSError,
        ValueError,
    ) as error:  # such as a link to itself, or a folder that may not be entered
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"{folder} cannot be read: {reason}", field=FIELD) from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{folder} is a file, not a folder", field=FIELD)
    if not os.access(folder, os.R_OK | os.X_OK):
        raise BadInput(f"{folder} may not be read by {_user()}", field=FIELD)
    if is_written and not os.access(folder, os.W_OK):
        raise BadInput(f"{folder} may not be written by {_user()}: runs could not be synced to it", field=FIELD)
    if (source := read_source(folder)) is not None:
        text = (
            f"{folder} is the folder of one experiment, {source.name}: name the folder that it is in, {folder.parent}"
        )
        raise BadInput(text, field=FIELD)


def _check_parent(folder: Path, *, is_written: bool) -> None:
    """Check that ``folder``, which does not exist, could be made."""
    parent = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not parent.exists():
        raise BadInput(f"{parent} is a link to {parent.readlink()}, which does not exist", field=FIELD)
    if not parent.is_dir():
        raise BadInput(f"{folder} cannot be made: {parent} is a file, not a folder", field=FIELD)
    if is_written and not os.access(parent, os.W_OK | os.X_OK):
        raise BadInput(f"{folder} cannot be made: {parent} may not be written by {_user()}", field=FIELD)


def _user() -> str:
    import getpass

    return getpass.getuser()
