"""Environment of jobs: variables that a job needs, and those that the host's entry names; and commands run as a job."""

from __future__ import annotations

import atexit
import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent.workspace import Refused, Workspace
from engine.contract.durable import write_durably

NAMES = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"),
        *("LD_LIBRARY_PATH", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),
        *("XDG_CACHE_HOME", "WNHOME", "TORCH_HOME", "TRITON_CACHE_DIR"),
        *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME"),
        *("HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        # a job may have to fetch its encoder
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    )
)
PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "SLURM_")
# parts of a name in any case, as in NVIDIA_API_KEY and SLURM_JWT
SECRET = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "JWT", "AUTH")
# no Python below a job imports from its folder or the user's own site-packages; the job itself is started with -I
ISOLATED = {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}


def job_environment(spec: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment variables that a job is started with, by name.

    Args:
        spec: ``env``: variables with their values; ``environment``: names of variables that are passed on if they are set.
        environ: where the values come from.
    """
    passed = passed_on(environ, spec.get("environment", ()))
    return {**passed, **{str(name): str(value) for name, value in spec.get("env", {}).items()}, **ISOLATED}


def passed_on(environ: Mapping[str, str], names: Any = ()) -> dict[str, str]:
    """The part of ``environ`` that a job needs, and the variables called ``names``."""
    return {name: value for name, value in environ.items() if _is_needed(name) or name in names}


def _is_needed(name: str) -> bool:
    if name in NAMES:
        return True
    upper = name.upper()
    # a personal access token; elsewhere in a name it is that of a PATH
    is_secret = upper.endswith("_PAT") or any(part in upper for part in SECRET)
    return name.startswith(PREFIXES) and not is_secret


def run_as_job(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Run a command in the folder and environment of a job; returns its exit ``code`` and the last line of its stderr.

    Args:
        request: ``argv``, ``env`` and ``environment`` as in a launch; ``{job}`` in ``argv`` is a temporary folder with
            ``files``, text by name; ``seconds``: after which it is killed.
    """
    with suppress(OSError):  # a full disk: the command says so
        workspace.prepare()
    seconds = float(request["seconds"])
    with tempfile.TemporaryDirectory() as folder:
        for name, text in dict(request.get("files", {})).items():
            if Path(name).name != name:
                raise Refused(f"not a file name: {name!r}")
            write_durably(Path(folder) / name, str(text).encode(), wait=False)
        argv = [str(part).replace("{job}", folder) for part in request["argv"]]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=workspace.root,
                env=job_environment(request),
            )
        except OSError as error:
            return {"code": -1, "error": f"{argv[0]} cannot be run: {error.strerror}"}
        atexit.register(process.kill)  # the link is gone: nobody waits for the result
        try:
            _, stderr = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()  # its children may hold the pipe for longer
            return {"code": -1, "error": f"{argv[0]} did not end within {seconds:g} s"}
        finally:
            atexit.unregister(process.kill)
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return {"code": process.returncode, "error": lines[-1][:1000] if lines else ""}
