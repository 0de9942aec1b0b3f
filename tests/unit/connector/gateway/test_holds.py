"""What an account itself holds back: a pause, and its pace."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.connector_fakes import Aws
from tests.support.leading_keys import GrantedTable
from tests.support.settings import chosen
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.holds import AGAIN_SECONDS, Holds, StoredCounts
from tocsin.pace.ledger import Ledger
from tocsin.settings.declared import SENDING
from tocsin.settings.values import Settings
from tocsin.tables.keys import pace_key
from tocsin.whatsapp.node import Node

NOW = 1_800_000_000.0
SITI, OURS = "1234@lid", "6281"


def message(message_id: str = "M", to: str = SITI, **attrs: str) -> Node:
    return Node("message", {"id": message_id, "to": to, **attrs})


@dataclass
class Scene:
    settings: Any = field(default_factory=lambda: chosen(typing_jitter_milliseconds=0))
    now: float = NOW

    def __post_init__(self) -> None:
        self.holds = self.another()

    def another(self) -> Holds:
        return Holds("main", lambda: self.settings(), uniform=lambda low, high: high, clock=lambda: self.now)

    def refusal(self, node: Node, **how: Any) -> Refusal:
        with pytest.raises(Refusal) as raised:
            self.holds.admit(node, Handling(**how))
        return raised.value


@pytest.fixture
def scene() -> Scene:
    return Scene()


def paused(scope: str) -> Any:
    settings = Settings({SENDING.name: {scope: "paused"}}, version=2)
    return lambda: settings


# -- pausing -------------------------------------------------------------------------------------------------


def test_what_is_paused_is_refused_as_soon_as_the_settings_say_so(scene: Scene) -> None:
    assert scene.holds.admit(message(), Handling()) == 0
    scene.settings = paused("*")
    refused = scene.refusal(message("N"))
    assert (refused.code, refused.fields) == ("restricted", {"until": None, "limit": "paused"})


@pytest.mark.parametrize(
    ("scope", "audience", "goes"),
    [
        ("account=main", "customer", False),
        ("account=other", "customer", True),
        ("audience=customer", "customer", False),
        ("audience=customer", "technician", True),
        ("account=main,audience=customer", "technician", True),
    ],
)
def test_a_pause_holds_for_its_account_and_audience(
    scene: Scene, scope: str, audience: str, goes: bool
) -> None:
    scene.settings = paused(scope)
    if goes:
        assert scene.holds.admit(message(), Handling(audience=audience)) == 0
    else:
        scene.refusal(message(), audience=audience)


def test_a_pause_holds_what_is_urgent_and_what_is_asked_for_again(scene: Scene) -> None:
    scene.settings = paused("*")
    assert scene.refusal(message(), urgent=True).fields["limit"] == "paused"
    assert scene.refusal(message(), again=True).fields["limit"] == "paused"


def test_what_goes_to_our_own_phone_alone_is_no_sending(scene: Scene) -> None:
    scene.settings = paused("*")
    assert scene.holds.admit(message(category="peer"), Handling()) == 0


# -- pacing --------------------------------------------------------------------------------------------------


def test_beyond_the_budget_a_message_is_refused_until_there_is_room(scene: Scene) -> None:
    scene.settings = chosen(messages_per_hour=2, typing_jitter_milliseconds=0)
    assert scene.holds.admit(message("1"), Handling()) == 0
    refused = scene.refusal(message("2"))
    assert (refused.code, refused.fields["limit"]) == ("restricted", "account-pace")
    assert NOW + 3600 <= float(refused.fields["until"] or 0) <= NOW + 3720


def test_a_second_message_to_one_person_takes_its_time(scene: Scene) -> None:
    scene.settings = chosen(typing_jitter_milliseconds=300)
    assert scene.holds.admit(message("1"), Handling()) == 0
    assert scene.holds.admit(message("2"), Handling()) == pytest.approx(0.3)


def test_the_rest_of_a_message_is_not_counted_again(scene: Scene) -> None:
    """It goes to devices that were missed, or once more after no ack came."""
    scene.settings = chosen(messages_per_hour=2, typing_jitter_milliseconds=0)
    assert scene.holds.admit(message("1"), Handling()) == 0
    assert scene.holds.admit(message("1"), Handling()) == 0
    scene.now += AGAIN_SECONDS
    assert scene.refusal(message("1")).fields["limit"] == "account-pace"


def test_a_device_that_asks_again_is_not_paced(scene: Scene) -> None:
    scene.settings = chosen(messages_per_hour=2, typing_jitter_milliseconds=0)
    scene.holds.admit(message("1"), Handling())
    assert scene.holds.admit(message("2"), Handling(again=True)) == 0


@pytest.mark.parametrize(
    ("since", "known_at", "is_new"),
    [
        (NOW, NOW - 1, True),
        (NOW, 0, True),
        (NOW, NOW, False),
        (NOW, None, False),  # nobody said
        (None, NOW - 1, False),  # the account has had its number since before anybody counted
    ],
)
def test_who_heard_of_an_earlier_number_only_is_a_first_contact_of_this_one(
    scene: Scene, since: float | None, known_at: float | None, is_new: bool
) -> None:
    scene.holds.begin_with(Ledger(since=None if since is None else int(since)))
    how = Handling(known_at=None if known_at is None else int(known_at))
    assert scene.holds.seen(how).first_contact is is_new


@pytest.mark.parametrize(
    ("stanza", "answers"),
    [
        (Node("message", {"from": SITI}), 1),
        (Node("message", {"from": "1@g.us"}), 0),
        (Node("message", {"from": SITI, "category": "peer"}), 0),
        (Node("receipt", {"from": SITI}), 0),
    ],
)
def test_what_people_write_counts_as_answers(scene: Scene, stanza: Node, answers: int) -> None:
    scene.holds.heard(stanza)
    assert scene.holds.pacer.ledger.week_answered.total(NOW) == answers


# -- what is stored ------------------------------------------------------------------------------------------


class StoredScene(Scene):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.table = GrantedTable()
        self.counts = self.process()

    def process(self) -> StoredCounts:
        self.holds = self.another()
        aws: Any = Aws()
        return StoredCounts(aws, self.table, "main", self.holds, clock=lambda: self.now)

    async def begin(self, number: str = OURS, *, is_new: bool = False) -> Ledger:
        self.counts.begin(await self.counts.load(), number, is_new=is_new)
        return self.holds.pacer.ledger


async def test_another_connector_goes_on_with_the_counts() -> None:
    scene = StoredScene()
    await scene.begin(is_new=True)
    scene.holds.admit(message(), Handling())
    await scene.counts.save()
    scene.now += 60
    scene.counts = scene.process()
    ledger = await scene.begin()
    assert (ledger.hour.total(scene.now), ledger.age(scene.now)) == (1, 60)


async def test_an_account_that_was_in_service_before_is_taken_for_grown() -> None:
    assert (await StoredScene().begin()).since is None


async def test_another_number_begins_anew_and_the_same_one_goes_on() -> None:
    scene = StoredScene()
    await scene.begin()
    scene.holds.admit(message(), Handling())
    await scene.counts.save()
    scene.counts.end()
    assert (await scene.begin(is_new=True)).since is None
    ledger = await scene.begin("6299")
    assert (ledger.since, ledger.hour.total(NOW)) == (int(NOW), 0)


async def test_what_did_not_change_is_not_stored() -> None:
    scene = StoredScene()
    await scene.begin()
    await scene.counts.save()
    before = scene.table.get(pace_key("main"))
    scene.holds.pacer.ledger.since = 5
    await scene.counts.save()
    assert scene.table.get(pace_key("main")) == before


async def test_what_cannot_be_stored_now_is_stored_the_next_time() -> None:
    scene = StoredScene()
    await scene.begin()
    put, scene.table.put = scene.table.put, None  # type: ignore[assignment]
    await scene.counts.save()
    scene.table.put = put  # type: ignore[method-assign]
    await scene.counts.save()
    assert scene.table.get(pace_key("main")) is not None


async def admitted_by_processes_that_are_killed(scene: StoredScene, processes: int, **how: bool) -> int:
    """How many messages got through. Each process is killed without a word as soon as it may send nothing
    more, or has sent a hundred."""
    gone = 0
    for _ in range(processes):
        await scene.begin()
        keeping = asyncio.ensure_future(scene.counts.keep())
        with suppress(Refusal):
            for _ in range(100):
                scene.holds.admit(message(f"M{gone}", f"{gone}@lid"), Handling(**how))
                gone += 1
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        keeping.cancel()
        scene.now += 15
        scene.counts = scene.process()
    return gone


@pytest.mark.parametrize(
    ("settings", "how", "processes", "most"),
    [
        ({"messages_per_minute": 300}, {}, 3, 270),
        ({"messages_per_hour": 300}, {}, 9, 270),
        ({"first_contacts_per_hour": 50}, {"first_contact": True}, 9, 45),
    ],
)
async def test_processes_that_are_killed_again_and_again_keep_within_the_budget_together(
    settings: dict[str, int], how: dict[str, bool], processes: int, most: int
) -> None:
    """But for what each of them forgets: a tenth of the minute's, a hundredth of any other."""
    scene = StoredScene()
    scene.settings = chosen(typing_jitter_milliseconds=0, **settings)
    assert await admitted_by_processes_that_are_killed(scene, processes, **how) <= most * 1.1


async def test_a_message_now_and_then_is_stored_once_a_minute() -> None:
    scene = StoredScene()
    await scene.begin()
    await scene.counts.save()
    for number in range(50):
        scene.holds.admit(message(f"M{number}", f"{number}@lid"), Handling())
    assert not scene.holds.due.is_set()
