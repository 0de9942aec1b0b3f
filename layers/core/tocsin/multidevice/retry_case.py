"""A retry receipt of a recipient's device, and what the notification's history says to it.

Nothing here asks, writes or sends: `retries` does.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.multidevice.account import Account
from tocsin.notify.notification import Notification, Recovery
from tocsin.notify.store.recoveries import OURS, THEIRS, UnreadableMessage
from tocsin.tables.names import is_lid, user_of
from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.keys.establish import SessionFacts
    from tocsin.whatsapp.message import InboundMessage
    from tocsin.whatsapp.receipts import RetryRequest

log = logging.getLogger(__name__)

# The `error` of a retry receipt → the cause in the notification's history.
CAUSES: dict[int, str] = {
    0: "unknown",
    1: "no-session",
    2: "invalid-key",
    3: "no-prekey",
    4: "invalid-message",
    5: "bad-signature",
    6: "future-message",
    7: "bad-mac",
    8: "invalid-session",
    9: "invalid-message-key",
    10: "broadcast-ephemeral",
    11: "unknown-companion",
    12: "device-identity",
    13: "status-revoked",
}

SENT = "sent"
RECOVERED = "recovered-"
"""Causes in a notification's history: it was sent to everybody; to one device again, for the reason that
follows."""


@dataclass(frozen=True)
class Outcome:
    """What became of a retry receipt.

    `name`: `resent` (after a rebuild or not), or why nothing was done. `cause`: what the device complained
    of. `rebuilt`: where the new session came from (`keys`, `bundle`), empty if the old one served.
    `given_up`: a device of the recipient's goes without the message. `healed`: it has read the message by
    now: why it could not, and for how many seconds.
    """

    name: str
    cause: str = ""
    rebuilt: str = ""
    number: int | None = None
    given_up: bool = False
    healed: tuple[tuple[str, float], ...] = ()


class Ignored(Exception):
    """A retry receipt that deserves no answer. `name` goes into the log; nothing was changed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Case:
    """One retry receipt with everything it is judged by. `user`, `device`: the requester, by canonical name.

    `served`: how often it got this message again since it was last sent to everybody. `since`: when it first
    asked (ms).
    """

    account: Account
    request: RetryRequest
    notification: Notification
    user: str
    device: int
    cause: str
    served: int
    since: int

    @property
    def is_own(self) -> bool:
        return self.account.is_own(self.user)

    @property
    def jid(self) -> JID:
        return JID.parse(self.user).with_device(self.device)

    @property
    def recipient(self) -> str:
        """Whose hourly budget it uses: the recipient's, in a group that of the member who asks."""
        return self.user if self.notification.group else user_of(self.notification.recipient)

    @property
    def unreadable(self) -> UnreadableMessage:
        """What the ledger calls it."""
        return unreadable_to(self.notification, str(self.jid))


def unreadable_to(notification: Notification, device: str) -> UnreadableMessage:
    """Return what the ledger calls it when `device` (full JID) can't read a notification."""
    user = user_of(notification.recipient)
    return UnreadableMessage(THEIRS, notification.account, user, device, notification.id)


def must_rebuild(case: Case, facts: SessionFacts | None) -> bool:
    """Whether the session must be replaced before the message is sent again.

    A complaint about a number from before the present session was born is answered by that session,
    whatever its count: ten receipts of one break make one session, not ten. So is the first of a group's
    member who was sent the message under the sender key alone. Everything else is a reason to replace it.
    So no message is ever sent to a device twice from one base key, which is what keeps two broken peers
    from going round in circles.
    """
    if facts is None or case.request.registration_id != facts.remote_registration_id:
        return True
    number = last_number(case)
    if case.notification.group and number is None and case.request.bundle is None:
        # It was sent nothing pairwise, so what it lacks is the sender key. If not, it will ask once more.
        return case.request.count > 1
    return number is None or number >= facts.born


def last_number(case: Case) -> int | None:
    """Return the number under which the device was last sent the message, `None` if that isn't known."""
    recovery = recovery_of(case.notification, str(case.jid))
    if recovery is not None and recovery.number is not None:
        return recovery.number
    numbers = (attempt.numbers.get(case.user) for attempt in reversed(case.notification.attempts))
    return next((number for number in numbers if number is not None), None)


def addressees(notification: Notification) -> frozenset[str]:
    """Return to whom the history says that a notification was sent (bare JIDs, canonical), our own account
    among them. Empty: nothing is recorded of a send.

    By their LIDs alone, once one is named: a number under which sessions lay before may be somebody else's.
    """
    named = {notification.recipient_lid or ""} - {""}
    for attempt in notification.attempts:
        named |= {str(JID.parse(device).chat) for device in attempt.copies}
        named |= set(attempt.numbers)
    lids = {user for user in named if is_lid(user)}
    return frozenset(lids or named)


def read_at(notification: Notification, device: str, since: int) -> int | None:
    """When a device (full JID) confirmed a notification, not before `since` (ms)."""
    theirs = (at for entry, at in notification.receipts.items() if entry.startswith(f"{device} "))
    return min((at for at in theirs if at >= since), default=None)


def was_sent_copy(notification: Notification, device: str) -> bool:
    """Whether the history names a device (full JID) as one that was sent the message, first or again."""
    return device in notification.recoveries or any(
        device in attempt.copies for attempt in notification.attempts
    )


def recovery_of(notification: Notification, device: str) -> Recovery | None:
    """Return the last recovery for `device` since the message was last sent to everybody (a redrive does).

    By the order in which the history was written: clocks jump, and of two functions one may be ahead.
    """
    recovery = notification.recoveries.get(device)
    if recovery is None:
        return None
    causes = [(attempt.cause, attempt.device) for attempt in notification.attempts]
    sent = [place for place, (cause, _) in enumerate(causes) if cause == SENT]
    answered = [
        place
        for place, (cause, whose) in enumerate(causes)
        if whose == device and cause.startswith(RECOVERED)
    ]
    if sent and not answered:  # the history was full by then
        return recovery if recovery.at >= notification.attempts[sent[-1]].at else None
    return recovery if not sent or answered[-1] > sent[-1] else None


def unreadable_by_us(account: Account, message: InboundMessage, user: str) -> UnreadableMessage:
    """Return what the ledger calls it when we can't read a message."""
    device = str(JID.parse(user).with_device(message.sender.device))
    return UnreadableMessage(OURS, account.profile.account, user, device, message.id)


def log_refusal(request: RetryRequest, cause: str, why: str) -> None:
    """Say which retry receipt deserved no answer, and why."""
    facts = {"why": why, "cause": cause, "count": request.count, "stanza": request.id[:64]}
    log.warning("retry receipt refused", extra={**facts, "requester": repr(request.requester)})
