"""A program in the place of nvidia-smi, whose GPUs and their processes a test sets."""

from __future__ import annotations

import os
from pathlib import Path

SMI = """#!/bin/sh
cd {folder}
echo "$*" >> queries
test -e broken && {{ cat broken; exit 15; }}
case "$*" in *--id=*) ;; -L) ;; *) test -e lost && {{ cat lost; exit 15; }};; esac
case "$1" in
-L) cat list;;
--query-gpu=uuid,memory.used) cat memory;;
--query-compute-apps=gpu_uuid,*) cat apps;;
--query-compute-apps=*) sed 's/^[^,]*, //' apps;;
*) exit 9;;
esac
"""


class FakeSmi:
    """Answers of nvidia-smi for some GPUs, by UUID; the first ``program`` of that name on the agent's PATH."""

    def __init__(self, folder: Path, *uuids: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.list(*uuids)
        self.set_memory()
        self.set_processes()
        self.program.write_text(SMI.format(folder=folder))
        self.program.chmod(0o755)

    @property
    def program(self) -> Path:
        return self.folder / "nvidia-smi"

    def list(self, *uuids: str, note: str = "") -> None:
        """The GPUs that it lists, in this order, and what it says of another one."""
        lines = [f"GPU {number}: NVIDIA X (UUID: {uuid})" for number, uuid in enumerate(uuids)]
        self._write("list", *lines, *([note] if note else []))

    def list_text(self, text: str) -> None:
        """All that it lists, such as MIG devices."""
        self._write("list", text)

    def lose(self, text: str) -> None:
        """It fails with ``text`` unless one GPU alone is asked for."""
        self._write("lost", text)

    def fail(self, text: str) -> None:
        """It fails with ``text``, whatever it is asked."""
        self._write("broken", text)

    @property
    def queries(self) -> str:
        """Its arguments so far, a line for each call."""
        return (self.folder / "queries").read_text()

    def set_memory(self, **mib: int) -> None:
        """Used memory by the name of the GPU, as in ``a=512`` for ``uuid("a")``."""
        self._write("memory", *(f"{uuid(name)}, {used}" for name, used in mib.items()))

    def set_processes(self, *processes: tuple[str, int, str, int]) -> None:
        """The name of the GPU, pid, name and MiB of each process."""
        self._write("apps", *(f"{uuid(name)}, {pid}, {program}, {used}" for name, pid, program, used in processes))

    def _write(self, name: str, *lines: str) -> None:
        # replaced at once: it may be asked at any moment
        temporary = self.folder / f"{name}.tmp"
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(self.folder / name)


def uuid(name: str) -> str:
    """``GPU-a0001234`` for ``a``: others in each process of tests, since claims on GPUs are the user's, not the test's."""
    return f"GPU-{name}{os.getpid():07d}"
