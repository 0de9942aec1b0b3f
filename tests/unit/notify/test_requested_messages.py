"""A request is planned like a ticket event: once, to everybody, whatever happens on the way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.writes import Update
from tocsin.guarded_http import Answer, Unreachable, UrlRefused
from tocsin.notify.attachments import MAX_BYTES, Bucket
from tocsin.notify.config import PlanConfig
from tocsin.notify.content import ERASED, Attachment, File, Text, Withheld
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.samples import MESSAGE
from tocsin.notify.events.samples import sample_request as body
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import Notification, ReceiptNews, State
from tocsin.notify.planned import FilesAway, Planned
from tocsin.notify.planning import Planner
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, TicketEventsDeadQueue
from tocsin.notify.requested_files import RequestedFiles, is_allowed
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.template import Templates
from tocsin.tables.notifications import notification_key
from tocsin.timestamps import iso

NOW = 1_800_000_000
PDF = b"%PDF-1.7 a plan"
SECRET = "Your code is 481-516"
CONFIG = PlanConfig(
    notifications_table="notifications",
    texts_secret_arn="",
    notifications_queue_url="",
    ticket_events_dead_queue_url="",
    dead_letters_queue_url="",
    accounts=("default",),
    default_region="ID",
    default_language="id",
    attachments_bucket="files",
    file_hosts=("files.example.com",),
)


class FakeS3:
    """A bucket, as boto3 shows it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:
        self.objects[Key] = Body


class Scene:
    """A planner, and what it wrote, enqueued, kept and fetched."""

    def __init__(self) -> None:
        self.aws = MemoryAws()
        self.now = float(NOW)
        self.accounts = ["default"]
        self.s3 = FakeS3()
        self.fetched: list[str] = []
        self.host: Callable[[], Answer] = lambda: Answer(200, {}, PDF)
        self.stores = Stores(self.aws.notifications_table, clock=lambda: self.now, texts=TEXTS)
        dead_letters = DeadLettersQueue(self.aws.sqs, self.aws.queues["dead-letters"])
        self.letters = DeadLetters(self.stores, dead_letters)
        files = RequestedFiles(Bucket(self.s3, "files"), CONFIG.file_hosts, self.fetch)
        self.planner = Planner(
            self.stores,
            NotificationsQueue(self.aws.sqs, self.aws.queues["notifications"]),
            TicketEventsDeadQueue(self.aws.sqs, self.aws.queues["ticket-events-dead"]),
            self.letters,
            Templates(),
            CONFIG,
            accounts=self.accounts,
            files=lambda: files,
            clock=lambda: self.now,
        )

    def fetch(self, url: str) -> Answer:
        self.fetched.append(url)
        return self.host()

    def plan(self, **changes: Any) -> Planned:
        return self.planner.handle(body(**changes))

    def stored(self, name: str) -> Notification:
        found = self.stores.notifications.get(name)
        assert found is not None
        return found

    def letters_told(self) -> list[str]:
        return [letter["reason"] for letter in self.aws.messages("dead-letters")]


@pytest.fixture
def scene() -> Scene:
    return Scene()


ONE = [{"phone": "+62 812 3456 7890"}]


def test_a_request_becomes_one_notification_for_each_recipient(scene: Scene) -> None:
    planned = scene.plan()
    person, group = (scene.stored(one) for one in planned.new)
    assert (person.recipient, group.recipient) == ("6281234567890", "120363000000000000@g.us")
    assert person.content == Text("*Invoice 7* is due")
    assert (person.ticket_id, person.event_type, person.audience) == (
        "message:billing:invoice-7",
        "MessageRequested",
        "customer",
    )
    assert [order["notification"] for order in scene.aws.messages("notifications")] == list(planned.new)


def test_the_same_key_is_told_once_and_the_first_text_counts(scene: Scene) -> None:
    first, second = scene.plan(), scene.plan(text="another text")
    assert (second.new, second.repeated) == ((), first.new)
    assert scene.stored(first.new[0]).text == "*Invoice 7* is due"


@pytest.mark.parametrize("changes", [{"key": "invoice-8"}, {"source": "shop"}, {"source": None}])
def test_the_same_text_under_another_name_is_another_message(scene: Scene, changes: dict[str, Any]) -> None:
    first, second = scene.plan(), scene.plan(**changes)
    assert set(first.new).isdisjoint(second.new)
    assert len(second.new) == 2


def test_requests_are_found_by_their_name(scene: Scene) -> None:
    planned = scene.plan()
    assert sorted(scene.stores.notifications.of_ticket("message:billing:invoice-7")) == sorted(planned.new)


def test_formatting_stays_and_what_steers_goes(scene: Scene) -> None:
    [one] = scene.plan(recipients=ONE, text="  *bold*\r\n\u202e_x_  \n").new
    assert scene.stored(one).text == "*bold*\n_x_"


def test_who_cannot_be_told_is_a_dead_letter_of_theirs_alone(scene: Scene) -> None:
    planned = scene.plan(recipients=[*ONE, {"phone": "12"}])
    assert (len(planned.new), len(planned.unreachable)) == (1, 1)
    assert scene.letters_told() == ["invalid-phone"]


def test_an_urgent_request_says_so(scene: Scene) -> None:
    assert scene.stored(scene.plan(priority="urgent").new[0]).urgent
    assert not scene.stored(scene.plan(key="k2").new[0]).urgent


# -- files -------------------------------------------------------------------------------------------------


def test_a_file_of_the_bucket_follows_the_text(scene: Scene) -> None:
    text, file = scene.plan(recipients=ONE, files=[{"name": "a.pdf", "bucket_key": "k/a.pdf"}]).new
    assert scene.stored(text).content == Text("*Invoice 7* is due")
    assert scene.stored(file).content == File(Attachment("k/a.pdf", "a.pdf", "application/pdf"))
    assert scene.stored(file).created_at > scene.stored(text).created_at


def test_bytes_in_the_event_are_kept_in_the_bucket_once_for_all(scene: Scene) -> None:
    content = base64.b64encode(PDF).decode()
    planned = scene.plan(files=[{"name": "a.pdf", "content": content, "caption": "the plan"}])
    files = [scene.stored(one).content for one in planned.new[2:]]
    assert files[0] == files[1]
    assert isinstance(files[0], File)
    assert scene.s3.objects == {files[0].attachment.key: PDF}
    assert files[0].attachment.key.startswith("tocsin/requested/")
    assert files[0].caption == "the plan"


URL = "https://files.example.com/a.pdf"


def test_a_file_is_fetched_from_a_host_that_is_named(scene: Scene) -> None:
    planned = scene.plan(recipients=ONE, files=[{"name": "a.pdf", "url": URL}])
    assert scene.fetched == [URL]
    assert list(scene.s3.objects.values()) == [PDF]
    assert len(planned.new) == 2


@pytest.mark.parametrize(
    ("url", "host", "reason"),
    [
        ("https://other.example.com/a.pdf", None, "attachment-refused"),
        (URL, lambda: Answer(200, {}, b"MZ no pdf"), "attachment-type"),
        (URL, lambda: Answer(200, {}, PDF, is_cut=True), "attachment-too-large"),
        (URL, lambda: Answer(404, {}, b""), "attachment-missing"),
        (URL, lambda: Answer(302, {"location": "http://169.254.169.254"}, b""), "attachment-missing"),
        (URL, lambda: raised(UrlRefused("leads to an address that is not public")), "attachment-refused"),
    ],
)
def test_what_is_wrong_with_a_file_concerns_that_file_alone(
    scene: Scene, url: str, host: Callable[[], Answer] | None, reason: str
) -> None:
    scene.host = host or scene.host
    planned = scene.plan(recipients=ONE, files=[{"name": "a.pdf", "url": url}])
    text, file = planned.new
    assert (scene.stored(text).state, scene.stored(file).state) == (State.PLANNED, State.FAILED)
    assert scene.letters_told() == [reason]
    assert scene.s3.objects == {}


def raised(error: Exception) -> Answer:
    raise error


def test_a_host_that_is_away_brings_the_event_again_and_nobody_gets_the_text_twice(scene: Scene) -> None:
    event = json.loads(body(recipients=ONE, files=[{"name": "a.pdf", "url": URL}]))
    event["time"] = iso(NOW * 1000)
    scene.host = lambda: raised(Unreachable("timeout"))
    with pytest.raises(FilesAway):
        scene.planner.handle(json.dumps(event))
    scene.now += 360
    scene.host = lambda: Answer(200, {}, PDF)
    planned = scene.planner.handle(json.dumps(event))
    assert (len(planned.new), len(planned.repeated)) == (1, 1)


def test_a_host_that_stays_away_is_given_up(scene: Scene) -> None:
    event = json.loads(body(recipients=ONE, files=[{"name": "a.pdf", "url": URL}]))
    event["time"] = iso(NOW * 1000)
    scene.now += 1800
    scene.host = lambda: Answer(503, {}, b"")
    scene.planner.handle(json.dumps(event))
    assert scene.letters_told() == ["attachments-away"]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://files.example.com/a", True),
        ("https://FILES.example.com/a", True),
        ("https://files.example.com.evil.example/a", False),
        ("https://evil-files.example.com/a", False),
        ("https://a.cdn.example.net/a", True),
        ("https://cdn.example.net/a", False),
        ("https://evilcdn.example.net/a", False),
        ("https://files.example.com@evil.example/a", False),
        ("https://[", False),
    ],
)
def test_a_host_is_allowed_by_its_whole_name(url: str, allowed: bool) -> None:
    assert is_allowed(url, ["files.example.com", "*.cdn.example.net"]) is allowed


def test_too_large_a_file_is_refused_by_its_size() -> None:
    from tocsin.notify.events.message_request import RequestedFile

    kept = RequestedFiles(Bucket(FakeS3(), "files"), (), lambda url: raised(AssertionError()))
    with pytest.raises(Permanent, match="attachment-too-large"):
        kept.kept("f", RequestedFile("a.txt", "text/plain", content=b"a" * (MAX_BYTES + 1)))


# -- sensitive ---------------------------------------------------------------------------------------------


def secret(scene: Scene, **more: Any) -> Notification:
    [one] = scene.plan(recipients=ONE, text=SECRET, sensitive=True, **more).new
    return scene.stored(one)


def words(scene: Scene, notification: Notification) -> Any:
    return scene.stored(notification.id).content


def test_a_sensitive_text_lies_sealed_and_nowhere_else(scene: Scene) -> None:
    planned = secret(scene)
    assert planned.sensitive
    assert planned.text == SECRET
    assert "481-516" not in str(everything_in(scene.aws.notifications_table))
    assert "481-516" not in str(scene.aws.messages("notifications"))


def test_it_is_erased_by_the_receipt_that_says_that_it_arrived(scene: Scene) -> None:
    planned = secret(scene)
    scene.stores.notifications.mark_sent(planned.id, {}, at=NOW * 1000, account="default")
    assert words(scene, planned) == Text(SECRET)
    news = ReceiptNews({"a delivered": NOW * 1000}, State.DELIVERED, NOW * 1000, delivered_at=NOW * 1000)
    scene.stores.notifications.mark_receipts(planned.id, news, seen=scene.stored(planned.id))
    assert words(scene, planned) == Withheld(ERASED)


def test_another_text_stays_after_its_receipt(scene: Scene) -> None:
    [one] = scene.plan(recipients=ONE).new
    scene.stores.notifications.mark_sent(one, {}, at=NOW * 1000, account="default")
    news = ReceiptNews({"a delivered": NOW * 1000}, State.DELIVERED, NOW * 1000, delivered_at=NOW * 1000)
    scene.stores.notifications.mark_receipts(one, news, seen=scene.stored(one))
    assert scene.stored(one).content == Text("*Invoice 7* is due")


def test_it_is_erased_when_it_expires(scene: Scene) -> None:
    planned = secret(scene)
    scene.letters.bury(planned, Permanent("expired", ""), NOW * 1000)
    assert words(scene, planned) == Withheld(ERASED)


def test_as_a_dead_letter_it_can_be_sent_again_until_it_is_too_late(scene: Scene) -> None:
    planned = secret(scene)
    scene.letters.bury(planned, Permanent("not-on-whatsapp", ""), NOW * 1000)
    assert words(scene, planned) == Text(SECRET)
    assert scene.stores.sensitive.erase_due(planned.expires_at - 1) == 0
    assert words(scene, planned) == Text(SECRET)
    assert scene.stores.sensitive.erase_due(planned.expires_at) == 1
    assert words(scene, planned) == Withheld(ERASED)


def test_sent_and_never_received_it_is_erased_once_it_is_too_late(scene: Scene) -> None:
    planned = secret(scene)
    scene.stores.notifications.mark_sent(planned.id, {}, at=NOW * 1000, account="default")
    assert scene.stores.sensitive.erase_due(planned.expires_at) == 1
    assert words(scene, planned) == Withheld(ERASED)


def test_a_redrive_moves_the_end_of_it(scene: Scene) -> None:
    planned = secret(scene)
    scene.letters.bury(planned, Permanent("not-on-whatsapp", ""), NOW * 1000)
    later = planned.expires_at + 3_600_000
    scene.stores.notifications.reset_for_redrive(planned.id, at=planned.expires_at - 1, expires_at=later)
    assert scene.stores.sensitive.erase_due(planned.expires_at) == 0
    assert words(scene, planned) == Text(SECRET)
    assert scene.stores.sensitive.erase_due(later) == 1


def test_one_that_cannot_be_read_is_erased_and_keeps_back_nobody(scene: Scene) -> None:
    broken, whole = secret(scene), secret(scene, key="another")
    table = scene.aws.notifications_table
    table.update(Update(notification_key(broken.id), set={"state": "nonsense", "recipient": 7}))
    assert scene.stores.sensitive.erase_due(whole.expires_at) == 2
    assert words(scene, whole) == Withheld(ERASED)
    assert "sealed" not in (table.get(notification_key(broken.id)) or {})
    assert not [one for one in everything_in(table) if one["sk"] == "erase"]


def test_the_notes_of_what_is_gone_go(scene: Scene) -> None:
    planned = secret(scene)
    scene.stores.notifications.erase_words(planned.id)
    scene.stores.sensitive.note("0" * 18, NOW)
    scene.stores.sensitive.erase_due(planned.expires_at)
    assert not [one for one in everything_in(scene.aws.notifications_table) if one["sk"] == "erase"]


def test_a_refused_sensitive_request_is_kept_sealed_and_can_be_planned_again(scene: Scene) -> None:
    planned = scene.plan(recipients=ONE, text=SECRET, sensitive=True, account="later")
    assert planned.refused
    [letter] = scene.aws.messages("ticket-events-dead")
    assert "481-516" not in json.dumps(letter)
    mended = json.loads(letter["event"])
    scene.accounts.append("later")
    again = scene.planner.handle(json.dumps(mended))
    assert scene.stored(again.new[0]).text == SECRET


def test_a_sensitive_request_is_kept_sealed_however_its_json_is_written(scene: Scene) -> None:
    told = body(recipients=ONE, text=SECRET, sensitive=True, account="later")
    assert scene.planner.handle(told.replace("sensitive", "\\u0073ensitive")).refused
    [letter] = scene.aws.messages("ticket-events-dead")
    assert "481-516" not in json.dumps(letter)


def test_words_sealed_for_others_are_refused(scene: Scene) -> None:
    scene.plan(recipients=ONE, text=SECRET, sensitive=True, account="later")
    [letter] = scene.aws.messages("ticket-events-dead")
    stolen = json.loads(letter["event"])
    stolen["detail"] |= {"account": "default", "recipients": [{"phone": "+62 813 9999 9999"}]}
    planned = scene.planner.handle(json.dumps(stolen))
    assert "detail.sealed_text: can't be opened for these recipients" in planned.violations[0]


def test_records_of_before_are_not_sensitive(scene: Scene) -> None:
    [one] = scene.plan(recipients=ONE).new
    items = [item for item in everything_in(scene.aws.notifications_table) if item["sk"] == "state"]
    assert [name for name in items[0] if name in ("sensitive", "urgent")] == []
    assert replace(scene.stored(one), sensitive=False) == scene.stored(one)
    assert MESSAGE["text"] == scene.stored(one).text


def test_files_of_a_slow_host_are_fetched_in_several_runs(scene: Scene) -> None:
    moments = iter([0.0, 0.0, 16.0])
    files = [{"name": f"{name}.pdf", "url": URL} for name in "ab"]
    scene.planner._requested._clock = lambda: next(moments)
    with pytest.raises(FilesAway, match="files-later"):
        scene.plan(recipients=ONE, files=files)
    assert len(scene.fetched) == 1
