"""An event is planned whole or not at all, and twice is as good as once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Key, Put, Update
from tocsin.notify.config import PlanConfig
from tocsin.notify.content import File
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.samples import FULL, sample_body
from tocsin.notify.notification import Notification, Problem, State, guessable_id
from tocsin.notify.planning import Planned, Planner
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, TicketEventsDeadQueue
from tocsin.notify.store.ids import Ids
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.table import RETENTION_DAYS
from tocsin.notify.texts.template import Templates

NOW = 1_800_000_000
CUSTOMER = "6281234567890"
CONFIG = PlanConfig(
    notifications_table="notifications",
    texts_secret_arn="",
    notifications_queue_url="",
    ticket_events_dead_queue_url="",
    dead_letters_queue_url="",
    accounts=("default",),
    default_region="ID",
    default_language="id",
)


class Scene:
    """A planner, and what it wrote and enqueued."""

    def __init__(
        self, aws: MemoryAws, *texts: Path, sqs: Any = None, clock: Callable[[], float] = lambda: NOW
    ) -> None:
        self.aws = aws
        self.stores = Stores(aws.notifications_table, clock=clock, texts=TEXTS)
        self.planner = Planner(
            self.stores,
            NotificationsQueue(sqs or aws.sqs, aws.queues["notifications"]),
            TicketEventsDeadQueue(aws.sqs, aws.queues["ticket-events-dead"]),
            DeadLetters(self.stores, DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])),
            Templates(*texts),
            CONFIG,
            clock=clock,
        )

    def written(self) -> int:
        """How many notifications."""
        kept = everything_in(self.aws.notifications_table)
        return sum(item["pk"].startswith("notification#") for item in kept)

    def orders(self) -> list[str]:
        return [order["notification"] for order in self.aws.messages("notifications")]

    def lost(self, planned: Planned) -> Notification:
        """The one that could not be told, as stored."""
        (found,) = planned.unreachable
        stored = self.stores.notifications.get(found)
        assert stored is not None
        return stored


@pytest.fixture
def aws() -> MemoryAws:
    return MemoryAws()


@pytest.fixture
def scene(aws: MemoryAws) -> Scene:
    return Scene(aws)


def test_an_event_becomes_one_notification_for_each_it_concerns(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body())
    assert (len(planned.new), planned.ticket_id) == (4, "TCK-1042")
    assert scene.orders() == list(planned.new)


def test_a_notification_knows_all_that_its_sending_needs(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body())
    stored = scene.stores.notifications.get(planned.new[0])
    assert stored is not None
    assert stored.id == scene.stores.ids.of("default", "TCK-1042", "TicketCreated", 1, "customer", CUSTOMER)
    assert (stored.recipient, stored.recipient_name, stored.language) == (CUSTOMER, "Siti", "id")
    assert stored.text.startswith("Halo Siti,")
    assert (stored.created_at, stored.expires_at) == (NOW * 1000, (NOW + 86_400) * 1000)
    assert stored.state is State.PLANNED


def test_a_notification_remembers_its_event(scene: Scene) -> None:
    event = json.loads(sample_body()) | {"id": "e-17", "time": "2026-11-22T02:00:00Z"}
    planned = scene.planner.handle(json.dumps(event))
    stored = scene.stores.notifications.get(planned.new[0])
    assert stored is not None
    assert (stored.event_id, stored.event_at) == ("e-17", 1_795_312_800_000)


def test_a_doubled_event_makes_nothing_new(scene: Scene) -> None:
    first = scene.planner.handle(sample_body())
    scene.orders()
    second = scene.planner.handle(sample_body())
    assert (second.new, second.repeated) == ((), first.new)
    assert scene.written() == 4


def test_an_event_that_two_runs_have_at_the_same_time_is_planned_once(scene: Scene) -> None:
    """It came back from the queue while it was still being planned."""
    meeting, put = Barrier(2), scene.aws.notifications_table.put

    def met(one: Put) -> None:
        meeting.wait(60)
        put(one)

    scene.aws.notifications_table.put = met  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(scene.planner.handle, [sample_body()] * 2)
    assert len(first.new) + len(second.new) == scene.written() == 4
    assert sorted(scene.orders()) == sorted([*first.new, *second.new])


def test_a_doubled_event_does_not_repeat_what_is_on_its_way(scene: Scene) -> None:
    first = scene.planner.handle(sample_body())
    scene.orders()
    sent, waiting, failed, planned = first.new
    scene.stores.notifications.mark_sent(sent, {}, at=1, account="default")
    parked = scene.stores.notifications.get(waiting)
    assert parked is not None
    scene.stores.parking.park(parked, "away", 1)
    scene.stores.notifications.fail(failed, Problem("gone", "permanent"), 1)
    scene.stores.parking.requeue(planned)  # another generation: SQS wouldn't fold it
    scene.planner.handle(sample_body())
    assert scene.orders() == [planned]


def test_a_crash_between_writing_and_enqueuing_heals_itself(aws: MemoryAws) -> None:
    class Down:
        def send_message_batch(self, **_: Any) -> Any:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        Scene(aws, sqs=Down()).planner.handle(sample_body())
    healed = Scene(aws)
    assert healed.written() == 4
    planned = healed.planner.handle(sample_body())
    assert healed.orders() == list(planned.repeated)


def test_another_revision_is_told_anew(scene: Scene) -> None:
    scene.planner.handle(sample_body("TicketUpdated"))
    planned = scene.planner.handle(sample_body("TicketUpdated", ticket={**FULL["ticket"], "revision": 2}))
    assert len(planned.new) == 4


def test_an_invalid_event_is_put_aside_with_every_violation_and_tells_nobody(scene: Scene) -> None:
    body = sample_body(technicians=[{"id": 3}, {"phone": "+62 813 1111 2222"}], account="nobody")
    planned = scene.planner.handle(body)
    assert planned.refused
    assert (scene.written(), scene.orders()) == (0, [])
    (letter,) = scene.aws.messages("ticket-events-dead")
    assert letter["violations"] == list(planned.violations)
    assert len(letter["violations"]) == 2
    assert json.loads(letter["event"]) == json.loads(body)


DEEP = [sample_body(customer="deep").replace('"deep"', "[" * n + "]" * n) for n in (900, 940, 5000)]


@pytest.mark.parametrize("body", ["", "not JSON", "[]", "\ud800", *DEEP])
def test_whatever_is_no_event_is_put_aside_as_well(scene: Scene, body: str) -> None:
    assert scene.planner.handle(body).refused
    assert len(scene.aws.messages("ticket-events-dead")) == 1


def test_a_text_that_fails_for_one_recipient_is_told_to_nobody(aws: MemoryAws, tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "TicketCreated.technician.txt").write_text("{{ ticket.extra.sla }}")
    scene = Scene(aws, tmp_path)
    planned = scene.planner.handle(sample_body())
    assert "en/TicketCreated.technician.txt" in planned.violations[0]
    assert (scene.written(), scene.orders()) == (0, [])
    (letter,) = scene.aws.messages("ticket-events-dead")
    assert letter["reason"] == "template-failed"


def test_an_event_that_tells_nobody_is_no_error(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(customer=None, technicians=[], groups=[]))
    assert planned.has_no_recipients
    assert not planned.refused
    assert scene.aws.messages("ticket-events-dead") == []


class Recorded(MemoryTable):
    """Notes each request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def get(self, key: Key) -> Item | None:
        self.requests.append("get")
        return super().get(key)

    def put(self, put: Put) -> None:
        self.requests.append("put")
        super().put(put)

    def update(self, update: Update) -> Item:
        self.requests.append("update")
        return super().update(update)


def requests_of_one(aws: MemoryAws, at: float) -> list[str]:
    """What one notification costs a container that has planned before."""
    scene = Scene(aws, clock=lambda: at)
    scene.planner.handle(sample_body(technicians=[], groups=[]))
    aws.notifications_table.requests.clear()
    other = {**FULL["ticket"], "id": f"TCK-{at}"}
    scene.planner.handle(sample_body(ticket=other, technicians=[], groups=[]))
    return aws.notifications_table.requests


def test_one_notification_costs_one_write_and_while_older_ids_are_about_one_read() -> None:
    aws = MemoryAws(notifications_table=Recorded())
    assert requests_of_one(aws, NOW) == ["get", "put"]
    assert requests_of_one(aws, NOW + RETENTION_DAYS * 86_400 + 1) == ["put"]


# -- ids -------------------------------------------------------------------------------------------------


def test_nobody_can_tell_the_id_from_what_the_event_says(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(technicians=[], groups=[]))
    about = ("default", "TCK-1042", "TicketCreated", 1, "customer", CUSTOMER)
    assert guessable_id(*about) not in planned.new


def test_containers_that_plan_first_at_once_agree_on_one_secret(aws: MemoryAws) -> None:
    one, other = Scene(aws), Scene(aws)
    read = one.stores.ids._read
    one.stores.ids._read = lambda: (other.stores.ids.secret, None)[1]  # type: ignore[method-assign]
    first = one.stores.ids.secret
    one.stores.ids._read = read  # type: ignore[method-assign]
    assert first == other.stores.ids.secret == Scene(aws).stores.ids.secret


def planned_by_the_older_version(scene: Scene, body: str, monkeypatch: pytest.MonkeyPatch) -> Planned:
    with monkeypatch.context() as older:
        older.setattr(Ids, "of", lambda self, *about: guessable_id(*about))
        older.setattr(Ids, "of_before", lambda self, *about: None)
        older.setattr(
            Notification,
            "sibling_id",
            lambda self, *part: guessable_id(
                self.account,
                self.ticket_id,
                self.event_type,
                self.revision,
                self.audience,
                self.recipient,
                *part,
            ),
        )
        return Scene(scene.aws).planner.handle(body)


@pytest.mark.parametrize("body", [sample_body(), sample_body(customer={"phone": "0812"}, groups=[])])
def test_an_event_planned_just_before_the_upgrade_is_not_told_twice(
    scene: Scene, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = planned_by_the_older_version(scene, body, monkeypatch)
    written = scene.written()
    again = scene.planner.handle(body)
    assert (again.new, again.repeated) == ((), before.new)
    assert again.unreachable == before.unreachable
    assert scene.written() == written


def test_twin_that_looks_for_no_older_ids_tells_it_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = planned_by_the_older_version(scene, sample_body(), monkeypatch)
    monkeypatch.setattr(Ids, "of_before", lambda self, *about: None)
    assert len(scene.planner.handle(sample_body()).new) == len(before.new)


def test_the_region_of_the_deployment_is_only_the_default(scene: Scene) -> None:
    planned = scene.planner.handle(
        sample_body(customer={"phone": "+34 612 345 678"}, technicians=[], groups=[])
    )
    stored = scene.stores.notifications.get(planned.new[0])
    assert stored is not None
    assert stored.recipient == "34612345678"


def test_an_event_told_again_with_another_spelling_of_the_number_is_told_once(scene: Scene) -> None:
    for_customer = {"technicians": [], "groups": []}
    first = scene.planner.handle(sample_body(customer={"phone": "+54 9 11 2345 6789"}, **for_customer))
    again = scene.planner.handle(sample_body(customer={"phone": "+54 11 2345 6789"}, **for_customer))
    assert (again.new, again.repeated) == ((), first.new)


# -- who can't be told -----------------------------------------------------------------------------------

BUDI, AYU = FULL["technicians"]
MISTYPED = "0812 ask Budi"


def mistyped(phone: Any = MISTYPED, **changes: Any) -> str:
    return sample_body(technicians=[{**BUDI, "phone": phone}, AYU], **changes)


def test_one_mistyped_number_loses_that_recipient_and_everybody_else_is_told(scene: Scene) -> None:
    planned = scene.planner.handle(mistyped())
    assert (len(planned.new), planned.refused) == (3, False)
    assert scene.orders() == list(planned.new)
    assert scene.aws.messages("ticket-events-dead") == []


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        (MISTYPED, "holds letters, not only digits, one leading + and separators"),
        ("0812*34", "holds something else than digits, one leading + and separators"),
        ("0812", "is no valid number of the region ID (a foreign one needs + and its country code)"),
        (81311112222, "is not text"),
        (["0813"], "is not text"),
        ("8" * 1000, "is longer than 40 characters"),
    ],
)
def test_it_is_a_dead_letter_that_names_the_field_and_keeps_the_value_to_its_record(
    scene: Scene, phone: Any, reason: str
) -> None:
    lost = scene.lost(scene.planner.handle(mistyped(phone)))
    (letter,) = scene.aws.messages("dead-letters")
    assert (letter["notification"], letter["reason"]) == (lost.id, "invalid-phone")
    assert letter["detail"] == f"detail.technicians[0].phone {reason}"
    assert (lost.state, lost.recipient, lost.ticket_id) == (State.FAILED, "", "TCK-1042")
    told = phone if isinstance(phone, str) else json.dumps(phone)
    assert lost.refused_address is not None
    assert told.startswith(lost.refused_address.rstrip("…"))
    assert lost.refused_address.rstrip("…") not in json.dumps(letter)


def test_a_technician_who_is_no_object_is_a_dead_letter_and_everybody_else_is_told(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(technicians=["0813-1111-2222", AYU]))
    lost = scene.lost(planned)
    assert (len(planned.new), lost.audience, lost.refused_address) == (3, "technician", "0813-1111-2222")
    assert lost.last_error is not None
    assert lost.last_error.detail == "detail.technicians[0] is not an object with a phone"


def test_a_malformed_language_costs_nobody_the_message(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(technicians=[{**BUDI, "language": "en-"}, AYU]))
    assert len(planned.new) == 4
    assert planned.left_out == (
        "detail.technicians[0].language: doesn't match ^([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*)?$",
    )


def test_planned_twice_it_is_one_dead_letter(scene: Scene) -> None:
    first = scene.planner.handle(mistyped())
    second = scene.planner.handle(mistyped())
    assert (second.new, second.unreachable) == ((), first.unreachable)
    assert len(scene.aws.messages("dead-letters")) == 1


def test_a_crash_before_its_dead_letter_is_mended_by_the_next_try(scene: Scene, aws: MemoryAws) -> None:
    class Down:
        def send_message(self, **_: Any) -> Any:
            raise ConnectionError

    working = scene.planner._dead_letters
    scene.planner._dead_letters = DeadLetters(scene.stores, DeadLettersQueue(Down(), ""))
    with pytest.raises(ConnectionError):
        scene.planner.handle(mistyped())
    scene.planner._dead_letters = working
    assert scene.lost(scene.planner.handle(mistyped())).state is State.FAILED
    assert len(scene.aws.messages("dead-letters")) == 1


def test_the_corrected_event_tells_only_whom_the_first_did_not(scene: Scene) -> None:
    scene.planner.handle(mistyped())
    scene.orders()
    corrected = scene.planner.handle(sample_body())
    assert (len(corrected.new), len(corrected.repeated), corrected.unreachable) == (1, 3, ())
    stored = scene.stores.notifications.get(corrected.new[0])
    assert stored is not None
    assert stored.recipient == "6281311112222"


def test_two_with_the_same_mistake_are_two_dead_letters(scene: Scene) -> None:
    people = [{"id": "T-3", "phone": "0812"}, {"id": "T-4", "phone": "0812"}]
    planned = scene.planner.handle(sample_body(technicians=people))
    assert len(set(planned.unreachable)) == 2


def test_where_nobody_is_left_nothing_is_lost(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(customer={"phone": "0812"}, technicians=[], groups=[]))
    assert planned.has_no_recipients
    assert scene.lost(planned).state is State.FAILED
    assert len(scene.aws.messages("dead-letters")) == 1


@pytest.mark.parametrize("nothing", [{}, {"phone": None}, {"phone": " "}])
def test_who_has_no_number_is_suppressed_by_name_and_no_dead_letter(scene: Scene, nothing: Any) -> None:
    lost = scene.lost(scene.planner.handle(sample_body(customer={"id": "C-1", **nothing})))
    assert (lost.state, lost.audience, lost.refused_address) == (State.SUPPRESSED, "customer", None)
    assert lost.last_error == Problem("no-phone", "permanent", "detail.customer.phone names no number")
    assert scene.aws.messages("dead-letters") == []


def test_a_technician_who_made_the_ticket_needs_no_number(scene: Scene) -> None:
    planned = scene.planner.handle(mistyped(created_by={"role": "technician", "id": BUDI["id"]}))
    assert planned.unreachable == ()


def test_a_mistyped_group_loses_that_group_only(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(groups=["Desk", *FULL["groups"]]))
    lost = scene.lost(planned)
    assert (len(planned.new), lost.audience, lost.refused_address) == (4, "group", "Desk")
    assert lost.last_error is not None
    assert lost.last_error.code == "invalid-group"


def test_a_long_subject_is_told_cut_and_said_to_be(scene: Scene) -> None:
    planned = scene.planner.handle(sample_body(ticket={**FULL["ticket"], "subject": "long " * 200}))
    stored = scene.stores.notifications.get(planned.new[0])
    assert stored is not None
    assert "long long…" in stored.text
    assert planned.cut == ("detail.ticket.subject",)


# -- attachments -----------------------------------------------------------------------------------------


def attached(**changes: Any) -> str:
    files = [
        {"key": "plan.pdf", "caption": "the plan", "audiences": ["technician"]},
        {"key": "photo.jpg"},
    ]
    return sample_body("TicketCreated", detail={**FULL, "groups": [], "attachments": files, **changes})


@pytest.fixture
def with_bucket(scene):
    scene.planner._config = replace(CONFIG, attachments_bucket="files")
    return scene


def test_each_file_is_a_message_of_its_own_after_the_text(with_bucket):
    planned = with_bucket.planner.handle(attached())
    stored = [with_bucket.stores.notifications.get(found) for found in planned.new]
    shown = [
        (one.audience, one.content.attachment.key if isinstance(one.content, File) else None)
        for one in stored
    ]
    assert shown[:2] == [("customer", None), ("customer", "photo.jpg")]
    assert shown[2:5] == [("technician", None), ("technician", "plan.pdf"), ("technician", "photo.jpg")]
    assert stored[3].text == "the plan"
    assert len({one.message_id for one in stored}) == len(stored)
    turns = [one.turn for one in stored if one.recipient == stored[2].recipient]
    assert turns == sorted(turns)


def test_the_same_event_twice_makes_the_same_files_once(with_bucket):
    first = with_bucket.planner.handle(attached())
    again = with_bucket.planner.handle(attached())
    assert (again.new, again.repeated) == ((), first.new)


def test_the_ids_of_texts_are_what_they_were_before_there_were_files(with_bucket):
    planned = with_bucket.planner.handle(attached())
    text = with_bucket.stores.ids.of("default", "TCK-1042", "TicketCreated", 1, "customer", CUSTOMER)
    assert text in planned.new


def test_a_stack_without_a_bucket_refuses_the_event_by_name(scene):
    planned = scene.planner.handle(attached())
    assert planned.refused
    assert "AttachmentsBucket" in planned.violations[0]
