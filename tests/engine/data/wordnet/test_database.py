from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.data.wordnet.database import WordNet, find_wordnet, read_wordnet
from engine.data.wordnet.obtain import WORDNET_3_0
from tests.engine.data.conftest import write_tiny


def test_wordnet_3_0_is_read_whole(wordnet: WordNet) -> None:
    assert len(wordnet.synsets) == 117_659
    assert sum(len(names) for names in wordnet.senses.values()) == 206_941
    assert wordnet.fingerprint == WORDNET_3_0


def test_synsets_are_named_by_first_lemma_part_of_speech_and_sense_number(wordnet: WordNet) -> None:
    flip = wordnet.synsets["flip.v.06"]
    assert flip.lemmas == ("flip", "toss", "sky", "pitch")
    assert flip.definition == "throw or toss with a light motion"
    assert wordnet.synsets["dry.s.10"].pos == "a"
    assert wordnet.senses["sky", "v"] == ("flip.v.06",)


def test_the_fingerprint_sees_content_and_neither_offsets_nor_white_space(tmp_path: Path) -> None:
    plain = read_wordnet(write_tiny(tmp_path / "a"))
    moved = read_wordnet(write_tiny(tmp_path / "b", shift=77, gloss='an  entity;  "it was a thing" '))
    changed = read_wordnet(write_tiny(tmp_path / "c", gloss='an entity; "it was the thing"'))
    assert plain.fingerprint == moved.fingerprint != changed.fingerprint


def test_senses_keep_the_order_of_the_index(tiny_wordnet: Path) -> None:
    wordnet = read_wordnet(tiny_wordnet)
    assert wordnet.senses["thing", "n"] == ("thing.n.01", "thing.n.02")
    assert wordnet.synsets["thing.n.01"].lemmas == ("thing", "Big Thing")
    assert wordnet.exceptions["v"] == {"ran": ("run",), "running": ("run",)}


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("data.noun", " | ", " ! ", 2),
        ("data.noun", " 02 thing", " 0x thing", 2),
        ("data.noun", "01 thing", "01 thong", 3),
        ("data.verb", " 001 @", " 00x @", 2),
        ("data.verb", " v 0000", " z 0000", 2),
        ("index.noun", "thing n 2 1", "thing n 3 1", 3),
        ("index.verb", "run v", "run", 2),
        ("verb.exc", "running run", "running", 2),
    ],
)
def test_a_malformed_line_is_named(tiny_wordnet: Path, name: str, old: str, new: str, line: int) -> None:
    path = tiny_wordnet / name
    path.write_text(path.read_text().replace(old, new, 1) if line < 3 else new.join(path.read_text().rsplit(old, 1)))
    with pytest.raises(BadInput) as raised:
        read_wordnet(tiny_wordnet)
    assert (raised.value.file, raised.value.line) == (path, line)


def test_an_index_that_points_nowhere_is_refused(tiny_wordnet: Path) -> None:
    path = tiny_wordnet / "data.noun"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(BadInput, match="points to"):
        read_wordnet(tiny_wordnet)


@pytest.mark.parametrize("name", ["noun.exc", "data.adv", "index.verb"])
def test_a_missing_file_is_named(tiny_wordnet: Path, name: str) -> None:
    (tiny_wordnet / name).unlink()
    with pytest.raises(BadInput, match="no such file") as raised:
        read_wordnet(tiny_wordnet)
    assert raised.value.file == tiny_wordnet / name


def test_wnhome_may_be_the_folder_or_hold_dict(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "dict")
    assert find_wordnet({"WNHOME": str(tmp_path)}) == folder
    assert find_wordnet({"WNHOME": str(folder)}) == folder


def test_an_unusable_wnhome_is_refused_though_another_folder_has_one(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    write_tiny(tmp_path / "share" / "wordnet")
    assert find_wordnet({}, prefix=tmp_path) == tmp_path / "share" / "wordnet"
    with pytest.raises(BadInput, match="WNHOME"):
        find_wordnet({"WNHOME": str(tmp_path)}, prefix=tmp_path)


def test_synsets_name_their_relatives_and_not_their_antonyms(wordnet: WordNet) -> None:
    assert {"motor_vehicle.n.01", "cab.n.03", "car_door.n.01"} <= set(wordnet.synsets["car.n.01"].related)
    assert "adaxial.a.01" not in wordnet.synsets["abaxial.a.01"].related
    names = set(wordnet.synsets)
    assert all(set(synset.related) <= names for synset in wordnet.synsets.values())


def test_verbs_keep_the_sentence_frames_of_each_lemma(wordnet: WordNet) -> None:
    heed = wordnet.synsets["heed.v.01"]
    frames = dict(zip(heed.lemmas, heed.frames, strict=True))
    assert frames["heed"] == {8, 9} and frames["listen"] == {8, 9, 22}
    assert wordnet.synsets["dog.n.01"].frames == ()


def test_adjectives_keep_their_places_in_a_sentence(wordnet: WordNet) -> None:
    markers = {
        lemma: marker
        for name in ("asleep.a.01", "elder.s.01", "galore.s.01")
        for lemma, marker in zip(wordnet.synsets[name].lemmas, wordnet.synsets[name].markers, strict=True)
    }
    assert (markers["asleep"], markers["galore"]) == ("p", "ip")


def test_a_pointer_to_nowhere_is_refused(tiny_wordnet: Path) -> None:
    path = tiny_wordnet / "data.verb"
    path.write_text(path.read_text().replace("@ 00002640", "@ 00009999"))
    with pytest.raises(BadInput, match="00009999") as raised:
        read_wordnet(tiny_wordnet)
    assert (raised.value.file, raised.value.line) == (path, 2)
