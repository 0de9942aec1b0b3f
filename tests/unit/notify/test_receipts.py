"""What a transport reports of a notification: forward only, each one's word once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification
from tests.support.sealed_texts import TEXTS
from tocsin.notify.content import Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import Notification, State
from tocsin.notify.queues import DeadLettersQueue
from tocsin.notify.receipts import MAX_RECEIPTS, Receipts
from tocsin.notify.store.stores import Stores

NOW = 1_800_000_000
AT = NOW * 1000 + 5000
N = a_notification(
    id="ab" * 9,
    content=Text("Tiket TCK-1 dibuat"),
    created_at=NOW * 1000,
    expires_at=(NOW + 86400) * 1000,
)


class Scene:
    """A notification that was sent, and one that was only planned."""

    def __init__(self, aws: MemoryAws) -> None:
        self.aws = aws
        self.stores = Stores(aws.notifications_table, texts=TEXTS, clock=lambda: float(NOW))
        self.sent, self.planned = N, replace(N, id="cd" * 9, ticket_id="TCK-2")
        self.stores.notifications.put_new(self.sent)
        self.stores.notifications.put_new(self.planned)
        self.stores.notifications.mark_sent(self.sent.id, {}, at=NOW * 1000 + 1000, account="default")
        letters = DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])
        self.receipts = Receipts(self.stores, DeadLetters(self.stores, letters))

    @property
    def notification(self) -> Notification:
        stored = self.stores.notifications.get(self.sent.id)
        assert stored is not None
        return stored


@pytest.fixture
def scene() -> Scene:
    return Scene(MemoryAws())


def test_a_receipt_moves_the_state_once(scene: Scene) -> None:
    assert scene.receipts.delivered(scene.sent.id, AT, by="phone")
    assert not scene.receipts.delivered(scene.sent.id, AT + 1, by="phone")
    assert scene.notification.delivered_at == AT


def test_another_device_s_word_is_kept_beside_the_first(scene: Scene) -> None:
    scene.receipts.delivered(scene.sent.id, AT, by="phone")
    scene.receipts.delivered(scene.sent.id, AT + 1, by="tablet")
    assert scene.notification.receipts == {"phone delivered": AT, "tablet delivered": AT + 1}


def test_a_late_delivery_does_not_undo_the_reading(scene: Scene) -> None:
    scene.receipts.read(scene.sent.id, AT, by="phone")
    scene.receipts.delivered(scene.sent.id, AT + 1, by="tablet")
    assert scene.notification.state is State.READ


def test_a_receipt_from_before_the_ack_counts_from_the_ack(scene: Scene) -> None:
    scene.receipts.delivered(scene.sent.id, AT - 60_000, by="phone")
    assert scene.notification.delivered_at == scene.notification.sent_at


def test_a_full_history_takes_no_more_receipts(scene: Scene) -> None:
    for number in range(MAX_RECEIPTS + 1):
        scene.receipts.delivered(scene.sent.id, AT, by=f"phone {number}")
    assert len(scene.notification.receipts) == MAX_RECEIPTS


def test_a_report_of_what_is_gone_is_ignored(scene: Scene) -> None:
    assert not scene.receipts.delivered("00" * 9, AT, by="phone")
    assert not scene.receipts.failed("00" * 9, Permanent("bounced"), AT)


def test_what_was_not_sent_can_not_fail_by_a_report(scene: Scene) -> None:
    assert not scene.receipts.failed(scene.planned.id, Permanent("bounced"), AT)
    assert scene.aws.messages("dead-letters") == []
