"""Healing: what a message that we can't read, or that a recipient's device can't read, leads to.

Receiving side: `REACTIONS` says what each Signal error is answered with. Sending side: a device of a
recipient asks for a message again (retry receipt), and gets it under the same id, encrypted for it alone:

    whose message? whose device? how often?  ── no ──▶ named in the log, no session changes
      │                └ one that was sent a copy, or that WhatsApp lists now
      └ yes ── session older than the message ── replace it (keys in the receipt, else a bundle)
                     └ already replaced since ──── only send again
             ── reserve ── encrypt ── hand over ── record

A device whose retries are used up gets no more, and a recipient no more than so many an hour: two broken
peers come to an end. If nobody else has the message then, it is a dead letter. Each illness is recorded,
from the first request to the receipt that says it healed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.keys.errors import NoOutbound
from tocsin.multidevice.account import Account
from tocsin.multidevice.compose import compose, plaintext_for
from tocsin.multidevice.directory import device_lists, fetch
from tocsin.multidevice.refusals import failure_of_ack, failure_of_answer
from tocsin.notify.config import RECOVERIES_PER_HOUR
from tocsin.notify.content import File
from tocsin.notify.dead_letters import RECOVERY_BUDGET, RECOVERY_EXHAUSTED, DeadLetters
from tocsin.notify.failure import Permanent, Recover
from tocsin.notify.notification import (
    Attempt,
    Notification,
    Recovery,
    State,
    id_of_message,
    user_of,
)
from tocsin.notify.store.recoveries import THEIRS, UnreadableMessage
from tocsin.notify.store.stores import Stores
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
    UntrustedIdentity,
)
from tocsin.signal.padding import pad
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.message import parse_ack, retry_message_stanza

if TYPE_CHECKING:
    from tocsin.keys.establish import SessionFacts
    from tocsin.keys.reserve import Reservation
    from tocsin.notify.config import RetryPolicies
    from tocsin.signal.session import Ciphertext
    from tocsin.signal.x3dh import PreKeyBundle
    from tocsin.whatsapp.media import Upload
    from tocsin.whatsapp.outgoing import Kind
    from tocsin.whatsapp.receipts import RetryRequest

log = logging.getLogger(__name__)

# -- receiving side --------------------------------------------------------------------------------------

RECEIPT = "receipt"
ASK_AGAIN = "ask-again"

# Error → what the sender gets. The number and whether keys come along stand at the error's class.
REACTIONS: dict[type[SignalError], str] = {
    Duplicate: RECEIPT,
    BadMac: ASK_AGAIN,
    FutureMessage: ASK_AGAIN,
    NoSession: ASK_AGAIN,
    NoPreKey: ASK_AGAIN,
    UntrustedIdentity: ASK_AGAIN,
    InvalidMessage: ASK_AGAIN,
    BadSignature: ASK_AGAIN,
    InvalidKey: ASK_AGAIN,
    InvalidRecord: ASK_AGAIN,
}

MAX_RETRY_RECEIPTS = 4
"""How often we ask for one message. Beyond it the sender has given up as well."""

KEYS_FROM_COUNT = 2
STALE_FROM_COUNT = 2


@dataclass(frozen=True)
class Question:
    """The retry receipt that is due for a message: its count, reason, and what belongs to it."""

    count: int
    error: int
    with_keys: bool
    session_is_stale: bool


def question_for(error: SignalError, count: int) -> Question | None:
    """Return what to ask the sender after the `count`-th failure of a message; `None`: ask no more.

    The session isn't given up at the first failure, for the sender may have several; the errors that name
    invalid bytes never touch it, since nothing proves that they came from the peer.
    """
    if REACTIONS.get(type(error), ASK_AGAIN) != ASK_AGAIN or count > MAX_RETRY_RECEIPTS:
        return None
    return Question(
        count=count,
        error=error.retry_code,
        with_keys=count >= KEYS_FROM_COUNT or error.keys_at_once,
        session_is_stale=count >= STALE_FROM_COUNT and not isinstance(error, InvalidMessage),
    )


# -- sending side ----------------------------------------------------------------------------------------

MAX_RECOVERIES_PER_DEVICE = 5
MAX_PLAUSIBLE_COUNT = 10
REPLAY_SECONDS = 15 * 60
"""For this long a count that was served is a repetition. Later the device has forgotten its counter."""

# Refusals that say nothing of anybody's health.
NO_ILLNESS = frozenset({"unknown-device"})

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


@dataclass(frozen=True)
class Outcome:
    """What became of a retry receipt.

    `name`: `resent` (after a rebuild or not), or why nothing was done. `cause`: what the device complained
    of. `rebuilt`: where the new session came from (`keys`, `bundle`), empty if the old one served.
    `given_up`: a device of the recipient's goes without the message.
    """

    name: str
    cause: str = ""
    rebuilt: str = ""
    number: int | None = None
    given_up: bool = False


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
        """On whose budget the healing goes: the recipient's, in a group that of the member who asks."""
        return self.user if self.notification.group else user_of(self.notification.recipient)

    @property
    def illness(self) -> UnreadableMessage:
        return illness_of(self.notification, str(self.jid))


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
        dead_letters: DeadLetters,
        policies: RetryPolicies,
        *,
        per_hour: int = RECOVERIES_PER_HOUR,
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._dead_letters = dead_letters
        self._policies = policies
        self._recoveries = stores.recoveries
        self._per_hour = per_hour
        self._random = random
        self._clock = clock

    def serve(self, account: Account, request: RetryRequest, asked_at: int | None = None) -> Outcome:
        """Answer one retry receipt, which came at `asked_at` (ms; default: now). Repeating it after a crash
        is harmless: same id, same text.

        Raises `ConnectorError` and `Failure` for what may pass (the queue brings the receipt again).
        """
        cause = CAUSES.get(request.error, CAUSES[0])
        try:
            case = self._case(account, request, cause, self._now_ms() if asked_at is None else asked_at)
        except Ignored as ignored:
            _name(request, cause, ignored.name)
            return Outcome(ignored.name, cause)
        try:
            self._demand_listed(case)
            self._demand_patience(case)
            rebuilt = self._mend(case)
            # What is told later must not look later than the receipt that answers it.
            at = self._now_ms()
            sent = self._send_again(case)
        except Ignored as ignored:
            self._refuse(case, ignored.name)
            return Outcome(ignored.name, cause, given_up=ignored.name not in NO_ILLNESS)
        self._record(case, rebuilt, sent, at)
        return Outcome("resent", cause, rebuilt, sent.number)

    # -- may it be served? ------------------------------------------------------------------------------

    def _case(self, account: Account, request: RetryRequest, cause: str, asked_at: int) -> Case:
        """Judge a receipt. Raises `Ignored` for one about no message of ours, or from somebody else."""
        if request.count > MAX_PLAUSIBLE_COUNT:
            raise Ignored("absurd-count")
        notification_id = id_of_message(request.id)
        notification = self._stores.notifications.get(notification_id) if notification_id else None
        if notification is None or notification.account != account.profile.account:
            raise Ignored("unknown-message")
        # Any other state is served, `planned` too: a device is sometimes faster than the record of the ack.
        if notification.state is State.SUPPRESSED:
            raise Ignored("suppressed")
        user = canonical(account, request.requester, request.requester_alt)
        if not self._may_ask(account, request, user, notification):
            raise Ignored("foreign-device")
        device = JID.parse(user).with_device(request.requester.device)
        previous = recovery_of(notification, str(device))
        age = self._now_ms() - previous.at if previous else 0
        if previous and request.count <= previous.count and age < REPLAY_SECONDS * 1000:
            raise Ignored("replayed")
        served = previous.served if previous else 0
        since = previous.since if previous and previous.since else asked_at
        return Case(account, request, notification, user, device.device, cause, served, since)

    def _may_ask(
        self, account: Account, request: RetryRequest, user: str, notification: Notification
    ) -> bool:
        """Whether the message was for this user: the recipient, a member of the group, or ourselves."""
        group = notification.group
        if group is None:
            return account.is_own(user) or is_recipient(account, user, notification)
        if str(request.to) != group:
            return False
        from tocsin.multidevice.group_resend import is_member

        try:
            return is_member(account, group, user, clock=self._clock)
        except Permanent:  # we are out ourselves
            return False

    def _demand_listed(self, case: Case) -> None:
        """Raise `Ignored` for a device that was sent no copy and isn't in WhatsApp's list now either: keys
        are no proof, and whoever is served once gets every later text.

        It is asked for before anything is counted, so that nobody uses up what the recipient's own devices
        may ask; and so often in an hour at most.
        """
        if was_sent_copy(case.notification, str(case.jid)):
            return
        account, now = case.notification.account, self._now_ms()
        if self._stores.recipients.count_list_question_in_hour(account, case.user, now) > self._per_hour:
            raise Ignored("unknown-device")
        try:
            listed = device_lists(case.account, [case.user])
        except WireError as error:
            raise failure_of_answer(error, now=int(self._clock())) from error
        if case.device not in listed.get(case.user, ()):
            raise Ignored("unknown-device")

    def _demand_patience(self, case: Case) -> None:
        """Raise `Ignored` if this device, or its user, had all the healing there is."""
        limit = min(self._policies.of(case.notification.audience).retries, MAX_RECOVERIES_PER_DEVICE)
        if case.served >= limit:
            refusals = f"device {case.device} refused it {case.served + 1} times, last: {case.cause}"
            self._give_up(case, Recover(RECOVERY_EXHAUSTED, refusals))
            raise Ignored("exhausted")
        now = self._now_ms()
        if (
            self._stores.recipients.count_recovery_in_hour(case.notification.account, case.recipient, now)
            > self._per_hour
        ):
            limit_of_hour = f"{self._per_hour} recoveries in an hour, last: {case.cause}"
            self._give_up(case, Recover(RECOVERY_BUDGET, limit_of_hour))
            raise Ignored("over-budget")

    def _give_up(self, case: Case, failure: Recover) -> None:
        """A dead letter, if no device of the recipient has the message; our own devices are no reason, nor is
        one member of a group."""
        if not case.is_own and not case.notification.group and case.notification.state is State.SENT:
            self._dead_letters.bury(case.notification, failure, self._now_ms())

    def _refuse(self, case: Case, why: str) -> None:
        """Name a request of the recipient's that isn't answered, in log, history and recoveries."""
        _name(case.request, case.cause, why)
        at = self._now_ms()
        refused = Attempt(
            f"refused-{case.cause}", at, "refused", why, device=str(case.jid), count=case.request.count
        )
        self._stores.notifications.record_attempt(case.notification.id, refused)
        if why not in NO_ILLNESS:
            self._recoveries.failed(case.illness, since=case.since, at=at, cause=case.cause, failure=why)

    # -- the session, then the message ------------------------------------------------------------------

    def _mend(self, case: Case) -> str:
        """Replace the session if that is what the receipt calls for. Return where the new one came from."""
        facts = case.account.keys.sending.session_facts(case.account.profile, case.user, case.device)
        return self._rebuild(case, facts) if must_rebuild(case, facts) else ""

    def _rebuild(self, case: Case, facts: SessionFacts | None) -> str:
        """Replace the session by one from fresh keys. Return their source, empty if there were none."""
        bundle, source = self._bundle(case, facts)
        if bundle is None:
            return ""
        if case.account.is_forged(case.user, case.device, bundle.identity):
            raise Ignored("forged-identity")
        credentials = case.account.keys.account.credentials()
        try:
            case.account.keys.sending.rebuild(
                case.account.profile, credentials, case.user, case.device, bundle, seen=facts
            )
        except (BadSignature, InvalidKey) as error:
            raise Ignored("bad-signature") from error
        return source

    def _bundle(self, case: Case, facts: SessionFacts | None) -> tuple[PreKeyBundle | None, str]:
        """Return fresh keys and their source: the receipt's, else the server's, else none (the old serve)."""
        if case.request.bundle is not None:
            return case.request.bundle, "keys"
        fetched = fetch(case.account, [case.jid], replace=True)[case.user]
        bundle = fetched.usable.get(case.device)
        if bundle is None and facts is None:
            raise Ignored("no-bundle")
        return bundle, "bundle"

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
        ack = parse_ack(case.account.connector.send_message(profile, stanza, resumed=True))
        if ack.error:
            in_group = case.notification.group is not None
            failure = failure_of_ack(ack.error, group=in_group, earlier=(), now=int(self._clock()))
            if isinstance(failure, Permanent):
                raise Ignored(failure.code)
            raise failure
        return copy

    def _encrypt(self, case: Case) -> Copy:
        """Take a number of the device's chain. A chain that can't serve it any more is replaced first."""
        reservation = self._reserve(case)
        if reservation.staleness(case.device) is not None:
            self._rebuild(
                case, case.account.keys.sending.session_facts(case.account.profile, case.user, case.device)
            )
            reservation = self._reserve(case)
        if reservation.staleness(case.device) is not None:
            raise Ignored("no-session")
        plaintext, kind = self._plaintext(case)
        ciphertext = reservation.encrypt(case.device, case.account.profile, plaintext)
        index = reservation.chains[case.device].index_of(reservation.number)
        return Copy(reservation.number, index, ciphertext, kind)

    def _plaintext(self, case: Case) -> tuple[bytes, Kind]:
        """The padded message for this device, and what the stanza says of it."""
        content, group, upload = case.notification.content, case.notification.group, _upload_of(case)
        if group is not None:
            from tocsin.multidevice.group_resend import body_for

            message = body_for(
                case.account, group, case.user, case.device, content, upload, clock=self._clock
            )
            return pad(message.body, self._random(1)), message.kind
        chat = chat_of(case.account, case.notification)
        message = compose(content, chat, case.account.own_device, upload)
        return plaintext_for(case.account, chat, case.user, message, self._random), message.kind

    def _reserve(self, case: Case) -> Reservation:
        try:
            return case.account.keys.sending.reserve(case.account.profile, case.user)
        except NoOutbound as error:
            raise Ignored("no-session") from error

    def _record(self, case: Case, rebuilt: str, copy: Copy, at: int) -> None:
        device = str(case.jid)
        recovery = Recovery(case.request.count, self._now_ms(), copy.number, case.served + 1, case.since)
        how = f"new session from {rebuilt}" if rebuilt else "same session"
        attempt = Attempt(
            f"recovered-{case.cause}",
            at,
            "recover",
            f"device {case.device}: {how}",
            {case.user: copy.number},
            copies={device: f"{copy.ciphertext.type} {copy.index}"},
            device=device,
            count=case.request.count,
        )
        self._stores.notifications.record_recovery(case.notification.id, device, recovery, attempt)
        self._stores.recipients.count_recovery(case.notification.account, case.recipient)
        self._recoveries.asked(case.illness, since=case.since, at=at, cause=case.cause, rebuilt=rebuilt)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def illness_of(notification: Notification, device: str) -> UnreadableMessage:
    """Return what the recoveries call it when `device` (full JID) can't read a notification."""
    user = user_of(notification.recipient)
    return UnreadableMessage(THEIRS, notification.account, user, device, notification.id)


def _upload_of(case: Case) -> Upload | None:
    """What the message describes that the device asks for again. Raises `Ignored`."""
    if not isinstance(case.notification.content, File):
        return None
    from tocsin.multidevice.uploads import sent_upload

    try:
        return sent_upload(case.account, case.notification.message_id)
    except Permanent as failure:
        raise Ignored(failure.code) from failure


def _name(request: RetryRequest, cause: str, why: str) -> None:
    """Say which retry receipt deserved no answer, and why."""
    facts = {"why": why, "cause": cause, "count": request.count, "stanza": request.id[:64]}
    log.warning("retry receipt refused", extra={**facts, "requester": repr(request.requester)})


def must_rebuild(case: Case, facts: SessionFacts | None) -> bool:
    """Whether the session must be replaced before the message is sent again.

    A first complaint about a number from before the present session was born is answered by that session:
    ten receipts of one break make one session, not ten. So is the first of a group's member who was sent the
    message under the sender key alone. Everything else is a reason to replace it. So no
    device is ever served twice from one base key at a count above 1, which is what keeps two broken peers
    from going round in circles.
    """
    if facts is None or case.request.registration_id != facts.remote_registration_id:
        return True
    number = last_number(case)
    if case.notification.group and number is None and case.request.bundle is None:
        # It was sent nothing pairwise, so what it lacks is the sender key. If not, it will ask once more.
        return case.request.count > 1
    return not (case.request.count == 1 and number is not None and number < facts.born)


def last_number(case: Case) -> int | None:
    """Return the number under which the device was last sent the message, `None` if that isn't known."""
    recovery = recovery_of(case.notification, str(case.jid))
    if recovery is not None and recovery.number is not None:
        return recovery.number
    numbers = (attempt.numbers.get(case.user) for attempt in reversed(case.notification.attempts))
    return next((number for number in numbers if number is not None), None)


def was_sent_copy(notification: Notification, device: str) -> bool:
    """Whether the history names a device (full JID) as one that was sent the message, first or again."""
    return device in notification.recoveries or any(
        device in attempt.copies for attempt in notification.attempts
    )


def recovery_of(notification: Notification, device: str) -> Recovery | None:
    """Return the last recovery for `device` since the message was last sent to everybody (a redrive does)."""
    recovery = notification.recoveries.get(device)
    sendings = [attempt.at for attempt in notification.attempts if attempt.cause == "sent"]
    if recovery is None or (sendings and recovery.at < sendings[-1]):
        return None
    return recovery


def canonical(account: Account, sender: JID, sender_alt: JID | None) -> str:
    """Return the bare JID under which the sessions with a sender lie: the LID where it is known."""
    for jid in (sender, sender_alt):
        if jid is not None and jid.chat.server == "lid":
            return str(jid.chat)
    return account.lid_of(str(sender.chat))


def is_recipient(account: Account, user: str, notification: Notification) -> bool:
    """Whether a user (canonical bare JID) is whom the notification was for."""
    phone = user_of(notification.recipient)
    return user in (phone, account.lid_of(phone))


def chat_of(account: Account, notification: Notification) -> str:
    """Return the chat a notification was sent to, as its copies for our own devices name it."""
    return account.lid_of(user_of(notification.recipient))
