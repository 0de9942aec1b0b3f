"""Audit: who changed what, and who saw what is masked elsewhere."""

from __future__ import annotations

from itertools import islice
from typing import Final

from aiohttp import web

from tocsin.timestamps import from_seconds
from tocsin_console.audit import Wanted
from tocsin_console.feed.sifting import SPANS
from tocsin_console.page import shown
from tocsin_console.page.site import page, site_of

_ON_A_PAGE: Final = 200


async def show(request: web.Request) -> web.Response:
    """The newest of the lines that a filter in the address lets through."""
    site = site_of(request)
    who, what = (shown.line(request.query.get(name, ""), 100) for name in ("who", "what"))
    time, before = request.query.get("time", ""), request.query.get("before", "")
    since = from_seconds(site.clock()) - SPANS[time][0] if time in SPANS else 0
    until = int(before) if before.isdecimal() and len(before) < 14 else None
    wanted = Wanted(since, until, who, what)
    found = await site.part(lambda: list(islice(wanted.of(site.deployment), _ON_A_PAGE + 1)))
    lines = found.value or []
    return page(
        request,
        "audit",
        title="Audit",
        part=found,
        lines=lines[:_ON_A_PAGE],
        # The moment at which the page ends may have more lines: the next one begins with it once more.
        older=lines[_ON_A_PAGE - 1].at + 1 if len(lines) > _ON_A_PAGE else None,
        who=who,
        what=what,
        time=time,
        before=before,
        spans=SPANS,
    )


VIEWS: Final = {"GET /audit": show}
