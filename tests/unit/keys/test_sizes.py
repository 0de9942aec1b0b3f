"""What an operation costs: requests, and bytes against DynamoDB's units (1 KB written, 4 KB read)."""

from __future__ import annotations

import pytest

from tests.support.key_peers import End, converse
from tocsin.dynamo.memory import ITEM_LIMIT_BYTES
from tocsin.dynamo.writes import Item, Key, Put, Update, Write
from tocsin.keys.sessions import read_sessions
from tocsin.signal.ratchet import MAX_RECEIVING_CHAINS, MAX_SKIP
from tocsin.signal.session import MAX_ARCHIVED_STATES, MAX_EVICTED
from tocsin.tables.keys import inbound_key

WRITE_UNIT = 1024


def size_of(item: Item) -> int:
    """As DynamoDB counts: names and values in bytes, a number at most some ten."""
    sizes = {bytes: len, str: lambda text: len(text.encode())}
    return sum(len(name) + sizes.get(type(value), lambda _: 10)(value) for name, value in item.items())


def company(count: int) -> tuple[End, list[End]]:
    """One who knows so many devices of one user, names as long as they are in life."""
    ann = End("100000000000001@lid", device=13)
    phone = End("200000000000002@lid")
    devices = [phone, *(End(phone.user, device, phone=phone) for device in range(1, count))]
    bundles = {device.device: device.bundle() for device in devices}
    ann.keys.sending.make_sessions(
        ann.profile, ann.credentials, devices[0].user, bundles, devices=range(count)
    )
    return ann, devices


@pytest.mark.parametrize(("devices", "limit"), [(1, 320), (4, WRITE_UNIT), (5, 1250)])
def test_an_outbound_item_before_anybody_answered(devices: int, limit: int) -> None:
    ann, peers = company(devices)
    assert size_of(ann.outbound(peers[0])) <= limit


@pytest.mark.parametrize(("devices", "limit"), [(1, 300), (4, WRITE_UNIT), (5, 1080)])
def test_an_outbound_item_after_all_answered(devices: int, limit: int) -> None:
    ann, peers = company(devices)
    reservation = ann.reserve(peers[0])
    for peer in peers:
        peer.hear(ann, reservation.encrypt(peer.device, ann.profile, b"hello"))
        ann.read(peer, peer.say(ann, b"hello"))
    assert size_of(ann.outbound(peers[0])) <= limit


def test_a_receiving_half_after_many_turns() -> None:
    ann, (bob,) = company(1)
    for _ in range(12):
        converse(ann, bob)
    key: Key = inbound_key("main", ann.profile.incarnation, bob.user, 0)
    assert size_of(ann.table.get(key) or {}) <= WRITE_UNIT


@pytest.mark.slow
def test_the_worst_legitimate_peer_stays_far_below_the_limit_of_an_item() -> None:
    """One that begins session after session, uses five chains of each and more, and loses much of each."""
    ann, (bob,) = company(1)
    for _ in range(1 + MAX_ARCHIVED_STATES + 1):
        bob.meet(ann, replace=frozenset({ann.device}))
        for _ in range(MAX_RECEIVING_CHAINS + 1):
            for _ in range(15):
                bob.reserve(ann)
            ann.read(bob, bob.say(ann, b"after a gap"))
            bob.read(ann, ann.say(bob, b"so that bob turns"))
    record = read_sessions(ann.keys._context, ann.profile.incarnation, bob.user).record(0, 0)
    assert record is not None
    chains = [state.receiving for state in record.states]
    assert [len(each) for each in chains] == [MAX_RECEIVING_CHAINS] * (1 + MAX_ARCHIVED_STATES)
    assert sum(len(chain.skipped) for each in chains for chain in each) == MAX_SKIP
    assert len(record.evicted) == MAX_EVICTED
    key: Key = inbound_key("main", ann.profile.incarnation, bob.user, 0)
    assert size_of(ann.table.get(key) or {}) <= ITEM_LIMIT_BYTES / 3


def test_a_turn_is_one_transaction_of_at_most_eight_write_units() -> None:
    ann, (bob,) = company(1)
    converse(ann, bob)
    bob.read(ann, ann.say(bob, b"so that bob turns"))
    message = bob.say(ann, b"turn")
    seen: list[list[Write]] = []
    ann.table.before = lambda name, argument: seen.append(argument) if name == "transact" else None
    ann.read(bob, message)
    (writes,) = seen
    assert [type(write) for write in writes] == [Update, Put, Put]
    # Each member costs two units a kilobyte.
    items = [ann.table.get(write.key) or {} for write in writes]
    assert sum(2 * -(-size_of(item) // WRITE_UNIT) for item in items) <= 8
