"""A help desk's webhook becomes a ticket event: the pure core of the door's desks.

    greeting   what is answered before anybody looks at a signature: GLPI's challenge, Splynx's ping
    translate  body and headers ─▶ what happened ─▶ each field ─▶ repaired to the schema ─▶ a ticket event

Who sent the request was verified before (`signatures.verify`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from tocsin.door.answer import TEXT, Answer, Entry
from tocsin.door.desks.body import Unreadable, cleaned, read_body
from tocsin.door.desks.expressions import holds
from tocsin.door.desks.fields import all_of, section_of, value_of
from tocsin.door.desks.fitting import Fitting
from tocsin.door.desks.kind import CHANGES, Challenge, Kind, names
from tocsin.door.desks.revision import revision_of
from tocsin.door.signatures import digest, same
from tocsin.notify.texts.formatting import shortened

EVENT: Final = "event"
_FIELD: Final = re.compile(r'\b(?:body|event|headers)(?:\.(?:\w+|"[^"]+"))+')
_MAX_FIELDS: Final = 6
"""The parameter of the URL that says what happened, where the help desk's body doesn't."""

MAX_QUERY_FIELDS: Final = 100
MAX_VIOLATIONS: Final = 50

MAX_PING_BYTES: Final = 4096
"""Strangers make us read so much and no more."""

ROLES: Final = ("admin", "technician", "customer", "system")

NO_SUBJECT: Final = "–"
_SUBJECT_CHARACTERS = 120


class Options(NamedTuple):
    """What the source says besides its kind. `account`: who speaks, empty for the default one; `language`: of
    people whose language the help desk doesn't tell; `audiences`: who is told, empty for everybody."""

    account: str = ""
    language: str = ""
    audiences: tuple[str, ...] = ()


PLAIN: Final = Options()


class Wanted(NamedTuple):
    """A person whose phone only a second request tells. `place`: `customer`, or the number of a
    technician."""

    place: str | int
    id: str


class Translation(NamedTuple):
    """`entry`: the event for the bus; None where nobody is told of the change, and `ignored` says why.
    `repairs`: what of it was cut or dropped, by path. `wanted`: whose phone is to be asked for."""

    entry: Entry | None
    ignored: str = ""
    repairs: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    def with_phones(self, phones: Mapping[str, str]) -> Translation:
        """With the phones that were asked for, by the person's id in the help desk."""
        if self.entry is None or not phones:
            return self
        detail = dict(self.entry.detail)
        for one in self.wanted:
            phone = phones.get(one.id)
            if not phone:
                continue
            if isinstance(one.place, int):
                people = list(detail["technicians"])
                people[one.place] = {**people[one.place], "phone": phone}
                detail["technicians"] = people
            else:
                detail[one.place] = {**detail[one.place], "phone": phone}
        return self._replace(entry=Entry(self.entry.detail_type, detail))


class Refusal(NamedTuple):
    """No ticket event can be made of the request. `violations`: each with its path; they quote nothing."""

    violations: tuple[str, ...]
    ticket: str = ""


def greeting(
    kind: Kind,
    secrets: Sequence[str],
    method: str,
    headers: Mapping[str, str],
    raw_body: bytes,
    raw_query: str,
) -> Answer | None:
    """The answer to a request that is no event and bears no signature: a challenge, a ping. None for
    others."""
    if kind.challenge is not None and method == "GET":
        token = _query(raw_query).get(kind.challenge.query, "")
        return _challenged(kind.challenge, secrets, token) if token else None
    if kind.ping and 0 < len(raw_body) <= MAX_PING_BYTES:
        try:
            body = read_body(raw_body, headers.get("content-type", ""))
        except Unreadable:
            return None
        if holds(kind.ping, {"body": body, "headers": dict(headers), "query": {}}):
            return Answer(200, "ok", TEXT)
    return None


def translate(
    kind: Kind,
    headers: Mapping[str, str],
    raw_body: bytes,
    raw_query: str,
    now: float,
    options: Options = PLAIN,
) -> Translation | Answer | Refusal:
    """Make a ticket event of a request. `headers`: names in lower case; `now`: seconds."""
    query = _query(raw_query)
    try:
        body = read_body(raw_body, headers.get("content-type", ""))
    except Unreadable as error:
        return Refusal((str(error),))
    document = {"body": body, "headers": dict(headers), "query": query, "now": int(now)}
    return translate_document(kind, document, raw_body, options)


def translate_document(
    kind: Kind, document: Mapping[str, Any], raw: bytes, options: Options
) -> Translation | Answer | Refusal:
    """The same for what was parsed: `body`, `headers`, `query`; of an event on the bus, `event`. `raw`: the
    bytes that tell one change from another."""
    if kind.ping and holds(kind.ping, document):
        return Answer(200, "ok", TEXT)
    change = _change(kind, document)
    if isinstance(change, Translation | Refusal):
        return change
    detail, wanted = _detail(kind, document, raw, change)
    fitting = Fitting()
    fitted = fitting.fit(detail)
    _subject(fitted, fitting)
    violations = [one for one in fitting.violations if one != "detail.ticket.subject: is missing"]
    ticket = fitted.get("ticket", {}).get("id", "")
    if violations:
        return Refusal(tuple(violations[:MAX_VIOLATIONS]), ticket)
    told, wanted = _as_the_source_wants(fitted, wanted, options)
    return Translation(Entry(CHANGES[change], told), repairs=tuple(fitting.repairs), wanted=tuple(wanted))


# -- before the signature ----------------------------------------------------------------------------------


def _challenged(challenge: Challenge, secrets: Sequence[str], token: str) -> Answer | None:
    """GLPI proves first that it knows the secret, so strangers learn no hash of anything, nor that this is a
    source."""
    answer = None
    for secret in secrets:
        proof = digest(challenge.algorithm, secret.encode(), challenge.text.encode()).hex()
        if same(proof, token) and secret:
            answer = digest(challenge.algorithm, secret.encode(), token.encode()).hex()
    return None if answer is None else Answer(200, answer, TEXT)


def _query(raw_query: str) -> dict[str, str]:
    """The URL's parameters; the first one of each name counts."""
    try:
        fields = parse_qsl(
            raw_query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="replace"
        )
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in fields:
        found.setdefault(name, cleaned(value))
    return found


# -- what happened -----------------------------------------------------------------------------------------


def _change(kind: Kind, document: Mapping[str, Any]) -> str | Translation | Refusal:
    """What happened, as a word of `CHANGES`. What the URL says counts more than what the rest lets guess."""
    told = str(document.get("query", {}).get(EVENT, "")).strip().lower()
    told = {event.lower(): word for word, event in CHANGES.items()}.get(told, told)
    if told and told not in CHANGES:
        return Refusal((f"query.{EVENT}: is none of {', '.join(CHANGES)}",))
    for reason in kind.ignored:
        if holds(reason.when, document):
            return Translation(None, ignored=reason.what)
    guessed = (change.what for change in kind.changes if holds(change.when, document))
    word = told or next(guessed, "")
    if not word:
        return Refusal((_no_change(kind, document),))
    # An answer is told as one only where the operator wants that.
    return "updated" if word == "replied" and kind.replies == "off" else word


def _no_change(kind: Kind, document: Mapping[str, Any]) -> str:
    """What a request lacks, and where that can be read. An event of a bus has no URL to say it in."""
    fields = dict.fromkeys(_FIELD.findall(" ".join(change.when for change in kind.changes)))
    read = f"; its rules look at {', '.join(list(fields)[:_MAX_FIELDS])}" if fields else ""
    file = f": tocsin sources kinds {kind.name}" if kind.name in names() else ""
    url = "" if "event" in document else f"; or let the URL say it, such as ?{EVENT}=created"
    return f"change: no rule of the kind says what happened{read}{file}{url}"


# -- the event ---------------------------------------------------------------------------------------------


def _detail(
    kind: Kind, document: Mapping[str, Any], raw: bytes, change: str
) -> tuple[dict[str, Any], list[Wanted]]:
    ticket = section_of(kind.ticket, document)
    extra = section_of(kind.extra, document)
    if extra:
        ticket["extra"] = extra
    ticket["revision"] = revision_of(kind, document, raw)
    wanted: list[Wanted] = []
    detail: dict[str, Any] = {"ticket": ticket}
    customers = all_of(kind.customer, document, at_most=1)
    if customers:
        detail["customer"] = _person(customers[0], "customer", wanted)
    technicians = all_of(kind.technicians, document)
    if technicians:
        detail["technicians"] = [_person(one, number, wanted) for number, one in enumerate(technicians)]
    groups = value_of(kind.groups, document, "any")
    if groups:
        detail["groups"] = groups if isinstance(groups, list) else [groups]
    for name, section in (("created_by", kind.created_by), ("changed_by", kind.changed_by)):
        who = section_of(section, document)
        if who:
            detail[name] = _with_role(who, detail)
    if change == "replied":
        reply = section_of(kind.reply, document)
        detail["reply"] = reply if kind.replies == "text" else {**reply, "text": None}
    return detail, wanted


def _person(told: dict[str, Any], place: str | int, wanted: list[Wanted]) -> dict[str, Any]:
    identity = told.pop("lookup", None)
    if identity and not told.get("phone"):
        wanted.append(Wanted(place, str(identity)))
    return told


def _with_role(who: dict[str, Any], detail: Mapping[str, Any]) -> dict[str, Any]:
    """Who it is, if the help desk doesn't say: a technician of the ticket, its customer, or somebody else."""
    role = str(who.get("role", "")).lower()
    if role in ROLES:
        return {**who, "role": role}
    identity = who.get("id")
    if identity and any(one.get("id") == identity for one in detail.get("technicians", ())):
        return {**who, "role": "technician"}
    if identity and detail.get("customer", {}).get("id") == identity:
        return {**who, "role": "customer"}
    return {**who, "role": "admin"}


def _subject(fitted: dict[str, Any], fitting: Fitting) -> None:
    ticket = fitted.get("ticket")
    if not isinstance(ticket, dict) or ticket.get("subject"):
        return
    lines = str(ticket.get("description", "")).strip().split("\n")
    ticket["subject"] = shortened(lines[0].strip(), _SUBJECT_CHARACTERS) or NO_SUBJECT
    fitting.repairs.append("detail.ticket.subject: is missing; the description's beginning stands for it")


def _as_the_source_wants(
    detail: dict[str, Any], wanted: list[Wanted], options: Options
) -> tuple[dict[str, Any], list[Wanted]]:
    """With the source's account and language, and only those whom it may reach."""
    told = dict(detail)
    if options.account:
        told["account"] = options.account
    if options.audiences:
        for audience, name in (("customer", "customer"), ("technician", "technicians"), ("group", "groups")):
            if audience not in options.audiences:
                told.pop(name, None)
    if options.language:
        people = [told["customer"]] if "customer" in told else []
        spoken = [{"language": options.language, **one} for one in people]
        if spoken:
            told["customer"] = spoken[0]
        if "technicians" in told:
            told["technicians"] = [{"language": options.language, **one} for one in told["technicians"]]
    return told, [one for one in wanted if _is_told(one, told)]


def _is_told(one: Wanted, detail: Mapping[str, Any]) -> bool:
    if isinstance(one.place, int):
        return one.place < len(detail.get("technicians", ()))
    return one.place in detail
