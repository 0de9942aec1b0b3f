"""Who can write to the keys table sets a counter back: noticed before a message key is used twice.

Three floors, one behind the other: the sealed chain, which lags up to 32 numbers; the connector, which has
seen every ciphertext of its life; and, for both tables, the hourly mark (`test_high_water_mark.py`).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_groups import WiredGroup
from tests.support.wired_groups import texts as texts_of
from tocsin.connector.gateway.used_keys import UsedKeys
from tocsin.connector_client.errors import KeyUsed
from tocsin.dynamo.writes import Put, Update
from tocsin.keys.chain import CHECKPOINT_DISTANCE
from tocsin.signal.wire import parse_sender_key_message
from tocsin.tables.keys import outbound_key, own_sender_key
from tocsin.whatsapp.node import Node

SITI = "1234@lid"


class House(WiredFunctions):
    """The functions, with the connector's memory before the network. `guarded` False: the twin without it."""

    def __init__(self, *, guarded: bool = True) -> None:
        super().__init__(MemoryAws())
        self.used_keys = UsedKeys()
        self.refusals: list[str] = []
        if guarded:
            self.network.before_delivery = self._look

    def _look(self, message: Node) -> None:
        refused = self.used_keys.claim(message)
        self.refusals += refused
        if refused:
            raise KeyUsed("its key went out before with other content", tuple(refused))

    def sends(self, count: int, first: int = 1) -> None:
        for number in range(first, first + count):
            self.tell(number)

    def outbound(self) -> dict[str, Any]:
        item = self.paired.table.get(outbound_key(ACCOUNT, self.paired.profile.incarnation, SITI))
        assert item is not None
        return dict(item)

    def set_back(self, by: int) -> None:
        """Somebody writes the counter, and nothing else."""
        item = self.outbound()
        key = (str(item["pk"]), str(item["sk"]))
        self.paired.table.update(Update(key, set={"next": max(item["next"] - by, 0)}))

    def put_back(self, item: dict[str, Any]) -> None:
        """Somebody writes the whole item as it was: every seal of it opens."""
        whole = {name: value for name, value in item.items() if name not in ("pk", "sk")}
        self.paired.table.put(Put((str(item["pk"]), str(item["sk"])), whole))

    def arrived(self) -> list[str]:
        return [text for text in texts(self.siti.devices[0]) if text.startswith("Tiket")]

    def send_until_sent(self, number: int) -> None:
        """As the queue does it: again while the verdict is a retry."""
        planned = self.plan(number)
        for _ in range(4):
            verdict = self.deliver(planned)
            if verdict.outcome == "sent":
                return
            assert verdict.outcome == "retry", verdict
        raise AssertionError(verdict)


@pytest.mark.parametrize("by", [1, 2, 7, CHECKPOINT_DISTANCE - 1, CHECKPOINT_DISTANCE, 40, 49])
def test_a_counter_set_back_uses_no_key_twice_and_loses_no_message(by: int) -> None:
    house = House()
    house.sends(50)
    house.set_back(by)
    for number in (51, 52, 53):
        house.send_until_sent(number)
    assert house.network.keys_used_twice() == []
    assert house.arrived() == [f"Tiket {number}" for number in range(1, 54)]


def test_twin_without_the_connector_s_memory_uses_a_key_twice() -> None:
    house = House(guarded=False)
    house.sends(5)
    house.set_back(2)
    house.deliver(house.plan(6))
    assert house.network.keys_used_twice()


@pytest.mark.parametrize("since", [1, 20, 45])
def test_a_whole_item_put_back_uses_no_key_twice(since: int) -> None:
    """Counter and chain of earlier belong together, so no seal can tell."""
    house = House()
    house.sends(since)
    earlier = house.outbound()
    house.sends(50 - since, first=since + 1)
    house.put_back(earlier)
    house.send_until_sent(51)
    assert house.network.keys_used_twice() == []
    assert house.arrived()[-1] == "Tiket 51"


def test_the_sealed_chain_is_a_floor_without_any_memory() -> None:
    """As after a restart: what lies below the checkpoint is noticed by the functions alone."""
    house = House(guarded=False)
    house.sends(60)
    house.set_back(60 - 5)
    house.send_until_sent(61)
    assert house.network.keys_used_twice() == []
    assert house.arrived()[-1] == "Tiket 61"


def test_what_remains_after_a_restart_is_what_lies_above_the_checkpoint() -> None:
    """Said in SEALED.md: a new process has seen nothing, and the checkpoint lags."""
    house = House()
    house.sends(5)
    house.used_keys = UsedKeys()
    house.set_back(1)
    house.deliver(house.plan(6))
    assert house.network.keys_used_twice()


def test_a_repeat_of_the_same_message_takes_a_new_number_and_is_no_second_use() -> None:
    house = House()
    house.network.lose_acks = 1
    planned = house.plan(1)
    assert house.deliver(planned).outcome == "retry"
    assert house.deliver(planned).outcome == "sent"
    assert house.refusals == []


def test_the_refused_device_gets_a_session_of_its_own_and_others_keep_theirs() -> None:
    house = House()
    house.sends(3)
    house.set_back(1)
    house.send_until_sent(4)
    assert set(house.refusals) == {"1234@lid", "1234:1@lid"}
    own = house.paired.own.devices[0]
    assert own.failures == []


# -- groups -----------------------------------------------------------------------------------------------


def guard(wired: WiredGroup) -> list[str]:
    """The connector's memory before the local server; who was refused."""
    used_keys, submit, refusals = UsedKeys(), wired.line.send_message, list[str]()

    def look(profile: Any, node: Node, **options: Any) -> Node:
        refused = used_keys.claim(node)
        refusals.extend(refused)
        if refused:
            raise KeyUsed("its key went out before with other content", tuple(refused))
        return submit(profile, node, **options)

    wired.line.send_message = look  # type: ignore[method-assign]
    return refusals


def set_group_back(wired: WiredGroup, by: int) -> None:
    key = own_sender_key(ACCOUNT, wired.paired.profile.incarnation, str(wired.group.jid))
    item = wired.paired.table.get(key)
    assert item is not None
    counted = item["next"]
    assert isinstance(counted, int)
    wired.paired.table.update(Update(key, set={"next": counted - by}))


def iterations(wired: WiredGroup) -> list[tuple[int, int]]:
    """Key id and iteration of each group message that left."""
    encs = [
        enc for node in wired.line.sent for enc in node.children("enc") if enc.attr_str("type") == "skmsg"
    ]
    sent = [parse_sender_key_message(enc.bytes()) for enc in encs]
    return [(each.key_id, each.iteration) for each in sent]


@pytest.mark.parametrize("by", [1, 3])
def test_a_group_s_counter_set_back_makes_a_new_key(by: int) -> None:
    wired = WiredGroup(MemoryAws())
    refusals = guard(wired)
    for number in range(1, 6):
        wired.tell_group(number)
    set_group_back(wired, by)
    wired.tell_group(6)
    assert refusals == [str(wired.group.jid)]
    used = iterations(wired)
    assert len(set(used)) == len(used) == 6
    for member in wired.colleagues:
        assert texts_of(member) == [f"Tiket {number}" for number in range(1, 7)]


def test_twin_without_the_memory_uses_a_group_s_key_twice() -> None:
    wired = WiredGroup(MemoryAws())
    for number in range(1, 4):
        wired.tell_group(number)
    set_group_back(wired, 1)
    wired.deliver(wired.plan_for_group(4))
    used = iterations(wired)
    assert len(set(used)) < len(used)
