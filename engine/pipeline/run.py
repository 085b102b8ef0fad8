"""One run from nothing to its metrics: prepare, train, evaluate."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from engine.contract.events import Body
from engine.contract.experiment import EncoderSettings
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, read_spec
from engine.pipeline.evaluate import evaluate_head
from engine.pipeline.event_log import StageTimer
from engine.pipeline.prepare import prepare
from engine.pipeline.spec import write_spec
from engine.pipeline.train import train_head


def run_pipeline(
    settings: Settings,
    folder: RunFolder,
    workspace: Path,
    device: str,
    files: Mapping[str, Path] | None = None,
    *,
    encoders: Sequence[EncoderSettings] = (),
    evaluation: bool = True,
) -> Iterator[Body]:
    """Run one condition and seed: write its results to ``folder`` and yield its events.

    A folder that holds a checkpoint of the same run is resumed from it.

    Args:
        workspace: holds what runs share: data by their build key, token states by their encoder.
        device: ``cpu`` or ``cuda``.
        files: paths of the user's own files that ``settings`` name, by SHA-256.
        encoders: of the experiment's other conditions; the layers they name are kept of what is encoded here.
        evaluation: False ends after training, without metrics and without an ``End`` event.

    Raises:
        BadInput: WordNet, a named file or the encoder cannot be used, or ``folder`` belongs to another run.
        TrainingFailed: the loss was not finite.
    """
    timer = StageTimer()

    def steps() -> Generator[Body, None, None]:
        check = partial(write_spec, settings, folder)
        prepared = yield from prepare(settings, workspace, device, files, check, encoders)
        trained = yield from train_head(read_spec(folder.spec), prepared, folder)
        if evaluation:
            yield from evaluate_head(trained, settings, prepared, folder, workspace, timer)

    return timer.watch(steps())
