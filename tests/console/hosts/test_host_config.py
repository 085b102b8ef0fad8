"""hosts.toml: what an entry must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.hosts.host_config import HostConfig, read_host, split_jump
from engine.contract.bad_input import BadInput

HOST = """# hosts
[hosts.box]
title = "box"
launcher = "embedded"
"""
REMOTE = HOST.replace("embedded", "ssh")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("price_per_hour = 1.2", "hosts.toml:2: hosts.box.currency: price_per_hour needs it, such as EUR"),
        ('price_per_hour = "free"', "hosts.toml:5: hosts.box.price_per_hour: "),
        ("cpus = 0", "hosts.toml:5: hosts.box.cpus: "),
        ("memory_gib = -64", "hosts.toml:5: hosts.box.memory_gib: "),
        ('disk_gib = "500 GB"', "hosts.toml:5: hosts.box.disk_gib: "),
        ('occupied_gpu = "never"', "hosts.toml:5: hosts.box.occupied_gpu: "),
        ("price_per_hour = -1.0", "hosts.toml:5: hosts.box.price_per_hour: "),
        ("price_per_hour = inf", "hosts.toml:5: hosts.box.price_per_hour: "),
        ('price_per_hour = 1\ncurrency = "dollars"', "hosts.toml:6: hosts.box.currency: "),
        ('price_per_hour = 1\ncurrency = "EUR\\n"', "hosts.toml:6: hosts.box.currency: must be a currency such as EUR"),
        ("price_per_hour = nan", "hosts.toml:5: hosts.box.price_per_hour: "),
        ('environment = ["HF_TOKEN\\n"]', "hosts.toml:5: hosts.box.environment: must be the name of a variable"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_line_and_field(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(HOST + lines + "\n")
    with pytest.raises(BadInput) as raised:
        read_host(path, "box")
    assert message in str(raised.value)


def test_a_price_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(HOST)
    assert read_host(path, "box").price_per_hour is None
    path.write_text(HOST + 'price_per_hour = 1\ncurrency = "EUR"\n')
    assert (read_host(path, "box").price_per_hour, read_host(path, "box").currency) == (1.0, "EUR")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('workspace = ""', "hosts.box.workspace: is empty"),
        ('workspace = "~"', "hosts.box.workspace: ~ is more than a workspace: name a folder in it, such as ~/qllm"),
        ('workspace = "~/./"', "hosts.box.workspace: ~/./ is more than a workspace"),
        ('workspace = "$HOME/"', "hosts.box.workspace: $HOME/ is more than a workspace"),
        ('workspace = "/"', "hosts.box.workspace: / is more than a workspace: name a folder in it, such as /qllm"),
        ('workspace = "a/.."', "hosts.box.workspace: a/.. is more than a workspace"),
        ('workspace = "a\\nb"', "hosts.box.workspace: a path has no new line or other control characters"),
        ('workspace = "~nobody-here/ws"', "hosts.box.workspace: ~nobody-here/ws: there is no user 'nobody-here'"),
        ('workspace = "$NOT_SET_HERE/ws"', "hosts.box.workspace: $NOT_SET_HERE/ws: $NOT_SET_HERE is not set"),
        ('identity = "$NOT_SET_HERE/key"', "hosts.box.identity: $NOT_SET_HERE/key: $NOT_SET_HERE is not set"),
        ('identity = ""', "hosts.box.identity: is empty"),
        ('python = " "', "hosts.box.python: is empty"),
    ],
)
def test_a_path_that_cannot_be_meant_is_named_with_its_file_line_and_field(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(f"{HOST}{line}\n")
    with pytest.raises(BadInput) as raised:
        read_host(path, "box")
    assert f"hosts.toml:5: {message}" in str(raised.value)


def test_paths_here_are_expanded_when_they_are_read_and_those_of_the_host_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "josé x"
    home.mkdir()
    (home / "id").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KEYS", "/keys")
    path = tmp_path / "hosts.toml"
    paths = 'workspace = "$HOME/ws"\nidentity = "$KEYS/id"\npython = "~/env/bin/python"\n'
    path.write_text(HOST + paths)
    host = read_host(path, "box")
    assert (host.workspace, host.identity, host.python) == (f"{home}/ws", "/keys/id", "~/env/bin/python")
    path.write_text(HOST.replace("embedded", "ssh") + paths.replace("$KEYS", "~") + 'address = "box"\n')
    host = read_host(path, "box")
    assert (host.workspace, host.identity, host.python) == ("$HOME/ws", f"{home}/id", "~/env/bin/python")


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ('["json://ok", "s3cr3t"]', "entry 2 is no URL such as"),
        ('["json://a s3cr3t"]', "entry 1 is no URL such as"),
        (f"{['json://s3cr3t'] * 17}", "expected at most 16 URLs, got 17"),
        ('"json://s3cr3t"', "must be"),
        ('[["s3cr3t"]]', "must be"),
    ],
)
def test_a_wrong_url_is_named_by_its_number_and_never_quoted(tmp_path: Path, entry: str, error: str) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(f'[hosts.x]\ntitle = "x"\nlauncher = "embedded"\nnotify = {entry}\n')
    with pytest.raises(BadInput) as found:
        read_host(path, "x")
    assert str(found.value).startswith(f"{path}:4: hosts.x.notify") and error in str(found.value)
    assert "s3cr3t" not in str(found.value)


def test_a_traceback_that_prints_values_does_not_print_urls() -> None:
    host = HostConfig("x", "embedded", notify=("json://s3cr3t",))
    assert "s3cr3t" not in repr(host) + str(host.__rich_repr__())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("address", "-oProxyCommand=x", "is no name or address"),
        ("address", "ra mp", "is no name or address"),
        ("address", "", "is no name or address"),
        ("address", "127.0.0.1:22", "is no name or address of a host; user and port are fields of their own"),
        ("python", "-c", "begins with a dash, as options do"),
        ("python", f"/data/{chr(120) * 256}", "a name in it is longer than 255 bytes"),
        pytest.param("workspace", "/d" * 2048, "has 4,096 bytes, a path at most 4,095", id="long workspace"),
        ("address", "ssh://ramp", "is no name or address"),
        ("user", "a;b", "has characters that no user's name has"),
        ("jump", "a,,b", "is not"),
        ("jump", "gate:0", "is not"),
        ("jump", "$(x)@gate", "is not"),
        ("identity", "~nobody-of-that-name/id", "there is no user"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, field: str, value: str, message: str) -> None:
    path = tmp_path / "hosts.toml"
    others = {"address": "ramp", "workspace": "/host"} | {field: value}
    path.write_text(REMOTE + "".join(f'{name} = "{text}"\n' for name, text in others.items()))
    line = 5 + [*others].index(field)
    with pytest.raises(BadInput, match=rf"hosts.toml:{line}: hosts.box.{field}: .*{message}"):
        read_host(path, "box")


@pytest.mark.parametrize(
    ("jump", "parts"),
    [
        ("gate", (None, "gate", None)),
        ("me@gate:2222", ("me", "gate", 2222)),
        ("ssh://me@gate:2222", ("me", "gate", 2222)),
        ("me@corp@gate", ("me@corp", "gate", None)),
        ("[::1]:22", (None, "::1", 22)),
        ("2001:db8::1", (None, "2001:db8::1", None)),
        ("@gate", None),
        ("gate:65536", None),
        ("gate:", (None, "gate", None)),
        ("", None),
        ("ssh://gate/x", None),
    ],
)
def test_a_jump_is_read_as_ssh_reads_it(jump: str, parts: tuple[str | None, str, int | None] | None) -> None:
    assert split_jump(jump) == parts
