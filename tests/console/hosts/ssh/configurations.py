"""Ssh configurations and known_hosts as users have them, each with whether a real ssh logs in by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from tests.console.hosts.ssh.desk import Desk
from tests.console.hosts.sshd import ME, write_key

IN_A_SHELL = "\"$QLLM_TEST_BASH\" -c 'exec 3<>/dev/tcp/%h/%p; { cat <&3 & } && cat >&3; kill $!' # as typed"


Row = Callable[[Desk], tuple[str, bool]]
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    """Decorator: a configuration, and whether it logs in."""

    def add(made: Row) -> Row:
        ROWS[name] = made
        return made

    return add


@row("a key that the system's file revokes, with a user's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    desk.system.write_text(f"@revoked {desk.line('*')}")
    return f"UserKnownHostsFile {desk.put('mine', desk.line())}\n{desk.identity}", False


@row("a key that only the user's default file has, with a user's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    return f"UserKnownHostsFile {desk.put('mine', '')}\n{desk.identity}", False


@row("a key that only the system's default file has, with a user's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    desk.system.write_text(desk.line())
    return f"UserKnownHostsFile none\n{desk.identity}", True


@row("a key that only the user's default file has, with a system's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    return f"GlobalKnownHostsFile /dev/null\n{desk.identity}", True


@row("a key in the list of revoked ones")
def _(desk: Desk) -> tuple[str, bool]:
    return f"RevokedHostKeys {desk.put('revoked', desk.line().split(' ', 1)[1])}\n{desk.identity}", False


@row("no list of revoked keys where one is named")
def _(desk: Desk) -> tuple[str, bool]:
    return f"RevokedHostKeys {desk.folder}/gone\n{desk.identity}", False


@row("an alias, known without the port")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line("cluster"))
    return f"HostKeyAlias Cluster\n{desk.identity}", True


@row("an alias, known with the port alone")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line(f"[cluster]:{desk.server.port}"))
    return f"HostKeyAlias cluster\n{desk.identity}", False


@row("capitals in known_hosts, and a name that another pattern excludes")
def _(desk: Desk) -> tuple[str, bool]:
    other = desk.line("CLUSTER,!cluster", asyncssh.generate_private_key("ssh-ed25519"))
    desk.known.write_text(other + desk.line("other,CLUST?R"))
    return f"HostKeyAlias cluster\n{desk.identity}", True


@row("a network is no pattern")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line("127.0.0.0/8"))
    return desk.identity, False


@row("the host's name, a variable and a blank in the names of known_hosts")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("QLLM_TEST_KEYS", str(desk.folder))
    desk.known.write_text("")
    desk.put("host keys/known 127.0.0.1", desk.line())
    return f'UserKnownHostsFile /none "${{QLLM_TEST_KEYS}}/host keys/known %h" {desk.known}\n{desk.identity}', True


@row("a variable that is not set")
def _(desk: Desk) -> tuple[str, bool]:
    return f"IdentityFile ${{QLLM_TEST_NOT_SET}}/id\n{desk.identity}", False


@row("the agent's key")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("SSH_AUTH_SOCK", desk.in_agent())
    return "IdentityAgent SSH_AUTH_SOCK\n", True


@row("no agent")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("SSH_AUTH_SOCK", desk.in_agent())
    return "IdentityAgent none\n", False


@row("an agent named by a variable")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("QLLM_TEST_AGENT", desk.in_agent())
    desk.agent = ""
    return "IdentityAgent $QLLM_TEST_AGENT\n", True


@row("an agent named by a path with a variable")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("QLLM_TEST_FOLDER", str(Path(desk.in_agent()).parent))
    desk.agent = ""
    return "IdentityAgent ${QLLM_TEST_FOLDER}/agent.sock\n", True


@row("a public key whose private key the agent has")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("SSH_AUTH_SOCK", desk.in_agent())
    return f"IdentitiesOnly yes\nIdentityFile {desk.server.identity}.pub\n", True


@row("a public key without an agent")
def _(desk: Desk) -> tuple[str, bool]:
    (desk.folder / "id.pub").write_bytes(desk.server.client_key.export_public_key())
    return f"IdentityFile {desk.folder}/id.pub\n", False


@row("a locked key without a public file, which the agent has")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("SSH_AUTH_SOCK", desk.in_agent())
    write_key(desk.folder / "locked", desk.server.client_key, passphrase="sesame")  # noqa: S106
    (desk.folder / "locked.pub").unlink()
    return f"IdentitiesOnly yes\nIdentityFile {desk.folder}/locked\n", True


@row("a certificate of another name")
def _(desk: Desk) -> tuple[str, bool]:
    key = desk.key("id", certified=True)
    (desk.folder / "id.cert").rename(desk.folder / "id%.cert")
    return f"IdentityFile {key}\nCertificateFile {desk.folder}/id%%.cert\nCertificateFile /none\n", True


@row("a certificate beside the key")
def _(desk: Desk) -> tuple[str, bool]:
    key = desk.key("id", certified=True)
    (desk.folder / "id.cert").rename(desk.folder / "id-cert.pub")
    return f"IdentityFile {key}\n", True


@row("a key without its certificate")
def _(desk: Desk) -> tuple[str, bool]:
    return f"IdentityFile {desk.key('id')}\n", False


@row("a certificate for a key that only the agent has")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("SSH_AUTH_SOCK", desk.in_agent(desk.key("id", certified=True)))
    (desk.folder / "id").unlink()
    return f"IdentitiesOnly yes\nIdentityFile {desk.folder}/id.pub\nCertificateFile {desk.folder}/id.cert\n", True


@row("comments at the end of lines, in Latin-1, and a time with its unit")
def _(desk: Desk) -> tuple[str, bool]:
    return f"# schl\xfcssel\nConnectTimeout 30s # slow\nCompression = yes # and more\n{desk.identity}", True


@row("included files, of which the first by name counts")
def _(desk: Desk) -> tuple[str, bool]:
    for name in ("20", "10", "30"):
        port = desk.server.port if name == "10" else 1
        desk.put(f"conf.d/{name}.conf", f"Host ramp\n Port {port}\n")
    return f"Include {desk.folder}/conf.d/*.conf\n{desk.identity}", True


@row("a jump host as a URL, and the user's name in another")
def _(desk: Desk) -> tuple[str, bool]:
    first, second = desk.start("gate1"), desk.start("gate2")
    for gate in (first, second):
        desk.known.write_text(desk.known.read_text() + gate.known_hosts_line())
        gate.authorize(desk.server.client_key)
    jumps = f"ssh://{ME}@127.0.0.1:{first.port},%r@127.0.0.1:{second.port}"
    return f"Match originalhost ramp\n ProxyJump {jumps}\nHost *\n {desk.identity}", True


@row("a ProxyCommand that only a shell can run")
def _(desk: Desk) -> tuple[str, bool]:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    desk.set("QLLM_TEST_BASH", "bash")
    return f"{desk.identity}ProxyCommand {IN_A_SHELL}\n", True


@row("a ProxyCommand that is not there")
def _(desk: Desk) -> tuple[str, bool]:
    return f"{desk.identity}ProxyCommand /none/such %h\n", False


@row("a configuration that cannot be read")
def _(desk: Desk) -> tuple[str, bool]:
    return f"Port many\n{desk.identity}", False


@row("a line of known_hosts with a form feed, which ends no line")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text("other.example ssh-ed25519 AAAA \f" + desk.line())
    return desk.identity, False


@row("a key revoked on a line that has a blank of another script in its comment")
def _(desk: Desk) -> tuple[str, bool]:
    desk.system.write_text(f"@revoked {desk.line('*').strip()} of\u2028\x85the\u3000old host\n")
    return desk.identity, False


@row("an authority's key of a kind that CASignatureAlgorithms lacks")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(f"@cert-authority {desk.certify_server()}")
    return f"CASignatureAlgorithms rsa-sha2-512\n{desk.identity}", False


@row("an authority's key of a kind that CASignatureAlgorithms has")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(f"@cert-authority {desk.certify_server()}")
    return f"CASignatureAlgorithms rsa-sha2-512,ssh-ed25519\n{desk.identity}", True


@row("CASignatureAlgorithms without the kind of the user's own key")
def _(desk: Desk) -> tuple[str, bool]:
    return f"CASignatureAlgorithms rsa-sha2-512\n{desk.identity}", True


@row("PubkeyAcceptedAlgorithms without the kind of the user's key")
def _(desk: Desk) -> tuple[str, bool]:
    return f"PubkeyAcceptedAlgorithms rsa-sha2-512\n{desk.identity}", False


@row("PubkeyAcceptedAlgorithms with the kind of the user's certificate alone")
def _(desk: Desk) -> tuple[str, bool]:
    key = desk.key("id", certified=True)
    (desk.folder / "id.cert").rename(desk.folder / "id-cert.pub")
    return f"PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com\nIdentityFile {key}\n", True
