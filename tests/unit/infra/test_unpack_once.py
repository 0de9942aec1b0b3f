"""A layer is unpacked once for all processes of the emulator, and none of them can harm another's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tocsin_local.unpack_once import UnpackedOnce

Unpack = Callable[..., Path]


@pytest.fixture
def unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unpack:
    """Unpack an archive with these files in a folder of its own, as MiniStack does it for a process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(UnpackedOnce, "_folders", {})

    def unpacked(files: dict[str, str]) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="process-"))
        with ZipFile(folder / "layer.zip", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        layer = folder / "layer"
        layer.mkdir()
        with UnpackedOnce(str(folder / "layer.zip")) as archive:
            archive.extractall(str(layer))
        return layer

    return unpacked


LAYER = {"python/tocsin/a.py": "a", "python/tocsin/b.py": "b", "README": "read me"}


def test_what_is_in_it_lies_there(unpack: Unpack) -> None:
    layer = unpack(LAYER)
    assert {name: (layer / name).read_text() for name in LAYER} == LAYER


def test_the_next_process_gets_the_same_files(unpack: Unpack, tmp_path: Path) -> None:
    first, second = unpack(LAYER), unpack(LAYER)
    assert (first / "python").resolve() == (second / "python").resolve()
    assert len([*tmp_path.glob("unpacked-*")]) == 1


def test_another_archive_has_files_of_its_own(unpack: Unpack) -> None:
    old, new = unpack(LAYER), unpack(LAYER | {"python/tocsin/a.py": "A"})
    assert [(layer / "python/tocsin/a.py").read_text() for layer in (old, new)] == ["a", "A"]


def test_a_process_that_is_gone_takes_nothing_along(unpack: Unpack) -> None:
    first, second = unpack(LAYER), unpack(LAYER)
    shutil.rmtree(first.parent)
    assert (second / "python/tocsin/a.py").read_text() == "a"


def test_nothing_leaves_the_folder(unpack: Unpack, tmp_path: Path) -> None:
    unpack({"../../escaped": "x", "python/a.py": "a"})
    assert [*tmp_path.glob("escaped")] == []
    assert [*tmp_path.parent.glob("escaped")] == []


def test_what_is_asked_to_be_checked_are_the_links(unpack: Unpack, tmp_path: Path) -> None:
    layer = unpack(LAYER)
    with UnpackedOnce(str(layer.parent / "layer.zip")) as archive:
        assert archive.namelist() == ["README", "python"]
