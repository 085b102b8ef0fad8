"""The shipped agent with its modules compiled beside their sources: compiling them is most of the time of an agent's start.

Thousands of agents are started by the tests. Consoles in processes of their own ship the file as it is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import zipfile
from functools import cache

from console.hosts.agent import gpu_claims
from console.hosts.remote import agent_package

shipped = agent_package.agent_file
CLAIMS = "console/hosts/agent/gpu_claims.py"
UNCHECKED = (1).to_bytes(4, "little")  # found by the hash of its source, which nobody compares: both are in one file


@cache
def agent_with_bytecode() -> tuple[bytes, str]:
    """Stand-in for ``agent_package.agent_file``; a Python of another version than this one reads the sources.

    Its runs claim GPUs in ``gpu_claims.PLACE`` of this process.
    """
    content, _ = shipped.__wrapped__()  # as it is now: a test may have changed its entry
    sources = zipfile.ZipFile(io.BytesIO(content))
    files = {name: sources.read(name) for name in sources.namelist()}
    in_common = b'PLACE = Path("/tmp")'
    assert in_common in files[CLAIMS]
    files[CLAIMS] = files[CLAIMS].replace(in_common, f"PLACE = Path({str(gpu_claims.PLACE)!r})".encode())
    for name, source in list(files.items()):
        code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
        header = importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source)
        files[f"{name}c"] = header + code
    content = agent_package.zip_bytes(files, zipfile.ZIP_STORED)
    return content, hashlib.sha256(content).hexdigest()
