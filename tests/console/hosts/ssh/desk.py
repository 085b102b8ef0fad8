"""An operator's ssh files and the real servers that they lead to, for a real ssh and for the console."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import asyncssh
import pytest

from console.hosts.host_config import HostConfig
from console.hosts.ssh.ssh_config import SshFiles
from tests.console.hosts.sshd import ME, Sshd, agent, started, write_key

RAMP = HostConfig("RAMP", "ssh", workspace="/nowhere", address="ramp")


class Desk:
    """An operator's folder, and the servers that its configuration leads to."""

    def __init__(self, folder: Path, opened: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.authority = asyncssh.generate_private_key("ssh-ed25519")
        self.set = monkeypatch.setenv
        self._opened = opened
        self.server = self.start("server")
        self.known, self.system, self.agent = folder / "known_hosts", folder / "system", ""
        self.known.write_text(self.line())
        self.system.write_text("")

    def start(self, name: str) -> Sshd:
        (self.folder / name).mkdir()
        write_key(self.folder / name / "authority", self.authority)
        settings = (f"TrustedUserCAKeys {self.folder / name}/authority.pub",)
        return self._opened.enter_context(started(Sshd(self.folder / name, ME, settings)))

    def line(self, name: str | None = None, key: asyncssh.SSHKey | None = None) -> str:
        """A line of known_hosts: the server's, unless it is said to be another name's or key."""
        names, public = self.server.known_hosts_line().split(" ", 1)
        public = key.export_public_key().decode() if key else public
        return f"{name or names} {public.strip()}\n"

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def in_agent(self, key: Path | None = None) -> str:
        """Start an agent with ``key``, by default that of the server; returns its socket."""
        self.agent = self._opened.enter_context(agent(key or self.server.identity))
        return self.agent

    def key(self, name: str, *, certified: bool = False) -> Path:
        """A key that the server does not know, with a certificate ``NAME.cert`` that it accepts."""
        write_key(self.folder / name, made := asyncssh.generate_private_key("ssh-ed25519"))
        if certified:
            certificate = self.authority.generate_user_certificate(made, "me", principals=[ME])
            certificate.write_certificate(self.folder / f"{name}.cert")
        return self.folder / name

    def certify_server(self) -> str:
        """Give the server a certificate of the authority; returns the authority's line of known_hosts, without its marker."""
        folder = self.server.folder
        certificate = self.authority.generate_host_certificate(
            self.server.host_keys[0], "host", principals=["127.0.0.1"]
        )
        certificate.write_certificate(folder / "host_0-cert.pub")
        self.server.restart((f"HostCertificate {folder}/host_0-cert.pub",))
        return self.line(key=self.authority)

    @property
    def identity(self) -> str:
        """The line of a configuration with the key that the server knows."""
        return f"IdentityFile {self.server.identity}\n"

    def write(self, text: str) -> tuple[SshFiles, Path]:
        """The console's SSH files with the configuration ``text``, and a file for ssh with the same defaults."""
        common = f"Host ramp\n Hostname 127.0.0.1\n Port {self.server.port}\n User {ME}\n"
        mine = self.folder / "config"
        mine.write_bytes((text + common).encode("latin-1"))
        files = SshFiles(
            own_known_hosts=self.folder / "own",
            config=mine,
            known_hosts=(self.known,),
            global_known_hosts=(self.system,),
            agent=self.agent or None,
        )
        # what is set first counts, so these are defaults
        defaults = f"Host *\n UserKnownHostsFile {self.known}\n GlobalKnownHostsFile {self.system}\n"
        theirs = self.folder / "config_for_ssh"
        theirs.write_bytes(mine.read_bytes() + defaults.encode())
        return files, theirs
