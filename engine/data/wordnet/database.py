"""Finds and reads WordNet's database files: synsets, sense order, exception lists, a content fingerprint."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.data.records import POS_NAMES, Pos
from engine.data.wordnet.gloss import split_gloss

REQUIRED = tuple(f"{kind}.{name}" for name in POS_NAMES.values() for kind in ("data", "index")) + tuple(
    f"{name}.exc" for name in POS_NAMES.values()
)
_USUAL_FOLDERS = (
    "/usr/share/wordnet",
    "/usr/local/share/wordnet",
    "/usr/share/WordNet",
    "/usr/local/WordNet-3.0",
    "/usr/local/share/WordNet",
    "/opt/homebrew/opt/wordnet",
    "/usr/share/wordnet-3.0",
    "/usr/share/wordnet/wordnet-3.0",
)

_Address = tuple[Pos, str]
"""How WordNet's files identify a synset: part of speech and byte offset in its data file."""
_POS_OF: dict[str, Pos] = {"n": "n", "v": "v", "a": "a", "s": "a", "r": "r"}
_ANTONYM = "!"


class Synset(Struct, frozen=True, gc=False):
    """One synset: ``name`` as in ``flip.v.06`` (``s`` for a satellite adjective), lemmas with case and spaces.

    ``markers`` are the syntactic positions of the lemmas, which some adjectives have: ``p`` predicate, ``a`` before a
    noun, ``ip`` right after one, else "". ``related`` names the synsets it points to: broader, narrower, part and whole,
    similar, derived; not its antonyms. ``frames`` are the numbers of each lemma's sentence frames if it is a verb, else
    none; 8 is "Somebody ----s something" (WordNet's manual page wninput(5WN) lists all 35).
    """

    name: str
    pos: Pos
    lemmas: tuple[str, ...]
    definition: str
    examples: tuple[str, ...]
    markers: tuple[str, ...]
    related: tuple[str, ...] = ()
    frames: tuple[frozenset[int], ...] = ()


class WordNet(Struct, frozen=True):
    """The content of a WordNet database.

    Attributes:
        synsets: by name, in the order of the files.
        senses: synset names by (lemma in lower case with spaces, part of speech), the commonest sense first.
        exceptions: base forms by irregular surface form, both with spaces, by part of speech.
        fingerprint: SHA-256 of the content; independent of byte offsets and white space.
    """

    synsets: dict[str, Synset]
    senses: dict[tuple[str, Pos], tuple[str, ...]]
    exceptions: dict[Pos, dict[str, tuple[str, ...]]]
    fingerprint: str


def find_wordnet(environ: Mapping[str, str], prefix: Path | None = None) -> Path:
    """The folder with WordNet's files: ``WNHOME`` (or its ``dict``), else the usual folders.

    Args:
        environ: the environment; only ``WNHOME`` is read.
        prefix: of the installation whose ``share/wordnet`` is tried first; ``sys.prefix`` if None.

    Raises:
        BadInput: ``WNHOME`` is set and has no WordNet (nothing else is tried then), or no folder has one.
    """
    wnhome = environ.get("WNHOME")
    parents = (Path(wnhome),) if wnhome else (default_folder(prefix), *map(Path, _USUAL_FOLDERS))
    for parent in parents:
        for folder in (parent, parent / "dict"):
            if is_wordnet(folder):
                return folder
    if wnhome:
        raise BadInput(
            "WNHOME names a folder without WordNet's data.*, index.* and *.exc files; correct it or unset it",
            file=Path(wnhome),
        )
    raise BadInput("WordNet 3.0 was not found: set WNHOME to its folder, or run `qllm-engine data obtain`")


def default_folder(prefix: Path | None = None) -> Path:
    """The folder for a downloaded WordNet: ``share/wordnet`` of the installation."""
    return (prefix or Path(sys.prefix)) / "share" / "wordnet"


def is_wordnet(folder: Path) -> bool:
    """Whether all of WordNet's files are in ``folder``; their content is not checked."""
    return all((folder / name).is_file() for name in REQUIRED)


def read_wordnet(folder: Path) -> WordNet:
    """Read WordNet's ``data.*``, ``index.*`` and ``*.exc`` files from ``folder``.

    Raises:
        BadInput: a file is missing or malformed; the error names the file and the line.
    """
    by_address: dict[_Address, Synset] = {}
    senses: dict[tuple[str, Pos], tuple[str, ...]] = {}
    exceptions: dict[Pos, dict[str, tuple[str, ...]]] = {}
    pointers: dict[_Address, _Pointers] = {}
    for pos, name in POS_NAMES.items():
        index = dict(_read_index(folder / f"index.{name}"))
        for synset, pointed in _read_data(folder / f"data.{name}", pos, index):
            by_address[pointed.address], pointers[pointed.address] = synset, pointed
        for lemma, offsets in index.items():
            if missing := [offset for offset in offsets if (pos, offset) not in by_address]:
                message = f"{lemma!r} points to {missing[0]!r}, which data.{name} does not have"
                raise BadInput(message, file=folder / f"index.{name}")
            senses[lemma.replace("_", " "), pos] = tuple(by_address[pos, offset].name for offset in offsets)
        exceptions[pos] = _read_exceptions(folder / f"{name}.exc")
    synsets = {
        synset.name: structs.replace(synset, related=_related(folder, pointers[address], by_address))
        for address, synset in by_address.items()
    }
    return WordNet(synsets, senses, exceptions, _fingerprint(synsets, senses, exceptions))


class _Pointers(NamedTuple):
    """The address of a synset, its line in the data file, and the addresses it points to."""

    address: _Address
    line: int
    targets: tuple[_Address, ...]


def _related(folder: Path, pointers: _Pointers, by_address: Mapping[_Address, Synset]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(by_address[target].name for target in pointers.targets))
    except KeyError as missing:
        message = f"a pointer to {missing}, which does not exist"
        path = folder / f"data.{POS_NAMES[pointers.address[0]]}"
        raise BadInput(message, file=path, line=pointers.line) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file without its licence header, whose lines begin with a space."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no such file; WordNet is incomplete without it", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", file=path) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith(" "):
            yield number, line


def _read_index(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each lemma with the offsets of its synsets, the commonest first."""
    for number, line in _lines(path):
        fields = line.split()
        try:
            count, pointers = int(fields[2]), int(fields[3])
            offsets = fields[6 + pointers :]
        except (IndexError, ValueError):
            count, offsets = -1, []
        if len(offsets) != count:
            raise BadInput(
                "not an index line: lemma, pos, synset_cnt, p_cnt, pointers, ..., offsets", file=path, line=number
            )
        yield fields[0], tuple(offsets)


def _read_data(path: Path, pos: Pos, index: dict[str, tuple[str, ...]]) -> Iterator[tuple[Synset, _Pointers]]:
    """The synsets and what they point to.

    A synset is named by its first lemma and that lemma's number for it in the index.
    """
    for number, line in _lines(path):
        columns, bar, gloss = line.partition("|")
        fields = columns.split()
        try:
            offset, kind, count = fields[0], fields[2], int(fields[3], 16)
            words = [word.partition("(") for word in fields[4 : 4 + 2 * count : 2]]
            first = words[0][0].lower()
            sense = index[first].index(offset) + 1
            targets = _targets(fields[4 + 2 * count :])
            frames = _frames(fields[4 + 2 * count :], count) if pos == "v" else ()
        except (IndexError, KeyError, ValueError):
            bar = ""
        if not bar or len(words) != count:
            raise BadInput("not a data line, or its first word is not in the index", file=path, line=number)
        definition, examples = split_gloss(gloss)
        lemmas = tuple(word.replace("_", " ") for word, _, _ in words)
        markers = tuple(marker.removesuffix(")") for _, _, marker in words)
        synset = Synset(f"{first}.{kind}.{sense:02d}", pos, lemmas, definition, examples, markers, (), frames)
        yield synset, _Pointers((pos, offset), number, targets)


def _targets(fields: list[str]) -> tuple[_Address, ...]:
    """The addresses in ``p_cnt`` and the pointers after it (symbol, offset, part of speech, source/target)."""
    count = int(fields[0])
    symbols, offsets, kinds = (fields[1 + first : 1 + 4 * count : 4] for first in range(3))
    return tuple(
        (_POS_OF[kind], offset)
        for symbol, offset, kind in zip(symbols, offsets, kinds, strict=True)
        if symbol != _ANTONYM
    )


def _frames(fields: list[str], lemmas: int) -> tuple[frozenset[int], ...]:
    """The frames of each of a verb synset's ``lemmas``, after its pointers: ``f_cnt``, then "+", frame, word (0 is all)."""
    start = 1 + 4 * int(fields[0])
    count = int(fields[start])
    frames = [int(frame) for frame in fields[start + 2 : start + 1 + 3 * count : 3]]
    words = [int(word, 16) for word in fields[start + 3 : start + 1 + 3 * count : 3]]
    return tuple(
        frozenset(frame for frame, word in zip(frames, words, strict=True) if word in (0, lemma + 1))
        for lemma in range(lemmas)
    )


def _read_exceptions(path: Path) -> dict[str, tuple[str, ...]]:
    exceptions: dict[str, tuple[str, ...]] = {}
    for number, line in _lines(path):
        surface, *bases = (word.replace("_", " ") for word in line.split())
        if not bases:
            raise BadInput("not an exception line: a surface form, then its base forms", file=path, line=number)
        exceptions[surface] = tuple(dict.fromkeys((*exceptions.get(surface, ()), *bases)))
    return exceptions


def _fingerprint(
    synsets: dict[str, Synset],
    senses: dict[tuple[str, Pos], tuple[str, ...]],
    exceptions: dict[Pos, dict[str, tuple[str, ...]]],
) -> str:
    """SHA-256 over every name, lemma, definition, example, sense order and exception, in sorted order."""
    digest = hashlib.sha256()
    rows = [(s.name, s.pos, *s.lemmas, "|", s.definition, *s.examples) for s in synsets.values()]
    rows += [(lemma, pos, *names) for (lemma, pos), names in senses.items()]
    rows += [(pos, surface, *bases) for pos, table in exceptions.items() for surface, bases in table.items()]
    for row in sorted(rows):
        digest.update("\x1f".join(row).encode() + b"\n")
    return digest.hexdigest()
