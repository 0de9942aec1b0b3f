"""A record of the keys table is damaged: it is named by its key, replaced where that is possible, and crashes
nobody. Only a person may replace the account's own secrets, so for them everything waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.fleet import Connector, Function
from tests.faults.looks import causes, failures, kill_all, receipts_for
from tests.support.stack import ACCOUNT, DESK, Bus, Notice, Person, Stage, eventually
from tocsin.dynamo.writes import Item, Key, Put
from tocsin.keys.seal import masked
from tocsin.notify.notification import State
from tocsin.tables.keys import credentials_key, inbound_key, outbound_key, prekey_key

pytestmark = pytest.mark.faults

NEXT_PREKEYS = 60
"""The server gives them away in their order, so the next one is among the first so many."""


@pytest.fixture
def stage(stage: Stage, never_sent: Notice) -> Iterator[Stage]:
    """No test of this file may end in dead letters, or leave a function that crashes."""

    def letters() -> list[str]:
        """Without the one whose time runs out whatever a test does."""
        found = [letter.notification for letter in stage.world.deployment.redriver().read()]
        return sorted(str(notification) for notification in found if notification != never_sent.id)

    before = letters()
    yield stage
    assert letters() == before


@pytest.mark.parametrize("how", ["flipped", "cut", "emptied"])
def test_a_damaged_sending_chain_is_replaced_at_the_next_send(
    stage: Stage, connector: Connector, how: str
) -> None:
    siti = stage.known("Siti")
    damage(stage, outbound(stage, siti), "chain#0", how)
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    assert failures(stage, notice) == [], "the phone had to ask"
    assert named(stage, "send_notification", outbound(stage, siti), "chain#0")
    assert goes_on(stage, siti)


def test_a_counter_that_was_set_back_leads_to_a_new_session_and_not_to_an_old_key(
    stage: Stage, connector: Connector
) -> None:
    siti = stage.known("Siti")
    for _ in range(2):
        stage.until(stage.tell(siti), State.READ)
    table = stage.world.deployment.keys_table
    item = table.get(outbound(stage, siti))
    assert item is not None
    table.put(Put(outbound(stage, siti), without_key(item) | {"next": 0}))
    assert goes_on(stage, siti)


def test_a_damaged_receiving_half_is_replaced_when_the_peer_writes(
    stage: Stage, connector: Connector, bus: Bus
) -> None:
    siti = stage.known("Siti")
    stage.phones.write(siti.number, DESK, "Halo")
    damage(stage, inbound(stage, siti), "states", "flipped")
    reply = stage.phones.write(siti.number, DESK, "Masih mati")
    assert bus.wait("ReplyReceived", message_id=reply["id"])["text"] == "Masih mati"
    eventually(lambda: receipts_for(stage, siti, reply["id"]), "the reply is never confirmed")
    assert named(stage, "receive_stanza", inbound(stage, siti), "states")
    assert goes_on(stage, siti)


def test_a_damaged_receiving_half_does_not_keep_a_broken_session_from_healing(
    stage: Stage, connector: Connector
) -> None:
    siti = stage.known("Siti")
    damage(stage, inbound(stage, siti), "states", "cut")
    stage.phones.break_phone(siti.number, "corrupt-session")
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    assert named(stage, "receive_stanza", inbound(stage, siti), "states")
    assert goes_on(stage, siti)


def test_damaged_prekeys_are_asked_around(stage: Stage, connector: Connector, bus: Bus) -> None:
    table = stage.world.deployment.keys_table
    unspent = table.query(prekey_key(ACCOUNT, 0)[0])
    keys = sorted((item_key(item) for item in unspent), key=lambda key: int(key[1]))[:NEXT_PREKEYS]
    sound = [item for key in keys if (item := table.get(key))]
    for key in keys:
        damage(stage, key, "pair", "flipped")
    stranger = stage.person("A stranger")
    first = stage.phones.write(stranger.number, DESK, "Halo, internet saya mati")
    try:
        assert bus.wait("ReplyReceived", message_id=first["id"])["recipient"] == stranger.number
    finally:
        for item in sound:
            if table.get(item_key(item)):
                table.put(Put(item_key(item), without_key(item)))
    assert any(named(stage, "receive_stanza", key, "pair") for key in keys)
    assert goes_on(stage, stranger)


def test_with_damaged_account_secrets_everything_waits_for_a_person(
    stage: Stage, connector: Connector, sender: Function, receiver: Function, bus: Bus
) -> None:
    siti = stage.known("Siti")
    key = credentials_key(ACCOUNT)
    sound = damage(stage, key, "secrets", "flipped")
    try:
        kill_all(sender)
        kill_all(receiver)  # Whoever starts now has never seen them sound.
        notice = stage.tell(siti)
        reply = stage.phones.write(siti.number, DESK, "Halo")
        waiting = stage.until(notice, State.WAITING)
        assert waiting.last_error is not None
        assert (waiting.last_error.code, waiting.retries_used) == ("damaged-account", 0)
        assert "secrets" in waiting.last_error.detail
        for function in ("send_notification", "receive_stanza"):
            assert named(stage, function, key, "secrets")
    finally:
        stage.world.deployment.keys_table.put(Put(key, without_key(sound)))
    stage.phones.inject("drop", account=DESK)  # Each login resumes what waits.
    stage.until(notice, State.READ)
    bus.wait("ReplyReceived", message_id=reply["id"])
    assert "crashed" not in causes(stage, notice)
    stage.nothing_is_lost(notice)


def damage(stage: Stage, key: Key, attribute: str, how: str) -> Item:
    """Spoil one attribute of an item, without a new tag, as no writer does. Return the item as it was."""
    table = stage.world.deployment.keys_table
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


def named(stage: Stage, function: str, key: Key, attribute: str) -> bool:
    """Whether the function's log names the damaged record, once the log is there."""
    line = f"damaged record: {masked(key[0])} / {masked(key[1])} / {attribute}"
    return bool(eventually(lambda: line in stage.stack.function_logs(function), f"no line says {line!r}"))


def goes_on(stage: Stage, person: Person) -> bool:
    """Afterwards all is as ever: two more arrive at the first try, and an answer is read."""
    reply = stage.phones.write(person.number, DESK, "Oke")
    eventually(lambda: receipts_for(stage, person, reply["id"]), "an answer is never confirmed")
    notices = [stage.tell(person), stage.tell(person)]
    stage.all_until(notices, State.READ)
    assert [failures(stage, notice) for notice in notices] == [[], []]
    stage.nothing_is_lost(*notices)
    return True


def outbound(stage: Stage, person: Person) -> Key:
    return outbound_key(ACCOUNT, incarnation(stage), lid(stage, person))


def inbound(stage: Stage, person: Person) -> Key:
    return inbound_key(ACCOUNT, incarnation(stage), lid(stage, person), 0)


def incarnation(stage: Stage) -> int:
    return stage.world.deployment.key_store(ACCOUNT).account.profile().incarnation


def lid(stage: Stage, person: Person) -> str:
    return str(stage.phones.phone(person.number)["lid"])


def item_key(item: Item) -> Key:
    return str(item["pk"]), str(item["sk"])


def without_key(item: Item) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
