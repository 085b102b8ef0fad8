"""Known hosts: what is read of the user's files, what is asked for, and what is written to our own."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest

from console.hosts.ssh.known_hosts import KnownHosts, entry_name, remember

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
PUBLIC = KEY.export_public_key().decode().strip()
OTHER_PUBLIC = OTHER.export_public_key().decode().strip()


def known(folder: Path, *lines: str) -> KnownHosts:
    (folder / "known_hosts").write_text("\n".join(lines) + "\n")
    return KnownHosts.read([folder / "missing", folder / "known_hosts"])


def test_a_host_is_known_under_its_name_and_port(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"[ramp]:2222,other {PUBLIC}")
    assert hosts.trusted("ramp", 2222)[0] == [KEY.convert_to_public()]
    assert hosts.trusted("other", 22)[0] and not hosts.trusted("ramp", 22)[0]
    assert [line.number for line in hosts.known_by("ramp", 2222)] == [1]


def test_a_key_known_without_a_port_is_trusted_at_another_but_not_required_there(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"ramp {PUBLIC}")
    assert hosts.trusted("ramp", 2222)[0] and not hosts.known_by("ramp", 2222)


def test_names_that_ssh_keygen_hashed_are_found(tmp_path: Path) -> None:
    known(tmp_path, f"ramp {PUBLIC}")
    hashed = ["ssh-keygen", "-H", "-f", str(tmp_path / "known_hosts")]
    try:
        subprocess.run(hashed, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    assert "ramp" not in (tmp_path / "known_hosts").read_text()
    assert KnownHosts.read([tmp_path / "known_hosts"]).known_by("ramp", 22)


def test_markers_sort_keys_into_trusted_authorities_and_revoked(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"@cert-authority *.example {PUBLIC}", f"@revoked * {OTHER_PUBLIC}")
    keys, authorities, revoked = hosts.trusted("ramp.example", 22)
    assert (keys, authorities, revoked) == ([], [KEY.convert_to_public()], [OTHER.convert_to_public()])


def test_a_line_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    hosts = known(tmp_path, "# words", "", "alone", "@unheard ramp ssh-rsa x", "|9|x|y ssh-rsa x", f"ramp {PUBLIC}")
    assert [line.number for line in hosts.known_by("ramp", 22)] == [6]


def test_known_types_are_asked_for_first_and_all_others_after(tmp_path: Path) -> None:
    algorithms = known(tmp_path, f"ramp {OTHER_PUBLIC}").algorithms("ramp", 22)
    assert algorithms[0] == "ecdsa-sha2-nistp256" and "ssh-ed25519" in algorithms
    assert not any("cert" in algorithm for algorithm in algorithms)
    trusting = known(tmp_path, f"@cert-authority ramp {PUBLIC}").algorithms("ramp", 22)
    assert "cert" in trusting[0] and "ssh-ed25519" in trusting


def test_what_is_remembered_is_known_and_only_the_operator_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "config" / "qllm-console" / "known_hosts"
    remember(file, "ramp", 2222, KEY)
    remember(file, "2001:db8::1", 22, OTHER)
    hosts = KnownHosts.read([file])
    assert hosts.known_by("ramp", 2222) and hosts.known_by("2001:db8::1", 22)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY.export_private_key().decode() not in file.read_text()


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"ramp {PUBLIC[:20]}")
    remember(file, "ramp", 22, KEY)
    assert KnownHosts.read([file]).known_by("ramp", 22)


def test_two_consoles_that_consent_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: remember(file, f"host{number}", 22, KEY), range(64)))
    hosts = KnownHosts.read([file])
    assert all(hosts.known_by(f"host{number}", 22) for number in range(64))


@pytest.mark.parametrize("name", ["", "*", "a b", "a,b", "ramp\nother", "?", "!a", "|1|x|y", "@revoked", "#", "a\tb"])
def test_a_name_that_would_mean_other_hosts_is_not_remembered(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of one host"):
        remember(tmp_path / "known_hosts", name, 22, KEY)
    assert not (tmp_path / "known_hosts").exists()


def test_entries_are_named_as_ssh_names_them() -> None:
    assert entry_name("ramp", 22) == "ramp" and entry_name("ramp", 2222) == "[ramp]:2222"
