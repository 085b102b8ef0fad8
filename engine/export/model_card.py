"""Model card of an exported run: what it is, how to load it, its scores beside the baselines, and what it is not for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from engine.contract.metrics import Estimate, GateVerdict, Metrics, Scores
from engine.contract.settings import Settings, Spec
from engine.training.checkpoint import Position

COLUMNS = {
    "retrieval_top1": "top-1",
    "retrieval_top3": "top-3",
    "coherence_accuracy": "coherence",
    "transition_accuracy": "transitions",
    "final_state_accuracy": "final state",
}
"""Title of each score, in the order of the table."""

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The name on the Hugging Face hub of the packaged encoder ``minilm``."""

NOT_STATED = "not stated in its files"


def model_card(
    spec: Spec,
    position: Position,
    metrics: Metrics | None,
    encoder_folder: Path,
    reference: Mapping[str, str] | None,
    versions: Mapping[str, str],
) -> str:
    """The text of ``README.md``.

    Args:
        spec, position, metrics: of the run; ``metrics`` is None where it was not evaluated.
        encoder_folder: of the encoder's files.
        reference: name and commit of an encoder that is not included.
        versions: of the packages that wrote the export.
    """
    settings = spec.settings
    title = f"{settings.experiment} {settings.run.label}"
    parts = [
        "\n".join(_front_matter(settings)),
        f"# {title}: a head that tells word senses apart",
        f"A {settings.model.architecture.replace('_', ' ')} on hidden layers {_joined(settings.encoder.layers)} of the encoder "
        f"{_encoder_name(settings)}, which is {_frozen(settings)}; trained to bring contexts of one sense of a word together "
        "and to keep its other senses away. It gives unit vectors; compare them by cosine.",
        _loading(settings, reference),
        "## Scores\n\n" + "\n\n".join(_scores(metrics)),
        "## Not good for\n\n" + _bullets(_limits(settings, metrics)),
        "## Data\n\n" + _bullets(_data(spec, metrics)),
        "## Settings\n\n" + _settings(settings),
        "## Training\n\n" + _bullets(_training(position, settings)),
        "## Versions\n\n" + _bullets(_versions(spec, versions)),
        "## Licences\n\n" + _bullets(_licences(settings, encoder_folder)),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(settings: Settings) -> Iterator[str]:
    yield "---"
    yield "library_name: sentence-transformers"
    yield "pipeline_tag: sentence-similarity"
    model = settings.encoder.model
    if model == "minilm" or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model):
        yield f"base_model: {MINILM if model == 'minilm' else model}"
    if settings.edition is not None:  # WordNet's language
        yield "language: en"
    yield "tags: [sentence-transformers, word-sense-disambiguation]"
    yield "---"


def _frozen(settings: Settings) -> str:
    encoder, last = settings.encoder, max(settings.encoder.layers)
    if not encoder.trained_layers:
        return "frozen"
    first = last - encoder.trained_layers + 1
    layers = f"layer {last}" if first == last else f"layers {first} to {last}"
    added = f", by additions of rank {encoder.lora_rank}" if encoder.lora_rank else ""
    return f"frozen but for {layers}, trained with it{added}"


def _loading(settings: Settings, reference: Mapping[str, str] | None) -> str:
    encoder = (
        "The encoder is in the folder `encoder`."
        if reference is None
        else f"The encoder is downloaded from the Hugging Face hub: {reference['model']} at {reference['revision']}."
    )
    return f"""## Use

    pip install 'sentence-transformers>=6.0'

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("DIR", trust_remote_code=True)
contexts = model.encode(["He sat on the bank.", {{"text": "He sat on the bank.", "start": 14, "end": 18}}])
senses = model.encode([{{"lemma": "bank", "pos": "noun", "gloss": "sloping land beside a body of water"}}])
similarities = model.similarity(contexts, senses)
```

`trust_remote_code=True` is needed because the head is a module of its own: the Python files in this folder, which the
library runs; read them first. They need Python 3.11 or newer. {encoder}

An input is a string, a context; or a dictionary: `text` with `start` and `end`, the characters of its target word; or
`lemma`, `pos` and `gloss`, a sense, which is read as `{settings.model.sense_text}`. {_target_note(settings)}

On the CPU the vectors are those of the run's own evaluation on a CPU to 1e-6. On a GPU, or in another version of the
libraries, last bits differ, which the rounding of token states to float16, as in training, can make larger."""


def _target_note(settings: Settings) -> str:
    if settings.model.architecture == "residual":
        return "Give the target word where you know it: without one the mean of all tokens stands in its place."
    return "This head reads the whole text; the target word changes nothing."


def _scores(metrics: Metrics | None) -> Iterator[str]:
    if metrics is None:
        yield "This run was not evaluated: nothing is known of how good it is."
        return
    yield (
        f"On {metrics.retrieval_items} retrieval items (a context, and candidate contexts of the same lemma: is the best one of "
        f"the same sense?) and {metrics.coherence_steps} coherence steps (a context, and the glosses of its lemma's senses: is "
        "the right one best?). In brackets the 95% interval for new lemmas, clustered by lemma; it says nothing of new seeds."
    )
    pooled = "frozen mean pooling of the same layers"
    rows = {"this head": metrics.head, pooled: metrics.mean_pool, **_baselines(metrics)}
    yield _table(
        ("", *COLUMNS.values()),
        [
            *((name.replace("_", " "), *_score_cells(scores)) for name, scores in rows.items()),
            (
                "this head minus mean pooling, in points",
                *(_points(metrics.gains.get(name), with_sign=True) for name in COLUMNS),
            ),
        ],
    )
    tell = metrics.informativeness
    if not math.isnan(tell.judged):
        yield (
            f"Of the coherence steps {tell.judged:.0%} are a test of meaning; the best possible reader gets "
            f"{tell.coherence_ceiling:.1%} of all."
        )
    yield "Ship blockers, the least that the experiment asks for:"
    yield _table(("ship blocker", "measured", "at least", "verdict"), [_gate_cells(gate) for gate in metrics.gates])


def _baselines(metrics: Metrics) -> dict[str, Scores]:
    return {f"{name} (guessing)" if name == "random" else name: of for name, of in metrics.baselines.items()}


def _score_cells(scores: Scores) -> list[str]:
    return [_points(scores.intervals.get(name)) for name in COLUMNS]


def _points(estimate: Estimate | None, *, with_sign: bool = False) -> str:
    if estimate is None:
        return "none"
    mean, low, high = (value and 100 * value for value in (estimate.mean, estimate.low, estimate.high))
    form = "+.1f" if with_sign else ".1f"
    interval = "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"
    return f"{mean:{form}}{interval}"


def _gate_cells(gate: GateVerdict) -> tuple[str, ...]:
    measured = "none" if gate.value is None else f"{gate.value:.1%}"
    return gate.gate, measured, f"{gate.threshold:.0%}", "passed" if gate.passed else "**failed**"


def _limits(settings: Settings, metrics: Metrics | None) -> Iterator[str]:
    """What the run's own settings and results say that it cannot do, and what was not measured."""
    if metrics is not None:
        for gate in metrics.gates:
            if not gate.passed:
                measured = "was not measured" if gate.value is None else f"is {gate.value:.1%}"
                yield f"Shipping: {gate.gate} {measured}, the experiment asks for {gate.threshold:.0%}."
        for name, gain in metrics.gains.items():
            if gain.low is not None and gain.high is not None and gain.low <= 0 and name in COLUMNS:
                better = "worse than" if gain.high < 0 else "not shown to be better than"
                yield f"{COLUMNS[name].capitalize()}: it is {better} frozen mean pooling of the same layers."
        if metrics.killers:
            yield f"{metrics.killers} of its evaluation items it fails badly, choosing a wrong candidate by far."
    if settings.edition is not None:
        yield "Languages other than English: its data are WordNet's English examples and glosses."
        yield (
            "Texts unlike WordNet's short examples, and senses that WordNet lacks or divides otherwise: of these this run "
            "measured nothing."
        )
    yield f"Long texts: what is beyond {settings.encoder.max_tokens} tokens is cut off."
    yield "Finding a sense by itself: it only ranks the glosses or contexts that it is given."
    yield "Search or general similarity of sentences: it was trained and measured only within the senses of one word."


def _data(spec: Spec, metrics: Metrics | None) -> Iterator[str]:
    settings = spec.settings
    if settings.edition is not None:
        count = f"{metrics.bundles:,} bundles of " if metrics else ""
        source = f"built from WordNet 3.0's examples and glosses (data seed {settings.data_seed})"
        yield f"Training: {count}edition {settings.edition}, {source}."
    else:
        count = f", {metrics.bundles:,} bundles" if metrics else ""
        yield f"Training: files of the experimenter's own{count}."
    part = {name: limit for name, limit in msgspec.structs.asdict(settings.data).items() if limit is not None}
    if part:
        yield (
            f"Only a part of the data, profile {settings.profile}: "
            + ", ".join(f"{name} {limit}" for name, limit in part.items())
            + "."
        )
    if metrics is not None:
        lemmas = {name: of.lemmas for name, of in metrics.head.intervals.items()}
        shown = ", ".join(f"{COLUMNS[name]} {count}" for name, count in lemmas.items() if name in COLUMNS)
        kind = (
            "files of the experimenter's own"
            if settings.has_user_evaluation
            else "WordNet 3.0, lemmas that no training saw"
        )
        yield f"Evaluation: {kind}; lemmas by score: {shown}."
    for file in settings.inputs:
        yield f"File {file.name} ({file.role.replace('_', ' ')}): SHA-256 {file.sha256}."
    yield f"Data fingerprint `{spec.data_fingerprint}`, evaluation fingerprint `{spec.eval_fingerprint}`."


def _settings(settings: Settings) -> str:
    tables = {
        "encoder": settings.encoder,
        "model": settings.model,
        "training": settings.training,
        "curriculum": settings.curriculum,
    }
    rows = [
        (f"{table}.{name}", _value(value))
        for table, values in tables.items()
        for name, value in msgspec.structs.asdict(values).items()
        if value is not None and value != ()
    ]
    return _table(("setting", "value"), [("seed", str(settings.seed)), *rows])


def _training(position: Position, settings: Settings) -> Iterator[str]:
    yield f"{position.step} steps of {settings.training.batch_size} bundles, {position.epoch:.3g} epochs."
    score = f" by {position.score_name}, {position.best_score:.1%}" if position.score_name else ""
    none_helped = "; no later step was better" if position.best_step == 0 else ""
    yield f"The head is that of step {position.best_step}, chosen on development data{score}{none_helped}."
    yield "Every step and measurement is in `curves.csv`."


def _versions(spec: Spec, versions: Mapping[str, str]) -> Iterator[str]:
    device = f" on {spec.device}, code {spec.git}" if spec.git else f" on {spec.device}"
    yield "Trained with " + _packages(spec.versions) + device + "."
    yield "Exported with " + _packages(versions) + "."
    yield f"Settings fingerprint `{spec.settings_fingerprint}`, encoder fingerprint `{spec.encoder_fingerprint}`."


def _licences(settings: Settings, encoder_folder: Path) -> Iterator[str]:
    yield "The Python files: MIT, (c) The qllm-console authors."
    yield f"The encoder {_encoder_name(settings)}: {_licence_of(encoder_folder)}."
    if settings.needs_wordnet:
        yield "WordNet 3.0, which the data were built from: (c) 2006 Princeton University, the WordNet licence."
    yield "The weights of the head: whoever publishes them says under which licence."


def _licence_of(encoder_folder: Path) -> str:
    """The licence that the encoder's own card states."""
    card = encoder_folder / "README.md"
    found = re.search(r"^license:\s*(\S+)", card.read_text(encoding="utf-8"), re.MULTILINE) if card.is_file() else None
    return found[1] if found else NOT_STATED


def _encoder_name(settings: Settings) -> str:
    model = settings.encoder.model
    return MINILM if model == "minilm" else Path(model).name if model.startswith(("/", ".", "~")) else model


def _packages(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _value(value: object) -> str:
    return _joined(value) if isinstance(value, tuple) else str(value)


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
