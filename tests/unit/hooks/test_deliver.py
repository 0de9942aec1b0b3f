"""Every outcome reaches every endpoint that asked for it, or is named as dead; no slow one is waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.hook_world import MINUTE, NOW, SECRET, URL, World, answer, raising, told
from tests.support.memory_aws import everything_in
from tocsin.dynamo.writes import Put, Update
from tocsin.guarded_http import Answer, Unreachable, UrlRefused
from tocsin.hooks import schedule
from tocsin.hooks.delivery import DAMAGED, DEAD, DELIVERED, WAITING
from tocsin.hooks.endpoint import ACTIVE, GONE, PAUSED, Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import Order
from tocsin.notify.store.texts import SEALED
from tocsin.tables.notifications import delivery_key, hook_key


@pytest.fixture
def world() -> World:
    return World()


# -- what arrives ------------------------------------------------------------------------------------------


def test_an_outcome_is_posted_signed_and_noted(world: World) -> None:
    world.add()
    assert world.tell(told()).outcome == "delivered"
    [(url, headers, body)] = world.posted
    assert url == URL
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "type": "notification.delivered",
        "timestamp": "2027-01-15T08:00:00.001Z",
        "data": told().data,
    }
    assert "." not in headers["webhook-id"]
    delivery = world.stored(told())
    assert (delivery.state, [one.said for one in delivery.attempts]) == (DELIVERED, ["200"])


def test_the_receivers_library_verifies_it(world: World) -> None:
    import time

    world.now = time.time()
    world.add()
    world.tell(told())
    [(_, headers, body)] = world.posted
    Webhook(SECRET).verify(body, dict(headers))


def test_as_a_cloud_event_it_has_that_media_type(world: World) -> None:
    world.add(form="cloudevents")
    world.tell(told())
    [(_, headers, body)] = world.posted
    assert headers["Content-Type"] == "application/cloudevents+json"
    event = json.loads(body)
    assert (event["specversion"], event["id"], event["source"], event["type"], event["subject"]) == (
        "1.0",
        "o-1",
        "urn:tocsin:tocsin",
        "tocsin.notification.delivered",
        "TCK-1",
    )
    assert event["data"] == told().data


def test_told_twice_it_is_posted_once(world: World) -> None:
    world.add()
    world.tell(told())
    assert world.tell(told()).outcome == "repeated"
    assert len(world.posted) == 1


def test_an_endpoint_that_was_removed_hears_of_nothing(world: World) -> None:
    world.add()
    world.store.remove("h-1")
    assert world.tell(told()).outcome == "gone"
    assert world.posted == []


def test_what_is_stored_tells_a_reader_of_the_table_nothing(world: World) -> None:
    world.add()
    world.tell(told(text="a secret reply"))
    kept = str(everything_in(world.aws.notifications_table))
    for word in ("a secret reply", "desk.example.com", SECRET, "TCK-1"):
        assert word not in kept


def test_an_endpoint_that_somebody_else_wrote_hears_of_nothing(world: World) -> None:
    world.add()
    item = world.aws.notifications_table.get(hook_key("h-1"))
    assert item is not None
    world.aws.notifications_table.put(Put(hook_key("h-2"), {**item, "sk": "h-2"}))
    world.aws.notifications_table.put(
        Put(hook_key("h-3"), {"state": "active", "url": "https://evil.example"})
    )
    endpoints, odd = world.store.endpoints()
    assert ([one.id for one in endpoints], odd) == (["h-1"], {"h-2": DAMAGED, "h-3": DAMAGED})
    assert world.tell(told(), "h-2").outcome == "gone"


# -- what fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("500", answer(500)),
        ("301", answer(301, location="https://elsewhere.example")),
        ("404", answer(404)),
        ("timeout", raising(Unreachable("timeout"))),
        ("refused", raising(UrlRefused("leads to an address that is not public"))),
    ],
)
def test_whatever_is_not_2xx_is_tried_again_in_five_seconds(
    world: World, said: str, how: Callable[[], Answer]
) -> None:
    world.add()
    world.answers[URL] = how
    result = world.tell(told())
    assert (result.outcome, result.again_after) == ("waits", 5.0)
    assert [one.said for one in world.stored(told()).attempts] == [said]


def test_each_attempt_has_a_signature_of_its_own_under_the_same_id_and_body(world: World) -> None:
    world.add()
    world.answers[URL] = answer(500)
    world.tell(told())
    world.now += 5
    world.tell(told())
    (_, first, body), (_, second, again) = world.posted
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_ten_attempts_over_three_days_then_it_is_dead_and_can_be_sent_again(world: World) -> None:
    world.add()
    world.answers[URL] = answer(500)
    results = [world.tell(told())]
    began = world.now
    while world.stored(told()).state == WAITING:
        results += world.sweep(MINUTE)
    delivery = world.stored(told())
    assert (delivery.state, delivery.reason, len(delivery.attempts)) == (DEAD, "used-up", 10)
    assert 3 * 86_400 < world.now - began < 3.3 * 86_400
    gaps = [
        (later.at - one.at) // 1000
        for one, later in zip(delivery.attempts, delivery.attempts[1:], strict=False)
    ]
    wanted = [wait // 1000 for wait in schedule.WAITS]
    assert all(abs(gap - wait) <= 420 for gap, wait in zip(gaps, wanted, strict=True)), gaps
    world.answers.clear()
    again = delivery.again(int(world.now * 1000))
    world.store.note(again, int(world.now * 1000))
    world.queue.send(Order(again.endpoint, again.turn, again.lane, number=99))
    [result] = world.run_queue()
    assert result.outcome == "delivered"
    assert len(world.stored(told()).attempts) == 11


def test_retry_after_is_heeded(world: World) -> None:
    world.add()
    world.answers[URL] = answer(429, retry_after="3600")
    assert world.tell(told()).again_after is None
    assert world.stored(told()).due_at == (NOW + 3600) * 1000
    assert world.sweep(3500) == []
    world.answers.clear()
    assert [one.outcome for one in world.sweep(101)] == ["delivered"]


@pytest.mark.parametrize("header", ["-5", "1e9", "99999999999", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_nobody_pushes_a_wait_beyond_its_bound(header: str) -> None:
    assert 0 <= schedule.retry_after_of(header) <= 86_400_000


def test_410_switches_it_off(world: World) -> None:
    world.add()
    world.answers[URL] = answer(410)
    assert world.tell(told()).outcome == "dead"
    assert world.endpoint().state == GONE
    assert not world.endpoint().wants(told(2))
    world.answers.clear()
    assert world.tell(told(2)).outcome == "dead"
    assert len(world.posted) == 1


def test_a_paused_one_waits_and_gets_all_of_it_later_in_its_order(world: World) -> None:
    world.add()
    world.store.change(replace(world.endpoint(), state=PAUSED))
    assert [world.tell(told(number)).outcome for number in (1, 2)] == ["waits", "waits"]
    assert world.sweep(600) == []
    world.store.change(replace(world.endpoint(), state=ACTIVE))
    world.sweep(600)
    world.run_queue()
    assert [json.loads(body)["data"]["id"] for _, _, body in world.posted] == ["o-1", "o-2"]


# -- order, and nobody waits for another -------------------------------------------------------------------


def test_what_is_about_one_ticket_keeps_its_order(world: World) -> None:
    world.add()
    world.answers[URL] = answer(500)
    world.tell(told(1))
    world.answers.clear()
    assert world.tell(told(2)).outcome == "waits"
    assert world.tell(told(3, ticket="TCK-2")).outcome == "delivered"
    world.now += 5
    assert world.tell(told(1)).outcome == "delivered"
    assert [one.outcome for one in world.run_queue()] == ["delivered"]
    assert [json.loads(body)["data"]["id"] for _, _, body in world.posted] == ["o-1", "o-3", "o-1", "o-2"]


def test_after_a_dead_one_the_next_of_its_ticket_goes_on(world: World) -> None:
    world.add()
    world.answers[URL] = answer(500)
    world.tell(told(1))
    world.tell(told(2))
    while world.stored(told(1)).state == WAITING:
        world.sweep(MINUTE)
    world.answers.clear()
    for _ in range(20):
        world.sweep(MINUTE)
    assert world.stored(told(2)).state == DELIVERED


def test_an_endpoint_that_fails_is_asked_once_in_a_while_and_others_are_not_held_up(world: World) -> None:
    other = "https://other.example.com/hook"
    world.add()
    world.add("h-2", other)
    world.answers[URL] = raising(Unreachable("timeout"))
    for number in range(1, 60):
        world.tell(told(number, ticket=f"TCK-{number}"))
        assert world.tell(told(number, ticket=f"TCK-{number}"), "h-2").outcome == "delivered"
    tried = [url for url, *_ in world.posted if url == URL]
    assert len(tried) == schedule.FAILURES_TO_CLOSE
    world.sweep(301)
    assert len([url for url, *_ in world.posted if url == URL]) == len(tried) + 1


def test_once_it_is_back_all_of_it_is_told(world: World) -> None:
    world.add()
    world.answers[URL] = answer(503)
    for number in range(1, 30):
        world.tell(told(number, ticket=f"TCK-{number}"))
    world.answers.clear()
    for _ in range(15):
        world.sweep(MINUTE)
    states = {delivery.state for delivery in world.store.deliveries("h-1")}
    assert states == {DELIVERED}
    assert world.endpoint().health.failures == 0


def test_many_that_wait_behind_one_do_not_hide_the_one_that_asks(world: World) -> None:
    world.add()
    world.answers[URL] = raising(Unreachable("connection"))
    for number in range(1, 80):
        world.tell(told(number))
    while len(world.stored(told(1)).attempts) < 4:
        world.sweep(MINUTE)
    world.answers.clear()
    for _ in range(150 + 90):
        world.sweep(MINUTE)
    assert {delivery.state for delivery in world.store.deliveries("h-1")} == {DELIVERED}
    ids = [json.loads(body)["data"]["id"] for _, _, body in world.posted]
    assert list(dict.fromkeys(ids)) == [f"o-{number}" for number in range(1, 80)]


def test_a_slow_endpoint_takes_two_groups_of_the_queue_and_no_more() -> None:
    groups = {Order.of("h-1", told(number, ticket=f"TCK-{number}")).group for number in range(200)}
    assert groups == {"h-1.0", "h-1.1"}
    assert {Order.of("h-1", told(number)).group for number in range(20)} < groups


@pytest.mark.parametrize("way", ["carry_out", "put_aside"])
def test_after_a_crash_the_one_behind_is_called_all_the_same(world: World, way: str) -> None:
    """The record says delivered, and the process ended before it called the next one. Once the
    queue counted it often, it is put aside; throttled polls count as well."""
    world.add()
    world.answers[URL] = answer(500)
    world.tell(told(1))
    world.tell(told(2))
    world.answers.clear()
    world.store.note(replace(world.stored(told(1)), state=DELIVERED), int(world.now * 1000))
    assert getattr(world.work, way)(Order.of("h-1", told(1))).outcome == "repeated"
    assert [one.outcome for one in world.run_queue()] == ["delivered"]


@pytest.mark.parametrize("way", ["carry_out", "put_aside"])
def test_a_damaged_one_of_which_no_order_tells_leaves_its_lane(world: World, way: str) -> None:
    world.add()
    world.answers[URL] = answer(500)
    for number in (1, 2):
        world.tell(told(number))
    broken(world, told(1), **{SEALED: b"nonsense"})
    world.answers.clear()
    one = told(1)
    assert getattr(world.work, way)(Order("h-1", one.turn, one.lane)).outcome == "dead"
    assert [one.outcome for one in world.run_queue()] == ["delivered"]


# -- who hears of what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wants"),
    [
        ({}, True),
        ({"events": ("notification.delivered",)}, True),
        ({"events": ("reply.received",)}, False),
        ({"accounts": ("default",)}, True),
        ({"accounts": ("support",)}, False),
        ({"state": PAUSED}, True),
        ({"state": GONE}, False),
    ],
)
def test_an_endpoint_hears_of_what_it_asked_for(changes: dict[str, Any], wants: bool) -> None:
    assert Endpoint("h-1", URL, SECRET, **changes).wants(told()) is wants


def test_a_rotated_endpoint_signs_with_both_for_a_day(world: World) -> None:
    other = "whsec_" + "A" * 32
    world.add()
    world.store.change(world.endpoint().rotated(other, NOW * 1000))
    world.tell(told())
    assert len(world.posted[0][1]["webhook-signature"].split()) == 2
    world.now += 86_400
    world.work = world.worker()
    world.tell(told(2))
    assert len(world.posted[1][1]["webhook-signature"].split()) == 1


# -- what somebody else wrote over --------------------------------------------------------------------------


def broken(world: World, one: Told, name: str = "h-1", **written: Any) -> None:
    world.aws.notifications_table.update(Update(delivery_key(name, one.turn), set=written))


@pytest.mark.parametrize(
    "written", [{SEALED: b"nonsense"}, {"attempts": ["x"]}, {"begun_at": {}, "attempts": [{}]}]
)
def test_a_damaged_delivery_keeps_back_nobody(world: World, written: dict[str, Any]) -> None:
    world.add(), world.add("h-2", "https://other.example.com/")
    world.answers = {URL: answer(500), "https://other.example.com/": answer(500)}
    for one, name in ((told(1), "h-1"), (told(2), "h-1"), (told(3), "h-2")):
        for _ in range(2):
            world.tell(one, name)
    broken(world, told(1), **written)
    world.answers = {}
    for _ in range(3):
        world.sweep(10 * MINUTE)
    lost = world.stored(told(1))
    assert (lost.state, lost.reason) == (DEAD, "damaged")
    assert [world.stored(told(2)).state, world.stored(told(3), "h-2").state] == [DELIVERED, DELIVERED]
    assert world.store.due("h-1", int(world.now * 1000) + 10**9, 10) == []


def test_a_damaged_health_of_one_endpoint_keeps_back_no_other(world: World) -> None:
    world.add(), world.add("h-2", "https://other.example.com/")
    world.answers["https://other.example.com/"] = answer(500)
    for _ in range(2):
        world.tell(told(1), "h-2")
    health = {"closed_until": "never", "failures": ["x"], "last_at": {}, "last_said": 7}
    world.aws.notifications_table.update(Update(hook_key("h-1"), set=health))
    world.answers = {}
    world.sweep(10 * MINUTE)
    assert world.stored(told(1), "h-2").state == DELIVERED


def test_what_an_order_still_tells_is_told_though_its_record_is_damaged(world: World) -> None:
    world.add()
    world.answers[URL] = answer(500)
    world.tell(told(1))
    broken(world, told(1), **{SEALED: b"nonsense"})
    world.answers = {}
    assert world.tell(told(1)).outcome == "delivered"
