"""The notification: one message about one ticket event to one recipient, and the states it passes through.

    planned ──▶ sent ──▶ delivered ──▶ read
     │  ▲        ▲│
     ▼  │        │▼
    waiting    failed ──(redrive)──▶ planned          suppressed: the recipient opted out, or
                                                        (an edit) something else says it

States go forward only. A receipt that overtakes the record of its own send still counts: what is known to
have happened later includes what came before it. An acknowledgement or a receipt is a fact and wins over a
verdict (`failed`, say because the notification expired while its message was in flight).

A moment is an int of milliseconds since 1970, here and in all of `notify` and `multidevice`. Who reads or
writes another unit (the tables' expiry and time to live, a clock, WhatsApp) converts it right there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tocsin.notify.content import ERASED, Content, Withheld
from tocsin.notify.failure import OUTCOME_UNKNOWN, Permanent, Wait
from tocsin.notify.hold import Hold, expiry
from tocsin.tables.names import ID_BYTES, is_group, is_lid, message_id_of, user_of

Audience = Literal["customer", "technician", "group"]


class State(StrEnum):
    """Where a notification stands. Expired is `FAILED` with the reason `expired`."""

    PLANNED = "planned"
    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


FROM: Mapping[State, tuple[State, ...]] = MappingProxyType(
    {
        # back to the queue: a resume (waiting, or a resume that crashed half-way), or a redrive (failed)
        State.PLANNED: (State.WAITING, State.PLANNED, State.FAILED),
        State.WAITING: (State.PLANNED, State.WAITING),
        State.SENT: (State.PLANNED, State.WAITING, State.FAILED),
        State.DELIVERED: (State.PLANNED, State.WAITING, State.FAILED, State.SENT),
        State.READ: (State.PLANNED, State.WAITING, State.FAILED, State.SENT, State.DELIVERED),
        # `sent` fails when the recipient's devices go on refusing it after every recovery
        State.FAILED: (State.PLANNED, State.WAITING, State.SENT),
        State.SUPPRESSED: (State.PLANNED, State.WAITING),
    }
)
"""State → the states it may be entered from. Whatever is missing here is refused by a condition in the
table."""

OUTCOMES: Mapping[State, str] = MappingProxyType(
    {
        State.SENT: "Sent",
        State.DELIVERED: "Delivered",
        State.READ: "Read",
        State.FAILED: "Failed",
        State.SUPPRESSED: "Suppressed",
    }
)
"""State → the outcome that is told to the world when it is entered (`Notification<outcome>` on the bus)."""

SELF_TEST = "SelfTest"
"""Event type of a message of an account to its own chat: no ticket's, and nobody's business but the
operator's."""

MESSAGE_REQUESTED = "MessageRequested"
"""Event type of a message that is of no ticket."""

_REQUEST = "message:"

TICKET_DIGEST = "TicketDigest"
"""Event type of a message that says several events of several tickets to one person."""

WOULD_HAVE_BEEN_SENT = "WouldHaveBeenSent"
"""Outcome of what the sandbox kept from being sent. Its state is `suppressed`."""

REPLY_RECEIVED = "ReplyReceived"
OVERDUE = "Overdue"
IDENTITY_CHANGED = "IdentityChanged"
"""Outcomes without a state: a reply came; a sent notification got no delivery receipt within its deadline; a
recipient's device has new keys, or their number belongs to somebody else."""


@dataclass(frozen=True)
class Attempt:
    """One try, or one thing learned about a try.

    `cause` is the code of a failure, or `sent`; `class_` its class (wait, recover, retry, permanent, bug,
    `ok`, `refused` for a request that wasn't answered, `operator`); `at` milliseconds; `numbers` the reserved
    message number of each user (bare JID) it was encrypted for; `copies` for each device (full JID) that got
    a ciphertext its type and the index in its chain, such as "pkmsg 0"; `left_out` the devices that got none,
    and why. Of a retry receipt: `device`, whose it is, and its `count`.
    """

    cause: str
    at: int
    class_: str = ""
    detail: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        told = {
            "cause": self.cause,
            "at": self.at,
            "class": self.class_,
            "detail": self.detail,
            "numbers": dict(self.numbers),
        }
        more = {
            "copies": dict(self.copies),
            "left_out": dict(self.left_out),
            "device": self.device,
            "count": self.count,
        }
        return {**told, **{name: value for name, value in more.items() if value}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attempt:
        return cls(
            cause=value["cause"],
            at=value["at"],
            class_=value.get("class", ""),
            detail=value.get("detail", ""),
            numbers=dict(value.get("numbers", {})),
            copies=dict(value.get("copies", {})),
            left_out=dict(value.get("left_out", {})),
            device=value.get("device", ""),
            count=value.get("count", 0),
        )


@dataclass(frozen=True)
class Problem:
    """Why a notification failed, waits or had to be tried again. `code` is for machines, `detail` for
    people."""

    code: str
    class_: str
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "class": self.class_, "detail": self.detail}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Problem:
        return cls(value["code"], value["class"], value.get("detail", ""))


@dataclass(frozen=True)
class Recovery:
    """How one device (full JID) asked again for this message: the highest count it named, when it was last
    answered, the reserved number under which that was, how often that was done, and when (ms) it asked
    first."""

    count: int
    at: int
    number: int | None = None
    served: int = 1
    since: int | None = None

    def to_json(self) -> dict[str, int]:
        known = {"count": self.count, "at": self.at, "served": self.served}
        more = {"number": self.number, "since": self.since}
        return {**known, **{name: value for name, value in more.items() if value is not None}}

    @classmethod
    def from_json(cls, value: Mapping[str, int]) -> Recovery:
        return cls(
            value["count"], value["at"], value.get("number"), value.get("served", 1), value.get("since")
        )


@dataclass(frozen=True)
class ReceiptNews:
    """What receipts say of a notification that wasn't known. Moments in ms.

    `receipts`: the words of devices that are new, as `Notification.receipts`. `state`: the one that it enters
    by them, at `at`; `passed`: the one that it enters before. `delivered_at`, `read_at`: where they change.
    """

    receipts: Mapping[str, int]
    state: State | None = None
    at: int = 0
    passed: State | None = None
    delivered_at: int | None = None
    read_at: int | None = None

    @property
    def moved(self) -> tuple[State, ...]:
        """The states that it enters, in this order."""
        return tuple(state for state in (self.passed, self.state) if state is not None)


@dataclass(frozen=True)
class Notification:
    """One message about one ticket event to one recipient.

    `id` 18 lower-case hex digits; `recipient` E.164 digits without "+", a group JID, the LID (a bare JID)
    of somebody who wrote to us and whose number nobody told us, or empty where the event names no usable
    one (`refused_address`: what it names instead, for operators only); `recipient_lid` their LID, once
    known; from `expires_at` on, which is stored to the second, nothing is sent any more; `generation` goes up
    with each re-enqueue, since SQS drops a repeated deduplication id for five minutes.
    `receipts`: when which device said what, by "<full JID> delivered" or "<full JID> read". `held_until`:
    when the account's limit ends for which it waits, or the one before it. `given_message_id`: the message
    id, where the transport gave one of its own. `text_id`: of an edit, the id that the text has where it is
    a message. `person`: the id of the person that it is for, as it was when that was looked up last; `lane`:
    what stands for them in the queue's message groups. Both are `None` in records from before people were
    known, whose recipient stands for them. `recipient_username`: as in `Reply`, where it was known when this
    was planned. `tries`: how many tries of an order that the queue brought again were begun, and none of them
    came to an end that is written down. `sensitive`: nobody but the recipient may read the words, which are
    erased once they arrived or are too late. `urgent`: its pace holds it up less; `hurried`: something urgent
    waits behind it. `digest_of`: of a digest, the id and the ticket of each notification that it says.
    `source`: whose event it is of, as its envelope told.
    """

    id: str
    account: str
    ticket_id: str
    event_type: str
    revision: int
    audience: Audience
    recipient: str
    recipient_name: str
    language: str
    content: Content
    created_at: int
    expires_at: int
    state: State = State.PLANNED
    attempts: tuple[Attempt, ...] = ()
    retries_used: int = 0
    generation: int = 0
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    failed_at: int | None = None
    suppressed_at: int | None = None
    overdue_at: int | None = None
    waiting_since: int | None = None
    due_at: int | None = None
    held_until: int | None = None
    last_error: Problem | None = None
    recoveries: Mapping[str, Recovery] = field(default_factory=dict)
    receipts: Mapping[str, int] = field(default_factory=dict)
    event_id: str = ""
    event_at: int | None = None
    requeued_at: int | None = None
    parkings: int = 0
    redriven: int = 0
    attempts_dropped: int = 0
    tries: int = 0
    sensitive: bool = False
    urgent: bool = False
    recipient_lid: str | None = None
    refused_address: str | None = None
    given_message_id: str | None = None
    text_id: str | None = None
    person: str | None = None
    lane: str | None = None
    recipient_username: str | None = None
    hurried: bool = False
    digest_of: tuple[tuple[str, str], ...] = ()
    source: str | None = None

    @property
    def came_from(self) -> str:
        """Whose event it is of: a source of the door or of a bus, or what the ticketing system calls itself;
        empty where that isn't known, as in records from before it was kept."""
        request = request_of(self.ticket_id)
        return (request[0] if request is not None else "") or self.source or ""

    @property
    def person_name(self) -> str:
        """A name (bare JID) of the person it is for: it leads to their record."""
        return self.person or user_of(self.recipient)

    @property
    def text(self) -> str:
        """The words in it: of a file its caption, of a reaction its emoji."""
        return self.content.text

    @property
    def group(self) -> str | None:
        """The group it is for (its JID), `None` if it is for a person."""
        return self.recipient if is_group(self.recipient) else None

    @property
    def message_id(self) -> str:
        """The id of its message: made of its own and the same for its whole life, unless the transport gave
        another when it was sent."""
        return self.given_message_id or message_id_of(self.id)

    def sibling_id(self, *part: str) -> str:
        """The id of another message of the same event to the same recipient; of the text itself without
        `part`.

        It follows from the text's own, which nobody but the recipient knows.
        """
        text = self.text_id or self.id
        return derived_id(text, *part) if part else text

    @property
    def hold(self) -> Hold | None:
        """What holds it, if it waits for the end of a limit, or behind one that does."""
        if self.state is not State.WAITING or self.waiting_since is None or self.held_until is None:
            return None
        return Hold(self.waiting_since, self.held_until)

    def expiry(self, now: int) -> int:
        """When it is given up, as it stands at `now`: a hold adds to `expires_at`."""
        return expiry(self.expires_at, self.created_at, self.hold, now)

    @property
    def given_up_at(self) -> int:
        """When it is given up, once whatever holds it has ended."""
        return self.expiry(self.expires_at if self.hold is None else self.hold.until)

    def expired(self, now: int) -> bool:
        """Whether it is too late to send at `now`."""
        return now >= self.expiry(now)

    @property
    def turn(self) -> str:
        """Its place in the line: text order is the order of planning, and its id stands behind the "#".

        Thirteen digits hold milliseconds until the year 2286.
        """
        return f"{self.created_at:013d}#{self.id}"


class Claim(Protocol):
    """What repeats for whom a notification is: an order, a parked row, a dead letter."""

    @property
    def account(self) -> str: ...

    @property
    def recipient(self) -> str: ...

    @property
    def audience(self) -> str: ...


def mismatch(claim: Claim, notification: Notification) -> str:
    """Return the first field in which `claim` names another than the notification does; empty: none.

    The record decides. What disagrees with it must do nothing, or it would be delivered past the consent of
    whoever it names.
    """
    fields = ("account", "recipient", "audience")
    return next((one for one in fields if getattr(claim, one) != getattr(notification, one)), "")


def was_erased(notification: Notification) -> bool:
    """Whether its recipient was erased: it tells nothing of them, and nobody can be sent it."""
    content = notification.content
    return not notification.recipient and isinstance(content, Withheld) and content.why == ERASED


def named(recipient: str, lid: str | None = None) -> dict[str, str | None]:
    """Return how events name a recipient: `recipient` their number (or group), null where only the LID is
    known; `recipient_lid` their LID, null where that isn't known."""
    if is_lid(recipient):
        return {"recipient": None, "recipient_lid": recipient}
    return {"recipient": recipient or None, "recipient_lid": lid}


def request_name(source: str, key: str) -> str:
    """What stands in the place of a ticket's id where a message is of no ticket: who asked for it, and by
    which key. A source holds no ":"."""
    return f"{_REQUEST}{source}:{key}"


def request_of(ticket_id: str) -> tuple[str, str] | None:
    """The source and the key that `request_name` was made of; None for the id of a ticket."""
    if not ticket_id.startswith(_REQUEST):
        return None
    source, _, key = ticket_id.removeprefix(_REQUEST).partition(":")
    return source, key


def notification_id(
    secret: bytes,
    account: str,
    ticket_id: str,
    event_type: str,
    revision: int,
    audience: str,
    *recipient: str,
) -> str:
    """The id that makes a doubled event harmless: planning the same event again makes the same
    notifications. `secret`: of the deployment, so that nobody else can tell it. `recipient`: what tells them
    apart within their audience."""
    identity = _canonical(account, ticket_id, event_type, revision, audience, *recipient)
    return hmac.digest(secret, identity, "sha256")[:ID_BYTES].hex()


def derived_id(notification_id: str, *part: str) -> str:
    """The id of another message to the recipient of a notification, beside that one. `part`: which."""
    return hashlib.sha256(_canonical(notification_id, *part)).digest()[:ID_BYTES].hex()


def guessable_id(
    account: str, ticket_id: str, event_type: str, revision: int, audience: str, *recipient: str
) -> str:
    """The id that a notification had before ids had a secret part. `recipient`: what told it apart."""
    identity = _canonical(account, ticket_id, event_type, revision, audience, *recipient)
    return hashlib.sha256(identity).digest()[:ID_BYTES].hex()


def _canonical(*identity: str | int) -> bytes:
    return json.dumps(identity, ensure_ascii=False, separators=(",", ":")).encode()


def may_have_been_sent(notification: Notification) -> bool:
    """Return whether no answer came to a try since it last came to an end. It may have waited for something
    else meanwhile."""
    last = notification.last_error
    if last is not None and last.code == OUTCOME_UNKNOWN and last.class_ == Wait.kind:
        return True
    for attempt in reversed(notification.attempts):
        if attempt.class_ in (Permanent.kind, "ok"):
            return False
        if attempt.cause == OUTCOME_UNKNOWN:
            return True
    return False
