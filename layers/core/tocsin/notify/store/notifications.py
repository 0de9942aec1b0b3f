"""The notifications table: every change of a notification is one conditional write.

| pk                | sk             | holds                                                        |
| ----------------- | -------------- | ------------------------------------------------------------ |
| `notification#N`  | `state`        | the notification                                             |
| `waiting#A`       | `planned_at#N` | a parked one: cause, due time, expiry, tag                   |
| `recipient#A#U`   | `conduct`      | opt-out, recoveries since the last success, parked ones      |
| `recipient#A#U`   | `recoveries#H` | recoveries in one hour                                       |
| `recipient#A#U`   | `questions#H`  | questions for their device list in one hour                  |
| `reply#A#U`       | message id     | what a recipient answered                                    |
| `thread#A#U`      | ticket id      | the first and the last message to them about a ticket        |
| `identity#A#U`    | `D#key#H`      | a device of theirs got a new identity, in hour H             |
| `recoveries#A#D`  | …              | who couldn't read what (`ledger.py`)                         |

U is a bare JID.

The attribute `outcome` stands on an item only in the write that brought the outcome about, and every other
write takes it away: so a stream filter on it sees each outcome once. `expire_at` (seconds) is the table's
time to live. `watching` and `watch_due` (milliseconds) are the keys of the sparse index `watch`: sent, but no
receipt yet.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tocsin.notify.content import Attachment, Preview, Quote
from tocsin.notify.hold import Hold, expiry, held_until
from tocsin.notify.notification import (
    IDENTITY_CHANGED,
    OVERDUE,
    REPLY_RECEIVED,
    Attempt,
    Notification,
    Problem,
    Recovery,
    State,
)
from tocsin.notify.store.attributes import Item, from_attribute, from_item, to_item
from tocsin.notify.store.change import STILL_THERE, Change
from tocsin.tables.names import message_id_of, user_of

if TYPE_CHECKING:
    from tocsin.notify.store.recoveries import Ledger

KEPT_SECONDS = 35 * 24 * 3600
"""How long a notification is kept after its last start or failure. A dead letter lives 14 days from its move,
and any retry receipt must be servable, so never less than 30 days."""

MAX_ATTEMPTS = 60
"""Attempts kept on an item; later ones only count retries. Far above every retry limit, far below 400 KB."""

DETAIL_LENGTH = 500

_OF_A_WAIT = ("waiting_since", "due_at", "held_until")
"""Attributes that stand on a notification only while it waits."""

NOTHING: Mapping[str, str] = MappingProxyType({})

WATCH_INDEX = "watch"

_CONFLICT_PATIENCE_SECONDS = 1.0
_BATCH_TRIES = 8

# -- conditions, each with its sentence --------------------------------------------------------------------

# The same event planned twice finds its own notification.
NOT_THERE_YET = "attribute_not_exists(pk)"
# The row was not parked anew since it was read.
SAME_PARKING = "tag = :tag"
# The row names the account and the recipient of its notification.
OF_THE_SAME = "account = :account AND recipient = :recipient AND audience = :audience"
# A younger edit of the same message was sent, or is about to be: this one would set its text back.
NO_YOUNGER_EDIT = f"{STILL_THERE} AND (attribute_not_exists(edited_turn) OR edited_turn <= :turn)"
# A second opt-out, or a second confirmation, changes nothing.
NOT_OPTED_OUT = "attribute_not_exists(opted_out_at)"
OPTED_OUT = "attribute_exists(opted_out_at)"
OPTED_OUT_UNCONFIRMED = "attribute_exists(opted_out_at) AND attribute_not_exists(confirmed_at)"
# A deadline is reported once, and only while no receipt has come.
SENT_AND_UNREPORTED = "#state = :from0 AND attribute_not_exists(overdue_at)"


class NotificationMissing(LookupError):
    """There is no such notification (any more). Nothing was written."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(notification_id)
        self.notification_id = notification_id

    def __str__(self) -> str:
        return f"there is no notification {self.notification_id}: it never was, or its time to live is over"


class ReadIncomplete(RuntimeError):
    """DynamoDB left keys of a batch unread after every repetition (throttling). Nothing was written: try
    later."""


@dataclass(frozen=True)
class Transition:
    """What became of a change of state: whether it was made, and the notification as it now stands."""

    applied: bool
    notification: Notification


@dataclass(frozen=True)
class WaitingRow:
    """A parked notification. `due_at` None: as soon as the account is connected; `held_until` None: no limit
    of the account's holds it. Times in ms, `expires_at` in s."""

    account: str
    turn: str
    notification: str
    planned_at: int
    recipient: str
    audience: str
    cause: str
    due_at: int | None
    expires_at: int
    tag: str
    parked_at: int
    held_until: int | None = None

    @property
    def hold(self) -> Hold | None:
        return None if self.held_until is None else Hold(self.parked_at, self.held_until)

    def expiry(self, now: float) -> int:
        """When it is given up, as it stands at `now` (both seconds)."""
        return expiry(self.expires_at, self.planned_at, self.hold, now)


@dataclass(frozen=True)
class Conduct:
    """How to behave towards one recipient of one account.

    `parked`: turns of notifications that were parked and not yet seen to come to an end. `heard_at`: when
    they first wrote to us (ms), of somebody whom no notification had reached before. `lid`: of a number, the
    LID whose own conduct was looked at.
    """

    opted_out_at: int | None = None
    opt_out_word: str | None = None
    confirmed_at: int | None = None
    recoveries: int = 0
    last_notification: str | None = None
    parked: frozenset[str] = frozenset()
    heard_at: int | None = None
    lid: str | None = None


@dataclass(frozen=True)
class Thread:
    """What was said to one recipient about one ticket: the notifications that were messages of their own.
    `last_at`: when the last one was planned, ms."""

    first: str
    last: str
    last_at: int


@dataclass(frozen=True)
class SendView:
    """All that a send has to know before it reserves, from one read."""

    notification: Notification | None
    conduct: Conduct
    address: Mapping[str, Any] | None


class NotificationStore:
    """The notifications table behind `client` (a boto3 DynamoDB client)."""

    def __init__(
        self,
        client: Any,
        table: str,
        keys_table: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._keys_table = keys_table
        self._clock = clock
        self._sleep = sleep

    @cached_property
    def ledger(self) -> Ledger:
        """The recoveries, which lie in the same table."""
        from tocsin.notify.store.recoveries import Ledger

        return Ledger(self._client, self._table)

    # -- planning ------------------------------------------------------------------------------------------

    def put_new(self, notification: Notification) -> Notification | None:
        """Write a new notification. None: it is written. Else the one that was there already; nothing was
        written."""
        item = to_item(_item_values(notification, expire_at=notification.created_at // 1000 + KEPT_SECONDS))
        refused = self._refusal(
            self._client.put_item,
            TableName=self._table,
            Item=item,
            ConditionExpression=NOT_THERE_YET,
        )
        if refused is None:
            return None
        return self._stored(notification.id, refused)

    def get(self, notification_id: str) -> Notification | None:
        answer = self._client.get_item(
            TableName=self._table, Key=_state_key(notification_id), ConsistentRead=True
        )
        return _notification(answer["Item"]) if "Item" in answer else None

    def thread(self, account: str, user: str, ticket_id: str) -> Thread | None:
        """What `user` (bare JID) was told about a ticket; None: nothing yet."""
        answer = self._client.get_item(
            TableName=self._table, Key=_thread_key(account, user, ticket_id), ConsistentRead=True
        )
        return _thread(answer.get("Item"))

    def follow_thread(self, notification: Notification) -> Thread:
        """It is the last message about its ticket, and the first if there was none; the thread as it is
        then."""
        change = Change(outcome=False)
        change.set_first("first", notification.id)
        change.set("last", notification.id)
        change.set("last_at", notification.created_at)
        change.set("expire_at", notification.created_at // 1000 + KEPT_SECONDS)
        key = _thread_key(notification.account, user_of(notification.recipient), notification.ticket_id)
        answer = self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=key,
            ReturnValues="ALL_NEW",
            **change.expressions(),
        )
        thread = _thread(answer["Attributes"])
        assert thread is not None  # noqa: S101  it was just written
        return thread

    def claim_edit(self, notification_id: str, turn: str) -> Transition:
        """Before an edit of a notification's message: make sure that no younger one was. Not applied if one
        was. Raises NotificationMissing."""
        change = Change()
        change.set("edited_turn", turn)
        change.require(NO_YOUNGER_EDIT, turn=turn)
        return self._change(notification_id, change)

    # -- sending -------------------------------------------------------------------------------------------

    def batch_get_for_send(
        self, notification_id: str, account: str, user: str, *, address: bool = True
    ) -> SendView:
        """The notification, the conduct towards `user` (bare JID) and, if asked for, what is known of the
        user's addresses in the keys table: one strongly consistent BatchGetItem. Raises ReadIncomplete."""
        wanted = {
            self._table: {
                "Keys": [_state_key(notification_id), _conduct_key(account, user)],
                "ConsistentRead": True,
            }
        }
        if address and self._keys_table:
            wanted[self._keys_table] = {"Keys": [_address_key(account, user)], "ConsistentRead": True}
        found = {(item["pk"]["S"], item["sk"]["S"]): item for item in self._batch_get(wanted)}
        state = found.get((f"notification#{notification_id}", "state"))
        conduct = found.get((f"recipient#{account}#{user}", "conduct"))
        known = found.get((f"user#{account}#{user}", "address"))
        return SendView(
            notification=_notification(state) if state else None,
            conduct=_conduct(conduct),
            address=None if known is None else _without_keys(known),
        )

    def mark_sent(
        self,
        notification_id: str,
        numbers: Mapping[str, int],
        *,
        at: int,
        account: str,
        receipt_deadline: int | None = None,
        detail: str = "",
        copies: Mapping[str, str] = NOTHING,
        left_out: Mapping[str, str] = NOTHING,
        recipient_lid: str | None = None,
        message_id: str | None = None,
    ) -> Transition:
        """The server acknowledged: one UpdateItem, no read.

        `numbers`: the reserved number of each user it was encrypted for; `copies`, `left_out`: as in
        `Attempt`. `message_id`: the transport's, if it isn't made of the notification's. `receipt_deadline`
        (ms): when to report that no delivery receipt came. A receipt that came first is kept: then nothing is
        applied.
        Raises NotificationMissing.
        """
        change = Change.to(State.SENT, at)
        change.set_first("sent_at", at)
        sent = Attempt("sent", at, "ok", _cut(detail), numbers, copies, left_out)
        change.append("attempts", sent.to_json())
        change.set("retries_used", 0)
        change.remove(*_OF_A_WAIT, "failed_at")
        _know_lid(change, recipient_lid)
        if message_id is not None:
            change.set("message_id", message_id)
        if receipt_deadline is not None:
            change.set("watching", account)
            change.set("watch_due", receipt_deadline)
        return self._change(notification_id, change)

    def mark_receipt(self, notification_id: str, state: State, at: int, device: str = "") -> Transition:
        """A delivery (`DELIVERED`) or read (`READ`) receipt of a device (full JID): forward only, each time
        of day as first seen."""
        if state not in (State.DELIVERED, State.READ):
            raise ValueError(f"no receipt says {state}")
        change = Change.to(state, at)
        change.set_first("sent_at", at)
        change.set_first("delivered_at", at)
        if state is State.READ:
            change.set_first("read_at", at)
        if device:
            change.set_in("receipts", f"{device} {state}", at)
        change.remove("watching", "watch_due", *_OF_A_WAIT, "failed_at")
        return self._change(notification_id, change)

    def note_receipt(self, notification_id: str, state: State, at: int, device: str) -> Notification:
        """A receipt that moves nothing: another device was first. Raises NotificationMissing."""
        change = Change()
        change.set_in("receipts", f"{device} {state}", at)
        change.require(STILL_THERE)
        return self._change(notification_id, change).notification

    def suppress(
        self, notification_id: str, problem: Problem, at: int, *, recipient_lid: str | None = None
    ) -> Transition:
        """The recipient doesn't want it: the end, without a dead letter."""
        change = Change.to(State.SUPPRESSED, at)
        _know_lid(change, recipient_lid)
        change.set("suppressed_at", at)
        change.set("last_error", _bounded(problem))
        change.remove(*_OF_A_WAIT)
        return self._change(notification_id, change)

    def fail(
        self,
        notification_id: str,
        problem: Problem,
        at: int,
        attempt: Attempt | None = None,
        *,
        recipient_lid: str | None = None,
    ) -> Transition:
        """The end, until an operator redrives it. The dead letter is enqueued *before* this, so that a crash
        between the two repeats the dead letter (its deduplication id folds it) and loses nothing."""
        change = Change.to(State.FAILED, at)
        _know_lid(change, recipient_lid)
        change.set("failed_at", at)
        change.set("last_error", _bounded(problem))
        change.set("expire_at", at // 1000 + KEPT_SECONDS)
        change.remove(*_OF_A_WAIT, "watching", "watch_due")
        if attempt is not None:
            change.append("attempts", _bounded_attempt(attempt))
        return self._change(notification_id, change)

    def record_attempt(
        self,
        notification_id: str,
        attempt: Attempt,
        *,
        problem: Problem | None = None,
        spends_retry: bool = False,
    ) -> Notification:
        """Remember a try that didn't end the matter. Raises NotificationMissing."""
        change = Change()
        if problem is not None:
            change.set("last_error", _bounded(problem))
        if spends_retry:
            change.add("retries_used", 1)
        return self._with_attempt(notification_id, change, attempt)

    def record_recovery(
        self, notification_id: str, device: str, recovery: Recovery, attempt: Attempt | None = None
    ) -> Notification:
        """Remember that `device` (full JID) asked again for a message and under which number it was answered;
        `attempt`: the entry in the history. Raises NotificationMissing."""
        change = Change()
        change.set_in("recoveries", device, recovery.to_json())
        return self._with_attempt(notification_id, change, attempt)

    def _with_attempt(self, notification_id: str, change: Change, attempt: Attempt | None) -> Notification:
        """Apply `change` to what is still there, with an entry in the history as long as that has room."""
        if attempt is not None:
            with_entry = change.copy()
            with_entry.append("attempts", _bounded_attempt(attempt))
            with_entry.require(f"{STILL_THERE} AND size(attempts) < :most", most=MAX_ATTEMPTS)
            transition = self._try(notification_id, with_entry)
            if transition is not None and transition.applied:
                return transition.notification
            change.add("attempts_dropped", 1)
        change.require(STILL_THERE)
        return self._change(notification_id, change).notification

    # -- waiting -------------------------------------------------------------------------------------------

    def park(
        self,
        notification: Notification,
        cause: str,
        at: int,
        *,
        due_at: int | None = None,
        detail: str = "",
        behind: Notification | None = None,
    ) -> Transition:
        """Let it wait: state, row and its turn at the recipient in one transaction, so that none exists
        without the others.

        `due_at` (ms) None: as soon as the account can send. `behind`: the earlier one that it waits for; what
        holds that one holds both. Not applied if it was sent, failed or suppressed meanwhile.
        """
        held = behind.held_until if behind is not None else held_until(cause, due_at)
        change = Change.into(State.WAITING)
        change.set_first("waiting_since", at)
        change.set("last_error", _bounded(Problem(cause, "wait", detail)))
        change.add("parkings", 1)
        last = notification.attempts[-1] if notification.attempts else None
        # A limit may park it a hundred times over: its first time is history enough.
        if (last is None or last.cause != cause) and len(notification.attempts) < MAX_ATTEMPTS:
            change.append("attempts", Attempt(cause, at, "wait", _cut(detail)).to_json())
        for name, value in (("due_at", due_at), ("held_until", held)):
            if value is None:
                change.remove(name)
            else:
                change.set(name, value)
        row = to_item(
            {
                **_row_key_values(notification.account, notification.turn),
                "notification": notification.id,
                "planned_at": notification.created_at,
                "recipient": notification.recipient,
                "audience": notification.audience,
                "cause": cause,
                "due_at": due_at,
                "expires_at": notification.expires_at,
                "parked_at": at,
                "held_until": held,
                "tag": secrets.token_hex(8),
                "expire_at": notification.expires_at + KEPT_SECONDS,
            }
        )
        update = {
            "TableName": self._table,
            "Key": _state_key(notification.id),
            **change.expressions(),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        put = {"TableName": self._table, "Item": row}
        lined_up = Change(outcome=False)
        lined_up.add("parked", frozenset({notification.turn}))
        line = {
            "TableName": self._table,
            "Key": _conduct_key(notification.account, user_of(notification.recipient)),
            **lined_up.expressions(),
        }
        refused = self._refusal(
            self._client.transact_write_items,
            TransactItems=[{"Update": update}, {"Put": put}, {"Update": line}],
        )
        return Transition(refused is None, self._stored(notification.id, refused or {}))

    def waiting(self, account: str) -> Iterator[WaitingRow]:
        """The account's parked notifications, oldest first, read as they are asked for."""
        start: dict[str, Any] = {}
        while True:
            page = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"waiting#{account}"}},
                ConsistentRead=True,
                **start,
            )
            for item in page["Items"]:
                yield _waiting_row(account, item)
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def requeue(
        self, notification_id: str, *, row: WaitingRow | None = None, expires_at: int | None = None
    ) -> Transition:
        """Back from waiting: `planned` again, under the next generation. Applied a second time after a crash
        between this and the queue, so the row may then be resumed once more. Not applied if `row`, by which
        it was found, names another account, recipient or audience. `expires_at` (seconds): its expiry from
        now on, if that has moved."""
        change = Change.into(State.PLANNED, State.WAITING, State.PLANNED)
        if row is not None:
            change.require_also(
                OF_THE_SAME, account=row.account, recipient=row.recipient, audience=row.audience
            )
        if expires_at is not None:
            change.set("expires_at", expires_at)
        change.add("generation", 1)
        change.set("requeued_at", int(self._clock() * 1000))
        change.remove(*_OF_A_WAIT)
        return self._change(notification_id, change)

    def drop_waiting(self, row: WaitingRow) -> bool:
        """Delete the row if it wasn't parked anew since it was read; whether it was deleted."""
        key = _row_key_values(row.account, row.turn)
        refused = self._refusal(
            self._client.delete_item,
            TableName=self._table,
            Key=to_item(key),
            ConditionExpression=SAME_PARKING,
            ExpressionAttributeValues={":tag": {"S": row.tag}},
        )
        return refused is None

    def reset_for_redrive(self, notification_id: str, *, at: int, expires_at: int) -> Transition:
        """A dead letter starts anew: retries unspent, a new expiry (seconds), the next generation. Also one
        that crashed its way to the dead letters and still is `planned`. Not applied to any other state."""
        change = Change.into(State.PLANNED, State.FAILED, State.PLANNED)
        change.set("retries_used", 0)
        change.set("expires_at", expires_at)
        change.set("expire_at", at // 1000 + KEPT_SECONDS)
        change.add("generation", 1)
        change.add("redriven", 1)
        change.append("attempts", Attempt("redriven", at, "operator").to_json())
        change.remove("failed_at")
        return self._change(notification_id, change)

    def leave_line(self, account: str, user: str, turn: str) -> None:
        """A parked notification to `user` (bare JID) came to its end: it holds up nobody any more."""
        change = Change(outcome=False)
        change.take_out("parked", frozenset({turn}))
        change.require(STILL_THERE)
        self._change_conduct(account, user, change)

    # -- watching for receipts -----------------------------------------------------------------------------

    def overdue(self, account: str, now: int, limit: int = 100) -> list[str]:
        """Ids of sent notifications whose receipt deadline (ms) is past, oldest first. The index is
        eventually consistent: `mark_overdue` has the last word."""
        page = self._client.query(
            TableName=self._table,
            IndexName=WATCH_INDEX,
            KeyConditionExpression="watching = :account AND watch_due <= :now",
            ExpressionAttributeValues={":account": {"S": account}, ":now": {"N": str(now)}},
            Limit=limit,
        )
        return [item["pk"]["S"].removeprefix("notification#") for item in page["Items"]]

    def mark_overdue(self, notification_id: str, at: int) -> Transition:
        """Say once that no receipt came in time. The state stays `sent`: a late receipt still counts."""
        change = Change()
        change.set("overdue_at", at)
        change.set("outcome", OVERDUE)
        change.set("outcome_at", at)
        change.remove("watching", "watch_due")
        change.require(SENT_AND_UNREPORTED, from0=State.SENT, naming=("state",))
        return self._change(notification_id, change)

    # -- conduct and replies -------------------------------------------------------------------------------

    def conduct(self, account: str, user: str) -> Conduct:
        answer = self._client.get_item(
            TableName=self._table, Key=_conduct_key(account, user), ConsistentRead=True
        )
        return _conduct(answer.get("Item"))

    def opt_out(self, account: str, user: str, word: str, at: int) -> bool:
        """Remember the opt-out; whether it is news."""
        change = Change(outcome=False)
        change.set("opted_out_at", at)
        change.set("opt_out_word", word)
        change.remove("confirmed_at")
        change.require(NOT_OPTED_OUT)
        return self._change_conduct(account, user, change)

    def confirm_opt_out(self, account: str, user: str, at: int) -> bool:
        """Claim the one confirmation of an opt-out; whether it is still to be said."""
        change = Change(outcome=False)
        change.set("confirmed_at", at)
        change.require(OPTED_OUT_UNCONFIRMED)
        return self._change_conduct(account, user, change)

    def opt_in(self, account: str, user: str) -> bool:
        """Take an opt-out back; whether there was one."""
        change = Change(outcome=False)
        change.remove("opted_out_at", "opt_out_word", "confirmed_at")
        change.require(OPTED_OUT)
        return self._change_conduct(account, user, change)

    def adopt_conduct(self, account: str, user: str, lid: str) -> Conduct:
        """What was said under a LID holds for a number (`user`, bare JID) that turned out to be the same
        person's: an opt-out. Remember that this was looked for; the conduct as it is then."""
        said = self.conduct(account, lid)
        change = Change(outcome=False)
        change.set("lid", lid)
        for name in ("opted_out_at", "opt_out_word", "confirmed_at"):
            if said.opted_out_at is not None and getattr(said, name) is not None:
                change.set_first(name, getattr(said, name))
        answer = self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=_conduct_key(account, user),
            ReturnValues="ALL_NEW",
            **change.expressions(),
        )
        return _conduct(answer["Attributes"])

    def count_recovery(self, account: str, user: str) -> int:
        """One more recovery since the last success; how many."""
        answer = self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=_conduct_key(account, user),
            UpdateExpression="ADD recoveries :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["recoveries"]["N"])

    def count_recovery_in_hour(self, account: str, user: str, at: int) -> int:
        """One more recovery in the hour of `at` (ms); how many. Each hour has an item of its own, which the
        table's time to live takes away."""
        return self._count_in_hour("recoveries", account, user, at)

    def count_list_question_in_hour(self, account: str, user: str, at: int) -> int:
        """One more question in the hour of `at` (ms) whether a device is one of `user`'s; how many."""
        return self._count_in_hour("questions", account, user, at)

    def _count_in_hour(self, what: str, account: str, user: str, at: int) -> int:
        hour = at // 3_600_000
        answer = self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=_key(f"recipient#{account}#{user}", f"{what}#{hour}"),
            UpdateExpression="SET expire_at = :expiry ADD #what :one",
            ExpressionAttributeNames={"#what": what},
            ExpressionAttributeValues={":one": {"N": "1"}, ":expiry": {"N": str((hour + 48) * 3600)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"][what]["N"])

    def note_delivery(self, account: str, user: str, notification_id: str) -> None:
        """A device of `user` confirmed a notification: a reply without a quote is taken to be about it, and
        the count of recoveries starts again."""
        change = Change(outcome=False)
        change.set("last_notification", notification_id)
        change.remove("recoveries")
        self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=_conduct_key(account, user),
            **change.expressions(),
        )

    def note_heard(self, account: str, user: str, at: int) -> None:
        """`user` wrote to us before any notification reached them: they know us from now on."""
        change = Change(outcome=False)
        change.set("heard_at", at)
        self._repeat(
            self._client.update_item,
            TableName=self._table,
            Key=_conduct_key(account, user),
            **change.expressions(),
        )

    def clear_recoveries(self, account: str, user: str) -> None:
        """After a success. Call it only where the count isn't 0: it is a write."""
        change = Change(outcome=False)
        change.remove("recoveries")
        change.require(STILL_THERE)
        self._change_conduct(account, user, change)

    def put_reply(self, account: str, user: str, message_id: str, reply: Mapping[str, Any], at: int) -> bool:
        """Keep an answer of `user` (bare JID) and tell the world, once per message id; whether it is news.

        `reply`: what the event shall say, such as text, ticket_id, notification_id, audience.
        """
        values = {
            "pk": f"reply#{account}#{user}",
            "sk": message_id,
            **reply,
            "account": account,
            "user": user,
            "message_id": message_id,
            "received_at": at,
            "outcome": REPLY_RECEIVED,
            "outcome_at": at,
            "expire_at": at // 1000 + KEPT_SECONDS,
        }
        refused = self._refusal(
            self._client.put_item,
            TableName=self._table,
            Item=to_item(values),
            ConditionExpression=NOT_THERE_YET,
        )
        return refused is None

    def put_identity_change(
        self, account: str, user: str, device: int, change: Mapping[str, Any], fingerprint: str, at: int
    ) -> bool:
        """Keep that a device of `user` (bare JID) has a new identity, and tell the world; whether it is news.

        Told again within the hour, it is the same news. `change`: what the event shall say; `fingerprint`: of
        the new identity.
        """
        values = {
            "pk": f"identity#{account}#{user}",
            "sk": f"{device}#{fingerprint}#{at // 3_600_000}",
            **change,
            "account": account,
            "user": user,
            "device": device,
            "changed_at": at,
            "outcome": IDENTITY_CHANGED,
            "outcome_at": at,
            "expire_at": at // 1000 + KEPT_SECONDS,
        }
        refused = self._refusal(
            self._client.put_item,
            TableName=self._table,
            Item=to_item(values),
            ConditionExpression=NOT_THERE_YET,
        )
        return refused is None

    def identity_changes(self, account: str, user: str) -> list[dict[str, Any]]:
        """The kept changes of identity of `user` (bare JID), oldest first."""
        page = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"identity#{account}#{user}"}},
        )
        return sorted((from_item(item) for item in page["Items"]), key=lambda values: values["changed_at"])

    # -- the calls themselves ------------------------------------------------------------------------------

    def _change(self, notification_id: str, change: Change) -> Transition:
        transition = self._try(notification_id, change)
        if transition is None:
            raise NotificationMissing(notification_id)
        return transition

    def _try(self, notification_id: str, change: Change) -> Transition | None:
        """Apply `change` under its condition. Refused: the notification as it stands; None if there is
        none."""
        from botocore.exceptions import ClientError

        try:
            answer = self._repeat(
                self._client.update_item,
                TableName=self._table,
                Key=_state_key(notification_id),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **change.expressions(),
            )
        except ClientError as error:
            refused = _refused_item(error)
            if refused is None:
                raise
            stored = _notification(refused) if refused else self.get(notification_id)
            return None if stored is None else Transition(False, stored)
        return Transition(True, _notification(answer["Attributes"]))

    def _change_conduct(self, account: str, user: str, change: Change) -> bool:
        refused = self._refusal(
            self._client.update_item,
            TableName=self._table,
            Key=_conduct_key(account, user),
            **change.expressions(),
        )
        return refused is None

    def _refusal(self, call: Callable[..., Any], **arguments: Any) -> Item | None:
        """None: written. Else the item that stood against the condition (empty where the answer doesn't hold
        it)."""
        from botocore.exceptions import ClientError

        if "TransactItems" not in arguments:
            arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            self._repeat(call, **arguments)
        except ClientError as error:
            refused = _refused_item(error)
            if refused is None:
                raise
            return refused
        return None

    def _stored(self, notification_id: str, item: Item) -> Notification:
        """The notification a refused write spoke of; read again where the refusal didn't bring it along."""
        stored = _notification(item) if item else self.get(notification_id)
        if stored is None:
            raise NotificationMissing(notification_id)
        return stored

    def _repeat(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Make `call`; again, with jitter, while a transaction on the same item is in flight. boto3 doesn't
        repeat those. After a second the conflict is raised, and the queue repeats."""
        from botocore.exceptions import ClientError

        give_up = time.monotonic() + _CONFLICT_PATIENCE_SECONDS
        pause = 0.005
        while True:
            try:
                return call(**arguments)
            except ClientError as error:
                if not _is_conflict(error) or time.monotonic() >= give_up:
                    raise
            self._sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
            pause = min(pause * 2, 0.08)

    def _batch_get(self, wanted: Mapping[str, Any]) -> list[Item]:
        found: list[Item] = []
        pause = 0.02
        for _ in range(_BATCH_TRIES):
            answer = self._client.batch_get_item(RequestItems=wanted)
            for items in answer["Responses"].values():
                found += items
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return found
            self._sleep(random.uniform(0, pause))  # noqa: S311 - spreads readers, guards nothing
            pause = min(pause * 2, 0.5)
        raise ReadIncomplete(f"{sum(len(keys['Keys']) for keys in wanted.values())} keys stayed unread")


# -- keys and items ----------------------------------------------------------------------------------------


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _state_key(notification_id: str) -> Item:
    return _key(f"notification#{notification_id}", "state")


def _conduct_key(account: str, user: str) -> Item:
    return _key(f"recipient#{account}#{user}", "conduct")


def _thread_key(account: str, user: str, ticket_id: str) -> Item:
    return _key(f"thread#{account}#{user}", ticket_id)


def _thread(item: Item | None) -> Thread | None:
    if not item:
        return None
    values = from_item(item)
    return Thread(values["first"], values["last"], values["last_at"])


def _address_key(account: str, user: str) -> Item:
    return _key(f"user#{account}#{user}", "address")


def _row_key_values(account: str, turn: str) -> dict[str, str]:
    return {"pk": f"waiting#{account}", "sk": turn}


_PLAIN = (
    "id",
    "account",
    "ticket_id",
    "event_type",
    "revision",
    "audience",
    "recipient",
    "recipient_name",
    "language",
    "text",
    "created_at",
    "expires_at",
    "retries_used",
    "generation",
)
_OPTIONAL = (
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "suppressed_at",
    "overdue_at",
    "waiting_since",
    "due_at",
    "held_until",
    "event_at",
    "requeued_at",
    "edits",
    "reacts_to",
    "reacts_to_author",
    "recipient_lid",
    "refused_address",
)
_COUNTERS = ("parkings", "redriven", "attempts_dropped")


def _item_values(notification: Notification, expire_at: int) -> dict[str, Any]:
    plain = {name: getattr(notification, name) for name in (*_PLAIN, *_OPTIONAL)}
    return {
        "pk": f"notification#{notification.id}",
        "sk": "state",
        **plain,
        "state": notification.state,
        "message_id": notification.message_id,
        "attempts": [attempt.to_json() for attempt in notification.attempts],
        "recoveries": {device: recovery.to_json() for device, recovery in notification.recoveries.items()},
        "receipts": dict(notification.receipts),
        "event_id": notification.event_id or None,
        "quote": vars(notification.quote) if notification.quote else None,
        "preview": vars(notification.preview) if notification.preview else None,
        "attachment": vars(notification.attachment) if notification.attachment else None,
        "last_error": notification.last_error.to_json() if notification.last_error else None,
        "expire_at": expire_at,
    }


def notification_of_item(item: Mapping[str, Mapping[str, Any]]) -> Notification:
    """The notification an item (or a stream image of it) holds."""
    values = from_item(item)
    plain: dict[str, Any] = {name: values[name] for name in _PLAIN}
    optional: dict[str, Any] = {name: values.get(name) for name in _OPTIONAL}
    optional |= {name: values.get(name, 0) for name in _COUNTERS}
    message_id = values.get("message_id")
    optional["given_message_id"] = None if message_id == message_id_of(plain["id"]) else message_id
    last_error, quote = values.get("last_error"), values.get("quote")
    attachment, preview = values.get("attachment"), values.get("preview")
    recoveries = values.get("recoveries", {})
    if "held_until" not in values and last_error:
        # A record from before holds were written down.
        optional["held_until"] = held_until(last_error["code"], values.get("due_at"))
    return Notification(
        **plain,
        **optional,
        state=State(values["state"]),
        attempts=tuple(Attempt.from_json(attempt) for attempt in values.get("attempts", ())),
        recoveries=MappingProxyType(
            {device: Recovery.from_json(told) for device, told in recoveries.items()}
        ),
        receipts=MappingProxyType(values.get("receipts", {})),
        event_id=values.get("event_id", ""),
        quote=Quote(**quote) if quote else None,
        preview=Preview(**preview) if preview else None,
        attachment=Attachment(**attachment) if attachment else None,
        last_error=Problem.from_json(last_error) if last_error else None,
    )


_notification = notification_of_item


def _conduct(item: Item | None) -> Conduct:
    if item is None:
        return Conduct()
    values = from_item(item)
    return Conduct(
        opted_out_at=values.get("opted_out_at"),
        opt_out_word=values.get("opt_out_word"),
        confirmed_at=values.get("confirmed_at"),
        recoveries=values.get("recoveries", 0),
        last_notification=values.get("last_notification"),
        parked=values.get("parked", frozenset()),
        heard_at=values.get("heard_at"),
        lid=values.get("lid"),
    )


def _waiting_row(account: str, item: Item) -> WaitingRow:
    values = from_item(item)
    return WaitingRow(
        account=account,
        turn=values["sk"],
        notification=values["notification"],
        planned_at=values["planned_at"],
        recipient=values["recipient"],
        audience=values["audience"],
        cause=values["cause"],
        due_at=values.get("due_at"),
        expires_at=values["expires_at"],
        tag=values["tag"],
        # A row from before holds were written down doesn't say when it was parked.
        parked_at=values.get("parked_at", values["planned_at"]),
        held_until=values.get("held_until", held_until(values["cause"], values.get("due_at"))),
    )


def _without_keys(item: Item) -> dict[str, Any]:
    return {name: from_attribute(value) for name, value in item.items() if name not in ("pk", "sk")}


def _know_lid(change: Change, lid: str | None) -> None:
    if lid is not None:
        change.set("recipient_lid", lid)


def _cut(detail: str) -> str:
    return detail if len(detail) <= DETAIL_LENGTH else detail[: DETAIL_LENGTH - 1] + "…"


def _bounded(problem: Problem) -> dict[str, str]:
    return Problem(problem.code, problem.class_, _cut(problem.detail)).to_json()


def _bounded_attempt(attempt: Attempt) -> dict[str, Any]:
    return {**attempt.to_json(), "detail": _cut(attempt.detail)}


def _is_conflict(error: Any) -> bool:
    code = error.response["Error"]["Code"]
    if code == "TransactionConflictException":
        return True
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    return code == "TransactionCanceledException" and bool(
        reasons & {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
    )


def _refused_item(error: Any) -> Item | None:
    """The item that stood against a condition, {} if the answer lacks it; None if the error is another
    one."""
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return dict(error.response.get("Item") or {})
    if code == "TransactionCanceledException":
        for reason in error.response.get("CancellationReasons", ()):
            if reason.get("Code") == "ConditionalCheckFailed":
                return dict(reason.get("Item") or {})
    return None
