"""A copy of the project, with an environment as pip makes it that finds all packages where they are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.relocate import PROJECT_FILE, first_lines

PROJECT = Path(__file__).parents[2]
PARTS = ("console", "engine", "configs", "tools", "Makefile", "pyproject.toml", "constraints.txt")
PROGRAM = "import sys\nfrom {}.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


def copy_project(folder: Path) -> Path:
    """The project in ``folder``."""
    folder.mkdir(parents=True)
    for part in PARTS:
        if (PROJECT / part).is_dir():
            shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(PROJECT / part, folder / part)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / PROJECT_FILE).write_text(str(folder))
    installed = (path for path in sys.path if Path(path).name == "site-packages")
    (packages / "packages.pth").write_text("\n".join(installed))
    for name in ("console", "engine"):
        program = venv / "bin" / f"qllm-{name}"
        program.write_bytes(first_lines(venv / "bin" / "python3") + PROGRAM.format(name).encode())
        program.chmod(0o755)
    for stamp in (".installed", ".wordnet"):
        (venv / stamp).touch()
    return folder


def make_relocated(folder: Path) -> str:
    """What ``make`` says in ``folder`` before it does anything else."""
    done = subprocess.run(
        ["make", "relocated", f"PYTHON={sys.executable}", "VENV=.venv"],  # noqa: S607
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
