"""Link: an account and its phone, by a QR code, a code to type or the passkey; try it; unlink it."""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tocsin.accounts import passkey as steps
from tocsin.accounts.passkey import PasskeyStep
from tocsin.accounts.state import UNLINKED, AccountState
from tocsin.people.numbers import InvalidPhone, same_person_key
from tocsin_console import passkey_code, qr
from tocsin_console.account_health import LIMITS
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output
from tocsin_console.page import shown
from tocsin_console.page.linking import Attempt
from tocsin_console.page.site import Part, Site, elsewhere, page, refused, session_of, site_of, told
from tocsin_console.pair import Code, TypedCode, Wishes
from tocsin_console.passkey_code import NotOptions
from tocsin_console.send import SampleTicket, put_test
from tocsin_console.status import account_status
from tocsin_console.unpair import unpair

_UNLINK_SECONDS: Final = 25.0
_QUIET: Final = 2


@dataclass(frozen=True)
class Square:
    """A QR code as one path. `size`: modules in a row."""

    size: int
    path: str


def square(text: str) -> Square:
    modules = qr.matrix(text)
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(modules) for x, one in enumerate(row) if one)
    return Square(len(modules), "".join(dark))


def attempts(site: Site) -> dict[str, Attempt]:
    found: dict[str, Attempt] = site.offered.setdefault("link", {})
    return found


def close(site: Site) -> None:
    for attempt in attempts(site).values():
        attempt.stop()


async def show(request: web.Request) -> web.Response:
    site, asked = site_of(request), request.query.get("account", "")
    deployment = site.deployment
    served = await site.part(lambda: deployment.accounts)
    names = served.value or []
    account = asked if asked in names else names[0] if names else ""
    attempt = attempts(site).get(account)
    if request.headers.get("X-Part"):
        return web.json_response({"mark": attempt.mark if attempt else "none"})
    found: Part[Any] = served
    if account:
        found = await site.part(lambda: account_status(deployment, account, site.clock))
    status = found.value if account else None
    return page(
        request,
        "link",
        title="Link",
        names=names,
        account=account,
        part=found,
        one=status,
        linked=status is not None and status.last_state not in (*UNLINKED, AccountState.PAIRING),
        attempt=attempt,
        **_offered(attempt),
        LIMITS=LIMITS,
    )


def _offered(attempt: Attempt | None) -> dict[str, Any]:
    """What of an attempt is to be shown: a code, or a step of the passkey's way."""
    offer = attempt.offer if attempt is not None else None
    values: dict[str, Any] = dict.fromkeys(("square", "typed", "step", "line", "longer", "odd"))
    values["expires_at"] = getattr(offer, "expires_at", 0)
    if isinstance(offer, Code):
        values["square"] = square(offer.text)
    elif isinstance(offer, TypedCode):
        plain = offer.text.replace("-", "")
        values["typed"] = f"{plain[:4]}-{plain[4:]}"
    elif isinstance(offer, PasskeyStep):
        values["step"] = offer
        if offer.step == steps.CHALLENGED:
            try:
                passkey_code.checked(offer.options or "")
            except NotOptions as refusal:
                values["odd"] = str(refusal)
            else:
                values["line"] = passkey_code.one_line(offer.options or "")
                values["longer"] = passkey_code.with_button(offer.options or "")
    return values


def _to(account: str) -> str:
    return f"/link?account={account}"


async def _account(request: web.Request) -> str:
    """The account that a form names. Raises Usage, NotFound."""
    site, form = site_of(request), await request.post()
    return await site.work(site.deployment.account, str(form.get("account", "")) or None)


async def begin(request: web.Request) -> web.Response:
    """Ask the connector for a code."""
    site, form, account = site_of(request), await request.post(), await _account(request)
    written = str(form.get("phone", "")).strip()
    running = attempts(site).get(account)
    if running is not None and not running.over:
        running.stop()
    try:
        phone = site.deployment.phone(written) if written else None
    except InvalidPhone as refusal:
        return refused(request, f"The number {refusal}.", _to(account))
    wishes = Wishes(phone=phone, shared_phone=bool(form.get("shared")))
    attempt = Attempt(site.deployment, account, wishes, site.words, site.clock)
    attempts(site)[account] = attempt
    attempt.begin()
    return elsewhere(_to(account))


async def stop(request: web.Request) -> web.Response:
    account = await _account(request)
    attempt = attempts(site_of(request)).get(account)
    if attempt is not None:
        await site_of(request).work(attempt.stop)
    return elsewhere(_to(account))


async def answer(request: web.Request) -> web.Response:
    """What the operator says to a step of the passkey's way."""
    site, form, account = site_of(request), await request.post(), await _account(request)
    attempt = attempts(site).get(account)
    if attempt is None or attempt.over:
        return refused(request, "There is no attempt (any more): begin again.", _to(account))
    if same := str(form.get("same", "")):
        await site.work(lambda: attempt.compared(same=same == "yes"))
        return elsewhere(_to(account))
    why = await site.work(attempt.assertion, str(form.get("assertion", "")))
    if why:
        return refused(request, f"That is not the answer: {shown.line(why, 300)}.", _to(account))
    return told(request, "That answers the question, as far as can be seen here.", _to(account))


async def test(request: web.Request) -> web.Response:
    """Send yourself a test: a ticket event on the bus, and its notification's page."""
    site, form, account = site_of(request), await request.post(), await _account(request)
    ticket = SampleTicket(str(form.get("phone", "")).strip(), "Test", "This is a test of Tocsin")

    def do() -> str:
        ticket_id = f"TEST-{secrets.token_hex(4).upper()}"
        recipient = put_test(site.deployment, ticket, ticket_id, account)
        whom = (account, ticket_id, "TicketCreated", 1, "customer", same_person_key(recipient))
        return site.deployment.stores.ids.of(*whom)

    try:
        identity = await site.work(do)
    except Usage as refusal:
        return refused(request, f"{str(refusal).removeprefix('--to: ').capitalize()}.", _to(account))
    session_of(request).tell("done", "The test is on its way. This page follows it.")
    return elsewhere(f"/notification/{identity}?follow=1")


async def end(request: web.Request) -> web.Response:
    """Unlink an account; only after the box was ticked."""
    site, form, account = site_of(request), await request.post(), await _account(request)
    if form.get("sure") != "yes":
        return refused(request, "Nothing was done: tick the box first.", _to(account))
    said = io.StringIO()

    def do() -> None:
        unpair(
            site.deployment,
            account,
            wait_seconds=_UNLINK_SECONDS,
            output=Output(stream=said),
            yes=True,
            clock=site.clock,
        )

    try:
        await site.work(do)
    except ConsoleError as error:
        return refused(request, str(error), _to(account))
    attempts(site).pop(account, None)
    return told(
        request,
        f"The account {account} is unlinked. New messages wait until it is linked again.",
        _to(account),
    )


VIEWS: Final = {
    "GET /link": show,
    "POST /link/begin": begin,
    "POST /link/stop": stop,
    "POST /link/answer": answer,
    "POST /link/test": test,
    "POST /link/unlink": end,
}
