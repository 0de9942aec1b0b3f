"""Settings: what they are, who changed them, and changing them; and what the doctor says of the stack."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tocsin.settings import changes
from tocsin.settings.declared import ACCOUNT, AUDIENCE, AUDIENCES, DECLARED, Setting
from tocsin.settings.kinds import InvalidValue
from tocsin.settings.values import STACK, Scope
from tocsin_console import self_test
from tocsin_console.deployment import Deployment
from tocsin_console.doctor import OF_STACK, stack
from tocsin_console.doctor.checks import Finding, Level, carry_out
from tocsin_console.errors import ConsoleError
from tocsin_console.output import Output
from tocsin_console.page.site import Site, page, refused, site_of, told
from tocsin_console.pause import resume
from tocsin_console.reconnect import reconnect
from tocsin_console.settings import Change, change, default_of, restore

_HISTORY: Final = 20
_FRESH_SECONDS: Final = 3600.0
_LOGIN_SECONDS: Final = 25.0


@dataclass(frozen=True)
class Row:
    """A setting, and for whom it has which value. `default`: for people."""

    setting: Setting[Any]
    default: str
    values: tuple[tuple[str, str], ...]


def rows(deployment: Deployment) -> tuple[list[Row], Sequence[str]]:
    """All settings, and what of the stored ones is invalid."""
    current = changes.read_current(deployment.outside_table)
    found = [
        Row(
            setting,
            default_of(setting),
            tuple(
                (scope, _shown(setting, value))
                for scope, value in current.values.get(setting.name, {}).items()
            ),
        )
        for setting in DECLARED.values()
    ]
    return found, current.reading.problems


def _shown(setting: Setting[Any], stored: object) -> str:
    try:
        return setting.kind.show(setting.kind.check(stored))
    except InvalidValue:
        return str(stored)


async def show(request: web.Request) -> web.Response:
    site = site_of(request)
    deployment = site.deployment
    found = await site.parts(
        rows=lambda: rows(deployment),
        history=lambda: changes.read_history(deployment.outside_table)[:_HISTORY],
        accounts=lambda: deployment.accounts,
    )
    return page(
        request,
        "settings",
        title="Settings",
        part=found["rows"],
        rows=found["rows"].value[0] if found["rows"].value else [],
        problems=found["rows"].value[1] if found["rows"].value else [],
        history=found["history"],
        accounts=found["accounts"].value or [],
        audiences=AUDIENCES,
        ACCOUNT=ACCOUNT,
        AUDIENCE=AUDIENCE,
        STACK=str(STACK),
    )


async def _do(request: web.Request, act: Callable[[Deployment, Output], None]) -> web.Response:
    """Change something as `tocsin settings` does, and tell what it says."""
    site, said = site_of(request), io.StringIO()
    try:
        await site.work(lambda: act(site.deployment, Output(stream=said)))
    except ConsoleError as error:
        return refused(request, str(error)[:1].upper() + str(error)[1:], "/settings")
    words = " ".join(said.getvalue().split())
    return told(request, words[:1].upper() + words[1:], "/settings")


async def put(request: web.Request) -> web.Response:
    """Set a setting, or set it back to its default."""
    site, form = site_of(request), await request.post()
    asked = {name: str(value)[:2000] for name, value in form.items()}
    account, audience = asked.get("account") or None, asked.get("audience") or None
    value = None if asked.get("do") == "reset" else asked.get("value", "")

    def act(deployment: Deployment, output: Output) -> None:
        named = deployment.account(account) if account is not None and value is not None else account
        change(
            deployment,
            [Change(asked.get("name", ""), value, Scope(named, audience))],
            output,
            clock=site.clock,
        )

    return await _do(request, act)


async def back(request: web.Request) -> web.Response:
    """Set all settings back to a version."""
    site, form = site_of(request), await request.post()
    version = str(form.get("version", ""))
    if not version.isdecimal() or len(version) > 8:
        return refused(request, "Choose a version of the history.", "/settings")

    return await _do(
        request, lambda deployment, output: restore(deployment, int(version), output, clock=site.clock)
    )


# -- the doctor --------------------------------------------------------------------------------------------

_WAYS: Final = (
    ("tocsin pair", "/link", "Link it"),
    ("tocsin unpair", "/link", "To the link"),
    ("dead-letters list --queue events", "/letters/events", "See the events"),
    ("tocsin dead-letters", "/letters", "To the dead letters"),
    ("tocsin settings", "/settings", "To the settings"),
    ("tocsin status", "/", "See Now"),
    ("tocsin explain", "/feed", "To the feed"),
)
"""What a remedy names → where the page has it."""


_RECONNECT: Final = re.compile(r"tocsin reconnect --account ([\w-]+)")


@dataclass(frozen=True)
class Told:
    """`to`: where the page has the remedy; `verb`: what a button does here, for `account` or for all."""

    name: str
    finding: Finding
    to: str = ""
    do: str = ""
    verb: str = ""
    account: str = ""

    @classmethod
    def of(cls, name: str, finding: Finding) -> Told:
        if finding.mend == "tocsin resume":
            return cls(name, finding, do="Resume sending", verb="resume")
        if found := _RECONNECT.search(finding.mend):
            return cls(name, finding, do="Log in again", verb="reconnect", account=found[1])
        to, do = way(finding.mend)
        return cls(name, finding, to, do)


def way(mend: str) -> tuple[str, str]:
    return next(((to, do) for words, to, do in _WAYS if words in mend), ("", ""))


async def doctor(request: web.Request) -> web.Response:
    site = site_of(request)
    kept = site.offered.get("doctor")
    at, findings = kept if kept is not None else (None, [])
    order = {Level.FAULT: 0, Level.WARNING: 1, Level.UNKNOWN: 2, Level.OK: 3}
    rows = [Told.of(name, one) for name, one in findings]
    rows.sort(key=lambda row: order[row.finding.level])
    names = await site.part(lambda: site.deployment.accounts)
    counts = {level: sum(one.level is level for _, one in findings) for level in Level}
    return page(
        request,
        "doctor",
        title="Doctor",
        at=at,
        rows=rows,
        counts=counts,
        accounts=names.value or [],
        names=names,
        old=at is not None and site.clock() - at > _FRESH_SECONDS,
    )


def examine(site: Site) -> list[tuple[str, Finding]]:
    """What `tocsin doctor` finds."""
    deployed = stack.Deployed(Deployment.at(site.deployment.place))
    return carry_out(OF_STACK, deployed)


async def run(request: web.Request) -> web.Response:
    site = site_of(request)
    site.offered["doctor"] = (site.clock(), await site.work(examine, site))
    return web.Response(status=303, headers={"Location": "/doctor"})


async def test(request: web.Request) -> web.Response:
    """Have a self-test made: the account writes to its own chat."""
    site, form = site_of(request), await request.post()
    said = io.StringIO()

    def act() -> None:
        account = site.deployment.account(str(form.get("account", "")) or None)
        self_test.run_once(site.deployment, account, wait_seconds=0, output=Output(stream=said))

    try:
        await site.work(act)
    except ConsoleError as error:
        return refused(request, str(error), "/doctor")
    return told(request, f"{' '.join(said.getvalue().split())}. Now shows how it went.", "/doctor")


async def mend(request: web.Request) -> web.Response:
    """What a finding asks for, where it can do no harm: send again, or log in again."""
    site, form = site_of(request), await request.post()
    said, verb = io.StringIO(), str(form.get("verb", ""))

    def act() -> None:
        deployment, output = site.deployment, Output(stream=said)
        if verb == "resume":
            resume(deployment, STACK, output, clock=site.clock)
        else:
            account = deployment.account(str(form.get("account", "")) or None)
            reconnect(deployment, account, wait_seconds=_LOGIN_SECONDS, output=output, clock=site.clock)

    if verb not in ("resume", "reconnect"):
        return refused(request, "Nothing was done: choose what to do.", "/doctor")
    try:
        await site.work(act)
    except ConsoleError as error:
        return refused(request, str(error), "/doctor")
    last = (said.getvalue().strip().splitlines() or ["it is done"])[-1]
    return told(request, f"{last[:1].upper()}{last[1:]}. Examine again to see whether it helped.", "/doctor")


VIEWS: Final = {
    "GET /settings": show,
    "POST /settings/put": put,
    "POST /settings/restore": back,
    "GET /doctor": doctor,
    "POST /doctor": run,
    "POST /doctor/test": test,
    "POST /doctor/mend": mend,
}
