"""The messages of the receipts queue: many receipts in each, many of them at a time, recorded together.

Nothing here asks WhatsApp. A receipt of which only WhatsApp could say whose it is goes on to the stanza
queue, whose function can ask.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tocsin.dynamo.read_ahead import ReadAheadTable
from tocsin.dynamo.writes import Key
from tocsin.multidevice.account import Account
from tocsin.multidevice.inbound.envelope import Envelope, MalformedEnvelope, Report, parse_receipts
from tocsin.multidevice.inbound.receipts import (
    Heard,
    ReceiptRecorder,
    Recorded,
    TooLate,
    heard_in,
    notifications_in,
    state_of,
)
from tocsin.multidevice.receipt_accounts import MustAsk, ReceiptAccounts
from tocsin.notify.store.stores import Stores
from tocsin.tables.keys import address_key
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza, StanzaRefused
from tocsin.whatsapp.jid import PN
from tocsin.whatsapp.receipts import Receipt, parse_receipt

log = logging.getLogger(__name__)

TOGETHER = 300
"""Receipts that are recorded before another message is taken in. A batch may hold ten thousand, for which no
invocation has time; what it recorded before its end stays recorded. So many take two or three seconds."""


@dataclass
class BatchReport:
    """What became of a batch. `failed`: ids of the messages that must come again, and why. `outcomes`: how
    many receipts came to what, beside those that are recorded; `odd`: each that was refused or malformed."""

    receipts: int = 0
    recorded: Recorded = field(default_factory=Recorded)
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: list[Report] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parsed:
    message: str
    envelope: Envelope
    account: Account
    receipt: Receipt


class ReceiptMessages:
    """Handles batches of the receipts queue."""

    def __init__(
        self,
        stores: Stores,
        accounts: ReceiptAccounts,
        ahead: ReadAheadTable,
        recorder: ReceiptRecorder,
        hand_over: Callable[[Envelope], None],
    ) -> None:
        """`ahead`: the keys table that `accounts` read from. `hand_over`: puts a stanza into the stanza
        queue."""
        self._stores = stores
        self._accounts = accounts
        self._ahead = ahead
        self._recorder = recorder
        self._hand_over = hand_over

    def handle(
        self, messages: Mapping[str, str], *, is_late: Callable[[], bool] = lambda: False
    ) -> BatchReport:
        """Record the receipts in messages (bodies by id), a few messages at a time. What isn't begun when
        `is_late` says so has failed, and what is taken in while the tables are away. Raises nothing."""
        report = BatchReport()
        taken_in: list[_Parsed] = []
        for name, body in messages.items():
            if is_late():
                report.failed[name] = TooLate()
                continue
            taken_in += self._parse(name, body, report)
            if len(taken_in) >= TOGETHER:
                self._record(taken_in, report, is_late)
                taken_in = []
        self._record(taken_in, report, is_late)
        return report

    def _record(self, parsed: Sequence[_Parsed], report: BatchReport, is_late: Callable[[], bool]) -> None:
        """Record receipts with one look at the tables."""
        ids = notifications_in(one.receipt for one in parsed)
        addresses = {place for one in parsed for place in _addresses(one.account, one.receipt)}
        try:
            items, known = self._stores.batch_get_for_receipts(ids, addresses)
        except Exception as error:  # noqa: BLE001  the tables are away: these messages come again
            for one in parsed:
                report.failed.setdefault(one.message, error)
            return
        with self._ahead.knowing(addresses, known):
            heard: list[Heard] = []
            for source, one in enumerate(parsed):
                heard += self._heard(source, one, report)
            recorded = self._recorder.record(heard, items, is_late=is_late)
        for source, why in recorded.failed.items():
            report.failed.setdefault(parsed[source].message, why)
        report.recorded.add(recorded)

    def _parse(self, message: str, body: str, report: BatchReport) -> list[_Parsed]:
        """The receipts of a message that say something of their present pairing."""
        try:
            envelopes, unreadable = parse_receipts(body)
        except MalformedEnvelope as error:
            self._say(report, "malformed", error.reason, kind="envelope")
            return []
        except Exception as error:  # noqa: BLE001  of a newer connector, or nobody foresaw it: it stays
            report.failed[message] = error
            return []
        for reason in unreadable:
            self._say(report, "malformed", reason)
        report.receipts += len(envelopes) + len(unreadable)
        parsed: list[_Parsed] = []
        for envelope in envelopes:
            try:
                parsed += self._parse_one(message, envelope, report)
            except StanzaRefused as refusal:
                self._say(report, "refused", refusal.reason)
            except (InvalidStanza, InvalidJid) as error:
                self._say(report, "malformed", str(error))
            except Exception as error:  # noqa: BLE001  one receipt keeps no other message waiting
                report.failed.setdefault(message, error)
        return parsed

    def _parse_one(self, message: str, envelope: Envelope, report: BatchReport) -> list[_Parsed]:
        account = self._accounts.of(envelope.account, envelope.incarnation)
        if account is None:
            self._say(report, "refused", "other-pairing")
            return []
        receipt = parse_receipt(envelope.stanza, account.own_names)
        if receipt.type == "retry":
            self._hand_over(envelope)
            report.outcomes["handed-over"] += 1
            return []
        if state_of(account, receipt) is None:
            report.outcomes["ignored"] += 1
            return []
        return [_Parsed(message, envelope, account, receipt)]

    def _heard(self, source: int, one: _Parsed, report: BatchReport) -> list[Heard]:
        state = state_of(one.account, one.receipt)
        assert state is not None  # noqa: S101  others were left out
        try:
            return heard_in(one.account, one.envelope, one.receipt, state, source)
        except StanzaRefused as refusal:
            self._say(report, "refused", refusal.reason)
        except InvalidJid as error:
            self._say(report, "malformed", str(error))
        except MustAsk:
            try:
                self._hand_over(one.envelope)
                report.outcomes["handed-over"] += 1
            except Exception as error:  # noqa: BLE001  the queue is away: the message comes again
                report.failed.setdefault(one.message, error)
        except Exception as error:  # noqa: BLE001  one receipt keeps no other message waiting
            report.failed.setdefault(one.message, error)
        return []

    def _say(self, report: BatchReport, outcome: str, cause: str, *, kind: str = "receipt") -> None:
        """Name what is odd: it is rare, and nothing else tells of it."""
        report.outcomes[outcome] += 1
        report.odd.append(Report(kind, outcome, cause))
        log.warning("%s %s", kind, outcome, extra={"cause": cause})


def _addresses(account: Account, receipt: Receipt) -> list[Key]:
    """Where it lies whose the numbers are that a receipt names."""
    names = [receipt.sender, receipt.sender_alt, *receipt.participants]
    numbers = {jid.chat for jid in names if jid is not None and jid.chat.server == PN}
    known = account.keys.contacts
    lid = next((jid.chat for jid in names[:2] if jid is not None and jid.chat.server != PN), None)
    return [
        address_key(account.profile.account, str(number))
        for number in numbers
        if lid is None or not known.remembers(str(number), str(lid))
    ]
