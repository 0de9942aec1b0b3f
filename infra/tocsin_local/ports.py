"""The ports of a stack: those of its last run, if they are free, so that what was typed still holds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from tocsin_local.processes import free_port

Port = Callable[[str], int]
"""What listens → a port of 127.0.0.1 that was free a moment ago; 0 where any will do."""


def any_port(what: str) -> int:
    return 0


def remembered_ports(file: Path) -> Port:
    """Ports that are written into `file`, and asked for there the next time. A file that can't be read is as
    good as none."""
    known: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        told = json.loads(file.read_bytes())
        known.update({what: port for what, port in told.items() if isinstance(port, int)})
    given: set[str] = set()

    def port(what: str) -> int:
        # Whoever asks again could not use the one before.
        known[what] = free_port(None if what in given else known.get(what))
        given.add(what)
        file.write_text(json.dumps(known), encoding="utf-8")
        return known[what]

    return port
