"""A newer version over the tables of an older one: every record is read, and what it began goes on."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support.fake_whatsapp import message_from
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT, Stage
from tests.support.stored_records import FrozenStage, frozen, frozen_table
from tests.support.wired_functions import House, receipt_of
from tocsin.accounts.lease import read_lease
from tocsin.accounts.limits import read_limits
from tocsin.accounts.operator_requests import asked_accounts, read_control
from tocsin.accounts.served_accounts import added_accounts
from tocsin.keys.high_water_mark import read_high_water_mark
from tocsin.multidevice.identity import tell_change
from tocsin.notify.content import Attachment, Edit, File, Preview, Reaction, Text
from tocsin.notify.delivery import Verdict
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.threads import Thread

AROUND = frozen("around")
NAMES: dict[str, str] = AROUND["notifications"]
NOW: int = AROUND["now"]
SITI = "6281234567890@s.whatsapp.net"
OPTED_OUT = "6281399990000@s.whatsapp.net"
GROUP: str = AROUND["group"]
STATES = {
    "planned": State.PLANNED,
    "waiting": State.WAITING,
    "waiting until": State.WAITING,
    "sent": State.SENT,
    "overdue": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.READ,
    "failed": State.FAILED,
    "suppressed": State.SUPPRESSED,
}


class UpgradedHouse(House):
    """The functions of this version on the tables of the older one."""

    def _stage_on(self, aws: Any) -> tuple[Stage, Stores]:
        stores = Stores(aws.notifications_table, aws.keys_table, clock=lambda: stage.now)
        stage = FrozenStage(
            aws.keys_table,
            lambda keys, change: tell_change(stores, keys, change, clock=lambda: stage.now),
        )
        return stage, stores

    def named(self, name: str) -> Notification:
        found = self.stores.notifications.get(NAMES[name])
        assert found is not None
        return found


@pytest.fixture
def house() -> UpgradedHouse:
    return UpgradedHouse(MemoryAws(frozen_table("notifications"), frozen_table("keys")))


# -- what is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_a_notification_of_each_state_is_read(house: UpgradedHouse, name: str, state: State) -> None:
    assert house.named(name).state is state


def test_contents_are_read_as_what_they_were(house: UpgradedHouse) -> None:
    first = house.named("read")
    quoting, linking = house.named("quote").content, house.named("preview").content
    assert isinstance(quoting, Text)
    assert quoting.quote is not None
    assert (quoting.quote.message_id, quoting.quote.text) == (first.message_id, "Tiket 1")
    assert isinstance(linking, Text)
    assert linking.preview == Preview("https://t.example/1", "No internet", "since 09:00")
    assert house.named("file").content == File(
        Attachment("tickets/1.pdf", "plan.pdf", "application/pdf"), "tiket Anda"
    )
    created_at = house.named("edit").created_at
    assert house.named("edit").content == Edit(first.message_id, "sudah selesai", created_at)
    assert house.named("reaction").content == Reaction("R2", "👍", created_at)
    assert house.named("group reaction").content == Reaction("R9", "👍", created_at, "1234@lid")


def test_history_receipts_and_recoveries_are_read(house: UpgradedHouse) -> None:
    read, failed, recovered = house.named("read"), house.named("failed"), house.named("sent")
    assert read.attempts[0].cause == "sent"
    assert {key.rpartition(" ")[2] for key in read.receipts} == {"delivered", "read"}
    assert [attempt.cause for attempt in failed.attempts] == ["ack-timeout", "not-on-whatsapp"]
    assert failed.last_error is not None
    assert failed.last_error.code == "not-on-whatsapp"
    assert [recovery.served for recovery in recovered.recoveries.values()] == [1]


def test_what_is_kept_of_recipients_is_read(house: UpgradedHouse) -> None:
    recipients = house.stores.recipients
    assert recipients.conduct(ACCOUNT, SITI).last_notification == NAMES["delivered"]
    assert recipients.conduct(ACCOUNT, OPTED_OUT).opt_out_word == "stop"
    assert recipients.conduct(ACCOUNT, OPTED_OUT).confirmed_at is not None
    assert recipients.conduct(ACCOUNT, "6281388880000@s.whatsapp.net").heard_at == NOW * 1000
    assert [change["device"] for change in recipients.identity_changes(ACCOUNT, "1234@lid")] == [1]
    assert recipients.count_recovery_in_hour(ACCOUNT, SITI, NOW * 1000) > 1


def test_replies_threads_and_recoveries_are_read(house: UpgradedHouse) -> None:
    stores, first = house.stores, NAMES["read"]
    replies = stores.replies.about(ACCOUNT, SITI, NAMES["delivered"])
    assert [reply["text"] for reply in replies] == ["masih rusak", "baru"]
    assert stores.threads.get(ACCOUNT, SITI, "TCK-1") == Thread(first, first, house.named("read").created_at)
    records = list(stores.recoveries.of_days(ACCOUNT, 1, NOW * 1000))
    assert [(record.side, record.cause) for record in records] == [
        ("ours", "BadMac"),
        ("theirs", "bad-mac"),
        ("theirs", "no-session"),
    ]


def test_what_lies_in_the_keys_table_is_read(house: UpgradedHouse) -> None:
    keys, table = house.stage.keys, house.stage.table
    lease = read_lease(table, ACCOUNT)
    assert lease is not None
    assert (lease.connector, lease.url) == ("connector-1", "https://127.0.0.1:1")
    assert set(read_limits(table, ACCOUNT, NOW)) == {"first-contacts"}
    assert (read_control(table, ACCOUNT).request, asked_accounts(table)) == ("pair", [ACCOUNT])
    assert keys.account.prekey_count() > 0
    assert keys.sending.read_upload("message#3EB0AA") == b"upload"
    assert keys.groups.known(GROUP) is not None
    assert added_accounts(house.aws.notifications_table) == ["second"]
    assert read_high_water_mark(house.aws.notifications_table, ACCOUNT) is not None


# -- what goes on ----------------------------------------------------------------------------------------


def test_a_planned_one_is_sent_in_the_session_that_is_there(house: UpgradedHouse) -> None:
    assert house.deliver(house.named("planned")) == Verdict("sent")
    for device in house.siti.devices.values():
        assert (device.shown[-1][1], device.failures) == ("Tiket 5", [])
    assert house.network.queries == []


@pytest.mark.parametrize("name", ["quote", "preview", "reaction"])
def test_every_content_is_sent_as_what_it_is(house: UpgradedHouse, name: str) -> None:
    assert house.deliver(house.named(name)) == Verdict("sent")
    assert house.named(name).state is State.SENT
    assert not house.siti.devices[0].failures


def test_receipts_of_what_was_sent_before_count(house: UpgradedHouse) -> None:
    for name, state in (("sent", None), ("overdue", "read"), ("delivered", "read")):
        house.receive(receipt_of(house.siti, house.named(name).message_id, state))
    states = [house.named(name).state for name in ("sent", "overdue", "delivered")]
    assert states == [State.DELIVERED, State.READ, State.READ]


def test_what_was_sent_before_is_sent_again_to_who_cannot_read_it(house: UpgradedHouse) -> None:
    phone, sent = house.siti.devices[1], house.named("sent")
    phone.corrupt()
    house.network.retries.append(house.network.retry_receipt(phone, sent.message_id, "BadMac"))
    assert {report.outcome for report in house.answer_retries()} == {"resent"}
    assert phone.shown[-1][1] == "Tiket 3"


def test_an_answer_is_read_and_belongs_to_what_it_answers(house: UpgradedHouse) -> None:
    house.receive(message_from(house.siti.devices[1], house.siti, "R10", "sudah baik"))
    replies = house.stores.replies.about(ACCOUNT, SITI, NAMES["delivered"])
    assert "sudah baik" in [reply["text"] for reply in replies]


def test_what_waited_is_put_back(house: UpgradedHouse) -> None:
    rows = list(house.stores.parking.waiting(ACCOUNT))
    assert {row.notification for row in rows} == {NAMES["waiting"], NAMES["waiting until"]}
    [row] = [row for row in rows if row.due_at is None]
    assert house.stores.parking.requeue(row.notification, row=row).applied
    assert house.stores.parking.drop_waiting(row)
    assert house.named("waiting").state is State.PLANNED


def test_a_dead_letter_is_redriven_and_sent(house: UpgradedHouse) -> None:
    failed = NAMES["failed"]
    redriven = house.stores.notifications.reset_for_redrive(
        failed, at=(NOW + 60) * 1000, expires_at=NOW + 86_400
    )
    assert redriven.applied
    assert house.deliver(redriven.notification) == Verdict("sent")


def test_who_withdrew_consent_is_left_alone(house: UpgradedHouse) -> None:
    assert not house.stores.recipients.opt_out(ACCOUNT, OPTED_OUT, "stop", NOW * 1000)
    assert house.stores.recipients.opt_in(ACCOUNT, OPTED_OUT)


def test_the_groups_sender_key_goes_on_where_it_was(house: UpgradedHouse) -> None:
    keys, profile = house.stage.keys, house.stage.profile
    reservation = keys.groups.reserve(profile, GROUP)
    assert reservation.staleness is None
    assert reservation.iteration == 1
    assert set(keys.groups.holders(reservation)) == {("1234@lid", 0), ("1234@lid", 1)}
    assert reservation.encrypt(b"next", os.urandom(64))


def test_a_members_sender_key_still_reads_their_messages(house: UpgradedHouse) -> None:
    received = house.stage.keys.groups.receive(
        house.stage.profile.incarnation, GROUP, "8888@lid", 1, "G1", bytes.fromhex(AROUND["skmsg"])
    )
    assert received.plaintext == b"hello group"
