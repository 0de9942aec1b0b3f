"""People: what is known of somebody, and what an operator may do for them.

A number is asked for by a form and never stands in an address.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

from aiohttp import web

from tocsin.keys.views import UserView
from tocsin.notify.notification import Notification
from tocsin.tables.names import is_lid
from tocsin.timestamps import from_seconds
from tocsin_console import audit, opt_outs
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.forget import KEPT, forget_person
from tocsin_console.output import Output
from tocsin_console.page.site import Part, Site, page, site_of
from tocsin_console.people import People, confirm_number
from tocsin_console.person_view import Fact, look_at
from tocsin_console.sessions import Sessions, clean_sessions

_MAX: Final = 200


def read(site: Site, account: str, wanted: str) -> list[Fact]:
    """What is stored of somebody. Raises NotFound, Usage."""
    now, unseen = site.clock(), Output(stream=io.StringIO())
    return list(look_at(People(site.deployment, account), wanted, from_seconds(now), unseen).facts(now))


def sessions_with(site: Site, account: str, wanted: str) -> UserView | None:
    """The sessions with somebody's devices: counters and ages, and nothing of a key. None: there are none."""
    try:
        view = Sessions.of(site.deployment, account).view(wanted)
    except NotFound:
        return None
    return view if view.devices else None


async def show(request: web.Request) -> web.Response:
    return await _page(request)


async def ask(request: web.Request) -> web.Response:
    """Look somebody up: by a number or a JID, or as the recipient of a notification."""
    site, form = site_of(request), await request.post()
    wanted, account = str(form.get("wanted", "")).strip()[:_MAX], str(form.get("account", "")) or None
    if like := str(form.get("like", "")):
        one = await site.work(site.deployment.stores.notifications.get, like[:_MAX])
        if one is None or not one.recipient:
            raise NotFound("there is no such recipient (any more)")
        wanted, account = await site.work(_name, site, one), one.account
    return await _page(request, wanted, account)


def _name(site: Site, one: Notification) -> str:
    """A name of the recipient that the form may show: their LID. Without one it is the number, and who saw it
    is written down. Raises Unwritten."""
    name = one.recipient if "@" in one.recipient else f"+{one.recipient}"
    person = People(site.deployment, one.account).find(name).person
    if is_lid(person.id):
        return person.id
    audit.looked(site.deployment, f"whom the notification {one.id} is for", clock=site.clock)
    return name


async def _page(
    request: web.Request, wanted: str = "", account: str | None = None, said: str = "", refusal: str = ""
) -> web.Response:
    site = site_of(request)
    part = await site.part(lambda: site.deployment.accounts)
    names = part.value or []
    facts: list[Fact] = []
    sessions: Part[UserView | None] = Part()
    if wanted:
        try:
            account = await site.work(site.deployment.account, account or (names[0] if names else None))
            facts = await site.work(read, site, account, wanted)
            sessions = await site.part(sessions_with, site, account, wanted)
        except (NotFound, Usage) as error:
            refusal = refusal or str(error)
    return page(
        request,
        "people",
        title="People",
        part=part,
        names=names,
        account=account or "",
        wanted=wanted,
        facts=facts,
        sessions=sessions,
        said=said,
        refusal=refusal,
        KEPT=KEPT,
    )


# -- what can be done --------------------------------------------------------------------------------------


async def _do(request: web.Request, act: Callable[[Site, str, str, Output], None]) -> web.Response:
    """Do something for somebody; what `tocsin` says of it is shown above them."""
    site, form = site_of(request), await request.post()
    wanted, account = str(form.get("wanted", ""))[:_MAX], str(form.get("account", ""))
    said = io.StringIO()

    def run() -> None:
        act(site, site.deployment.account(account or None), wanted, Output(stream=said))

    try:
        await site.work(run)
    except ConsoleError as error:
        return await _page(request, wanted, account, refusal=str(error))
    return await _page(request, wanted, account, said=said.getvalue())


async def confirm(request: web.Request) -> web.Response:
    """The number may go to whoever has it now."""

    def act(site: Site, account: str, wanted: str, output: Output) -> None:
        confirm_number(People(site.deployment, account), wanted, output=output, yes=True, clock=site.clock)

    return await _do(request, act)


async def clean(request: web.Request) -> web.Response:
    """Make new sessions with their devices at the next message."""

    def act(site: Site, account: str, wanted: str, output: Output) -> None:
        found = People(site.deployment, account).find(wanted)
        sessions = Sessions.of(site.deployment, account)
        clean_sessions(sessions, found.person.id, device=None, dry_run=False, output=output, yes=True)

    return await _do(request, act)


async def consent(request: web.Request) -> web.Response:
    """Note that somebody wants no messages, or that they asked for them again."""
    form = await request.post()
    again = form.get("verb") == "take-back"
    if again and form.get("sure") != "yes":
        wanted, account = str(form.get("wanted", ""))[:_MAX], str(form.get("account", ""))
        return await _page(request, wanted, account, refusal="nothing was done: tick the box first")

    def act(site: Site, account: str, wanted: str, output: Output) -> None:
        people = People(site.deployment, account)
        if again:
            opt_outs.remove(people, wanted, output=output, yes=True, clock=site.clock)
        else:
            opt_outs.add(people, wanted, output=output, clock=site.clock)

    return await _do(request, act)


async def forget(request: web.Request) -> web.Response:
    """Erase somebody; first shown, then done once the box is ticked."""
    form = await request.post()
    sure = form.get("sure") == "yes"

    def act(site: Site, account: str, wanted: str, output: Output) -> None:
        people = People(site.deployment, account)
        forget_person(people, wanted, dry_run=not sure, output=output, yes=True, clock=site.clock)

    return await _do(request, act)


VIEWS: Final = {
    "GET /people": show,
    "POST /people": ask,
    "POST /people/confirm": confirm,
    "POST /people/clean": clean,
    "POST /people/consent": consent,
    "POST /people/forget": forget,
}
