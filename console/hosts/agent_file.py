"""The agent as the one file that is shipped: a zip of its modules with the same bytes everywhere, and its hash."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from importlib import resources

ENTRY = b"from agent.entry import main\n\nmain()\n"


@cache
def agent_file() -> tuple[bytes, str]:
    """Content of the shipped file, which Python runs as it is, and its SHA-256 in hex."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", ENTRY)
        package = resources.files("console.hosts.agent")
        for module in sorted(package.iterdir(), key=lambda entry: entry.name):
            if module.name.endswith(".py"):
                _add(archive, f"agent/{module.name}", module.read_bytes())
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """With a fixed date and mode, so that the hash is of the content alone."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
