"""Texts: what is said to whom in which language, changed while the stack runs; judged before it counts.

What is shown as the text in force is that of an operator, else Tocsin's own. Texts that were deployed with
`functions/plan_notifications/templates` aren't known here; an operator's stands before those, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from tocsin.notify.events.audience import ROUTES, recipients
from tocsin.notify.events.checks import InvalidEvent
from tocsin.notify.events.envelope import DEFAULT_ACCOUNT, load_envelope
from tocsin.notify.events.samples import FULL, HOSTILE, MINIMAL, sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.store.own_texts import OwnTexts, TextsChangedMeanwhile
from tocsin.notify.store.texts import TextWithheld
from tocsin.notify.texts.languages import DEFAULTS, is_language, languages
from tocsin.notify.texts.own import Finding, is_path, judge
from tocsin.notify.texts.template import TemplateFailed, Templates
from tocsin.timestamps import from_seconds
from tocsin_console import audit
from tocsin_console.errors import ConsoleError, NotFound
from tocsin_console.page.phone import Run, runs
from tocsin_console.page.site import Site, elsewhere, page, refused, site_of, told

SAMPLES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "full": ("everything filled in", FULL),
    "minimal": ("only what must be", MINIMAL),
    "hostile": ("somebody who wants to break it", HOSTILE),
}
AUDIENCES: Final = ("customer", "technician", "group")
_HISTORY: Final = 15


def shipped(language: str) -> dict[str, str]:
    """The texts of a language that Tocsin brings along, by path."""
    folder = DEFAULTS / language
    files = sorted(folder.iterdir()) if is_language(language) and folder.is_dir() else []
    return {
        f"{language}/{one.name}": one.read_text(encoding="utf-8")
        for one in files
        if is_path(f"{language}/{one.name}")
    }


def of_language(own: Mapping[str, str], language: str) -> dict[str, str]:
    """All texts of a language: an operator's before Tocsin's."""
    return shipped(language) | {path: text for path, text in own.items() if path.startswith(f"{language}/")}


@dataclass(frozen=True)
class Shown:
    """What a text says with a sample event. `about`: which event and audience; `failure`: why it says
    nothing."""

    runs: list[Run]
    about: str
    failure: str = ""


def preview(path: str, files: Mapping[str, str], sample: str, real: str = "", region: str = "ID") -> Shown:
    """What the phone would show. Of a part: the first text that it is a part of. `real`: an event of one's
    own as JSON, in the place of a sample; `region`: of its phone numbers."""
    language, _, name = path.partition("/")
    event_type, _, audience = name.removesuffix(".txt").partition(".")
    if event_type not in ROUTES:
        event_type = "TicketCreated"
        audience = audience if audience in AUDIENCES else "customer"
    detail = SAMPLES.get(sample, SAMPLES["full"])[1]
    about = f"{event_type}, {audience}"
    try:
        body = own_body(event_type, real) if real.strip() else sample_body(event_type, dict(detail))
        account = str(json.loads(body)["detail"].get("account") or DEFAULT_ACCOUNT)
        event = parse_event(body, default_region=region, accounts=[account], attachments=True)
    except InvalidEvent as refusal:
        return Shown([], about, f"of your event: {'; '.join(refusal.violations[:3])}")
    whom = next((one for one in recipients(event) if one.audience == audience), None)
    if whom is None:
        return Shown([], about, "this event tells nobody of that kind")
    try:
        rendered = Templates(overrides=files).render(event, replace(whom, language=language), language)
    except TemplateFailed as failure:
        return Shown([], about, failure.reason)
    return Shown(runs(rendered.text), about)


def own_body(event_type: str, text: str) -> str:
    """An event as the planner reads it, of one that somebody pasted: the event, an entry of put-events, or
    its detail alone. Whatever its type, it is tried with the text's. Raises InvalidEvent."""
    told = load_envelope(text)
    detail = told.get("detail", told.get("Detail", told))
    if isinstance(detail, str):
        detail = load_envelope(detail)
    if not isinstance(detail, dict):
        raise InvalidEvent(["detail: is not an object"])
    return json.dumps({"id": "preview", "detail-type": event_type, "detail": detail})


def known_languages(own: Mapping[str, str]) -> list[str]:
    return sorted({*languages(DEFAULTS), *(path.partition("/")[0] for path in own)})


async def show(request: web.Request) -> web.Response:
    """The texts of a language, and who changed what."""
    site = site_of(request)
    found = await site.parts(
        own=lambda: site.deployment.stores.own_texts.current(),
        history=lambda: site.deployment.stores.own_texts.history()[:_HISTORY],
    )
    own: OwnTexts = found["own"].value or OwnTexts()
    known = known_languages(own.files)
    language = request.query.get("language", "")
    language = language if language in known else "en"
    files = of_language(own.files, language)
    parts = [path for path in files if path.partition("/")[2].startswith("_") or path.endswith(".json")]
    return page(
        request,
        "texts",
        title="Texts",
        part=found["own"],
        own=own,
        history=found["history"],
        known=known,
        language=language,
        files=files,
        parts=parts,
        events=tuple(ROUTES),
        audiences=AUDIENCES,
    )


async def edit(request: web.Request) -> web.Response:
    """One text: what it says now, and as the phone shows it."""
    site, path, sample = site_of(request), _path(request), request.query.get("sample", "full")
    own: OwnTexts = await site.work(lambda: site.deployment.stores.own_texts.current())
    text = of_language(own.files, path.partition("/")[0]).get(path)
    if text is None:
        raise NotFound("there is no such text")
    return await _editor(request, own, path, text, sample)


async def _editor(
    request: web.Request,
    own: OwnTexts,
    path: str,
    text: str,
    sample: str,
    *,
    real: str = "",
    trouble: str = "",
) -> web.Response:
    site = site_of(request)
    text = text.replace("\r\n", "\n")
    files = {**own.files, path: text}
    findings, seen = await site.work(
        lambda: (judge(path, files), preview(path, files, sample, real, _region(site)))
    )
    return page(
        request,
        "text",
        status=400 if trouble else 200,
        title=f"Text {path}",
        path_of=path,
        language=path.partition("/")[0],
        text=text,
        findings=findings[:20],
        bubble={"runs": seen.runs, "quote": "", "file": "", "note": "", "why": seen.failure},
        about=seen.about,
        sample=sample if sample in SAMPLES else "full",
        samples=SAMPLES,
        real=real,
        number=own.number,
        counts=own.count,
        is_own=path in own.files,
        was=shipped(path.partition("/")[0]).get(path),
        trouble=trouble,
    )


def _region(site: Site) -> str:
    return site.deployment.outputs.get("DefaultRegion", "ID")


def _path(request: web.Request) -> str:
    path = f"{request.match_info['language']}/{request.match_info['name']}"
    if not is_path(path):
        raise NotFound("there is no such text")
    return path


async def try_out(request: web.Request) -> web.Response:
    """What is typed just now: for the script of the page."""
    site, path, form = site_of(request), _path(request), await request.post()
    text, sample = str(form.get("text", "")).replace("\r\n", "\n"), str(form.get("sample", ""))
    real = str(form.get("event", ""))

    def look() -> tuple[list[Finding], Shown]:
        own = site.remembered("own texts", 10, lambda: site.deployment.stores.own_texts.current())
        files = {**own.files, path: text}
        found = judge(path, files)
        return found, Shown([], "", "mend it first") if found else preview(
            path, files, sample, real, _region(site)
        )

    findings, seen = await site.work(look)
    return web.json_response(
        {
            "findings": [{"line": one.line, "text": one.text[:300]} for one in findings[:20]],
            "runs": [{"text": run.text, "marks": sorted(run.marks)} for run in seen.runs],
            "failure": seen.failure,
        }
    )


async def save(request: web.Request) -> web.Response:
    """Put a text in force, if it is good; else show what is wrong, with what was typed."""
    site, path, form = site_of(request), _path(request), await request.post()
    text, sample = str(form.get("text", "")).replace("\r\n", "\n"), str(form.get("sample", "full"))
    real = str(form.get("event", ""))
    own: OwnTexts = await site.work(lambda: site.deployment.stores.own_texts.current())
    if str(form.get("do")) == "look":
        return await _editor(request, own, path, text, sample, real=real)
    if str(form.get("number")) != str(own.number):
        return await _editor(
            request, own, path, text, sample, real=real, trouble=str(TextsChangedMeanwhile())
        )
    back = str(form.get("do")) == "back"
    files = (
        {one: words for one, words in own.files.items() if one != path} if back else {**own.files, path: text}
    )
    wrong = await site.work(lambda: [] if back else judge(path, files))
    if wrong:
        words = "It isn't saved, and what was in force stays: mend what is named below."
        return await _editor(request, own, path, text, sample, real=real, trouble=words)
    what = f"{path} is Tocsin's own again" if back else f"{path} changed"
    await _write(site, own, files, what)
    return told(request, f"{what}. New messages say it within half a minute.", f"/texts/{path}")


async def _write(site: Site, own: OwnTexts, files: Mapping[str, str], what: str) -> None:
    """Raises ConsoleError if somebody else was faster."""

    def write() -> None:
        try:
            site.deployment.stores.own_texts.write(
                own, files, at=from_seconds(site.clock()), by=audit.operator(site.deployment), what=what
            )
        except TextsChangedMeanwhile as conflict:
            raise ConsoleError(str(conflict)) from None
        except TextWithheld as refusal:
            raise ConsoleError(
                f"texts are proven by a key ({refusal.why}). Your AWS permissions must allow what this page "
                "does: secretsmanager:GetSecretValue on the stack's output TextsSecretArn"
            ) from None
        site.note(f"texts: {what}")

    await site.work(write)


async def add(request: web.Request) -> web.Response:
    """Add a language: a copy of one that is there, to be translated text by text."""
    site, form = site_of(request), await request.post()
    new, old = str(form.get("new", "")).strip().lower(), str(form.get("old", ""))
    own: OwnTexts = await site.work(lambda: site.deployment.stores.own_texts.current())
    known = known_languages(own.files)
    if not is_language(new) or new in known or old not in known:
        return refused(
            request, "Give the tag of a language that isn't there yet, such as ms or pt-br.", "/texts"
        )
    copied = {
        path.replace(f"{old}/", f"{new}/", 1): text.replace(f'include "{old}/', f'include "{new}/')
        for path, text in of_language(own.files, old).items()
    }
    files = {**own.files, **copied}
    wrong = await site.work(lambda: [one for path in copied for one in judge(path, files)])
    if wrong:
        return refused(request, f"It isn't added: {wrong[0].path}: {wrong[0].text}", "/texts")
    await _write(site, own, files, f"language {new} added, as {old}")
    return told(
        request,
        f"The language {new} is there, still with the words of {old}: translate them one by one. Its words "
        f"of "
        "STOP and START come with a deployment.",
        f"/texts?language={new}",
    )


async def back(request: web.Request) -> web.Response:
    """All texts as they were in a version."""
    site, form = site_of(request), await request.post()
    history = await site.work(lambda: site.deployment.stores.own_texts.history())
    wanted = next((one for one in history if str(one.number) == str(form.get("number"))), None)
    if wanted is None:
        return refused(request, "That version is no longer kept.", "/texts")
    if not wanted.count:
        return refused(request, "No operator wrote that version so: it can't come back.", "/texts")
    own: OwnTexts = await site.work(lambda: site.deployment.stores.own_texts.current())
    wrong = await site.work(lambda: [one for path in wanted.files for one in judge(path, wanted.files)])
    if wrong:
        return refused(
            request, f"That version isn't valid any more: {wrong[0].path}: {wrong[0].text}", "/texts"
        )
    await _write(site, own, wanted.files, f"back to version {wanted.number}")
    return told(request, f"All texts are as in version {wanted.number}.", "/texts")


async def nowhere(request: web.Request) -> web.Response:
    return elsewhere("/texts")


VIEWS: Final = {
    "GET /texts": show,
    "POST /texts/add": add,
    "POST /texts/restore": back,
    "GET /texts/{language}/{name}": edit,
    "POST /texts/{language}/{name}": save,
    "POST /texts/{language}/{name}/try": try_out,
    "GET /texts/{language}": nowhere,
}
