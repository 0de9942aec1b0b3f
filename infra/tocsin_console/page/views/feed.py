"""Feed: every notification, the newest first, as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from aiohttp import web

from tocsin.notify.events.audience import ROUTES
from tocsin.timestamps import from_seconds
from tocsin_console.feed.history import History
from tocsin_console.feed.line import Line
from tocsin_console.feed.sifting import AUDIENCES, SPANS, STATES, Sieve
from tocsin_console.feed.stream import Stream
from tocsin_console.look import depth
from tocsin_console.page.feed.drawn import line_json
from tocsin_console.page.feed.recent import Recent
from tocsin_console.page.feed.watching import Watching
from tocsin_console.page.site import Site, page, site_of

_ON_A_PAGE: Final = 50
_ACCOUNTS_SECONDS: Final = 30.0
_QUEUED_SECONDS: Final = 2.0
_BEAT_SECONDS: Final = 15.0
_OFFERED: Final = "feed"


def watching(site: Site) -> Watching:
    """The feed of the site's deployment; another one after it was read anew."""
    kept = site.offered.get(_OFFERED)
    if kept is not None and kept[0] is site.deployment:
        found: Watching = kept[1]
        return found
    if kept is not None:
        kept[1].close()
    deployment = site.deployment
    history = History(deployment.glance_table, deployment.stores, lambda: deployment.accounts, site.readers)
    made = Watching(
        history, Stream(deployment.streams, deployment["NotificationsTable"]), Recent(), site.words
    )
    site.offered[_OFFERED] = (deployment, made)
    return made


def close(site: Site) -> None:
    kept = site.offered.pop(_OFFERED, None)
    if kept is not None:
        kept[1].close()


async def show(request: web.Request) -> web.Response:
    site, sieve = site_of(request), Sieve.of(request.query)
    before = _place(request.query.get("before", ""))

    def read() -> tuple[list[Line], Watching]:
        feed = watching(site)
        feed.look()
        now = from_seconds(site.clock())
        judge, since = sieve.judge(now, feed.recent.get), sieve.since(now)

        def found() -> list[Line]:
            return feed.recent.newest(judge, _ON_A_PAGE + 1, before=before, since=since)

        if before:
            feed.more(lambda: len(found()) > _ON_A_PAGE)
        return found(), feed

    part, accounts, queued = await asyncio.gather(
        site.part(read),
        site.soon("accounts", _ACCOUNTS_SECONDS, lambda: site.deployment.accounts),
        site.soon("queued", _QUEUED_SECONDS, lambda: _queued(site)),
    )
    lines, feed = part.value or ([], None)
    if request.headers.get("X-Part"):
        return web.json_response({"mark": "begun" if feed and (feed.begun or feed.unread) else "begins"})
    more = len(lines) > _ON_A_PAGE
    return page(
        request,
        "feed",
        title="Feed",
        part=part,
        lines=[line_json(line) for line in lines[:_ON_A_PAGE]],
        older=f"{lines[_ON_A_PAGE - 1].created_at}.{lines[_ON_A_PAGE - 1].id}" if more else "",
        feed=feed,
        sieve=sieve,
        before=before,
        accounts=accounts or [],
        sources=sorted({*(feed.recent.sources if feed else ()), *filter(None, (sieve.source,))}),
        queued=queued,
        choices={"states": STATES, "audiences": AUDIENCES, "events": tuple(ROUTES), "spans": SPANS},
    )


def _queued(site: Site) -> int:
    return sum(depth(site.deployment.sqs, site.deployment["NotificationsQueueUrl"]).values())


async def events(request: web.Request) -> web.StreamResponse:
    """What changes, as it happens, of what the filter lets through."""
    site, sieve = site_of(request), Sieve.of(request.query)
    feed = await site.work(watching, site)
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    answer.headers["X-Content-Type-Options"] = "nosniff"
    with feed.listener(asyncio.get_running_loop()) as listener, contextlib.suppress(ConnectionResetError):
        await answer.prepare(request)
        await answer.write(b"retry: 3000\n\n")
        while True:
            try:
                kind, told = await asyncio.wait_for(listener.news.get(), _BEAT_SECONDS)
            except TimeoutError:
                await answer.write(b": beat\n\n")
                continue
            if kind == "over":
                # The stack was read anew: the browser comes back, and follows what there is then.
                return answer
            if isinstance(told, Line):
                judge = sieve.judge(from_seconds(site.clock()), feed.recent.get)
                text = json.dumps({**line_json(told), "matches": judge(told)})
            else:
                text = told.replace("\n", " ").replace("\r", " ")
            await answer.write(f"event: {kind}\ndata: {text}\n\n".encode(errors="replace"))
    return answer


def _place(text: str) -> tuple[int, str] | None:
    """The place of a line in an address; None for nonsense."""
    at, _, identity = text.partition(".")
    return (int(at), identity[:40]) if at.isdecimal() and len(at) < 16 else None


VIEWS: Final = {"GET /feed": show, "GET /feed/events": events}
