"""``qllm-engine evaluate``: scores a run's checkpoint or a baseline, on the built evaluation or on named files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.commands.options import (
    add_device,
    add_settings,
    check_packages,
    check_wordnet,
    device_of,
    experiment_of,
    paths_of,
    workspace_of,
)
from engine.commands.run import BLOCKED, DONE, add_strict, device_for, follow
from engine.contract import metrics as metrics_file
from engine.contract.bad_input import BadInput
from engine.contract.local_paths import local_path
from engine.contract.metrics import EvaluationReport
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, Spec, read_spec, resolve, run_ids

if TYPE_CHECKING:
    from engine.contract.events import Body
    from engine.data.records import Dataset
    from engine.pipeline.evaluator import Evaluated

BASELINES = ("mean_pool", "word_overlap", "random")
ITEM_FILES = ("retrieval", "coherence", "killers", "probes")
REPORT = "evaluation.json"
"""The report, in the folder of --output."""

Result = TypeVar("Result")


def add_evaluate(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command ``evaluate`` to the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="score a run's checkpoint or a baseline, on the built evaluation or on your own files",
        description="Print one table of scores with their 95%% intervals for new lemmas, the checkpoint beside the "
        "baselines, and what the evaluation can tell. RUN_FOLDER alone also writes items.parquet, attention.parquet and "
        "metrics.json of the run; --checkpoint, --baseline and files write nothing unless --output names a folder.",
    )
    evaluate.add_argument(
        "run_folder", nargs="?", type=local_path, metavar="RUN_FOLDER", help="a run that has been trained"
    )
    evaluate.add_argument(
        "--checkpoint",
        type=local_path,
        metavar="PATH",
        help="a run's folder, or the checkpoint in it, scored without its data",
    )
    evaluate.add_argument("--baseline", choices=BASELINES, help="word_overlap and random need no encoder on files")
    evaluate.add_argument(
        "--retrieval", type=local_path, metavar="FILE", help="retrieval items, in place of the built ones"
    )
    evaluate.add_argument(
        "--coherence", type=local_path, metavar="FILE", help="coherence items, in place of the built ones"
    )
    evaluate.add_argument("--killers", type=local_path, metavar="FILE", help="killers among the retrieval items")
    evaluate.add_argument("--probes", type=local_path, metavar="FILE", help="attention probes, for a checkpoint")
    evaluate.add_argument("--json", action="store_true", help="the same as one JSON object; progress goes to stderr")
    add_settings(evaluate)
    add_device(evaluate)
    add_strict(evaluate)
    evaluate.add_argument(
        "--output", type=local_path, metavar="DIR", help="default: RUN_FOLDER, if it is not evaluated yet"
    )
    evaluate.add_argument(
        "--confirm",
        metavar="REASON",
        help="score the sealed confirm split instead, for a decision; who, when and REASON are recorded beside the scores",
    )
    evaluate.set_defaults(command=_evaluate, profile=None)


def _evaluate(options: argparse.Namespace) -> int:
    """Evaluate as a step of a run's pipeline, or as a tool of its own where other items or a baseline are named."""
    subjects = [name for name in ("run_folder", "checkpoint", "baseline") if getattr(options, name) is not None]
    if len(subjects) > 1:
        raise BadInput("give one of RUN_FOLDER, --checkpoint and --baseline", field=f"--{subjects[-1]}")
    if options.profile is not None and subjects in (["run_folder"], ["checkpoint"]):
        raise BadInput(f"{_name_of(subjects[0])} has its own settings; give either", field="--profile")
    has_files = any(getattr(options, name) is not None for name in ITEM_FILES)
    needs_no_model = options.baseline in ("word_overlap", "random")
    if options.checkpoint or needs_no_model or has_files or (options.baseline and not options.output):
        return _evaluate_items(options)
    return _evaluate_run(options)


def _name_of(subject: str) -> str:
    return "RUN_FOLDER" if subject == "run_folder" else f"--{subject}"


def _evaluate_run(options: argparse.Namespace) -> int:
    """Evaluate a run, or mean pooling in its place, with the results that a run leaves."""
    run = RunFolder(options.run_folder) if options.run_folder else None
    if not (options.run_folder or options.output):
        message = "give RUN_FOLDER, --checkpoint or --baseline, or --output DIR to evaluate mean pooling"
        raise BadInput(message, field="--output")
    if options.confirm is not None:
        if not options.confirm.strip():
            raise BadInput("give the decision that the scores are for", field="--confirm")
        if options.output is None:
            raise BadInput("--confirm needs a folder of its own for its scores", field="--output")
    output, workspace = RunFolder(options.output or options.run_folder), workspace_of(options)
    _check_writes_over_nothing(output, run)
    settings, files = _settings_of(options, read_spec(run.spec) if run else None)
    with device_for(settings, output, options) as device:
        from engine.pipeline.evaluate import evaluate_mean_pool, evaluate_run

        if run is None:
            events = evaluate_mean_pool(settings, output, workspace, device, files, options.confirm)
        else:
            events = evaluate_run(run, output, workspace, device, files, options.confirm)
        if options.json:
            with redirect_stdout(sys.stderr):
                code = follow(events, output, strict=options.strict)
        else:
            code = follow(events, output, strict=options.strict)
            print()
    from engine.evaluation.report import report_of_metrics

    _print(report_of_metrics(metrics_file.decode(output.metrics.read_bytes()), settings.encoder), options)
    return code


def _evaluate_items(options: argparse.Namespace) -> int:
    """Score a checkpoint or a baseline on the items of files or of the built evaluation; nothing of training is read."""
    if options.confirm is not None:
        raise BadInput("give RUN_FOLDER or --output alone to score the confirm split", field="--confirm")
    if options.output is not None:
        _check_writes_over_nothing(RunFolder(options.output), None)
    folder = _checkpoint_folder(options.checkpoint or options.run_folder)
    spec = read_spec(folder.spec) if folder else None
    has_items = options.retrieval is not None or options.coherence is not None
    if options.killers is not None and options.retrieval is None and has_items:
        raise BadInput("killers are among retrieval items: give --retrieval too", field="--killers")
    if options.probes is not None and folder is None:
        raise BadInput("a baseline has no attention", field="--probes")
    if has_items and folder is None and options.baseline in ("word_overlap", "random"):
        gates = experiment_of(options).gates
        from engine.evaluation.report import baseline_report

        report = baseline_report(options.baseline, _with_files(None, options), gates, has_tiers=False)
        _write(options, report, None)
    else:
        report = _evaluate_with_encoder(options, folder, spec, has_items=has_items)
    _print(report, options)
    return BLOCKED if options.strict and not all(verdict.passed for verdict in report.gates) else DONE


def _evaluate_with_encoder(
    options: argparse.Namespace, folder: RunFolder | None, spec: Spec | None, *, has_items: bool
) -> EvaluationReport:
    """The report of a checkpoint or of mean pooling, or of any baseline on the built evaluation."""
    settings, paths = _settings_of(options, spec, needs_files=not has_items)
    if settings.needs_wordnet and not has_items:
        check_wordnet()
    workspace = workspace_of(options)
    check_packages()
    dataset = _with_files(None, options) if has_items else None  # before PyTorch is loaded: a wrong file shows at once
    device = device_of(options.device)
    from engine.evaluation.report import baseline_report
    from engine.pipeline.evaluator import TrainedRun, built_evaluation, evaluate_items

    if dataset is None:
        built = _followed(built_evaluation(settings, workspace, device, paths))
        if spec is not None and built.eval_fingerprint != spec.eval_fingerprint:
            message = "this run was evaluated on other items than are available"
            raise BadInput(message, file=folder.spec if folder else None)
        dataset = _with_files(built, options)
    if options.baseline in ("word_overlap", "random"):
        report = baseline_report(options.baseline, dataset, settings.gates, has_tiers=True)
        _write(options, report, None)
        return report
    run = TrainedRun(spec, folder) if spec is not None and folder is not None else None
    done = _followed(evaluate_items(dataset, settings, run, workspace, device, has_tiers=not has_items))
    _write(options, done.report, done)
    return done.report


def _settings_of(
    options: argparse.Namespace, spec: Spec | None, *, needs_files: bool = True
) -> tuple[Settings, dict[str, Path]]:
    """The settings to evaluate with, those of the run if there is one, and the paths of the users' files in them."""
    if spec is None:
        experiment, profile = experiment_of(options), options.profile or "full"
        # the conditions share the evaluation; their first one says what mean pooling reads
        return resolve(experiment, profile, run_ids(experiment, profile)[0]), paths_of(experiment)
    settings = spec.settings
    if not needs_files or not settings.inputs:
        return settings, {}
    files = paths_of(experiment_of(options))
    for file in settings.inputs:
        if file.sha256 not in files:
            message = f"the experiment names no file with the content that {file.name} had in this run"
            raise BadInput(message, field="--experiment")
    return settings, files


def _checkpoint_folder(path: Path | None) -> RunFolder | None:
    """The run folder of ``path``, which is the folder or the checkpoint in it."""
    if path is None:
        return None
    if not path.exists():
        raise BadInput("no such file or folder", file=path)
    if path.is_dir():
        return RunFolder(path)
    folder = RunFolder(path.parent)
    if not folder.spec.is_file():
        raise BadInput("a checkpoint is read with its run's spec.json beside it, which is not there", file=path)
    folder.checkpoint = path
    return folder


def _with_files(built: Dataset | None, options: argparse.Namespace) -> Dataset:
    """The items of the named files, or ``built`` with the killers and probes of the named files."""
    from engine.data.formats.user_files import read_evaluation_files
    from engine.evaluation.report import file_dataset

    files = read_evaluation_files(
        retrieval=options.retrieval,
        coherence=options.coherence,
        attention=options.probes,
        killers=options.killers,
        items=[item.item_id for item in built.retrieval] if built else None,
    )
    if built is None:
        return file_dataset(files)
    changes = {"killers": files.killers} if options.killers else {}
    return msgspec.structs.replace(built, **changes, **({"probes": files.probes} if options.probes else {}))


def _followed(events: Generator[Body, None, Result]) -> Result:
    """The value that ``events`` return; each event is a line on standard error."""
    from engine.pipeline.event_log import line_of

    while True:
        try:
            if line := line_of(next(events)):
                print(line, file=sys.stderr, flush=True)
        except StopIteration as end:
            result: Result = end.value
            return result


def _write(options: argparse.Namespace, report: EvaluationReport, done: Evaluated | None) -> None:
    """Write the report, and the rows of items and probes where there are any, to the folder of ``--output``."""
    if options.output is None:
        return
    from engine.contract.durable import write_durably
    from engine.contract.items import AttentionRow, ItemRow
    from engine.evaluation.item_files import write_rows

    output = RunFolder(options.output)
    output.root.mkdir(parents=True, exist_ok=True)
    if done is not None:
        write_rows(output.items, done.rows, ItemRow)
        if done.attention:
            write_rows(output.attention, done.attention, AttentionRow)
    write_durably(output.root / REPORT, msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def _print(report: EvaluationReport, options: argparse.Namespace) -> None:
    from engine.evaluation.report_text import report_text

    print(msgspec.json.format(msgspec.json.encode(report)).decode() if options.json else report_text(report))


def _check_writes_over_nothing(output: RunFolder, run: RunFolder | None) -> None:
    """Refuse an output folder that holds an evaluation, or a run other than ``run``, the one to be evaluated."""
    same = run is not None and output.root.resolve() == run.root.resolve()
    for refused, what in (
        (output.manifest.exists(), "is a sealed run"),
        (output.metrics.exists() or (output.root / REPORT).exists(), "holds an evaluation already"),
        (output.spec.exists() and not same, "holds another run"),
    ):
        if refused:
            raise BadInput(f"{what}; give another folder with --output", file=output.root)
