"""The Signal layer knows mathematics and bytes: no storage, no sockets, no clock, nothing of the project."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import tocsin.signal

FILES = sorted(Path(tocsin.signal.__path__[0]).glob("*.py"))
ALLOWED = {"cryptography", "nacl"}
FORBIDDEN = {"asyncio", "socket", "time", "datetime", "os", "random", "secrets", "threading", "logging"}


def imports(file: Path) -> set[str]:
    """Top names of what a file imports; "tocsin" for anything of the project outside this package."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{node.module}."
            if not module.startswith("tocsin.signal."):
                found.add(module.partition(".")[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_signal_imports_nothing_but_pure_python_and_ciphers(file: Path) -> None:
    assert not imports(file) & FORBIDDEN
    assert imports(file) <= ALLOWED | set(sys.stdlib_module_names)


def test_there_are_files_to_look_at() -> None:
    assert {"session.py", "ratchet.py", "x3dh.py", "sender_key.py"} <= {file.name for file in FILES}
