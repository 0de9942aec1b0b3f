"""Where the vectors are: beside these tests, or in the folder that the environment's VECTORS names.

A folder may hold some of the files only. What needs an absent one is skipped and says so; a folder with none
of them is an error (`test_folder.py`).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("VECTORS") or Path(__file__).parent / "data")


def load(name: str) -> Any:
    """The vectors of `<name>.json`. Skips the calling test module if the folder hasn't that file."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no {path.name} in {FOLDER}", allow_module_level=True)
    return json.loads(path.read_text(encoding="utf-8"))


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def by_name(case: Any) -> str | None:
    """The id of a test case: its name, whatever the file calls it."""
    if not isinstance(case, dict):
        return None
    return next((str(case[key]) for key in ("name", "id", "what") if key in case), None)
