"""Dead letters: why they were given up, what mends it; send again or drop them, first shown, then done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from aiohttp import web

from tocsin.notify.events.audience import ROUTES
from tocsin.notify.letters import Letter
from tocsin.notify.malformed import UnreadableRecord
from tocsin.notify.notification import Notification
from tocsin.notify.redrive import UNREADABLE_RECORD, Done, Redriver, Selection
from tocsin.notify.refused_events import EventSelection, RefusedEvent
from tocsin.timestamps import from_seconds
from tocsin_console.dead_letters import concerns, shown_recipient, shown_refused, summed
from tocsin_console.errors import NotFound
from tocsin_console.feed.line import Line, line_of
from tocsin_console.feed.sifting import AUDIENCES, SPANS, Sieve
from tocsin_console.page import shown
from tocsin_console.page.jobs import Job, Jobs
from tocsin_console.page.site import Site, elsewhere, page, refused, site_of, told
from tocsin_console.reasons import REFUSED_AGAIN, Reason, reason

VERBS: Final = {"redrive": "Send again", "drop": "Drop"}
WORDS: Final = {"redriven": "sent again", "kept": "left"}
"""What becomes of a letter, as the page calls it."""

_SHOWN: Final = 200
_AUDIT_SHOWN: Final = 30


@dataclass(frozen=True)
class Row:
    """One letter. `line`: of its record, None if that can't be had; `trouble`: why it can't. `stuck`: it
    can't be sent again."""

    letter: Letter
    line: Line | None
    trouble: str
    whom: str
    sent_before: bool
    stuck: bool = False


@dataclass(frozen=True)
class Box:
    """The letters, and how many more there are that can't be read now."""

    rows: list[Row]
    hidden: int


def read(site: Site, *, tidy: bool = False) -> Box:
    """All letters that ask for somebody and can be read now, with their records. `tidy`: those that ask for
    nobody go."""
    box = site.deployment.redriver(site.clock).box(tidy=tidy)
    stuck = box.stuck
    rows = [
        replace(_row(one, box.records.get(one.notification)), stuck=one.notification in stuck)
        for one in box.open
    ]
    return Box(rows, box.hidden)


def _row(letter: Letter, record: Notification | UnreadableRecord | None) -> Row:
    if isinstance(record, UnreadableRecord):
        return Row(letter, None, UNREADABLE_RECORD, shown_recipient(letter.recipient), False)
    line = line_of(record) if record is not None else None
    whom = line.whom if line is not None else shown_recipient(letter.recipient)
    if record is not None and record.refused_address:
        whom = repr(shown_refused(record))
    return Row(letter, line, "", whom, bool(record and record.sent_at))


def chosen(rows: Sequence[Row], sieve: Sieve, code: str, now: int) -> list[Row]:
    """Those that the filter and a reason let through."""
    judge, filtered = sieve.judge(now), bool(sieve.chosen)
    return [
        row
        for row in rows
        if code in ("", row.letter.reason) and (not filtered or (row.line is not None and judge(row.line)))
    ]


def groups(rows: Sequence[Row]) -> list[tuple[str, Reason, list[Row]]]:
    """By reason, the most frequent first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.letter.reason, []).append(row)
    return [(code, reason(code), of) for code, of in sorted(found.items(), key=lambda one: -len(one[1]))]


async def show(request: web.Request) -> web.Response:
    site, sieve = site_of(request), Sieve.of(request.query)
    code = shown.line(request.query.get("reason", ""), 80)
    found = await site.parts(
        box=lambda: read(site, tidy=True),
        events=lambda: len(site.deployment.refused_events.read()),
        lines=lambda: list(islice(site.deployment.stores.audit.lines(), _AUDIT_SHOWN)),
        accounts=lambda: site.deployment.accounts,
    )
    box = found["box"].value
    rows = chosen(box.rows, sieve, code, from_seconds(site.clock())) if box else []
    return page(
        request,
        "letters",
        title="Dead letters",
        part=found["box"],
        groups=groups(rows),
        count=len(rows),
        going=sum(not row.stuck for row in rows),
        hidden=box.hidden if box else 0,
        all=len(box.rows) if box else 0,
        events=found["events"].value or 0,
        lines=found["lines"],
        accounts=found["accounts"].value or [],
        sieve=sieve,
        code=code,
        choices={"audiences": AUDIENCES, "events": tuple(ROUTES), "spans": SPANS},
        SHOWN=_SHOWN,
    )


# -- first shown, then done --------------------------------------------------------------------------------


def jobs_of(site: Site) -> Jobs:
    found: Jobs = site.offered.setdefault("jobs", Jobs())
    return found


async def preview(request: web.Request) -> web.Response:
    """Show what would be done with what is chosen."""
    site, form = site_of(request), await request.post()
    asked = {name: str(value) for name, value in form.items()}
    verb = asked.get("verb", "")
    if verb not in VERBS:
        raise NotFound("choose what to do: send again, or drop")
    sieve, code = Sieve.of(asked), asked.get("reason", "")[:80]

    def plan() -> Job[Done] | None:
        rows = chosen(read(site).rows, sieve, code, from_seconds(site.clock()))
        return _job(site, verb, rows) if rows else None

    job = await site.work(plan)
    if job is None:
        return refused(request, "Nothing is chosen: there is no such letter (any more).", "/letters")
    jobs_of(site).add(job)
    return elsewhere(f"/letters/jobs/{job.identity}")


def _job(site: Site, verb: str, rows: Sequence[Row]) -> Job[Done]:
    """What is to be done with these letters, and what a rehearsal says of it."""
    ids = frozenset(row.letter.notification for row in rows)
    redriver = site.deployment.redriver(site.clock)

    def finish(counts: Counter[str], note: str) -> None:
        did = sum(counts.values()) - counts["kept"]
        what = "sent dead letters again" if verb == "redrive" else "dropped dead letters"
        if did:
            site.note(f"{what}: {summed(counts, WORDS)}", count=did, note=note, **concerns(made.results))

    made: Job[Done] = Job(VERBS[verb], len(ids), lambda: _steps(redriver, verb, ids), finish)
    whom = Counter(row.whom for row in rows)
    made.facts = {
        "people": len(whom),
        "before": sum(row.sent_before for row in rows),
        "verb": verb == "redrive",
    }
    for word, done in _steps(redriver, verb, ids, dry_run=True):
        made.planned[done.why or word] += 1
        made.plan.append(done)
    made.facts["goes"] = verb != "redrive" or any(done.would == "redriven" for done in made.plan)
    return made


def _steps(
    redriver: Redriver, verb: str, ids: frozenset[str], *, dry_run: bool = False
) -> Generator[tuple[str, Done], None, None]:
    selection = Selection(among=ids)
    do = redriver.redrive if verb == "redrive" else redriver.drop
    for done in do(selection, dry_run=dry_run):
        yield done.result, done


async def job(request: web.Request) -> web.Response:
    """How a job stands; for the script of the page, its figures alone."""
    site = site_of(request)
    found = jobs_of(site).get(request.match_info["job"])
    if found is None:
        raise NotFound("this preview is gone, as the console was started anew or it is too old: choose again")
    if request.headers.get("X-Part"):
        figures = {"mark": found.state, "seen": found.seen, "said": summed(found.counts, WORDS) or "nothing"}
        return web.json_response(figures)
    results: list[Any] = found.results if found.over else found.plan
    rows = [(_name(one), one) for one in results[:_SHOWN]]
    return page(
        request,
        "job",
        title=found.title,
        job=found,
        rows=rows,
        summed=summed(found.counts, WORDS) or "nothing",
    )


def _name(done: Done) -> str:
    return f"{done.letter.audience} {shown_recipient(done.letter.recipient)}"


async def start(request: web.Request) -> web.Response:
    site, form = site_of(request), await request.post()
    found = jobs_of(site).get(request.match_info["job"])
    if found is None:
        raise NotFound("this preview is gone: choose again. Nothing was done")
    if found.begin():
        found.note = str(form.get("note", ""))[:400]
        site.threads.submit(found.run, site.words)
    return elsewhere(f"/letters/jobs/{found.identity}")


async def cancel(request: web.Request) -> web.Response:
    found = jobs_of(site_of(request)).get(request.match_info["job"])
    if found is not None:
        found.cancel()
    return elsewhere(f"/letters/jobs/{request.match_info['job']}" if found is not None else "/letters")


async def one(request: web.Request) -> web.Response:
    """Send a single one again, at once."""
    site, form = site_of(request), await request.post()
    identity, back = str(form.get("id", "")), str(form.get("back", ""))

    def do() -> tuple[bool, str]:
        found = list(site.deployment.redriver(site.clock).redrive(Selection(notification=identity)))
        if not found:
            return False, "Nothing was done: it is no dead letter (any more)."
        if found[0].result == "kept":
            return False, f"Nothing was done: {found[0].why}."
        site.note(f"sent a dead letter again: {identity}", **concerns(found))
        why = f": {found[0].why}" if found[0].why else ""
        return True, f"It is {WORDS.get(found[0].result, found[0].result)}{why}."

    ok, words = await site.work(do)
    return (told if ok else refused)(
        request, words, back if back.startswith("/notification/") else "/letters"
    )


# -- ticket events that told nobody ------------------------------------------------------------------------


async def refused_events(request: web.Request) -> web.Response:
    site = site_of(request)
    found: list[RefusedEvent] = await site.work(lambda: site.deployment.refused_events.read())
    return page(
        request,
        "events",
        title="Refused events",
        events=found[:_SHOWN],
        count=len(found),
        again=REFUSED_AGAIN,
    )


async def of_event(request: web.Request) -> web.Response:
    """Plan a refused event again, or drop it."""
    site, form = site_of(request), await request.post()
    identity, verb = str(form.get("id", "")), str(form.get("verb", ""))

    def do() -> list[str]:
        events = site.deployment.refused_events
        act = events.redrive if verb == "redrive" else events.drop
        return [event.reason for event in act(EventSelection(id=identity))]

    if verb not in VERBS or not identity:
        raise NotFound("choose what to do with which event")
    did = await site.work(do)
    if not did:
        return refused(request, "Nothing was done: the event is gone.", "/letters/events")
    word = "planned again" if verb == "redrive" else "dropped"
    await site.work(lambda: site.note(f"{word} a refused event", count=len(did)))
    again = REFUSED_AGAIN.get(did[0], "") if verb == "redrive" else ""
    return told(request, f"It is {word}. {again}".strip(), "/letters/events")


VIEWS: Final = {
    "GET /letters": show,
    "POST /letters/preview": preview,
    "POST /letters/redrive": one,
    "GET /letters/events": refused_events,
    "POST /letters/events": of_event,
    "GET /letters/jobs/{job}": job,
    "POST /letters/jobs/{job}/start": start,
    "POST /letters/jobs/{job}/cancel": cancel,
}
