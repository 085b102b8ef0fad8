"""The wheel that is sent to hosts, and the requirements that a host installs with it."""

from __future__ import annotations

from console.hosts.remote.wheel import wheel


def test_the_wheel_has_the_same_bytes_each_time_and_what_it_needs() -> None:
    wheel.cache_clear()
    name, content = wheel()
    assert wheel.__wrapped__() == (name, content)
    assert name.startswith("qllm_console-") and name.endswith("-py3-none-any.whl")
    assert len(content) < 1_000_000
