"""What becomes of one try to send a notification: sent and recorded, tried again, parked, or given up.

    send ── ack ──▶ sent
      ├── Wait ────▶ parked, no retry spent
      ├── Recover ─▶ sent again at once, after the repair
      ├── Retry ───▶ back into the queue for the audience's delay
      └── Permanent, or retries used up ──▶ dead letter

Whether one is to be sent at all, to whom and in which place, `delivery` has decided before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from tocsin.notify.cold import MUST_WRITE_FIRST, note
from tocsin.notify.content import Content
from tocsin.notify.dead_letters import CRASHED, DeadLetters, attempt_of, problem_of
from tocsin.notify.failure import Bug, Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.gate import Gate, is_digestible
from tocsin.notify.hold import HELD_TOO_LONG, Hold, held_until, is_hopeless
from tocsin.notify.judgements import (
    Acquaintance,
    attempt_of_sent,
    earlier_codes,
    number_since,
    receipt_deadline,
)
from tocsin.notify.notification import Attempt, Notification, State
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.notify.transport import UNPROVEN_DEVICE, Address, Outgoing, Sent, Transport
from tocsin.notify.verdict import POSTPONED, Stopped, Verdict
from tocsin.people.person import Person
from tocsin.settings.declared import (
    OUTCOME_EVENTS,
    RETRIES,
    RETRY_DELAY_SECONDS,
)
from tocsin.settings.reader import CurrentSettings

log = logging.getLogger(__name__)

MAX_TRIES = 8
"""Tries of one order that end without a word, beside the first one, before it is given up: crashes, and what
nobody foresaw."""


@dataclass(frozen=True)
class Recipient:
    """To whom a notification goes: `person`, and where they live (`None`: it must be asked for).

    `on_located`: called with the notification, the person and the canonical identity (bare JID) that was
    found where it had to be asked for; `Stopped` ends the try.
    """

    person: Person
    address: Address | None
    acquaintance: Acquaintance
    on_located: Callable[[Notification, Person, str], None]


class Attempts:
    """Tries notifications, and records how each try ended. Times in ms."""

    def __init__(
        self,
        stores: Stores,
        dead_letters: DeadLetters,
        transport: Transport,
        gate: Gate,
        *,
        settings: CurrentSettings,
        now_ms: Callable[[], int],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._stores = stores
        self._dead_letters = dead_letters
        self._transport = transport
        self._gate = gate
        self._settings = settings
        self._now_ms = now_ms
        self._jitter = jitter

    def begin(self, notification: Notification, receives: int, alone: bool) -> Notification | Verdict:
        """The queue brought an order more often than its retries explain. Count this try before it begins;
        return the notification as it is then, or what becomes of it without a try.

        Receives tell nothing by themselves: a poll that was throttled counts, a batch counts for all that are
        in it. A count that stands here tells of a try that was begun and didn't end.
        """
        tries = notification.tries
        if tries >= MAX_TRIES:
            return self.bury(notification, Bug(CRASHED, f"{tries} tries of it ended without a word"))
        if tries and not alone:
            return Verdict(POSTPONED, CRASHED, tries=tries)
        at, brought = self._now_ms(), f"the queue brought the order {receives} times"
        noted = Attempt("redelivered", at, Wait.kind, brought)
        if tries:
            log.warning("an earlier try crashed", extra={"notification": notification.id, "crashes": tries})
            noted = Attempt(CRASHED, at, Bug.kind, f"tries that ended without a word: {tries}")
        return self._stores.notifications.begin_try(notification.id, noted)

    def send(
        self, notification: Notification, to: Recipient, *, resumed: bool, content: Content | None = None
    ) -> Verdict:
        """Send (`content`, if it is not said as it is stored); recoveries go round at once, everything else
        ends the order's turn. `resumed`: it was parked."""
        while True:
            try:
                self._transport.check(notification.account, resumed=resumed)
                sent = self._transport.send(_outgoing(notification, to, resumed, content))
            except Wait as failure:
                self._gate.remember(notification, failure, self._settings(), self._now_ms())
                return self.park(notification, failure)
            except Stopped as stopped:
                return stopped.verdict
            except Permanent as failure:
                return self.refuse(notification, to.person, failure)
            except (Recover, Retry) as failure:
                spent = self._spend_retry(notification, failure)
                if isinstance(spent, Verdict):
                    return spent
                notification = replace(spent, recipient_lid=notification.recipient_lid)
            else:
                return self._record(notification, sent)

    def park(self, notification: Notification, failure: Wait, behind: Notification | None = None) -> Verdict:
        """Let it wait (`behind` another of the same person), unless that must outlast it."""
        now, until = self._now_ms(), held_until(failure.code, failure.due_at)
        if until is not None and is_hopeless(
            notification.expires_at, notification.created_at, Hold(now, until)
        ):
            return self.bury(
                notification, Permanent(HELD_TOO_LONG, f"{failure.code} lasts longer than it may wait")
            )
        self._stores.parking.park(
            notification,
            failure.code,
            now,
            due_at=failure.due_at,
            detail=failure.detail,
            behind=behind,
        )
        return Verdict("parked", failure.code)

    def refuse(self, notification: Notification, person: Person, failure: Permanent) -> Verdict:
        """Give it up. Who must write first is noted before: what is noted goes out once they do."""
        if failure.code == MUST_WRITE_FIRST:
            since = number_since(self._settings(), notification.account)
            note(self._stores, notification, person, self._now_ms(), since)
        return self.bury(notification, failure)

    def bury(self, notification: Notification, failure: Failure) -> Verdict:
        """Give it up: a dead letter."""
        buried = self._dead_letters.bury(notification, failure, self._now_ms())
        return Verdict("failed" if buried else "dropped", failure.code)

    def note_bug(self, notification_id: str, error: Exception) -> None:
        """Keep for the operator what nobody foresaw. Its text stays unsaid: nobody knows what it holds."""
        with suppress(Exception):
            attempt = Attempt("unforeseen", self._now_ms(), "bug", type(error).__name__)
            self._stores.notifications.record_attempt(notification_id, attempt)

    def _spend_retry(self, notification: Notification, failure: Recover | Retry) -> Notification | Verdict:
        """Use one retry up. Return the notification for the next try if that is due at once."""
        about = {"account": notification.account, "audience": notification.audience}
        settings = self._settings()
        if notification.retries_used >= settings.value(RETRIES, **about):
            return self.bury(notification, failure)
        at = self._now_ms()
        stored = self._stores.notifications.record_attempt(
            notification.id, attempt_of(failure, at), problem=problem_of(failure), spends_retry=True
        )
        if isinstance(failure, Recover):
            log.info("recovering", extra={"notification": notification.id, "cause": failure.code})
            return stored
        seconds = settings.value(RETRY_DELAY_SECONDS, **about)
        delay = max(self._jitter(0.5, 1.5) * seconds, failure.not_before)
        return Verdict("retry", failure.code, again_after=delay)

    def _record(self, notification: Notification, sent: Sent) -> Verdict:
        at, account, settings = self._now_ms(), notification.account, self._settings()
        try:
            marked = self._stores.notifications.mark_sent(
                notification.id,
                sent.numbers,
                at=at,
                account=account,
                receipt_deadline=receipt_deadline(notification, settings, at),
                detail=f"{sent.devices} devices",
                copies=sent.copies,
                left_out=sent.left_out,
                recipient_lid=sent.recipient_lid,
                message_id=sent.message_id,
                tells=State.SENT in settings.value(OUTCOME_EVENTS, account=account),
            )
            if not marked.applied:
                # A receipt was faster. The numbers are still wanted, should a device ask for it again.
                self._stores.notifications.record_attempt(notification.id, attempt_of_sent(sent, at))
        except NotificationMissing:
            return Verdict("dropped", "unknown-notification")
        sent.settle()
        return Verdict("sent", unproven=sum(why.endswith(UNPROVEN_DEVICE) for why in sent.left_out.values()))


def _outgoing(notification: Notification, to: Recipient, resumed: bool, content: Content | None) -> Outgoing:
    return Outgoing(
        account=notification.account,
        recipient=notification.recipient,
        notification=notification.id,
        content=content or notification.content,
        address=to.address,
        earlier=earlier_codes(notification),
        resumed=resumed,
        recheck=notification.redriven > 0,
        first_contact=to.acquaintance.first_contact,
        known_at=to.acquaintance.known_at,
        audience=notification.audience,
        urgent=notification.urgent or notification.hurried,
        digestible=is_digestible(notification),
        on_located=partial(to.on_located, notification, to.person),
    )
