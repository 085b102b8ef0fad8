"""How much of the user's own data a run takes: a part for development, and the slice that its profile asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Slice
from engine.contract.input_files import InputFile, Role, found
from engine.data.bundles.danger import dangers, rounded, tiers_of
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.evaluation.items import in_turns
from engine.data.formats.gate import Gate, Record
from engine.data.formats.lines import read_lines
from engine.data.formats.schemas import OF_ROLE
from engine.data.formats.tally import Tally
from engine.data.leakage.check import events_of_bundle
from engine.data.plan import position
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem

DEV_SHARE = 0.10
MOST_DEV_BUNDLES = 1_500

Item = TypeVar("Item")


def split_dev(bundles: Sequence[Bundle], data_seed: int) -> tuple[tuple[Bundle, ...], tuple[Bundle, ...]]:
    """Bundles for training and for development: a tenth of the lemmas by their hashes, up to about 1,500 bundles.

    At least one lemma is for development, if there are two. Both keep the order of ``bundles``.
    """
    by_lemma = _grouped(bundles, _lemma_of)
    lemmas = _by_hash(by_lemma, data_seed)
    held_out: set[str] = set()
    count = 0
    for lemma in lemmas[: max(round(DEV_SHARE * len(lemmas)), min(1, len(lemmas) - 1))]:
        if count >= MOST_DEV_BUNDLES:
            break
        held_out.add(lemma)
        count += len(by_lemma[lemma])
    return (
        tuple(bundle for bundle in bundles if bundle.anchor.lemma not in held_out),
        tuple(bundle for bundle in bundles if bundle.anchor.lemma in held_out),
    )


def of_first_lemmas(bundles: Sequence[Bundle], limit: int | None, data_seed: int) -> tuple[Bundle, ...]:
    """The bundles of the first ``limit`` lemmas by their hashes; of all if it is None."""
    if limit is None:
        return tuple(bundles)
    chosen = set(_by_hash({bundle.anchor.lemma for bundle in bundles}, data_seed)[:limit])
    return tuple(bundle for bundle in bundles if bundle.anchor.lemma in chosen)


def sliced_retrieval(items: Sequence[RetrievalItem], part: Slice, data_seed: int) -> tuple[RetrievalItem, ...]:
    """Up to the slice's number of items and lemmas, each lemma's first before any lemma's second."""
    return _sliced(items, lambda item: item.lemma, part.eval_lemmas, part.retrieval_items, data_seed)


def sliced_coherence(items: Sequence[CoherenceItem], part: Slice, data_seed: int) -> tuple[CoherenceItem, ...]:
    """Up to the slice's number of items and lemmas, each lemma's first before any lemma's second."""
    return _sliced(items, lambda item: item.lemma, part.eval_lemmas, part.coherence_items, data_seed)


def sliced_probes(probes: Sequence[AttentionProbe], part: Slice, data_seed: int) -> tuple[AttentionProbe, ...]:
    """Those of the slice's number of lemmas."""
    return _sliced(probes, lambda probe: probe.event.lemma, part.eval_lemmas, None, data_seed)


def killers_of(killers: Iterable[Killer], items: Iterable[RetrievalItem]) -> tuple[Killer, ...]:
    """The killers that name one of ``items``."""
    known = {item.item_id for item in items}
    return tuple(killer for killer in killers if killer.item_id in known)


def _sliced(
    items: Sequence[Item], lemma_of: Callable[[Item], str], lemmas: int | None, count: int | None, data_seed: int
) -> tuple[Item, ...]:
    """All of ``items`` in their order, unless a limit is set."""
    if lemmas is None and count is None:
        return tuple(items)
    grouped = _grouped(items, lemma_of)
    rows: list[Iterator[Item]] = [iter(grouped[lemma]) for lemma in _by_hash(grouped, data_seed)[:lemmas]]
    return in_turns(rows, count)


def _grouped(items: Iterable[Item], lemma_of: Callable[[Item], str]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(lemma_of(item), []).append(item)
    return groups


def _lemma_of(bundle: Bundle) -> str:
    return bundle.anchor.lemma


def _by_hash(lemmas: Iterable[str], data_seed: int) -> list[str]:
    return sorted(lemmas, key=lambda lemma: (position(lemma, data_seed), lemma))


def encoder_texts_of_bundles(bundles: Sequence[Bundle]) -> Iterator[str]:
    """Every text as the encoder reads it, with repetitions."""
    return (encoder_text_of(event) for bundle in bundles for event in events_of_bundle(bundle))


def with_danger(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> tuple[Bundle, ...]:
    """The bundles with their danger under frozen mean pooling; those without a tier get it by rank among all."""
    danger = dangers(
        [encoder_text_of(bundle.anchor) for bundle in bundles],
        [[encoder_text_of(bundle.positive)] for bundle in bundles],
        [[encoder_text_of(event) for event in (*bundle.siblings, *bundle.cross_lemma)] for bundle in bundles],
        texts,
    )
    return tuple(
        structs.replace(bundle, danger=float(value), tier=bundle.tier or tier, similarities=near)
        for bundle, value, tier, near in zip(
            bundles, danger, tiers_of(danger), _cross_similarities(bundles, texts), strict=True
        )
    )


def _cross_similarities(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> Iterator[tuple[float, ...]]:
    """The anchor's similarities to its cross-lemma negatives, for each bundle."""
    pairs = [(bundle.anchor, event) for bundle in bundles for event in bundle.cross_lemma]
    near = texts.similarities(
        [encoder_text_of(anchor) for anchor, _ in pairs], [encoder_text_of(event) for _, event in pairs]
    )
    values = iter(rounded(near).tolist())
    return (tuple(islice(values, len(bundle.cross_lemma))) for bundle in bundles)


class OwnFiles(Struct, frozen=True):
    """What the files of each role hold, and what became of their lines; a role that is not named is empty."""

    bundles: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    probes: tuple[AttentionProbe, ...]
    killers: tuple[Killer, ...]
    tallies: tuple[Tally, ...]


def read_own_files(inputs: Iterable[InputFile], paths: Mapping[str, Path]) -> OwnFiles:
    """Read the files of ``inputs``, which lie at ``paths`` by their SHA-256; ids are unique within a role.

    Raises:
        BadInput: a file is missing, has changed, or has too many lines in quarantine.
    """
    named: dict[Role, list[InputFile]] = {}
    for file in inputs:
        named.setdefault(file.role, []).append(file)
    tallies: list[Tally] = []

    def read(role: Role, items: Set[str] | None = None) -> list[Record]:
        gate = Gate(OF_ROLE[role], items)
        return [record for file in named.get(role, ()) for record in _records(gate, file, paths, tallies)]

    retrieval = tuple(record for record in read("retrieval") if isinstance(record, RetrievalItem))
    killers = read("killers", {item.item_id for item in retrieval})
    return OwnFiles(
        bundles=tuple(record for record in read("bundles") if isinstance(record, Bundle)),
        dev=tuple(record for record in read("dev") if isinstance(record, Bundle)),
        retrieval=retrieval,
        coherence=tuple(record for record in read("coherence") if isinstance(record, CoherenceItem)),
        probes=tuple(record for record in read("attention") if isinstance(record, AttentionProbe)),
        killers=tuple(record for record in killers if isinstance(record, Killer)),
        tallies=tuple(tallies),
    )


def _records(gate: Gate, file: InputFile, paths: Mapping[str, Path], tallies: list[Tally]) -> list[Record]:
    path = paths[file.sha256]
    tally = Tally(Path(file.name))
    records: list[Record] = []
    for verdict in gate.judge(read_lines(path)):
        tally.add(verdict)
        records += verdict.records
    if found(path).sha256 != file.sha256:
        raise BadInput("has changed since the run was asked for", file=path)
    tally.refuse_if_bad()
    tallies.append(tally)
    return records
