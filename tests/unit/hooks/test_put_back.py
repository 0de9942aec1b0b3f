"""A record of an endpoint that is put back counts for nothing: the keys table knows the last version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.hook_world import MINUTE, NOW, URL, World, answer, told
from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import Delete, Put
from tocsin.hooks.endpoint import PAUSED
from tocsin.hooks.store import EARLIER, HookStore
from tocsin.notify.store.texts import Texts
from tocsin.tables.keys import ALL_NAMES, hook_version_key
from tocsin.tables.notifications import hook_key


@pytest.fixture
def world() -> World:
    return World()


def test_an_endpoint_that_was_removed_and_is_put_back_hears_of_nothing(world: World) -> None:
    world.add()
    before = world.as_it_stands()
    world.store.remove("h-1")
    world.aws.notifications_table.put(before)
    assert world.store.endpoints() == ([], {"h-1": EARLIER})
    assert world.tell(told()).outcome == "gone"
    assert world.posted == []


def test_twin_without_its_version_it_hears_again(world: World) -> None:
    world.add()
    before = world.as_it_stands()
    world.store.remove("h-1")
    world.aws.notifications_table.put(before)
    world.aws.keys_table.delete(Delete(hook_version_key("h-1")))
    assert world.tell(told()).outcome == "delivered"


def test_an_endpoint_as_it_was_before_a_change_hears_of_nothing(world: World) -> None:
    world.add()
    before = world.as_it_stands()
    world.store.change(world.endpoint().rotated("whsec_" + "A" * 44, NOW * 1000))
    world.aws.notifications_table.put(before)
    assert world.tell(told()).outcome == "gone"


def test_an_endpoint_hears_while_it_is_changed(world: World) -> None:
    """The record is written before its version is noted, and read after it."""
    world.add()
    noted = world.aws.keys_table.get(hook_version_key("h-1")) or {}
    world.store.change(world.endpoint())
    world.aws.keys_table.put(Put(hook_version_key("h-1"), {"version": noted["version"]}))
    assert world.tell(told()).outcome == "delivered"


def test_what_is_added_under_the_name_of_one_that_was_removed_hears(world: World) -> None:
    world.add()
    before = world.as_it_stands()
    world.store.remove("h-1")
    world.add()
    assert world.tell(told()).outcome == "delivered"
    world.aws.notifications_table.put(before)
    world.work = world.worker()
    assert world.tell(told(2)).outcome == "gone"


def test_what_waits_for_an_endpoint_that_is_put_back_is_not_told(world: World) -> None:
    world.answers[URL] = answer(500)
    world.add()
    world.tell(told())
    before = world.as_it_stands()
    world.store.remove("h-1")
    world.aws.notifications_table.put(before)
    posted = len(world.posted)
    world.work = world.worker()
    assert world.sweep(10 * MINUTE) == []
    assert len(world.posted) == posted


def test_who_raises_what_is_noted_for_all_silences_no_endpoint_that_has_a_version(world: World) -> None:
    """Nor one that is added afterwards: it would begin below that."""
    world.add()
    world.aws.keys_table.put(Put(hook_version_key(ALL_NAMES), {"version": 10**9}))
    assert world.tell(told()).outcome == "delivered"


def test_of_two_who_change_one_endpoint_the_later_is_refused(world: World) -> None:
    world.add()
    read_before = world.endpoint()
    world.store.change(replace(read_before, state=PAUSED))
    with pytest.raises(ConditionFailed):
        world.store.change(read_before.rotated("whsec_" + "A" * 44, NOW * 1000))
    assert world.endpoint().state == PAUSED


def test_a_removal_that_failed_halfway_tells_nobody_and_can_be_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add()
    before = world.as_it_stands()
    with monkeypatch.context() as failing:
        failing.setattr(world.aws.notifications_table, "delete", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.store.remove("h-1")
    assert world.tell(told()).outcome == "gone"
    world.store.remove("h-1")
    world.aws.notifications_table.put(before)
    assert world.tell(told(2)).outcome == "gone"


# -- of before there were versions ---------------------------------------------------------------------------


def test_an_endpoint_of_before_versions_hears_until_it_is_given_one(world: World) -> None:
    world.add_of_before("h-1")
    before = world.as_it_stands()
    assert world.tell(told()).outcome == "delivered"
    world.store.demand_versions()
    world.work = world.worker()
    assert world.tell(told(2)).outcome == "delivered"
    world.aws.notifications_table.put(before)
    world.work = world.worker()
    assert world.tell(told(3)).outcome == "gone"


def test_one_that_was_removed_before_there_were_versions_hears_no_more_once_they_are_demanded(
    world: World,
) -> None:
    world.add_of_before("h-1")
    before = world.as_it_stands()
    world.aws.notifications_table.delete(Delete(hook_key("h-1")))
    world.add("h-2")
    world.store.demand_versions()
    world.aws.notifications_table.put(before)
    assert world.tell(told()).outcome == "gone"
    assert world.tell(told(), "h-2").outcome == "delivered"


def test_who_has_no_key_demands_no_versions(world: World) -> None:
    """They can't tell which endpoints count."""
    world.add_of_before("h-1")
    HookStore(world.aws.notifications_table, Texts(), world.versions).demand_versions()
    assert world.tell(told()).outcome == "delivered"
