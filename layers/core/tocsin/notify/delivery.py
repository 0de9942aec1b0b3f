"""One notification from the queue to the server's ack, or to wherever it goes instead.

    planned ── believed? ── who is it? ── may it go now? ── `attempts`: send, and what each failure leads to
                  │             │               └── parked, or suppressed
                  │             └── rerouted into their lane, parked behind an earlier one, or suppressed
                  └── dropped

An order that the queue brings again is tried under a count in its record, and from the second such try on
alone: whoever killed the process ends in the dead letters, and nobody who happened to be with it.

An order is believed only where it agrees with its notification as stored: in account, recipient, audience,
and the queue's message group made of them. One that disagrees is dropped.

What follows a parked one to the same person parks behind it, so that nothing overtakes. Who the recipient is
may turn out on the way, and then be a person whom we know by another name: what holds for them holds at once.

Known session: one read (`batch_get_for_send`), two reservations, one write (`mark_sent`). The planner read
once who the recipient is.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tocsin.notify.attempts import Attempts, Recipient
from tocsin.notify.cold import is_barred, refusal
from tocsin.notify.content import WITHHELD, Edit, Withheld
from tocsin.notify.dead_letters import MALFORMED_ORDER, UNREADABLE_RECORD, DeadLetters
from tocsin.notify.failure import Permanent, Wait
from tocsin.notify.gate import BEHIND, Gate, hurry_before, was_collected
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.judgements import (
    acquaintance,
    expiry_of,
    is_answer,
    is_editable_by,
    is_unwanted,
    number_since,
    reason_to_drop,
    waits_for_operator,
    was_rerouted,
    wrong_place,
)
from tocsin.notify.notification import (
    WOULD_HAVE_BEEN_SENT,
    Notification,
    Problem,
    State,
    mismatch,
    was_erased,
)
from tocsin.notify.queues import NotificationsQueue, Order
from tocsin.notify.store.stores import SendView, Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.notify.transport import Transport
from tocsin.notify.unreadable import UnreadableOrders
from tocsin.notify.verdict import UNREADABLE, Stopped, Verdict
from tocsin.pace.causes import DIGESTED
from tocsin.people.person import Name, Person, Source
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.tables.names import id_of_message, is_lid, user_of
from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

IN_LINE = (State.PLANNED, State.WAITING)

SUPERSEDED = Problem("superseded", "permanent", "a younger edit of the same message was sent")
TOO_LATE = Problem("edit-too-late", "permanent", "said in a message of its own")
OPTED_OUT = Problem("opted-out", "permanent", "the recipient doesn't want notifications")
NOT_THEIRS = Problem(NUMBER_MOVED, "permanent", "it answers somebody who has another number by now")


class Delivery:
    """Sends what the orders of the notifications queue ask for."""

    def __init__(
        self,
        stores: Stores,
        dead_letters: DeadLetters,
        transport: Transport,
        queue: NotificationsQueue,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._stores = stores
        self._unreadable = UnreadableOrders(stores, dead_letters)
        self._transport = transport
        self._queue = queue
        self._settings = settings
        self._clock = clock
        self._gate = Gate()
        self._attempts = Attempts(
            stores, dead_letters, transport, self._gate, settings=settings, now_ms=self._now_ms, jitter=jitter
        )

    def deliver(
        self, order: Order, receives: int = 1, *, lane: str | None = None, alone: bool = True
    ) -> Verdict:
        """Carry out one order. `receives`: how often the queue has delivered it; `lane`: in which message
        group, `None` if that isn't known; `alone`: no other order is carried out meanwhile.

        Raises only what nobody foresaw; the queue then delivers the order again.
        """
        try:
            return self._deliver(order, receives, lane, alone)
        except Exception as error:
            if self._unreadable.is_one(order.notification):
                again = self._unreadable.put_aside(order, receives, self._now_ms())
                return Verdict(UNREADABLE, UNREADABLE_RECORD.code, again_after=again)
            self._attempts.note_bug(order.notification, error)
            raise

    def refuse(self, body: str, lane: str | None, message_id: str) -> Verdict:
        """Put aside what is no order."""
        self._unreadable.refuse(body, lane, message_id)
        return Verdict(UNREADABLE, MALFORMED_ORDER)

    def keep_place(self, body: str) -> None:
        """An order is about to go to the end of its lane, behind orders that may be younger: these wait for
        it."""
        try:
            order = Order.parse(body)
        except ValueError:
            return
        notification = self._stores.notifications.get_readable(order.notification)
        if notification is not None and reason_to_drop(notification, order) is None:
            name, turn = notification.person_name, notification.turn
            self._stores.people.enter_line(notification.account, name, turn)

    def _deliver(self, order: Order, receives: int, lane: str | None, alone: bool) -> Verdict:
        # Before anything is sent: who can't read them sends nothing. Read once in a while, they cost nothing.
        self._settings()
        view = self._stores.batch_get_for_send(
            order.notification, order.account, order.person_name, user_of(order.recipient)
        )
        notification = view.notification
        if notification is None or was_erased(notification):
            return Verdict("dropped", "unknown-notification")
        if was_rerouted(notification, order):
            # A crash may have come between the record and the queue; what lies there already is folded.
            return self._enqueue_rerouted(notification)
        stale = reason_to_drop(notification, order)
        differs = mismatch(order, notification) or ("" if stale else wrong_place(order, notification, lane))
        if differs:
            # Person and address were read for whom the order names: neither may be believed.
            _tell_mismatch(order, notification, differs)
            return Verdict("mismatched", differs)
        if stale:
            return Verdict("dropped", stale)
        if receives - 1 > notification.retries_used:
            counted = self._attempts.begin(notification, receives, alone)
            if isinstance(counted, Verdict):
                return counted
            notification = counted
        return self._carry_out(notification, view, order)

    def _carry_out(self, notification: Notification, view: SendView, order: Order) -> Verdict:
        """Send what the order rightly asks for, or let it wait or end, as it stands with its recipient."""
        address = self._transport.address_of(order.account, order.recipient, view.address)
        if address is not None:
            notification = replace(notification, recipient_lid=address.lid or notification.recipient_lid)
        if notification.expired(self._now_ms()):
            return self._attempts.bury(notification, expiry_of(notification))
        if isinstance(notification.content, Withheld):
            why = notification.content.why
            return self._attempts.bury(notification, Permanent(why, WITHHELD[why]))
        found = self._person(notification, view.person, address.user if address else None)
        if isinstance(found, Verdict):
            return found
        notification = replace(notification, person=found.id)
        if is_barred(notification, found, number_since(self._settings(), notification.account)):
            return self._attempts.refuse(notification, found, refusal())
        now = self._now_ms()
        judged = self._gate.judge(notification, found, self._settings(), now, resumed=order.resumed)
        if isinstance(judged, Wait):
            return self._attempts.park(notification, judged)
        if judged is not None:
            return self._suppress(notification, judged, outcome=WOULD_HAVE_BEEN_SENT)
        recipient = Recipient(
            found, address, acquaintance(notification, found), on_located=self._check_located
        )
        send = partial(self._attempts.send, to=recipient, resumed=order.resumed)
        content = notification.content
        if was_collected(notification):
            verdict = self._say_together(notification, found, send)
        elif isinstance(content, Edit):
            verdict = self._edit(notification, content, send)
        else:
            verdict = send(notification)
        if verdict.outcome == "sent" and notification.turn in found.parked:
            self._stores.people.leave_line(notification.account, found.id, notification.turn)
        return verdict

    def _say_together(self, first: Notification, person: Person, send: Callable[..., Verdict]) -> Verdict:
        """Send a digest of what was collected, or the first one alone if there is no other."""
        from tocsin.notify import digests

        digest = digests.digest_for(first, person, self._stores, self._now_ms())
        if digest is None:
            return send(first)
        digest = replace(digest, recipient_lid=first.recipient_lid, person=person.id)
        verdict = send(digest) if digest.state is State.PLANNED else Verdict("suppressed", DIGESTED)
        if verdict.again_after is None:
            digests.end_gathered(digest, person, self._stores, self._now_ms())
        return verdict

    def _person(self, notification: Notification, person: Person, user: str | None) -> Person | Verdict:
        """Return the person whom it is for, whose canonical name is `user` (bare JID, `None` where that isn't
        known yet); or what becomes of it, if it can't go on to them now.

        Whatever was said, planned or parked under another name of theirs counts. If their lane is another
        one, it goes there, behind what is on its way already.
        """
        if user is not None and user != person.id:
            if is_lid(person.id) and is_answer(notification):
                return self._suppress(notification, NOT_THEIRS)
            person = self._joined(notification, person, user)
        notification = replace(notification, person=person.id)
        if is_unwanted(notification, person):
            return self._suppress(notification, OPTED_OUT)
        if person.lane != (notification.lane or notification.recipient):
            return self._reroute(notification, person)
        earlier = self._one_before(notification, person)
        if earlier is not None:
            if notification.urgent:
                hurry_before(notification, person, self._stores, self._now_ms())
            behind = Wait(BEHIND, "an earlier one to the same recipient waits")
            return self._attempts.park(notification, behind, earlier)
        return person

    def _joined(self, notification: Notification, person: Person, user: str) -> Person:
        """The person `user`, now that it is known that the notification's recipient is they.

        If the recipient was thought to be somebody else (`person`, a LID as well), nothing of that one's goes
        along: the number has a new owner.
        """
        at, account = self._now_ms(), notification.account
        number = Name(user_of(notification.recipient), Source.TICKET, at)
        names = dict.fromkeys((person.id, number.jid) if not is_lid(person.id) else (number.jid,))
        if notification.turn in person.parked and is_lid(person.id):
            self._stores.people.leave_line(account, person.id, notification.turn)
        for name in names:
            person = self._stores.people.join(account, name, user, [number])
        return person

    def _reroute(self, notification: Notification, person: Person) -> Verdict:
        """Let it go in the person's lane: there it overtakes nothing of theirs."""
        moved = self._stores.notifications.reroute(notification.id, person.id, person.lane)
        if not moved.applied:
            return Verdict("dropped", str(moved.notification.state))
        return self._enqueue_rerouted(moved.notification)

    def _enqueue_rerouted(self, notification: Notification) -> Verdict:
        self._queue.send(notification)
        return Verdict("rerouted")

    def _check_located(self, notification: Notification, person: Person, user: str) -> None:
        """Raise `Stopped` if it turns out on the way that it can't go on to whom the recipient is."""
        found = self._person(replace(notification, recipient_lid=user), person, user)
        if isinstance(found, Verdict):
            raise Stopped(found)

    def _suppress(self, notification: Notification, why: Problem, outcome: str | None = None) -> Verdict:
        self._stores.notifications.suppress(
            notification.id,
            why,
            self._now_ms(),
            recipient_lid=notification.recipient_lid,
            erase=notification.sensitive,
            outcome=outcome,
        )
        return Verdict("suppressed", why.code)

    def _edit(self, notification: Notification, content: Edit, send: Callable[..., Verdict]) -> Verdict:
        """Send an edit, unless a younger one was; or, where receivers don't take it any more, the message in
        its place, which is another notification. A crash in between repeats all of this and finds it."""
        from tocsin.notify.threads import in_place_of

        try:
            target = id_of_message(content.message_id) or ""
            claim = self._stores.threads.claim_edit(target, notification.turn)
        except NotificationMissing:
            claim = None
        if claim is not None and not claim.applied:
            return self._suppress(notification, SUPERSEDED)
        since = number_since(self._settings(), notification.account)
        if claim is not None and is_editable_by(notification, claim.notification, self._now_ms(), since):
            # By the id that the transport gave the message, which may not be known before it is sent.
            edit = replace(content, message_id=claim.notification.message_id)
            if self._transport.takes(notification.account, notification.recipient, edit):
                return send(notification, content=edit)
        message = in_place_of(notification, content, self._stores, self._settings())
        message = self._stores.notifications.put_new(message) or message
        verdict = Verdict("suppressed", TOO_LATE.code)
        if message.state is State.PLANNED:
            self._stores.threads.follow(message)
            verdict = send(message)
        if verdict.again_after is None:
            self._suppress(notification, TOO_LATE)
        return verdict

    def _one_before(self, notification: Notification, person: Person) -> Notification | None:
        """The earlier one to the same person that is parked, or lies resumed in the queue behind it.

        The queue keeps order only among what lies in it. Whoever came to an end without leaving the line is
        struck off here, so that nobody is held up by a crash. What is for another number of theirs, which
        went to somebody else, holds up nobody either: they may never get it.
        """
        moved: set[str] = set()
        for turn in sorted(person.parked):
            if turn >= notification.turn:
                return None
            earlier = self._stores.notifications.get_readable(turn.partition("#")[2])
            if earlier is None or earlier.expired(self._now_ms()) or earlier.state not in IN_LINE:
                self._stores.people.leave_line(notification.account, person.id, turn)
                continue
            if waits_for_operator(earlier):
                moved.add(earlier.recipient)
            if earlier.recipient == notification.recipient or earlier.recipient not in moved:
                return earlier
        return None

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _tell_mismatch(order: Order, notification: Notification, differs: str) -> None:
    from tocsin.people.numbers import mask_phone

    log.error(
        "an order disagrees with its notification and was dropped",
        extra={
            "notification": notification.id,
            "differs": differs,
            "ordered": f"{order.account}#{mask_phone(order.recipient)}",
            "recorded": f"{notification.account}#{mask_phone(notification.recipient)}",
        },
    )
