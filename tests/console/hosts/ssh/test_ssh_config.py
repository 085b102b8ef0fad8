"""The ssh configuration means here what it means to ssh: a real ssh and the console log in to one server by one file."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncssh
import pytest
from asyncssh.mac import get_mac_algs
from msgspec.structs import asdict, replace

from console.hosts.host_config import HostConfig
from console.hosts.ssh import ssh_config
from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyRefused, LinkDown, Misconfigured
from console.hosts.ssh.route import CIPHERS, Hop, resolve_route
from console.hosts.ssh.ssh_config import SshFiles, default_ssh_files
from tests.console.hosts.sshd import ME, ScriptedPrompter, Sshd, agent, connect, started, write_key

pytestmark = pytest.mark.server
RAMP = HostConfig("RAMP", "ssh", workspace="/nowhere", address="ramp")
IN_A_SHELL = "bash -c 'exec 3<>/dev/tcp/%h/%p; { cat <&3 & } && cat >&3; kill $!' # as typed"


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


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    if shutil.which("ssh") is None:
        pytest.skip("OpenSSH's ssh is not installed (Debian: apt-get install openssh-client)")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ExitStack() as opened:
        yield Desk(tmp_path, opened, monkeypatch)


def identity(desk: Desk) -> str:
    return f"IdentityFile {desk.server.identity}\n"


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
    return f"UserKnownHostsFile {desk.put('mine', desk.line())}\n{identity(desk)}", False


@row("a key that only the user's default file has, with a user's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    return f"UserKnownHostsFile {desk.put('mine', '')}\n{identity(desk)}", False


@row("a key that only the system's default file has, with a user's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    desk.system.write_text(desk.line())
    return f"UserKnownHostsFile none\n{identity(desk)}", True


@row("a key that only the user's default file has, with a system's file of another name")
def _(desk: Desk) -> tuple[str, bool]:
    return f"GlobalKnownHostsFile /dev/null\n{identity(desk)}", True


@row("a key in the list of revoked ones")
def _(desk: Desk) -> tuple[str, bool]:
    return f"RevokedHostKeys {desk.put('revoked', desk.line().split(' ', 1)[1])}\n{identity(desk)}", False


@row("no list of revoked keys where one is named")
def _(desk: Desk) -> tuple[str, bool]:
    return f"RevokedHostKeys {desk.folder}/gone\n{identity(desk)}", False


@row("an alias, known without the port")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line("cluster"))
    return f"HostKeyAlias Cluster\n{identity(desk)}", True


@row("an alias, known with the port alone")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line(f"[cluster]:{desk.server.port}"))
    return f"HostKeyAlias cluster\n{identity(desk)}", False


@row("capitals in known_hosts, and a name that another pattern excludes")
def _(desk: Desk) -> tuple[str, bool]:
    other = desk.line("CLUSTER,!cluster", asyncssh.generate_private_key("ssh-ed25519"))
    desk.known.write_text(other + desk.line("other,CLUST?R"))
    return f"HostKeyAlias cluster\n{identity(desk)}", True


@row("a network is no pattern")
def _(desk: Desk) -> tuple[str, bool]:
    desk.known.write_text(desk.line("127.0.0.0/8"))
    return identity(desk), False


@row("the host's name, a variable and a blank in the names of known_hosts")
def _(desk: Desk) -> tuple[str, bool]:
    desk.set("QLLM_TEST_KEYS", str(desk.folder))
    desk.known.write_text("")
    desk.put("host keys/known 127.0.0.1", desk.line())
    return f'UserKnownHostsFile /none "${{QLLM_TEST_KEYS}}/host keys/known %h" {desk.known}\n{identity(desk)}', True


@row("a variable that is not set")
def _(desk: Desk) -> tuple[str, bool]:
    return f"IdentityFile ${{QLLM_TEST_NOT_SET}}/id\n{identity(desk)}", False


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
    return f"# schl\xfcssel\nConnectTimeout 30s # slow\nCompression = yes # and more\n{identity(desk)}", True


@row("included files, of which the first by name counts")
def _(desk: Desk) -> tuple[str, bool]:
    for name in ("20", "10", "30"):
        port = desk.server.port if name == "10" else 1
        desk.put(f"conf.d/{name}.conf", f"Host ramp\n Port {port}\n")
    return f"Include {desk.folder}/conf.d/*.conf\n{identity(desk)}", True


@row("a jump host as a URL, and the user's name in another")
def _(desk: Desk) -> tuple[str, bool]:
    first, second = desk.start("gate1"), desk.start("gate2")
    for gate in (first, second):
        desk.known.write_text(desk.known.read_text() + gate.known_hosts_line())
        gate.authorize(desk.server.client_key)
    jumps = f"ssh://{ME}@127.0.0.1:{first.port},%r@127.0.0.1:{second.port}"
    return f"Match originalhost ramp\n ProxyJump {jumps}\nHost *\n {identity(desk)}", True


@row("a ProxyCommand that only a shell can run")
def _(desk: Desk) -> tuple[str, bool]:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    return f"{identity(desk)}ProxyCommand {IN_A_SHELL}\n", True


@row("a ProxyCommand that is not there")
def _(desk: Desk) -> tuple[str, bool]:
    return f"{identity(desk)}ProxyCommand /none/such %h\n", False


@row("a configuration that cannot be read")
def _(desk: Desk) -> tuple[str, bool]:
    return f"Port many\n{identity(desk)}", False


@pytest.mark.parametrize("name", ROWS)
async def test_the_console_and_ssh_agree_on_a_configuration(desk: Desk, name: str) -> None:
    text, logs_in = ROWS[name](desk)
    files, config = desk.write(text)
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "ramp", "true"]
    ssh = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    assert (ssh.returncode == 0, await connects(files)) == (logs_in, logs_in), ssh.stderr


async def connects(files: SshFiles) -> bool:
    try:
        return bool(await connect(RAMP, Access(files)))
    except LinkDown:
        return False


def plain(desk: Desk) -> str:
    """A configuration that asyncssh's parser reads as ssh does."""
    desk.put("known", desk.line("cluster"))
    return (
        f"{identity(desk)}HostKeyAlias cluster\nUserKnownHostsFile {desk.folder}/known\nGlobalKnownHostsFile none\n"
        "Ciphers aes256-ctr\nCompression yes\nAddressFamily inet\nConnectTimeout 20\nIdentityAgent ~/agent\n"
        "SetEnv NAME=value\nPreferredAuthentications publickey\n"
    )


async def test_without_ssh_a_plain_configuration_is_read_alike(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = desk.write(plain(desk))
    (by_ssh,) = (await resolve_route(RAMP, files)).hops
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (by_parser,) = (await resolve_route(RAMP, files)).hops
    assert comparable(by_parser) == comparable(by_ssh)
    assert await connect(RAMP, Access(files))


def comparable(hop: Hop) -> dict[str, object]:
    options = {name: value for name, value in hop.options.items() if name not in ("tcp_keepalive", "encryption_algs")}
    return {**asdict(hop), "options": options}


@pytest.mark.parametrize(
    "name",
    [
        "a key that the system's file revokes, with a user's file of another name",
        "a key that only the user's default file has, with a user's file of another name",
        "an alias, known with the port alone",
        "a network is no pattern",
        "no agent",
        "a public key whose private key the agent has",
        "a certificate of another name",
        "a ProxyCommand that only a shell can run",
        "a configuration that cannot be read",
    ],
)
async def test_without_ssh_what_matters_most_is_the_same(
    desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, logs_in = ROWS[name](desk)
    files, _ = desk.write(text)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert await connects(files) == logs_in


async def test_an_unknown_key_is_no_question_where_checking_is_strict(desk: Desk) -> None:
    desk.known.write_text("")
    files, _ = desk.write(f"StrictHostKeyChecking yes\n{identity(desk)}")
    prompter = ScriptedPrompter("yes")
    with pytest.raises(HostKeyRefused, match="StrictHostKeyChecking is yes"):
        await connect(RAMP, Access(files, prompter))
    assert not prompter.questions and not files.own_known_hosts.exists()


async def test_an_alias_is_saved_as_ssh_would_find_it(desk: Desk) -> None:
    desk.known.write_text("")
    files, config = desk.write(f"HostKeyAlias Cluster\n{identity(desk)}")
    await connect(RAMP, Access(files, ScriptedPrompter("yes")))
    assert files.own_known_hosts.read_text() == desk.line("cluster")
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={files.own_known_hosts}"]
    await asyncio.to_thread(subprocess.run, ["ssh", "-F", str(config), *options, "ramp", "true"], check=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Port many\n", r"for ramp: .*config line 1: Bad port .many."),
        ("ProxyJump a:b:c\n", r"config line 1: Invalid ProxyJump"),
        ("Nonsense yes\n", r"config: line 1: Bad configuration option: nonsense"),
        ("IdentityFile ${QLLM_TEST_NOT_SET}/id\n", r"identityfile of the ssh configuration: .*NOT_SET. is not set"),
        ("Ciphers chacha20-poly1305@openssh.com\nMACs umac-64@openssh.com\nProxyUseFdpass yes\n", "ProxyUseFdpass"),
        ("HostName a;b\n", "address 'a;b' has characters that none has"),
        ("ProxyCommand /none/such %h\n", r"by ProxyCommand: .*/none/such"),
    ],
)
async def test_what_is_wrong_in_the_configuration_is_one_line(desk: Desk, text: str, message: str) -> None:
    files, _ = desk.write(text + identity(desk))
    with pytest.raises(Misconfigured, match=message) as caught:
        await connect(RAMP, Access(files))
    assert "\n" not in str(caught.value)


async def test_the_connection_has_the_options_of_the_configuration(desk: Desk) -> None:
    text = (
        "RekeyLimit 1G 1h\nSetEnv A=1 B=2\nSendEnv LANG LC_*\nCompression yes\nTCPKeepAlive no\nBindAddress 127.0.0.1\n"
    )
    algorithms = (
        "MACs hmac-sha2-256,umac-64@openssh.com\nHostKeyAlgorithms ssh-ed25519\nKbdInteractiveAuthentication no\n"
    )
    files, _ = desk.write(text + algorithms + identity(desk))
    (hop,) = (await resolve_route(RAMP, files)).hops
    assert hop.options == {
        "encryption_algs": CIPHERS,
        "mac_algs": [name for name in ("hmac-sha2-256", "umac-64@openssh.com") if name.encode() in get_mac_algs()],
        "server_host_key_algs": ["ssh-ed25519"],
        "kbdint_auth": False,
        "tcp_keepalive": False,
        "compression_algs": "zlib@openssh.com,zlib,none",
        "rekey_bytes": 1 << 30,
        "rekey_seconds": 3600,
        "env": {"A": "1", "B": "2"},
        "send_env": ["LANG", "LC_*"],
    }
    assert await connect(RAMP, Access(files))


async def test_a_proxy_command_ends_with_its_connection(desk: Desk) -> None:
    relay = desk.put("relay.py", RELAY)
    files, _ = desk.write(f"{identity(desk)}ProxyCommand {sys.executable} {relay} %h %p {desk.folder}/pids\n")
    await connect(RAMP, Access(files))
    desk.known.write_text("")
    with pytest.raises(HostKeyRefused):
        await connect(RAMP, Access(files))
    pids = [int(pid) for pid in (desk.folder / "pids").read_text().split()]
    assert len(pids) == 4
    while any(is_running(pid) for pid in pids):
        await asyncio.sleep(0.01)


RELAY = """import os, socket, subprocess, sys, threading
host, port, pids = sys.argv[1:]
child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
with open(pids, "a") as file:
    file.write(f"{os.getpid()} {child.pid} ")
server = socket.create_connection((host, int(port)))
print("a word on stderr", file=sys.stderr, flush=True)
def send():
    while data := os.read(0, 65536):
        server.sendall(data)
threading.Thread(target=send, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
child.wait()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def fake_ssh(folder: Path, answer: str) -> None:
    """A program called ssh, which answers ``-G`` without a file as OpenSSH does, and else by ``answer``."""
    real = shutil.which("ssh")
    folder.mkdir()
    (folder / "ssh").write_text(f'#!/bin/sh\ncase "$*" in *localhost) exec {real} "$@";; esac\n{answer}\n')
    (folder / "ssh").chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("exec sleep 1000", "did not end within"),
        ("printf '\\033[2Jno\\nway\\n' >&2; exit 255", "for ramp: way$"),
        ("exit 3", "ended with 3"),
        ("echo hello", "printed no host name"),
        ("yes hostname x", "printed more than 1 MiB"),
    ],
)
async def test_what_ssh_answers_is_not_believed_blindly(
    desk: Desk, answer: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(desk.folder / "bin", answer)
    monkeypatch.setenv("PATH", f"{desk.folder}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(ssh_config, "RESOLVE_TIMEOUT_S", 20.0 if "sleep" not in answer else 0.5)
    files, _ = desk.write(identity(desk))
    with pytest.raises(Misconfigured, match=message):
        await resolve_route(RAMP, files)


async def test_a_program_called_ssh_that_is_not_openssh_is_not_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.folder / "bin"
    folder.mkdir()
    (folder / "ssh").write_text("#!/bin/sh\necho 'unknown option -G' >&2\nexit 1\n")
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    files, _ = desk.write(identity(desk))
    assert await connect(RAMP, Access(files))


def test_where_home_is_another_folder_its_file_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not default_ssh_files().has_system_config
    monkeypatch.delenv("HOME")
    assert default_ssh_files().has_system_config


@pytest.mark.parametrize(("hashed", "name"), [(False, "Ramp.Example"), (True, "ramp.example")])
async def test_known_hosts_has_what_ssh_keygen_finds(desk: Desk, hashed: bool, name: str) -> None:
    from console.hosts.ssh.known_hosts import KnownHosts

    patterns = [
        "ramp.example",
        "*.example",
        "!ramp.example,*",
        "r?mp.example",
        "ramp",
        "[ramp.example]:22",
        "RAMP.example",
    ]
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in patterns]
    desk.known.write_text("".join(desk.line(*pair) for pair in zip(patterns, keys, strict=True)))
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", str(desk.known)], check=False, capture_output=True)  # noqa: S607
    found = subprocess.run(
        ["ssh-keygen", "-F", name, "-f", str(desk.known)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    theirs = [line.split()[-1] for line in found.splitlines() if not line.startswith("#")]
    ours = KnownHosts.read([desk.known]).trusted([name.lower()])[0]
    assert [key.export_public_key().decode().split()[1] for key in ours] == theirs
    assert theirs


async def test_the_hosts_file_has_a_jump_none(desk: Desk) -> None:
    files, _ = desk.write(f"{identity(desk)}ProxyJump nowhere.invalid\n")
    assert await connect(replace(RAMP, jump="none"), Access(files))
