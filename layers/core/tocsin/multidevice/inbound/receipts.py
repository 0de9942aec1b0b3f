"""Receipts: a notification was delivered or read, or a device asks for it again.

    stanza ── heard_in ──▶ Heard: who says what of which notifications, verified
                             └─ ReceiptRecorder ──▶ one read of them all, one write of each

Any number of receipts is recorded together. What is stored follows from them, not from their order.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tocsin.multidevice.account import Account
from tocsin.multidevice.inbound.envelope import Envelope, Report
from tocsin.multidevice.retry_case import CAUSES, unreadable_to
from tocsin.notify.notification import Notification, State
from tocsin.notify.receipts import Said, last_to_reach, news_of, note, person_of
from tocsin.notify.store.stores import Stores
from tocsin.tables.names import id_of_message
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.receipts import (
    Receipt,
    parse_receipt,
    retry_request,
)

if TYPE_CHECKING:
    from tocsin.multidevice.retries import RetryReceiptHandler

log = logging.getLogger(__name__)

OF_OWN_DEVICES = frozenset({"", "inactive", "sender"})

# A live receipt comes within seconds, whatever the clocks say; an older one waited at WhatsApp.
KEPT_FOR_US_MS = 10_000

Each = Callable[[Callable[[Any], Any], Sequence[Any]], Sequence[Any]]
"""Applies a function to each of some things that have nothing to do with each other. Returns the results in
their order, an exception in place of a result that it raised."""


def one_by_one(function: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
    """The plainest `Each`."""
    results: list[Any] = []
    for thing in things:
        try:
            results.append(function(thing))
        except Exception as error:  # noqa: BLE001  it is the result
            results.append(error)
    return results


class TooLate(Exception):
    """The time for this batch is over."""


# The states that a notification entered; what healed: why it was unreadable, and for how many seconds.
_Noted = tuple[tuple[State, ...], list[tuple[str, float]]]


@dataclass(frozen=True)
class Heard:
    """What one receipt says of one person's device. `at`: ms; `user`: a bare JID, canonical; `device`: a full
    one. `source`: the stanza that it stands in, whatever tells it from others."""

    account: Account
    receipt: Receipt
    state: State
    at: int
    user: str
    device: str
    source: int = 0


@dataclass
class Recorded:
    """What came of receipts. `moved`: how many notifications entered each state, `notifications`: which;
    `healed`: why they were unreadable to a device before, and for how many seconds; `strange`: how many
    receipts were for no message of ours; `failed`: of each source the first thing that kept it from being
    recorded: it must come again."""

    moved: Counter[State] = field(default_factory=Counter)
    notifications: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    healed: list[tuple[str, float]] = field(default_factory=list)
    strange: int = 0
    failed: dict[int, Exception] = field(default_factory=dict)

    def add(self, more: Recorded) -> None:
        """Count in what came of others. Their `failed` stays out: it names other stanzas."""
        self.moved.update(more.moved)
        for state, notifications in more.notifications.items():
            self.notifications[state] += notifications
        self.healed += more.healed
        self.strange += more.strange


def heard_in(
    account: Account, envelope: Envelope, receipt: Receipt, state: State, source: int = 0
) -> list[Heard]:
    """Whom a receipt of `state` speaks for, each of them verified, but for ourselves.

    We speak for ourselves in one chat only, our own.

    Raises `StanzaRefused` where the stanza names two people as one; `ConnectorError` if nobody can be asked.
    """
    speaker = account.sender(receipt.sender, receipt.sender_alt)
    at = time_of(receipt, envelope)
    heard: list[Heard] = []
    # In groups the server may gather those of several members into one.
    for sender in receipt.participants or (receipt.sender,):
        user = account.canonical(sender, None) if receipt.participants else speaker
        if account.is_own(user):
            if not is_of_own_chat(account, receipt):
                continue
            user = account.own_user
        device = str(JID.parse(user).with_device(sender.device))
        heard.append(Heard(account, receipt, state, at, user, device, source))
    return heard


def is_of_own_chat(account: Account, receipt: Receipt) -> bool:
    """Whether one of our own devices says that it has a message to our own chat.

    Our devices have a copy of whatever we send; `recipient` names the chat. Only a plain receipt, which is
    about the speaker's own chat anyway, may leave it out.
    """
    if receipt.type not in OF_OWN_DEVICES or not account.is_own(str(receipt.chat)):
        return False
    if receipt.recipient is None:
        return receipt.type != "sender"
    return account.is_own(str(receipt.recipient.chat))


def state_of(account: Account, receipt: Receipt) -> State | None:
    """The state that a receipt says its messages have; `None`: it says nothing of a recipient."""
    if is_of_own_chat(account, receipt):
        return State.DELIVERED
    if receipt.status is None:
        return None
    return State.READ if receipt.status == "read" else State.DELIVERED


def notifications_in(receipts: Iterable[Receipt]) -> list[str]:
    """The ids of the notifications that receipts name, each once."""
    found = (id_of_message(message_id) for receipt in receipts for message_id in receipt.ids)
    return list(dict.fromkeys(one for one in found if one))


class ReceiptRecorder:
    """Records receipts, any number of them together."""

    def __init__(self, stores: Stores, each: Each = one_by_one) -> None:
        self._stores = stores
        self._each = each

    def record(
        self,
        heard: Sequence[Heard],
        items: Mapping[str, Any],
        *,
        is_late: Callable[[], bool] = lambda: False,
    ) -> Recorded:
        """Record receipts of the notifications in `items`, by id. Raises nothing: see `Recorded.failed`.
        Nothing is begun any more once `is_late` says so."""
        recorded = Recorded()
        groups = self._grouped(heard, items, recorded)
        self._note_people(groups, recorded, is_late)

        def note_in_time(group: tuple[Notification, list[Heard]]) -> _Noted:
            if is_late():
                raise TooLate
            return self._note(group)

        results = self._each(note_in_time, groups)
        for (notification, theirs), result in zip(groups, results, strict=True):
            if isinstance(result, Exception):
                _fail(recorded, theirs, result)
                continue
            states, healed = result
            recorded.moved.update(states)
            for moved_to in states:
                recorded.notifications[str(moved_to)].append(notification.id)
            recorded.healed += healed
        return recorded

    def _grouped(
        self, heard: Sequence[Heard], items: Mapping[str, Any], recorded: Recorded
    ) -> list[tuple[Notification, list[Heard]]]:
        """What was heard of each notification that was sent to who speaks."""
        theirs: dict[str, list[Heard]] = defaultdict(list)
        for one in heard:
            for found in notifications_in([one.receipt]):
                theirs[found].append(one)
            recorded.strange += sum(id_of_message(message_id) is None for message_id in one.receipt.ids)
        groups: list[tuple[Notification, list[Heard]]] = []
        for found, told in theirs.items():
            try:
                notification = self._stores.notifications.open(items[found]) if found in items else None
                right = [one for one in told if notification is not None and _was_for(one, notification)]
            except Exception as error:  # noqa: BLE001  a record that can't be read must not keep others away
                _fail(recorded, told, error)
                continue
            recorded.strange += len(told) - len(right)
            if notification is not None and right:
                groups.append((notification, right))
        return groups

    def _note_people(
        self,
        groups: list[tuple[Notification, list[Heard]]],
        recorded: Recorded,
        is_late: Callable[[], bool],
    ) -> None:
        """Note of each person what reached them last: one write, however many receipts are theirs. What
        is for a person who can't be noted is dropped from `groups`."""
        last = list(last_to_reach((one, _said(theirs)) for one, theirs in groups).items())

        def note_delivery(person: tuple[tuple[str, str], tuple[str, str]]) -> None:
            (account, name), (reached, notification_id) = person
            if is_late():
                raise TooLate
            self._stores.people.note_delivery(account, name, notification_id, reached)

        failed = {
            person: result
            for (person, _), result in zip(last, self._each(note_delivery, last), strict=True)
            if isinstance(result, Exception)
        }
        for group in list(groups) if failed else ():
            error = failed.get((group[0].account, person_of(group[0])))
            if error is not None:
                _fail(recorded, group[1], error)
                groups.remove(group)

    def _note(self, group: tuple[Notification, list[Heard]]) -> _Noted:
        """Record what was heard of one notification. Return the states that it entered, and what healed."""
        notification, heard = group
        said = _said(heard)
        if news_of(notification, said) is None:
            return (), []
        healed = self._note_healing(notification, heard)
        return note(self._stores, notification, said, person_is_noted=True), healed

    def _note_healing(self, notification: Notification, heard: Sequence[Heard]) -> list[tuple[str, float]]:
        """The first receipt of a device that had asked again says that it could read it at last."""
        first: dict[str, int] = {}
        for one in heard:
            first[one.device] = min(one.at, first.get(one.device, one.at))
        healed: list[tuple[str, float]] = []
        for device, at in first.items():
            recovery = notification.recoveries.get(device)
            if recovery is None or any(entry.startswith(f"{device} ") for entry in notification.receipts):
                continue
            since = recovery.at if recovery.since is None else recovery.since
            unreadable = unreadable_to(notification, device)
            record = self._stores.recoveries.healed(unreadable, at=at, since=since)
            cause = record.cause if record is not None else CAUSES[0]
            healed.append((cause, max(at - since, 0) / 1000))
        return healed


class ReceiptStanzas:
    """Handles `<receipt>` of the stanza queue: requests to send again, and whatever an earlier connector puts
    there."""

    def __init__(self, stores: Stores, retry_receipts: RetryReceiptHandler) -> None:
        self._stores = stores
        self._recorder = ReceiptRecorder(stores)
        self._retry_receipts = retry_receipts

    def handle(self, account: Account, envelope: Envelope) -> Report:
        """Note a receipt. Raises `Failure`, `ConnectorError`; `WireError` for a malformed one."""
        receipt = parse_receipt(envelope.stanza, account.own_names)
        if receipt.type == "retry":
            account.sender(receipt.sender, receipt.sender_alt)
            return self._retry(account, envelope, receipt)
        state = state_of(account, receipt)
        if state is None:
            account.sender(receipt.sender, receipt.sender_alt)
            return Report("receipt", "ignored", receipt.type)
        heard = heard_in(account, envelope, receipt, state)
        items, _ = self._stores.batch_get_for_receipts(notifications_in([receipt]), ())
        recorded = self._recorder.record(heard, items)
        for error in recorded.failed.values():
            raise error
        if recorded.strange:
            log.info("a receipt for no message of ours", extra={"sender": repr(receipt.sender)})
        moved = recorded.moved.total()
        facts = {"moved": moved, "healed": recorded.healed}
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
            "healed": outcome.healed,
        }
        return Report("retry", outcome.name, outcome.cause, facts)


def _said(heard: Iterable[Heard]) -> list[Said]:
    return [Said(one.state, one.at, one.device) for one in heard]


def _fail(recorded: Recorded, heard: Iterable[Heard], error: Exception) -> None:
    for one in heard:
        recorded.failed.setdefault(one.source, error)


def _was_for(heard: Heard, notification: Notification) -> bool:
    """Whether who gave a receipt was sent the notification: in a group that is whoever is in it."""
    if notification.group is not None:
        return str(heard.receipt.chat) == notification.group
    if notification.recipient_lid is not None:
        return heard.user == notification.recipient_lid
    return heard.account.is_person(heard.user, notification.recipient)


def time_of(receipt: Receipt, envelope: Envelope) -> int:
    """Return when a receipt was given, in ms: when it came, unless WhatsApp had kept it for us.

    Its own time is in whole seconds, and so lies up to one second before the truth, or before our ack.
    """
    given = from_seconds(receipt.timestamp or 0)
    kept = envelope.received_at - given > KEPT_FOR_US_MS
    return given if given and kept else envelope.received_at
