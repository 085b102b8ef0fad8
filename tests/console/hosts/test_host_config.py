"""hosts.toml: what an entry must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.hosts.host_config import read_host
from engine.contract.bad_input import BadInput

HOST = """# hosts
[hosts.box]
title = "box"
launcher = "embedded"
"""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("price_per_hour = 1.2", "hosts.toml:2: hosts.box.currency: price_per_hour needs it, such as EUR"),
        ('price_per_hour = "free"', "hosts.toml:5: hosts.box.price_per_hour: "),
        ("price_per_hour = -1.0", "hosts.toml:5: hosts.box.price_per_hour: "),
        ("price_per_hour = inf", "hosts.toml:5: hosts.box.price_per_hour: "),
        ('price_per_hour = 1\ncurrency = "dollars"', "hosts.toml:6: hosts.box.currency: "),
    ],
)
def test_a_wrong_price_is_named_with_its_file_line_and_field(tmp_path: Path, lines: str, message: str) -> None:
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
