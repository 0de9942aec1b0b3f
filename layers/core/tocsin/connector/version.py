"""Which version of WhatsApp Web is current: looked up when the server finds ours too old."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from tocsin.connector.socket import USER_AGENT

if TYPE_CHECKING:
    from tocsin.connector.context import ConnectorContext

log = logging.getLogger(__name__)

URL: Final = "https://web.whatsapp.com/sw.js"
PAGE: Final = "https://web.whatsapp.com/"
"""Tells it too, to whoever looks like a browser that goes there; asked if the first doesn't tell."""
MAX_BYTES: Final = 4 * 1024 * 1024
LOOK_UP_SECONDS: Final = 10.0
"""For one page, however slowly it comes."""
LEAST: Final = 10**9
"""A smaller number is no revision of the client."""

# The JSON stands inside a JavaScript string, so its quotes may be escaped.
_REVISION: Final = re.compile(rb'\\?"client_revision\\?"\s*:\s*([0-9]{10,12})')


class VersionUnknown(Exception):
    """The page could not be had, or doesn't tell. Keep the version there is, and try again later."""


_NAVIGATION: Final = {
    "Accept": "text/html",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
}


async def refresh(around: ConnectorContext) -> None:
    """Learn the present version for the next login. Only WhatsApp's own page knows; a local server has
    nothing to ask."""
    if "web.whatsapp.com" not in around.config.whatsapp_url:
        return
    try:
        found = await around.aws.call(look_up, USER_AGENT)
    except VersionUnknown as exc:
        log.error("the client version can't be looked up: %s", exc)
        return
    if found < around.version:
        # A page that lags behind would have the server refuse us, and us ask the page again.
        log.error("the page names an older version", extra={"found": found, "version": around.version})
        return
    log.info("client version", extra={"version": found, "before": around.version})
    around.version = found


def look_up(
    user_agent: str, timeout: float = LOOK_UP_SECONDS, *, urls: tuple[str, str] = (URL, PAGE)
) -> tuple[int, int, int]:
    """Ask WhatsApp's own pages, one after the other. Blocking, at most `timeout` seconds for each. Raises
    `VersionUnknown` if neither tells."""
    script, page = urls
    headers = {"User-Agent": user_agent, "Sec-Fetch-Site": "none"}
    try:
        return _ask(script, headers, timeout)
    except VersionUnknown as first:
        try:
            return _ask(page, headers | _NAVIGATION, timeout)
        except VersionUnknown as second:
            raise VersionUnknown(f"{script}: {first}; {page}: {second}") from second


def _ask(url: str, headers: dict[str, str], timeout: float) -> tuple[int, int, int]:
    # Seldom needed, and not quickly loaded.
    import http.client

    from tocsin.connector.https import fetch

    try:
        status, page = fetch("GET", url, headers=headers, seconds=timeout, max_bytes=MAX_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise VersionUnknown(str(exc) or type(exc).__name__) from exc
    if status != 200:
        raise VersionUnknown(f"HTTP status {status}")
    return parse(page)


def parse(page: bytes) -> tuple[int, int, int]:
    """The version in the text of the page. Raises `VersionUnknown`."""
    match = _REVISION.search(page)
    if match is None or int(match[1]) < LEAST:
        raise VersionUnknown("no plausible client_revision on the page")
    return 2, 3000, int(match[1])
