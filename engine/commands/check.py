"""``qllm-engine check``: whether this machine has what a profile's runs need, and what it found."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from engine.commands.options import add_settings, check_packages, device_of, experiment_of, paths_of
from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings, Experiment
from engine.contract.settings import resolve, run_ids
from engine.contract.toml_file import find_config, line_of, read_text

if TYPE_CHECKING:
    from engine.pipeline.machine import EncoderFound

DONE = 0


def add_check(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command ``check`` to the parser."""
    check = commands.add_parser(
        "check",
        help="whether this machine has what a run needs, and what it found",
        description="Reads every file that the experiment names, and finds WordNet, encoders and device.",
    )
    add_settings(check)
    check.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), help="also ask PyTorch for it, which takes seconds to load"
    )
    check.add_argument("--json", action="store_true", help="one JSON object")
    check.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    """Print what was found; fail before anything is queued rather than once in every run.

    Raises:
        BadInput: something is missing or cannot be used.
    """
    check_packages()  # first, since a plain install has no engine, and then WordNet is not what is missing
    experiment = experiment_of(options)
    runs = [resolve(experiment, options.profile, run) for run in run_ids(experiment, options.profile)]
    import msgspec

    from engine.data.formats.check import report_summary, reports_as_json
    from engine.data.formats.gate import FileReport
    from engine.data.formats.user_files import read_user_files
    from engine.pipeline.machine import device_found, wordnet_found
    from engine.pipeline.spec import versions

    wordnet = wordnet_found(os.environ) if any(settings.needs_wordnet for settings in runs) else None
    reports: dict[tuple[object, ...], FileReport] = {}
    excluded: dict[str, int] = {}
    for inputs in dict.fromkeys(settings.inputs for settings in runs):
        # through the integrity gate, as every run will
        files = read_user_files(inputs, paths_of(experiment))
        excluded |= files.excluded
        for report in files.reports:
            reports[report.file, *report.formats] = report  # of several conditions once, of several roles each
    encoders = _encoders(experiment, options)
    device = device_found(os.environ)
    if options.device is not None:
        device = msgspec.structs.replace(device, device=device_of(options.device))
    if options.json:
        found = {
            "experiment": experiment.name,
            "profile": options.profile,
            "runs": [settings.run.label for settings in runs],
            "versions": versions(),
            "wordnet": wordnet,
            "encoders": encoders,
            "device": device,
            "files": reports_as_json(tuple(reports.values()))["files"],
            "excluded": excluded,
        }
        print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
        return DONE
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(wordnet or "WordNet: not needed, every run has files of its own")
    print(*encoders, device, sep="\n")
    for report in reports.values():
        print("\n".join(report_summary(report)))
    for reason, count in excluded.items():
        print(f"{count} left out: {reason}")
    print(f"ready for the {len(runs)} runs of profile {options.profile}")
    return DONE


def _encoders(experiment: Experiment, options: argparse.Namespace) -> tuple[EncoderFound, ...]:
    """Every encoder that the profile's runs or their data read, with the conditions that read it."""
    from engine.pipeline.machine import encoder_found

    used: dict[EncoderSettings, list[tuple[str, str]]] = {
        experiment.data.reference_encoder: [("reference", "data.reference_encoder")]
    }
    for run in run_ids(experiment, options.profile):
        user = (run.condition, f"conditions.{run.condition}.encoder")
        settings = resolve(experiment, options.profile, run).encoder
        if user not in used.setdefault(settings, []):
            used[settings].append(user)
    path = options.experiment or find_config("scaling.toml")
    found = []
    for settings, users in used.items():
        table = "encoder" if settings == experiment.encoder else users[0][1]
        try:
            found.append(encoder_found(settings, tuple(name for name, _ in users), table))
        except BadInput as error:
            line = line_of(read_text(path), error.field or "")
            raise BadInput(error.message, file=path, line=line, field=error.field) from error
    return tuple(found)
