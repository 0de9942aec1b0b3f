"""Events of others on the bus, and refused webhooks that are redriven: translated, planned, or refused
again."""

from __future__ import annotations

import json
from typing import Any

from tests.support.desks import changed, recorded
from tocsin.door.desks.foreign import NOT_TRANSLATED, ForeignEvents
from tocsin.door.desks.kept import REASON, kept
from tocsin.door.sources import Source
from tocsin.notify import outcomes
from tocsin.notify.events.foreign import Untold, Untranslatable, is_foreign
from tocsin.notify.events.samples import sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.people.numbers import normalise_phone

PAGERS = json.dumps(
    {
        "kind": "pagers",
        "ignore": [{"when": "body.event_type == 'incident.annotated'", "because": "an annotation"}],
        "change": [
            {"when": "event.\"detail-type\" == 'incident.triggered'", "is": "created"},
            {"when": "event.\"detail-type\" == 'incident.resolved'", "is": "resolved"},
        ],
        "revision": [{"number": "body.sequence"}],
        "ticket": {"id": "body.number", "subject": "body.title", "status": "body.status"},
        "technicians": {"each": "body.on_call", "id": "id", "name": "name", "phone": "phone"},
        "groups": {"default": ["120363000000000000@g.us"]},
    }
)
SOURCES = {
    "pagers": Source("pagers", "bus", ("billing",), language="en", mapping=PAGERS),
    "asleep": Source("asleep", "bus", ("default",), mapping=PAGERS, paused=True),
    "broken": Source("broken", "bus", ("default",), mapping="{}"),
    "narrow": Source("narrow", "bus", ("default",), mapping=PAGERS, recipients=("+1",)),
    "zammad": Source("zammad", "zammad", ("default",)),
}
FOREIGN = ForeignEvents(SOURCES.get, lambda phone: normalise_phone(phone, "ID"))


def handed_on(source: str = "pagers", kind: str = "incident.triggered", **detail: Any) -> str:
    told = {
        "number": 7,
        "title": "Link down",
        "status": "triggered",
        "sequence": 1,
        "on_call": [{"id": "P1", "name": "Budi", "phone": "+62 813 1111 2222"}],
        **detail,
    }
    event = {
        "version": "0",
        "id": "5f0e",
        "detail-type": kind,
        "source": "aws.partner/pagers.example/main",
        "time": "2026-12-01T02:00:00Z",
        "detail": told,
    }
    return json.dumps({"tocsin-source": source, "event": event})


def refused(body: str) -> Untranslatable:
    result = FOREIGN(body)
    assert isinstance(result, Untranslatable)
    return result


def test_a_partners_event_becomes_a_ticket_event() -> None:
    result = FOREIGN(handed_on())
    assert isinstance(result, str)
    event = parse_event(result, default_region="ID", accounts=["billing"])
    assert (event.event_id, event.event_type, event.account) == ("5f0e", "TicketCreated", "billing")
    assert (event.ticket.id, event.ticket.subject, event.ticket.revision) == ("7", "Link down", 1)
    assert [person.phone for person in event.technicians] == ["6281311112222"]
    assert event.groups == ("120363000000000000@g.us",)
    assert event.event_at == 1_796_090_400_000
    assert event.source == "pagers"


def test_the_same_event_twice_has_one_revision_and_another_one_has_another() -> None:
    once, again = FOREIGN(handed_on(sequence=None)), FOREIGN(handed_on(sequence=None))
    other = FOREIGN(handed_on(sequence=None).replace("5f0e", "5f0f"))
    assert once == again
    assert json.loads(str(once))["detail"] != json.loads(str(other))["detail"]


def test_what_the_mapping_keeps_from_people_is_told_to_nobody() -> None:
    assert FOREIGN(handed_on(event_type="incident.annotated")) == Untold("pagers", "an annotation")


def test_an_outcome_of_tocsin_s_own_is_told_to_nobody_whatever_the_pattern_hears() -> None:
    body = json.loads(handed_on())
    body["event"]["source"] = outcomes.SOURCE
    assert FOREIGN(json.dumps(body)) == Untold("pagers", "an outcome of Tocsin's own")


def test_an_event_that_no_rule_knows_is_refused() -> None:
    assert refused(handed_on(kind="incident.exploded")) == Untranslatable(
        ('change: no rule of the kind says what happened; its rules look at event."detail-type"',),
        NOT_TRANSLATED,
    )


def test_an_event_of_a_source_that_is_gone_paused_or_damaged_is_refused() -> None:
    assert "there is none" in refused(handed_on("gone")).violations[0]
    assert "is paused" in refused(handed_on("asleep")).violations[0]
    assert refused(handed_on("broken")).violations[0].startswith("file: ")


def test_a_source_tells_only_those_whom_it_may_reach() -> None:
    result = FOREIGN(handed_on("narrow"))
    assert isinstance(result, str)
    assert json.loads(result)["detail"]["technicians"] == []


def test_a_detail_that_is_no_object_is_refused() -> None:
    body = json.loads(handed_on())
    body["event"]["detail"] = "text"
    assert refused(json.dumps(body)).violations == ("detail.ticket.id: is missing",)


def test_a_ticket_event_stays_what_it_is_whatever_is_written_in_it() -> None:
    ordinary = sample_body()
    assert not is_foreign(ordinary)
    written = sample_body(ticket={"id": "1", "revision": 1, "subject": 'x "tocsin-source" "WebhookRefused"'})
    assert FOREIGN(written) == written


# -- refused webhooks --------------------------------------------------------------------------------------


def letter(body: bytes, query: str = "", **headers: str) -> str:
    one = recorded()["zammad-created"]
    return kept("zammad", one.kind, {**one.headers, **headers}, body, query)


def test_a_refused_webhook_is_translated_again_when_it_is_redriven() -> None:
    result = FOREIGN(letter(recorded()["zammad-created"].body, "event=resolved"))
    assert isinstance(result, str)
    assert parse_event(result, default_region="ID", accounts=["default"]).event_type == "TicketResolved"


def test_it_is_refused_again_if_nothing_was_mended() -> None:
    result = refused(letter(changed(recorded()["zammad-created"], ticket__number=None, ticket__id=None)))
    assert result == Untranslatable(("detail.ticket.id: is missing",), REASON)


def test_a_letter_that_was_cut_is_not_translated() -> None:
    result = refused(letter(b'{"x": "' + b"y" * 400_000 + b'"}'))
    assert result.violations == ("webhook: only its beginning was kept",)


def test_a_letter_holds_no_secret() -> None:
    told = letter(
        b"{}",
        "event=created&token=s3cret&apikey=s3cret",
        authorization="Bearer s3cret",
        cookie="s3cret",
        **{"x-hub-signature": "s3cret", "x-forwarded-for": "192.0.2.1", "x-my-token": "s3cret"},
    )
    assert "s3cret" not in told
    assert "192.0.2.1" not in told
    assert json.loads(told)["detail"]["query"] == "event=created"
    assert json.loads(told)["detail"]["headers"]["x-zammad-delivery"]


def test_bytes_that_are_no_text_are_kept_as_they_are() -> None:
    detail = json.loads(letter(b"\xff\xfe"))["detail"]
    assert detail["body_base64"] == "//4="
