"""Host keys: what known_hosts files say, what the operator confirms, and a hard stop when a key has changed."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest
from msgspec.structs import replace

import console
from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused
from console.hosts.ssh.known_hosts import KnownHosts, append_key
from console.hosts.ssh.route import entry_name
from tests.console.hosts.ssh.desk import Desk
from tests.console.hosts.sshd import ME, ScriptedPrompter, Sshd, connect, started

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
PUBLIC = KEY.export_public_key().decode().strip()
OTHER_PUBLIC = OTHER.export_public_key().decode().strip()


def known(folder: Path, *lines: str) -> KnownHosts:
    (folder / "known_hosts").write_text("\n".join(lines) + "\n")
    return KnownHosts.read([folder / "missing", folder / "known_hosts"])


def test_a_host_is_known_under_its_name_and_port(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"[ramp]:2222,other {PUBLIC}")
    assert hosts.trusted(["[ramp]:2222", "ramp"])[0] == [KEY.convert_to_public()]
    assert hosts.trusted(["other"])[0] and not hosts.trusted(["ramp"])[0]
    assert [line.number for line in hosts.lines_for("[ramp]:2222")] == [1]


def test_a_key_known_without_a_port_is_trusted_at_another_but_not_required_there(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"ramp {PUBLIC}")
    assert hosts.trusted(["[ramp]:2222", "ramp"])[0] and not hosts.lines_for("[ramp]:2222")


def test_names_that_ssh_keygen_hashed_are_found(tmp_path: Path) -> None:
    known(tmp_path, f"ramp {PUBLIC}")
    hashed = ["ssh-keygen", "-H", "-f", str(tmp_path / "known_hosts")]
    try:
        subprocess.run(hashed, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    assert "ramp" not in (tmp_path / "known_hosts").read_text()
    assert KnownHosts.read([tmp_path / "known_hosts"]).lines_for("ramp")


def test_markers_sort_keys_into_trusted_authorities_and_revoked(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"@cert-authority *.example {PUBLIC}", f"@revoked * {OTHER_PUBLIC}")
    keys, authorities, revoked = hosts.trusted(["ramp.example"])
    assert (keys, authorities, revoked) == ([], [KEY.convert_to_public()], [OTHER.convert_to_public()])


def test_a_line_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    hosts = known(tmp_path, "# words", "", "alone", "@unheard ramp ssh-rsa x", "|9|x|y ssh-rsa x", f"ramp {PUBLIC}")
    assert [line.number for line in hosts.lines_for("ramp")] == [6]


def test_algorithms_of_known_keys_are_requested_first(tmp_path: Path) -> None:
    algorithms = known(tmp_path, f"ramp {OTHER_PUBLIC}").host_key_algorithms(["ramp"])
    assert algorithms[0] == "ecdsa-sha2-nistp256" and "ssh-ed25519" in algorithms
    assert not any("cert" in algorithm for algorithm in algorithms)
    trusting = known(tmp_path, f"@cert-authority ramp {PUBLIC}").host_key_algorithms(["ramp"])
    assert "cert" in trusting[0] and "ssh-ed25519" in trusting


def test_a_saved_key_is_known_and_its_file_private(tmp_path: Path) -> None:
    file = tmp_path / "config" / "qllm-console" / "known_hosts"
    append_key(file, "[ramp]:2222", KEY)
    append_key(file, "2001:db8::1", OTHER)
    hosts = KnownHosts.read([file])
    assert hosts.lines_for("[ramp]:2222") and hosts.lines_for("2001:db8::1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY.export_private_key().decode() not in file.read_text()


def test_a_last_line_without_newline_does_not_swallow_the_next(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"ramp {PUBLIC[:20]}")
    append_key(file, "ramp", KEY)
    assert KnownHosts.read([file]).lines_for("ramp")


def test_two_consoles_that_append_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: append_key(file, f"host{number}", KEY), range(64)))
    hosts = KnownHosts.read([file])
    assert all(hosts.lines_for(f"host{number}") for number in range(64))


@pytest.mark.parametrize("name", ["", "*", "a b", "a,b", "ramp\nother", "?", "!a", "|1|x|y", "@revoked", "#", "a\tb"])
def test_a_name_that_would_match_other_hosts_is_not_saved(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a single host"):
        append_key(tmp_path / "known_hosts", name, KEY)
    assert not (tmp_path / "known_hosts").exists()


def test_entries_are_named_as_ssh_names_them() -> None:
    assert entry_name("ramp", 22) == "ramp" and entry_name("ramp", 2222) == "[ramp]:2222"


async def test_an_unknown_key_is_shown_confirmed_and_saved(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    prompter = ScriptedPrompter("yes")
    access = sshd.access(operator, prompter, known=False)
    fingerprint = await connect(sshd.host(tmp_path), access)
    (question,) = prompter.questions
    assert fingerprint.startswith("SHA256:") and any(fingerprint in line for line in question.lines)
    assert question.confirm_word == "yes" and not question.secret
    assert access.files.own_known_hosts.read_text() == sshd.known_hosts_line()
    assert stat.S_IMODE(access.files.own_known_hosts.stat().st_mode) == 0o600
    assert await connect(sshd.host(tmp_path), access) == fingerprint
    assert len(prompter.questions) == 1


@pytest.mark.parametrize("answer", ["no", "y", "YES", "", None])
async def test_any_other_answer_than_the_word_refuses_the_key(
    sshd: Sshd, operator: Path, tmp_path: Path, answer: str | None
) -> None:
    access = sshd.access(operator, ScriptedPrompter(answer), known=False)
    with pytest.raises(HostKeyRefused, match="not confirmed"):
        await connect(sshd.host(tmp_path), access)
    assert not access.files.own_known_hosts.exists()
    assert "Accepted" not in sshd.log() and "Postponed" not in sshd.log()


async def test_without_an_operator_an_unknown_key_is_refused(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    with pytest.raises(HostKeyRefused, match=r"is unknown \(ssh-ed25519 SHA256:.*\), and nobody can be asked"):
        await connect(sshd.host(tmp_path), sshd.access(operator, known=False))


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("whose", ["known_hosts", "own/known_hosts"])
@pytest.mark.fault("the host's key has changed", "hard stop without a question")
async def test_a_changed_key_is_a_hard_stop_without_a_question(
    sshd: Sshd, operator: Path, tmp_path: Path, kind: str, whose: str
) -> None:
    prompter = ScriptedPrompter("yes")
    access = sshd.access(operator, prompter, known=False)
    before = asyncssh.generate_private_key(kind).export_public_key().decode()
    (operator / "own").mkdir()
    (operator / whose).write_text(f"# mine\n[127.0.0.1]:{sshd.port} {before}")
    with pytest.raises(HostKeyChanged) as caught:
        await connect(sshd.host(tmp_path), access)
    text = str(caught.value)
    assert "HAS CHANGED" in text and f"{operator / whose} line 2" in text and "\n" not in text
    assert sshd.host_keys[0].get_fingerprint() in text
    assert not prompter.questions and "Accepted" not in sshd.log()


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_host_with_several_keys_shows_the_one_that_is_known(
    operator: Path, tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    with started(Sshd(folder, ME, key_types=("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"))) as sshd:
        access = sshd.access(operator, known=False)
        (operator / "known_hosts").write_text(sshd.known_hosts_line(number))
        assert await connect(sshd.host(tmp_path), access) == sshd.host_keys[number].get_fingerprint()


@pytest.mark.parametrize("files", ["none", "/dev/null"])
async def test_no_configuration_turns_verification_off(sshd: Sshd, operator: Path, tmp_path: Path, files: str) -> None:
    config = f"Host *\n StrictHostKeyChecking no\n UserKnownHostsFile {files}\n CheckHostIP no\n"
    with pytest.raises(HostKeyRefused):
        await connect(sshd.host(tmp_path), sshd.access(operator, known=False, config=config))


@pytest.mark.fault("the host's key is revoked", "refused though it is known")
async def test_a_revoked_key_is_refused_though_it_is_known(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    prompter = ScriptedPrompter("yes")
    access = sshd.access(operator, prompter)
    line = sshd.known_hosts_line()
    (operator / "known_hosts").write_text(f"{line}@revoked * {line.split(' ', 1)[1]}")
    with pytest.raises(HostKeyRefused, match="revoked"):
        await connect(sshd.host(tmp_path), access)
    assert not prompter.questions


async def test_a_certificate_of_a_known_authority_needs_no_question(operator: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certified"
    folder.mkdir()
    authority = asyncssh.generate_private_key("ssh-ed25519")
    sshd = Sshd(folder, ME, settings=(f"HostCertificate {folder}/host_0-cert.pub",))
    certificate = authority.generate_host_certificate(sshd.host_keys[0], "ramp", principals=["127.0.0.1"])
    certificate.write_certificate(folder / "host_0-cert.pub")
    with started(sshd):
        access = sshd.access(operator, known=False)
        with pytest.raises(HostKeyRefused, match="unknown"):
            await connect(sshd.host(tmp_path), access)
        public = authority.export_public_key().decode()
        (operator / "known_hosts").write_text(f"@cert-authority [127.0.0.1]:* {public}")
        assert await connect(sshd.host(tmp_path), access)


async def test_a_key_that_cannot_be_saved_is_not_trusted(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    files = replace(sshd.files(operator, known=False), own_known_hosts=Path("/proc/none/known_hosts"))
    access = Access(files, ScriptedPrompter("yes"))
    with pytest.raises(HostKeyRefused, match="cannot be saved"):
        await connect(sshd.host(tmp_path), access)


@pytest.mark.fault("known_hosts cannot be read", "no key is trusted")
async def test_known_hosts_that_cannot_be_read_trust_no_key(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    access = sshd.access(operator, ScriptedPrompter("yes"))
    (operator / "known_hosts").unlink()
    (operator / "known_hosts").mkdir()
    with pytest.raises(HostKeyRefused, match="cannot be read"):
        await connect(sshd.host(tmp_path), access)


def test_no_connection_is_made_without_known_hosts() -> None:
    sources = {path: path.read_text() for path in Path(console.__file__).parent.rglob("*.py")}
    connecting = {path.name for path, text in sources.items() if "asyncssh.connect(" in text}
    assert connecting == {"connection.py", "embedded_host.py"}
    assert not [path for path, text in sources.items() if "known_hosts=None" in text or "known_hosts=()" in text]


@pytest.mark.parametrize(("hashed", "name"), [(False, "Ramp.Example"), (True, "ramp.example")])
async def test_known_hosts_has_what_ssh_keygen_finds(desk: Desk, hashed: bool, name: str) -> None:
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
