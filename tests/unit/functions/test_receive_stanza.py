"""The receiving handler, wired as in Lambda but for the socket: batches, order, and what is deferred."""

from __future__ import annotations

import json
import logging
import time
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_aws import AwsAccount
from tests.support.fake_whatsapp import message_from
from tests.support.handlers import Context, load
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tocsin.bootstrap.receive_stanza import inbound
from tocsin.connector_client.errors import ConnectorAway, LeaseUntrusted
from tocsin.multidevice.inbound.stanzas import Handled, Stanzas
from tocsin.notify.config import Environment, ReceiveConfig
from tocsin.notify.lanes import Record
from tocsin.notify.notification import State
from tocsin.notify.redelivery import MAX_RECEIVES, RECEIVES_BEFORE_RENEWAL, Redelivery
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node


@pytest.fixture
def wired(account: AwsAccount) -> WiredFunctions:
    wired = WiredFunctions(account.furnish())
    wired.paired.now = time.time()
    return wired


@pytest.fixture
def app(wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "receive_stanza")
    module = load("receive_stanza")
    config = ReceiveConfig.read(
        Environment(
            {
                "KEYS_TABLE": wired.aws.keys,
                "NOTIFICATIONS_TABLE": wired.aws.notifications,
                "SEALING_SECRET_ARN": "unused",
                "TEXTS_SECRET_ARN": "unused",
                "STANZAS_QUEUE_URL": wired.aws.queues["stanzas"],
                "NOTIFICATIONS_QUEUE_URL": wired.aws.queues["notifications"],
                "DEAD_LETTERS_QUEUE_URL": wired.aws.queues["dead-letters"],
            }
        )
    )
    parts = inbound(
        config,
        dynamodb=wired.aws.dynamodb,
        sqs=wired.aws.sqs,
        sealer=lambda: wired.paired.sealer,
        texts=TEXTS,
        connector=wired.network,
        lease=lambda account: wired.paired.lease,
    )
    redelivery = Redelivery(wired.aws.sqs, config.stanzas_queue_url)
    receiver = Stanzas(parts, redelivery), redelivery
    monkeypatch.setattr(module, "receiver", lambda: receiver)
    yield module
    logging.getLogger("tocsin").handlers = []


def enqueued(
    wired: WiredFunctions, node: Node, group: str = "default#1234@lid", receives: int = 1
) -> dict[str, Any]:
    """A stanza as the event source mapping delivers it, which would have deleted what was handled before."""
    url = wired.aws.queues["stanzas"]
    sent = wired.aws.sqs.send_message(
        QueueUrl=url,
        MessageBody=wired.envelope(node),
        MessageGroupId=f"{group}{time.monotonic_ns()}",  # so that moto hands it out at once
        MessageDeduplicationId=str(time.monotonic_ns()),
    )
    seen = wired.aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    [message] = [one for one in seen if one["MessageId"] == sent["MessageId"]]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": str(receives), "MessageGroupId": group},
        "eventSource": "aws:sqs",
    }


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_receipt_moves_the_notification(app: ModuleType, wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    record = enqueued(wired, receipt_of(wired.siti, notification.message_id))
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    assert wired.stored(notification).state is State.DELIVERED


def test_a_retry_receipt_heals(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    wired.tell(2)
    record = enqueued(wired, wired.network.retries.pop())
    app.lambda_handler({"Records": [record]}, Context())
    assert texts(wired.siti.devices[0]) == ["Tiket 1", "Tiket 2"]
    assert '"cause":"bad-mac"' in capsys.readouterr().out.replace(" ", "")


@pytest.mark.parametrize("away", [ConnectorAway("gone"), LeaseUntrusted("the lease is unsealed")])
def test_what_needs_the_connector_is_put_off_and_its_sender_with_it(
    app: ModuleType, wired: WiredFunctions, away: Exception
) -> None:
    notification = wired.tell(1)
    device = wired.siti.devices[0]
    first = enqueued(wired, message_from(device, wired.siti, "R1", "satu"))
    second = enqueued(wired, message_from(device, wired.siti, "R2", "dua"))
    other = enqueued(wired, receipt_of(wired.siti, notification.message_id), group="default#other")
    wired.network.away = away
    answer = app.lambda_handler({"Records": [first, second, other]}, Context())
    assert failed(answer) == [first["messageId"], second["messageId"]]
    assert wired.stored(notification).state is State.DELIVERED


@pytest.fixture
def given_back(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """In how many seconds each handle comes again, by what the function told the queue last."""
    seconds: dict[str, float] = {}

    def note(self: Redelivery, handles: list[str], after: float) -> None:
        seconds.update(dict.fromkeys(handles, after))

    monkeypatch.setattr(Redelivery, "give_back", note)
    return seconds


def test_what_waits_behind_a_deferred_stanza_comes_again_with_it(
    app: ModuleType, wired: WiredFunctions, given_back: dict[str, float]
) -> None:
    wired.tell(1)
    device = wired.siti.devices[0]
    records = [enqueued(wired, message_from(device, wired.siti, f"R{n}", "satu"), receives=2) for n in "12"]
    wired.network.away = ConnectorAway("gone")
    app.lambda_handler({"Records": records}, Context())
    assert given_back == {record["receiptHandle"]: 2 for record in records}


def broken(
    app: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    error: type[Exception] = ZeroDivisionError,
) -> None:
    """Have one stanza meet a bug, or what else `error` is."""
    stanzas, _ = app.receiver()
    handle = stanzas.handle

    def breaking(record: Record, *, alone: bool) -> Handled:
        handled: Handled = handle(record, alone=alone)
        if record.body == body and not handled.is_postponed:
            raise error
        return handled

    monkeypatch.setattr(stanzas, "handle", breaking)


def test_after_a_bug_a_stanza_and_what_follows_it_come_again_soon(
    app: ModuleType, wired: WiredFunctions, given_back: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    notification = wired.tell(1)
    records = [
        enqueued(wired, receipt_of(wired.siti, notification.message_id, kind)) for kind in (None, "read")
    ]
    broken(app, monkeypatch, records[0]["body"])
    answer = app.lambda_handler({"Records": records}, Context())
    assert failed(answer) == [record["messageId"] for record in records]
    assert given_back == {record["receiptHandle"]: 1 for record in records}


def test_what_waited_behind_a_stanza_that_is_buried_is_not_buried_with_it(
    app: ModuleType, wired: WiredFunctions, given_back: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    notification = wired.tell(1)
    records = [
        enqueued(wired, receipt_of(wired.siti, notification.message_id, kind), receives=MAX_RECEIVES)
        for kind in (None, "read")
    ]
    broken(app, monkeypatch, records[0]["body"], ConnectionError)
    assert failed(app.lambda_handler({"Records": records}, Context())) == [records[0]["messageId"]]
    assert wired.aws.messages("stanzas") == [json.loads(records[1]["body"])], "its copy"


def test_what_is_done_is_deleted_before_a_stanza_that_may_kill_is_tried(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed says nothing, and the queue would bring back what it had done."""
    device = wired.siti.devices[0]
    wired.tell(1)
    suspect = enqueued(wired, message_from(device, wired.siti, "R1", "satu"), "default#a", receives=3)
    other = enqueued(wired, message_from(device, wired.siti, "R2", "dua"), "default#b")
    happened: list[str] = []
    forget, handle = Redelivery.forget, wired.network.send

    def forgetting(self: Redelivery, handles: list[str]) -> None:
        happened.extend("deleted" for each in handles if each == other["receiptHandle"])
        forget(self, handles)

    def confirming(profile: Any, node: Node) -> None:
        happened.append(str(node.attrs["id"]))
        handle(profile, node)

    monkeypatch.setattr(Redelivery, "forget", forgetting)
    monkeypatch.setattr(wired.network, "send", confirming)
    assert failed(app.lambda_handler({"Records": [suspect, other]}, Context())) == []
    assert happened == ["R2", "deleted", "R1"]


def test_what_there_is_no_time_for_is_not_begun_and_comes_again_at_once(
    app: ModuleType, wired: WiredFunctions, given_back: dict[str, float]
) -> None:
    notification = wired.tell(1)
    context = Context()
    left = iter([100_000, 60_000, 40_000])
    context.get_remaining_time_in_millis = lambda: next(left)  # type: ignore[method-assign]
    records = [
        enqueued(wired, receipt_of(wired.siti, notification.message_id, kind)) for kind in (None, "read")
    ]
    answer = app.lambda_handler({"Records": records}, context)
    assert failed(answer) == [records[1]["messageId"]]
    assert wired.stored(notification).state is State.DELIVERED
    assert given_back == {records[1]["receiptHandle"]: 0}


def test_a_queue_that_takes_nothing_back_undoes_nothing(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError

    notification = wired.tell(1)
    monkeypatch.setattr(Redelivery, "give_back", away)
    records = [
        enqueued(wired, receipt_of(wired.siti, notification.message_id, kind)) for kind in (None, "read")
    ]
    broken(app, monkeypatch, records[1]["body"])
    assert failed(app.lambda_handler({"Records": records}, Context())) == [records[1]["messageId"]]


def test_a_stanza_that_only_waits_is_never_buried_as_one_that_crashes(
    app: ModuleType, wired: WiredFunctions
) -> None:
    wired.tell(1)
    node = message_from(wired.siti.devices[0], wired.siti, "R1", "satu")
    wired.network.away = ConnectorAway("gone")
    record = enqueued(wired, node, receives=RECEIVES_BEFORE_RENEWAL + 1)
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    wired.aws.sqs.delete_message(QueueUrl=wired.aws.queues["stanzas"], ReceiptHandle=record["receiptHandle"])
    assert wired.aws.messages("stanzas") == [json.loads(record["body"])]


def test_a_malformed_record_is_done_and_the_rest_goes_on(app: ModuleType, wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    bad = {**enqueued(wired, Node("call")), "body": "{"}
    good = enqueued(wired, receipt_of(wired.siti, notification.message_id))
    assert failed(app.lambda_handler({"Records": [bad, good]}, Context())) == []
    assert wired.stored(notification).state is State.DELIVERED


def hostile(wired: WiredFunctions) -> dict[str, Node]:
    """Values that no table, clock or queue can hold, each in a stanza that is well otherwise."""
    message_id, device = wired.tell(1).message_id, wired.siti.devices[0]
    receipt = receipt_of(wired.siti, message_id)
    far = JID("1" * 3000, LID)
    attrs = {"id": "N", "from": wired.siti.user, "t": "1"}
    return {
        "message id": message_from(device, wired.siti, "A" * 3000, "STOP"),
        "message t": message_from(device, wired.siti, "M", "STOP", t="9" * 18),
        "resend count": message_from(device, wired.siti, "M", "STOP", count="9" * 18),
        "receipt t": Node("receipt", {**receipt.attrs, "t": "9" * 18}),
        "receipt from": Node("receipt", {**receipt.attrs, "from": far}),
        "call from": Node("call", {**attrs, "from": far}),
        "devices": Node("notification", {**attrs, "type": "devices", "lid": far}, (Node("update"),)),
    }


@pytest.mark.parametrize(
    "name",
    ["message id", "message t", "resend count", "receipt t", "receipt from", "call from", "devices"],
)
def test_a_stanza_beyond_all_bounds_is_done_and_no_bug(
    app: ModuleType, wired: WiredFunctions, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = enqueued(wired, hostile(wired)[name])
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    assert "Bugs" not in measured(capsys)


def test_logs_hold_neither_text_nor_number(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.tell(1)
    record = enqueued(wired, message_from(wired.siti.devices[0], wired.siti, "R1", "rahasia"))
    app.lambda_handler({"Records": [record]}, Context())
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert "rahasia" not in told
    assert wired.siti.phone not in told


def measured(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics that were printed (EMF), by name; those with dimensions as (side, cause)."""
    found: dict[str, Any] = {}
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        for group in told.get("_aws", {}).get("CloudWatchMetrics", ()):
            dimensions = {name for names in group["Dimensions"] for name in names}
            for metric in group["Metrics"]:
                value = told[metric["Name"]]
                found[metric["Name"]] = (told["side"], told["cause"]) if "cause" in dimensions else value
    return found


def test_a_recovery_is_measured_by_cause_with_success_and_time(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    notification = wired.tell(2)
    app.lambda_handler({"Records": [enqueued(wired, wired.network.retries.pop())]}, Context())
    assert measured(capsys)["Recoveries"] == ("theirs", "bad-mac")
    app.lambda_handler(
        {"Records": [enqueued(wired, receipt_of(wired.siti, notification.message_id))]}, Context()
    )
    healed = measured(capsys)
    assert healed["RecoveriesHealed"] == ("theirs", "bad-mac")
    assert healed["RecoverySuccess"] == [100.0]
    assert 0 <= healed["SecondsToHeal"][0] < 60


def test_a_recovery_that_was_given_up_counts_against_the_rate(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.tell(1)
    wired.siti.devices[0].receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    wired.tell(2)
    for _ in range(6):
        capsys.readouterr()
        app.lambda_handler({"Records": [enqueued(wired, wired.network.retries.pop())]}, Context())
    given_up = measured(capsys)
    assert given_up["RecoveriesGivenUp"] == ("theirs", "bad-mac")
    assert given_up["RecoverySuccess"] == [0.0]
