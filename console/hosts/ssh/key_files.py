"""Keys and certificates as ssh finds them: in private key files, in public ones whose private key the agent has, beside both."""

from __future__ import annotations

import binascii
import contextlib
import copy
import re
from collections.abc import Iterable
from pathlib import Path

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.public_key import decode_ssh_certificate

OPENSSH_MAGIC = b"openssh-key-v1\0"


def load_key_pairs(file: Path, passphrase: str | None, certificates: Iterable[Path]) -> list[asyncssh.SSHKeyPair]:
    """The key pair of a private key file, before it that with its certificate, if there is one. Blocking."""
    return list(asyncssh.load_keypairs([str(file)], passphrase, load_certificates(certificates)))


def load_certificates(files: Iterable[Path]) -> list[asyncssh.SSHCertificate]:
    """The certificates in ``files``; those that are missing or hold none are skipped, as ssh does. Blocking."""
    found: list[asyncssh.SSHCertificate] = []
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            found += asyncssh.load_certificates(str(file))
    return found


def with_certificates(
    pairs: Iterable[asyncssh.SSHKeyPair], certificates: Iterable[Path], identity: Path | None = None
) -> list[asyncssh.SSHKeyPair]:
    """``pairs`` of the agent, each after those with a certificate for it. Blocking.

    Args:
        certificates: the configured ones.
        identity: the key file, beside which one may be.
    """
    beside = () if identity is None else (identity.with_name(f"{identity.name.removesuffix('.pub')}-cert.pub"),)
    loaded = load_certificates((*certificates, *beside))
    found: list[asyncssh.SSHKeyPair] = []
    for pair in pairs:
        for certificate in loaded:
            if certificate.key.public_data == pair.public_data:
                found.append(certified := copy.copy(pair))
                certified.set_certificate(certificate)
        found.append(pair)
    return found


def by_public_key(pairs: Iterable[asyncssh.SSHKeyPair]) -> dict[bytes, list[asyncssh.SSHKeyPair]]:
    """The agent's pairs by public key: it may have a key with a certificate and without."""
    found: dict[bytes, list[asyncssh.SSHKeyPair]] = {}
    for pair in pairs:
        public = pair.public_data
        with contextlib.suppress(ValueError):
            public = decode_ssh_certificate(public).key.public_data
        found.setdefault(public, []).append(pair)
    return found


def public_key_of(file: Path) -> bytes:
    """The public key of a key file, which identifies the agent's copy; empty if it is not known. Blocking.

    It is beside the file, or the file itself is one: then only the agent has the private key. OpenSSH's format has it before
    the encrypted part.
    """
    for public in (file.with_name(f"{file.name}.pub"), file):
        with contextlib.suppress(OSError, ValueError):
            return asyncssh.read_public_key(public).public_data
    with contextlib.suppress(OSError, ValueError, PacketDecodeError):
        armoured = re.search(rb"BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END", file.read_bytes(), re.DOTALL)
        if armoured and (data := binascii.a2b_base64(armoured[1])).startswith(OPENSSH_MAGIC):
            packet = SSHPacket(data[len(OPENSSH_MAGIC) :])
            for _ in ("cipher", "key derivation", "its options"):
                packet.get_string()
            packet.get_uint32()
            return bytes(packet.get_string())
    return b""
