"""`tocsin explain` of a phone number tells the last notifications, and of an event what became of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_cloud import ACCOUNT
from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tocsin.notify.notification import Notification
from tocsin_console.arrived import Arrived
from tocsin_console.errors import NotFound
from tocsin_console.explain import explain
from tocsin_console.lately import last_of

BUDI = "6281311112222"
EVENT = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"


class Logs:
    """The planner's log. `lines`: what it holds, `asked`: how it was asked."""

    def __init__(self, *lines: Any) -> None:
        self.lines = lines
        self.asked: list[dict[str, Any]] = []

    def filter_log_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        events = [{"timestamp": NOW * 1000, "message": json.dumps(line)} for line in self.lines]
        return {"events": events}


def explained(fake: FakeDeployment, wanted: str, said: Said, logs: Any = None) -> None:
    client = fake.deployment.client
    found = logs or Logs()
    vars(fake.deployment)["client"] = lambda service: found if service == "logs" else client(service)
    explain(fake.deployment, wanted, output=said.output, clock=lambda: NOW)


def sent(fake: FakeDeployment, recipient: str = SITI) -> Notification:
    one = fake.planned(recipient)
    fake.deployment.stores.notifications.mark_sent(
        one.id, {}, at=NOW * 1000 + 1000, account=ACCOUNT, receipt_deadline=NOW * 1000 + 60_000
    )
    return one


# -- a person ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["0812-3456-7890", "+62 812 3456 7890", "6281234567890@s.whatsapp.net"])
def test_the_last_to_a_number_are_told_in_whatever_way_it_is_written(
    fake: FakeDeployment, said: Said, written: str
) -> None:
    theirs, other = sent(fake), sent(fake, BUDI)
    explained(fake, written, said)
    assert any(line.endswith(theirs.id) and "sent" in line for line in said.lines)
    assert other.id not in said.text
    assert SITI not in said.text


def test_what_waits_and_what_failed_is_among_them(fake: FakeDeployment, told: Said) -> None:
    waits, failed = fake.planned(), fake.failed()
    fake.deployment.stores.parking.park(waits, "account-unavailable", NOW * 1000)
    explained(fake, "0812-3456-7890", told)
    assert {record["notification"]: record["state"] for record in told.records} == {
        waits.id: "waiting",
        failed.id: "failed",
    }


def test_somebody_to_whom_nothing_went_is_an_error_that_says_where_to_look(
    fake: FakeDeployment, said: Said
) -> None:
    sent(fake)
    with pytest.raises(NotFound, match="tocsin people show"):
        explained(fake, "0813-1111-2222", said)


def test_a_ticket_whose_id_is_a_number_goes_first(fake: FakeDeployment, said: Said) -> None:
    sent(fake)
    with pytest.raises(NotFound):
        explained(fake, "TCK-77", said)
    explained(fake, "TCK-1", said)
    assert "ticket        TCK-1" in said.text


def test_no_more_is_looked_through_than_the_bound(fake: FakeDeployment) -> None:
    for _ in range(5):
        sent(fake, BUDI)
    lately = last_of(fake.deployment, {SITI}, most=0)
    assert (lately.looked_at, lately.all_seen) == (0, False)
    assert last_of(fake.deployment, {SITI}).all_seen


# -- an event ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "names nobody with a phone"),
        ({"untold": "desk: no rule"}, "mapping drops it (desk: no rule)"),
        ({"repeated": ["a" * 18]}, "must count the revision up"),
        ({"unreachable": ["b" * 18]}, "no usable phone or group of 1 recipient ("),
        ({"violations": ["detail: is missing"]}, "was refused: detail: is missing"),
        ({"notifications": ["c" * 18]}, f"planned 1 notification: {'c' * 18}"),
    ],
)
def test_what_became_of_an_event_is_said_with_the_reason(facts: dict[str, Any], words: str) -> None:
    assert words in Arrived(0, facts).conclusion


def test_an_event_is_found_by_its_id_among_those_of_its_batch(fake: FakeDeployment, said: Said) -> None:
    batch = {"events": [{"event": "another", "ticket_id": "TCK-8"}, {"event": EVENT, "ticket_id": "TCK-9"}]}
    logs = Logs(batch, "no object", {"message": "something else"})
    explained(fake, EVENT, said, logs)
    [line] = said.lines
    assert line.startswith(f"2026-11-18 11:06:40 UTC  event {EVENT} (ticket TCK-9) told nobody")
    assert logs.asked[0]["filterPattern"] == f'"{EVENT}"'
    assert logs.asked[0]["logGroupName"] == f"/tocsin/{fake.stack}/plan_notifications"


def test_an_event_that_told_nobody_is_found_by_its_ticket(fake: FakeDeployment, told: Said) -> None:
    logs = Logs({"event": EVENT, "event_type": "TicketCreated", "ticket_id": "TCK-9", "untold": "desk: x"})
    explained(fake, "TCK-9", told, logs)
    assert told.records[0]["at"] == "2026-11-18T11:06:40.000Z"
    assert told.records[0]["notifications"] == []


def test_beside_what_a_ticket_told_stands_which_event_about_it_told_nobody(
    fake: FakeDeployment, said: Said
) -> None:
    sent(fake)
    told = {"event": "e-1", "ticket_id": "TCK-1", "notifications": ["a" * 18]}
    again = {"event": "e-2", "ticket_id": "TCK-1", "repeated": ["a" * 18]}
    explained(fake, "TCK-1", said, Logs({"events": [told, again]}))
    assert "ticket        TCK-1" in said.text
    assert "event e-2 (ticket TCK-1) told nobody anew" in said.lines[-1]
    assert "event e-1" not in said.text


def test_what_nothing_is_known_of_may_have_a_source_or_type_that_nobody_hears(
    fake: FakeDeployment, said: Said
) -> None:
    with pytest.raises(NotFound, match=r"source 'ticketing', and as one of TicketCreated"):
        explained(fake, "TCK-77", said)


def test_a_refused_event_is_found_by_its_id(fake: FakeDeployment, said: Said) -> None:
    fake.refuse({"id": EVENT, "detail-type": "TicketCreated", "detail": {"ticket": {"id": "TCK-7"}}})
    explained(fake, EVENT, said)
    assert f"event {EVENT} (TicketCreated) told nobody: invalid-event" in said.text


@pytest.mark.parametrize("wanted", ['a"b', "a\\b", "x" * 201])
def test_what_would_be_another_question_to_the_log_is_not_asked(
    fake: FakeDeployment, said: Said, wanted: str
) -> None:
    logs = Logs({"event": wanted})
    with pytest.raises(NotFound):
        explained(fake, wanted, said, logs)
    assert logs.asked == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_log_that_cannot_be_read_is_said(fake: FakeDeployment, said: Said, code: str) -> None:
    class Shut:
        def filter_log_events(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "FilterLogEvents")

    with pytest.raises(NotFound):
        explained(fake, EVENT, said, Shut())
    assert "the planner's log" in said.text
