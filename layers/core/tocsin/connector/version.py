"""Which version of WhatsApp Web is current: looked up when the server finds ours too old."""

from __future__ import annotations

import re
import urllib.request
from typing import Final

URL: Final = "https://web.whatsapp.com/sw.js"
MAX_BYTES: Final = 4 * 1024 * 1024
LEAST: Final = 10**9
"""A smaller revision is none."""

# The JSON stands inside a JavaScript string, so its quotes may be escaped.
_REVISION: Final = re.compile(rb'\\?"client_revision\\?"\s*:\s*([0-9]{10,12})')


class VersionUnknown(Exception):
    """The page could not be had, or doesn't tell. Keep the version there is, and try again later."""


def look_up(user_agent: str, timeout: float = 10) -> tuple[int, int, int]:
    """Ask WhatsApp's own page. Blocking. Raises `VersionUnknown`."""
    request = urllib.request.Request(URL, headers={"User-Agent": user_agent, "Sec-Fetch-Site": "none"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return parse(answer.read(MAX_BYTES))
    except OSError as exc:
        raise VersionUnknown(str(exc)) from exc


def parse(page: bytes) -> tuple[int, int, int]:
    """The version in the text of the page. Raises `VersionUnknown`."""
    match = _REVISION.search(page)
    if match is None or int(match[1]) < LEAST:
        raise VersionUnknown("no plausible client_revision on the page")
    return 2, 3000, int(match[1])
