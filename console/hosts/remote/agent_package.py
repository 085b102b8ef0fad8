"""The agent as the one file that is shipped: a zip of its modules with the same bytes everywhere; and how it starts."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from importlib import resources

ENTRY = b"from console.hosts.agent.entry import main\n\nmain()\n"
# Modules keep their packages' names, so that an import reads the same on both machines. The zip comes first on the
# host's sys.path: another ``engine`` or ``console`` that is installed there is never imported instead.
PACKAGES = {
    "console": ("__init__",),
    "console/hosts": ("__init__",),
    "console/hosts/agent": (),
    "console/hosts/agent/slurm": (),
    "engine": ("__init__",),
    "engine/contract": ("__init__", "durable", "file_lock", "run_folder"),
}
"""Package -> its modules in the shipped file; all of them where none is named."""
# run on the host as MarkedPython: asks for the file unless exactly it is there, puts it in place whole, and becomes it
START = """
import hashlib, os, sys

mark, root, digest, size = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
path = os.path.join(root, "agent", digest + ".pyz")
try:
    with open(path, "rb") as file:
        there = hashlib.sha256(file.read()).hexdigest() == digest
except OSError:
    there = False
os.write(1, ("\\n" + mark + (" have" if there else " want") + "\\n").encode())
if not there:
    content = b""
    while len(content) < size:
        chunk = os.read(0, size - len(content))
        if not chunk:
            sys.exit("the link broke while the agent was sent")
        content += chunk
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("the agent did not arrive whole")
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = path + "." + str(os.getpid()) + ".tmp"
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
os.execv(sys.executable, [sys.executable, path, *(sys.argv[6:] or ["serve"]), root])
"""


@cache
def agent_file() -> tuple[bytes, str]:
    """Content of the shipped file, which Python runs as it is, and its SHA-256 in hex."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", ENTRY)
        for package, modules in PACKAGES.items():
            folder = resources.files(package.replace("/", "."))
            for module in sorted(folder.iterdir(), key=lambda entry: entry.name):
                name, _, suffix = module.name.partition(".")
                if suffix == "py" and (not modules or name in modules):
                    _add(archive, f"{package}/{module.name}", module.read_bytes())
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """With a fixed date and mode, so that the hash is of the content alone."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
