"""Each stanza of the queue goes to what handles its tag."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tocsin.connector_client.errors import ConnectorError
from tocsin.keys.errors import OtherPairing
from tocsin.multidevice.account import Account
from tocsin.multidevice.chat_timers import ChatTimers
from tocsin.multidevice.inbound.envelope import Envelope, MalformedEnvelope, Report
from tocsin.multidevice.inbound.messages import Messages
from tocsin.multidevice.inbound.receipts import ReceiptStanzas
from tocsin.multidevice.question_budget import QuestionBudget
from tocsin.multidevice.read_receipts import Readers
from tocsin.multidevice.refusals import failure_of_connector
from tocsin.multidevice.retries import RetryReceiptHandler
from tocsin.multidevice.transport import MultiDevice, damaged_account
from tocsin.notify.replies import Replies
from tocsin.notify.store.stores import Stores
from tocsin.sealing import DamagedRecord
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza, StanzaRefused
from tocsin.whatsapp.node import Node

if TYPE_CHECKING:
    from tocsin.multidevice.inbound.device_news import DeviceNews

log = logging.getLogger(__name__)

Handler = Callable[[Account, Envelope], Report]


class Inbound:
    """Handles the stanzas of the queue."""

    def __init__(
        self,
        stores: Stores,
        transport: MultiDevice,
        retry_receipts: RetryReceiptHandler,
        replies: Replies,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._transport = transport
        self._clock = clock
        budget = QuestionBudget(stores.people.count_unreadable_in_hour, clock=clock)
        timers = ChatTimers(clock)
        messages = Messages(
            stores.recoveries,
            stores.people,
            transport,
            replies,
            Readers(clock),
            budget,
            settings=settings,
            timers=timers,
            clock=clock,
            random=random,
        )
        self._handlers: Mapping[str, Handler] = {
            "message": messages.handle,
            "receipt": ReceiptStanzas(stores, retry_receipts).handle,
            "notification": self._notification,
            "call": _call,
        }
        self._may_write_to = replies.cold.may_write_to
        self._timers = timers

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
            raise failure_of_connector(error, now=from_seconds(self._clock())) from error
        except DamagedRecord as error:
            raise damaged_account(error) from error

    def _notification(self, account: Account, envelope: Envelope) -> Report:
        return self._news.handle(account, envelope)

    @cached_property
    def _news(self) -> DeviceNews:
        # Seldom beside messages, and what it imports is a tenth of the start.
        from tocsin.multidevice.inbound.device_news import DeviceNews

        return DeviceNews(self._clock, self._may_write_to, self._timers)

    def _account(self, envelope: Envelope) -> Account | None:
        """Return the account, if the stanza belongs to its present pairing."""
        account = self._transport.account(envelope.account)
        if account.profile.incarnation < envelope.incarnation:
            self._transport.forget(envelope.account)
            account = self._transport.account(envelope.account)
        return account if account.profile.incarnation == envelope.incarnation else None


def _call(account: Account, envelope: Envelope) -> Report:
    from tocsin.multidevice.inbound.device_news import note_call  # as seldom

    return note_call(account, envelope)


def _id_of(stanza: Node) -> str:
    return str(stanza.attrs.get("id", ""))[:64]
