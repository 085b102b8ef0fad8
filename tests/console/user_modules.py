"""Files of a user's that have the names of Python's modules and of the product's packages, as they happen to lie in folders."""

from __future__ import annotations

import os
from pathlib import Path

IMPORTED = "a module of the user's was imported"
STANDARD = ("json", "queue", "random", "types", "hashlib", "socket", "typing")
OURS = ("console", "engine")


def write_user_modules(
    folder: Path, names: tuple[str, ...] = (*STANDARD, *OURS, "sitecustomize", "usercustomize")
) -> Path:
    """Write modules to ``folder`` whose import ends the program; returns it. It belongs to whom the folder above belongs."""
    if not folder.exists():
        folder.mkdir(parents=True)
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid)
    for name in names:
        # engine as the folder that a user pushes, the others as files
        path = folder / "engine" / "__init__.py" if name == "engine" else folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise SystemExit({f'{IMPORTED}: {name}'!r})\n")
    return folder
