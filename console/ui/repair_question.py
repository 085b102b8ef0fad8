"""What is asked before a repair: what will be made, and where."""

from __future__ import annotations

from console.hosts.preflight.check import Repair
from console.hosts.preflight.judge import ENVIRONMENT_CPU, ENVIRONMENT_CUDA
from console.number_words import size
from console.snapshot import HostView


def repair_question(what: Repair, host: HostView) -> tuple[str, str]:
    """The question, and what a yes does."""
    where = f"{host.title} ({host.address})" if host.address else host.title
    if what == "wordnet":
        return f"Fetch WordNet 3.0 on {where}, into the engine's installation there.", "fetch it"
    folder = f"{host.facts.workspace}/env" if host.facts else "the folder env of the workspace"
    needed = ENVIRONMENT_CUDA if host.facts and host.facts.gpus else ENVIRONMENT_CPU
    question = (
        f"Make the engine's environment on {where}, in {folder}: a virtual environment with the engine and PyTorch, "
        f"up to {size(needed)}, downloaded by the host. It takes minutes. Nothing else on the host is touched."
    )
    return question, "make it"
