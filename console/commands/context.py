"""Options of a command, read and checked."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from console.commands.runs_folder import check_runs_folder
from console.hosts.host_config import read_host
from console.runs.experiment_source import check_source
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, profile_of
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, run_ids
from engine.contract.toml_file import find_config

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter
    from console.results.next_steps.derive import Addition
    from console.results.next_steps.launch_choice import LaunchChoice
    from console.session import Session


WRITING = (None, "run", "sync", "restore")
"""Commands that write the runs folder; None is the console."""


class Context:
    """What the options name: the experiment, the profile, the host, the local runs folder.

    Raises:
        BadInput: a file or a name is unusable.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.experiment_file: Path = options.experiment or find_config("scaling.toml")
        self.experiment: Experiment = read_experiment(self.experiment_file)
        self.profile: str = options.profile
        profile_of(self.experiment, self.profile)
        self.runs_dir: Path = absolute(options.runs, "--runs")
        check_runs_folder(self.runs_dir, is_written=self.writes and not options.read_only)
        if self.writes:
            check_source(self.runs_dir, self.experiment_file, self.experiment, self.profile)
        self.host_name: str = options.host
        self.host = read_host(options.hosts or find_config("hosts.toml"), self.host_name)

    @property
    def host_title(self) -> str:
        """The host's name for people."""
        return self.host.title

    def command_line(self, *words: str) -> str:
        """A command of the console to be copied, about the same experiment, profile and runs folder."""
        options = ["--profile", self.profile]
        if words[0] != "results":  # which asks no host
            options += ["--host", self.host_name]
            options += ["--hosts", str(self.options.hosts)] if self.options.hosts else []
        if self.options.experiment:
            options += ["--experiment", str(self.options.experiment)]
        if self.options.runs != Path("runs"):
            options += ["--runs", str(self.options.runs)]
        return shlex.join(("qllm-console", *words, *options))

    @property
    def writes(self) -> bool:
        """Whether the command writes the runs folder."""
        return self.options.command in WRITING or self.waits_for_synced

    @property
    def waits_for_synced(self) -> bool:
        """Whether this is ``watch --until synced``."""
        return bool(self.options.command == "watch" and self.options.until == "synced")

    def session(self, prompter: Prompter | None = None) -> Session:
        """A session on the host. Its import takes most of a second, so it happens here and not earlier.

        Args:
            prompter: asks the operator for passwords and consent; commands ask on the terminal by default.
        """
        from console.hosts.ssh.access import Access
        from console.hosts.ssh.prompts import TerminalPrompter
        from console.session import Session

        command = self.options.command
        if prompter is None and command is not None:
            prompter = TerminalPrompter()
        lists = command == "restore" and self.options.key is None
        reads_only = (
            command in ("status", "watch", "wait", "logs")
            or (command == "notify" and not self.options.test)
            or lists
            or (command == "preflight" and not self.options.repair)
        )
        return Session(
            self.host,
            self.experiment,
            self.experiment_file,
            self.profile,
            self.runs_dir,
            read_only=self.options.read_only or reads_only,
            take_over=getattr(self.options, "take_over", False),
            strict=getattr(self.options, "strict", None),
            host_name=self.host_name,
            access=Access(prompter=prompter),
            # the verdict that watch sends needs the results
            syncs_runs=(self.writes and not lists) or (command == "watch" and bool(self.host.notify)),
            keeps_logs=command == "logs",
        )

    def launch_choice(self) -> LaunchChoice:
        """What the options of ``run`` choose, with derived conditions and new seeds.

        Raises:
            BadInput: of the first option that is wrong.
        """
        from console.results.next_steps.derive import origin
        from console.results.next_steps.launch_choice import Typed, choose

        options = self.options
        settings = tuple(options.settings or ())
        typed = Typed(tuple(options.condition or ()), ",".join(options.seed or ()), settings)
        why = options.why or " ".join(settings) or "further seeds"
        choice = choose(self.experiment, self.profile, typed, origin(why, self.profile, ""))
        for error in choice.errors:
            fields = {"conditions": "--condition", "seeds": "--seed", "settings": "--set"}
            raise BadInput(error.message, field=fields[error.field])
        return choice

    def add(self, addition: Addition) -> None:
        """Write ``addition`` beside the experiment's file, for good, and use the experiment with it from now on.

        Raises:
            BadInput: read-only, or it cannot be written.
        """
        from console.results.next_steps.derive import write_addition

        if self.options.read_only:
            raise BadInput("nothing is added to the experiment or launched", field="--read-only")
        self.experiment = write_addition(self.experiment_file, addition, self.profile)

    def chosen_runs(self) -> tuple[RunId, ...]:
        """The runs that ``--condition`` and ``--seed`` choose of the profile's matrix.

        Raises:
            BadInput: a condition or seed is not in the matrix.
        """
        runs = run_ids(self.experiment, self.profile)
        conditions, seeds = self.options.condition, self.options.seed
        for condition in conditions or ():
            if condition not in {run.condition for run in runs}:
                known = ", ".join(dict.fromkeys(run.condition for run in runs))
                raise BadInput(
                    f"no condition {condition!r} in profile {self.profile}; known: {known}", field="--condition"
                )
        for seed in seeds or ():
            if seed not in {run.seed for run in runs}:
                known = ", ".join(str(seed) for seed in dict.fromkeys(run.seed for run in runs))
                raise BadInput(f"no seed {seed} in profile {self.profile}; known: {known}", field="--seed")
        return tuple(
            run for run in runs if (not conditions or run.condition in conditions) and (not seeds or run.seed in seeds)
        )


def absolute(folder: Path, field: str) -> Path:
    """``folder`` as an absolute path; raises BadInput that names ``field`` where the current folder is gone."""
    try:
        return folder.absolute()
    except FileNotFoundError as error:
        raise BadInput("the current folder no longer exists", field=field) from error


def output_file(path: Path, field: str) -> Path:
    """``path`` as an absolute path of a file that may be written: new, or a file already.

    Raises:
        BadInput: it is a folder or a device, or in no folder; the error names ``field``.
    """
    whole = absolute(path, field)
    if whole.is_dir():
        raise BadInput(f"{whole} is a folder, not a file", field=field)
    if whole.exists() and not whole.is_file():
        raise BadInput(f"{whole} is a device, which would be replaced", field=field)
    if not whole.parent.is_dir():
        raise BadInput(f"there is no folder {whole.parent}", field=field)
    return whole
