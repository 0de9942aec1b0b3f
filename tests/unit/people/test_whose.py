"""Which records are one person's: never one of somebody who has, or had, the same number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.store.stores import Stores
from tocsin.people.person import Name, Person, Source
from tocsin.people.whose import Whose, identify

A = "default"
N, M = "6281234567890@s.whatsapp.net", "6289999999999@s.whatsapp.net"
OLD, NEW = "1234@lid", "5678@lid"
GONE_AT = 100
OF_OLD = Whose(A, OLD, frozenset({OLD, N, M}), {N: GONE_AT})


def notification(**values: Any) -> dict[str, Any]:
    return {"account": A, "recipient": "6281234567890", "created_at": 50, **values}


@pytest.mark.parametrize(
    ("values", "theirs"),
    [
        ({}, True),  # from before people were known
        ({"created_at": GONE_AT}, False),  # the number was somebody else's by then
        ({"person": OLD, "created_at": GONE_AT + 1}, True),
        ({"person": NEW}, False),
        ({"person": OLD, "recipient_lid": NEW}, False),  # who it went to decides
        ({"person": N, "recipient_lid": OLD, "created_at": GONE_AT + 1}, True),
        ({"account": "other"}, False),
        ({"recipient": "1203@g.us", "person": OLD}, False),
        ({"recipient": ""}, False),  # erased before, and nothing was added
        ({"recipient": "", "receipts": {"1234:3@lid read": 1}}, True),
        ({"recipient": "", "attempts": [{"numbers": {OLD: 3}}]}, True),
        ({"recipient": "", "attempts": [{"copies": {"5678:1@lid": "msg 1"}}]}, False),
    ],
)
def test_a_notification_is_theirs_who_got_it(values: Mapping[str, Any], theirs: bool) -> None:
    assert OF_OLD.owns_notification(notification(**values)) is theirs


def test_a_recovery_is_theirs_whose_device_it_names() -> None:
    assert OF_OLD.owns_recovery({"user": "", "device": "1234:2@lid", "first_at": 500})
    assert not OF_OLD.owns_recovery({"user": N, "device": "5678@lid", "first_at": 500})


# -- who is meant ------------------------------------------------------------------------------------------


@pytest.fixture
def stores() -> Stores:
    return Stores(MemoryTable())


def told(**numbers: str) -> Any:
    """What WhatsApp told: number → LID."""
    pairs = [frozenset({N if number == "n" else M, lid}) for number, lid in numbers.items()]
    return lambda name: next((pair for pair in pairs if name in pair), frozenset())


def test_nobody_is_somebody_unknown(stores: Stores) -> None:
    person, whose = identify(stores.people, A, [N], told())
    assert (person, whose.names) == (Person.unknown(N), {N})


@pytest.mark.parametrize("asked", [N, OLD])
def test_any_name_leads_to_the_person(stores: Stores, asked: str) -> None:
    stores.people.join(A, N, OLD, [Name(N, Source.TICKET, 1)])
    person, whose = identify(stores.people, A, [asked], told(n=OLD))
    assert (person.id, whose.present) == (OLD, {N, OLD})


def test_what_no_join_has_reached_is_put_together(stores: Stores) -> None:
    stores.people.opt_out(A, N, "STOP", 5)
    stores.people.note_heard(A, OLD, 6)
    person, whose = identify(stores.people, A, [OLD], told(n=OLD))
    assert (person.id, person.opted_out_at, person.heard_at) == (OLD, 5, 6)
    assert N in whose.names


def test_a_number_that_went_over_is_its_new_owner_s(stores: Stores) -> None:
    stores.people.join(A, N, OLD, [Name(N, Source.TICKET, 1)])
    stores.people.join(A, N, NEW, [Name(N, Source.OPERATOR, GONE_AT)])
    assert identify(stores.people, A, [N], told(n=NEW))[0].id == NEW
    person, whose = identify(stores.people, A, [OLD], told(n=NEW))
    assert (person.id, whose.present, whose.lost) == (OLD, {OLD}, {N: GONE_AT})


def test_two_people_are_never_put_together(stores: Stores) -> None:
    """The records say one thing, what WhatsApp told another: each stays who they are."""
    stores.people.join(A, N, OLD, [Name(N, Source.TICKET, 1)])
    stores.people.note_heard(A, NEW, 6)
    person, whose = identify(stores.people, A, [N], told(n=NEW))
    assert (person.id, OLD in whose.names, N in whose.names) == (NEW, False, False)
