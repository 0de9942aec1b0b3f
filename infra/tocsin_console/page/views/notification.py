"""One notification: how it stands, every step, what the phone shows, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from tocsin.notify.content import Edit, File, Quote, Reaction, Text, Withheld
from tocsin.notify.notification import Notification, State
from tocsin.notify.redrive import UNREADABLE_RECORD
from tocsin.notify.waiting import WaitingList
from tocsin.timestamps import from_seconds
from tocsin_console import audit
from tocsin_console.dead_letters import shown_recipient, shown_refused, withheld
from tocsin_console.errors import NotFound
from tocsin_console.explain import is_one, life_of, planned_for, says
from tocsin_console.feed.line import line_of
from tocsin_console.life import Life, Moment, conclusion, timeline
from tocsin_console.page import shown
from tocsin_console.page.phone import Run, runs
from tocsin_console.page.site import Site, elsewhere, page, refused, site_of, told
from tocsin_console.reasons import reason


@dataclass(frozen=True)
class Step:
    """One place of the bar. `kind`: `done`, `warn`, `bad`, or empty: not yet. `at`: ms. `after`: seconds
    since the
    one before."""

    word: str
    kind: str
    at: int | None
    after: float | None = None


@dataclass(frozen=True)
class Bubble:
    """The message as the phone shows it. `why`: why its words aren't shown."""

    runs: Sequence[Run]
    quote: str = ""
    file: str = ""
    note: str = ""
    why: str = ""


async def show(request: web.Request) -> web.Response:
    site, identity = site_of(request), request.match_info["id"]
    deployment = site.deployment

    def read() -> tuple[Life, str, list[Moment]]:
        planned, odd = planned_for(deployment, identity)
        if odd:
            raise NotFound(f"{UNREADABLE_RECORD}: nothing more is known of {shown.line(identity, 40)}")
        if not planned:
            raise NotFound(f"there is no notification {shown.line(identity, 40)} (any more)")
        life = life_of(deployment, planned[0], site.clock)
        return life, conclusion(life, from_seconds(site.clock())), timeline(life)

    if request.headers.get("X-Part"):
        return web.json_response({"mark": await site.work(_mark, site, identity)})
    if not is_one(identity):
        return elsewhere(f"/feed?{urlencode({'ticket': identity[:200]})}")
    follows = bool(request.query.get("follow"))
    if follows and await site.work(site.deployment.stores.notifications.get, identity) is None:
        return page(request, "planning", title="On its way", identity=identity)
    life, whole, moments = await site.work(read)
    why, _, then = whole.partition("; ")
    if "tocsin dead-letters redrive" in then:
        then = ""  # The button below does it.
    one = life.notification
    siblings = await site.part(lambda: planned_for(deployment, one.ticket_id)[0])
    return page(
        request,
        "notification",
        title=f"Ticket {shown.line(one.ticket_id, 40)}",
        one=one,
        why=why[:1].upper() + why[1:],
        then=then[:1].upper() + then[1:],
        reason=reason(one.last_error.code) if one.state is State.FAILED and one.last_error else None,
        whom=shown_recipient(one.recipient),
        refused=shown_refused(one),
        steps=steps(one),
        moments=moments,
        bubble=bubble(one),
        more=list(says(one)),
        life=life,
        mark=_mark_of(one) if follows or not line_of(one).settled else "",
        siblings=[other for other in siblings.value or [] if other.id != one.id],
    )


def _mark(site: Site, identity: str) -> str:
    one = site.deployment.stores.notifications.get(identity)
    return "" if one is None else _mark_of(one)


def _mark_of(one: Notification) -> str:
    """Another one with each change."""
    return f"{one.state} {len(one.attempts)} {len(one.receipts)} {one.retries_used}"


def steps(one: Notification) -> list[Step]:
    """Planned, sent, delivered, read; or where it ended."""
    ended = one.failed_at or one.suppressed_at
    reached = [
        ("planned", one.created_at),
        ("sent", one.sent_at),
        ("delivered", one.delivered_at),
        ("read", one.read_at),
    ]
    found: list[Step] = []
    before: int | None = None
    for word, at in reached:
        if at is None and one.state is State.READ and word == "delivered":
            at = one.read_at
        found.append(Step(word, "done" if at else "", at, (at - before) / 1000 if at and before else None))
        before = at or before
    place = next((number for number, step in enumerate(found) if not step.at), None)
    if place is not None and one.state in (State.FAILED, State.SUPPRESSED, State.WAITING):
        words = {
            State.FAILED: ("given up", "bad"),
            State.SUPPRESSED: ("not sent", "warn"),
            State.WAITING: ("waiting", "warn"),
        }
        word, kind = words[one.state]
        found[place] = Step(word, kind, ended or one.waiting_since)
    return found


def bubble(one: Notification) -> Bubble:
    """What the phone shows of it."""
    match one.content:
        case Withheld(why):
            return Bubble((), why=withheld(why))
        case Text(text, quote):
            return Bubble(runs(text), quote=quote.text[:300] if isinstance(quote, Quote) else "")
        case File(file, caption):
            return Bubble(runs(caption), file=file.file_name)
        case Edit(_, text):
            return Bubble(runs(text), note="edited")
        case Reaction(_, emoji):
            return Bubble(runs(emoji), note="a reaction to their message")


# -- what can be done --------------------------------------------------------------------------------------


async def reveal(request: web.Request) -> web.Response:
    """Tell the whole number, once, and write down who asked."""
    site, identity = site_of(request), request.match_info["id"]

    def ask() -> str:
        one = site.deployment.stores.notifications.get(identity)
        if one is None:
            raise NotFound("there is no such notification (any more)")
        audit.looked(site.deployment, f"whom the notification {identity} is for", clock=site.clock)
        return one.refused_address or one.recipient

    number = await site.work(ask)
    return told(request, f"It is for {number}.", f"/notification/{identity}")


async def release(request: web.Request) -> web.Response:
    return await _of_waiting(request, "release")


async def cancel(request: web.Request) -> web.Response:
    return await _of_waiting(request, "cancel")


async def _of_waiting(request: web.Request, what: str) -> web.Response:
    site, identity = site_of(request), request.match_info["id"]

    def do() -> tuple[bool, str]:
        waiting = WaitingList(site.deployment.stores, clock=site.clock)
        done = waiting.release(identity) if what == "release" else waiting.cancel(identity)
        if done.result == "kept":
            return False, f"Nothing was done: {done.why}"
        site.note(f"{done.result} the waiting notification {identity}")
        return True, f"It is {done.result}{': ' + done.why if done.why else ''}."

    ok, words = await site.work(do)
    return (told if ok else refused)(request, words, f"/notification/{identity}")


VIEWS: Final = {
    "GET /notification/{id}": show,
    "POST /notification/{id}/reveal": reveal,
    "POST /notification/{id}/release": release,
    "POST /notification/{id}/cancel": cancel,
}
