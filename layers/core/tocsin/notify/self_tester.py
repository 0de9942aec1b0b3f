"""Who asks for self-tests, and judges them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tocsin.accounts.state import CAN_SEND, LOGGED_IN, PENDING, AccountState
from tocsin.notify.self_test import SEND_WITHIN_MS, Result, SelfTest, SelfTestOrder, due_at, judged
from tocsin.notify.store.stores import Stores
from tocsin.timestamps import from_seconds


class Accounts(Protocol):
    """What a self-test needs to know of accounts."""

    def state(self, account: str) -> AccountState | None:
        """The connection's state; None if no connector holds the account."""

    def own_name(self, account: str) -> str | None:
        """The account's own LID (a bare JID); None if it isn't linked."""


class SelfTester:
    """Asks for self-tests, and judges them."""

    def __init__(
        self,
        stores: Stores,
        accounts: Accounts,
        ask: Callable[[SelfTestOrder], None],
        new_id: Callable[[], str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`ask`: puts an order into the ticket events queue. `new_id`: an id for a notification that nobody
        can guess."""
        self._stores = stores
        self._accounts = accounts
        self._ask = ask
        self._new_id = new_id
        self._clock = clock

    def look(self, account: str, period: int) -> SelfTest | None:
        """Each minute: judge the last one, and ask for the next when that is due. Return the last one."""
        last = self._judge(account)
        now = self._now_ms()
        if (last is not None and last.result is Result.OPEN) or now < due_at(last, period):
            return last
        state = self._accounts.state(account)
        if state in CAN_SEND or (state not in LOGGED_IN and state not in PENDING):
            return self._begin(account, last, state)
        # It changes by itself within minutes; if it doesn't, that is a failure, too.
        patience = due_at(last, period) + SEND_WITHIN_MS
        return last if last is None or now < patience else self._begin(account, last, state)

    def run(self, account: str) -> SelfTest:
        """By hand: ask for one now, unless one is under way. Return it."""
        last = self._judge(account)
        if last is not None and last.result is Result.OPEN:
            return last
        return self._begin(account, last, self._accounts.state(account))

    def _judge(self, account: str) -> SelfTest | None:
        last = self._stores.self_tests.get(account)
        if last is None or last.result is not Result.OPEN:
            return last
        found = self._stores.notifications.get(last.notification) if last.notification else None
        now_known = judged(last, found, self._now_ms())
        if now_known != last:
            self._stores.self_tests.put(account, now_known, after=last)
        return now_known

    def _begin(self, account: str, last: SelfTest | None, state: AccountState | None) -> SelfTest:
        """Write it down, then ask: if that fails, it counts as never planned."""
        now = self._now_ms()
        kept = SelfTest(None, now, arrived_at=last.arrived_at if last else None)
        kept = replace(kept, failing=last.failing if last else False)
        name = self._accounts.own_name(account)
        if name is None:
            return self._put(account, kept.ended(Result.SKIPPED, now, AccountState.UNPAIRED), last)
        if state not in CAN_SEND:
            return self._put(account, kept.ended(Result.FAILED, now, state or AccountState.STOPPED), last)
        begun = replace(kept, notification=self._new_id())
        stored = self._put(account, begun, last)
        if stored.notification == begun.notification and begun.notification is not None:
            self._ask(SelfTestOrder(account, begun.notification, name, now))
        return stored

    def _put(self, account: str, test: SelfTest, last: SelfTest | None) -> SelfTest:
        """Store it, unless another run was faster: then return that one's."""
        if self._stores.self_tests.put(account, test, after=last):
            return test
        return self._stores.self_tests.get(account) or test

    def _now_ms(self) -> int:
        return from_seconds(self._clock())
