"""A record of the keys table is damaged: it is named by its key, replaced where that is possible, and crashes
nobody. Only a person may replace the account's own secrets, so for them everything waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.fleet import Connector, Function
from tests.faults.looks import causes, failures, kill_all, receipts_for
from tests.support.stack import ACCOUNT, DESK, Bus, DeployedStack, Notice, Person, eventually
from tocsin.dynamo.writes import Item, Key, Put
from tocsin.notify.notification import State
from tocsin.sealing import masked
from tocsin.tables.keys import credentials_key, inbound_key, outbound_key, prekey_key

pytestmark = pytest.mark.faults

NEXT_PREKEYS = 60
"""The server gives them away in their order, so the next one is among the first so many."""


@pytest.fixture
def deployed(deployed: DeployedStack, never_sent: Notice) -> Iterator[DeployedStack]:
    """No test of this file may end in dead letters, or leave a function that crashes."""

    def letters() -> list[str]:
        """Without the one whose time runs out whatever a test does."""
        found = [letter.notification for letter in deployed.world.deployment.redriver().read()]
        return sorted(str(notification) for notification in found if notification != never_sent.id)

    before = letters()
    yield deployed
    assert letters() == before


@pytest.mark.parametrize("how", ["flipped", "cut", "emptied"])
def test_a_damaged_sending_chain_is_replaced_at_the_next_send(
    deployed: DeployedStack, connector: Connector, how: str
) -> None:
    siti = deployed.known("Siti")
    damage(deployed, outbound(deployed, siti), "chain#0", how)
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    assert failures(deployed, notice) == [], "the phone had to ask"
    assert named(deployed, "send_notification", outbound(deployed, siti), "chain#0")
    assert goes_on(deployed, siti)


def test_a_counter_that_was_set_back_leads_to_a_new_session_and_not_to_an_old_key(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti = deployed.known("Siti")
    for _ in range(2):
        deployed.until(deployed.tell(siti), State.READ)
    table = deployed.world.deployment.keys_table
    item = table.get(outbound(deployed, siti))
    assert item is not None
    table.put(Put(outbound(deployed, siti), without_key(item) | {"next": 0}))
    assert goes_on(deployed, siti)


def test_a_damaged_receiving_half_is_replaced_when_the_peer_writes(
    deployed: DeployedStack, connector: Connector, bus: Bus
) -> None:
    siti = deployed.known("Siti")
    deployed.phones.write(siti.number, DESK, "Halo")
    damage(deployed, inbound(deployed, siti), "states", "flipped")
    reply = deployed.phones.write(siti.number, DESK, "Masih mati")
    assert bus.wait("ReplyReceived", message_id=reply["id"])["text"] == "Masih mati"
    eventually(lambda: receipts_for(deployed, siti, reply["id"]), "the reply is never confirmed")
    assert named(deployed, "receive_stanza", inbound(deployed, siti), "states")
    assert goes_on(deployed, siti)


def test_a_damaged_receiving_half_does_not_keep_a_broken_session_from_healing(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti = deployed.known("Siti")
    damage(deployed, inbound(deployed, siti), "states", "cut")
    deployed.phones.break_phone(siti.number, "corrupt-session")
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    assert named(deployed, "receive_stanza", inbound(deployed, siti), "states")
    assert goes_on(deployed, siti)


def test_damaged_prekeys_are_asked_around(deployed: DeployedStack, connector: Connector, bus: Bus) -> None:
    table = deployed.world.deployment.keys_table
    unspent = table.query(prekey_key(ACCOUNT, 0)[0])
    keys = sorted((item_key(item) for item in unspent), key=lambda key: int(key[1]))[:NEXT_PREKEYS]
    sound = [item for key in keys if (item := table.get(key))]
    for key in keys:
        damage(deployed, key, "pair", "flipped")
    stranger = deployed.person("A stranger")
    first = deployed.phones.write(stranger.number, DESK, "Halo, internet saya mati")
    try:
        assert bus.wait("ReplyReceived", message_id=first["id"])["recipient"] == stranger.number
    finally:
        for item in sound:
            if table.get(item_key(item)):
                table.put(Put(item_key(item), without_key(item)))
    assert any(named(deployed, "receive_stanza", key, "pair") for key in keys)
    assert goes_on(deployed, stranger)


def test_with_damaged_account_secrets_everything_waits_for_a_person(
    deployed: DeployedStack, connector: Connector, sender: Function, receiver: Function, bus: Bus
) -> None:
    siti = deployed.known("Siti")
    key = credentials_key(ACCOUNT)
    sound = damage(deployed, key, "secrets", "flipped")
    try:
        kill_all(sender)
        kill_all(receiver)  # Whoever starts now has never seen them sound.
        notice = deployed.tell(siti)
        reply = deployed.phones.write(siti.number, DESK, "Halo")
        waiting = deployed.until(notice, State.WAITING)
        assert waiting.last_error is not None
        assert (waiting.last_error.code, waiting.retries_used) == ("damaged-account", 0)
        assert "secrets" in waiting.last_error.detail
        for function in ("send_notification", "receive_stanza"):
            assert named(deployed, function, key, "secrets")
    finally:
        deployed.world.deployment.keys_table.put(Put(key, without_key(sound)))
    deployed.phones.inject("drop", account=DESK)  # Each login resumes what waits.
    deployed.until(notice, State.READ)
    bus.wait("ReplyReceived", message_id=reply["id"])
    assert "crashed" not in causes(deployed, notice)
    deployed.nothing_is_lost(notice)


def damage(deployed: DeployedStack, key: Key, attribute: str, how: str) -> Item:
    """Spoil one attribute of an item, without a new tag, as no writer does. Return the item as it was."""
    table = deployed.world.deployment.keys_table
    item = eventually(lambda: table.get(key), f"there is no {masked(key[1])}")
    sealed = item[attribute]
    assert isinstance(sealed, bytes)
    middle = len(sealed) // 2
    spoilt = {
        "flipped": sealed[:middle] + bytes([sealed[middle] ^ 1]) + sealed[middle + 1 :],
        "cut": sealed[:middle],
        "emptied": b"\0",
    }[how]
    table.put(Put(key, without_key(item) | {attribute: spoilt}))
    return item


def named(deployed: DeployedStack, function: str, key: Key, attribute: str) -> bool:
    """Whether the function's log names the damaged record, once the log is there."""
    line = f"damaged record: {masked(key[0])} / {masked(key[1])} / {attribute}"
    return bool(eventually(lambda: line in deployed.stack.function_logs(function), f"no line says {line!r}"))


def goes_on(deployed: DeployedStack, person: Person) -> bool:
    """Afterwards all is as ever: two more arrive at the first try, and an answer is read."""
    reply = deployed.phones.write(person.number, DESK, "Oke")
    eventually(lambda: receipts_for(deployed, person, reply["id"]), "an answer is never confirmed")
    notices = [deployed.tell(person), deployed.tell(person)]
    deployed.all_until(notices, State.READ)
    assert [failures(deployed, notice) for notice in notices] == [[], []]
    deployed.nothing_is_lost(*notices)
    return True


def outbound(deployed: DeployedStack, person: Person) -> Key:
    return outbound_key(ACCOUNT, incarnation(deployed), lid(deployed, person))


def inbound(deployed: DeployedStack, person: Person) -> Key:
    return inbound_key(ACCOUNT, incarnation(deployed), lid(deployed, person), 0)


def incarnation(deployed: DeployedStack) -> int:
    return deployed.world.deployment.key_store(ACCOUNT).account.profile().incarnation


def lid(deployed: DeployedStack, person: Person) -> str:
    return str(deployed.phones.phone(person.number)["lid"])


def item_key(item: Item) -> Key:
    return str(item["pk"]), str(item["sk"])


def without_key(item: Item) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
