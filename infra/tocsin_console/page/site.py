"""What every page shares: who asks, threads for what waits on AWS, templates, and errors in words."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tocsin.dynamo.errors import TableError
from tocsin_console import audit, trouble
from tocsin_console.account_names import FRESH_SECONDS, Named
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound
from tocsin_console.output import iso_moment
from tocsin_console.page import shown
from tocsin_console.page.door import BAD_INVITATION, HEADERS, NO_SESSION, STALE_FORM, Door, Session

T = TypeVar("T")

HERE: Final = Path(__file__).parent
SOON_SECONDS: Final = 0.1
_THREADS = 12
_READERS = 6
_REREAD_SECONDS = 60.0
_NAMES = "account names"
_GONE = frozenset(
    {"ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
)
ENTER: Final = "/enter"
_OPEN = (ENTER, "/static/", "/favicon.ico")

NAVIGATION: Final = (
    ("/", "Now"),
    ("/feed", "Feed"),
    ("/letters", "Dead letters"),
    ("/people", "People"),
    ("/link", "Link"),
    ("/texts", "Texts"),
    ("/settings", "Settings"),
    ("/doctor", "Doctor"),
    ("/audit", "Audit"),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part(Generic[T]):
    """What one part of a page shows: a value, or in words why it can't be had."""

    value: T | None = None
    trouble: str = ""


@dataclass
class Site:
    """A deployment, and who looks at it. `reread`: reads the stack anew, for after a deployment.

    `clock`: seconds since 1970. `offered`: more things that pages keep, by name (the feed, jobs)."""

    deployment: Deployment
    door: Door
    reread: Callable[[], Deployment] | None = None
    clock: Callable[[], float] = time.time
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "page"))
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_READERS, "read"))
    offered: dict[str, Any] = field(default_factory=dict)
    _reread_at: float = 0.0
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _soon: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def work(self, do: Callable[..., T], *arguments: Any) -> T:
        """Run what waits for AWS in a thread, so that other pages go on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: do(*arguments))

    async def part(self, do: Callable[..., T], *arguments: Any) -> Part[T]:
        """A part of a page; whatever keeps it away is said there, and the other parts stand."""
        try:
            return Part(await self.work(do, *arguments))
        except Exception as error:  # noqa: BLE001  said in words, where it is missing
            return Part(trouble=self.words(error))

    async def parts(self, **wanted: Callable[[], Any]) -> dict[str, Part[Any]]:
        """Several parts beside each other."""
        found = await asyncio.gather(*(self.part(do) for do in wanted.values()))
        return dict(zip(wanted, found, strict=True))

    def remembered(self, name: str, seconds: float, read: Callable[[], T]) -> T:
        """What was read not long ago: a page that is reloaded again and again costs one read in this time."""
        kept = self._kept.get(name)
        if kept is not None and self.clock() - kept[0] < seconds:
            value: T = kept[1]
            return value
        value = read()
        self._kept[name] = (self.clock(), value)
        return value

    async def soon(self, name: str, seconds: float, read: Callable[[], T]) -> T | None:
        """As `remembered`, for what a page can do without: if it takes long, what was known last, or None."""
        kept = self._kept.get(name)
        if kept is not None and self.clock() - kept[0] < seconds:
            value: T = kept[1]
            return value
        running = self._soon.get(name)
        if running is None or running.done():
            running = self._soon[name] = asyncio.ensure_future(
                self.part(self.remembered, name, seconds, read)
            )
        await asyncio.wait({running}, timeout=SOON_SECONDS)
        kept = self._kept.get(name)
        return kept[1] if kept is not None else None

    def named(self, account: str) -> Named:
        """The account with its number and name, as far as that is known; asks nobody."""
        known: dict[str, Named] = self._kept.get(_NAMES, (0.0, {}))[1]
        return known.get(account) or Named(account)

    async def call_names(self) -> None:
        """Know how the accounts are called: one request a minute, while pages are looked at."""
        await self.soon(_NAMES, FRESH_SECONDS, lambda: self.deployment.names.all(self.deployment.accounts))

    def note(
        self, what: str, *, count: int = 1, note: str = "", kind: str = "", ids: Iterable[str] = ()
    ) -> None:
        """Write down that somebody did something, as `audit.write`. Raises Unwritten: it is done by then."""
        try:
            audit.write(self.deployment, what, count=count, note=note, kind=kind, ids=ids, clock=self.clock)
        except audit.Unwritten as refusal:
            raise audit.Unwritten(f"it is done, but {refusal}") from None

    def words(self, error: Exception) -> str:
        """What went wrong, and what to do. Of an unexpected error not its text: it may hold a key or a
        number."""
        if isinstance(error, ConsoleError):
            return str(error)
        if isinstance(error, BotoCoreError | ClientError | TableError):
            self._notice(error)
            return trouble.sentence(error, where=self.where)
        log.error("unexpected %s", type(error).__name__)
        return (
            f"unexpected {type(error).__name__}: this is a fault of the console. Reload the page; if it "
            "stays, report it"
        )

    @property
    def where(self) -> str:
        place = self.deployment.place
        return ", ".join(filter(None, (f"region {place.region}", place.endpoint_url)))

    def _notice(self, error: Exception) -> None:
        """Something of the stack is gone: perhaps it was deployed anew, and has it under another name."""
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
        if code not in _GONE or self.reread is None or self.clock() - self._reread_at < _REREAD_SECONDS:
            return
        self._reread_at = self.clock()
        with suppress(ConsoleError, BotoCoreError, ClientError):
            self.deployment = self.reread()


SITE: Final = web.AppKey("site", Site)
SESSION: Final = web.RequestKey("session", Session)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def site_of(request: web.Request) -> Site:
    return request.app[SITE]


def session_of(request: web.Request) -> Session:
    return request[SESSION]


# -- templates ---------------------------------------------------------------------------------------------


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(HERE / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "line": shown.line,
        "paragraph": shown.paragraph,
        "iso": shown.iso_of,
        "moment": shown.clock_of,
        "iso_moment": iso_moment,
        "span": shown.span,
        "number": shown.number,
    }
    made.globals |= {
        "plural": shown.plural,
        "ago": shown.ago,
        "TONES": shown.TONES,
        "STATE_WORDS": shown.STATE_WORDS,
    }
    return made


TEMPLATES: Final = _environment()


def page(request: web.Request, name: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page of the site, with the session's news."""
    site, session = site_of(request), request.get(SESSION)
    text = TEMPLATES.get_template(f"{name}.html").render(
        stack=site.deployment.stack,
        where=site.where,
        navigation=NAVIGATION,
        path=request.path,
        csrf=session.csrf if session else "",
        news=session.told() if session else [],
        inside=session is not None,
        now=site.clock(),
        named=site.named,
        **values,
    )
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def elsewhere(to: str) -> web.Response:
    """Lead on to another page of this site."""
    return web.Response(status=303, headers={"Location": to})


def told(request: web.Request, text: str, to: str) -> web.Response:
    """After something was done: say so on the page that comes next."""
    session_of(request).tell("done", text)
    return elsewhere(to)


def refused(request: web.Request, text: str, to: str) -> web.Response:
    """After something was not done: say why on the page that comes next."""
    session_of(request).tell("trouble", text)
    return elsewhere(to)


# -- at the door -------------------------------------------------------------------------------------------


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may come in, turn errors into words, and put the headers on."""
    try:
        answer = await _guarded(request, handler)
    except web.HTTPException as answered:
        if answered.status < 400:
            answer = web.Response(status=answered.status, headers=answered.headers)
        else:
            answer = _problem(request, answered.status, _of_status(answered.status))
    for name, value in HEADERS.items():
        if not answer.prepared:
            answer.headers.setdefault(name, value)
    return answer


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    site = site_of(request)
    enters = request.path == ENTER and request.method == "GET"
    if why := site.door.misplaced(request.method, request.headers, enters=enters):
        return web.Response(text=why, status=403)
    if not request.path.startswith(_OPEN):
        session = site.door.session(request.cookies.get(site.door.cookie, ""))
        if session is None:
            return _problem(request, 403, NO_SESSION)
        request[SESSION] = session
        if request.method not in ("GET", "HEAD"):
            form = await request.post()
            if not site.door.may_change(session, str(form.get("csrf", ""))):
                return _problem(request, 403, STALE_FORM)
        if not request.headers.get("X-Part"):
            await site.call_names()
    try:
        return await handler(request)
    except (web.HTTPException, asyncio.CancelledError, ConnectionResetError):
        raise
    except NotFound as error:
        return _problem(request, 404, str(error))
    except ConsoleError as error:
        return _problem(request, 400, str(error))
    except Exception as error:  # noqa: BLE001  the operator reads it in words
        return _problem(
            request, 502 if isinstance(error, BotoCoreError | ClientError) else 500, site.words(error)
        )


def _problem(request: web.Request, status: int, text: str) -> web.Response:
    return page(request, "problem", status=status, title="", text=text[:1].upper() + text[1:])


def _of_status(status: int) -> str:
    return {
        404: "There is no such page. What you look for may have moved: begin again at Now.",
        405: "That can't be asked of this page in this way. Nothing was done.",
        413: "What was sent is too large: 256 KB at most. Nothing was done.",
    }.get(status, f"The request was refused ({status}). Nothing was done.")


async def enter(request: web.Request) -> web.StreamResponse:
    """Take an invitation for a session."""
    door = site_of(request).door
    session = door.enter(request.query.get("token", ""))
    if session is None:
        return _problem(request, 403, BAD_INVITATION)
    # A browser doesn't bring the cookie along where another site leads on, so this very page does then.
    outside = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    answer = page(request, "entered", title="Come in") if outside else elsewhere("/")
    answer.set_cookie(door.cookie, session.identity, httponly=True, samesite="Strict", path="/")
    return answer


async def leave(request: web.Request) -> web.StreamResponse:
    """End the session of this browser."""
    site_of(request).door.leave(session_of(request))
    del request[SESSION]
    return _problem(
        request, 200, "You left. To come back, press Enter in the terminal where 'tocsin console' runs."
    )


def of_site(view: Mapping[str, Handler]) -> list[web.RouteDef]:
    """Routes from "GET /path" and "POST /path"."""
    ways = ((*where.partition(" "), handler) for where, handler in view.items())
    return [web.route(method, path, handler) for method, _, path, handler in ways]
