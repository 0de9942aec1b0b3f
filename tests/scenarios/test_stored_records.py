"""A newer version over the tables of an older one: every record is read, and what it began goes on."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_whatsapp import message_from
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT, PairedAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.sealed_texts import TEXTS
from tests.support.stored_records import FrozenStage, frozen, frozen_table
from tests.support.wired_functions import WiredFunctions, receipt_of
from tocsin.accounts.lease import LeaseKeeper, read_lease
from tocsin.accounts.limits import read_limits
from tocsin.accounts.operator_requests import RequestRefused, asked_accounts, open_request, read_request
from tocsin.accounts.served_accounts import added_accounts
from tocsin.accounts.whereabouts import LeaseRefused, read_whereabouts
from tocsin.dynamo.writes import Item
from tocsin.keys.high_water_mark import read_high_water_mark
from tocsin.notify.content import Attachment, Edit, File, Preview, Reaction, Text
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.codec import item_of_notification
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.threads import Thread
from tocsin.notify.verdict import Verdict
from tocsin.tables.notifications import notification_key, waiting_key

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


def numbers_of(item: Item) -> dict[str, int]:
    """The numbers that stand in an item, its moments among them."""
    return {name: value for name, value in item.items() if isinstance(value, int)}


class UpgradedHouse(WiredFunctions):
    """The functions of this version on the tables of the older one."""

    def _paired_on(self, aws: Any) -> tuple[PairedAccount, Stores]:
        stores = Stores(aws.notifications_table, aws.keys_table, texts=TEXTS, clock=lambda: paired.now)
        paired = FrozenStage(aws.keys_table, stores)
        return paired, stores

    def named(self, name: str) -> Notification:
        found = self.stores.notifications.get(NAMES[name])
        assert found is not None
        return found


@pytest.fixture
def wired() -> UpgradedHouse:
    return UpgradedHouse(MemoryAws(frozen_table("notifications"), frozen_table("keys")))


# -- what is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_a_notification_of_each_state_is_read(wired: UpgradedHouse, name: str, state: State) -> None:
    assert wired.named(name).state is state


def test_contents_are_read_as_what_they_were(wired: UpgradedHouse) -> None:
    first = wired.named("read")
    quoting, linking = wired.named("quote").content, wired.named("preview").content
    assert isinstance(quoting, Text)
    assert quoting.quote is not None
    assert (quoting.quote.message_id, quoting.quote.text) == (first.message_id, "Tiket 1")
    assert isinstance(linking, Text)
    assert linking.preview == Preview("https://t.example/1", "No internet", "since 09:00")
    assert wired.named("file").content == File(
        Attachment("tickets/1.pdf", "plan.pdf", "application/pdf"), "tiket Anda"
    )
    created_at = wired.named("edit").created_at
    assert wired.named("edit").content == Edit(first.message_id, "sudah selesai", created_at)
    assert wired.named("reaction").content == Reaction("R2", "👍", created_at)
    assert wired.named("group reaction").content == Reaction("R9", "👍", created_at, "1234@lid")


def test_history_receipts_and_recoveries_are_read(wired: UpgradedHouse) -> None:
    read, failed, recovered = wired.named("read"), wired.named("failed"), wired.named("sent")
    assert read.attempts[0].cause == "sent"
    assert {key.rpartition(" ")[2] for key in read.receipts} == {"delivered", "read"}
    assert [attempt.cause for attempt in failed.attempts] == ["ack-timeout", "not-on-whatsapp"]
    assert failed.last_error is not None
    assert failed.last_error.code == "not-on-whatsapp"
    assert [recovery.served for recovery in recovered.recoveries.values()] == [1]


def test_what_is_kept_of_recipients_is_read(wired: UpgradedHouse) -> None:
    recipients = wired.stores.people
    assert recipients.find(ACCOUNT, SITI).last_notification == NAMES["delivered"]
    assert recipients.find(ACCOUNT, OPTED_OUT).opt_out_word == "stop"
    assert recipients.find(ACCOUNT, OPTED_OUT).confirmed_at is not None
    assert recipients.find(ACCOUNT, "6281388880000@s.whatsapp.net").heard_at == NOW * 1000
    assert [change["device"] for change in wired.stores.identity_changes.of(ACCOUNT, "1234@lid")] == [1]
    assert recipients.count_recovery_in_hour(ACCOUNT, SITI, NOW * 1000) > 1


def test_replies_threads_and_recoveries_are_read(wired: UpgradedHouse) -> None:
    stores, first = wired.stores, NAMES["read"]
    replies = stores.replies.about(ACCOUNT, [SITI], NAMES["delivered"])
    assert [reply["text"] for reply in replies] == ["masih rusak", "baru"]
    assert stores.threads.get(replace(wired.named("planned"), ticket_id="TCK-1")) == Thread(
        first, first, wired.named("read").created_at
    )
    records = list(stores.recoveries.of_days(ACCOUNT, 1, NOW * 1000))
    assert [(record.side, record.cause) for record in records] == [
        ("ours", "BadMac"),
        ("theirs", "bad-mac"),
        ("theirs", "no-session"),
    ]


def test_what_lies_in_the_keys_table_is_read(wired: UpgradedHouse) -> None:
    keys, table = wired.paired.keys, wired.paired.table
    lease = read_lease(table, ACCOUNT)
    assert lease is not None
    assert lease.connector == "connector-1"
    assert set(read_limits(table, ACCOUNT, NOW)) == {"first-contacts"}
    assert (read_request(table, ACCOUNT).what, asked_accounts(table)) == ("pair", [ACCOUNT])
    assert keys.account.prekey_count() > 0
    assert keys.sending.read_upload("message#3EB0AA") == b"upload"
    assert keys.groups.known(GROUP) is None  # nobody sealed it: asked for anew
    assert added_accounts(wired.aws.notifications_table) == ["second"]
    assert read_high_water_mark(wired.aws.notifications_table, ACCOUNT) is not None


def test_a_lease_of_before_the_seals_is_refused_until_a_connector_takes_it_over(wired: UpgradedHouse) -> None:
    """Where messages wait meanwhile: test_sealed_anchors.py."""
    table, sealer = wired.paired.table, wired.paired.sealer
    with pytest.raises(LeaseRefused, match="unsealed"):
        read_whereabouts(table, ACCOUNT, sealer)
    lease = read_lease(table, ACCOUNT)
    assert lease is not None
    old, new = (
        LeaseKeeper(table, name, url="https://new", certificate="PEM", sealer=sealer)
        for name in ("connector-1", "connector-2")
    )
    old.release(ACCOUNT, lease.epoch)
    assert new.acquire(ACCOUNT) == lease.epoch + 1
    where = read_whereabouts(table, ACCOUNT, sealer)
    assert where is not None
    assert (where.connector, where.url) == ("connector-2", "https://new")


def test_a_request_of_before_the_seals_is_refused_by_name(wired: UpgradedHouse) -> None:
    seen = read_request(wired.paired.table, ACCOUNT)
    with pytest.raises(RequestRefused, match="unsealed"):
        open_request(seen, ACCOUNT, wired.paired.sealer, NOW)


@pytest.mark.parametrize("name", NAMES)
def test_a_notification_is_written_back_with_the_numbers_it_had(wired: UpgradedHouse, name: str) -> None:
    stored = wired.aws.notifications_table.get(notification_key(NAMES[name]))
    assert stored is not None
    before = numbers_of(stored)
    written = item_of_notification(wired.named(name), expire_at=before["expire_at"], texts=TEXTS)
    written.pop("held_until", None)  # which records of that time did not say yet
    assert {"created_at", "expires_at"} <= written.keys()
    assert before | numbers_of(written) == before


def test_a_row_is_written_back_with_the_numbers_it_had(wired: UpgradedHouse) -> None:
    parked, table = wired.named("waiting"), wired.aws.notifications_table
    place = waiting_key(ACCOUNT, parked.turn)
    before = numbers_of(table.get(place) or {})
    wired.stores.parking.park(parked, "not-connected", NOW * 1000)
    assert {"planned_at", "expires_at", "expire_at"} == before.keys()
    assert numbers_of(table.get(place) or {}) == {**before, "parked_at": NOW * 1000}


# -- what goes on ----------------------------------------------------------------------------------------


def test_a_planned_one_is_sent_in_the_session_that_is_there(wired: UpgradedHouse) -> None:
    assert wired.deliver(wired.named("planned")) == Verdict("sent")
    for device in wired.siti.devices.values():
        assert (device.shown[-1][1], device.failures) == ("Tiket 5", [])
    # Whose the number is lay there unsealed, which proves nothing: it is asked once. So is who vouches for a
    # companion, which nobody kept.
    asked = ["contact +6281234567890", "devices 1234@lid", "bundle 1234:1@lid"]
    assert wired.network.queries == asked
    assert wired.deliver(wired.named("quote")) == Verdict("sent")
    assert wired.network.queries == asked


@pytest.mark.parametrize(("code", "times"), [(404, 1), (503, 3)])
def test_one_that_can_t_be_proven_is_asked_for_again_only_while_whatsapp_is_in_trouble(
    wired: UpgradedHouse, code: int, times: int
) -> None:
    wired.network.bundle_errors[wired.siti.devices[1].jid] = code
    wired.deliver(wired.named("planned"))
    for number in (77, 78):
        wired.tell(number)
    assert wired.network.queries.count("bundle 1234:1@lid") == times


@pytest.mark.parametrize("name", ["quote", "preview", "reaction"])
def test_every_content_is_sent_as_what_it_is(wired: UpgradedHouse, name: str) -> None:
    assert wired.deliver(wired.named(name)) == Verdict("sent")
    assert wired.named(name).state is State.SENT
    assert not wired.siti.devices[0].failures


def test_receipts_of_what_was_sent_before_count(wired: UpgradedHouse) -> None:
    for name, state in (("sent", None), ("overdue", "read"), ("delivered", "read")):
        wired.receive(receipt_of(wired.siti, wired.named(name).message_id, state))
    states = [wired.named(name).state for name in ("sent", "overdue", "delivered")]
    assert states == [State.DELIVERED, State.READ, State.READ]


def test_what_was_sent_before_is_sent_again_to_who_cannot_read_it(wired: UpgradedHouse) -> None:
    phone, sent = wired.siti.devices[1], wired.named("sent")
    phone.corrupt()
    wired.network.retries.append(wired.network.retry_receipt(phone, sent.message_id, "BadMac"))
    assert {report.outcome for report in wired.answer_retries()} == {"resent"}
    assert phone.shown[-1][1] == "Tiket 3"


def test_an_answer_is_read_and_belongs_to_what_it_answers(wired: UpgradedHouse) -> None:
    wired.receive(message_from(wired.siti.devices[1], wired.siti, "R10", "sudah baik"))
    replies = wired.stores.replies.about(ACCOUNT, [SITI, "1234@lid"], NAMES["delivered"])
    assert "sudah baik" in [reply["text"] for reply in replies]


def test_what_waited_is_put_back(wired: UpgradedHouse) -> None:
    rows = list(wired.stores.parking.waiting(ACCOUNT))
    assert {row.notification for row in rows} == {NAMES["waiting"], NAMES["waiting until"]}
    [row] = [row for row in rows if row.due_at is None]
    assert wired.stores.parking.requeue(row.notification, row=row).applied
    assert wired.stores.parking.drop_waiting(row)
    assert wired.named("waiting").state is State.PLANNED


def test_a_dead_letter_is_redriven_and_sent(wired: UpgradedHouse) -> None:
    failed = NAMES["failed"]
    redriven = wired.stores.notifications.reset_for_redrive(
        failed, at=(NOW + 60) * 1000, expires_at=(NOW + 86_400) * 1000
    )
    assert redriven.applied
    assert wired.deliver(redriven.notification) == Verdict("sent")


def test_who_withdrew_consent_is_left_alone(wired: UpgradedHouse) -> None:
    assert not wired.stores.people.opt_out(ACCOUNT, OPTED_OUT, "stop", NOW * 1000)
    assert wired.stores.people.opt_in(ACCOUNT, OPTED_OUT, NOW * 1000)


def test_the_groups_sender_key_goes_on_where_it_was(wired: UpgradedHouse) -> None:
    keys, profile = wired.paired.keys, wired.paired.profile
    reservation = keys.groups.reserve(profile, GROUP)
    assert reservation.staleness is None
    assert reservation.iteration == 1
    assert set(keys.groups.holders(reservation)) == {("1234@lid", 0), ("1234@lid", 1)}
    assert reservation.encrypt(b"next", os.urandom(64))


def test_a_members_sender_key_still_reads_their_messages(wired: UpgradedHouse) -> None:
    received = wired.paired.keys.groups.receive(
        wired.paired.profile.incarnation, GROUP, "8888@lid", 1, "G1", bytes.fromhex(AROUND["skmsg"])
    )
    assert received.plaintext == b"hello group"
