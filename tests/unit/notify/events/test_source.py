"""Whose event it is: the source that brought it, else what its system calls itself on the bus."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.notifications import a_notification
from tocsin.notify.events.envelope import marked, named_in, source_of
from tocsin.notify.events.samples import FULL, sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.notification import request_name


@pytest.mark.parametrize(
    ("envelope", "source"),
    [
        ({"source": "ticketing"}, "ticketing"),
        ({"source": "ticketing", "resources": []}, "ticketing"),
        ({"source": "ticketing", "resources": ["arn:aws:x", marked("zammad")]}, "zammad"),
        ({"resources": [marked("zammad")]}, "zammad"),
        ({"source": "x" * 300}, "x" * 64),
        ({"source": "ring\x07"}, None),
        ({"source": 7, "resources": 7}, None),
        ({"resources": [7, None]}, None),
        ({}, None),
    ],
)
def test_an_envelope_tells_whose_event_it_is(envelope: dict[str, Any], source: str | None) -> None:
    assert source_of(envelope) == source


def test_a_ticket_event_knows_it() -> None:
    body = json.loads(sample_body("TicketCreated", dict(FULL))) | {"source": "helpdesk"}
    assert parse_event(json.dumps(body), default_region="ID", accounts=["default"]).source == "helpdesk"


def test_a_mark_that_somebody_else_set_changes_nothing_but_the_name() -> None:
    body = json.loads(sample_body("TicketCreated", dict(FULL))) | {"source": "helpdesk"}
    forged = body | {"resources": [marked("zammad")]}
    own, other = (
        parse_event(json.dumps(one), default_region="ID", accounts=["default"]) for one in (body, forged)
    )
    assert (own.source, other.source) == ("helpdesk", "zammad")
    assert replace(other, source="helpdesk") == own


def test_a_notification_of_a_request_came_from_whoever_asked() -> None:
    one = replace(a_notification(), source="ticketing")
    assert one.came_from == "ticketing"
    assert replace(one, ticket_id=request_name("tool", "k1")).came_from == "tool"
    assert replace(one, ticket_id=request_name("", "k1")).came_from == "ticketing"
    assert replace(one, source=None).came_from == ""


BODY = {"id": "e-1", "detail-type": "TicketUpdated", "detail": {"ticket": {"id": "TCK-7"}}}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (BODY, ("e-1", "TicketUpdated", "TCK-7")),
        ({"tocsin-source": "pagers", "event": BODY}, ("e-1", "TicketUpdated", "TCK-7")),
        ({"id": 7, "detail-type": None, "detail": {"ticket": "x"}}, ("", "", "")),
        ({"id": "e" * 9000, "detail": []}, ("e" * 128, "", "")),
    ],
)
def test_an_event_that_is_not_planned_is_named_as_far_as_it_can_be(
    body: dict[str, Any], named: tuple[str, str, str]
) -> None:
    assert named_in(json.dumps(body)) == named


def test_what_is_no_event_has_no_name() -> None:
    assert named_in("hello") == ("", "", "")
