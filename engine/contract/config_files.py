"""Where the configuration files are: beside the operator, in the source tree, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

import engine
from engine.contract.bad_input import BadInput


def find_config(name: str) -> Path:
    """The first of ``./configs/NAME``, the source tree's ``configs/NAME`` or ``NAME``, and the installed one.

    Raises:
        BadInput: it is in none of them.
    """
    root = Path(engine.__file__).resolve().parent.parent
    places = (Path("configs") / name, root / "configs" / name, root / name, root / "console" / "configs" / name)
    for place in places:
        if place.is_file():
            return place
    raise BadInput(f"{name} is not in ./configs nor beside the installed package; name a file instead")
