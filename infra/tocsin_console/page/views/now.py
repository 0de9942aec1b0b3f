"""Now: how things stand, what needs a person, the accounts, and the last day, week or month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.notify.store.hours import Hour, percentile
from tocsin.notify.store.recoveries import RecoveryRecord
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID
from tocsin_console.deployment import Deployment
from tocsin_console.output import local, zone_of
from tocsin_console.page import chart
from tocsin_console.page.site import Part, Site, page, site_of
from tocsin_console.page.standing import standing
from tocsin_console.recoveries import WHO, Tally, tallies
from tocsin_console.status import REMEDIES, AccountStatus, account_status, depths

_HOUR: Final = 3_600_000

RANGES: Final = {"day": (24, 1, "24 hours"), "week": (168, 3, "7 days"), "month": (720, 24, "30 days")}
"""Name → hours in all, hours of a bar, words."""

_LETTERS_SECONDS = 30
_SERIES = ("good", "calm", "bad")


@dataclass(frozen=True)
class Told:
    """What is known of an account beside its state. `number`: its digits."""

    number: str = ""
    prekeys: int | None = None


@dataclass(frozen=True)
class Pictures:
    """Of a span of time: totals by name, bars, times, and dead letters by reason."""

    totals: Counter[str]
    bars: chart.Chart
    rows: Sequence[chart.Bar]
    p50: float | None
    p95: float | None
    dead: list[tuple[str, int]]


async def show(request: web.Request) -> web.Response:
    site, wanted = site_of(request), request.query.get("range", "day")
    span = wanted if wanted in RANGES else "day"
    deployment, now = site.deployment, site.clock()
    names = await site.part(lambda: deployment.accounts)
    parts = await site.parts(
        queues=lambda: counts(site),
        hours=lambda: hours(site, names.value or [], RANGES["month"][0], now),
        recoveries=lambda: recoveries(site, names.value or [], span, now),
    )
    accounts = [(name, *await _account(site, name)) for name in names.value or []]
    statuses = [status.value for _, status, _ in accounts if status.value is not None]
    day = pictures(parts["hours"].value or [], "day", now) if not parts["hours"].trouble else None
    queued = parts["queues"].value
    dead = {name: queued.held.get(name, 0) for name in REMEDIES} if queued else None
    whole = len(statuses) == len(accounts) and not names.trouble
    return page(
        request,
        "now",
        title="Now",
        standing=standing(
            statuses if whole else None,
            dead,
            day.totals["Delivered"] if day else None,
            queued.stuck if queued else 0,
        ),
        accounts=accounts,
        names=names,
        queues=Part(queued.held) if queued else parts["queues"],
        ranges=RANGES,
        span=span,
        pictures=Part(pictures(parts["hours"].value, span, now))
        if parts["hours"].value is not None
        else parts["hours"],
        recoveries=parts["recoveries"],
        WHO=WHO,
    )


async def _account(site: Site, name: str) -> tuple[Part[AccountStatus], Part[Told]]:
    deployment = site.deployment
    found = await site.parts(
        status=lambda: account_status(deployment, name, site.clock),
        told=lambda: site.remembered(f"told {name}", 10, lambda: told(deployment, name)),
    )
    return found["status"], found["told"]


def told(deployment: Deployment, name: str) -> Told:
    """Its number and its prekeys. They are sealed: who has no right to the secret is told that."""
    store = deployment.key_store(name).account
    try:
        number = JID.parse(store.profile().jid).user
    except (NoAccount, NotPaired):
        return Told()
    return Told(number, store.prekey_count())


@dataclass(frozen=True)
class Queued:
    """How many messages each queue holds, by the names of `tocsin status`; `stuck`: dead letters that can't
    be sent again."""

    held: Mapping[str, int]
    stuck: int


def counts(site: Site) -> Queued:
    """Dead letters that are looked at
    are hidden from whoever sends them again, so that isn't done at each reload."""

    stuck = 0

    def open_letters(letters: int) -> int:
        nonlocal stuck
        box = site.remembered(
            f"open of {letters} letters", _LETTERS_SECONDS, site.deployment.redriver(site.clock).box
        )
        stuck = len(box.stuck)
        return len(box.open) + box.hidden

    found = depths(site.deployment, site.clock, open_letters)
    return Queued({name: sum(counted.values()) for name, counted in found.items()}, stuck)


def hours(site: Site, accounts: Sequence[str], back: int, now: float) -> list[Hour]:
    """The counts of all accounts in the last `back` hours."""
    begin = from_seconds(now) - back * _HOUR
    store = site.deployment.stores.hours

    def of(account: str) -> list[Hour]:
        return site.remembered(f"hours {account}", 20, lambda: list(store.since(account, begin)))

    return [hour for account in accounts for hour in of(account)]


def recoveries(site: Site, accounts: Sequence[str], span: str, now: float) -> list[Tally]:
    days = max(RANGES[span][0] // 24, 1) + (span == "day")
    store = site.deployment.stores.recoveries
    began = from_seconds(now) - RANGES[span][0] * _HOUR

    def of(account: str) -> list[RecoveryRecord]:
        name = f"recoveries {account} {days}"
        return site.remembered(name, 20, lambda: list(store.of_days(account, days, from_seconds(now))))

    found = [one for account in accounts for one in of(account) if one.first_at >= began]
    return [one for one in tallies(found) if one.cause]


def pictures(found: Sequence[Hour], span: str, now: float) -> Pictures:
    """What the hours of a span say together."""
    back, each, _ = RANGES[span]
    end = from_seconds(now) // _HOUR * _HOUR + _HOUR
    begin = end - back * _HOUR
    here = [hour for hour in found if hour.began_at >= begin]
    totals: Counter[str] = Counter()
    dead: Counter[str] = Counter()
    sums = [Counter[str]() for _ in range(back // each)]
    for hour in here:
        totals.update(hour.counts)
        dead.update(hour.dead)
        sums[min((hour.began_at - begin) // (each * _HOUR), len(sums) - 1)].update(hour.counts)
    # A receipt may overtake the record of its send, and then no `Sent` is told.
    totals["Sent"] = max(totals["Sent"], totals["Delivered"])
    rows = [_bar(begin + place * each * _HOUR, each, one) for place, one in enumerate(sums)]
    return Pictures(
        totals,
        chart.bars(rows, _SERIES),
        rows,
        percentile(here, 0.5),
        percentile(here, 0.95),
        dead.most_common(),
    )


def _bar(began_at: int, hours_of_it: int, counts: Counter[str]) -> chart.Bar:
    at = local(began_at)
    label = f"{at:%d %b}" if hours_of_it >= 3 else f"{at:%H}:00"
    arrived, failed = counts["Delivered"], counts["Failed"]
    sent = max(counts["Sent"], arrived)
    when = f"{at:%d %b %H:%M} {zone_of(at)}"
    title = f"{when}: {sent} sent, {arrived} delivered, {counts['Read']} read, {failed} failed"
    return chart.Bar(label, title, (arrived, max(sent - arrived, 0), failed))


VIEWS: Final = {"GET /": show}
