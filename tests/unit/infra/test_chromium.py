"""Chromium comes with the test set-up, so that no machine skips in silence what only a browser can judge."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tocsin_local import chromium
from tocsin_local.bootstrap import Clients

NODE = shutil.which("node")
DEFLATE = (
    "const [from, to] = process.argv.slice(1), fs = require('fs');"
    "fs.writeFileSync(to, require('zlib').brotliCompressSync(fs.readFileSync(from)));"
)
SHELL = '#!/bin/sh\nprintf "%s\\n" "$LD_LIBRARY_PATH" "$@"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space in its name, into which everything is unpacked."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, place in {"ARCHIVES": "archives", "CHROMIUM": "chromium", "TOOLS_BIN": "bin"}.items():
        monkeypatch.setattr(chromium, name, folder / place)
    monkeypatch.setattr(chromium, "PROGRAM", folder / "bin" / "chromium")
    return folder


@pytest.fixture
def package(folder: Path) -> str:
    """A package as npm installs it, whose Chromium tells how it was called. Returns the Node that unpacks."""
    if NODE is None:
        pytest.skip("no Node on this machine")
    plain, packed = folder / "plain", chromium.ARCHIVES
    packed.mkdir()
    library = tarfile.TarInfo("lib/libnss3.so")
    library.size = 3
    with tarfile.open(plain, "w") as libraries:
        libraries.addfile(library, io.BytesIO(b"nss"))
    subprocess.run([NODE, "-e", DEFLATE, str(plain), str(packed / "al2023.tar.br")], check=True)
    plain.write_text(SHELL)
    subprocess.run([NODE, "-e", DEFLATE, str(plain), str(packed / "chromium.br")], check=True)
    return NODE


def unpack(node: str) -> None:
    chromium.unpack(Path(node), lambda command: subprocess.run(command, check=True))


def test_what_is_unpacked_runs_with_the_libraries_that_came_along(package: str, folder: Path) -> None:
    unpack(package)
    program = chromium.find_chromium()
    assert program is not None
    told = subprocess.run([program, "--a b", "c"], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [str(folder / "chromium" / "lib"), "--a b", "c"]
    assert (folder / "chromium" / "lib" / "libnss3.so").read_bytes() == b"nss"


def test_a_newer_package_replaces_what_was_unpacked(package: str, folder: Path) -> None:
    unpack(package)
    (folder / "chromium" / "lib" / "libold.so").touch()
    unpack(package)
    assert os.listdir(folder / "chromium" / "lib") == ["libnss3.so"]


def test_the_pinned_one_goes_before_the_machines(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert chromium.find_chromium() == "/usr/bin/chromium"
    unpack(package)
    assert chromium.find_chromium() == str(chromium.PROGRAM)


class TestWhereItIsMissing:
    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The clients are installed, from the inputs of now."""
        monkeypatch.setattr("tocsin_local.bootstrap.TOOLS_BIN", tmp_path)
        (tmp_path / "node").touch()
        monkeypatch.setattr(Clients, "stamp", Clients.inputs)

    def test_the_set_up_brings_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chromium, "runs_packaged", lambda: True)
        assert not Clients().is_current()
        chromium.PROGRAM.parent.mkdir()
        chromium.PROGRAM.touch()
        assert Clients().is_current()

    def test_the_set_up_is_done_on_a_machine_that_there_is_no_build_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chromium, "runs_packaged", lambda: False)
        assert Clients().is_current()
