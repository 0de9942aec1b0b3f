"""Every end of a connection, and what the account does about it: when it tries again, what its lease says,
who is told, and whether its keys are still worth anything.

One row for each row of the tables of `whatsapp.reaction`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.account_events import fits
from tests.support.connector_fakes import Around, HeldLease
from tocsin.accounts.login_refusal import open_refusal
from tocsin.connector import account_runner
from tocsin.connector.account_runner import Account
from tocsin.connector.pacing import Pace, Unhealable
from tocsin.connector.session import OVERFLOW
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import login_refusal_key
from tocsin.whatsapp import reaction
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import FAILURES, STREAM_ERRORS, Kind, Reaction, on_failure, on_stream_error

NEVER = None
AT_ONCE = 0.0
SOON = 1.0  # the first of the growing delays; here without its jitter
LATER = 8.0  # five of them left out
HOURS = 6 * 3600.0


def error(code: str | None = None, child: str | None = None, **attrs: str) -> Node:
    children = (Node(child, attrs),) if child else None
    return Node("stream:error", {"code": code} if code else {}, children)


def failure(reason: str | None, **attrs: str) -> Node:
    return Node("failure", {"reason": reason, **attrs} if reason else attrs)


@dataclass(frozen=True)
class End:
    """`again`: seconds until the next try. `state`: of the lease meanwhile. `told`: on the bus."""

    node: Node
    again: float | None
    state: str
    told: bool
    keys: bool = True


ENDS = {
    # 9.1 <stream:error>
    "restart required": End(error("515"), AT_ONCE, "connecting", told=False),
    "maybe removed": End(error("516"), SOON, "connecting", told=True),
    "unlinked on the phone": End(
        error("401", "conflict", type="device_removed"), NEVER, "logged_out", told=True, keys=False
    ),
    "unauthorised": End(error("401"), SOON, "connecting", told=True),
    "replaced": End(error(None, "conflict", type="replaced"), NEVER, "replaced", told=True),
    "replaced by code": End(error("409"), NEVER, "replaced", told=True),
    "restarting": End(error("503"), SOON, "connecting", told=False),
    "fault": End(error("500"), SOON, "connecting", told=False),
    "rate limited": End(error("429"), LATER, "connecting", told=True),
    "malformed": End(error(None, "xml-not-well-formed"), SOON, "connecting", told=True),
    "unacked": End(error(None, "ack", id="1"), SOON, "connecting", told=True),
    "unknown error": End(error("777"), SOON, "connecting", told=True),
    # 9.2 <failure>
    "generic": End(failure("400"), HOURS, "stopped", told=True),
    "logged out": End(failure("401"), NEVER, "logged_out", told=True, keys=False),
    "banned for a while": End(failure("402", expire="3600"), 3600.0, "restricted", told=True),
    "banned for who knows how long": End(failure("402"), 86400.0, "restricted", told=True),
    "locked": End(failure("403"), NEVER, "stopped", told=True, keys=False),
    "too old": End(failure("405"), AT_ONCE, "connecting", told=True),
    "banned": End(failure("406"), NEVER, "stopped", told=True, keys=False),
    "user agent refused": End(failure("409"), HOURS, "stopped", told=True),
    "foreign token expired": End(failure("413"), HOURS, "stopped", told=True),
    "foreign token invalid": End(failure("414"), HOURS, "stopped", told=True),
    "not found": End(failure("415"), HOURS, "stopped", told=True),
    "client unknown": End(failure("418"), HOURS, "stopped", told=True),
    "server fault": End(failure("500"), SOON, "connecting", told=False),
    "experimental": End(failure("501"), SOON, "connecting", told=True),
    "unavailable": End(failure("503"), SOON, "connecting", told=False),
    "unknown failure": End(failure("999"), SOON, "connecting", told=True),
    "no reason at all": End(failure(None), SOON, "connecting", told=True),
}


@dataclass
class Office:
    """An account whose connection has just ended. `slept`: its delays; `told`: on the bus, of its end;
    `events`: what else; `said`: in the lease."""

    slept: list[float] = field(default_factory=list)
    told: list[tuple[str, float | None]] = field(default_factory=list)
    events: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        around: Any = Around()
        around.notices = SimpleNamespace(disconnected=self._disconnected, tell=self._tell)
        around.config = SimpleNamespace(whatsapp_url="ws://here")
        around.uniform = lambda low, high: 1.0
        self.account = Account("default", around)
        self.held_lease: Any = HeldLease()
        self.held_lease.set_state = self._say
        self.account.status.begin(self.held_lease)
        self.account._keys.account.create()

    async def _disconnected(
        self, account: str, state: str, reason: str, *, until: float | None = None
    ) -> None:
        self.told.append((state, until))

    async def _tell(self, event: str, account: str, facts: Mapping[str, object]) -> None:
        fits(event, {"account": account, **facts, "at": "2026-11-24T08:00:01.900Z"})
        self.events.append((event, facts))

    async def _say(self, state: str, detail: str = "") -> None:
        self.said.append(state)

    async def ends(self, ended: Reaction, lasted: float | None = None) -> float | None:
        """Seconds until the account tries again, None: never by itself."""
        await self.account._react(ended, lasted)
        if self.account._halted is None:
            return self.slept[-1]
        return self.account._patience()


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office()

    async def sleep(seconds: float) -> None:
        made.slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


def reaction_to(node: Node) -> Reaction:
    return on_failure(node) if node.tag == "failure" else on_stream_error(node)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_each_end_has_its_reaction(office: Office, end: End, caplog: pytest.LogCaptureFixture) -> None:
    before = office.account._keys.account.credentials()
    ended = reaction_to(end.node)

    assert await office.ends(ended) == end.again
    assert ended.state == end.state
    assert bool(office.told) is end.told
    if end.told:
        assert office.told[0][0] == end.state
        assert office.said[-1] == end.state
    after = office.account._keys.account.credentials()
    assert (after.identity == before.identity) is end.keys
    assert "unexpected state" not in caplog.text


def test_no_row_of_the_tables_is_left_out() -> None:
    errors = {end.node.attrs.get("code") for end in ENDS.values() if end.node.tag == "stream:error"}
    failures = {end.node.attrs.get("reason") for end in ENDS.values() if end.node.tag == "failure"}
    assert set(STREAM_ERRORS) <= errors
    assert set(FAILURES) | {"402"} <= failures


@pytest.mark.parametrize(
    "ended",
    [
        reaction.LOST,
        reaction.STREAM_END,
        reaction.UNDECRYPTABLE,
        reaction.HANDSHAKE_FAILED,
        reaction.HANDSHAKE_TIMEOUT,
        reaction.BAD_CERTIFICATE,
    ],
    ids=lambda ended: ended.reason,
)
async def test_an_end_that_nobody_announced_is_followed_by_another_try(
    office: Office, ended: Reaction
) -> None:
    assert await office.ends(ended) == SOON
    assert bool(office.told) is ended.alert


async def test_a_ban_is_told_with_its_end_and_outlives_the_process(office: Office) -> None:
    await office.ends(on_failure(failure("402", expire="3600", code="104")))
    [(state, until)] = office.told
    assert state == "restricted"
    assert until is not None
    limit = office.account._keys.account.limit("login")
    assert limit is not None
    assert abs(limit.until - until) <= 1
    assert limit.cause == "the same message to too many"


async def test_what_a_locked_account_is_told_is_kept_and_the_token_only_sealed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"violation_reason": "14", "url": "https://faq.whatsapp.com/5", "appeal_token": "t0ken-once"}
    await office.ends(on_failure(failure("403", **told)))
    keys, around = office.account._keys, office.account._context
    refusal = keys.account.login_refusal()
    assert refusal is not None
    assert (refusal.code, refusal.can_appeal, refusal.until) == ("403", True, None)
    assert refusal.told == {"reason": "403", "violation_reason": "14", "url": "https://faq.whatsapp.com/5"}
    whole = open_refusal(around.table, around.sealer, "default")
    assert whole is not None
    assert decode(whole).attrs["appeal_token"] == "t0ken-once"
    [(event, facts)] = office.events
    assert (event, facts["violation_reason"], facts["can_appeal"]) == ("AccountLocked", "14", True)
    assert "t0ken-once" not in caplog.text + repr(office.events) + repr(
        around.table.get(login_refusal_key("default"))
    )


@pytest.mark.parametrize(("attrs", "guessed"), [({"expire": "3600"}, False), ({}, True)])
async def test_a_ban_says_whether_its_end_was_told(
    office: Office, attrs: dict[str, str], guessed: bool
) -> None:
    await office.ends(on_failure(failure("402", code="101", **attrs)))
    [(event, facts)] = office.events
    assert (event, facts["code"], facts["guessed"]) == ("AccountBanned", "101", guessed)
    limit = office.account._keys.account.limit("login")
    assert limit is not None
    assert limit.guessed is guessed


async def test_what_alarms_is_told_once_until_it_worked_again(office: Office) -> None:
    for _ in range(5):
        await office.ends(STREAM_ERRORS["429"])
    assert len(office.told) == 1


@pytest.mark.parametrize("ended", [*STREAM_ERRORS.values(), *FAILURES.values(), reaction.LOST, reaction.DEAF])
def test_no_end_repeated_for_an_hour_is_a_storm(ended: Reaction) -> None:
    """Connects within one hour of nothing but this end, each lasting a second."""
    if ended.kind in (Kind.STOP, Kind.WAIT):
        return
    pace, passed, connects = Pace(lambda low, high: low), 0.0, 0
    while passed < 3600:
        try:
            passed += 1 + pace.delay(ended, 1.0)
        except Unhealable:
            break
        connects += 1
    assert connects <= 25


# -- keys that can't be read -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["create", "renew"])
async def test_damaged_credentials_are_told_once_and_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    account = office.account
    sound, tries = getattr(account._keys.account, call), iter(range(3))

    def damaged() -> Any:
        if next(tries, None) is not None:
            raise DamagedRecord("account#default", "credentials", "sealed")
        return sound()

    monkeypatch.setattr(account._keys.account, call, damaged)
    await (account._stored.credentials() if call == "create" else account._stored.renew())
    assert [state for state, _ in office.told] == ["stopped"]
    assert office.slept == [60.0] * 3


# -- the queue takes nothing -------------------------------------------------------------------------------


async def test_an_account_whose_stanzas_are_not_stored_waits_for_that_and_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []

    async def noted(account: str, *rest: object) -> None:
        waited.append(account)

    monkeypatch.setattr(account_runner, "until_stored", noted)
    await office.ends(reaction.LOST)
    assert waited == []
    await office.ends(OVERFLOW)
    assert waited == ["default"]
