"""The account's health as the connector learns it from a server that plays it: lock, quota, cold people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

import pytest

from tests.support.connector_fakes import Aws
from tests.support.leading_keys import GrantedTable
from tests.support.local_server import BUDI, DEWI, SITI, Companion, LocalServer
from tocsin.accounts.limits import FIRST_CONTACTS, NEW_CHATS
from tocsin.connector.gateway.limits import Limits
from tocsin.connector.health import AccountHealth
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.notifications import AccountNotice, parse_notification

DAY = 86400


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), 60))

    return run


class Linked:
    """A companion of Siti's account and what its connector makes of all it hears."""

    def __init__(self) -> None:
        self.local = LocalServer()
        self.local.clock.now = time.time()
        self.siti = self.local.phone(SITI, "Siti")
        self.others = {number: self.local.phone(number) for number in (BUDI, DEWI)}
        self.companion: Companion = self.local.companion(self.siti.account)
        keys = KeyStore(GrantedTable(), Sealer({"k": bytes(32)}, "k"), "main")
        aws: Any = Aws()
        self.limits = Limits(aws, keys, "main")
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        notices: Any = self
        self.health = AccountHealth(aws, notices, keys, "main", self.limits)
        line: Any = self
        self.health.begin(line)
        self.numbers = iter(range(1000))

    # The bus, and the line to the server

    async def tell(self, event: str, account: str, facts: Mapping[str, Any]) -> None:
        self.events.append((event, facts))

    async def disconnected(self, *_: object, **__: object) -> None:
        pass

    async def ask_resume(self, account: str) -> None:
        self.events.append(("resume", {}))

    async def request(self, node: Node, seconds: float) -> Node:
        name = f"q{next(self.numbers)}"
        self.companion.submit(Node(node.tag, {**node.attrs, "id": name}, node.content))
        answers = {answer.attrs["id"]: answer for answer in self.companion.taken("iq")}
        if name not in answers:
            raise TimeoutError
        return answers[name]

    # What happens

    def inject(self, kind: str, **params: Any) -> None:
        self.local.board.inject(self.local.board.faults.make({"kind": kind, "account": SITI, **params}))

    async def hear(self) -> list[AccountNotice]:
        """Put into effect what the server said by itself."""
        notices = [parse_notification(node) for node in self.companion.taken("notification")]
        told = [notice for notice in notices if isinstance(notice, AccountNotice)]
        for notice in told:
            for news in notice.news:
                await self.health.hear(news)
        return told

    async def write(self, to: str) -> str:
        """Write to somebody; the verdict, empty if it was accepted."""
        contact = self.others[to].account
        self.companion.write(contact, "Halo", message_id=f"3EB0{next(self.numbers):04}")
        error = self.companion.taken("ack")[-1].attrs.get("error")
        return "" if error is None else (await self.health.refused(str(error), to))["tocsin-verdict"]

    def names(self) -> list[str]:
        return [event for event, _ in self.events]


@pytest.fixture
def linked() -> Linked:
    return Linked()


@in_loop
async def test_a_locked_account_is_told_apart_from_a_cold_recipient(linked: Linked) -> None:
    linked.inject("cold", to=BUDI)
    assert (await linked.write(BUDI), linked.limits.strictest()) == ("cold", None)
    linked.inject("reachout-lock", seconds=6 * DAY, enforced=True, told=False, type="RESTRICT_ALL_COMPANIONS")
    linked.health.begin(linked)  # type: ignore[arg-type]  # another login
    assert await linked.write(DEWI) == "locked"
    limit = linked.limits.active(FIRST_CONTACTS)
    assert limit is not None
    assert (limit.type, limit.guessed) == ("RESTRICT_ALL_COMPANIONS", False)
    assert limit.until == int(linked.local.clock.now) + 6 * DAY


@in_loop
async def test_who_wrote_is_written_to_whatever_holds(linked: Linked) -> None:
    linked.inject("cold", to=BUDI)
    linked.inject("reachout-lock", seconds=DAY, enforced=True)
    linked.others[BUDI].write(linked.siti.account, "Halo")
    assert await linked.write(BUDI) == ""


@in_loop
async def test_a_lock_told_by_itself_holds_and_is_lifted_by_itself(linked: Linked) -> None:
    linked.inject("reachout-lock", seconds=DAY)
    await linked.hear()
    assert linked.limits.for_first_contacts() is not None
    linked.inject("reachout-lock", seconds=0)
    await linked.hear()
    assert linked.limits.for_first_contacts() is None
    assert linked.names() == ["AccountRestricted", "AccountRestrictionLifted", "resume"]


@in_loop
async def test_a_lock_without_an_end_is_no_free_account(linked: Linked) -> None:
    linked.inject("reachout-lock", seconds=DAY, end=False)
    await linked.hear()
    limit = linked.limits.active(FIRST_CONTACTS)
    assert limit is not None
    assert limit.guessed


@in_loop
async def test_the_quota_is_told_in_its_steps_until_it_is_used_up(linked: Linked) -> None:
    for used, status in ((16, "FIRST_WARNING"), (27, "SECOND_WARNING"), (30, "CAPPED")):
        linked.inject("new-chats", used=used, status=status, seconds=9 * DAY)
        await linked.hear()
    assert [facts["used"] for event, facts in linked.events if event == "AccountQuota"] == [16, 27, 30]
    assert await linked.write(DEWI) == "capped"
    limit = linked.limits.active(NEW_CHATS)
    assert limit is not None
    assert limit.until == int(linked.local.clock.now) + 9 * DAY


@in_loop
async def test_an_untold_cap_is_learnt_from_the_first_refusal(linked: Linked) -> None:
    linked.inject("new-chats", used=30, status="CAPPED", seconds=9 * DAY, told=False)
    assert await linked.write(DEWI) == "capped"
    limit = linked.limits.active(NEW_CHATS)
    assert limit is not None
    assert not limit.guessed


@pytest.mark.parametrize(
    "fault",
    [("mex-errors", {}), ("iq-error", {"code": 404, "xmlns": "w:mex"}), ("iq-silence", {"xmlns": "w:mex"})],
)
@in_loop
async def test_without_an_answer_nobody_is_taken_for_cold(
    linked: Linked, fault: tuple[str, dict[str, Any]]
) -> None:
    kind, params = fault
    linked.inject("cold", to=BUDI)
    linked.inject(kind, **params)
    assert await linked.write(BUDI) == "locked"
    limit = linked.limits.active(FIRST_CONTACTS)
    assert limit is not None
    assert limit.guessed


@in_loop
async def test_everything_in_one_stanza_is_heard(linked: Linked) -> None:
    linked.inject("reachout-lock", seconds=DAY, told=False)
    linked.inject("new-chats", used=30, status="CAPPED", told=False)
    linked.inject("account-news", what="challenge")
    [notice] = await linked.hear()
    assert len(notice.news) == 3
    assert set(linked.names()) == {"AccountChallenged", "AccountRestricted", "AccountQuota"}
    assert {FIRST_CONTACTS, NEW_CHATS} <= {
        limit for limit in (FIRST_CONTACTS, NEW_CHATS) if linked.limits.active(limit)
    }


@in_loop
async def test_a_login_asks_and_learns_what_nobody_told(linked: Linked) -> None:
    linked.inject("reachout-lock", seconds=DAY, told=False)
    await linked.health.look()
    assert linked.limits.active(FIRST_CONTACTS) is not None
