"""The rule of a source of kind bus on an emulated EventBridge: what it hands to the planner's queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.session import Session

from tests.support.desks_on_bus import MAPPING, PATTERN, an_event
from tocsin.door.desks.foreign import ForeignEvents
from tocsin.door.sources import Source
from tocsin.notify.events.schema import parse_event
from tocsin.people.numbers import normalise_phone
from tocsin_console.bus_rules import make_rule, remove_rule, switch_rule
from tocsin_console.deployment import Deployment
from tocsin_local.emulator import ROOT_USER, Emulator

pytestmark = pytest.mark.integration

BUS = "partner"


class Scene:
    """A deployment of nothing but its queues, a partner's bus, and the source's rule on it."""

    def __init__(self, aws: Emulator) -> None:
        session = Session()
        session.set_config_variable("region", aws.client("sqs").meta.region_name)
        session.set_credentials(ROOT_USER["AWS_ACCESS_KEY_ID"], ROOT_USER["AWS_SECRET_ACCESS_KEY"])
        self.sqs, self.events = aws.client("sqs"), aws.client("events")
        urls = {
            f"{name}QueueUrl": self.sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("TicketEvents", "TicketEventsDead")
        }
        self.events.create_event_bus(Name=BUS)
        self.deployment = Deployment(
            "tocsin", {"EventBusName": BUS, "EventSource": "ticketing", **urls}, session, aws.url
        )
        self.queue = urls["TicketEventsQueueUrl"]

    def put(self, event: dict[str, Any]) -> None:
        answer = self.events.put_events(
            Entries=[
                {
                    "EventBusName": BUS,
                    "Source": event["source"],
                    "DetailType": event["detail-type"],
                    "Detail": json.dumps(event["detail"]),
                }
            ]
        )
        assert answer["FailedEntryCount"] == 0

    def received(self) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]


def test_what_a_rule_hands_on_is_translated_and_planned(
    aws: Emulator, eventually: Callable[..., Any]
) -> None:
    scene = Scene(aws)
    make_rule(scene.deployment, "shop", json.dumps(PATTERN))
    scene.put(an_event(what='Modem "late" \\ and\nlater'))
    (body,) = eventually(scene.received, "the event in the planner's queue")
    source = Source("shop", "bus", ("default",), mapping=json.dumps(MAPPING))
    told = ForeignEvents({"shop": source}.get, lambda phone: normalise_phone(phone, "ID"))(body)
    assert isinstance(told, str), told
    event = parse_event(told, default_region="ID", accounts=["default"])
    assert (event.event_type, event.ticket.id) == ("TicketCreated", "7")
    assert event.ticket.subject == 'Modem "late" \\ and later'
    assert event.event_id

    switch_rule(scene.deployment, "shop", on=False)
    scene.put(an_event(what="nobody hears it"))
    switch_rule(scene.deployment, "shop", on=True)
    scene.put(an_event(what="heard again"))
    (body,) = eventually(scene.received, "the event after the pause")
    assert "heard again" in body

    remove_rule(scene.deployment, "shop")
    remove_rule(scene.deployment, "shop")
    assert scene.events.list_rules(EventBusName=BUS)["Rules"] == []
