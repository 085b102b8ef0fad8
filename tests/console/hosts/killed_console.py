"""A console in a process of its own that launches the runs that the host lacks, and is killed at any moment.

Like a session it decides by the states that the host reports. Usage: WORKSPACE RUN [RUN ...]
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from tests.console.hosts.conftest import FOLDER, Host

CODE = "import os, pathlib; pathlib.Path(os.environ['QLLM_JOB_KEY'] + '.ran').open('a').write('{run}\\n')"


async def main(workspace: Path, runs: list[str]) -> None:
    async with Host(workspace).open_connection() as (_, link):
        states = (await link.request("poll", folder=FOLDER, wait=0.0))["states"]
        for run in runs:
            if run not in states:
                code = CODE.replace("{run}", run)
                argv = [sys.executable, "-c", code]
                await link.request("launch", key=uuid.uuid4().hex, folder=FOLDER, run=run, argv=argv, settings="")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
