"""Outcomes on the bus: what is told, once, and that nothing in the stream can block it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.notifications import a_notification
from tests.support.sealed_texts import TEXTS
from tests.support.streams import image_of
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.config import PublishConfig
from tocsin.notify.content import Attachment, Content, Edit, File, Reaction, Text
from tocsin.notify.notification import Attempt, Notification, Problem, State
from tocsin.notify.outcomes import Outcome, Publisher, outcomes_of
from tocsin.notify.store.codec import item_of_notification
from tocsin.notify.store.stores import Stores
from tocsin.settings.values import Settings
from tocsin.tables.notifications import notification_key

N = a_notification(
    created_at=1_800_000_000_000,
    expires_at=1_800_086_400_000,
)


class Bus:
    """Takes entries; refuses or fails as its script says."""

    def __init__(self, *script: Any) -> None:
        self._script = list(script)
        self.requests: list[list[dict[str, Any]]] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.requests.append(Entries)
        step = self._script.pop(0) if self._script else ()
        if isinstance(step, Exception):
            raise step
        answers = [{"ErrorCode": "Throttled"} if n in step else {"EventId": "e"} for n in range(len(Entries))]
        return {"FailedEntryCount": len(step), "Entries": answers}

    def told(self) -> list[dict[str, Any]]:
        return [entry for request in self.requests for entry in request]


def publisher(bus: Bus) -> Publisher:
    return telling(bus, "sent", "delivered", "read")


def telling(bus: Bus, *steps: str) -> Publisher:
    """Which steps of a notification are told, by the setting `outcome-events`."""
    settings = Settings({"outcome-events": {"*": steps}})
    return Publisher(
        bus, PublishConfig("tickets", "arn:texts"), TEXTS, settings=lambda: settings, sleep=lambda _: None
    )


def identity_change() -> Any:
    told = {
        "recipient": "6281234567890",
        "device_jid": "1234:2@lid",
        "by": "message",
        "old_fingerprint": "00" * 8,
        "new_fingerprint": "11" * 8,
    }
    values = {"pk": "identity#default#1234@lid", "sk": "2#11#500000", **told, "account": "default"}
    values |= {"user": "1234@lid", "device": 2, "changed_at": 1_800_000_000_000}
    values |= {"outcome": "IdentityChanged", "outcome_at": 1_800_000_000_000, "expire_at": 1}
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": image_of(values)}}


def record(
    sequence: str = "1", outcome: str | None = "Sent", at: int = 1_800_000_001_000, **changes: Any
) -> Any:
    written = Notification(**{**vars(N), **changes})
    pk, sk = notification_key(written.id)
    values = {"pk": pk, "sk": sk, **item_of_notification(written, expire_at=1, texts=TEXTS)}
    if outcome:
        values |= {"outcome": outcome, "outcome_at": at}
    return {
        "eventName": "MODIFY",
        "dynamodb": {"SequenceNumber": sequence, "NewImage": image_of(values)},
    }


def reply(**changes: Any) -> Any:
    values = {
        "pk": "reply#default#628@s.whatsapp.net",
        "sk": "ABC",
        "account": "default",
        "user": "628@s.whatsapp.net",
        "message_id": "ABC",
        "text": "thanks",
        "ticket_id": "TCK-1",
        "notification_id": N.id,
        "received_at": 1_800_000_002_000,
        "outcome": "ReplyReceived",
        "outcome_at": 1_800_000_002_000,
        "expire_at": 9,
        **changes,
    }
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "9", "NewImage": image_of(values)}}


def only_outcome(record: dict, texts) -> Outcome | None:
    told = outcomes_of(record, texts)
    assert len(told) <= 1
    return told[0] if told else None


def test_an_outcome_carries_ticket_notification_audience_and_times() -> None:
    bus = Bus()
    publisher(bus).publish([record(state=State.SENT, sent_at=1_800_000_001_000)])
    (entry,) = bus.told()
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "tocsin",
        "NotificationSent",
        "tickets",
    )
    assert json.loads(entry["Detail"]) == {
        "id": "0123456789abcdef01.Sent.1800000001000",
        "notification_id": N.id,
        "message_id": "3EB00123456789ABCDEF01",
        "ticket_id": "TCK-1",
        "ticket_event": "TicketCreated",
        "revision": 1,
        "account": "default",
        "audience": "customer",
        "recipient": "6281234567890",
        "recipient_lid": None,
        "username": None,
        "language": "id",
        "state": "sent",
        "created_at": "2027-01-15T08:00:00.000Z",
        "sent_at": "2027-01-15T08:00:01.000Z",
        "version": "1",
    }


READ_AT = {"sent_at": 1, "delivered_at": 2_000, "read_at": 3_000}


def test_what_was_read_before_its_delivery_was_stored_is_told_twice_each_as_it_was_then() -> None:
    together = record(outcome="Read", at=3_000, state=State.READ, **READ_AT)
    together["dynamodb"]["NewImage"]["outcome_passed"] = {"S": "Delivered"}
    both = outcomes_of(together, TEXTS)
    assert [(told.detail_type, told.at, told.detail["state"]) for told in both] == [
        ("NotificationDelivered", 2_000, "delivered"),
        ("NotificationRead", 3_000, "read"),
    ]
    assert "read_at" not in both[0].detail
    assert both[0].detail["id"].endswith(".Delivered.2000")


def test_what_was_delivered_before_is_told_once() -> None:
    [told] = outcomes_of(record(outcome="Read", at=3_000, state=State.READ, **READ_AT), TEXTS)
    assert told.detail_type == "NotificationRead"


@pytest.mark.parametrize("outcome", ["Sent", "Delivered", "Read", "Failed", "Suppressed", "Overdue"])
def test_every_outcome_has_its_event(outcome: str) -> None:
    told = only_outcome(record(outcome=outcome), TEXTS)
    assert told is not None
    assert told.detail_type == f"Notification{outcome}"


def test_a_failure_tells_reason_and_attempts() -> None:
    told = only_outcome(
        record(
            outcome="Failed",
            state=State.FAILED,
            last_error=Problem("gone", "permanent", "left WhatsApp"),
            attempts=(Attempt("ack-timeout", 1_800_000_000_000, "retry", "no ack"),),
        ),
        TEXTS,
    )
    assert told is not None
    assert (told.detail["reason"], told.detail["class"]) == ("gone", "permanent")
    assert told.detail["attempts"] == [
        {"cause": "ack-timeout", "class": "retry", "detail": "no ack", "at": "2027-01-15T08:00:00.000Z"}
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (File(Attachment("t/1.pdf", "1.pdf", "application/pdf")), {"file": "t/1.pdf"}),
        (Edit("3EB0AA", "solved", 1), {"edits": "3EB0AA"}),
        (Reaction("A5", "👍", 1), {"reacts_to": "A5"}),
        (Text("Halo"), {}),
    ],
)
def test_what_is_more_than_a_text_says_so(content: Content, told: dict[str, str]) -> None:
    outcome = only_outcome(record(content=content), TEXTS)
    assert outcome is not None
    assert {
        name: outcome.detail[name] for name in ("file", "edits", "reacts_to") if name in outcome.detail
    } == told


def test_a_success_after_trouble_tells_no_reason() -> None:
    told = only_outcome(record(state=State.SENT, last_error=Problem("ack-timeout", "retry")), TEXTS)
    assert told is not None
    assert "reason" not in told.detail


def test_a_reply_is_told_with_its_ticket() -> None:
    told = only_outcome(reply(), TEXTS)
    assert told is not None
    assert told.detail_type == "ReplyReceived"
    assert told.detail == {
        "id": "default.628@s.whatsapp.net.ABC.ReplyReceived",
        "account": "default",
        "user": "628@s.whatsapp.net",
        "message_id": "ABC",
        "recipient": None,
        "recipient_lid": None,
        "username": None,
        "text": "thanks",
        "ticket_id": "TCK-1",
        "notification_id": N.id,
        "received_at": "2027-01-15T08:00:02.000Z",
        "version": "1",
    }


def sealed_reply(pk: str = "reply#default#628@s.whatsapp.net") -> Any:
    """One as it is written now, of whom `pk` names; it stands at 628's place."""
    sealed = TEXTS.seal({"text": "thanks", "recipient": "628", "seconds": 7}, (pk, "ABC"))
    return reply(text=None, sealed=sealed)


def test_a_sealed_reply_is_told_as_it_was_written() -> None:
    told = only_outcome(sealed_reply(), TEXTS)
    assert told is not None
    assert (told.detail["text"], told.detail["seconds"]) == ("thanks", 7)
    assert "sealed" not in told.detail


def test_a_reply_from_another_place_is_refused_by_name_and_blocks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()
    published = publisher(bus).publish([sealed_reply("reply#default#62899@s.whatsapp.net"), record()])
    assert (published.told, published.unreadable, published.again) == (1, 1, ())
    [refused] = [one for one in caplog.records if one.message == "refused reply"]
    assert vars(refused)["error"] == "text-damaged"
    assert "628@" not in caplog.text


def test_an_outcome_is_told_even_where_the_words_are_gone() -> None:
    erased = record()
    del erased["dynamodb"]["NewImage"]["sealed"]
    told = only_outcome(erased, TEXTS)
    assert told is not None
    assert told.detail_type == "NotificationSent"


def test_what_was_told_without_its_content_and_its_content_are_two_events() -> None:
    before, after = (
        only_outcome(reply(kind="unavailable", unread=True), TEXTS),
        only_outcome(reply(kind="text"), TEXTS),
    )
    assert before is not None
    assert after is not None
    assert before.detail["id"] == "default.628@s.whatsapp.net.ABC.unread.ReplyReceived"
    assert after.detail["id"] == "default.628@s.whatsapp.net.ABC.ReplyReceived"


def test_a_long_reply_is_cut_and_says_so() -> None:
    told = only_outcome(reply(text="x" * 100_000), TEXTS)
    assert told is not None
    assert len(told.detail["text"]) == 16_384
    assert told.detail["cut"] == ["text"]


@pytest.mark.parametrize(
    "silent",
    [
        record(outcome=None),
        {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "1", "OldImage": {}}},
    ],
)
def test_what_brings_no_outcome_is_not_told(silent: Any) -> None:
    bus = Bus()
    published = publisher(bus).publish([silent])
    assert (published.told, published.unreadable, published.again) == (0, 0, ())
    assert bus.requests == []


@pytest.mark.parametrize(
    "bad",
    [
        {},
        None,
        {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {"outcome": {"S": "Sent"}}}},
        {"eventName": "INSERT", "dynamodb": {"NewImage": {"outcome": {"N": "1"}}}},
    ],
)
def test_a_record_that_cannot_be_read_blocks_nothing(bad: Any) -> None:
    bus = Bus()
    published = publisher(bus).publish([bad, record()])
    assert (published.told, published.unreadable, published.again) == (1, 1, ())


def test_ten_entries_go_at_once_and_never_more_than_a_request_takes() -> None:
    bus = Bus()
    publisher(bus).publish([record(str(n)) for n in range(23)])
    assert [len(request) for request in bus.requests] == [10, 10, 3]
    large = Bus()
    fat = [reply(**{f"extra{n}": "x" * 16_000 for n in range(8)}) for _ in range(4)]
    assert publisher(large).publish(fat).told == 4
    assert all(
        sum(len(entry["Detail"].encode()) for entry in request) <= 256 * 1024 for request in large.requests
    )


def test_what_the_bus_refuses_is_told_again_and_only_that() -> None:
    bus = Bus((1,), ())
    published = publisher(bus).publish([record("1"), record("2"), record("3")])
    assert (published.told, published.again) == (3, ())
    assert [len(request) for request in bus.requests] == [3, 1]


def test_what_the_bus_refuses_for_good_comes_back_by_the_stream() -> None:
    bus = Bus((1,), (0,), (0,))
    published = publisher(bus).publish([record("1"), record("2"), record("3")])
    assert (published.told, published.again) == (2, ("2",))


def test_a_bus_out_of_reach_is_no_crash() -> None:
    bus = Bus(*[ConnectionError()] * 3)
    published = publisher(bus).publish([record("1"), record("2")])
    assert (published.told, published.again) == (0, ("1", "2"))


def test_a_changed_identity_says_whose_and_how_it_showed():
    outcome = only_outcome(identity_change(), TEXTS)
    assert outcome is not None
    assert outcome.detail_type == "IdentityChanged"
    told = outcome.detail
    assert (told["recipient"], told["device_jid"], told["by"]) == ("6281234567890", "1234:2@lid", "message")
    assert told["changed_at"] == "2027-01-15T08:00:00.000Z"
    assert not {"pk", "sk", "expire_at", "outcome"} & told.keys()


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [("Failed", State.FAILED, "invalid-phone"), ("Suppressed", State.SUPPRESSED, "no-phone")],
)
def test_of_a_recipient_without_a_number_the_reason_is_told_and_not_what_was_refused(
    outcome: str, state: State, code: str
) -> None:
    problem = Problem(code, "permanent", "detail.customer.phone is not text")
    lost = {"recipient": "", "refused_address": "0812 secret", "state": state, "last_error": problem}
    told = only_outcome(record(outcome=outcome, **lost), TEXTS)
    assert told is not None
    assert (told.detail_type, told.detail["recipient"]) == (f"Notification{outcome}", None)
    assert (told.detail["audience"], told.detail["reason"]) == ("customer", code)
    assert "secret" not in told.json


def steps() -> list[Any]:
    """The way of a notification, and its end in another life."""
    times = {"sent_at": 1_800_000_001_000, "delivered_at": 1_800_000_002_500, "read_at": 1_800_000_009_000}
    names = (State.SENT, State.DELIVERED, State.READ)
    told = [
        record(str(place), str(state).capitalize(), at, state=state, **times)
        for place, (state, at) in enumerate(zip(names, times.values(), strict=True))
    ]
    return [*told, record("9", "Failed", state=State.FAILED, failed_at=1_800_000_010_000)]


def test_by_default_that_it_was_handed_over_is_not_told() -> None:
    bus = Bus()
    publisher = Publisher(bus, PublishConfig("tickets", "arn:texts"), TEXTS, sleep=lambda _: None)
    published = publisher.publish(steps())
    assert [entry["DetailType"] for entry in bus.told()] == [
        "NotificationDelivered",
        "NotificationRead",
        "NotificationFailed",
    ]
    assert published.told == 3


def test_a_failure_is_told_whatever_is_set() -> None:
    bus = Bus()
    telling(bus).publish(steps())
    assert [entry["DetailType"] for entry in bus.told()] == ["NotificationFailed"]


def test_how_long_a_delivery_took_is_measured_even_if_it_is_not_told() -> None:
    assert telling(Bus()).publish(steps()).seconds_to_deliver == (2.5,)


def test_what_comes_back_is_not_counted_yet() -> None:
    bus = Bus({1}, {0}, {0})
    published = publisher(bus).publish([record("1"), record("2"), record("3")])
    assert published.again == ("2",)
    assert list(published.counts.values()) == [{"Sent": 1}]


def test_counts_are_added_to_their_hours() -> None:
    stores = Stores(MemoryTable())
    telling = Publisher(Bus(), PublishConfig("tickets", "arn:texts"), TEXTS, hours=stores.hours)
    telling.remember(telling.publish([record(state=State.SENT)]).counts)
    (hour,) = stores.hours.since("default", 0)
    assert hour.of("Sent") == 1


def test_counts_that_cannot_be_written_hold_nothing_back(caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def add(self, *_: object) -> None:
            raise ConnectionError

    telling = Publisher(Bus(), PublishConfig("tickets", "arn:texts"), TEXTS, hours=Away())  # type: ignore[arg-type]
    telling.remember({"default 3600000": {"Sent": 1}})
    assert "counts of an hour are lost" in caplog.text


# -- forms, and who else is told ---------------------------------------------------------------------------


def test_as_cloud_events_the_detail_is_one_and_the_outcome_its_data() -> None:
    plain, clouds = Bus(), Bus()
    config = PublishConfig("tickets", "arn:texts", stack="desk", form="cloudevents")
    settings = Settings({"outcome-events": {"*": ("sent",)}})
    told = [record(state=State.SENT, sent_at=1_800_000_001_000)]
    publisher(plain).publish(told)
    Publisher(clouds, config, TEXTS, settings=lambda: settings).publish(told)
    (entry,), (same,) = clouds.told(), plain.told()
    event = json.loads(entry["Detail"])
    assert entry["DetailType"] == "NotificationSent"
    assert (event["specversion"], event["source"], event["type"], event["subject"]) == (
        "1.0",
        "urn:tocsin:desk",
        "tocsin.notification.sent",
        "TCK-1",
    )
    assert event["data"] == json.loads(same["Detail"])


def test_hooks_hear_of_every_step_and_what_they_miss_comes_again() -> None:
    bus, heard = Bus(), []

    def hooks(outcomes: Any) -> list[str]:
        heard.extend(outcome.detail_type for outcome in outcomes)
        return [outcomes[-1].sequence]

    settings = Settings({"outcome-events": {"*": ()}})
    config = PublishConfig("tickets", "arn:texts")
    telling = Publisher(bus, config, TEXTS, settings=lambda: settings, hooks=hooks, sleep=lambda _: None)
    done = telling.publish([record(state=State.SENT, sent_at=1_800_000_001_000)])
    assert heard == ["NotificationSent"]
    assert bus.told() == []
    assert len(done.again) == 1
