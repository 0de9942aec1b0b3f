"""What a checkout has on a machine that asks git for Windows' line ends (`core.autocrlf`)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tocsin_local.paths import ROOT

SCRIPT = b"#!/bin/sh\necho hello\n"
PICTURE = b"\x89PNG\r\n\x1a\n\x00"


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "core.autocrlf=true")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
@pytest.mark.parametrize(("name", "content"), [("run", SCRIPT), ("Makefile", SCRIPT), ("logo.png", PICTURE)])
def test_files_have_the_line_ends_they_were_written_with(tmp_path: Path, name: str, content: bytes) -> None:
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (tmp_path / name).write_bytes(content)
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "all")
    (tmp_path / name).unlink()
    git(tmp_path, "checkout", name)
    assert (tmp_path / name).read_bytes() == content
