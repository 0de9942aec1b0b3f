"""What `whatsapp` may know of: signal's keys, bundles and errors; nothing that does I/O."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tocsin.whatsapp

FOLDER = Path(tocsin.whatsapp.__path__[0])
FILES = sorted(FOLDER.glob("*.py"))
ALLOWED = {"tocsin.signal.curve", "tocsin.signal.errors", "tocsin.signal.x3dh"}
FORBIDDEN = {"boto3", "botocore", "asyncio", "socket", "time", "websockets", "random", "os", "threading"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, file
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_io_and_only_the_allowed_neighbours(file: Path) -> None:
    names = imported(file)
    assert not {name.partition(".")[0] for name in names} & FORBIDDEN
    ours = {name for name in names if name.startswith("tocsin.") and not name.startswith("tocsin.whatsapp")}
    assert ours <= ALLOWED


@pytest.mark.parametrize("module", ["message", "receipts", "bundles", "usync", "iq", "notifications"])
def test_the_send_path_is_light(module: str) -> None:
    heavy = "[m for m in sys.modules if 'protobuf' in m or 'noise' in m]"
    code = f"import sys, tocsin.whatsapp.{module}; print({heavy})"
    env = {"PYTHONPATH": str(FOLDER.parent.parent)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == "[]"
