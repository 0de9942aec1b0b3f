"""What an account itself holds back: a pause, and its pace. Every message passes here, just before it leaves.

The settings are read often enough (`process.SETTINGS_SECONDS`) for a pause to hold within a second. The
counts are stored each minute in which something was sent, and as soon as a hundredth of a budget was used, so
another connector goes on with them. A process that is killed, however often, forgets no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from tocsin.connector.aws import Aws
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector_client import protocol
from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Item, Put
from tocsin.pace.causes import PAUSED, WORDS
from tocsin.pace.ledger import Ledger
from tocsin.pace.pacer import Hold, Message, Pacer
from tocsin.pace.rules import Rules, is_paused, rules_of, storable
from tocsin.settings.declared import TYPING_JITTER_MILLISECONDS
from tocsin.settings.reader import CurrentSettings
from tocsin.settings.values import EVERYWHERE, Settings
from tocsin.tables.keys import pace_key
from tocsin.timestamps import is_recent, iso
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

KEEP_SECONDS: Final = 60.0
"""How often the counts are stored at least, if any changed."""

RETRY_SECONDS: Final = 1.0

REMEMBERED: Final = 1024
"""Messages that were let through and may come again: for devices that were missed, or after no ack came."""

AGAIN_SECONDS: Final = 120.0
"""For so long. What comes again later has waited for something else, and is counted anew."""

PEER: Final = "peer"
"""Category of what goes to our own phone and nobody else."""


UNDELAYED: Final = Settings({TYPING_JITTER_MILLISECONDS.name: {EVERYWHERE: 0}})


class Holds:
    """One account's. `admit` and `check_pause` are called for every message. `clock`: Unix seconds."""

    def __init__(
        self,
        account: str,
        settings: CurrentSettings,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account = account
        self._settings = settings
        self._clock = clock
        self._uniform = uniform
        self._rules: tuple[int, dict[str, Rules]] = (-1, {})
        self._admitted: OrderedDict[str, float] = OrderedDict()
        self.pacer = Pacer(uniform)
        self.changed = False
        self.due = asyncio.Event()
        self._unstored = [0, 0]

    def admit(self, message: Node, how: Handling) -> float:
        """Return for how many seconds the message is to wait before it leaves. Raises Refusal for one that
        has to wait longer, or for ever as far as we know."""
        self.check_pause(message, how)
        if how.again or message.attrs.get("category") == PEER or self._is_known(message):
            return 0.0
        asked = Message(
            str(message.attrs.get("to", "")), how.urgent, how.first_contact, how.resumed, how.digestible
        )
        rules = self._rules_for(how.audience)
        decided = self.pacer.admit(asked, rules, self._clock())
        if isinstance(decided, Hold):
            raise _refusal(decided.cause, decided.until)
        self._remember(message)
        self._note_change(rules, is_first=how.first_contact)
        return decided.delay

    def seen(self, how: Handling) -> Handling:
        """How a message is to be taken by who knows since when the account has its number: whoever heard of
        it from an earlier one only is a first contact of this one."""
        since = self.pacer.ledger.since
        if how.known_at is None or since is None or how.known_at >= since:
            return how
        return replace(how, first_contact=True)

    def check_pause(self, message: Node, how: Handling) -> None:
        """Raise Refusal while the operator has sending paused. To ourselves nothing is sent."""
        if message.attrs.get("category") == PEER:
            return
        if is_paused(self._settings(), self._account, how.audience or None):
            raise _refusal(PAUSED, None)

    def heard(self, stanza: Node) -> None:
        """Count what somebody wrote to us. Groups talk among themselves."""
        sender = str(stanza.attrs.get("from", ""))
        if stanza.tag == "message" and not sender.endswith("@g.us") and stanza.attrs.get("category") != PEER:
            self.pacer.answered(self._clock())
            self.changed = True

    def begin_with(self, ledger: Ledger) -> None:
        """Count on from there."""
        self.pacer = Pacer(self._uniform, ledger)

    def stored(self) -> None:
        """What was counted until now is about to be stored."""
        self.changed, self._unstored = False, [0, 0]
        self.due.clear()

    def _note_change(self, rules: Rules, *, is_first: bool) -> None:
        self.changed = True
        self._unstored[0] += 1
        self._unstored[1] += is_first
        if any(count >= most for count, most in zip(self._unstored, storable(rules), strict=True)):
            self.due.set()

    def _rules_for(self, audience: str) -> Rules:
        settings = self._settings()
        version, known = self._rules
        if version != settings.version:
            known = {}
            self._rules = (settings.version, known)
        if audience not in known:
            known[audience] = rules_of(settings, self._account, audience or None)
        return known[audience]

    def _is_known(self, message: Node) -> bool:
        at = self._admitted.get(str(message.attrs.get("id", "")))
        return at is not None and is_recent(at, self._clock(), AGAIN_SECONDS)

    def _remember(self, message: Node) -> None:
        self._admitted[str(message.attrs.get("id", ""))] = self._clock()
        while len(self._admitted) > REMEMBERED:
            self._admitted.popitem(last=False)


def unheld() -> Holds:
    """The default, until an account says what holds for it: budgets, and no jitter."""
    return Holds("", lambda: UNDELAYED)


def _refusal(cause: str, until: float | None) -> Refusal:
    """As one of before pace knows it, too: then it is a restriction of a kind that it doesn't know."""
    when = "" if until is None else f", until {iso(int(until * 1000))}"
    return Refusal(protocol.RESTRICTED, f"{WORDS[cause]}{when}", until=until, limit=cause)


class StoredCounts:
    """Keeps the counts of an account in the keys table.

    They are a number's: linked anew to the same one, the account goes on with them; another one begins anew.
    """

    def __init__(
        self, aws: Aws, table: Table, account: str, holds: Holds, clock: Callable[[], float] = time.time
    ) -> None:
        self._aws = aws
        self._table = table
        self._account = account
        self._holds = holds
        self._clock = clock
        self._number = ""

    async def load(self) -> Item | None:
        """Read what is stored, for `begin`. Tries until the table answers."""
        while True:
            try:
                return await self._aws.call(self._table.get, pace_key(self._account))
            except Exception as exc:  # noqa: BLE001  the table is away; so is the account's item
                log.warning("the pace can't be read: %s", exc, extra={"account": self._account})
            await asyncio.sleep(RETRY_SECONDS)

    def begin(self, item: Item | None, number: str, *, is_new: bool) -> None:
        """Count on for the number that is linked now. `is_new`: it never logged in before; one that did, and
        was never counted, is taken for grown."""
        if number == self._number:
            return
        if item is not None and item.get("number") == number:
            ledger = Ledger.of_item(item)
        else:
            begun_now = is_new or item is not None or self._number != ""
            ledger = Ledger(since=int(self._clock()) if begun_now else None)
        self._number = number
        self._holds.begin_with(ledger)
        self._holds.changed = item is None or item.get("number") != number

    async def keep(self) -> None:
        """Store what changed, each minute and whenever much did, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_SECONDS):
                    await self._holds.due.wait()
            await self.save()

    async def save(self) -> None:
        """Store the counts if they changed. What can't be stored now is stored the next time."""
        changed = self._holds.changed
        self._holds.stored()
        if not (changed and self._number):
            return
        item = {"number": self._number, **self._holds.pacer.ledger.to_item()}
        try:
            await self._aws.call(partial(self._table.put, Put(pace_key(self._account), item)))
        except Exception as exc:  # noqa: BLE001  the table is away, or the account went to another connector
            self._holds.changed = True
            log.warning("the pace can't be stored: %s", exc, extra={"account": self._account})

    def end(self) -> None:
        """The account is ours no more: what is stored is read again when it comes back."""
        self._number = ""
