"""Foreign events at the planner: what their translation says is planned, refused or told to nobody."""

from __future__ import annotations

import json

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.sealed_texts import TEXTS
from tocsin.notify.config import PlanConfig
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.foreign import Translate, Untold, Untranslatable
from tocsin.notify.events.samples import sample_body
from tocsin.notify.planning import Planner
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, TicketEventsDeadQueue
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.template import Templates

FOREIGN = json.dumps({"tocsin-source": "pagers", "event": {"id": "1"}})
CONFIG = PlanConfig("notifications", "", "", "", "", ("default",), "ID", "id")


@pytest.fixture
def aws() -> MemoryAws:
    return MemoryAws()


def planner(aws: MemoryAws, translate: Translate) -> Planner:
    stores = Stores(aws.notifications_table, clock=lambda: 1_800_000_000, texts=TEXTS)
    return Planner(
        stores,
        NotificationsQueue(aws.sqs, aws.queues["notifications"]),
        TicketEventsDeadQueue(aws.sqs, aws.queues["ticket-events-dead"]),
        DeadLetters(stores, DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])),
        Templates(),
        CONFIG,
        translate=translate,
        clock=lambda: 1_800_000_000,
    )


def test_what_it_is_translated_to_is_planned(aws: MemoryAws) -> None:
    planned = planner(aws, lambda body: sample_body()).handle(FOREIGN)
    assert (planned.event_type, len(planned.new)) == ("TicketCreated", 4)


def test_what_cannot_be_translated_is_kept_as_it_came(aws: MemoryAws) -> None:
    refused = planner(aws, lambda body: Untranslatable(("x: y",), "not-translated")).handle(FOREIGN)
    assert refused.violations == ("x: y",)
    (letter,) = aws.messages("ticket-events-dead")
    assert (letter["event"], letter["violations"], letter["reason"]) == (FOREIGN, ["x: y"], "not-translated")


def test_a_translation_that_breaks_the_schema_is_refused_and_the_original_kept(aws: MemoryAws) -> None:
    refused = planner(aws, lambda body: sample_body(ticket={"id": ""})).handle(FOREIGN)
    assert refused.refused
    (letter,) = aws.messages("ticket-events-dead")
    assert letter["event"] == FOREIGN


def test_what_is_dropped_or_refused_is_found_by_the_id_of_its_event(aws: MemoryAws) -> None:
    dropped = planner(aws, lambda body: Untold("pagers", "an annotation")).handle(FOREIGN)
    refused = planner(aws, lambda body: Untranslatable(("x: y",), "not-translated")).handle(FOREIGN)
    assert (dropped.event_id, refused.event_id) == ("1", "1")


def test_what_nobody_is_told_of_is_no_warning(aws: MemoryAws) -> None:
    planned = planner(aws, lambda body: Untold("pagers", "an annotation")).handle(FOREIGN)
    assert planned.untold == "pagers: an annotation"
    assert not planned.has_no_recipients
    assert aws.messages("ticket-events-dead") == []


def test_a_ticket_event_is_not_translated(aws: MemoryAws) -> None:
    def never(body: str) -> str:
        raise AssertionError(body)

    assert planner(aws, never).handle(sample_body()).new
