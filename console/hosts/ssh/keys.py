"""Keys unlocked and passwords accepted in this session: in memory only, never written, logged or passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncssh

TRIES = 3

AskPassphrase = Callable[[Path, bool], Coroutine[Any, Any, str | None]]


class Keyring:
    """What was unlocked so far."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self._pairs: dict[Path, list[asyncssh.SSHKeyPair]] = {}

    def __repr__(self) -> str:
        return "Keyring()"

    def unlocked(self, file: Path, certificates: tuple[str, ...] = ()) -> list[asyncssh.SSHKeyPair] | None:
        """The pairs of a key file that needs no passphrase, or no longer does; None if it needs one. Blocking.

        A file that is missing or is no private key has no pairs, as with ssh.
        """
        if file not in self._pairs:
            try:
                self._pairs[file] = _load(file, None, certificates)
            except asyncssh.KeyEncryptionError:
                return None
            except asyncssh.KeyImportError as error:
                if "passphrase" in str(error).lower():
                    return None
                self._pairs[file] = []
            except (OSError, ValueError):
                return []
        return self._pairs[file]

    async def unlock(
        self, file: Path, ask: AskPassphrase, certificates: tuple[str, ...] = ()
    ) -> list[asyncssh.SSHKeyPair]:
        """The pairs of a key file, by asking for its passphrase if need be; none if the operator would rather not."""
        pairs = await asyncio.to_thread(self.unlocked, file, certificates)
        again = False
        for _ in range(TRIES):
            if pairs is not None:
                break
            passphrase = await ask(file, again)
            if not passphrase:
                return []
            again = True
            try:
                # a passphrase is slow to check, by intent
                pairs = self._pairs[file] = await asyncio.to_thread(_load, file, passphrase, certificates)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
                continue
        return pairs or []


def _load(file: Path, passphrase: str | None, certificates: tuple[str, ...]) -> list[asyncssh.SSHKeyPair]:
    present = [str(path) for path in (Path(name).expanduser() for name in certificates) if path.is_file()]
    return list(asyncssh.load_keypairs([str(file)], passphrase, present))
