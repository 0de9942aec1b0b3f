"""The page in the browser of this machine, and its one-time address in nobody else's hands.

Every user of a machine may read the command lines of its programs. So the browser isn't given the address but
a file that this user alone may read, which leads there; Jupyter does the same.
"""

from __future__ import annotations

import html
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tocsin</title><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={address}"></head>
<body><p><a href="{address}">Open the page of tocsin console</a></p></body>
</html>
"""


def can_show(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether this machine has a screen on which a browser opens: not over SSH, not in a container."""
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environment
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that this user alone may look into; it goes with the block."""
    with tempfile.TemporaryDirectory(prefix="tocsin-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def leading_to(address: str, folder: Path) -> str:
    """The URL of a file in `folder` that leads to `address`, and that this user alone may read."""
    file = folder / "open.html"
    file.unlink(missing_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as made:
        made.write(_PAGE.format(address=html.escape(address)))
    return file.resolve().as_uri()


def show(address: str, folder: Path, start: Callable[[str], object] = webbrowser.open) -> None:
    """Open the browser, in a thread: some end only when they are closed. `start`: is given the file."""
    threading.Thread(target=start, args=(leading_to(address, folder),), daemon=True).start()
