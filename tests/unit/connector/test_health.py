"""A refused first contact is told apart: a locked account, or one person who must write first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.account_events import fits
from tests.support.connector_fakes import Aws
from tests.support.leading_keys import GrantedTable
from tests.support.settings import chosen
from tocsin.accounts.challenge import Challenge, read_challenge
from tocsin.accounts.limits import COLD_REFUSALS, FEW_NEW_CHATS, FIRST_CONTACTS, NEW_CHATS
from tocsin.connector import health as module
from tocsin.connector.gateway.limits import Limits
from tocsin.connector.health import AccountHealth
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.whatsapp.account_health import NewChatQuota, ReachoutLock, SecurityChallenge
from tocsin.whatsapp.node import Node

NOW = 1_800_000_000
HOUR = 3600
DAY = 86400
LOCK_ID = "23983697327930364"
UNLOCKED = {"is_active": False}
LOCK_PATH, QUOTA_PATH = "xwa2_fetch_account_reachout_timelock", "xwa2_message_capping_info"


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def time(self) -> float:
        return self.now

    monotonic = time


@dataclass
class Bus:
    """Notices, and what was told."""

    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    disconnected_for: list[str] = field(default_factory=list)
    resumed: int = 0

    async def tell(self, event: str, account: str, facts: Mapping[str, Any]) -> None:
        """Each event is as the schema says."""
        told = json.loads(json.dumps({"account": account, **facts, "at": "2026-11-24T08:00:01.900Z"}))
        fits(event, told)
        self.told.append((event, facts))

    async def disconnected(
        self, account: str, state: str, reason: str, *, until: float | None = None
    ) -> None:
        self.disconnected_for.append(reason)

    async def ask_resume(self, account: str) -> None:
        self.resumed += 1

    def of(self, event: str) -> list[Mapping[str, Any]]:
        return [facts for name, facts in self.told if name == event]


class Server:
    """Answers the questions. `lock`, `quota`: what stands under their path; `silent`, `errors`: instead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lock: Any = UNLOCKED
        self.quota: Any = None
        self.silent = False
        self.errors: set[str] = set()
        self.slow = asyncio.Event()
        self.slow.set()

    async def request(self, node: Node, seconds: float) -> Node:
        name = str(node.require_child("query").attrs["query_id"])
        self.asked.append(name)
        await self.slow.wait()
        if self.silent:
            raise TimeoutError
        path, value = (LOCK_PATH, self.lock) if name == LOCK_ID else (QUOTA_PATH, self.quota)
        body: dict[str, Any] = {"data": {path: value}}
        if name in self.errors:
            body = {"errors": [{"message": "unknown query"}]}
        return Node("iq", {"type": "result"}, (Node("result", {}, json.dumps(body).encode()),))


class Scene:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.bus, self.server = Bus(), Server()
        self.table = GrantedTable()
        self.keys = KeyStore(self.table, Sealer({"k": bytes(32)}, "k"), "main", clock=clock.time)
        aws: Any = Aws()
        notices: Any = self.bus
        self.limits = Limits(aws, self.keys, "main", clock=clock.time)
        self.health = AccountHealth(aws, notices, self.keys, "main", self.limits)
        line: Any = self.server
        self.health.begin(line)

    async def refused(self, error: str = "463", to: str = "1@lid") -> dict[str, str]:
        return dict(await self.health.refused(error, to))

    def until(self, kind: str) -> int | None:
        limit = self.limits.active(kind)
        return limit.until if limit is not None else None


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return Scene(clock)


# -- 463 -----------------------------------------------------------------------------------------------------


async def test_a_locked_account_waits_until_the_end_that_is_told(scene: Scene) -> None:
    scene.server.lock = {
        "is_active": True,
        "time_enforcement_ends": str(NOW + 6 * DAY),
        "enforcement_type": "X_Y",
    }
    assert await scene.refused() == {"tocsin-verdict": "locked", "tocsin-until": str(NOW + 6 * DAY)}
    [facts] = scene.bus.of("AccountRestricted")
    assert (facts["kind"], facts["cause"], facts["type"], facts["guessed"]) == (
        "first-contacts",
        "reachout-lock",
        "X_Y",
        False,
    )


async def test_a_cold_recipient_locks_nobody(scene: Scene) -> None:
    assert await scene.refused() == {"tocsin-verdict": "cold"}
    assert scene.limits.strictest() is None
    assert scene.bus.told == []


@pytest.mark.parametrize("told", [None, {"is_active": None}])
async def test_nothing_told_without_an_error_is_no_lock_either(scene: Scene, told: Any) -> None:
    scene.server.lock = told
    assert await scene.refused() == {"tocsin-verdict": "cold"}


async def test_without_an_answer_it_is_a_lock_for_an_hour_by_guess(scene: Scene) -> None:
    scene.server.silent = True
    assert await scene.refused() == {"tocsin-verdict": "locked", "tocsin-until": str(NOW + HOUR)}
    assert scene.bus.of("AccountRestricted")[0]["guessed"] is True


async def test_an_answer_with_errors_is_none(scene: Scene) -> None:
    scene.server.errors = {LOCK_ID}
    assert (await scene.refused())["tocsin-verdict"] == "locked"


@pytest.mark.parametrize(("ends", "seconds"), [("0", DAY), (None, DAY), (str(NOW - 5), HOUR)])
async def test_a_lock_without_an_end_is_guessed_and_told_once(scene: Scene, ends: Any, seconds: int) -> None:
    scene.server.lock = {"is_active": True, "time_enforcement_ends": ends}
    await scene.refused()
    assert scene.until(FIRST_CONTACTS) == NOW + seconds
    scene.clock.now += 600
    await scene.refused()
    assert scene.until(FIRST_CONTACTS) == NOW + 600 + seconds
    assert [facts["guessed"] for facts in scene.bus.of("AccountRestricted")] == [True]


async def test_a_hundred_refusals_ask_once(scene: Scene) -> None:
    scene.server.slow.clear()
    refusals = [asyncio.create_task(scene.refused()) for _ in range(100)]
    await asyncio.sleep(0)
    scene.server.slow.set()
    assert {(await one)["tocsin-verdict"] for one in refusals} == {"cold"}
    assert scene.server.asked == [LOCK_ID]


async def test_what_was_heard_before_the_refusal_says_nothing_of_why(scene: Scene) -> None:
    await scene.health.look()
    scene.server.lock = {"is_active": True, "time_enforcement_ends": NOW + DAY}
    assert (await scene.refused())["tocsin-verdict"] == "locked"


async def test_an_answer_is_good_for_a_minute_even_if_none_came(scene: Scene) -> None:
    scene.server.silent = True
    await scene.refused()
    await scene.refused()
    assert len(scene.server.asked) == 1
    scene.clock.now += 60
    scene.server.silent = False
    assert await scene.refused() == {"tocsin-verdict": "cold"}


async def test_it_ends_a_lock_that_rested_on_a_guess(scene: Scene) -> None:
    scene.server.silent = True
    await scene.refused()
    scene.server.silent = False
    scene.clock.now += 60
    await scene.refused()
    assert scene.until(FIRST_CONTACTS) is None
    assert (len(scene.bus.of("AccountRestrictionLifted")), scene.bus.resumed) == (1, 1)


async def test_three_different_cold_people_in_an_hour_pause_first_contacts(scene: Scene) -> None:
    for to in ("1@lid", "1@lid", "1@lid", "2@lid"):
        await scene.refused(to=to)
    assert scene.until(COLD_REFUSALS) is None
    await scene.refused(to="3@lid")
    assert scene.until(COLD_REFUSALS) == NOW + HOUR
    assert scene.bus.of("AccountRestricted")[-1]["cause"] == "cold-refusals"


async def test_three_over_a_day_do_not(scene: Scene) -> None:
    for to in ("1@lid", "2@lid", "3@lid"):
        await scene.refused(to=to)
        scene.clock.now += 2 * HOUR
    assert scene.until(COLD_REFUSALS) is None


# -- 475 -----------------------------------------------------------------------------------------------------


async def test_used_up_chats_wait_for_the_end_of_the_cycle(scene: Scene) -> None:
    scene.server.quota = {"cycle_end_timestamp": NOW + 9 * DAY, "capping_status": "CAPPED", "used_quota": 30}
    assert await scene.refused("475") == {"tocsin-verdict": "capped", "tocsin-until": str(NOW + 9 * DAY)}
    assert scene.until(NEW_CHATS) == NOW + 9 * DAY
    assert scene.bus.of("AccountQuota")[0]["status"] == "CAPPED"


async def test_the_older_query_is_asked_if_the_newer_one_errs(scene: Scene) -> None:
    scene.server.quota = {"cycle_end_timestamp": NOW + DAY, "capping_status": "CAPPED"}
    scene.server.errors = {"27910975521856601"}
    await scene.refused("475")
    assert scene.until(NEW_CHATS) == NOW + DAY
    assert scene.server.asked == ["27910975521856601", "24503548349331633"]


async def test_used_up_chats_without_an_end_wait_a_day_by_guess(scene: Scene) -> None:
    scene.server.silent = True
    assert (await scene.refused("475"))["tocsin-until"] == str(NOW + DAY)
    assert scene.bus.of("AccountRestricted")[0]["cause"] == "new-chat-quota"


# -- what is told ------------------------------------------------------------------------------------------


async def test_an_inactive_lock_lifts_the_lock_and_nothing_else(scene: Scene) -> None:
    await scene.health.hear(ReachoutLock(True, NOW + DAY))
    await scene.health.hear(NewChatQuota(30, 30, NOW + DAY, "CAPPED"))
    await scene.health.hear(ReachoutLock(False, None))
    assert (scene.until(FIRST_CONTACTS), scene.until(NEW_CHATS)) == (None, NOW + DAY)
    assert (scene.bus.of("AccountRestrictionLifted")[0]["free"], scene.bus.resumed) == (False, 0)
    await scene.health.hear(NewChatQuota(29, 30, NOW + DAY, "SECOND_WARNING"))
    assert (scene.until(NEW_CHATS), scene.bus.resumed) == (None, 1)


async def test_a_warning_is_told_once_for_each_step(scene: Scene) -> None:
    for status in ("NONE", "FIRST_WARNING", "FIRST_WARNING", "SECOND_WARNING", "CAPPED"):
        await scene.health.hear(NewChatQuota(15, 30, NOW + DAY, status))
    told = [facts["status"] for facts in scene.bus.of("AccountQuota")]
    assert told == ["FIRST_WARNING", "SECOND_WARNING", "CAPPED"]
    stored = scene.keys.account.quota()
    assert stored is not None
    assert (stored.used, stored.total, stored.status) == (15, 30, "CAPPED")


async def test_after_the_second_warning_the_last_new_chats_are_for_what_is_urgent(scene: Scene) -> None:
    await scene.health.hear(NewChatQuota(27, 30, NOW + DAY, "SECOND_WARNING"))
    assert scene.until(FEW_NEW_CHATS) == NOW + DAY
    account = scene.keys.account
    assert (account.first_contacts_limit() is None, account.first_contacts_limit(urgent=True) is None) == (
        False,
        True,
    )
    await scene.health.hear(NewChatQuota(10, 30, NOW + DAY, "FIRST_WARNING"))
    assert scene.until(FEW_NEW_CHATS) is None
    assert scene.bus.resumed == 1


async def test_a_word_that_nobody_knows_frees_nobody(scene: Scene) -> None:
    await scene.health.hear(NewChatQuota(27, 30, NOW + DAY, "SECOND_WARNING"))
    await scene.health.hear(NewChatQuota(27, 30, NOW + DAY, "SOMETHING_NEW"))
    assert scene.until(FEW_NEW_CHATS) == NOW + DAY
    await scene.health.hear(NewChatQuota(30, 30, NOW + DAY, "CAPPED"))
    await scene.health.hear(NewChatQuota(30, 30, NOW + DAY, "SOMETHING_NEW"))
    assert (scene.until(NEW_CHATS), scene.bus.resumed) == (NOW + DAY, 0)


async def test_unless_the_operator_says_else(scene: Scene) -> None:
    scene.health._settings = chosen(last_new_chats="any")
    await scene.health.hear(NewChatQuota(27, 30, NOW + DAY, "SECOND_WARNING"))
    assert scene.limits.strictest() is None


async def test_a_cap_whose_cycle_is_over_holds_nobody(scene: Scene) -> None:
    await scene.health.hear(NewChatQuota(30, 30, NOW - 5, "CAPPED"))
    assert scene.until(NEW_CHATS) is None


async def test_a_challenge_is_told(scene: Scene) -> None:
    await scene.health.hear(SecurityChallenge("PASSKEY"))
    assert scene.bus.told == [("AccountChallenged", {"challenge": "PASSKEY"})]
    assert read_challenge(scene.table, "main", NOW) == Challenge("PASSKEY", NOW)
    assert read_challenge(scene.table, "main", NOW + 4 * DAY) is None


# -- when it asks ------------------------------------------------------------------------------------------


async def test_at_login_both_are_asked_and_an_hour_of_first_contacts_asks_no_more(scene: Scene) -> None:
    await scene.health.look()
    assert len(scene.server.asked) == 2
    await scene.health.before_first_contact()
    assert len(scene.server.asked) == 2
    scene.clock.now += HOUR
    await scene.health.before_first_contact()
    assert len(scene.server.asked) == 4


async def test_without_an_answer_first_contacts_ask_every_ten_minutes_and_no_more(scene: Scene) -> None:
    scene.server.silent = True
    await scene.health.before_first_contact()
    scene.clock.now += 599
    await scene.health.before_first_contact()
    assert len(scene.server.asked) == 2
    scene.clock.now += 1
    await scene.health.before_first_contact()
    assert len(scene.server.asked) == 4


async def test_an_account_without_a_quota_is_asked_about_it_once_an_hour(scene: Scene) -> None:
    scene.server.quota = None
    await scene.health.before_first_contact()
    scene.clock.now += 3599
    await scene.health.before_first_contact()
    assert len(scene.server.asked) == 2


async def test_a_lock_that_is_told_at_login_holds_before_anything_is_refused(scene: Scene) -> None:
    scene.server.lock = {"is_active": True, "time_enforcement_ends": NOW + DAY}
    await scene.health.look()
    assert scene.until(FIRST_CONTACTS) == NOW + DAY


async def test_a_known_lock_that_ended_unheard_is_lifted_at_login(scene: Scene) -> None:
    await scene.limits.hear(FIRST_CONTACTS, "reachout-lock", NOW + DAY)
    await scene.health.look()
    assert scene.until(FIRST_CONTACTS) is None
    assert scene.bus.resumed == 1


async def test_without_an_answer_what_is_known_stays(scene: Scene) -> None:
    await scene.limits.hear(FIRST_CONTACTS, "reachout-lock", NOW + DAY)
    scene.server.silent = True
    await scene.health.look()
    assert scene.until(FIRST_CONTACTS) == NOW + DAY


async def test_not_logged_in_nobody_is_asked(scene: Scene) -> None:
    scene.health.end()
    await scene.health.before_first_contact()
    assert scene.server.asked == []
