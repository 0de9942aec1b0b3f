"""One notification from the queue to the server's ack, or to wherever its failure sends it.

    planned ── check ── send ── ack ──▶ sent
                 │        ├── Wait ────▶ parked, no retry spent
                 │        ├── Recover ─▶ sent again at once, after the repair
                 └─ Wait  ├── Retry ───▶ back into the queue for the audience's delay
                          └── Permanent, or retries used up ──▶ dead letter

An order is believed only where it agrees with its notification as stored: in account, recipient, audience,
and the queue's message group made of them. One that disagrees is dropped.

What follows a parked one to the same recipient parks behind it, so that nothing overtakes.

Known session: one read (`batch_get_for_send`), two reservations, one write (`mark_sent`).
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
from tocsin.notify.content import Content, Edit
from tocsin.notify.dead_letters import EXPIRED, DeadLetters, attempt_of, problem_of
from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.notification import Attempt, Notification, Problem, State, mismatch
from tocsin.notify.queues import Order
from tocsin.notify.store.recipients import Conduct
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.notify.texts.consent import CONFIRMATIONS
from tocsin.notify.transport import UNPROVEN_DEVICE, Address, Outgoing, Sent, Transport
from tocsin.tables.names import id_of_message, user_of
from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

BEHIND = "behind"
IN_LINE = (State.PLANNED, State.WAITING)
SPENDING = (Retry.kind, Recover.kind)

SUPERSEDED = Problem("superseded", "permanent", "a younger edit of the same message was sent")
TOO_LATE = Problem("edit-too-late", "permanent", "said in a message of its own")
OPTED_OUT = Problem("opted-out", "permanent", "the recipient doesn't want notifications")


class OptedOut(Permanent):
    """Who the recipient is was asked just now, and under that name (`lid`) they had withdrawn consent."""

    def __init__(self, lid: str) -> None:
        super().__init__(OPTED_OUT.code, OPTED_OUT.detail)
        self.lid = lid


@dataclass(frozen=True)
class Verdict:
    """What became of one order.

    `outcome` is a word for logs and metrics: `sent`, `parked`, `retry`, `failed`, `suppressed`, `dropped`,
    `mismatched`. `cause` says why, as a failure code, a state or a field. `again_after` are the seconds after
    which the queue shall deliver the order again; `None`: it is done. `unproven`: how many listed devices got
    nothing because nobody vouches for them.
    """

    outcome: str
    cause: str = ""
    again_after: float | None = None
    unproven: int = 0


class Delivery:
    """Sends what the orders of the notifications queue ask for."""

    def __init__(
        self,
        stores: Stores,
        dead_letters: DeadLetters,
        transport: Transport,
        policies: RetryPolicies,
        *,
        receipt_deadline_seconds: int,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._stores = stores
        self._dead_letters = dead_letters
        self._transport = transport
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
        view = self._stores.batch_get_for_send(order.notification, order.account, user_of(order.recipient))
        notification = view.notification
        if notification is None:
            return Verdict("dropped", "unknown-notification")
        differs = mismatch(order, notification) or ("lane" if lane not in (None, order.group) else "")
        if differs:
            # Conduct and address were read for whom the order names: neither may be believed.
            _tell_mismatch(order, notification, differs)
            return Verdict("mismatched", differs)
        stale = reason_to_drop(notification, order)
        if stale:
            return Verdict("dropped", stale)
        self._tell_of_crashes(notification, receives)
        address, conduct = self._transport.address_of(order.recipient, view.address), view.conduct
        if address is not None:
            notification = replace(notification, recipient_lid=address.lid or notification.recipient_lid)
        if notification.expired(self._now_ms()):
            return self._bury(notification, expiry_of(notification))
        if address is not None:
            conduct = self._conduct(notification, conduct, address.user)
        if is_unwanted(notification, conduct):
            return self._suppress(notification, OPTED_OUT)
        earlier = self._one_before(notification, conduct)
        if earlier is not None:
            behind = Wait(BEHIND, "an earlier one to the same recipient waits")
            return self._park(notification, behind, earlier)
        first_contact = is_first_contact(notification, conduct)
        send = partial(
            self._try, conduct=conduct, address=address, resumed=order.resumed, first_contact=first_contact
        )
        content = notification.content
        verdict = self._edit(notification, content, send) if isinstance(content, Edit) else send(notification)
        if verdict.outcome == "sent" and notification.turn in conduct.parked:
            self._stores.parking.leave_line(
                notification.account, user_of(notification.recipient), notification.turn
            )
        return verdict

    def _conduct(self, notification: Notification, conduct: Conduct, user: str) -> Conduct:
        """The conduct towards the recipient, now that their LID (`user`) is known: who withdrew consent while
        we knew nothing but the LID did so for the number too. Looked for once for each LID."""
        if user in (user_of(notification.recipient), conduct.lid):
            return conduct
        return self._stores.recipients.adopt_conduct(
            notification.account, user_of(notification.recipient), user
        )

    def _demand_consent(self, notification: Notification, conduct: Conduct, user: str) -> None:
        """Raise `OptedOut` if it turns out on the way that the recipient doesn't want it."""
        if is_unwanted(notification, self._conduct(notification, conduct, user)):
            raise OptedOut(user)

    def _suppress(self, notification: Notification, why: Problem) -> Verdict:
        lid = notification.recipient_lid
        self._stores.notifications.suppress(notification.id, why, self._now_ms(), recipient_lid=lid)
        return Verdict("suppressed", why.code)

    def _edit(self, notification: Notification, content: Edit, send: Callable[..., Verdict]) -> Verdict:
        """Send an edit, unless a younger one was; or, where receivers don't take it any more, the message in
        its place, which is another notification. A crash in between repeats all of this and finds it."""
        from tocsin.notify.threads import as_message, is_editable

        try:
            target = id_of_message(content.message_id) or ""
            claim = self._stores.threads.claim_edit(target, notification.turn)
        except NotificationMissing:
            claim = None
        if claim is not None and not claim.applied:
            return self._suppress(notification, SUPERSEDED)
        if claim is not None and is_editable(claim.notification, self._now_ms()):
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

    def _one_before(self, notification: Notification, conduct: Conduct) -> Notification | None:
        """The earlier one to the same recipient that is parked, or lies resumed in the queue behind it.

        The queue keeps order only among what lies in it. Whoever came to an end without leaving the line is
        struck off here, so that nobody is held up by a crash.
        """
        for turn in sorted(conduct.parked):
            if turn >= notification.turn:
                return None
            earlier = self._stores.notifications.get(turn.partition("#")[2])
            if earlier is not None and not earlier.expired(self._now_ms()) and earlier.state in IN_LINE:
                return earlier
            self._stores.parking.leave_line(notification.account, user_of(notification.recipient), turn)
        return None

    def _try(
        self,
        notification: Notification,
        conduct: Conduct,
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
                on_located=partial(self._demand_consent, notification, conduct),
            )
            try:
                self._transport.check(notification.account, resumed=resumed)
                sent = self._transport.send(outgoing)
            except Wait as failure:
                return self._park(notification, failure)
            except OptedOut as refusal:
                return self._suppress(replace(notification, recipient_lid=refusal.lid), OPTED_OUT)
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
        self._transport.settle()
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


def is_unwanted(notification: Notification, conduct: Conduct) -> bool:
    """Return whether the recipient withdrew consent; that this was heard, they are told all the same."""
    return conduct.opted_out_at is not None and notification.event_type not in CONFIRMATIONS


def is_first_contact(notification: Notification, conduct: Conduct) -> bool:
    """Return whether the recipient has nothing of us yet and never wrote: whom WhatsApp may keep us from.

    Known is who got a notification, or answered one; a confirmation is itself an answer.
    """
    if notification.event_type in CONFIRMATIONS or notification.group is not None:
        return False
    return conduct.last_notification is None and conduct.heard_at is None
