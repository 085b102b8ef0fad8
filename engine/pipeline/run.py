"""One run from nothing to its metrics: data, token states, warm start, training, evaluation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import msgspec

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.events import Body, End, Epoch, Evaluation, Stage
from engine.contract.metrics import GATE_NAMES, Metrics, judge
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, Spec, decode_spec
from engine.data.build import load
from engine.data.bundles.encoder_text import encoder_texts_of
from engine.data.records import Dataset
from engine.encoder.encoder import Encoder
from engine.encoder.token_cache import TokenCache, cache_folder
from engine.evaluation import coherence, retrieval
from engine.evaluation.attention import AttentionLog, probes_of
from engine.evaluation.evaluate import Evaluated, evaluate
from engine.evaluation.scores import killer_top1
from engine.evaluation.tables import write_items
from engine.model.embed import mean_pool_all
from engine.model.sense_head import SenseHead
from engine.pipeline.prepare import prepare
from engine.pipeline.provenance import git_state, versions
from engine.training.loop import Fit, train


class Seconds:
    """Wall seconds by stage: each stage lasts until the next begins."""

    def __init__(self) -> None:
        self._by_stage: dict[str, float] = {}
        self._since = time.monotonic()
        self._stage = "data"

    def watch(self, body: Body) -> None:
        """Take note of ``body`` when it begins a stage."""
        if isinstance(body, Stage):
            self._by_stage = self.now()
            self._since, self._stage = time.monotonic(), body.name

    def now(self) -> dict[str, float]:
        """Seconds by stage so far, the present one included."""
        spent = self._by_stage.get(self._stage, 0.0) + time.monotonic() - self._since
        return {**self._by_stage, self._stage: spent}


def run_pipeline(
    settings: Settings, folder: RunFolder, workspace: Path, device: str, files: Mapping[str, Path] | None = None
) -> Iterator[Body]:
    """Run one cell of the experiment; everything it learns goes to ``folder``, everything it says is yielded.

    A folder that holds a checkpoint of the very same run is continued from it.

    Args:
        workspace: keeps what runs share: data by its build key, token states by their encoder.
        device: ``cpu`` or ``cuda``.
        files: where the files of the user's own that ``settings`` name lie, by SHA-256.

    Raises:
        BadInput: WordNet, a named file or the encoder cannot be used, or ``folder`` belongs to another run.
        TrainingFailed: the loss was not finite.
    """
    seconds = Seconds()
    for body in _stages(settings, folder, workspace, device, files or {}, seconds):
        seconds.watch(body)
        yield body


def _stages(
    settings: Settings,
    folder: RunFolder,
    workspace: Path,
    device: str,
    files: Mapping[str, Path],
    seconds: Seconds,
) -> Generator[Body, None, None]:
    encoder = Encoder(settings.encoder, device)
    cache = TokenCache(cache_folder(workspace, encoder), encoder)

    yield Stage("data", "own files" if settings.edition is None else f"edition {settings.edition}")
    dataset = load((yield from prepare(settings, workspace, cache, files)), settings.bundles)
    spec = _write_spec(settings, dataset, encoder, device, folder)

    texts = encoder_texts_of(dataset)
    yield Stage("encode", f"{len(texts)} texts")
    yield from cache.fill(texts)
    states = cache.states(texts, device)

    head = SenseHead(states.width, settings.training.embedding_size, settings.training.dropout, seed=settings.seed)
    head.to(device)
    mean_pool = mean_pool_all(states)
    attention = AttentionLog(folder.attention, states, probes_of(dataset))
    training = train(head, states, mean_pool, dataset.train, dataset.dev, settings, folder, _inputs(spec))
    fit = yield from _recording(training, lambda epoch: attention.record(head, epoch))

    yield Stage("evaluate", f"{len(dataset.retrieval)} retrieval items, {len(dataset.coherence)} coherence items")
    evaluated = evaluate(head, mean_pool, states, dataset)
    write_items(folder.items, evaluated.rows)
    yield _evaluation(evaluated)
    metrics = _metrics(spec, dataset, evaluated, fit, seconds.now())
    write_durably(folder.metrics, msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    yield End(tuple(verdict.gate for verdict in metrics.gates if not verdict.passed))


def _recording(training: Generator[Body, None, Fit], record: Callable[[int], None]) -> Generator[Body, None, Fit]:
    """Pass events on, recording the head at the end of each epoch, before it changes again."""
    while True:
        try:
            body = next(training)
        except StopIteration as end:
            fit: Fit = end.value
            return fit
        if isinstance(body, Epoch):
            record(body.epoch)
        yield body


def _write_spec(settings: Settings, dataset: Dataset, encoder: Encoder, device: str, folder: RunFolder) -> Spec:
    """Write ``spec.json`` unless the folder has one already.

    Raises:
        BadInput: the one it has is of a run with other settings, data or encoder, or begun by other versions of the code.
    """
    spec = Spec(
        settings=settings,
        settings_fingerprint=settings.fingerprint(),
        data_fingerprint=dataset.data_fingerprint,
        encoder_fingerprint=encoder.fingerprint,
        eval_fingerprint=dataset.eval_fingerprint,
        device=device,
        versions=versions(),
        git=git_state(),
    )
    if folder.spec.exists():
        try:
            there = decode_spec(folder.spec.read_bytes())
        except msgspec.MsgspecError as error:
            raise BadInput(f"not a run's spec: {error}", file=folder.spec) from error
        if _inputs(there) != _inputs(spec):
            raise BadInput("this folder belongs to a run with other settings, data or encoder", file=folder.spec)
        if changed := _changed(there.versions, spec.versions):
            raise BadInput(f"begun with {changed}: going on would mix two codes; run it again", file=folder.spec)
        return there
    folder.root.mkdir(parents=True, exist_ok=True)
    write_durably(folder.spec, msgspec.json.format(msgspec.json.encode(spec)) + b"\n")
    return spec


def _changed(then: dict[str, str], now: dict[str, str]) -> str:
    """Packages of other versions than now, such as ``torch 2.6.0 (now 2.7.1)``."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return ", ".join(f"{name} {then.get(name, 'absent')} (now {now.get(name, 'absent')})" for name in names)


def _inputs(spec: Spec) -> str:
    """Fingerprint of everything that determines a run's numbers on one kind of device."""
    parts = (spec.settings_fingerprint, spec.data_fingerprint, spec.encoder_fingerprint, spec.eval_fingerprint)
    return hashlib.sha256(" ".join((*parts, spec.device)).encode()).hexdigest()


def _evaluation(evaluated: Evaluated) -> Evaluation:
    ours, theirs = evaluated.head, evaluated.mean_pool
    return Evaluation(
        top1=ours.retrieval_top1,
        top3=ours.retrieval_top3,
        coherence=ours.coherence_accuracy,
        mean_pool_top1=theirs.retrieval_top1,
        mean_pool_top3=theirs.retrieval_top3,
        mean_pool_coherence=theirs.coherence_accuracy,
    )


def _metrics(spec: Spec, dataset: Dataset, evaluated: Evaluated, fit: Fit, seconds: dict[str, float]) -> Metrics:
    settings, ours = spec.settings, evaluated.head
    values = {gate: float(getattr(ours, gate)) for gate in GATE_NAMES}
    return Metrics(
        condition=settings.condition,
        seed=settings.seed,
        eval_fingerprint=dataset.eval_fingerprint,
        data_fingerprint=dataset.data_fingerprint,
        retrieval_items=len(dataset.retrieval),
        coherence_steps=sum(len(item.steps) for item in dataset.coherence),
        head=ours,
        mean_pool=evaluated.mean_pool,
        random_top1=retrieval.expected_random(dataset.retrieval, 1),
        random_top3=retrieval.expected_random(dataset.retrieval, 3),
        random_coherence=coherence.expected_random(dataset.coherence),
        best_epoch=fit.best_epoch,
        epochs=settings.training.epochs,
        steps=fit.steps,
        bundles=len(dataset.train),
        killers=sum(bool(row.reason) for row in evaluated.rows),
        gates=judge(values, settings.gates),
        seconds=seconds,
        killer_set=len(dataset.killers),
        killer_top1=killer_top1(evaluated.rows, dataset.killers),
    )
