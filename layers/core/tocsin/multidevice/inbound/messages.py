"""What WhatsApp sends us: messages, receipts, requests for a resend, news about devices.

    envelope ── stanza ──┬─ message ─────── decrypt under a turn ── reply, consent ── delivery receipt
                         │                    └ can't ── retry receipt, with keys when due
                         ├─ receipt ──────── state forward; retry ── `recovery`
                         ├─ notification ─── device lists, identities, addresses
                         └─ call, others ─── nothing

A stanza comes at least once: everything here may be done twice. What can't be done now (no connector) is
raised, and the queue brings the stanza again.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tocsin.connector_client.client import ConnectorError
from tocsin.connector_client.protocol import RESTRICTION_SECONDS
from tocsin.keys.errors import OtherPairing
from tocsin.keys.seal import DamagedRecord
from tocsin.multidevice.account import Account
from tocsin.multidevice.group_members import GroupView
from tocsin.multidevice.placeholders import as_received, is_askable, request_id
from tocsin.multidevice.privacy_tokens import issue_token
from tocsin.multidevice.read_receipts import Readers
from tocsin.multidevice.refusals import failure_of_connector
from tocsin.multidevice.retries import (
    CAUSES,
    MAX_RETRY_RECEIPTS,
    Question,
    RetryReceiptHandler,
    canonical,
    illness_of,
    is_recipient,
    question_for,
)
from tocsin.multidevice.transport import MultiDevice, damaged_account
from tocsin.notify.content import Reaction
from tocsin.notify.failure import Permanent, Recover
from tocsin.notify.notification import Notification, State, id_of_message, user_of
from tocsin.notify.replies import GROUP_TALK, MAX_KEPT_TEXT, Replies
from tocsin.notify.store.recoveries import OURS, UnreadableMessage
from tocsin.notify.store.stores import Stores
from tocsin.signal.errors import Duplicate, SignalError
from tocsin.signal.padding import pad, unpad
from tocsin.signal.session import parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NUMBER
from tocsin.whatsapp.call import parse_call
from tocsin.whatsapp.content import (
    Content,
    History,
    Resent,
    SenderKey,
    content_of,
    history_of,
    parse_plaintext,
    placeholder_request,
)
from tocsin.whatsapp.errors import DecodeError, InvalidJid, InvalidStanza, StanzaRefused, WireError
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, LID, PN, is_one_person, mask, phash
from tocsin.whatsapp.message import SENDER_MISMATCH, Enc, InboundMessage, parse_message
from tocsin.whatsapp.node import Node, decode
from tocsin.whatsapp.notifications import (
    DevicesChanged,
    GroupChanged,
    IdentityChanged,
    OwnDevices,
    PrivacyToken,
    ReachoutLock,
    parse_notification,
)
from tocsin.whatsapp.outgoing import text_message
from tocsin.whatsapp.receipts import (
    INVALID_PROTOBUF,
    Receipt,
    RetryKeys,
    ack,
    delivery_receipt,
    history_receipt,
    parse_receipt,
    parse_retry,
    read_receipt,
    retry_receipt,
)

if TYPE_CHECKING:
    from tocsin.keys.account import Credentials
    from tocsin.keys.receive import Received

log = logging.getLogger(__name__)

MAX_STANZA_BYTES = 1024 * 1024
# A live receipt comes within seconds, whatever the clocks say; an older one waited at WhatsApp.
KEPT_FOR_US_MS = 10_000
# A token of later than that would keep every true one away.
CLOCKS_APART_SECONDS = 24 * 3600
PAIRWISE = frozenset({"msg", "pkmsg"})
SHARED = "skmsg"
# A notification's history keeps the receipts of so many: a group may have a thousand members.
MAX_RECEIPTS = 200

# Outcomes of a ciphertext that are confirmed by a receipt, and those that must not be.
ARRIVED = frozenset({"reply", "duplicate", "own-device", "malformed", "other"})
UNREADABLE = frozenset({"asked-again", "given-up"})


class MalformedEnvelope(ValueError):
    """A queue message that the connector didn't write. Nothing was done; `reason` names what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Envelope:
    """A stanza as the connector put it into the queue. `received_at`: Unix milliseconds."""

    account: str
    incarnation: int
    epoch: int
    received_at: int
    stanza: Node

    @classmethod
    def parse(cls, body: str) -> Envelope:
        """Read a queue message. Raises `MalformedEnvelope`; hostile sizes are refused before they inflate."""
        try:
            value = json.loads(body)
            packed = base64.b64decode(value["stanza"], validate=True)
            inflater = zlib.decompressobj()
            plain = inflater.decompress(packed, MAX_STANZA_BYTES + 1)
            if len(plain) > MAX_STANZA_BYTES or not inflater.eof:
                raise MalformedEnvelope("the stanza is too large or cut")
            account = value["account"]
            if not isinstance(account, str) or not 0 < len(account) <= MAX_LABEL:
                raise MalformedEnvelope("not an account's name")
            return cls(
                account=account,
                incarnation=_whole(value["incarnation"], MAX_NUMBER),
                epoch=_whole(value["epoch"], MAX_NUMBER),
                received_at=_whole(value["received_at"], MAX_NUMBER * 1000),
                stanza=decode(plain),
            )
        except MalformedEnvelope:
            raise
        except (binascii.Error, zlib.error) as error:
            raise MalformedEnvelope("the stanza is damaged") from error
        except DecodeError as error:
            raise MalformedEnvelope(f"no node: {error.reason}") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise MalformedEnvelope("not an envelope") from error


def _whole(value: object, most: int) -> int:
    """A number of an envelope: they are compared, counted with and made dates of."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MalformedEnvelope("a number that no connector writes")
    return value


@dataclass(frozen=True)
class _Told:
    """What a receipt says, and of whom. `at`: ms; `device`: a full JID. `healed` collects the messages that
    were unreadable to the device before: why, and for how many seconds."""

    receipt: Receipt
    state: State
    at: int
    user: str
    device: str
    healed: list[tuple[str, float]] = field(default_factory=list)

    @property
    def entry(self) -> str:
        """As the notification files it."""
        return f"{self.device} {self.state}"


@dataclass(frozen=True)
class Report:
    """What became of a stanza, for logs and metrics. `facts` are safe to log."""

    kind: str
    outcome: str
    cause: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Inbound:
    """Handles the stanzas of the queue."""

    def __init__(
        self,
        stores: Stores,
        transport: MultiDevice,
        desk: RetryReceiptHandler,
        replies: Replies,
        *,
        read_receipts: bool = False,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`read_receipts`: mark replies as read once they are told to the bus."""
        self._read_receipts = read_receipts
        self._readers = Readers(clock)
        self._stores = stores
        self._transport = transport
        self._desk = desk
        self._replies = replies
        self._recoveries = stores.recoveries
        self._clock = clock
        self._random = random
        self._handlers: dict[str, Callable[[Account, Envelope], Report]] = {
            "message": self._message,
            "receipt": self._receipt,
            "notification": self._notification,
            "call": self._call,
        }

    def handle(self, body: str) -> Report:
        """Handle one queue message.

        Raises a `Failure` for what may pass by itself (then nothing was lost: bring it again), and whatever
        nobody foresaw. What is malformed is named in the report and not brought again.
        """
        try:
            envelope = Envelope.parse(body)
        except MalformedEnvelope as error:
            return Report("envelope", "malformed", error.reason)
        handler = self._handlers.get(envelope.stanza.tag)
        if handler is None:
            return Report(envelope.stanza.tag, "ignored")
        try:
            account = self._account(envelope)
            if account is None:
                return Report(envelope.stanza.tag, "refused", "other-pairing")
            return handler(account, envelope)
        except StanzaRefused as refusal:
            log.warning("stanza refused", extra={"why": refusal.reason, "stanza": _id_of(envelope.stanza)})
            return Report(envelope.stanza.tag, "refused", refusal.reason)
        except (InvalidStanza, InvalidJid) as error:
            return Report(envelope.stanza.tag, "malformed", str(error))
        except OtherPairing:
            self._transport.forget(envelope.account)
            return Report(envelope.stanza.tag, "refused", "other-pairing")
        except ConnectorError as error:
            self._transport.forget(envelope.account)
            raise failure_of_connector(error, now=int(self._clock())) from error
        except DamagedRecord as error:
            raise damaged_account(error) from error

    def _account(self, envelope: Envelope) -> Account | None:
        """Return the account, if the stanza belongs to its present pairing."""
        account = self._transport.account(envelope.account)
        if account.profile.incarnation < envelope.incarnation:
            self._transport.forget(envelope.account)
            account = self._transport.account(envelope.account)
        return account if account.profile.incarnation == envelope.incarnation else None

    # -- messages ---------------------------------------------------------------------------------------

    def _message(self, account: Account, envelope: Envelope) -> Report:
        node = envelope.stanza
        message = parse_message(node, account.own_names)
        account.learn(message.sender, message.sender_alt)
        account.learn(message.recipient, message.recipient_alt)
        if not message.encs:
            return self._unavailable(account, message)
        user = canonical(account, message.sender, message.sender_alt)
        credentials = account.keys.account.credentials()
        reports = []
        failures: list[tuple[Enc, SignalError]] = []
        for enc in message.encs:
            try:
                reports.append(self._enc(account, credentials, envelope, message, user, enc))
            except SignalError as error:
                failures.append((enc, error))
        if failures and not _was_read(message, reports):
            # Once, however many ciphertexts failed: they are answered by one message.
            reports.append(self._ask_again(account, credentials, node, message, user, *failures[0]))
        outcomes = {report.outcome for report in reports}
        if outcomes & ARRIVED and not outcomes & UNREADABLE:
            self._confirm(account, node, message, reports)
        # Of a group's message, the sender key comes first and says least.
        told = reversed(reports) if message.is_group else reports
        return next((report for report in told if report.outcome != "ignored"), reports[0])

    def _enc(
        self,
        account: Account,
        credentials: Credentials,
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
        try:
            received = self._decrypt(account, credentials, envelope, message, user, enc)
        except Duplicate:
            return Report("message", "duplicate", enc.type)
        facts: dict[str, Any] = {"new_session": received.new_session, "repeated": received.repeated}
        if received.identity_change is not None:
            facts["identity_changed"] = True
        if enc.count:
            # A resend, so perhaps we had asked for it.
            healed = self._recoveries.healed(_illness(account, message, user), at=envelope.received_at)
            if healed is not None:
                facts["healed"] = [(healed.cause, healed.seconds_to_heal)]
        outcome, cause = self._act(account, envelope, message, user, received)
        account.keys.receiving.mark_handled(received)
        return Report("message", outcome, cause, facts)

    def _decrypt(
        self,
        account: Account,
        credentials: Credentials,
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
        return account.keys.receiving.receive(
            envelope.incarnation, credentials, user, device, message.id, enc.type, enc.body, abridge=abridge
        )

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
        if message.from_me:
            if not message.sender.device:  # what concerns the account is the phone's to tell
                self._own_news(account, content)
            return "own-device", content.kind
        if content.kind == "spoofed":
            log.warning("a control message from somebody else", extra={"sender": repr(message.sender)})
            return "other", "spoofed"
        if message.is_group and content.is_reply:
            kind = self._replies.take_in_group(account, message, user, content)
            return ("other" if kind == GROUP_TALK else "reply"), kind
        if message.chat.server not in (LID, PN) or not content.is_reply:
            return "other", content.kind
        return "reply", self._replies.take(account, message, user, content)

    def _own_news(self, account: Account, content: Content) -> None:
        """What our own phone tells: addresses and tokens (a LID migration, a piece of history), and messages
        that we had asked it for."""
        for pair in content.pairs:
            account.learn(pair.pn, pair.lid)
        for resent in content.resent:
            self._take_resent(account, resent)
        if content.history is None or not content.history.inline_payload:
            return  # what isn't inline would have to be downloaded, and is of no use to a notifier
        try:
            self._history(account, history_of(content.history.inline_payload))
        except InvalidStanza as error:
            log.warning("a piece of history is left", extra={"cause": str(error)})

    @staticmethod
    def _history(account: Account, history: History) -> None:
        for pair in history.pairs:
            account.learn(pair.pn, pair.lid)
        for one in history.entrusted:
            kept = account.keys.contacts.keep_token(account.own_user, str(one.lid), one.token, one.at)
            if kept and one.issued_at:
                account.keys.contacts.note_issued(str(one.lid), one.issued_at)
        if history.salt is not None:
            account.keys.contacts.save_salt(account.own_user, history.salt)

    def _unavailable(self, account: Account, message: InboundMessage) -> Report:
        """There is no copy for us: our own phone has one."""
        why = message.unavailable or "no ciphertext"
        if message.unavailable is None or not is_askable(message, self._clock()):
            return Report("message", "ignored", f"unavailable: {why}")
        self._ask_phone(account, message)
        return Report("message", "asked-phone", why)

    def _ask_phone(self, account: Account, message: InboundMessage) -> None:
        """Raises `Wait` or `Retry` if it can't be asked now. If it can't be asked at all, so be it."""
        self._transport.check(account.profile.account, resumed=True)
        question = placeholder_request(message.chat, message.id)
        try:
            self._transport.tell_phone(account, request_id(message), question)
        except (Permanent, Recover) as failure:
            log.warning("our phone can't be asked", extra={"cause": failure.code, "stanza": message.id})

    def _take_resent(self, account: Account, resent: Resent) -> None:
        """A message that our phone gave on. Replies are told once, however they came."""
        message = as_received(resent)
        if message is None:
            return
        content = content_of(resent.message)
        if content.is_reply:
            user = canonical(account, message.sender, None)
            self._replies.take(account, message, user, content)

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
        if self._read_receipts and any(report.outcome == "reply" for report in reports):
            kind = self._readers.kind(account)
            account.connector.send(account.profile, read_receipt(node, kind, int(self._clock())))

    # -- what can't be read -----------------------------------------------------------------------------

    def _ask_again(
        self,
        account: Account,
        credentials: Credentials,
        node: Node,
        message: InboundMessage,
        user: str,
        enc: Enc,
        error: SignalError,
    ) -> Report:
        """Ask the sender for a message that doesn't decrypt; a few times, then no more."""
        cause = type(error).__name__
        log.warning(
            "can't decrypt", extra={"cause": cause, "sender": repr(message.sender), "stanza": message.id}
        )
        if message.from_me and not message.peer:
            return Report("message", "own-device", cause)
        # A count says that we asked; so it isn't raised while there is nobody to carry the question.
        self._transport.check(account.profile.account, resumed=True)
        device = message.sender.device
        count = account.keys.receiving.count_retry(
            account.profile, user, device, message.id, at_least=enc.count + 1
        )
        question = question_for(error, count)
        if question is None:
            self._note_illness(account, message, user, cause, given_up=True)
            # Once: whoever sends it again and again has no more asked of the phone.
            if count <= MAX_RETRY_RECEIPTS + 1 and is_askable(message, self._clock()):
                self._ask_phone(account, message)
            return Report("message", "given-up", cause, {"count": count, "given_up": True})
        keys = self._fresh_keys(account, credentials) if question.with_keys else None
        if question.session_is_stale and account.keys.sending.mark_stale(account.profile, user, device):
            account.keys.sending.expire_device_list(account.profile, user)
        account.connector.send(account.profile, _retry_receipt(node, credentials, question, keys))
        self._note_illness(account, message, user, cause)
        return Report("message", "asked-again", cause, {"count": count, "with_keys": question.with_keys})

    def _note_illness(
        self, account: Account, message: InboundMessage, user: str, cause: str, *, given_up: bool = False
    ) -> None:
        at = int(self._clock() * 1000)
        illness = _illness(account, message, user)
        if given_up:
            self._recoveries.failed(illness, since=at, at=at, cause=cause, failure="given-up")
        else:
            self._recoveries.asked(illness, since=at, at=at, cause=cause)

    def _fresh_keys(self, account: Account, credentials: Credentials) -> RetryKeys:
        prekey, signed = account.keys.account.retry_prekey(), credentials.signed_prekey
        return RetryKeys(
            identity=credentials.identity.public,
            prekey=(prekey.id, prekey.pair.public),
            signed_prekey=SignedPreKey(signed.id, signed.pair, signed.signature),
            device_identity=credentials.device_identity or b"",
        )

    # -- receipts ---------------------------------------------------------------------------------------

    def _receipt(self, account: Account, envelope: Envelope) -> Report:
        receipt = parse_receipt(envelope.stanza, account.own_names)
        account.learn(receipt.sender, receipt.sender_alt)
        if receipt.type == "retry":
            request = parse_retry(envelope.stanza, account.own_names)
            outcome = self._desk.serve(account, request, envelope.received_at)
            facts = {
                "message": request.id,
                "count": request.count,
                "rebuilt": outcome.rebuilt,
                "given_up": outcome.given_up,
            }
            return Report("retry", outcome.name, outcome.cause, facts)
        if receipt.status is None:
            return Report("receipt", "ignored", receipt.type)
        state = State.READ if receipt.status == "read" else State.DELIVERED
        at, moved = time_of(receipt, envelope), 0
        healed: list[tuple[str, float]] = []
        # In groups the server may gather those of several members into one.
        for sender in receipt.participants or (receipt.sender,):
            user = canonical(account, sender, receipt.sender_alt if not receipt.participants else None)
            if account.is_own(user):
                continue
            told = _Told(receipt, state, at, user, str(JID.parse(user).with_device(sender.device)), healed)
            moved += sum(self._mark(account, told, mid) for mid in receipt.ids)
        facts = {"moved": moved, "healed": healed}
        return Report("receipt", str(state) if moved else "ignored", receipt.type, facts)

    def _mark(self, account: Account, told: _Told, message_id: str) -> bool:
        """Move one notification's state forward, if it was sent to this user; whether it moved."""
        found = id_of_message(message_id)
        notification = self._stores.notifications.get(found) if found else None
        if notification is None or not _was_for(account, told, notification):
            log.info("a receipt for no message of ours", extra={"sender": repr(told.receipt.sender)})
            return False
        if told.entry in notification.receipts:
            return False
        if len(notification.receipts) >= MAX_RECEIPTS and notification.state in (State.READ, told.state):
            return False
        self._note_healing(notification, told)
        at = max(told.at, notification.sent_at or 0, notification.delivered_at or 0)
        moved = notification.state not in (State.READ, told.state) and (
            self._stores.notifications.mark_receipt(notification.id, told.state, at, told.device).applied
        )
        if moved and not isinstance(notification.content, Reaction):
            self._stores.recipients.note_delivery(
                notification.account, user_of(notification.recipient), notification.id
            )
        else:
            self._stores.notifications.note_receipt(notification.id, told.state, at, told.device)
        return moved

    def _note_healing(self, notification: Notification, told: _Told) -> None:
        """The first receipt of a device that had asked again says that it could read it at last."""
        recovery = notification.recoveries.get(told.device)
        if recovery is None or any(entry.startswith(f"{told.device} ") for entry in notification.receipts):
            return
        since = recovery.at if recovery.since is None else recovery.since
        healed = self._recoveries.healed(illness_of(notification, told.device), at=told.at, since=since)
        cause = healed.cause if healed is not None else CAUSES[0]
        told.healed.append((cause, max(told.at - since, 0) / 1000))

    # -- notifications ----------------------------------------------------------------------------------

    def _notification(self, account: Account, envelope: Envelope) -> Report:
        news = parse_notification(envelope.stanza)
        if isinstance(news, IdentityChanged):
            return self._identity_changed(account, news)
        if isinstance(news, DevicesChanged):
            return self._devices_changed(account, news)
        if isinstance(news, OwnDevices):
            return _own_devices(account, news)
        if isinstance(news, GroupChanged):
            return _group_changed(account, news, self._clock)
        if isinstance(news, PrivacyToken):
            return self._token(account, news)
        if isinstance(news, ReachoutLock):
            log.warning("first contacts are restricted", extra={"active": news.active, "until": news.until})
            self._note_restriction(account, news, envelope.received_at // 1000)
            return Report("notification", "reachout-lock", facts={"active": news.active, "until": news.until})
        return Report("notification", "ignored", envelope.stanza.attr_str("type"))

    def _token(self, account: Account, news: PrivacyToken) -> Report:
        """A contact entrusts us with a token: it goes along with our next messages."""
        user = self._named(account, news.user, news.other)
        if account.is_own(user) or not user.endswith("@lid"):
            return Report("notification", "ignored", "a token of nobody we could write to")
        if news.timestamp > self._clock() + CLOCKS_APART_SECONDS:
            return Report("notification", "ignored", "a token of the future")
        kept = account.keys.contacts.keep_token(account.own_user, user, news.token, news.timestamp)
        return Report("notification", "privacy-token", facts={"kept": kept})

    def _call(self, account: Account, envelope: Envelope) -> Report:
        """Nobody takes it (the connector may have declined it); it tells who has the number that calls."""
        call = parse_call(envelope.stanza)
        account.learn(call.caller, call.caller_pn)
        return Report("call", "ignored", call.kind)

    def _note_restriction(self, account: Account, news: ReachoutLock, heard_at: int) -> None:
        """The connector has overheard it; should it have died of something just then, it counts all the
        same."""
        from tocsin.accounts.limits import FIRST_CONTACTS, Limit

        until = 0 if not news.active else news.until or heard_at + RESTRICTION_SECONDS
        guessed = news.active and news.until is None
        account.keys.account.note_limit(
            Limit(FIRST_CONTACTS, "notification", until, heard_at), guessed=guessed
        )

    def _identity_changed(self, account: Account, news: IdentityChanged) -> Report:
        """Somebody reinstalled. The server says so, no message has proved it yet: archive, don't delete."""
        user = self._named(account, news.user, news.lid)
        if account.is_own(user):
            return Report("notification", "ignored", "own identity")
        archived = account.keys.upkeep.clean(account.profile, user).archived
        account.keys.sending.expire_device_list(account.profile, user)
        account.keys.groups.note_new_keys(user)
        issued_at = account.keys.contacts.trust(account.own_user, user).issued_at
        if issued_at:
            issue_token(account, user, issued_at)  # the new phone knows nothing of the one that it was given
        log.warning("identity changed", extra={"device": repr(news.user), "by": "notification"})
        return Report("notification", "identity-changed", facts={"archived": len(archived)})

    def _devices_changed(self, account: Account, news: DevicesChanged) -> Report:
        """A companion was linked or removed: the next send asks for the list; a removed one is forgotten."""
        user = self._named(account, news.user, news.lid)
        for device, lid in news.pairs:
            account.learn(device, lid)
        if news.action == "remove":
            ours = account.own_device.device if account.is_own(user) else 0
            for number in sorted({device.device for device in news.devices} - {0, ours}):
                account.keys.sending.remove_device(account.profile, user, number)
        facts = {"devices": len(news.devices)}
        if news.action == "remove" and _is_whole_list(account, user, news):
            return Report("notification", "devices-changed", "remove", {**facts, "list_holds": True})
        account.keys.sending.expire_device_list(account.profile, user)
        return Report("notification", "devices-changed", news.action, facts)

    def _named(self, account: Account, user: JID, lid: JID | None) -> str:
        """Return the canonical name of a user, learning the pair if both names are told. Raises
        `StanzaRefused` if they aren't one person's."""
        if not is_one_person((user, lid), account.own_names):
            raise StanzaRefused(SENDER_MISMATCH)
        account.learn(user, lid)
        return canonical(account, user, lid)


def _id_of(stanza: Node) -> str:
    return str(stanza.attrs.get("id", ""))[:64]


def _was_read(message: InboundMessage, reports: Sequence[Report]) -> bool:
    """Whether a group's message was read although another ciphertext of it was not: the sender key, which
    then was none that we lacked."""
    read = ("reply", "own-device", "malformed", "other", "duplicate")
    return message.is_group and any(
        report.outcome in read and report.cause not in ("sender-key", *PAIRWISE) for report in reports
    )


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


def _was_for(account: Account, told: _Told, notification: Notification) -> bool:
    """Whether who gave a receipt was sent the notification: in a group that is whoever is in it."""
    if notification.group is not None:
        return str(told.receipt.chat) == notification.group
    return is_recipient(account, told.user, notification)


def _in_session(account: Account, user: str) -> set[int] | None:
    """The devices of a user that we can write to now; None if there is one with which a session must be made
    first, as after a reinstall."""
    devices = account.keys.upkeep.view(account.profile, user).devices
    if any(device.index is None for device in devices):
        return None
    return {device.device for device in devices}


def _is_whole_list(account: Account, user: str, news: DevicesChanged) -> bool:
    """Whether the devices we have sessions with are, after a removal, all there are: then nothing is to be
    asked, and the list that groups use is brought up to date."""
    numbers = _in_session(account, user)
    if numbers is None or 0 not in numbers:
        return False
    if account.is_own(user):
        numbers.add(account.own_device.device)
    hashes = {phash(form.with_device(each) for each in numbers) for form in (news.user, JID.parse(user))}
    if not hashes & {news.device_hash, news.lid_hash}:
        return False
    _keep_group_list(account, user, numbers)
    return True


def _own_devices(account: Account, news: OwnDevices) -> Report:
    """The list of our own devices after a change. If its hash is right, and we have sessions with all, it is
    taken as it is; else the next send asks."""
    user, ours = account.own_user, account.own_device.device
    listed = {device.device for device in news.devices}
    if 0 in listed and phash(news.devices) == news.device_hash:
        in_session = _in_session(account, user)
        if in_session is not None and listed - {ours} <= in_session:
            account.keys.sending.touch_device_list(account.profile, user, sorted(listed - {ours}))
            _keep_group_list(account, user, listed)
            return Report("notification", "own-devices", facts={"list_holds": True})
    account.keys.sending.expire_device_list(account.profile, user)
    return Report("notification", "own-devices")


def _keep_group_list(account: Account, user: str, numbers: set[int]) -> None:
    """Write down a list that groups use, if they use one."""
    if account.keys.groups.device_lists([user])[user].devices:
        account.keys.groups.save_device_list(user, sorted(numbers - {HOSTED_DEVICE}))


def _group_changed(account: Account, news: GroupChanged, clock: Callable[[], float]) -> Report:
    """Who is out can't read on: a new key is due. Who is in is asked anew, if that can be had now: the next
    send would ask as well, but the operator looks for a new group's JID (`tocsin groups`)."""
    for pn, lid in news.pairs:
        account.learn(pn, lid)
    group = str(news.group)
    account.keys.groups.forget(group)
    if news.removed and account.keys.groups.discard_sender_key(account.profile, group):
        log.info("a new sender key is due: somebody left", extra={"group": mask(group)})
    with suppress(Permanent, ConnectorError, WireError):
        GroupView(account, news.group, clock=clock).info()
    return Report("notification", "group", ", ".join(news.changes)[:100], {"removed": len(news.removed)})


def time_of(receipt: Receipt, envelope: Envelope) -> int:
    """Return when a receipt was given, in ms: when it came, unless WhatsApp had kept it for us.

    Its own time is in whole seconds, and so lies up to one second before the truth, or before our ack.
    """
    given = (receipt.timestamp or 0) * 1000
    kept = envelope.received_at - given > KEPT_FOR_US_MS
    return given if given and kept else envelope.received_at


def _is_forged(account: Account, message: InboundMessage, user: str, enc: Enc) -> bool:
    """Whether a first message pretends to be our own phone's."""
    if not message.from_me or message.sender.device:
        return False
    try:
        first = parse(enc.type, enc.body)
    except SignalError:
        return False  # is named where it is decrypted
    return isinstance(first, PreKeyMessage) and account.is_forged(user, 0, first.identity)


def _illness(account: Account, message: InboundMessage, user: str) -> UnreadableMessage:
    """What the recoveries call it when we can't read a message."""
    device = str(JID.parse(user).with_device(message.sender.device))
    return UnreadableMessage(OURS, account.profile.account, user, device, message.id)


def abridged(padded: bytes, random: Callable[[int], bytes]) -> bytes:
    """Return what is worth keeping of a plaintext that is too long to be stored: its text."""
    try:
        content = content_of(parse_plaintext(unpad(padded)))
    except (InvalidStanza, SignalError):
        return pad(b"", random(1))
    return pad(text_message((content.text or "")[:MAX_KEPT_TEXT]), random(1))


def _retry_receipt(node: Node, credentials: Credentials, question: Question, keys: RetryKeys | None) -> Node:
    return retry_receipt(
        node,
        count=question.count,
        registration_id=credentials.registration_id,
        error=question.error,
        keys=keys,
    )
