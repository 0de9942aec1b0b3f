"""The handler of the receipts queue, wired as in Lambda: batches, what fails of them, and what is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from tests.support.handlers import Context, load
from tests.support.wired_functions import WiredFunctions, receipt_of
from tests.support.wired_steps import requests_of
from tocsin.bootstrap.record_receipts import receipts
from tocsin.connector.forwarding.stanza import Origin, pack_receipts
from tocsin.dynamo.errors import Contention
from tocsin.notify.config import Environment, MissingVariable, ReceiptsConfig
from tocsin.notify.notification import Notification, State
from tocsin.notify.redelivery import Redelivery
from tocsin.notify.store.stores import Stores
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node


@pytest.fixture
def app(wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "record_receipts")
    module = load("record_receipts")
    config = ReceiptsConfig.read(
        Environment(
            {
                "KEYS_TABLE": wired.aws.keys,
                "NOTIFICATIONS_TABLE": wired.aws.notifications,
                "SEALING_SECRET_ARN": "unused",
                "RECEIPTS_QUEUE_URL": wired.aws.queues["receipts"],
                "STANZAS_QUEUE_URL": wired.aws.queues["stanzas"],
            }
        )
    )
    parts = receipts(
        config, dynamodb=wired.aws.dynamodb, sqs=wired.aws.sqs, sealer=lambda: wired.paired.sealer
    )
    redelivery = Redelivery(wired.aws.sqs, config.receipts_queue_url)
    monkeypatch.setattr(module, "recorder", lambda: (parts, redelivery))
    yield module
    logging.getLogger("tocsin").handlers = []


def body_of(wired: WiredFunctions, nodes: Sequence[Node], *, incarnation: int | None = None) -> str:
    """Receipts as the connector puts them into the queue."""
    origin = Origin("default", incarnation or wired.paired.profile.incarnation, 1)
    at = int(wired.paired.now * 1000)
    return pack_receipts([(encode(node), at) for node in nodes], origin).body


def enqueued(wired: WiredFunctions, body: str, receives: int = 1) -> dict[str, Any]:
    """A message as the event source mapping delivers it."""
    url = wired.aws.queues["receipts"]
    wired.aws.sqs.send_message(QueueUrl=url, MessageBody=body)
    [message] = wired.aws.sqs.receive_message(QueueUrl=url)["Messages"]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSource": "aws:sqs",
    }


def received(wired: WiredFunctions, *nodes: Node) -> dict[str, Any]:
    return enqueued(wired, body_of(wired, nodes))


def both_of(wired: WiredFunctions, notification: Notification) -> list[Node]:
    """What a phone says of a message that is read at once."""
    return [receipt_of(wired.siti, notification.message_id, kind) for kind in (None, "read")]


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_many_receipts_in_many_messages_are_recorded(app: ModuleType, wired: WiredFunctions) -> None:
    told = [wired.tell(number) for number in range(1, 4)]
    records = [received(wired, *both_of(wired, notification)) for notification in told]
    assert failed(app.lambda_handler({"Records": records}, Context())) == []
    assert [wired.stored(notification).state for notification in told] == [State.READ] * 3


def test_what_is_delivered_and_read_within_a_moment_costs_one_read_and_a_write_each_for_it_and_its_person(
    app: ModuleType, wired: WiredFunctions
) -> None:
    app.lambda_handler({"Records": [received(wired, *both_of(wired, wired.tell(1)))]}, Context())
    record = received(wired, *both_of(wired, wired.tell(2)))
    counted = requests_of(wired, lambda: app.lambda_handler({"Records": [record]}, Context()))
    assert counted == {"BatchGetItem": 1, "UpdateItem": 2}


def test_a_bad_message_keeps_no_other_one_waiting(app: ModuleType, wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    bad = [enqueued(wired, body) for body in ("{", "[]", '{"v": 1}', '{"v": 1, "account": 5}')]
    good = received(wired, *both_of(wired, notification))
    assert failed(app.lambda_handler({"Records": [*bad, good]}, Context())) == []
    assert wired.stored(notification).state is State.READ


def test_a_message_of_a_newer_connector_stays_in_the_queue(app: ModuleType, wired: WiredFunctions) -> None:
    newer = enqueued(wired, json.dumps({"v": 2, "receipts": "in another form"}))
    good = received(wired, *both_of(wired, wired.tell(1)))
    assert failed(app.lambda_handler({"Records": [newer, good]}, Context())) == [newer["messageId"]]


def test_what_can_not_be_recorded_now_comes_again_and_soon(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = received(wired, *both_of(wired, wired.tell(1)))

    def contended(*_: object, **__: object) -> None:
        raise Contention("somebody holds it")

    with monkeypatch.context() as patch:
        patch.setattr("tocsin.multidevice.inbound.receipts.note", contended)
        assert failed(app.lambda_handler({"Records": [record]}, Context())) == [record["messageId"]]
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []


def test_where_the_tables_are_away_all_messages_come_again(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [received(wired, *both_of(wired, wired.tell(number))) for number in (1, 2)]

    def away(*_: object) -> None:
        raise Contention("keys stayed unread")

    monkeypatch.setattr("tocsin.notify.store.stores.Stores.batch_get_for_receipts", away)
    answer = app.lambda_handler({"Records": records}, Context())
    assert failed(answer) == [record["messageId"] for record in records]


def test_what_there_is_no_time_for_comes_again(app: ModuleType, wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    record = received(wired, *both_of(wired, notification))
    late = Context(remaining_millis=1000)
    assert failed(app.lambda_handler({"Records": [record]}, late)) == [record["messageId"]]
    assert wired.stored(notification).state is State.SENT


class RunningContext(Context):
    """Time that passes: two seconds each time when somebody looks."""

    def get_remaining_time_in_millis(self) -> int:
        self.remaining_millis -= 2000
        return self.remaining_millis


@pytest.mark.parametrize(("together", "gets_on"), [(2, True), (100, False)])
def test_a_batch_for_which_there_is_no_time_gets_on_where_little_is_taken_in_at_a_time(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch, together: int, gets_on: bool
) -> None:
    monkeypatch.setattr("tocsin.multidevice.inbound.receipt_messages.TOGETHER", together)
    told = [wired.tell(number) for number in range(1, 13)]
    records = [received(wired, *both_of(wired, notification)) for notification in told]
    left = failed(app.lambda_handler({"Records": records}, RunningContext(remaining_millis=20_000)))
    assert (len(left) < len(records)) is gets_on
    done = [wired.stored(notification).state is State.READ for notification in told]
    assert done == [record["messageId"] not in left for record in records]


def test_what_was_recorded_stays_so_when_the_tables_go_away(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.multidevice.inbound.receipt_messages.TOGETHER", 2)
    told = [wired.tell(number) for number in (1, 2)]
    records = [received(wired, *both_of(wired, notification)) for notification in told]
    read = Stores.batch_get_for_receipts
    answers = iter([read])

    def once(*asked: Any) -> Any:
        answer = next(answers, None)
        if answer is None:
            raise Contention("keys stayed unread")
        return answer(*asked)

    monkeypatch.setattr(Stores, "batch_get_for_receipts", once)
    assert failed(app.lambda_handler({"Records": records}, Context())) == [records[1]["messageId"]]
    assert [wired.stored(notification).state for notification in told] == [State.READ, State.SENT]


def test_one_line_and_one_metric_record_tell_of_a_batch(
    app: ModuleType,
    wired: WiredFunctions,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    notifications = [wired.tell(number) for number in (1, 2, 3)]
    records = [received(wired, *both_of(wired, notification)) for notification in notifications]
    caplog.clear()
    capsys.readouterr()
    app.lambda_handler({"Records": records}, Context())
    [metrics] = [line for line in told(capsys) if "_aws" in line]
    assert metrics["NotificationsDelivered"] == metrics["NotificationsRead"] == [3.0]
    # Other functions' loggers may hand the same record to the capture twice.
    [line] = {id(line): vars(line) for line in caplog.records if line.name == "record_receipts"}.values()
    assert (line["messages"], line["receipts"]) == (3, 6)
    ids = [notification.id for notification in notifications]
    assert line["notifications"] == {"delivered": ids, "read": ids}


def test_receipts_out_of_order_leave_what_reached_a_person_last_the_last(
    app: ModuleType, wired: WiredFunctions
) -> None:
    bodies = []
    for number in (1, 2):
        last = wired.tell(number)
        bodies.append(body_of(wired, both_of(wired, last)))
        wired.paired.now += 1
    for body in reversed(bodies):
        assert failed(app.lambda_handler({"Records": [enqueued(wired, body)]}, Context())) == []
    person = wired.stores.people.find("default", f"{wired.siti.phone}@s.whatsapp.net")
    assert person.last_notification == last.id


def test_logs_hold_no_number(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = receipt_of(wired.siti, "3EB0" + "AB" * 9)
    app.lambda_handler({"Records": [received(wired, strange)]}, Context())
    assert wired.siti.phone not in capsys.readouterr().out


def test_receipts_of_an_earlier_pairing_count_for_nothing(app: ModuleType, wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    body = body_of(wired, both_of(wired, notification), incarnation=7)
    assert failed(app.lambda_handler({"Records": [enqueued(wired, body)]}, Context())) == []
    assert wired.stored(notification).state is State.SENT


def test_a_receipt_of_our_own_device_is_done_and_looks_nothing_up(
    app: ModuleType, wired: WiredFunctions
) -> None:
    notification = wired.tell(1)
    app.lambda_handler({"Records": [received(wired, *both_of(wired, notification))]}, Context())
    attrs = {"id": wired.tell(2).message_id, "from": wired.paired.own.devices[0].jid, "type": "sender"}
    record = received(wired, Node("receipt", attrs))
    counted = requests_of(wired, lambda: app.lambda_handler({"Records": [record]}, Context()))
    assert counted == {}


def test_it_says_which_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEYS_TABLE", "NOTIFICATIONS_TABLE", "SEALING_SECRET_ARN", "STANZAS_QUEUE_URL"):
        monkeypatch.setenv(name, "set")
    monkeypatch.delenv("RECEIPTS_QUEUE_URL", raising=False)
    with pytest.raises(MissingVariable, match="RECEIPTS_QUEUE_URL"):
        load("record_receipts").recorder()
