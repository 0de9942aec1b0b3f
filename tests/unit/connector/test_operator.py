"""The operator's requests: one read for all accounts, and none is lost if nobody was woken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.connector_fakes import Around, HeldLease
from tests.support.key_peers import SEALER, Interposed
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.operator_requests import Asked, asked_accounts, read_request, request
from tocsin.connector.account_runner import Account
from tocsin.connector.operator import (
    BUSY_LOOKS,
    POLL_SECONDS,
    QUIET_SECONDS,
    OperatorRequests,
    RequestPoller,
)
from tocsin.dynamo.writes import Delete, Put
from tocsin.tables.keys import control_key, operator_request_key


class Aws:
    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0.001)


class ThreeAccounts:
    def __init__(self) -> None:
        self.table = Interposed(GrantedTable())
        self.now = 7.0
        self.nonces = 0
        aws: Any = Aws()
        self.poller = RequestPoller(aws, self.table, sleep=no_time)
        self.accounts = {
            name: OperatorRequests(aws, self.table, SEALER, name, self.poller, clock=lambda: self.now)
            for name in ("a", "b", "c")
        }

    def wish(self, account: str, what: str, at: int = 7, phone: str | None = None) -> None:
        self.nonces += 1
        nonce = self.nonces.to_bytes(12, "big")
        request(self.table.table, SEALER, account, what, at, nonce, phone=phone)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, asyncio.Task[Any]]]:
        ringing = asyncio.create_task(self.poller.run())
        waiting = {name: asyncio.create_task(requests.next()) for name, requests in self.accounts.items()}
        try:
            async with asyncio.timeout(60):
                await asyncio.sleep(0.01)
                yield waiting
        finally:
            for task in (ringing, *waiting.values()):
                task.cancel()
            await asyncio.gather(ringing, *waiting.values(), return_exceptions=True)


@pytest.fixture
def three() -> ThreeAccounts:
    return ThreeAccounts()


async def test_a_wish_reaches_the_account_it_is_for_and_is_taken_up_once(three: ThreeAccounts) -> None:
    async with three.running() as waiting:
        three.wish("b", "pair", phone="628")
        seen = await waiting["b"]
        assert (seen.request, seen.phone) == ("pair", "628")
        assert not waiting["a"].done()
        assert asked_accounts(three.table) == []
        assert read_request(three.table, "b").what is None


async def test_while_nothing_is_wanted_nobody_looks_into_any_item(three: ThreeAccounts) -> None:
    async with three.running():
        three.table.requests.clear()
        await asyncio.sleep(0.02)
        assert set(three.table.requests) == {"keys"}


async def test_a_wish_from_before_the_start_is_found(three: ThreeAccounts) -> None:
    three.wish("c", "unpair")
    async with three.running() as waiting:
        assert (await waiting["c"]).request == "unpair"


async def test_without_the_bell_it_is_found_a_little_later(
    three: ThreeAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.connector.operator.LOOK_SECONDS", 0.02)
    async with three.running() as waiting:
        three.wish("a", "pair")
        three.table.table.delete(Delete(operator_request_key("a")))
        assert (await waiting["a"]).request == "pair"


async def test_a_newer_wish_is_not_silenced_by_the_older_one(three: ThreeAccounts) -> None:
    three.wish("a", "pair")
    seen = read_request(three.table, "a")
    three.wish("a", "unpair", 8)
    async with three.running() as waiting:
        assert (await waiting["a"]).request == "unpair"
    assert seen.requested_at == 7


async def test_a_bell_that_rings_for_nothing_is_silenced(three: ThreeAccounts) -> None:
    """The connector died between taking up a request and clearing it."""
    three.wish("a", "pair")
    async with three.running() as waiting:
        await waiting["a"]
    three.table.put(Put(operator_request_key("a"), {"requested_at": 7}))
    async with three.running():
        await asyncio.sleep(0.02)
        assert asked_accounts(three.table) == []


async def test_the_table_is_asked_each_second_while_an_operator_is_at_work_and_else_seldom() -> None:
    table, waits = GrantedTable(), list[float]()

    async def waited(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            request(table, SEALER, "a", "pair", 7, bytes(12))
        if len(waits) == 3:
            table.delete(Delete(operator_request_key("a")))
        if len(waits) == 3 + BUSY_LOOKS:
            raise asyncio.CancelledError

    aws: Any = Aws()
    with pytest.raises(asyncio.CancelledError):
        await RequestPoller(aws, table, sleep=waited).run()
    assert waits == [QUIET_SECONDS] * 2 + [POLL_SECONDS] * BUSY_LOOKS + [QUIET_SECONDS]


# -- what nobody with the sealing key asked for ------------------------------------------------------------


def written(three: ThreeAccounts, account: str, **item: Any) -> None:
    """Somebody writes the item, and rings."""
    three.table.put(Put(control_key(account), item))
    three.table.put(Put(operator_request_key(account), {"requested_at": 7}))


async def dropped(three: ThreeAccounts, account: str) -> None:
    """It is taken off the table, and nothing is done about it."""
    async with three.running() as waiting:
        for _ in range(200):
            if read_request(three.table, account).what is None and asked_accounts(three.table) == []:
                break
            await no_time(0)
        assert read_request(three.table, account).what is None
        assert asked_accounts(three.table) == []
        assert not waiting[account].done()


async def test_a_forged_request_is_named_and_dropped(
    three: ThreeAccounts, caplog: pytest.LogCaptureFixture
) -> None:
    written(three, "a", request="unpair", requested_at=7)
    await dropped(three, "a")
    assert [(record.message, vars(record)["reason"]) for record in caplog.records] == [
        ("operator request refused", "unsealed")
    ]


async def test_a_request_moved_to_another_account_is_named_and_dropped(
    three: ThreeAccounts, caplog: pytest.LogCaptureFixture
) -> None:
    three.wish("a", "unpair")
    seen = read_request(three.table, "a")
    written(three, "b", request="unpair", requested_at=7, asked=seen.sealed)
    await dropped(three, "b")
    assert [vars(record)["reason"] for record in caplog.records] == ["damaged"]


async def test_a_request_put_back_is_a_replay(three: ThreeAccounts, caplog: pytest.LogCaptureFixture) -> None:
    three.wish("a", "unpair")
    seen = read_request(three.table, "a")
    async with three.running() as waiting:
        assert (await waiting["a"]).request == "unpair"
    three.now += 600
    written(three, "a", request="unpair", requested_at=7, asked=seen.sealed)
    await dropped(three, "a")
    assert [vars(record)["reason"] for record in caplog.records] == ["replayed"]


async def test_twin_without_a_memory_carries_it_out_again(three: ThreeAccounts) -> None:
    three.wish("a", "unpair")
    seen = read_request(three.table, "a")
    async with three.running() as waiting:
        await waiting["a"]
    three.accounts["a"]._taken.clear()
    written(three, "a", request="unpair", requested_at=7, asked=seen.sealed)
    async with three.running() as waiting:
        assert (await waiting["a"]).request == "unpair"


async def test_a_request_of_yesterday_is_stale_even_to_a_new_process(
    three: ThreeAccounts, caplog: pytest.LogCaptureFixture
) -> None:
    three.wish("a", "unpair")
    three.now += 86_400
    await dropped(three, "a")
    assert [vars(record)["reason"] for record in caplog.records] == ["stale"]


async def test_what_was_taken_up_is_remembered_only_while_it_could_come_back(three: ThreeAccounts) -> None:
    for _ in range(3):
        three.wish("a", "reconnect", int(three.now))
        async with three.running() as waiting:
            await waiting["a"]
        three.now += 86_400
    assert len(three.accounts["a"]._taken) == 1


async def test_a_true_request_behind_a_forged_one_is_carried_out(three: ThreeAccounts) -> None:
    written(three, "a", request="unpair", requested_at=7)
    await dropped(three, "a")
    three.wish("a", "reconnect")
    async with three.running() as waiting:
        assert (await waiting["a"]).request == "reconnect"


async def test_what_is_asked_while_a_pairing_is_being_stored_waits_for_the_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was dropped: an `unpair` in that second was taken up and never carried out."""
    around: Any = Around()
    account = Account("default", around)
    held_lease: Any = HeldLease()
    account.status.begin(held_lease)
    stored = asyncio.Event()

    class Committed:
        committed = True

        def __init__(self, *_: Any) -> None:
            pass

        async def run(self, _: Any) -> bool:
            await stored.wait()
            return True

    monkeypatch.setattr("tocsin.connector.account_runner.Pairer", Committed)
    credentials = account._keys.account.create()
    pairing = asyncio.ensure_future(account._pair(held_lease, credentials, Asked("pair", int(time.time()))))
    await asyncio.sleep(0)
    request(around.table, around.sealer, "default", "unpair", int(time.time()), b"n" * 12)
    around.poller.of("default").set()
    while read_request(around.table, "default").what is not None:  # noqa: ASYNC110  the table tells nobody
        await asyncio.sleep(0)
    stored.set()
    assert await pairing is None
    async with asyncio.timeout(60):
        assert (await account._requests.next()).request == "unpair"
