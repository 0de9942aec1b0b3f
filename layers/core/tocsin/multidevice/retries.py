"""What can't be read, in both directions.

**We can't read a message.** `ANSWERS` says what each Signal error leads to: the receipt again, or a retry
receipt of ours, with which `UnreadableMessages` asks for the message:

    hour's budget used up? ──▶ nothing; else count ── more than 4? ──▶ given up: our own phone is asked for it
      └ ask ── from the 2nd time on: fresh keys go along, and the session is archived

**A recipient's device can't read ours.** It sends a retry receipt, and `RetryReceiptHandler` sends it the
message again under the same id, encrypted for it alone:

    whose message? whose device? how often?  ── no ──▶ named in the log, no session changes
      │  └──── `retry_rights` ────┘
      └ yes ── session older than the message ── replace it (keys in the receipt, else a bundle)
                     └ already replaced since ──── only send again
             ── reserve ── encrypt ── hand over ── record

A device whose retries are used up gets no more, and with a recipient no more than so many sessions are
replaced in an hour: two broken peers come to an end. If nobody else has the message then, it is a dead
letter. The ledger holds each message that couldn't be read, from the first question to the receipt that says
it could.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tocsin.connector_client.protocol import pace_words
from tocsin.keys.errors import NoOutbound
from tocsin.multidevice.account import Account
from tocsin.multidevice.directory import PHONE_QUESTIONS_PER_HOUR, fetch, pin_phone
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.placeholders import ask_phone, is_askable
from tocsin.multidevice.question_budget import OVER_BUDGET, QuestionBudget
from tocsin.multidevice.retry_case import (
    CAUSES,
    RECOVERED,
    Case,
    Ignored,
    Outcome,
    log_refusal,
    must_rebuild,
    read_at,
    unreadable_by_us,
)
from tocsin.multidevice.retry_content import plaintext_again, question_stanza
from tocsin.multidevice.retry_rights import RetryRights
from tocsin.notify.dead_letters import RECOVERY_BUDGET, RECOVERY_EXHAUSTED
from tocsin.notify.failure import Permanent, Recover
from tocsin.notify.notification import Attempt, Recovery
from tocsin.notify.store.stores import Stores
from tocsin.settings.declared import RECOVERIES_PER_HOUR
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.signal.errors import (
    BadMac,
    BadSignature,
    Duplicate,
    FutureMessage,
    InvalidKey,
    InvalidMessage,
    InvalidRecord,
    NoPreKey,
    NoSession,
    SignalError,
    UnprovenDevice,
    UntrustedIdentity,
)
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.message import retry_message_stanza

if TYPE_CHECKING:
    from tocsin.keys.establish import SessionFacts
    from tocsin.keys.reserve import Reservation
    from tocsin.multidevice.socket import Socket
    from tocsin.multidevice.transport import MultiDevice
    from tocsin.notify.receipts import Receipts
    from tocsin.notify.store.recoveries import Recoveries
    from tocsin.signal.session import Ciphertext
    from tocsin.signal.x3dh import PreKeyBundle
    from tocsin.whatsapp.message import Enc, InboundMessage
    from tocsin.whatsapp.node import Node
    from tocsin.whatsapp.outgoing import Kind
    from tocsin.whatsapp.receipts import RetryRequest

log = logging.getLogger(__name__)

# -- we can't read a message -----------------------------------------------------------------------------

MAX_RETRY_RECEIPTS = 4
"""How often we ask for one message. Beyond it the sender has given up as well."""

KEYS_FROM_COUNT = 2
STALE_FROM_COUNT = 2


@dataclass(frozen=True)
class Unreadable:
    """A ciphertext that can't be read, with the message it came in. `user`: the sender's canonical JID."""

    account: Account
    node: Node
    message: InboundMessage
    user: str
    enc: Enc
    error: SignalError

    @property
    def cause(self) -> str:
        return type(self.error).__name__


@dataclass(frozen=True)
class Question:
    """The retry receipt that is due for a message: its count, reason, and what belongs to it."""

    count: int
    error: int
    with_keys: bool
    session_is_stale: bool


@dataclass(frozen=True)
class AskAgain:
    """The sender is asked for the message. `blames_session`: the session may be what is broken.

    It isn't given up at the first failure, for the sender may have several.
    """

    blames_session: bool

    def question(self, error: SignalError, count: int) -> Question | None:
        """Return what to ask after the `count`-th failure of a message; `None`: ask no more."""
        if count > MAX_RETRY_RECEIPTS:
            return None
        return Question(
            count=count,
            error=error.retry_code,
            with_keys=count >= KEYS_FROM_COUNT or error.keys_at_once,
            session_is_stale=count >= STALE_FROM_COUNT and self.blames_session,
        )


def confirm_again(unreadable: Unreadable) -> Report:
    """It was read before: the sender gets the receipt again."""
    return Report("message", "duplicate", unreadable.enc.type)


def refuse_unproven(unreadable: Unreadable) -> Report:
    """A companion writes for whom nobody vouches. It gets neither a session nor a receipt, and isn't asked to
    repeat it: whoever it is would show the same again."""
    sender, stanza = repr(unreadable.message.sender), unreadable.message.id
    said = {"sender": sender, "stanza": stanza, "why": str(unreadable.error)}
    log.warning("a message of an unproven device", extra=said)
    return Report("message", UNPROVEN_DEVICE, unreadable.cause)


Answer = AskAgain | Callable[[Unreadable], Report]

ASK_AGAIN = AskAgain(blames_session=True)
# Invalid bytes: nothing proves that they came from the peer, so they never cost a session.
ASK_IN_THIS_SESSION = AskAgain(blames_session=False)

# A subclass without an entry is answered like its base.
ANSWERS: Mapping[type[SignalError], Answer] = MappingProxyType(
    {
        Duplicate: confirm_again,
        BadMac: ASK_AGAIN,
        FutureMessage: ASK_AGAIN,
        NoSession: ASK_AGAIN,
        NoPreKey: ASK_AGAIN,
        UntrustedIdentity: ASK_AGAIN,
        UnprovenDevice: refuse_unproven,
        InvalidRecord: ASK_AGAIN,
        InvalidMessage: ASK_IN_THIS_SESSION,
        BadSignature: ASK_IN_THIS_SESSION,
        InvalidKey: ASK_IN_THIS_SESSION,
        SignalError: ASK_AGAIN,
    }
)


def answer_to(error: SignalError) -> Answer:
    """Return what a ciphertext that can't be read is answered with."""
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)


class UnreadableMessages:
    """Asks senders for the messages that we can't read."""

    def __init__(
        self,
        transport: MultiDevice,
        recoveries: Recoveries,
        budget: QuestionBudget,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._recoveries = recoveries
        self._budget = budget
        self._clock = clock

    def ask(self, unreadable: Unreadable, answer: AskAgain) -> Report:
        """Ask the sender for a message; a few times, then no more. Raises `Wait`, `ConnectorError`."""
        account, message, user = unreadable.account, unreadable.message, unreadable.user
        if message.from_me and not message.peer:
            return Report("message", "own-device", unreadable.cause)
        # A count says that we asked; so it isn't raised while there is nobody to carry the question.
        self._transport.check(account.profile.account, resumed=True)
        if self._budget.is_spent(account.profile.account, user):
            return Report("message", OVER_BUDGET, unreadable.cause)
        said = {"cause": unreadable.cause, "sender": repr(message.sender), "stanza": message.id}
        log.warning("can't decrypt", extra=said)
        device = message.sender.device
        least = unreadable.enc.count + 1
        count = account.keys.receiving.count_retry(account.profile, user, device, message.id, at_least=least)
        question = answer.question(unreadable.error, count)
        if question is None:
            return self._give_up(unreadable, count)
        if question.session_is_stale and account.keys.sending.mark_stale(account.profile, user, device):
            account.keys.sending.expire_device_list(account.profile, user)
        own, asked = account.keys.account.credentials(), (question.count, question.error)
        asking = question_stanza(account, own, unreadable.node, *asked, with_keys=question.with_keys)
        account.connector.send(account.profile, asking)
        at = from_seconds(self._clock())
        record = unreadable_by_us(account, message, user)
        self._recoveries.asked(record, since=at, at=at, cause=unreadable.cause)
        facts = {"count": count, "with_keys": question.with_keys}
        return Report("message", "asked-again", unreadable.cause, facts)

    def _give_up(self, unreadable: Unreadable, count: int) -> Report:
        """The sender was asked in vain. Our own phone may have the message."""
        account, message, at = unreadable.account, unreadable.message, from_seconds(self._clock())
        record = unreadable_by_us(account, message, unreadable.user)
        self._recoveries.failed(record, since=at, at=at, cause=unreadable.cause, failure="given-up")
        # Once: whoever sends it again and again has no more asked of the phone.
        if count <= MAX_RETRY_RECEIPTS + 1 and is_askable(message, at):
            ask_phone(self._transport, account, message)
        return Report("message", "given-up", unreadable.cause, {"count": count, "given_up": True})


# -- a recipient's device can't read ours ----------------------------------------------------------------

MAX_RECOVERIES_PER_DEVICE = 5
"""How often one device gets one message again. WhatsApp's own clients ask no more than five times. The
retries of an audience aren't meant: they are for what could not be sent."""
UNPROVEN_DEVICE = "unproven-device"
BAD_SIGNATURE = "bad-signature"
# Refusals that don't say that a device of the recipient's goes without the message.
NOT_IN_LEDGER = frozenset({"unknown-device", UNPROVEN_DEVICE, "too-many-devices"})


@dataclass(frozen=True)
class Copy:
    """A message encrypted once more: the number it took, the index that was in the device's chain, and what
    the stanza says of it."""

    number: int
    index: int
    ciphertext: Ciphertext
    kind: Kind


class RetryReceiptHandler:
    """Answers the retry receipts of recipients' devices."""

    def __init__(
        self,
        stores: Stores,
        receipts: Receipts,
        socket: Socket,
        *,
        settings: CurrentSettings = unchanged_settings,
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._receipts = receipts
        self._socket = socket
        self._recoveries = stores.recoveries
        self._settings = settings
        self._rights = RetryRights(stores, settings=settings, clock=clock)
        self._random = random
        self._clock = clock

    def serve(self, account: Account, request: RetryRequest, asked_at: int | None = None) -> Outcome:
        """Answer one retry receipt, which came at `asked_at` (ms; default: now). Repeating it after a crash
        is harmless: same id, same text.

        Raises `Failure` and `ConnectorError` for what may pass (the queue brings the receipt again).
        """
        cause = CAUSES.get(request.error, CAUSES[0])
        try:
            case = self._rights.case(
                account, request, cause, self._now_ms() if asked_at is None else asked_at
            )
        except Ignored as ignored:
            log_refusal(request, cause, ignored.name)
            return Outcome(ignored.name, cause)
        self._socket.check_pause(account.profile.account)
        try:
            self._rights.demand_device(case)
            self._demand_retries_left(case)
            rebuilt = self._mend(case)
            # What is told later must not look later than the receipt that answers it.
            at = self._now_ms()
            sent = self._send_again(case)
        except Ignored as ignored:
            self._rights.note_guess(account, case.user, ignored.name)
            self._refuse(case, ignored.name)
            return Outcome(ignored.name, cause, given_up=ignored.name not in NOT_IN_LEDGER)
        healed = self._record(case, rebuilt, sent, at)
        return Outcome("resent", cause, rebuilt, sent.number, healed=healed)

    # -- may it be served? ------------------------------------------------------------------------------

    def _demand_retries_left(self, case: Case) -> None:
        """Raise `Ignored` if this device used up its retries of this message."""
        if case.served >= MAX_RECOVERIES_PER_DEVICE:
            refusals = f"device {case.device} refused it {case.served + 1} times, last: {case.cause}"
            self._give_up(case, Recover(RECOVERY_EXHAUSTED, refusals))
            raise Ignored("exhausted")

    def _demand_budget(self, case: Case) -> None:
        """Raise `Ignored` if so many of this user's sessions broke within the hour that another new one would
        be no better. What is counted is breaks, not messages: one broken session may have many in flight."""
        account, now = case.notification.account, self._now_ms()
        per_hour = self._settings().value(RECOVERIES_PER_HOUR, account=account)
        if self._stores.people.recoveries_in_hour(account, case.recipient, now) >= per_hour:
            limit_of_hour = f"{per_hour} broken sessions in an hour, last: {case.cause}"
            self._give_up(case, Recover(RECOVERY_BUDGET, limit_of_hour))
            raise Ignored("over-budget")

    def _give_up(self, case: Case, failure: Recover) -> None:
        """A dead letter, if no device of the recipient has the message; our own devices are no reason, nor is
        one member of a group."""
        if not case.is_own and not case.notification.group:
            self._receipts.failed(case.notification.id, failure, self._now_ms())

    def _refuse(self, case: Case, why: str) -> None:
        """Name a request of the recipient's that isn't answered, in the log, the history and the ledger."""
        log_refusal(case.request, case.cause, why)
        at = self._now_ms()
        refused = Attempt(
            f"refused-{case.cause}", at, "refused", why, device=str(case.jid), count=case.request.count
        )
        self._stores.notifications.record_attempt(case.notification.id, refused)
        if why == BAD_SIGNATURE:  # the server was asked for better keys: so often in an hour and no more
            self._stores.people.count_recovery_in_hour(case.notification.account, case.recipient, at)
        if why not in NOT_IN_LEDGER:
            self._recoveries.failed(case.unreadable, since=case.since, at=at, cause=case.cause, failure=why)

    # -- the session, then the message ------------------------------------------------------------------

    def _mend(self, case: Case) -> str:
        """Replace the session if that is what the receipt calls for. Return where the new one came from."""
        facts = _session_facts(case)
        return self._rebuild(case, facts) if must_rebuild(case, facts) else ""

    def _rebuild(self, case: Case, facts: SessionFacts | None) -> str:
        """Replace the session by one from fresh keys. Return their source, empty if there were none.

        The source is the receipt, else the server. Keys that are of no use, and keys for which nobody
        vouches, are as good as none: the server may have better ones of the device.
        """
        self._demand_budget(case)
        offered, why_not = case.request.bundle, ""
        if offered is not None:
            try:
                if self._replaces(case, facts, offered):
                    return "keys"
                why_not = UNPROVEN_DEVICE
            except Ignored as ignored:
                if ignored.name != BAD_SIGNATURE:
                    raise
                why_not = BAD_SIGNATURE
        found = fetch(case.account, [case.jid], replace=True)[case.user].usable.get(case.device)
        if found is None and why_not:
            raise Ignored(why_not)
        if found is None and facts is None:
            raise Ignored("no-bundle")
        if found is None:
            return ""  # the old session serves
        if self._replaces(case, facts, found):
            return "bundle"
        # A companion of a phone that we don't know, or not any more.
        if self._has_new_phone(case) and self._replaces(case, _session_facts(case), found):
            return "bundle"
        raise Ignored(UNPROVEN_DEVICE)

    def _has_new_phone(self, case: Case) -> bool:
        """Whether the user has another phone than we knew, which is pinned now. A few times an hour."""
        account, now = case.notification.account, self._now_ms()
        asked = self._stores.people.count_phone_question_in_hour(account, case.user, now)
        return asked <= PHONE_QUESTIONS_PER_HOUR and pin_phone(case.account, case.user)

    def _replaces(self, case: Case, facts: SessionFacts | None, bundle: PreKeyBundle) -> bool:
        """Replace the session by one from this bundle, unless another one than `facts` is there by now; False
        if nobody vouches for the device. Raises `Ignored` for bad keys. One break is counted once."""
        if case.account.is_forged(case.user, case.device, bundle.identity):
            raise Ignored("forged-identity")
        keys = case.account.keys
        try:
            replaced = keys.sending.rebuild(
                case.account.profile,
                keys.account.credentials(),
                case.user,
                case.device,
                bundle,
                seen=facts,
                account_key=case.account.account_key(case.user),
            )
        except (BadSignature, InvalidKey) as error:
            raise Ignored(BAD_SIGNATURE) from error
        except UnprovenDevice:
            return False
        if replaced:
            account, now = case.notification.account, self._now_ms()
            self._stores.people.count_recovery_in_hour(account, case.recipient, now)
        return True

    def _send_again(self, case: Case) -> Copy:
        """Reserve, encrypt for this device alone, hand over. Return what went out."""
        copy = self._encrypt(case)
        profile = case.account.profile
        stanza = retry_message_stanza(
            case.request.id,
            case.request.to,
            copy.ciphertext,
            kind=copy.kind,
            count=case.request.count,
            device_identity=profile.device_identity,
            timestamp=case.request.timestamp,
            participant=case.request.participant,
            recipient=case.request.recipient,
        )
        in_group = case.notification.group is not None
        try:
            pace = pace_words(case.notification.audience, again=True)
            self._socket.hand_over(case.account, stanza, group=in_group, pace=pace)
        except Permanent as failure:
            raise Ignored(failure.code) from failure
        return copy

    def _encrypt(self, case: Case) -> Copy:
        """Take a number of the device's chain. A chain that can't serve it any more is replaced first."""
        reservation = self._reserve(case)
        if reservation.staleness(case.device) is not None:
            self._rebuild(case, _session_facts(case))
            reservation = self._reserve(case)
        if reservation.staleness(case.device) is not None:
            raise Ignored("no-session")
        plaintext, kind = plaintext_again(case, clock=self._clock, random=self._random)
        ciphertext = reservation.encrypt(case.device, case.account.profile, plaintext)
        index = reservation.chains[case.device].index_of(reservation.number)
        return Copy(reservation.number, index, ciphertext, kind)

    def _reserve(self, case: Case) -> Reservation:
        try:
            return case.account.keys.sending.reserve(case.account.profile, case.user)
        except NoOutbound as error:
            raise Ignored("no-session") from error

    def _record(self, case: Case, rebuilt: str, copy: Copy, at: int) -> tuple[tuple[str, float], ...]:
        """Note in history and ledger that a device was sent the message again; what has healed by that. Its
        receipt comes another way, and may have been recorded before this."""
        device = str(case.jid)
        recovery = Recovery(case.request.count, self._now_ms(), copy.number, case.served + 1, case.since)
        how = f"new session from {rebuilt}" if rebuilt else "same session"
        attempt = Attempt(
            f"{RECOVERED}{case.cause}",
            at,
            "recover",
            f"device {case.device}: {how}",
            {case.user: copy.number},
            copies={device: f"{copy.ciphertext.type} {copy.index}"},
            device=device,
            count=case.request.count,
        )
        noted = self._stores.notifications.record_recovery(case.notification.id, device, recovery, attempt)
        self._stores.people.count_recovery(case.notification.account, case.recipient)
        self._recoveries.asked(case.unreadable, since=case.since, at=at, cause=case.cause, rebuilt=rebuilt)
        confirmed_at = read_at(noted, device, at)
        if confirmed_at is None:
            return ()
        self._recoveries.healed(case.unreadable, at=confirmed_at, since=case.since)
        return ((case.cause, (confirmed_at - case.since) / 1000),)

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _session_facts(case: Case) -> SessionFacts | None:
    return case.account.keys.sending.session_facts(case.account.profile, case.user, case.device)
