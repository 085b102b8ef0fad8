"""Receipts of syncs: the newest are kept, whoever else deletes the old ones at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.hosts.agent.transfer import RECEIPTS, keep_receipt


def test_a_receipt_that_another_console_deletes_first_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def after_another_console(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=True)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", after_another_console)
    kept = [keep_receipt(tmp_path, b"{}") for _ in range(RECEIPTS + 2)]
    assert sorted((tmp_path / "receipts").iterdir()) == kept[2:]
