"""The token cache: each text encoded once, same bytes in any order, damaged shards replaced."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from engine.contract.events import Progress
from engine.contract.experiment import EncoderSettings
from engine.contract.file_lock import FileLock
from engine.encoder import shape, token_cache
from engine.encoder.encoder import Encoder, TextStates
from engine.encoder.token_cache import TokenCache, acquire, cache_folder
from engine.encoder.token_states import TokenStates
from tests.engine.samples import inputs_of

TEXTS = ("a bank", "the river bank", "she sat on it", "x", "a dog", "the dog barks")
INPUTS = inputs_of(TEXTS)


class CountingEncoder(Encoder):
    """Remembers every text it was encoded for."""

    def __init__(self, folder: Path, layers: tuple[int, ...] = (1, 2)) -> None:
        super().__init__(EncoderSettings(model=str(folder), layers=layers), "cpu")
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], layers: Sequence[int] | None = None) -> Iterator[tuple[int, TextStates]]:
        self.encoded += texts
        return super().encode(texts, layers)


@pytest.fixture
def encoder(tiny_encoder: Path) -> CountingEncoder:
    return CountingEncoder(tiny_encoder)


def same(left: TokenStates, right: TokenStates) -> bool:
    pairs = ((left.table, right.table), (left.offsets, right.offsets), (left.characters, right.characters))
    return left.inputs == right.inputs and all(torch.equal(one, other) for one, other in pairs)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("layer*/*.safetensors"))


def test_a_text_is_encoded_once_and_read_back_by_another_process(tmp_path: Path, encoder: CountingEncoder) -> None:
    first = TokenCache(tmp_path, encoder).states([*INPUTS, *INPUTS])
    again = TokenCache(tmp_path, encoder).states(INPUTS)
    assert sorted(encoder.encoded) == sorted(TEXTS)
    assert same(first, again)
    assert first.inputs == tuple(sorted(INPUTS))


def shards_of(folder: Path, layer: int) -> list[Path]:
    return sorted((folder / f"layer{layer}").glob("*.safetensors"))


def test_states_do_not_depend_on_what_was_encoded_before(tmp_path: Path, encoder: CountingEncoder) -> None:
    at_once = TokenCache(tmp_path / "a", encoder).states(INPUTS)
    piecewise = TokenCache(tmp_path / "b", encoder)
    for one in reversed(INPUTS):
        piecewise.states([one])
    assert same(piecewise.states(INPUTS), at_once)


def test_the_same_list_makes_the_same_file(tmp_path: Path, encoder: CountingEncoder) -> None:
    for name in "ab":
        TokenCache(tmp_path / name, encoder).states(INPUTS)
    for layer in (1, 2):
        (first,), (second,) = (shards_of(tmp_path / name, layer) for name in "ab")
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()


def test_a_text_is_encoded_once_for_all_layers_that_are_kept(tmp_path: Path, tiny_encoder: Path) -> None:
    first, second, both = (CountingEncoder(tiny_encoder, layers) for layers in ((1,), (2,), (2, 1)))
    of_first = TokenCache(tmp_path, first, (0, 2)).states(INPUTS)
    of_second = TokenCache(tmp_path, second).states(INPUTS)
    of_both = TokenCache(tmp_path, both, (0,)).states(INPUTS)
    assert sorted(first.encoded) == sorted(TEXTS) and second.encoded == both.encoded == []
    assert torch.equal(of_both.table, torch.cat([of_second.table, of_first.table], dim=1))
    assert torch.equal(of_both.characters, of_first.characters)
    assert same(TokenCache(tmp_path / "alone", first).states(INPUTS), of_first)


def test_a_layer_named_later_is_added_to_those_there_are(tmp_path: Path, tiny_encoder: Path) -> None:
    first, both = CountingEncoder(tiny_encoder, (1,)), CountingEncoder(tiny_encoder, (1, 2))
    TokenCache(tmp_path, first).states(INPUTS[:4])
    before = shards_of(tmp_path, 1)
    added = TokenCache(tmp_path, both).states(INPUTS)
    assert sorted(both.encoded) == sorted(TEXTS)
    assert set(before) < set(shards_of(tmp_path, 1))
    assert same(added, TokenCache(tmp_path / "at once", both).states(INPUTS))


def test_a_layer_that_only_others_read_is_no_reason_to_encode(tmp_path: Path, tiny_encoder: Path) -> None:
    first = CountingEncoder(tiny_encoder, (1,))
    TokenCache(tmp_path, first).states(INPUTS)
    assert list(TokenCache(tmp_path, first, (2,)).fill(TEXTS)) == []
    assert len(first.encoded) == len(TEXTS)


@pytest.mark.parametrize("damage", ["truncated", "altered", "emptied"])
def test_a_damaged_shard_is_noticed_and_replaced(tmp_path: Path, encoder: CountingEncoder, damage: str) -> None:
    whole = TokenCache(tmp_path, encoder).states(INPUTS)
    shard, _ = shards(tmp_path)
    content = bytearray(shard.read_bytes())
    content[-200] ^= 0xFF
    shard.write_bytes({"truncated": bytes(content[:-1]), "altered": bytes(content), "emptied": b""}[damage])
    assert same(TokenCache(tmp_path, encoder).states(INPUTS), whole)
    assert len(encoder.encoded) == 2 * len(TEXTS)
    assert same(TokenCache(tmp_path, encoder).states(INPUTS), whole)
    assert len(encoder.encoded) == 2 * len(TEXTS)


def test_a_shard_that_cannot_be_read_now_is_not_treated_as_broken(
    tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    TokenCache(tmp_path, encoder).states(INPUTS)

    def busy(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(token_cache, "safe_open", busy)
    with pytest.raises(OSError, match="Too many open files"):
        TokenCache(tmp_path, encoder).states(INPUTS)
    assert len(shards(tmp_path)) == 2


def test_files_of_killed_writers_are_removed_only_under_the_lock(tmp_path: Path, encoder: CountingEncoder) -> None:
    left = tmp_path / "layer1" / ".0123.safetensors.77.tmp"
    broken = tmp_path / "layer2" / "broken.safetensors"
    for path in (left, broken):
        path.parent.mkdir()
        path.write_bytes(b"half a shard")
    with FileLock(tmp_path / "lock") as lock:
        waiting = TokenCache(tmp_path, encoder).fill(TEXTS)
        lock.note("1 6 texts")
        assert next(waiting) == Progress(1, 6, "texts")
        assert left.exists() and broken.exists()
        waiting.close()
    TokenCache(tmp_path, encoder).states(INPUTS)
    assert not left.exists() and not broken.exists()


def test_a_long_list_is_cut_and_shards_written_before_a_kill_are_kept(
    tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TokenCache(tmp_path / "whole", encoder).states(INPUTS)
    monkeypatch.setattr(shape, "_SHARD_TOKENS", 16)
    encoder.encoded.clear()
    filling = TokenCache(tmp_path / "cut", encoder).fill(TEXTS)
    while len(encoder.encoded) <= len(TEXTS) // 2:
        next(filling)
    filling.close()
    kept = len(shards(tmp_path / "cut"))
    assert kept >= 1
    encoded = len(encoder.encoded)
    assert same(TokenCache(tmp_path / "cut", encoder).states(INPUTS), whole)
    assert len(encoder.encoded) - encoded < len(TEXTS)


def test_an_encoder_that_leaves_a_text_out_makes_no_shard(
    tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda *wanted: list(real(*wanted))[1:])
    with pytest.raises(KeyError):
        TokenCache(tmp_path, encoder).states(INPUTS)
    assert shards(tmp_path) == []


def test_concurrent_caches_encode_each_text_once(tmp_path: Path, tiny_encoder: Path) -> None:
    encoders = [CountingEncoder(tiny_encoder) for _ in range(3)]
    made: list[TokenStates] = []
    threads = [
        threading.Thread(target=lambda one=one: made.append(TokenCache(tmp_path, one).states(INPUTS)))
        for one in encoders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(one.encoded) for one in encoders) == len(TEXTS)
    assert same(made[0], made[1])
    assert same(made[1], made[2])


def test_fill_reports_progress(tmp_path: Path, encoder: CountingEncoder) -> None:
    reports = list(TokenCache(tmp_path, encoder).fill(TEXTS))
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert (reports[0].done, reports[-1].done, reports[-1].total) == (0, len(TEXTS), len(TEXTS))
    assert list(TokenCache(tmp_path, encoder).fill(TEXTS)) == []


def test_nothing_to_encode_needs_no_model(tmp_path: Path, encoder: CountingEncoder) -> None:
    assert TokenCache(tmp_path, encoder).states([]).inputs == ()
    assert encoder.encoded == []


def test_each_encoder_on_each_kind_of_device_has_a_folder_of_its_own(tmp_path: Path, tiny_encoder: Path) -> None:
    encoded = [((1,), 128, "cpu"), ((1,), 64, "cpu"), ((1,), 128, "cuda"), ((2,), 128, "cpu")]
    encoders = [Encoder(EncoderSettings(str(tiny_encoder), layers, most), device) for layers, most, device in encoded]
    folders = [cache_folder(tmp_path, one) for one in encoders]
    assert folders[3] == folders[0] and len(set(folders)) == 3
    assert all(folder.is_dir() for folder in folders)


def test_a_process_that_waits_reports_the_holders_progress_once_each_time_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    tries = iter(["2 7 texts", "2 7 texts", "5 7 texts", "5 7 texts", "5 7 texts"])

    class ChangingLock(FileLock):
        """Its holder makes progress between the tries of the waiting process."""

        def waiting(self) -> Generator[str, None, None]:
            yield from tries
            yield from super().waiting()

    assert list(acquire(ChangingLock(path))) == [Progress(2, 7, "texts"), Progress(5, 7, "texts")]
