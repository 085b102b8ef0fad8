"""Reads a file line by line in bounded memory, however long its lines are."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from engine.contract.bad_input import BadInput

LONGEST = 4 << 20
"""The most bytes of a line; a longer one is passed over, all but its beginning."""

_BEGINNING = 1 << 16
_CHUNK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_AROUND = len(_BYTE_ORDER_MARK) + len(b"\n") + 1
_MAGIC = 8
_NOT_LINES = {
    b"\x1f\x8b": "is compressed with gzip; uncompress it first",
    b"BZh": "is compressed with bzip2; uncompress it first",
    b"\xfd7zXZ": "is compressed with xz; uncompress it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; uncompress it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"PAR1": "is a Parquet file, not JSON Lines",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        number: from 1.
        content: its bytes without the line's end; of a line that is too long, the first 64 KiB.
        length: how many bytes it has without its newline.
        marked: a byte order mark stood before it.
    """

    number: int
    content: bytes
    length: int
    marked: bool = False

    @property
    def blank(self) -> bool:
        return not self.content.strip()

    @property
    def too_long(self) -> bool:
        return self.length > LONGEST


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of ``path``, never more than about 4 MiB of them in memory.

    Raises:
        BadInput: the file is missing, unreadable, empty, no regular file, or of a kind that has no lines.
    """
    try:
        _refuse_no_file(path)
        with path.open("rb") as file:
            _refuse_no_lines(path, file.peek(_MAGIC))
            yield from _lines(file)
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error


def _lines(file: BinaryIO) -> Iterator[Line]:
    number = 0
    while part := file.readline(LONGEST + _AROUND):
        number += 1
        marked = number == 1 and part.startswith(_BYTE_ORDER_MARK)
        content = part.removeprefix(_BYTE_ORDER_MARK) if marked else part
        content = content.removesuffix(b"\n")
        length = len(content)
        if length > LONGEST:
            if not part.endswith(b"\n"):
                length += _pass_over(file)
            content = content[:_BEGINNING]
        yield Line(number, content.removesuffix(b"\r"), length, marked)


def _pass_over(file: BinaryIO) -> int:
    """Read to the end of the line, keeping nothing; returns how many bytes of it there were."""
    length = 0
    while part := file.readline(_CHUNK):
        length += len(part)
        if part.endswith(b"\n"):
            return length - 1
    return length


def _refuse_no_file(path: Path) -> None:
    """Refuse what would never end or has no bytes of its own: a pipe, a device, a folder."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise BadInput("is a folder" if stat.S_ISDIR(mode) else "is not a regular file", file=path)


def _refuse_no_lines(path: Path, beginning: bytes) -> None:
    if not beginning:
        raise BadInput("is empty", file=path)
    for magic, message in _NOT_LINES.items():
        if beginning.startswith(magic):
            raise BadInput(message, file=path)
