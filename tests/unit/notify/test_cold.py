"""Who had to write first has written: what was refused goes out."""

from __future__ import annotations

from tests.support.notifications import a_notification, an_id
from tests.support.paced_world import PacedWorld
from tocsin.dynamo.writes import Update
from tocsin.notify.cold import ColdRecipients, refusal
from tocsin.tables.notifications import notification_key


def test_what_was_refused_goes_out_in_the_order_in_which_it_was_planned() -> None:
    world = PacedWorld()
    tickets = [a_notification(id=an_id(number), created_at=world.now_ms + number) for number in range(8)]
    for one in tickets:
        world.stores.notifications.put_new(one)
        world.dead_letters.bury(one, refusal(), world.now_ms)
        world.stores.people.note_must_write_first("default", one.person_name, one.id, world.now_ms)
    cold = ColdRecipients(world.stores, world.queue, clock=lambda: world.now)
    assert cold.may_write_to("default", tickets[0].person_name) == len(tickets)
    assert [order.notification for order in world.orders] == [one.id for one in tickets]
    assert tickets != sorted(tickets, key=lambda one: one.id)


def test_one_whose_record_cannot_be_read_keeps_no_other_from_going_out() -> None:
    world = PacedWorld()
    odd, sound = (a_notification(id=an_id(number), created_at=world.now_ms + number) for number in range(2))
    for one in (odd, sound):
        world.stores.notifications.put_new(one)
        world.dead_letters.bury(one, refusal(), world.now_ms)
        world.stores.people.note_must_write_first("default", one.person_name, one.id, world.now_ms)
    world.stores.notifications._table.update(Update(notification_key(odd.id), remove=("ticket_id",)))
    cold = ColdRecipients(world.stores, world.queue, clock=lambda: world.now)
    assert cold.may_write_to("default", odd.person_name) == 1
    assert [order.notification for order in world.orders] == [sound.id]
