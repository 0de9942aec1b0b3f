"""Receipts: a notification was delivered or read, or a device asks for it again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from tocsin.multidevice.account import Account
from tocsin.multidevice.inbound.envelope import Envelope, Report
from tocsin.multidevice.retries import RetryReceiptHandler
from tocsin.multidevice.retry_case import CAUSES, unreadable_to
from tocsin.notify.notification import Notification, State
from tocsin.notify.receipts import Receipts
from tocsin.notify.store.stores import Stores
from tocsin.tables.names import id_of_message
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.receipts import (
    Receipt,
    parse_receipt,
    retry_request,
)

log = logging.getLogger(__name__)

# A live receipt comes within seconds, whatever the clocks say; an older one waited at WhatsApp.
KEPT_FOR_US_MS = 10_000


@dataclass(frozen=True)
class _Told:
    """What a receipt says, and of whom. `at`: ms; `device`: a full JID. `healed` collects the messages that
    were unreadable to the device before: why, and for how many seconds."""

    receipt: Receipt
    state: State
    at: int
    user: str
    device: str
    healed: list[tuple[str, float]] = field(default_factory=list)


class ReceiptStanzas:
    """Handles `<receipt>`."""

    def __init__(self, receipts: Receipts, stores: Stores, retry_receipts: RetryReceiptHandler) -> None:
        self._receipts = receipts
        self._stores = stores
        self._recoveries = stores.recoveries
        self._retry_receipts = retry_receipts

    def handle(self, account: Account, envelope: Envelope) -> Report:
        """Note a receipt. Raises `Failure`, `ConnectorError`; `WireError` for a malformed one."""
        receipt = parse_receipt(envelope.stanza, account.own_names)
        speaker = account.sender(receipt.sender, receipt.sender_alt)
        if receipt.type == "retry":
            return self._retry(account, envelope, receipt)
        if receipt.status is None:
            return Report("receipt", "ignored", receipt.type)
        state = State.READ if receipt.status == "read" else State.DELIVERED
        at, moved = time_of(receipt, envelope), 0
        healed: list[tuple[str, float]] = []
        # In groups the server may gather those of several members into one.
        for sender in receipt.participants or (receipt.sender,):
            user = account.canonical(sender, None) if receipt.participants else speaker
            if account.is_own(user):
                continue
            told = _Told(receipt, state, at, user, str(JID.parse(user).with_device(sender.device)), healed)
            moved += sum(self._mark(account, told, mid) for mid in receipt.ids)
        facts = {"moved": moved, "healed": healed}
        return Report("receipt", str(state) if moved else "ignored", receipt.type, facts)

    def _retry(self, account: Account, envelope: Envelope, receipt: Receipt) -> Report:
        """A device asks for a message again."""
        request = retry_request(receipt, envelope.stanza)
        outcome = self._retry_receipts.serve(account, request, envelope.received_at)
        facts = {
            "message": request.id,
            "count": request.count,
            "rebuilt": outcome.rebuilt,
            "given_up": outcome.given_up,
        }
        return Report("retry", outcome.name, outcome.cause, facts)

    def _mark(self, account: Account, told: _Told, message_id: str) -> bool:
        """Move one notification's state forward, if it was sent to this user; whether it moved."""
        found = id_of_message(message_id)
        notification = self._stores.notifications.get(found) if found else None
        if notification is None or not _was_for(account, told, notification):
            log.info("a receipt for no message of ours", extra={"sender": repr(told.receipt.sender)})
            return False
        if not self._receipts.is_new(notification, told.state, told.device):
            return False
        self._note_healing(notification, told)
        return self._receipts.note(notification, told.state, told.at, told.device)

    def _note_healing(self, notification: Notification, told: _Told) -> None:
        """The first receipt of a device that had asked again says that it could read it at last."""
        recovery = notification.recoveries.get(told.device)
        if recovery is None or any(entry.startswith(f"{told.device} ") for entry in notification.receipts):
            return
        since = recovery.at if recovery.since is None else recovery.since
        healed = self._recoveries.healed(unreadable_to(notification, told.device), at=told.at, since=since)
        cause = healed.cause if healed is not None else CAUSES[0]
        told.healed.append((cause, max(told.at - since, 0) / 1000))


def _was_for(account: Account, told: _Told, notification: Notification) -> bool:
    """Whether who gave a receipt was sent the notification: in a group that is whoever is in it."""
    if notification.group is not None:
        return str(told.receipt.chat) == notification.group
    if notification.recipient_lid is not None:
        return told.user == notification.recipient_lid
    return account.is_person(told.user, notification.recipient)


def time_of(receipt: Receipt, envelope: Envelope) -> int:
    """Return when a receipt was given, in ms: when it came, unless WhatsApp had kept it for us.

    Its own time is in whole seconds, and so lies up to one second before the truth, or before our ack.
    """
    given = from_seconds(receipt.timestamp or 0)
    kept = envelope.received_at - given > KEPT_FOR_US_MS
    return given if given and kept else envelope.received_at
