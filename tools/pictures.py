"""The pictures of README.md, drawn by the console from runs that were really made.

    python -m tools.pictures RUNS [--out docs/pictures]

``RUNS`` is a runs folder, such as ``runs/scaling-demo`` after `make console` and `a`. It is copied first, since reading
results is noted beside them. Each picture is a screen of 120 x 40 as Textual exports it, an SVG.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

from console.glyphs import BRAILLE
from console.local.experiment import find_experiment
from console.local.session import LocalSession
from console.results.report.page import COMPUTING
from console.ui.app import ConsoleApp

SIZE = (120, 40)
STILL_S = 3.0  # a screen that stays the same for so long shows all that is computed in the background
LIMIT_S = 120.0
MOST_BYTES = 300_000
PICTURES = {"runs": ("2",), "live": ("3", "b"), "results": ("4",)}
"""Keys that lead to each picture."""


async def wait_until_still(pilot: Pilot[None]) -> None:
    """Wait until the screen has not changed for some seconds."""
    shown, since, begun = "", time.monotonic(), time.monotonic()
    while time.monotonic() - since < STILL_S:
        await pilot.pause(0.1)
        now = "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
        if now != shown or COMPUTING in now:
            shown, since = now, time.monotonic()
        if time.monotonic() - begun > LIMIT_S:
            raise SystemExit("the screen does not come to rest")


def smaller(svg: str) -> str:
    """The picture without fonts of the network, which a page may not load, and without blanks between elements."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r">\s+<", "><", svg)


async def draw(runs: Path, destination: Path) -> None:
    """Open ``runs`` without a host and keep a picture of each view."""
    found = find_experiment(runs, None)
    app = ConsoleApp(
        lambda _: LocalSession(found),
        found.experiment,
        found.profile,
        "local copy",
        read_only=False,
        has_host=False,
        glyphs=BRAILLE,
    )
    destination.mkdir(parents=True, exist_ok=True)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until_still(pilot)
        for name, keys in PICTURES.items():
            for key in keys:
                await pilot.press(key)
                await wait_until_still(pilot)
            picture = smaller(app.export_screenshot(title="qllm-console"))
            path = destination / f"{name}.svg"
            path.write_text(picture)
            size = path.stat().st_size
            print(f"{path}: {size:,} bytes")
            if size > MOST_BYTES:
                raise SystemExit(f"{path} has more than {MOST_BYTES:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("runs", type=Path, help="a runs folder, or the folder of an experiment in it")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    os.environ["COLORTERM"] = "truecolor"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "runs" / options.runs.resolve().name
        shutil.copytree(options.runs, copy, ignore=shutil.ignore_patterns(".local-host"))
        asyncio.run(draw(copy, options.out))


if __name__ == "__main__":
    main()
