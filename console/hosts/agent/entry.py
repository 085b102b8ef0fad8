"""Entry of the shipped file: ``serve WORKSPACE`` answers requests on stdin, ``transfer WORKSPACE`` moves files;
``supervise`` is started by a launch.
"""

from __future__ import annotations

import sys


def main() -> None:
    if len(sys.argv) == 5 and sys.argv[1] == "supervise":
        from console.hosts.agent.supervisor import main as supervise

        supervise(*sys.argv[2:])
    elif len(sys.argv) in (4, 5) and sys.argv[1] == "supervise-here":
        from console.hosts.agent.slurm.allocation import main as supervise_here

        supervise_here(*sys.argv[2:])
    elif len(sys.argv) == 8 and sys.argv[1] == "make-environment":
        from console.hosts.agent.environment import main as make_environment

        make_environment(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == "serve":
        from console.hosts.agent.serve import main as serve

        serve(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "transfer":
        from console.hosts.agent.transfer import main as transfer

        transfer(sys.argv[2])
    else:
        sys.exit("usage: agent serve WORKSPACE | transfer WORKSPACE")
