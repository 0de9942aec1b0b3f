"""The one way of a stanza to WhatsApp: hand it over, read the ack, and heed what a refusal says.

check ── hand over ── ack ── accepted
  └ Wait     │          └ an error ──▶ a Failure; a limit of the account's is remembered
             └ no connector, no answer, an unreadable one ──▶ a Failure
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tocsin.accounts.state import LOGGED_IN, AccountState, may_send
from tocsin.accounts.whereabouts import LeaseRefused
from tocsin.connector_client import protocol
from tocsin.connector_client.errors import ConnectorError, KeyUsed
from tocsin.connector_client.protocol import NEW_CHAT_QUOTA
from tocsin.multidevice.refusals import (
    QUOTA,
    failure_of_ack,
    failure_of_answer,
    failure_of_connector,
    failure_of_verdict,
)
from tocsin.notify.failure import Failure, Wait
from tocsin.notify.hold import FIRST_CONTACT_CODES
from tocsin.timestamps import from_seconds, to_seconds
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.message import parse_ack

if TYPE_CHECKING:
    from tocsin.connector_client.client import Whereabouts
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.account import Account
    from tocsin.notify.transport import Outgoing
    from tocsin.whatsapp.message import MessageAck
    from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

# As `accounts.limits` calls it, which isn't imported by those who write to known contacts only.
FIRST_CONTACTS = "first-contacts"

# Refusals that mean the account and not the recipient: nobody may be written to until they are over.
PAUSES = frozenset({"rate-limited", "resource-limit", "locked"})

NOTHING: Mapping[str, str] = MappingProxyType({})
NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


def pace_of(outgoing: Outgoing) -> str:
    """What the connector is told that a message's pace goes by."""
    return protocol.pace_words(
        outgoing.audience,
        urgent=outgoing.urgent,
        digestible=outgoing.digestible,
        known_at=outgoing.known_at,
    )


class RememberedLeases:
    """Where each account's connector is. No key material, so it may be remembered between invocations."""

    def __init__(self, read: Callable[[str], Whereabouts | None]) -> None:
        self._read = read
        self._remembered: dict[str, Whereabouts] = {}

    def __call__(self, account: str) -> Whereabouts | None:
        """Read the lease, and remember it. Raises LeaseRefused; then nothing is remembered."""
        self.forget(account)
        try:
            lease = self._read(account)
        except LeaseRefused as refused:
            log.error("lease refused", extra={"account": account, "reason": refused.reason})
            raise
        if lease is not None:
            self._remembered[account] = lease
        return lease

    def forget(self, account: str) -> None:
        """Drop what may be old: the next look reads."""
        self._remembered.pop(account, None)

    def look(self, account: str, *, resumed: bool) -> None:
        """Raise `Wait` if the account can't send now. Only good news are believed without reading."""
        lease = self._remembered.get(account)
        if lease is None or not may_send(lease.state, resumed=resumed):
            try:
                lease = self(account)
            except LeaseRefused as refused:
                raise Wait("lease-untrusted", str(refused)) from refused
        if lease is None:
            raise Wait("connector-away", "no connector holds the account")
        if lease.state == AccountState.RESUMING and not resumed:
            raise Wait("resuming", "parked notifications go first")
        if lease.state not in LOGGED_IN:
            raise Wait("not-connected", f"the account is {lease.state}")
        if objection := protocol.objection(lease.protocol, protocol.VERSION):
            self.forget(account)
            raise Wait(protocol.PROTOCOL_REFUSED, objection)


class Socket:
    """Hands stanzas to the connectors. One object per Lambda container; it remembers each account's pauses.

    `forget(account)` is called when a connector refuses: what is remembered of the account may be old.
    """

    def __init__(
        self,
        open_keys: Callable[[str], KeyStore],
        leases: RememberedLeases,
        forget: Callable[[str], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._open_keys = open_keys
        self._leases = leases
        self._forget = forget
        self._clock = clock
        self._pauses: dict[str, Wait] = {}

    def check(self, account: str, *, resumed: bool) -> None:
        """Raise `Wait` if the account can't send now."""
        self.check_pause(account)
        self._leases.look(account, resumed=resumed)

    def check_pause(self, account: str) -> None:
        """Raise `Wait` while a limit of the server's holds. Each attempt against it would make it longer."""
        pause = self._pauses.get(account)
        if pause is not None and pause.due_at is not None and self._now_ms() < pause.due_at:
            raise Wait(pause.code, pause.detail, due_at=pause.due_at)

    def check_first_contacts(self, account: Account, *, urgent: bool = False) -> None:
        """Raise `Wait` while the server lets the account write to nobody new, whoever was told so."""
        limit = account.keys.account.first_contacts_limit(urgent=urgent)
        if limit is not None:
            due_at = from_seconds(limit.until)
            code = QUOTA if limit.cause == NEW_CHAT_QUOTA else "first-contact-restricted"
            raise Wait(code, f"told by {limit.cause}", due_at=due_at)

    def hand_over(
        self,
        account: Account,
        stanza: Node,
        numbers: Mapping[str, int] = NO_NUMBERS,
        copies: Mapping[str, str] = NOTHING,
        *,
        earlier: Collection[str] = (),
        resumed: bool = True,
        first_contact: bool = False,
        pace: str = "",
        group: bool = False,
    ) -> MessageAck:
        """Have the connector send a message stanza, and return the server's ack of it.

        Raises a `Failure`, which names the message `numbers` that were used up and the `copies` that were
        made. `earlier`: codes of this message's earlier failures. `group`: it goes to a group. `pace`: as
        `protocol.pace_words` says it.
        """
        try:
            answer = account.connector.send_message(
                account.profile, stanza, resumed=resumed, first_contact=first_contact, pace=pace
            )
            ack = parse_ack(answer)
            verdict = failure_of_verdict(answer) if ack.error and not group else None
            if verdict is not None:
                raise verdict
            if ack.error:
                refusal = failure_of_ack(ack.error, group=group, earlier=earlier, now=self._now_ms())
                raise self.heed(account.profile.account, refusal)
        except ConnectorError as error:
            self._forget(account.profile.account)
            if isinstance(error, KeyUsed):
                from tocsin.multidevice.used_keys import give_up

                give_up(account, error.names)
            failure = failure_of_connector(error, earlier=earlier, now=self._now_ms())
            raise _with_copies(failure, numbers, copies) from error
        except WireError as error:
            # Not of the stanza that is being handled, and perhaps accepted: the same id goes out again.
            failure = failure_of_answer(error, earlier=earlier, now=self._now_ms())
            raise _with_copies(failure, numbers, copies) from error
        except Failure as failure:
            _with_copies(failure, numbers, copies)
            raise
        return ack

    def heed(self, account: str, failure: Failure) -> Failure:
        """Remember a limit that is the whole account's. Return the failure that told of it."""
        if isinstance(failure, Wait) and failure.code in PAUSES:
            self._pauses[account] = failure
        elif isinstance(failure, Wait) and failure.code in FIRST_CONTACT_CODES and failure.due_at is not None:
            # The connector has written it down before it told us, unless it was just then cut off.
            self._note_restriction(account, failure.code, failure.due_at)
        return failure

    def _note_restriction(self, account: str, code: str, due_at: int) -> None:
        from tocsin.accounts.limits import Limit

        try:
            limit = Limit(FIRST_CONTACTS, code, to_seconds(due_at), to_seconds(self._now_ms()))
            self._open_keys(account).account.note_limit(limit, guessed=True)
        except Exception:  # the notification waits all the same
            log.exception("the restriction was not written down", extra={"account": account})

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _with_copies(failure: Failure, numbers: Mapping[str, int], copies: Mapping[str, str]) -> Failure:
    failure.numbers, failure.copies = numbers, copies
    return failure
