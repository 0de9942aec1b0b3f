"""Chromium for the tests, from npm's registry: no package manager of a system, no root, one pinned version.

The package `@sparticuz/chromium` is Chromium's headless shell for Linux on x86-64, with the few libraries
that a small machine lacks. It is there for Lambda; its archives serve any machine with glibc. Elsewhere the
tests take a Chromium from the PATH. No syntax newer than Python 3.7's (`bootstrap`).
"""

from __future__ import annotations

import shlex
import shutil
import tarfile
from pathlib import Path
from typing import Callable, List, Optional

from tocsin_local.node_runtime import is_linux_with_glibc
from tocsin_local.paths import CHROMIUM, CLIENTS, TOOLS_BIN

ARCHIVES = CLIENTS / "node_modules" / "@sparticuz" / "chromium" / "bin"
PROGRAM = TOOLS_BIN / "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome")

# Brotli is in Node, and not in Python.
INFLATE = (
    "const [from, to] = process.argv.slice(1);"
    "const {createReadStream, createWriteStream} = require('fs');"
    "require('stream').pipeline("
    "createReadStream(from), require('zlib').createBrotliDecompress(), createWriteStream(to),"
    "error => { if (error) throw error; });"
)


def find_chromium() -> Optional[str]:
    """The Chromium to test with: the one that we unpacked, else the machine's. None if there is none."""
    if PROGRAM.exists():
        return str(PROGRAM)
    return next((found for found in map(shutil.which, NAMES) if found is not None), None)


def runs_packaged() -> bool:
    """Whether the package's build runs on this machine."""
    return is_linux_with_glibc("x86_64")


def is_unpacked() -> bool:
    """Is everything there that this machine can have?"""
    return PROGRAM.exists() or not runs_packaged()


def unpack(node: Path, run: Callable[[List[str]], None]) -> None:
    """Unpack what npm installed, and offer it as `.tools/bin/chromium`. `run` raises if a command fails."""
    shutil.rmtree(str(CHROMIUM), ignore_errors=True)
    beside = CHROMIUM / "lib"
    beside.mkdir(parents=True)
    shell, libraries = CHROMIUM / "headless_shell", CHROMIUM / "libraries.tar"
    for archive, made in (("chromium.br", shell), ("al2023.tar.br", libraries)):
        run([str(node), "-e", INFLATE, str(ARCHIVES / archive), str(made)])
    with tarfile.open(str(libraries)) as packed:
        for member in packed:
            library = packed.extractfile(member)
            if library is not None:
                (beside / Path(member.name).name).write_bytes(library.read())
    libraries.unlink()
    shell.chmod(0o755)
    TOOLS_BIN.mkdir(exist_ok=True)
    PROGRAM.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH={shlex.quote(str(beside))}\n"
        f'exec {shlex.quote(str(shell))} "$@"\n',
        encoding="utf-8",
    )
    PROGRAM.chmod(0o755)
