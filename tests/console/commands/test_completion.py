"""Completion scripts complete in the real shells, by a Tab where a user presses one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import main
from console.commands.completion import SHELLS
from tests.console.terminal import Terminal

# the prompt is written in two parts, so that the echo of this line is not taken for it
INTERACTIVE = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "source {script}; PS1='re''ady> '\n"),
    "zsh": (("zsh", "-f", "-i"), "autoload -U compinit; compinit -u -D; eval \"$(cat {script})\"; PS1='re''ady> '\n"),
    "tcsh": (("tcsh", "-f", "-i"), "source {script}; set prompt='re''ady> '\n"),
}
START = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # a shell edits lines only on its controlling terminal
os.chdir(sys.argv[1])
os.execvp(sys.argv[2], sys.argv[2:])
"""
FISH = shutil.which("fish")
TYPED = (
    ("qllm-console prefl", "qllm-console preflight"),
    ("qllm-console --profile dem", "qllm-console --profile demo"),
    ("qllm-console items --kind retr", "qllm-console items --kind retrieval"),
    ("qllm-console wait --unt", "qllm-console wait --until"),
    ("qllm-console status --experiment only-on", "qllm-console status --experiment only-one.toml"),
)


def script(folder: Path, capsys: pytest.CaptureFixture[str], shell: str) -> Path:
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", shell])
    assert end.value.code == 0
    path = folder / f"qllm-console.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tab_completes_commands_options_values_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    path = script(tmp_path, capsys, shell)
    (tmp_path / "only-one.toml").touch()
    command, setup = INTERACTIVE[shell]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    with Terminal([sys.executable, "-c", START, str(tmp_path), *command], environ) as terminal:
        terminal.press(setup.format(script=path), "ready> ", 20)
        for typed, expected in TYPED:
            terminal.press(f"{typed}\t", expected, 20)
            terminal.press("\x15\n", "ready> ", 20)  # forget the line


@pytest.mark.skipif(FISH is None, reason="no fish")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, capsys, "fish")
    for typed, expected in TYPED[:2]:
        code = f"source {path}; complete -C {typed!r}"
        done = subprocess.run(
            [str(FISH), "--no-config", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [expected.split()[-1]]


def test_what_makes_the_scripts_is_not_imported_otherwise() -> None:
    code = "import sys; from console.cli import parse; parse(['status']); print(sorted({'shtab', 'aiohttp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_shell_that_is_named_has_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all("preflight" in script(tmp_path, capsys, shell).read_text() for shell in SHELLS)
