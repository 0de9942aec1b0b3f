"""Files on their way: from the bucket, through one upload, into every repeat of a message."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import BoundedSemaphore, Event, Semaphore
from typing import Any

import boto3
import pytest

from tests.support.fake_aws import REGION, AwsAccount, aws_account
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.notifications import an_id
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions
from tocsin.connector_client.errors import UploadFailed, UploadRefused
from tocsin.dynamo.writes import Delete
from tocsin.multidevice import uploads
from tocsin.multidevice.uploads import FRESH_SECONDS, SHARED_SECONDS, Uploads, sent_upload
from tocsin.notify import attachments
from tocsin.notify.attachments import Bucket, media_type_of
from tocsin.notify.content import Attachment, File
from tocsin.notify.failure import Failure, Permanent, Retry
from tocsin.notify.notification import Notification, State
from tocsin.tables.keys import upload_key
from tocsin.whatsapp.media import DOCUMENT, decrypt
from tocsin.whatsapp.proto.message_pb2 import Message

PDF = b"%PDF-1.7 a ticket"
ATTACHMENT = Attachment("tickets/1042.pdf", "ticket.pdf", "application/pdf")


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield account


@pytest.fixture
def s3(account: AwsAccount):
    client = boto3.client("s3", region_name=REGION)
    client.put_object(Bucket="files", Key=ATTACHMENT.key, Body=PDF)
    return client


@pytest.fixture
def bucket(s3) -> Bucket:
    return Bucket(s3, "files")


# -- the bucket ------------------------------------------------------------------------------------------


def refusal(bucket: Bucket, attachment: Attachment = ATTACHMENT) -> Failure:
    with pytest.raises(Failure) as refused:
        bucket.read(attachment)
    return refused.value


def test_a_file_is_read_with_what_tells_its_versions_apart(bucket, s3):
    first = bucket.read(ATTACHMENT)
    assert first.body == PDF
    s3.put_object(Bucket="files", Key=ATTACHMENT.key, Body=PDF + b"!")
    assert bucket.read(ATTACHMENT).version != first.version


def test_a_missing_file_is_permanent(bucket):
    failure = refusal(bucket, replace(ATTACHMENT, key="nothing.pdf"))
    assert (type(failure), failure.code) == (Permanent, "attachment-missing")


def test_without_a_bucket_every_file_is_missing():
    assert refusal(Bucket(None, "")).code == "attachment-missing"


def test_a_file_that_is_too_large_is_not_read(bucket, monkeypatch):
    monkeypatch.setattr(attachments, "MAX_BYTES", 5)
    failure = refusal(bucket)
    assert (failure.code, failure.detail) == ("attachment-too-large", "17 bytes; the limit is 5")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"MZ\x90", "application/pdf"),
        (b"", "application/pdf"),
        (b"%PDF-1.7", "image/png"),
        (b"GIF89a", "image/jpeg"),
        (b"RIFF\x08\0\0\0WAVEfmt ", "image/webp"),
        (b"", "text/plain"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_permanent(bucket, s3, body, media_type):
    s3.put_object(Bucket="files", Key="other", Body=body)
    failure = refusal(bucket, Attachment("other", "x", media_type))
    assert (type(failure), failure.code) == (Permanent, "attachment-type")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("Ticket.PDF", "application/pdf"),
        ("a.b.jpeg", "image/jpeg"),
        ("setup.exe", None),
        ("archive.zip", None),
        ("pdf", None),
        (".pdf", "application/pdf"),
    ],
)
def test_the_ending_of_its_name_says_what_a_file_is(name, media_type):
    assert media_type_of(name) == media_type


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"RIFF\x08\0\0\0WEBPVP8 ", "image/webp"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"PK\x03\x04", media_type_of("a.docx")),
        (b"anything", "text/csv"),
    ],
)
def test_a_file_that_begins_as_its_name_says_is_read(bucket, s3, body, media_type):
    s3.put_object(Bucket="files", Key="other", Body=body)
    assert bucket.read(Attachment("other", "x", media_type)).body == body


# -- one upload ------------------------------------------------------------------------------------------


class Sender:
    """Wired functions whose notifications are files."""

    def __init__(self, account: AwsAccount, bucket: Bucket) -> None:
        self.wired = WiredFunctions(MemoryAws())
        self.bucket = bucket
        self.restart()

    def restart(self) -> None:
        wired = self.wired
        wired.paired.uploads = lambda: Uploads(self.bucket, clock=lambda: wired.paired.now)
        wired.restart()

    def plan(self, number: int = 1, *, attachment: Attachment = ATTACHMENT) -> Notification:
        text = self.wired.plan(number)
        key = an_id(ACCOUNT, f"TCK-{number}", "TicketCreated", 1, "customer", "1", attachment.key)
        planned = replace(text, id=key, content=File(attachment, "your ticket"))
        assert self.wired.stores.notifications.put_new(planned) is None
        return planned

    def messages(self) -> list[Message]:
        """What Siti's phone was sent, in the order in which it came."""
        return [Message.FromString(read) for read in self.wired.siti.devices[0].plaintexts]


@pytest.fixture
def sender(account: AwsAccount, bucket: Bucket) -> Sender:
    return Sender(account, bucket)


def test_a_file_is_uploaded_once_and_described_to_every_device(sender):
    wired = sender.wired
    verdict = wired.deliver(sender.plan())
    assert verdict.outcome == "sent"
    [(kind, blob)] = wired.network.uploads
    document = sender.messages()[0].document_with_caption.message.document
    assert (kind, document.file_name, document.caption) == (DOCUMENT, "ticket.pdf", "your ticket")
    told = (document.media_key, document.file_sha256, document.file_enc_sha256)
    assert decrypt(blob, kind, *told) == PDF
    node = wired.network.messages[-1]
    assert node.attr_str("type") == "media"
    encs = [to.require_child("enc") for to in node.require_child("participants").children("to")]
    assert {enc.attrs.get("mediatype") for enc in encs} == {"document"}


def test_a_retry_in_a_new_container_sends_the_very_same_message(sender):
    wired, planned = sender.wired, sender.plan()
    wired.network.lose_acks = 1
    assert wired.deliver(planned).outcome == "retry"
    sender.restart()
    assert wired.deliver(wired.stored(planned)).outcome == "sent"
    assert len(wired.network.uploads) == 1
    assert len(wired.siti.devices[0].plaintexts) == 2
    assert len(set(wired.siti.devices[0].plaintexts)) == 1


def test_a_message_whose_file_was_changed_meanwhile_still_says_the_same(sender, s3):
    wired, planned = sender.wired, sender.plan()
    wired.network.lose_acks = 1
    wired.deliver(planned)
    s3.put_object(Bucket="files", Key=ATTACHMENT.key, Body=PDF + b" another")
    wired.deliver(wired.stored(planned))
    assert len(set(wired.siti.devices[0].plaintexts)) == 1


class SlowBucket:
    """Reads a file when it may. `entered`: released by each that begins to."""

    name = "files"

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.entered, self.may_go_on = Semaphore(0), Event()

    def read(self, attachment: Attachment) -> Any:
        self.entered.release()
        assert self.may_go_on.wait(60)
        return self._bucket.read(attachment)


@pytest.mark.parametrize(("at_a_time", "outcome"), [(2, "parked"), (3, "sent")])
def test_lanes_hold_two_files_in_memory_and_who_waits_too_long_is_parked(
    account, bucket, monkeypatch, at_a_time, outcome
):
    """Ten at a time would take more memory than the function has, and the whole batch would die with it."""
    monkeypatch.setattr(uploads, "BUSY_SECONDS", 0)
    if at_a_time != 2:
        monkeypatch.setattr(uploads, "_files", BoundedSemaphore(at_a_time))
    slow = SlowBucket(bucket)
    sender = Sender(account, slow)
    planned = [sender.plan(number) for number in (1, 2, 3)]
    with ThreadPoolExecutor(2) as threads:
        others = [threads.submit(sender.wired.deliver, one) for one in planned[:2]]
        assert all(slow.entered.acquire(timeout=60) for _ in others)
        if outcome == "sent":
            slow.may_go_on.set()
        third = sender.wired.deliver(planned[2])
        slow.may_go_on.set()
        assert [other.result().outcome for other in others] == ["sent", "sent"]
    assert third.outcome == outcome


def test_a_second_recipient_of_a_file_gets_the_same_upload_under_another_id(sender):
    first, second = sender.plan(1), sender.plan(2)
    sender.wired.deliver(first)
    sender.restart()
    sender.wired.deliver(second)
    assert len(sender.wired.network.uploads) == 1
    one, other = sender.messages()
    assert one == other


def test_an_upload_is_shared_for_some_days_only(sender):
    sender.wired.deliver(sender.plan(1))
    sender.wired.paired.now += SHARED_SECONDS
    sender.wired.deliver(sender.plan(2))
    assert len(sender.wired.network.uploads) == 2


def test_a_message_sent_again_after_weeks_describes_an_upload_that_can_still_be_fetched(sender):
    wired, planned = sender.wired, sender.plan()
    uploads, account = wired.paired.uploads(), wired.transport.account(ACCOUNT)
    first = uploads.of_message(account, planned.message_id, ATTACHMENT)
    wired.paired.now += FRESH_SECONDS - 1
    assert uploads.of_message(account, planned.message_id, ATTACHMENT) == first
    wired.paired.now += 1
    fresh = uploads.of_message(account, planned.message_id, ATTACHMENT)
    assert fresh.direct_path != first.direct_path
    assert fresh.file_sha256 == first.file_sha256
    # What a retry receipt gets from now on, too.
    assert sent_upload(account, planned.message_id) == fresh


def test_a_file_that_changed_is_uploaded_anew(sender, s3):
    sender.wired.deliver(sender.plan(1))
    s3.put_object(Bucket="files", Key=ATTACHMENT.key, Body=PDF + b" another")
    sender.wired.deliver(sender.plan(2))
    assert len(sender.wired.network.uploads) == 2


def test_whoever_decides_second_sends_what_the_first_decided(sender):
    wired, planned = sender.wired, sender.plan()
    uploads = wired.paired.uploads()
    account = wired.transport.account(ACCOUNT)

    def meanwhile(kind: str, blob: bytes) -> None:
        wired.network.on_upload = lambda kind, blob: None
        uploads.of_message(account, planned.message_id, ATTACHMENT)

    wired.network.on_upload = meanwhile
    mine = uploads.of_message(account, planned.message_id, ATTACHMENT)
    assert mine == uploads.of_message(account, planned.message_id, ATTACHMENT)


def test_a_retry_receipt_is_answered_with_the_very_same_message(sender, s3):
    wired = sender.wired
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    wired.deliver(sender.plan(2))
    s3.delete_object(Bucket="files", Key=ATTACHMENT.key)
    wired.network.uploads.clear()
    [report] = wired.answer_retries()
    assert report.outcome == "resent"
    assert wired.siti.devices[0].plaintexts[-1] == wired.siti.devices[1].plaintexts[-1]
    assert wired.network.uploads == []
    again = wired.network.messages[-1]
    assert (again.attr_str("type"), again.require_child("enc").attrs["mediatype"]) == ("media", "document")


def test_a_retry_receipt_for_an_upload_that_is_forgotten_is_refused_by_name(sender):
    wired = sender.wired
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    planned = sender.plan(2)
    wired.deliver(planned)
    wired.aws.keys_table.delete(Delete(upload_key(ACCOUNT, f"message#{planned.message_id}")))
    assert [report.outcome for report in wired.answer_retries()] == ["upload-forgotten"]


def test_the_key_of_an_upload_lies_in_the_table_sealed(sender):
    sender.wired.deliver(sender.plan())
    key = sender.messages()[0].document_with_caption.message.document.media_key
    items = everything_in(sender.wired.aws.keys_table)
    assert any(item["pk"] == f"upload#{ACCOUNT}" for item in items)
    assert key.hex() not in repr(items)
    assert repr(key)[2:-1] not in repr(items)


# -- what fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "outcome"), [(UploadFailed("busy"), "retry"), (UploadRefused("413"), "failed")]
)
def test_an_upload_that_fails_takes_no_number_and_its_class_decides(sender, error, outcome):
    planned = sender.plan()
    sender.wired.network.upload_error = error
    verdict = sender.wired.deliver(planned)
    assert (verdict.outcome, verdict.cause) == (outcome, error.code)
    assert sender.wired.stored(planned).attempts[-1].numbers == {}


def test_a_missing_file_is_a_dead_letter_with_its_reason_and_its_text_arrived(sender):
    wired = sender.wired
    text = wired.tell(1)
    planned = sender.plan(2, attachment=replace(ATTACHMENT, key="nothing.pdf"))
    assert wired.deliver(planned).outcome == "failed"
    assert wired.stored(text).state is State.SENT
    assert wired.stored(planned).last_error.code == "attachment-missing"
    [letter] = wired.aws.messages("dead-letters")
    assert letter["reason"] == "attachment-missing"


def test_a_bucket_that_is_away_is_tried_again(bucket, monkeypatch):
    from botocore.exceptions import ConnectTimeoutError

    def away(**_):
        raise ConnectTimeoutError(endpoint_url="s3")

    client = type("Client", (), {"get_object": staticmethod(away)})
    failure = refusal(Bucket(client, "files"))
    assert (type(failure), failure.code) == (Retry, "attachments-away")
