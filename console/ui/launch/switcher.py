"""What the console can be switched to, and what opening it gives; the command line has it made of its options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter
    from console.ui.session_protocol import SessionProtocol
    from engine.contract.experiment import Experiment

Target = tuple[str, str, Path]
"""Host, profile, experiment file."""


class Opened(Protocol):
    """An experiment that was read, on a host whose session is still to be made."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def profile(self) -> str: ...
    @property
    def host_title(self) -> str: ...
    def session(self, prompter: Prompter | None = None, /) -> SessionProtocol: ...


class Switcher(Protocol):
    """What can be switched to; all but ``present`` reads files, and may raise BadInput."""

    @property
    def present(self) -> Target: ...
    def hosts(self) -> tuple[tuple[str, str], ...]: ...
    def files(self) -> tuple[Path, ...]: ...
    def profiles(self, file: Path, /) -> tuple[tuple[str, str], ...]: ...
    def open(self, host: str, profile: str, file: Path, /) -> Opened: ...
    def note_opened(self, host: str, profile: str, file: Path, /) -> None: ...
