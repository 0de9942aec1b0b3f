"""A test notification goes by the way of all others, and its end is told in words an operator can act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from tests.support.fake_cloud import REGION
from tests.support.fake_deployment import ACCOUNT, NOW, SITI, FakeDeployment, Said, Script
from tests.support.notifications import a_notification
from tests.support.receipts import mark_receipt
from tocsin.notify.content import Attachment, File
from tocsin.notify.events.schema import parse_event
from tocsin.notify.notification import Problem, State
from tocsin_console import send
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, TimedOut, Usage
from tocsin_console.send import SampleTicket, send_test

TICKET = SampleTicket("0812-3456-7890", name="Siti")


@pytest.fixture
def heard(fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events that were put on the bus."""
    entries: list[dict[str, Any]] = []

    def put(deployment: object, detail_type: str, detail: dict[str, Any]) -> str:
        entries.append({"id": "e-1", "detail-type": detail_type, "detail": detail})
        return "e-1"

    monkeypatch.setattr(send, "put_event", put)
    return entries


class Way:
    """The notification's way behind the bus: planned as the event says, then whatever the test says."""

    def __init__(self, fake: FakeDeployment, heard: list[dict[str, Any]]) -> None:
        self._fake = fake
        self._heard = heard
        self.stores = fake.deployment.stores

    def plan(self) -> None:
        event = parse_event(
            json.dumps(self._heard[0]), default_region="ID", accounts=[ACCOUNT], attachments=True
        )
        identity = self.stores.ids.of(ACCOUNT, event.ticket.id, event.event_type, 1, "customer", SITI)
        self.notification = a_notification(
            id=identity,
            account=ACCOUNT,
            ticket_id=event.ticket.id,
            event_type=event.event_type,
            recipient=SITI,
            created_at=NOW * 1000,
            expires_at=(NOW + 86400) * 1000,
        )
        self.stores.notifications.put_new(self.notification)

    def sent(self) -> None:
        self.stores.notifications.mark_sent(self.notification.id, {}, at=NOW * 1000 + 900, account=ACCOUNT)

    def delivered(self) -> None:
        mark_receipt(self.stores.notifications, self.notification.id, State.DELIVERED, NOW * 1000 + 1500)

    def fails(self, code: str) -> None:
        self.stores.notifications.fail(self.notification.id, Problem(code, "permanent"), NOW * 1000)

    def parked(self) -> None:
        self.stores.parking.park(self.notification, "not-connected", NOW * 1000)

    def paused(self) -> None:
        self.stores.parking.park(self.notification, "paused", NOW * 1000)

    def suppressed(self) -> None:
        self.stores.notifications.suppress(
            self.notification.id, Problem("opted-out", "permanent"), NOW * 1000
        )


@pytest.fixture
def way(fake: FakeDeployment, heard: list[dict[str, Any]]) -> Way:
    return Way(fake, heard)


@pytest.fixture
def sending(fake: FakeDeployment) -> Callable[..., None]:
    def run(said: Said, *steps: Callable[[], object], ticket: SampleTicket = TICKET) -> None:
        script = Script(list(steps))
        send_test(
            fake.deployment,
            ticket,
            ACCOUNT,
            wait_seconds=20,
            output=said.output,
            sleep=script.sleep,
            clock=script.clock,
            wall_clock=lambda: fake.now,
        )

    return run


def test_each_state_is_told_until_it_arrived(sending: Callable[..., None], way: Way, told: Said) -> None:
    sending(told, way.plan, way.sent, way.delivered)
    assert [record["state"] for record in told.records] == ["event", "planned", "sent", "delivered"]
    assert told.records[0]["notification"] == way.notification.id
    assert SITI not in told.text


def test_people_read_the_times(sending: Callable[..., None], way: Way, said: Said) -> None:
    sending(said, way.plan, way.sent, way.delivered)
    assert "for 6281…90: notification" in said.lines[0]
    assert said.lines[-1] == "2026-11-18 11:06:41 UTC  delivered"


@pytest.mark.parametrize(
    ("ticket", "complaint"),
    [
        (SampleTicket("0812"), "--to: the number is no valid number of the region ID"),
        (SampleTicket("call me"), "--to: the number holds letters"),
        (SampleTicket(f"+{SITI}", subject=" "), "detail.ticket.subject"),
        (SampleTicket(f"+{SITI}", language="x-"), "detail.customer.language"),
    ],
)
def test_what_the_planner_would_refuse_is_refused_here(
    sending: Callable[..., None], heard: list[Any], said: Said, ticket: SampleTicket, complaint: str
) -> None:
    with pytest.raises(Usage, match=complaint):
        sending(said, ticket=ticket)
    assert heard == []


def test_a_number_that_isnt_on_whatsapp_is_called_so(
    sending: Callable[..., None], way: Way, said: Said
) -> None:
    with pytest.raises(ConsoleError, match="this number isn't on WhatsApp; see 'tocsin explain"):
        sending(said, way.plan, lambda: way.fails("not-on-whatsapp"))


def test_another_failure_bears_its_code(sending: Callable[..., None], way: Way, said: Said) -> None:
    with pytest.raises(ConsoleError, match="it failed: server-error"):
        sending(said, way.plan, lambda: way.fails("server-error"))


def test_somebody_who_opted_out_gets_nothing(sending: Callable[..., None], way: Way, said: Said) -> None:
    with pytest.raises(ConsoleError, match=r"6281…90 opted out .* own START reverses it"):
        sending(said, way.plan, way.suppressed)


def test_parked_says_why_and_what_goes_on(
    fake: FakeDeployment, sending: Callable[..., None], way: Way, said: Said
) -> None:
    fake.connector().says("logged_out")
    with pytest.raises(TimedOut) as caught:
        sending(said, way.plan, way.parked)
    assert "parked (not-connected): the account 'default' is logged_out" in str(caught.value)
    assert "It will be sent when the cause ends" in str(caught.value)
    assert "waiting  (not-connected)" in said.text


def test_what_a_pause_holds_is_not_waited_for(sending: Callable[..., None], way: Way, said: Said) -> None:
    steps = []
    with pytest.raises(TimedOut, match=r"it waits: sending is paused: tocsin resume$"):
        sending(said, way.plan, way.paused, *[lambda: steps.append(1)] * 3)
    assert steps == []


def test_a_dead_connector_is_named_where_it_keeps_the_notification_waiting(
    fake: FakeDeployment, sending: Callable[..., None], way: Way, said: Said
) -> None:
    fake.connector().says("connected")
    fake.now += 50
    dead = "the account 'default' is unreachable since 2026-11-18 11:06:40 UTC"
    with pytest.raises(TimedOut, match=dead):
        sending(said, way.plan, way.parked)


def test_neither_is_it_connected_where_nothing_was_tried_yet(
    fake: FakeDeployment, sending: Callable[..., None], way: Way, said: Said
) -> None:
    fake.connector().says("connected")
    fake.now += 50
    with pytest.raises(TimedOut, match="still planned after 20 s: the account 'default' is unreachable"):
        sending(said, way.plan)


def test_a_phone_that_is_off_isnt_our_failure(sending: Callable[..., None], way: Way, said: Said) -> None:
    with pytest.raises(TimedOut, match="is it online"):
        sending(said, way.plan, way.sent)


def test_nothing_planned_points_to_the_refused_events(
    sending: Callable[..., None], heard: list[Any], said: Said
) -> None:
    with pytest.raises(TimedOut, match="--queue events"):
        sending(said)


@pytest.fixture
def bus(fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    events = boto3.client("events", region_name=REGION)
    monkeypatch.setattr(Deployment, "client", lambda self, service: {"events": events}[service])
    return Stubber(events)


def test_the_event_goes_on_the_stacks_bus_from_its_source(fake: FakeDeployment, bus: Stubber) -> None:
    entry = {
        "EventBusName": f"{fake.stack}-tickets",
        "Source": "ticketing",
        "DetailType": "TicketCreated",
        "Detail": '{"ticket": {"id": "TCK-1"}}',
    }
    answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}
    bus.add_response("put_events", answer, {"Entries": [entry]})
    with bus:
        assert send.put_event(fake.deployment, "TicketCreated", {"ticket": {"id": "TCK-1"}}) == "e-1"


def test_an_event_that_the_bus_refuses_is_an_error(fake: FakeDeployment, bus: Stubber) -> None:
    refused = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "no"}
    bus.add_response("put_events", {"FailedEntryCount": 1, "Entries": [refused]})
    with bus, pytest.raises(ConsoleError, match="NotAuthorizedForSourceException"):
        send.put_event(fake.deployment, "TicketCreated", {})


# -- with a file -----------------------------------------------------------------------------------------


class Attached(Way):
    """The same, and behind it the file's."""

    def file_arrives(self) -> None:
        key = f"tocsin-cli/{self.notification.ticket_id}/plan.pdf"
        file = replace(
            self.notification,
            id=self.notification.sibling_id(key),
            content=File(Attachment(key, "plan.pdf", "application/pdf")),
        )
        self.stores.notifications.put_new(file)
        mark_receipt(self.stores.notifications, file.id, State.DELIVERED, NOW * 1000 + 3000)

    def plan(self) -> None:
        super().plan()
        assert self._heard[0]["detail"]["attachments"] == [
            {"key": f"tocsin-cli/{self.notification.ticket_id}/plan.pdf"}
        ]


@pytest.fixture
def bucket(fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """S3, with a bucket that the deployment names."""
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
        others = Deployment.client
        monkeypatch.setattr(
            Deployment,
            "client",
            lambda self, service: client if service == "s3" else others(self, service),
        )
        monkeypatch.setitem(fake.deployment.parameters, "AttachmentsBucket", "files")  # type: ignore[arg-type]
        yield client


def test_a_file_goes_along_and_both_are_followed(
    sending: Callable[..., None],
    fake: FakeDeployment,
    heard: list[dict[str, Any]],
    told: Said,
    bucket: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "plan.pdf").write_bytes(b"%PDF-1.7")
    way = Attached(fake, heard)
    ticket = replace(TICKET, file=tmp_path / "plan.pdf")
    sending(told, way.plan, way.delivered, way.file_arrives, ticket=ticket)
    assert [record["state"] for record in told.records][-1] == "delivered"
    assert told.records[-1]["notification"] != way.notification.id
    key = f"tocsin-cli/{way.notification.ticket_id}/plan.pdf"
    assert bucket.get_object(Bucket="files", Key=key)["Body"].read() == b"%PDF-1.7"


def test_a_file_needs_a_bucket_a_known_ending_and_to_be_there(
    sending: Callable[..., None], said: Said, bucket: Any, fake: FakeDeployment, tmp_path: Path
) -> None:
    with pytest.raises(Usage, match="its file name must end in one of"):
        sending(said, ticket=replace(TICKET, file=tmp_path / "plan.exe"))
    with pytest.raises(Usage, match=r"--attach: .*plan.pdf can't be read: No such file"):
        sending(said, ticket=replace(TICKET, file=tmp_path / "plan.pdf"))
    fake.deployment.parameters["AttachmentsBucket"] = ""  # type: ignore[index]
    with pytest.raises(Usage, match="name a bucket in the parameter AttachmentsBucket"):
        sending(said, ticket=replace(TICKET, file=tmp_path / "plan.pdf"))
