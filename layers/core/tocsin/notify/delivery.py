"""One notification from the queue to the server's ack, or to wherever its failure sends it.

    planned ── check ── send ── ack ──▶ sent
                 │        ├── Wait ────▶ parked, no retry spent
                 │        ├── Recover ─▶ sent again at once, after the repair
                 └─ Wait  ├── Retry ───▶ back into the queue for the audience's delay
                          └── Permanent, or retries used up ──▶ dead letter

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
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from tocsin.notify.config import RetryPolicies
from tocsin.notify.content import WITHHELD, Content, Edit, Reaction, Withheld
from tocsin.notify.dead_letters import EXPIRED, DeadLetters, attempt_of, problem_of
from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.notification import Attempt, Notification, Problem, State, mismatch, was_erased
from tocsin.notify.queues import NotificationsQueue, Order
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.notify.texts.consent import CONFIRMATIONS
from tocsin.notify.transport import UNPROVEN_DEVICE, Address, Outgoing, Sent, Transport
from tocsin.people.person import Name, Person, Source
from tocsin.tables.names import id_of_message, is_lid, user_of
from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

BEHIND = "behind"
IN_LINE = (State.PLANNED, State.WAITING)
SPENDING = (Retry.kind, Recover.kind)

SUPERSEDED = Problem("superseded", "permanent", "a younger edit of the same message was sent")
TOO_LATE = Problem("edit-too-late", "permanent", "said in a message of its own")
OPTED_OUT = Problem("opted-out", "permanent", "the recipient doesn't want notifications")
NOT_THEIRS = Problem(NUMBER_MOVED, "permanent", "it answers somebody who has another number by now")


@dataclass(frozen=True)
class Verdict:
    """What became of one order.

    `outcome` is a word for logs and metrics: `sent`, `parked`, `retry`, `failed`, `suppressed`, `dropped`,
    `mismatched`, `rerouted` (into the lane of the person that the recipient turned out to be). `cause` says
    why, as a failure code, a state or a field. `again_after` are the seconds after which the queue shall
    deliver the order again; `None`: it is done. `unproven`: how many listed devices got nothing because
    nobody vouches for them.
    """

    outcome: str
    cause: str = ""
    again_after: float | None = None
    unproven: int = 0


class Stopped(Exception):
    """Who the recipient is was asked just now, and that ended the order's turn: `verdict`."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.outcome)
        self.verdict = verdict


class Delivery:
    """Sends what the orders of the notifications queue ask for."""

    def __init__(
        self,
        stores: Stores,
        dead_letters: DeadLetters,
        transport: Transport,
        queue: NotificationsQueue,
        policies: RetryPolicies,
        *,
        receipt_deadline_seconds: int,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._stores = stores
        self._dead_letters = dead_letters
        self._transport = transport
        self._queue = queue
        self._policies = policies
        self._receipt_deadline_seconds = receipt_deadline_seconds
        self._clock = clock
        self._jitter = jitter

    def deliver(self, order: Order, receives: int = 1, *, lane: str | None = None) -> Verdict:
        """Carry out one order. `receives`: how often the queue has delivered it; `lane`: in which message
        group, `None` if that isn't known.

        Raises only what nobody foresaw; the queue then delivers the order again, and buries it after its
        limit of receives.
        """
        try:
            return self._deliver(order, receives, lane)
        except Exception as error:
            self._note_bug(order.notification, error)
            raise

    def _deliver(self, order: Order, receives: int, lane: str | None) -> Verdict:
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
        self._tell_of_crashes(notification, receives)
        address = self._transport.address_of(order.account, order.recipient, view.address)
        if address is not None:
            notification = replace(notification, recipient_lid=address.lid or notification.recipient_lid)
        if notification.expired(self._now_ms()):
            return self._bury(notification, expiry_of(notification))
        if isinstance(notification.content, Withheld):
            why = notification.content.why
            return self._bury(notification, Permanent(why, WITHHELD[why]))
        found = self._person(notification, view.person, address.user if address else None)
        if isinstance(found, Verdict):
            return found
        notification = replace(notification, person=found.id)
        send = partial(
            self._try,
            person=found,
            address=address,
            resumed=order.resumed,
            first_contact=is_first_contact(notification, found),
        )
        content = notification.content
        verdict = self._edit(notification, content, send) if isinstance(content, Edit) else send(notification)
        if verdict.outcome == "sent" and notification.turn in found.parked:
            self._stores.people.leave_line(notification.account, found.id, notification.turn)
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
            behind = Wait(BEHIND, "an earlier one to the same recipient waits")
            return self._park(notification, behind, earlier)
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

    def _suppress(self, notification: Notification, why: Problem) -> Verdict:
        lid = notification.recipient_lid
        self._stores.notifications.suppress(notification.id, why, self._now_ms(), recipient_lid=lid)
        return Verdict("suppressed", why.code)

    def _edit(self, notification: Notification, content: Edit, send: Callable[..., Verdict]) -> Verdict:
        """Send an edit, unless a younger one was; or, where receivers don't take it any more, the message in
        its place, which is another notification. A crash in between repeats all of this and finds it."""
        from tocsin.notify.threads import as_message

        try:
            target = id_of_message(content.message_id) or ""
            claim = self._stores.threads.claim_edit(target, notification.turn)
        except NotificationMissing:
            claim = None
        if claim is not None and not claim.applied:
            return self._suppress(notification, SUPERSEDED)
        if claim is not None and _is_editable_by(notification, claim.notification, self._now_ms()):
            # By the id that the transport gave the message, which may not be known before it is sent.
            edit = replace(content, message_id=claim.notification.message_id)
            return send(notification, content=edit)
        message = as_message(notification, content)
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
            earlier = self._stores.notifications.get(turn.partition("#")[2])
            if earlier is None or earlier.expired(self._now_ms()) or earlier.state not in IN_LINE:
                self._stores.people.leave_line(notification.account, person.id, turn)
                continue
            if waits_for_operator(earlier):
                moved.add(earlier.recipient)
            if earlier.recipient == notification.recipient or earlier.recipient not in moved:
                return earlier
        return None

    def _try(
        self,
        notification: Notification,
        person: Person,
        address: Address | None,
        resumed: bool,
        first_contact: bool,
        content: Content | None = None,
    ) -> Verdict:
        """Send (`content`, if it is not said as it is stored); recoveries go round at once, everything else
        ends the order's turn."""
        while True:
            outgoing = Outgoing(
                account=notification.account,
                recipient=notification.recipient,
                notification=notification.id,
                content=content or notification.content,
                address=address,
                earlier=earlier_codes(notification),
                resumed=resumed,
                recheck=notification.redriven > 0,
                first_contact=first_contact,
                on_located=partial(self._check_located, notification, person),
            )
            try:
                self._transport.check(notification.account, resumed=resumed)
                sent = self._transport.send(outgoing)
            except Wait as failure:
                return self._park(notification, failure)
            except Stopped as stopped:
                return stopped.verdict
            except Permanent as failure:
                return self._bury(notification, failure)
            except (Recover, Retry) as failure:
                spent = self._spend_retry(notification, failure)
                if isinstance(spent, Verdict):
                    return spent
                notification = replace(spent, recipient_lid=notification.recipient_lid)
            else:
                return self._record(notification, sent)

    def _spend_retry(self, notification: Notification, failure: Recover | Retry) -> Notification | Verdict:
        """Use one retry up. Return the notification for the next try if that is due at once."""
        policy = self._policies.of(notification.audience)
        if notification.retries_used >= policy.retries:
            return self._bury(notification, failure)
        at = self._now_ms()
        stored = self._stores.notifications.record_attempt(
            notification.id, attempt_of(failure, at), problem=problem_of(failure), spends_retry=True
        )
        if isinstance(failure, Recover):
            log.info("recovering", extra={"notification": notification.id, "cause": failure.code})
            return stored
        delay = max(self._jitter(0.5, 1.5) * policy.delay_seconds, failure.not_before)
        return Verdict("retry", failure.code, again_after=delay)

    def _record(self, notification: Notification, sent: Sent) -> Verdict:
        at = self._now_ms()
        try:
            marked = self._stores.notifications.mark_sent(
                notification.id,
                sent.numbers,
                at=at,
                account=notification.account,
                receipt_deadline=at + self._receipt_deadline_seconds * 1000,
                detail=f"{sent.devices} devices",
                copies=sent.copies,
                left_out=sent.left_out,
                recipient_lid=sent.recipient_lid,
                message_id=sent.message_id,
            )
            if not marked.applied:
                # A receipt was faster. The numbers are still wanted, should a device ask for it again.
                self._stores.notifications.record_attempt(notification.id, attempt_of_sent(sent, at))
        except NotificationMissing:
            return Verdict("dropped", "unknown-notification")
        sent.settle()
        return Verdict("sent", unproven=sum(why.endswith(UNPROVEN_DEVICE) for why in sent.left_out.values()))

    def _tell_of_crashes(self, notification: Notification, receives: int) -> None:
        """More receives than retries: an earlier invocation died on the way. Worth a line in the log and in
        the history, no reason to stop."""
        crashes = receives - 1 - notification.retries_used
        known = sum(attempt.class_ == "bug" for attempt in notification.attempts)
        if crashes <= known:
            return
        log.warning("an earlier try crashed", extra={"notification": notification.id, "crashes": crashes})
        detail = f"the queue brought the order {receives} times"
        self._stores.notifications.record_attempt(
            notification.id, Attempt("crashed", self._now_ms(), "bug", detail)
        )

    def _note_bug(self, notification_id: str, error: Exception) -> None:
        """Keep for the operator what nobody foresaw. Its text stays unsaid: nobody knows what it holds."""
        with suppress(Exception):
            attempt = Attempt("unforeseen", self._now_ms(), "bug", type(error).__name__)
            self._stores.notifications.record_attempt(notification_id, attempt)

    def _park(self, notification: Notification, failure: Wait, behind: Notification | None = None) -> Verdict:
        self._stores.parking.park(
            notification,
            failure.code,
            self._now_ms(),
            due_at=failure.due_at,
            detail=failure.detail,
            behind=behind,
        )
        return Verdict("parked", failure.code)

    def _bury(self, notification: Notification, failure: Failure) -> Verdict:
        buried = self._dead_letters.bury(notification, failure, self._now_ms())
        return Verdict("failed" if buried else "dropped", failure.code)

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


def wrong_place(order: Order, notification: Notification, lane: str | None) -> str:
    """Return what of an order's place isn't its notification's: the person, or the lane that it lay in."""
    if order.person != notification.person:
        return "person"
    own = Order.of(notification).group
    return "lane" if order.group != own or lane not in (None, own) else ""


def was_rerouted(notification: Notification, order: Order) -> bool:
    """Return whether an order is the one that sent its notification to another lane, come again."""
    return (
        notification.state is State.PLANNED
        and order.generation < notification.generation
        and order.group != Order.of(notification).group
    )


def reason_to_drop(notification: Notification, order: Order) -> str | None:
    """Return why this order has nothing to do any more, or `None` if it has.

    A queue delivers at least once. What is parked has a row that resumes it, under a generation of its own;
    whoever resumes or redrives sets the state back before enqueuing.
    """
    if notification.state is not State.PLANNED:
        return str(notification.state)
    if order.generation < notification.generation:
        return "superseded"
    return None


def earlier_codes(notification: Notification) -> Collection[str]:
    """Return the codes of the failures since the notification's retries began to count."""
    tries = [
        attempt for attempt in notification.attempts if attempt.class_ in SPENDING and not attempt.device
    ]
    recent = tries[-notification.retries_used :] if notification.retries_used else ()
    codes = {attempt.cause for attempt in recent}
    waited = notification.last_error
    if waited is not None and waited.class_ == "wait":
        codes.add(waited.code)
    return frozenset(codes)


def expiry_of(notification: Notification) -> Permanent:
    """Return the failure of a notification that came too late, with what it had been waiting for."""
    cause = notification.last_error
    return Permanent(EXPIRED, f"last: {cause.code}" if cause else "")


def attempt_of_sent(sent: Sent, at: int) -> Attempt:
    """Return the entry in a notification's history for a message that the server accepted."""
    return Attempt("sent", at, "ok", f"{sent.devices} devices", sent.numbers, sent.copies, sent.left_out)


def is_unwanted(notification: Notification, person: Person) -> bool:
    """Return whether the person withdrew consent; that this was heard, they are told all the same."""
    return person.opted_out_at is not None and notification.event_type not in CONFIRMATIONS


def _is_editable_by(edit: Notification, target: Notification, now: int) -> bool:
    """Whether the edit reaches who got the message: a number's new owner has nothing that could change."""
    from tocsin.notify.threads import is_editable

    is_same = None in (edit.recipient_lid, target.recipient_lid) or edit.recipient_lid == target.recipient_lid
    return is_same and is_editable(target, now)


def is_answer(notification: Notification) -> bool:
    """Return whether it says something to whoever wrote, not to whoever has a number."""
    return notification.event_type in CONFIRMATIONS or isinstance(notification.content, Reaction)


def waits_for_operator(notification: Notification) -> bool:
    """Return whether it waits because its number went to somebody else."""
    why = notification.last_error
    return notification.state is State.WAITING and why is not None and why.code == NUMBER_MOVED


def is_first_contact(notification: Notification, person: Person) -> bool:
    """Return whether the person has nothing of us yet and never wrote: whom WhatsApp may keep us from.

    Known is who got a notification, or answered one; a confirmation is itself an answer.
    """
    if notification.event_type in CONFIRMATIONS or notification.group is not None:
        return False
    return person.last_notification is None and person.heard_at is None
