"""The notifications themselves: written once, then taken from state to state, forward only."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import MappingProxyType

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import (
    ITEM_ABSENT,
    ITEM_EXISTS,
    Absent,
    Equals,
    Item,
    Put,
    Shorter,
    Update,
    as_read,
)
from tocsin.notify.notification import (
    OUTCOMES,
    OVERDUE,
    Attempt,
    Notification,
    Problem,
    ReceiptNews,
    Recovery,
    State,
)
from tocsin.notify.store.codec import (
    MALFORMED,
    bounded,
    bounded_attempt,
    item_of_notification,
    notification_of_item,
    present,
)
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import SEALED
from tocsin.notify.store.transition import (
    OF_A_WAIT,
    PASSED,
    TRIES,
    NotificationMissing,
    Transition,
    change,
    enters,
    told,
)
from tocsin.tables.notifications import TICKET, WATCH_ENDED, notification_key, notification_of, watch_part
from tocsin.timestamps import to_seconds

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 60
"""Attempts kept on an item; later ones only count retries. Far above every retry limit, far below 400 KB."""

NOTHING: Mapping[str, str] = MappingProxyType({})

# A deadline is reported once, and only while no receipt has come.
SENT_AND_UNREPORTED = (Equals("state", State.SENT), Absent("overdue_at"))
IS_WAITING = (Equals("state", State.WAITING),)
# There is room for one more entry in the history.
ROOM_FOR_ATTEMPT = (ITEM_EXISTS, Shorter("attempts", MAX_ATTEMPTS))


class Notifications:
    """The items that hold notifications."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def put_new(self, notification: Notification) -> Notification | None:
        """Write a new notification. None: it is written. Else the one that was there already; nothing was
        written. Raises TextWithheld where texts can't be sealed."""
        table = self._table
        item = item_of_notification(notification, table.expire_at(notification.created_at), table.texts)
        # The same event planned twice finds its own notification.
        put = Put(notification_key(notification.id), item, when=(ITEM_ABSENT,))
        try:
            self._table.put(put)
        except ConditionFailed as refused:
            if refused.item is None:
                raise NotificationMissing(notification.id) from None
            return notification_of_item(refused.item, table.texts)
        return None

    def get(self, notification_id: str) -> Notification | None:
        item = self._table.get(notification_key(notification_id))
        return notification_of_item(item, self._table.texts) if item is not None else None

    def get_readable(self, notification_id: str) -> Notification | None:
        """As `get`. One that can't be read is as good as none to whoever is behind it; the log names it."""
        try:
            return self.get(notification_id)
        except MALFORMED as error:
            tell_unreadable(notification_id, error)
            return None

    def open(self, item: Item) -> Notification:
        """The notification in an item that was read already. Raises UnknownContent."""
        return notification_of_item(item, self._table.texts)

    def reroute(self, notification_id: str, person: str, lane: str) -> Transition:
        """It is for `person` (bare JID) and goes in that one's lane from now on, under the next generation.
        Not applied unless it is planned. Raises NotificationMissing."""
        update = Update(
            notification_key(notification_id),
            set={"person": person, "lane": lane},
            add={"generation": 1},
            remove=(TRIES,),
            when=enters(State.PLANNED, State.PLANNED),
        )
        return change(self._table, update)

    def get_many(self, notification_ids: Collection[str]) -> dict[str, Notification]:
        """Those that are there and can be read, by id, in one request for each hundred. The log names the
        others."""
        keys = {notification_key(one): one for one in notification_ids}
        found: dict[str, Notification] = {}
        for key, item in self._table.get_many(list(keys)).items():
            try:
                found[keys[key]] = notification_of_item(item, self._table.texts)
            except MALFORMED as error:
                tell_unreadable(keys[key], error)
        return found

    def hurry(self, notification_id: str) -> bool:
        """Let one that waits be held up no longer than what is urgent; whether it waits."""
        key = notification_key(notification_id)
        try:
            return change(self._table, Update(key, set={"hurried": True}, when=IS_WAITING)).applied
        except NotificationMissing:
            return False

    # -- sending -------------------------------------------------------------------------------------------

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
        tells: bool = True,
    ) -> Transition:
        """The server acknowledged: one write, no read.

        `numbers`: the reserved number of each user it was encrypted for; `copies`, `left_out`: as in
        `Attempt`. `message_id`: the transport's, if it isn't made of the notification's. `receipt_deadline`
        (ms): when to report that no delivery receipt came. `tells`: whether it is an outcome for the bus;
        else the stream's filter passes it over. A receipt that came first is kept: then nothing is applied.
        Raises NotificationMissing.
        """
        watch: Item = {}
        if receipt_deadline is not None:
            watch = {"watching": watch_part(account, notification_id), "watch_due": receipt_deadline}
        given: Item = {} if message_id is None else {"message_id": message_id}
        step: Item = told(State.SENT, at) if tells else {"state": State.SENT}
        sent = Attempt("sent", at, "ok", detail, numbers, copies, left_out)
        update = Update(
            notification_key(notification_id),
            set={**step, "retries_used": 0, **watch, **given, **_known(recipient_lid)},
            set_first={"sent_at": at},
            append={"attempts": bounded_attempt(sent)},
            remove=(*OF_A_WAIT, "failed_at", TRIES),
            when=enters(State.SENT),
        )
        return change(self._table, update)

    def name_message(self, notification_id: str, message_id: str) -> None:
        """The other side's id of its message, which became known after it was sent. Raises
        NotificationMissing."""
        named = Update(notification_key(notification_id), set={"message_id": message_id}, when=(ITEM_EXISTS,))
        change(self._table, named)

    def mark_receipts(
        self, notification_id: str, news: ReceiptNews, *, seen: Notification | None = None
    ) -> Transition:
        """What receipts say that wasn't known: one write, however many they are. `seen`: the notification
        that `news` was made for. Not applied if its state, or a moment that changes, is another by now: make
        the news anew. Raises NotificationMissing."""
        moments = {"delivered_at": news.delivered_at, "read_at": news.read_at}
        changed: Item = {name: at for name, at in moments.items() if at is not None}
        known = present({name: getattr(seen, name, None) for name in changed})
        unchanged = [as_read(name, known) for name in changed] if seen is not None else []
        update = Update(
            notification_key(notification_id),
            set=changed,
            set_in={"receipts": news.receipts} if news.receipts else {},
            when=(ITEM_EXISTS, *unchanged),
        )
        if news.state is not None:
            passed: Item = {PASSED: OUTCOMES[news.passed]} if news.passed is not None else {}
            update = update._replace(
                set={**changed, **told(news.state, news.at), **passed},
                set_first={"sent_at": news.delivered_at or news.at},
                remove=(*OF_A_WAIT, "failed_at", *_words_of(seen)),
                when=(*enters(news.state), *unchanged),
            )
        return change(self._table, update)

    def suppress(
        self,
        notification_id: str,
        problem: Problem,
        at: int,
        *,
        recipient_lid: str | None = None,
        erase: bool = False,
        outcome: str | None = None,
    ) -> Transition:
        """The recipient doesn't want it, or must not get it: the end, without a dead letter. `erase`: its
        words as well. `outcome`: how the world is told of it, if not as Suppressed. Raises
        NotificationMissing."""
        named: Item = {} if outcome is None else {"outcome": outcome}
        end: Item = {"suppressed_at": at, "last_error": bounded(problem), **named}
        update = Update(
            notification_key(notification_id),
            set={**told(State.SUPPRESSED, at), **end, **_ended(at), **_known(recipient_lid)},
            remove=(*OF_A_WAIT, SEALED) if erase else OF_A_WAIT,
            when=enters(State.SUPPRESSED),
        )
        return change(self._table, update)

    def fail(
        self,
        notification_id: str,
        problem: Problem,
        at: int,
        attempt: Attempt | None = None,
        *,
        recipient_lid: str | None = None,
        erase: bool = False,
    ) -> Transition:
        """The end, until an operator redrives it. The dead letter is enqueued *before* this, so that a crash
        between the two repeats the dead letter (its deduplication id folds it) and loses nothing. `erase`:
        its words as well. Raises NotificationMissing."""
        end: Item = {
            "failed_at": at,
            "last_error": bounded(problem),
            "expire_at": self._table.expire_at(at),
        }
        update = Update(
            notification_key(notification_id),
            set={**told(State.FAILED, at), **end, **_ended(at), **_known(recipient_lid)},
            append={} if attempt is None else {"attempts": bounded_attempt(attempt)},
            remove=(*OF_A_WAIT, SEALED) if erase else OF_A_WAIT,
            when=enters(State.FAILED),
        )
        return change(self._table, update)

    def reset_for_redrive(
        self, notification_id: str, *, at: int, expires_at: int, from_waiting: bool = False
    ) -> Transition:
        """A dead letter starts anew: retries unspent, a new expiry, the next generation. Also one
        that crashed its way to the dead letters and still is `planned`, and with `from_waiting` one that
        still waits, which nothing looks after. Not applied to any other state. Raises NotificationMissing."""
        left = (State.WAITING,) if from_waiting else ()
        update = Update(
            notification_key(notification_id),
            set={
                "state": State.PLANNED,
                "retries_used": 0,
                "expires_at": to_seconds(expires_at),
                "expire_at": self._table.expire_at(at),
            },
            add={"generation": 1, "redriven": 1},
            append={"attempts": Attempt("redriven", at, "operator").to_json()},
            remove=("failed_at", TRIES, *OF_A_WAIT),
            when=enters(State.PLANNED, State.FAILED, State.PLANNED, *left),
        )
        return change(self._table, update)

    # -- history -------------------------------------------------------------------------------------------

    def record_attempt(
        self,
        notification_id: str,
        attempt: Attempt,
        *,
        problem: Problem | None = None,
        spends_retry: bool = False,
    ) -> Notification:
        """Remember a try that didn't end the matter. Raises NotificationMissing."""
        update = Update(
            notification_key(notification_id),
            set={} if problem is None else {"last_error": bounded(problem)},
            add={"retries_used": 1} if spends_retry else {},
            remove=(TRIES,) if spends_retry else (),
        )
        return self._with_attempt(update, attempt)

    def begin_try(self, notification_id: str, attempt: Attempt) -> Notification:
        """Count a try before it begins, so that it counts even if its process ends with it; `attempt`: the
        entry in the history. Raises NotificationMissing."""
        return self._with_attempt(Update(notification_key(notification_id), add={TRIES: 1}), attempt)

    def record_recovery(
        self, notification_id: str, device: str, recovery: Recovery, attempt: Attempt | None = None
    ) -> Notification:
        """Remember that `device` (full JID) asked again for a message and under which number it was answered;
        `attempt`: the entry in the history. Raises NotificationMissing."""
        update = Update(
            notification_key(notification_id), set_in={"recoveries": {device: recovery.to_json()}}
        )
        return self._with_attempt(update, attempt)

    def _with_attempt(self, update: Update, attempt: Attempt | None) -> Notification:
        """Apply `update` to what is still there, with an entry in the history as long as that has room."""
        if attempt is not None:
            entry = {"attempts": bounded_attempt(attempt)}
            noted = change(self._table, update._replace(append=entry, when=ROOM_FOR_ATTEMPT))
            if noted.applied:
                return noted.notification
            update = update._replace(add={**update.add, "attempts_dropped": 1})
        return change(self._table, update._replace(when=(ITEM_EXISTS,))).notification

    # -- watching for receipts -----------------------------------------------------------------------------

    def mark_overdue(self, notification_id: str, at: int) -> Transition:
        """Say once that no receipt came in time. The state stays `sent`: a late receipt still counts.
        Raises NotificationMissing."""
        update = Update(
            notification_key(notification_id),
            set={"overdue_at": at, "outcome": OVERDUE, "outcome_at": at},
            when=SENT_AND_UNREPORTED,
        )
        return change(self._table, update)

    def erase_words(self, notification_id: str) -> None:
        """Take its words away, whatever it is; what lies in the record besides, stays. Raises
        NotificationMissing."""
        gone = Update(notification_key(notification_id), remove=(SEALED,), when=(ITEM_EXISTS,))
        change(self._table, gone)

    # -- for the operator ----------------------------------------------------------------------------------

    def of_ticket(self, ticket_id: str) -> list[str]:
        """Return the ids of a ticket's notifications, in no order."""
        return [found for key in self._table.indexed(TICKET, ticket_id) if (found := notification_of(key))]


def tell_unreadable(notification_id: str, error: Exception) -> None:
    """Name in the log a record that has another form than this version reads."""
    log.error("unreadable record", extra={"notification": notification_id, "error": type(error).__name__})


def _ended(at: int) -> Item:
    """Its place in the index `watch` once it ended without being sent: no receipt is due any more."""
    return {"watching": WATCH_ENDED, "watch_due": at}


def _words_of(seen: Notification | None) -> tuple[str, ...]:
    """Attributes that go when a notification arrives: the words of a sensitive one."""
    return (SEALED,) if seen is not None and seen.sensitive else ()


def _known(recipient_lid: str | None) -> Item:
    return {} if recipient_lid is None else {"recipient_lid": recipient_lid}
