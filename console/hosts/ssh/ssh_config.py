"""The operator's ssh configuration for one host: as ``ssh -G`` resolves it, else as asyncssh's parser reads it.

Only OpenSSH itself gives its files OpenSSH's meaning, so it is asked where it is installed. asyncssh's parser knows fewer
options and formats; it reads the files where there is no usable ``ssh``.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import pwd
import re
import shutil
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncssh
from msgspec import Struct
from platformdirs import user_config_path

from console.hosts.ssh.errors import Misconfigured
from console.sanitize import sanitize_line

RESOLVE_TIMEOUT_S = 20.0  # `Match exec` runs commands, and canonical names are looked up
MAX_OUTPUT_BYTES = 1 << 20
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
NO_FILE = "/dev/null"
LISTS = ("identityfile", "certificatefile", "setenv", "sendenv")
FILE_LISTS = ("userknownhostsfile", "globalknownhostsfile")
# what asyncssh's parser has, under the keywords of `ssh -G`
# fmt: off
PARSED = (
    "AddressFamily", "BindAddress", "CertificateFile", "Ciphers", "Compression",
    "ConnectTimeout", "GlobalKnownHostsFile", "GSSAPIAuthentication", "HostKeyAlgorithms", "HostKeyAlias",
    "IdentitiesOnly", "IdentityAgent", "IdentityFile", "KbdInteractiveAuthentication", "KexAlgorithms", "MACs",
    "PasswordAuthentication", "PreferredAuthentications", "ProxyCommand", "ProxyJump", "PubkeyAuthentication",
    "SendEnv", "SetEnv", "TCPKeepAlive", "UserKnownHostsFile",
)
# fmt: on
FAMILIES = {int(socket.AF_UNSPEC): "any", int(socket.AF_INET): "inet", int(socket.AF_INET6): "inet6"}


class SshFiles(Struct, frozen=True):
    """SSH files of the operator; all are only read, except ``own_known_hosts``.

    Attributes:
        own_known_hosts: keys that the operator confirmed in this console.
        config: ssh configuration file; None for none.
        has_system_config: ``config`` is the one that ssh reads by default, and its system-wide file is read too.
        known_hosts, global_known_hosts: the user's and the system's, unless the configuration names others.
        keys: key files to try if neither the host nor the configuration names any.
        agent: socket of the ssh agent; None for none.
    """

    own_known_hosts: Path
    config: Path | None = None
    has_system_config: bool = False
    known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    agent: str | None = None


def default_ssh_files() -> SshFiles:
    """The SSH files of the user who runs the console."""
    folder = Path.home() / ".ssh"
    config = folder / "config"
    try:
        is_own_home = Path(pwd.getpwuid(os.getuid()).pw_dir) == Path.home()
    except KeyError:  # a user id without an entry, as in many containers
        is_own_home = False
    return SshFiles(
        own_known_hosts=user_config_path("qllm-console") / "known_hosts",
        config=config if config.is_file() else None,
        has_system_config=is_own_home,  # ssh goes by the passwd entry alone; where $HOME is another, its file is named
        known_hosts=(folder / "known_hosts", folder / "known_hosts2"),
        global_known_hosts=(Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2")),
        keys=tuple(folder / name for name in DEFAULT_KEYS),
        agent=os.environ.get("SSH_AUTH_SOCK") or None,
    )


class SshSettings:
    """What the configuration sets for one host; what it leaves at ssh's default is not there.

    Args:
        address, port, user: of the host.
        values: by keyword in lower case, each a list as long as the keyword has values.
        parsed_by_ssh: they come from ``ssh -G``.
    """

    def __init__(
        self, address: str, port: int, user: str, values: Mapping[str, Sequence[str]], *, parsed_by_ssh: bool
    ) -> None:
        self.address = address
        self.port = port
        self.user = user
        self.parsed_by_ssh = parsed_by_ssh
        self._values = values

    def one(self, keyword: str) -> str | None:
        """The value of a keyword; None if it is left at its default, or is ``none``."""
        value = next(iter(self._values.get(keyword, ())), None)
        return None if value is None or value.lower() == "none" else value

    def flag(self, keyword: str) -> bool | None:
        """Whether a switch is on; None if it is left at its default."""
        value = self.one(keyword)
        return None if value is None else value.lower() not in ("no", "false", "off")

    def all(self, keyword: str) -> tuple[str, ...] | None:
        """The values of a keyword, () for ``none``; None if it is left at its default."""
        values = self._values.get(keyword)
        return None if values is None else tuple(value for value in values if value.lower() != "none")


async def read_ssh_settings(
    name: str, port: int | None, user: str | None, jump: str | None, files: SshFiles
) -> SshSettings:
    """The settings for the host ``name``; the other arguments take precedence over the files.

    Raises:
        Misconfigured: the configuration, or an argument, is unusable.
    """
    ssh = shutil.which("ssh")
    defaults = await _defaults(ssh) if ssh is not None else None
    if ssh is None or defaults is None:
        return await _parse(name, port, user, jump, files)
    file: list[str] = [] if files.has_system_config else ["-F", str(files.config or NO_FILE)]
    given = [*(["-p", str(port)] if port else []), *(["-l", user] if user else [])]
    if jump is not None:
        given += ["-o", f"ProxyJump={jump}"]
    values, error = await _resolve(ssh, *file, *given, "--", name)
    if values is None:
        raise Misconfigured(f"the ssh configuration for {sanitize_line(name)}: {error}")
    changed = {keyword: value for keyword, value in values.items() if value != defaults.get(keyword)}
    address, number, login = (values[keyword][0] for keyword in ("hostname", "port", "user"))
    return SshSettings(address.strip("[]"), int(number), login, changed, parsed_by_ssh=True)


_known_defaults: dict[str, dict[str, list[str]]] = {}


async def _defaults(ssh: str) -> dict[str, list[str]] | None:
    """What ``ssh -G`` prints without any file; None if this is no OpenSSH, or it refuses to run for this user."""
    if ssh not in _known_defaults:
        values, _ = await _resolve(ssh, "-F", NO_FILE, "--", "localhost")
        if values is None:
            return None
        _known_defaults[ssh] = values
    return _known_defaults[ssh]


async def _resolve(ssh: str, *arguments: str) -> tuple[dict[str, list[str]] | None, str]:
    """The keywords that ``ssh -G`` prints; or None, and why."""
    process = await asyncio.create_subprocess_exec(
        ssh,
        "-G",
        "-T",  # else it warns that there is no terminal
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    reading = [asyncio.create_task(_read(stream, process.pid)) for stream in (process.stdout, process.stderr)]
    try:
        await asyncio.wait(reading, timeout=RESOLVE_TIMEOUT_S)
        ended_in_time = all(task.done() for task in reading)
    finally:
        if not all(task.done() for task in reading) or process.returncode is None:
            _kill(process.pid)  # also what a `Match exec` has left behind
        out, err = await asyncio.gather(*reading)
        code = await process.wait()
    if not ended_in_time:
        return None, f"ssh -G did not end within {RESOLVE_TIMEOUT_S:.0f} s"
    if max(len(out), len(err)) > MAX_OUTPUT_BYTES:
        return None, f"ssh -G printed more than {MAX_OUTPUT_BYTES >> 20} MiB"
    if code:
        # ssh says last that it ends, and before that, where and why
        lines = [line for line in os.fsdecode(err).splitlines() if line.strip() and ": terminating, " not in line]
        return None, sanitize_line(lines[-1].strip(), 400) if lines else f"ssh -G ended with {code}"
    values: dict[str, list[str]] = {}
    for line in os.fsdecode(out).split("\n"):
        keyword, _, value = line.partition(" ")
        keyword = keyword.lower()
        if keyword in FILE_LISTS:
            values[keyword] = _split_files(value)
        elif keyword in LISTS or keyword not in values:
            values.setdefault(keyword, []).append(value)
    if not values.get("port", [""])[0].isdigit() or not {"hostname", "user"} <= values.keys():
        return None, "ssh -G printed no host name, user and port"
    return values, ""


async def _read(stream: asyncio.StreamReader, group: int) -> bytes:
    """All of ``stream``; if it is too much, the beginning, and the process group that writes it is killed."""
    data = b""
    while chunk := await stream.read(1 << 16):
        if len(data) <= MAX_OUTPUT_BYTES:
            data += chunk
        else:
            _kill(group)
    return data


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _split_files(text: str) -> list[str]:
    """The files of one line: ssh prints their paths, absolute as a rule, with spaces between them and in them."""
    words, files = text.split(" "), []
    while words:
        following = (number for number, word in enumerate(words[1:], 1) if word.startswith(("/", "~")))
        most = next(following, len(words))
        joined = (number for number in range(most, 1, -1) if Path(" ".join(words[:number])).expanduser().exists())
        used = next(joined, 1)
        files.append(" ".join(words[:used]))
        words = words[used:]
    return files


async def _parse(name: str, port: int | None, user: str | None, jump: str | None, files: SshFiles) -> SshSettings:
    """The settings by asyncssh's parser, which reads one file."""
    given = {"port": port, "username": user}
    options = {option: value for option, value in given.items() if value is not None}
    try:
        resolved = await asyncssh.SSHClientConnectionOptions.construct(
            None,
            host=name,
            config=[str(files.config)] if files.config else None,
            known_hosts=b"#",
            client_keys=None,
            tunnel=None,
            x509_trusted_certs=None,
            **options,
        )
    except (asyncssh.Error, ValueError, OSError) as error:
        raise Misconfigured(
            f"the ssh configuration for {sanitize_line(name)}: {sanitize_line(str(error))} "
            "(read without OpenSSH's ssh, which is not here)"
        ) from error
    unset = object()
    read = ((keyword, resolved.config.get(keyword, unset)) for keyword in PARSED)
    values = {keyword.lower(): _texts(keyword, value) for keyword, value in read if value is not unset}
    if jump is not None:
        values |= {"proxyjump": [jump], "proxycommand": ["none"]}
    return SshSettings(resolved.host.lower(), resolved.port, resolved.username, values, parsed_by_ssh=False)


def _texts(keyword: str, value: object) -> list[str]:
    """A value of asyncssh's parser as ``ssh -G`` prints it."""
    if keyword == "AddressFamily" and isinstance(value, int):
        return [FAMILIES[value]]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return ["none"] if value is None else [str(value)]


class Tokens:
    """Replaces ``%h`` and the other tokens of ssh_config, ``${NAME}`` and ``~`` in what ``ssh -G`` leaves as it was typed.

    Args:
        name: of the host as it was asked for.
    """

    def __init__(self, name: str, settings: SshSettings) -> None:
        host = socket.gethostname()
        self._values = {
            "%": "%",
            "d": str(Path.home()),
            "h": settings.address,
            "i": str(os.getuid()),
            "k": settings.one("hostkeyalias") or name,
            "L": host.partition(".")[0],
            "l": host,
            "n": name,
            "p": str(settings.port),
            "r": settings.user,
        }
        with contextlib.suppress(KeyError, OSError):  # a user id without a name
            self._values["u"] = getpass.getuser()

    def expand(self, text: str) -> str:
        """``text`` with its tokens replaced, as in ProxyCommand and ProxyJump; unknown ones stay."""
        return re.sub(r"%(.)", lambda match: self._values.get(match[1], match[0]), text)

    def path(self, keyword: str, text: str) -> Path:
        """The file that ``text``, a value of ``keyword``, names.

        Raises:
            Misconfigured: it names a variable of the environment that is not set.
        """

        def variable(match: re.Match[str]) -> str:
            if (value := os.environ.get(match[1])) is None:
                raise Misconfigured(f"{keyword} of the ssh configuration: {sanitize_line(match[0])} is not set")
            return value

        expanded = re.sub(r"\$\{([^}]*)\}", variable, self.expand(text))
        try:
            return Path(expanded).expanduser()
        except RuntimeError:  # ~name of nobody
            return Path(expanded)
