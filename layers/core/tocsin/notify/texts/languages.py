"""The languages of the texts: one folder each, named by its language tag."""

from __future__ import annotations

import re
from pathlib import Path

DEFAULTS = Path(__file__).parent / "templates"
"""The folder with the languages that Tocsin speaks by itself."""

LAST_LANGUAGE = "en"
"""Spoken where neither the recipient's language nor the account's has a text."""

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


def is_language(name: str) -> bool:
    """True for a language tag in lower case, such as `id` or `es-mx`: the name of a language's folder."""
    return _TAG.fullmatch(name) is not None


def languages(*folders: Path) -> list[str]:
    """The languages that have a folder in any of `folders`."""
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return sorted(name for name in names if is_language(name))
