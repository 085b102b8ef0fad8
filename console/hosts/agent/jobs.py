"""Launch runs; each launch can safely be requested twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from console.hosts.agent import notify
from console.hosts.agent.claims import Existing, claim
from console.hosts.agent.launches import Launch, settle
from console.hosts.agent.run_states import current_state
from console.hosts.agent.slurm import jobs as slurm_jobs
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import LOCK, NotStarted, Refused, Workspace, error_text
from engine.contract.file_lock import locked


def launch(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Claim ``key`` and start its supervisor; the same key again finds the run that it started.

    Returns:
        ``{"new": bool, "key": ..., "state": ...}`` of the run's launch, which is another one if the run is active under
        that one, or is not the one that the request ``replaces``; ``note``: why it does not start yet.
    """
    if request.get("slurm") is not None:
        (outcome,) = slurm_jobs.launch_together(workspace, [request])
        if "refused" in outcome:
            raise Refused(outcome["refused"])
        return outcome
    claimed = claim(workspace, request)
    if isinstance(claimed, Existing):
        return _existing_reply(workspace, request, claimed)
    try:
        settle(claimed.launch, claimed.lock)
    except (NotStarted, OSError) as error:
        # the claim stands: the caretaker starts it as soon as that is possible
        return {"new": True, "key": claimed.key, "state": "queued", "note": error_text(error, workspace)}
    finally:
        claimed.release()
    if not claimed.launch.state():  # another run was put in its place at this moment
        return {"new": False, "key": claimed.key, "state": ""}
    return {"new": True, "key": claimed.key, "state": "queued"}


def _existing_reply(workspace: Workspace, request: dict[str, Any], existing: Existing) -> dict[str, Any]:
    """Reply for a run that stays as it is; a launch of the same key that was interrupted is completed first."""
    if existing.key == request["key"]:
        launch = Launch(workspace, existing.key)
        if not launch.is_supervised():
            with suppress(NotStarted, OSError), locked(launch.folder / LOCK, wait=False) as lock:
                if lock is not None:
                    settle(launch, lock)
    state = existing.state
    run_folder = workspace.run(str(request["folder"]), str(request["run"]))
    recorded = valid_state(run_folder)
    if recorded.get("key") == existing.key:
        state = str(current_state(workspace, run_folder, recorded)["state"])
    return {"new": False, "key": existing.key, "state": state}


def launch_all(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Launch ``requests`` in their order; a refused one does not stop the others.

    Args:
        request: ``requests``; ``notify``: URLs that are told of ends from now on, in place of those before of this ``operator``.

    Returns:
        ``{"outcomes": [...]}`` in the same order, each a reply of ``launch`` or ``{"refused": reason}``; ``notify``: why
        the URLs could not be kept, if so.
    """
    problem = ""
    if "notify" in request:
        try:
            notify.keep_urls(workspace, request["notify"], str(request.get("operator", "")))
        except (OSError, ValueError) as error:
            problem = error_text(error, workspace)
    return {"outcomes": _launch_all(workspace, request), **({"notify": problem} if problem else {})}


def _launch_all(workspace: Workspace, request: dict[str, Any]) -> list[dict[str, Any]]:
    requests = [dict(one) for one in request["requests"]]
    if requests and all(one.get("slurm") is not None for one in requests):
        return slurm_jobs.launch_together(workspace, requests)
    outcomes: list[dict[str, Any]] = []
    for one in requests:
        try:
            outcomes.append(launch(workspace, one))
        except (Refused, OSError, KeyError, TypeError, ValueError) as error:
            outcomes.append({"refused": error_text(error, workspace)})
    return outcomes
