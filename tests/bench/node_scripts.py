"""Running the benchmark scripts of the Node libraries; None without Node or without its packages."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "interop" / "node"


def version() -> str | None:
    """The Node that runs them; None if there is none, or its packages aren't installed."""
    if not shutil.which("node") or not (FOLDER / "node_modules").exists():
        return None
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("v")


def run(script: str, options: dict[str, Any]) -> dict[str, Any] | None:
    """What a script in tests/interop/node answers to its options."""
    if version() is None:
        return None
    done = subprocess.run(
        ["node", script], cwd=FOLDER, input=json.dumps(options), capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
