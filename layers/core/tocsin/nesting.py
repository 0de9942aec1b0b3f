"""How deep lists and objects lie within each other in a JSON value that a stranger wrote.

How deep Python itself reads is another number in each of its releases, so readers bound it themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def nested_too_deep(value: Any, most: int) -> bool:
    """True if lists and objects lie more than `most` deep in a JSON value. Needs no stack itself."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
