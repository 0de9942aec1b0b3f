"""Messages are decrypted under a turn, and what they say is put into effect.

A message has one ciphertext or more:

    decrypt ── act: a reply, a sender key, news of our own phone's ── confirm by a receipt
      └ can't ── `retries`: the receipt again, or a question for the message

Whatever a person writes to us reaches the bus. Where the content can't be had, it is told that they wrote;
the content is told when it comes after all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tocsin.keys.timers import ChatTimer
from tocsin.multidevice.account import Account
from tocsin.multidevice.chat_timers import ChatTimers
from tocsin.multidevice.directory import PHONE_QUESTIONS_PER_HOUR, pin_phone
from tocsin.multidevice.inbound.envelope import Envelope, Report
from tocsin.multidevice.placeholders import as_received, ask_phone, is_askable
from tocsin.multidevice.question_budget import OVER_BUDGET, QuestionBudget
from tocsin.multidevice.read_receipts import Readers
from tocsin.multidevice.refusals import failure_of_answer
from tocsin.multidevice.replies import (
    UNREADABLE,
    WITHOUT_COPY,
    is_to_us,
    keep_secret,
    opened,
    reply_of,
    unread_reply_of,
)
from tocsin.multidevice.retries import (
    AskAgain,
    Unreadable,
    UnreadableMessages,
    answer_to,
)
from tocsin.multidevice.retry_case import unreadable_by_us
from tocsin.multidevice.transport import MultiDevice
from tocsin.notify.replies import CHANGES, GROUP_TALK, MAX_KEPT_TEXT, Replies
from tocsin.settings.declared import READ_RECEIPTS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.signal.errors import SignalError, UnprovenDevice
from tocsin.signal.padding import pad, unpad
from tocsin.signal.session import parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.tables.names import id_of_message
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.adv import Voucher
from tocsin.whatsapp.content import (
    Content,
    Resent,
    SenderKey,
    content_of,
    parse_plaintext,
    shortened,
)
from tocsin.whatsapp.errors import InvalidStanza, WireError
from tocsin.whatsapp.history import History, history_of
from tocsin.whatsapp.jid import JID, PN
from tocsin.whatsapp.message import Enc, InboundMessage, parse_message
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import (
    INVALID_PROTOBUF,
    ack,
    delivery_receipt,
    history_receipt,
    read_receipt,
)
from tocsin.whatsapp.written import EMPTY, UNAVAILABLE

if TYPE_CHECKING:
    from tocsin.keys.receive import Received
    from tocsin.notify.store.recoveries import Recoveries
    from tocsin.people.people import People

log = logging.getLogger(__name__)

PAIRWISE = frozenset({"msg", "pkmsg"})
SHARED = "skmsg"

MAX_OF_HISTORY = 500
"""Addresses, tokens and timers that are taken from one piece of history, the latest chats first: each costs
reads and a write, and the whole must be done within the function's time."""

# What is no protobuf, and is never taken for an empty message.
NO_MESSAGE = b"\xff"

# Outcomes of a ciphertext that are confirmed by a receipt, and those that must not be.
ARRIVED = frozenset({"reply", "duplicate", "own-device", "malformed", "other"})
QUESTIONED = frozenset({"asked-again", "given-up", OVER_BUDGET})
# What nobody will bring once more.
LOST = frozenset({"given-up", "malformed"})


class Messages:
    """Handles `<message>`. `readers`: which kind of read receipt replies get, if any; `budget`: how
    often a sender may be asked for what can't be read."""

    def __init__(
        self,
        recoveries: Recoveries,
        people: People,
        transport: MultiDevice,
        replies: Replies,
        readers: Readers,
        budget: QuestionBudget,
        *,
        settings: CurrentSettings = unchanged_settings,
        timers: ChatTimers | None = None,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._timers = timers or ChatTimers(clock)
        self._recoveries = recoveries
        self._people = people
        self._transport = transport
        self._replies = replies
        self._readers = readers
        self._settings = settings
        self._clock = clock
        self._random = random
        self._unreadable = UnreadableMessages(transport, recoveries, budget, clock=clock)

    def handle(self, account: Account, envelope: Envelope) -> Report:
        """Read a message. Raises `Failure`, `ConnectorError`; `WireError` for a malformed one."""
        node = envelope.stanza
        message = parse_message(node, account.own_names)
        user = account.sender(message.sender, message.sender_alt)
        if message.recipient is not None:
            account.sender(message.recipient, message.recipient_alt)
        if not message.encs:
            return self._unavailable(account, message, user)
        reports = []
        asks: list[tuple[Unreadable, AskAgain]] = []
        for enc in message.encs:
            try:
                reports.append(self._enc(account, envelope, message, user, enc))
            except SignalError as error:
                unreadable = Unreadable(account, node, message, user, enc, error)
                answer = answer_to(error)
                if isinstance(answer, AskAgain):
                    asks.append((unreadable, answer))
                else:
                    reports.append(answer(unreadable))
        if asks and not _was_read(message, reports):
            # Once, however many ciphertexts failed: they are answered by one message.
            reports.append(self._unreadable.ask(*asks[0]))
        outcomes = {report.outcome for report in reports}
        if outcomes & LOST or outcomes == {"ignored"}:
            self._tell_unread(account, message, user, UNREADABLE)
        elif "asked-again" in outcomes and is_to_us(message):
            self._replies.expect(unread_reply_of(account, message, user, UNREADABLE))
        if outcomes & ARRIVED and not outcomes & QUESTIONED:
            self._confirm(account, node, message, reports)
        # Of a group's message, the sender key comes first and says least.
        told = reversed(reports) if message.is_group else reports
        return next((report for report in told if report.outcome != "ignored"), reports[0])

    def _enc(
        self,
        account: Account,
        envelope: Envelope,
        message: InboundMessage,
        user: str,
        enc: Enc,
    ) -> Report:
        """Decrypt one ciphertext and do what it says. Raises SignalError if it can't be read."""
        if enc.type not in PAIRWISE and not (enc.type == SHARED and message.is_group):
            return Report("message", "ignored", f"{enc.type} ciphertext")
        if enc.type == "pkmsg" and _is_forged(account, message, user, enc):
            log.error("a message of our own phone with a foreign identity", extra={"stanza": message.id})
            return Report("message", "other", "forged-identity")
        received = self._decrypt(account, envelope, message, user, enc)
        facts: dict[str, Any] = {"new_session": received.new_session, "repeated": received.repeated}
        if received.identity_change is not None:
            facts["identity_changed"] = True
        if enc.count:
            # A resend, so perhaps we had asked for it.
            record = unreadable_by_us(account, message, user)
            healed = self._recoveries.healed(record, at=envelope.received_at)
            if healed is not None:
                facts["healed"] = [(healed.cause, healed.seconds_to_heal)]
        outcome, cause = self._act(account, envelope, message, user, received)
        if enc.count and outcome == "other" and is_to_us(message):
            self._replies.expect_no_more(unread_reply_of(account, message, user, UNREADABLE))
        account.keys.receiving.mark_handled(received)
        return Report("message", outcome, cause, facts)

    def _decrypt(
        self,
        account: Account,
        envelope: Envelope,
        message: InboundMessage,
        user: str,
        enc: Enc,
    ) -> Received:
        device = message.sender.device

        def abridge(text: bytes) -> bytes:
            return abridged(text, self._random)

        if enc.type == SHARED:
            return account.keys.groups.receive(
                envelope.incarnation, str(message.chat), user, device, message.id, enc.body, abridge=abridge
            )
        identity = message.device_identity

        def receive() -> Received:
            return account.keys.receiving.receive(
                envelope.incarnation,
                None,
                user,
                device,
                message.id,
                enc.type,
                enc.body,
                abridge=abridge,
                voucher=Voucher(identity) if identity is not None else None,
                account_key=account.account_key(user),
            )

        try:
            return receive()
        except UnprovenDevice:
            # Perhaps a phone that we don't know yet vouches for it: the first we hear of somebody may be
            # their companion, and a phone that was installed anew links its companions anew.
            if not self._has_new_phone(account, user):
                raise
            return receive()

    def _has_new_phone(self, account: Account, user: str) -> bool:
        """Whether a user has another phone than we knew, which is pinned now. A few times an hour: whoever
        writes as a companion would have us ask each time. Raises `Failure`, `ConnectorError`."""
        if account.is_own(user):
            return False
        now = from_seconds(self._clock())
        asked = self._people.count_phone_question_in_hour(account.profile.account, user, now)
        if asked > PHONE_QUESTIONS_PER_HOUR:
            return False
        try:
            return pin_phone(account, user)
        except WireError as error:
            raise failure_of_answer(error, now=now) from error

    def _act(
        self, account: Account, envelope: Envelope, message: InboundMessage, user: str, received: Received
    ) -> tuple[str, str]:
        """Do what a plaintext asks for. Return outcome and cause."""
        if received.plaintext is None:
            return "duplicate", "handled before"
        try:
            content = content_of(parse_plaintext(unpad(received.plaintext)), from_me=message.from_me)
        except (InvalidStanza, SignalError) as error:
            return "malformed", str(error)
        if content.sender_key is not None:
            # Before anything else: what is written under it comes next in the same stanza.
            _take_sender_key(account, envelope, message, user, content.sender_key)
        self._timers.heard(account, message, user, content)
        if message.from_me:
            if not message.sender.device:  # what concerns the account is the phone's to tell
                self._own_news(account, content)
            if message.recipient is not None and content.is_reply:
                # The owner wrote to somebody, who knows the account from now on.
                written_to = account.sender(message.recipient, message.recipient_alt)
                self._replies.cold.may_write_to(account.profile.account, written_to)
            return "own-device", content.kind
        if content.kind == "spoofed":
            log.warning("a control message from somebody else", extra={"sender": repr(message.sender)})
            return "other", "spoofed"
        if not content.is_reply or not (message.is_group or is_to_us(message)):
            return "other", content.kind
        return self._take(account, message, user, content)

    def _take(
        self, account: Account, message: InboundMessage, user: str, content: Content
    ) -> tuple[str, str]:
        """Tell what a person wrote. In a group that is what answers a notification, or changes an answer."""
        may_answer = content.kind in CHANGES or id_of_message(content.quoted_id or "") is not None
        if message.is_group and not may_answer:
            return "other", GROUP_TALK  # by far the most, so nobody is looked up for it
        content = opened(account, message, user, content)
        kind = self._replies.take(reply_of(account, message, user, content))
        if kind == GROUP_TALK:
            return "other", kind
        keep_secret(account, message, user, content)
        return "reply", kind

    def _tell_unread(self, account: Account, message: InboundMessage, user: str, kind: str) -> bool:
        """Tell that a person wrote to us what we can't read; whether one did."""
        if is_to_us(message):
            self._replies.take(unread_reply_of(account, message, user, kind))
        return is_to_us(message)

    def _own_news(self, account: Account, content: Content) -> None:
        """What our own phone tells: addresses and tokens (a LID migration, a piece of history), and messages
        that we had asked it for."""
        for pair in content.pairs:
            account.learn(pair.pn, pair.lid)
        for resent in content.resent:
            self._take_resent(account, resent)
        if content.history is None:
            return
        # Only after the account was linked; it brings the ciphers of files along.
        from tocsin.multidevice.inbound.fetched_history import HistoryAway, fetched_history

        try:
            chunk = content.history.inline_payload or fetched_history(account, content.history)
            if chunk:
                self._history(account, history_of(chunk))
        except (InvalidStanza, HistoryAway) as error:
            log.warning("a piece of history is left", extra={"cause": str(error)})

    def _history(self, account: Account, history: History) -> None:
        for pair in history.pairs[:MAX_OF_HISTORY]:
            account.learn(pair.pn, pair.lid)
        for one in history.entrusted[:MAX_OF_HISTORY]:
            user = _name_of(account, one.user)
            if user is None:
                continue
            kept = account.keys.contacts.keep_token(account.own_user, user, one.token, one.at)
            if kept and one.issued_at:
                account.keys.contacts.note_issued(user, one.issued_at)
        for timed in history.timers[:MAX_OF_HISTORY]:
            chat = _name_of(account, timed.jid)
            if chat is not None:
                self._timers.note(account, chat, ChatTimer(timed.timer.seconds, timed.timer.at))
        if history.salt is not None:
            account.keys.contacts.save_salt(account.own_user, history.salt)

    def _unavailable(self, account: Account, message: InboundMessage, user: str) -> Report:
        """There is no copy for us: our own phone may have one."""
        why = message.unavailable or "no ciphertext"
        kind = EMPTY if message.unavailable is None else WITHOUT_COPY.get(why, UNAVAILABLE)
        told = self._tell_unread(account, message, user, kind)
        if message.unavailable is None or not is_askable(message, from_seconds(self._clock())):
            return Report("message", "reply" if told else "ignored", f"unavailable: {why}")
        ask_phone(self._transport, account, message)
        return Report("message", "asked-phone", why)

    def _take_resent(self, account: Account, resent: Resent) -> None:
        """A message that our phone gave on. Replies are told once, however they came."""
        message = as_received(resent)
        if message is None:
            return
        content = content_of(resent.message)
        user = account.canonical(message.sender, None)
        self._timers.heard(account, message, user, content)
        if content.is_reply:
            self._take(account, message, user, content)

    def _confirm(
        self, account: Account, node: Node, message: InboundMessage, reports: Sequence[Report]
    ) -> None:
        """Say that a message arrived. Our own devices want another receipt than a customer."""
        if any(report.outcome == "malformed" for report in reports) and not message.from_me:
            account.connector.send(account.profile, ack(node, INVALID_PROTOBUF))
            return
        kind = "peer_msg" if message.peer else "sender" if message.from_me else "inactive"
        account.connector.send(account.profile, delivery_receipt(node, kind))
        if any(report.cause == "history" for report in reports):
            account.connector.send(account.profile, history_receipt(node, JID.parse(account.profile.jid)))
        if any(report.outcome == "reply" for report in reports) and self._settings().value(
            READ_RECEIPTS, account=account.profile.account
        ):
            kind = self._readers.kind(account)
            account.connector.send(account.profile, read_receipt(node, kind, int(self._clock())))


def _was_read(message: InboundMessage, reports: Sequence[Report]) -> bool:
    """Whether a group's message was read although another ciphertext of it was not: the sender key, which
    then was none that we lacked."""
    read = ("reply", "own-device", "malformed", "other", "duplicate")
    return message.is_group and any(
        report.outcome in read and report.cause not in ("sender-key", *PAIRWISE) for report in reports
    )


def _name_of(account: Account, jid: JID) -> str | None:
    """The name under which what history tells of a chat is kept: a number counts for the LID whose it is.
    None if that isn't known, or the number went to somebody else; nobody is asked about hundreds of them."""
    if jid.server != PN:
        return str(jid)
    known = account.keys.contacts.known(str(jid))
    return known.lid if known is not None and known.moved_to is None else None


def _take_sender_key(
    account: Account, envelope: Envelope, message: InboundMessage, user: str, key: SenderKey
) -> None:
    """Keep the key of a member for the group that the message came in; elsewhere nobody may hand one in."""
    group = str(message.chat)
    if not message.is_group or key.group != group:
        log.warning("a sender key for another group", extra={"sender": repr(message.sender)})
        return
    try:
        account.keys.groups.take_sender_key(
            envelope.incarnation, group, user, message.sender.device, key.distribution
        )
    except SignalError as error:
        log.warning("a bad sender key", extra={"cause": type(error).__name__, "stanza": message.id})


def _is_forged(account: Account, message: InboundMessage, user: str, enc: Enc) -> bool:
    """Whether a first message pretends to be our own phone's."""
    if not message.from_me or message.sender.device:
        return False
    try:
        first = parse(enc.type, enc.body)
    except SignalError:
        return False  # is named where it is decrypted
    return isinstance(first, PreKeyMessage) and account.is_forged(user, 0, first.identity)


def abridged(padded: bytes, random: Callable[[int], bytes]) -> bytes:
    """Return what is worth keeping of a plaintext that is too long to be stored: all but files and the rest
    of long texts."""
    try:
        # One more than is told, so that it is seen to have been longer.
        message = shortened(parse_plaintext(unpad(padded)), MAX_KEPT_TEXT + 1)
    except (InvalidStanza, SignalError):
        return pad(NO_MESSAGE, random(1))
    return pad(message.SerializeToString(), random(1))
