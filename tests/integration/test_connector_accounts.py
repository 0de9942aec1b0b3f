"""Several accounts, several connectors: spread, moved, added; and a holder that was away writes nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.connector_processes import SITI, TERMS, World, eventually, world
from tests.support.tcp_switch import Switch
from tocsin.accounts.lease import LeaseInfo, LeaseKeeper, read_lease
from tocsin.accounts.served_accounts import add_account, remove_account
from tocsin.connector_client.client import ConnectorClient, LeaseMoved
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.account import AccountProfile
from tocsin.tables.keys import CONNECTORS
from tocsin.whatsapp import iq
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_local.emulator import Emulator
from tocsin_whatsapp_server.control_client import LocalWhatsApp

pytestmark = [pytest.mark.integration, pytest.mark.faults]

NAMES = ("default", "billing", "field")
NUMBERS = {name: f"628110000001{place}" for place, name in enumerate(NAMES)}


@pytest.fixture
def house(aws: Emulator) -> Iterator[World]:
    with LocalWhatsApp.start(log_file=aws.folder / "whatsapp.log") as whatsapp:
        for number in NUMBERS.values():
            whatsapp.control.add_phone(number, "Support")
        whatsapp.control.add_phone(SITI, "Siti")
        with world(aws, whatsapp, aws.folder) as built:
            yield built


def message_to(house: World, number: str, message_id: str) -> Node:
    lid = JID.parse(house.phones.phone(number)["lid"])
    enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + bytes(60))
    to = Node("participants", {}, (Node("to", {"jid": lid}, (enc,)),))
    return Node("message", {"id": message_id, "to": lid, "type": "text"}, (to,))


def logins(house: World, number: str | None = None) -> int:
    events = house.phones.events(kind="login")[0]
    return sum(event["device"] > 0 and number in (None, event["account"]) for event in events)


def holders(house: World) -> dict[str, str | None]:
    leases = {name: read_lease(house.table, name) for name in NAMES}
    return {name: lease.connector if lease else None for name, lease in leases.items()}


def spread(house: World) -> list[int]:
    return sorted(Counter(holder for holder in holders(house).values() if holder).values())


def all_connected(house: World) -> bool:
    leases = [read_lease(house.table, name) for name in NAMES]
    return all(lease is not None and lease.connector and lease.state == "connected" for lease in leases)


def everything_but_heartbeats(house: World) -> dict[tuple[str, str], Any]:
    """All items of the keys table."""
    items, after = {}, None
    while True:
        page = house.table.scan(after)
        items |= {(str(item["pk"]), str(item["sk"])): dict(item) for item in page.items}
        if page.following is None:
            return {key: item for key, item in items.items() if key[0] != CONNECTORS}
        after = page.following


# A holder that was away


def test_a_holder_paused_for_longer_than_its_lease_writes_and_sends_nothing_when_it_wakes(
    house: World,
) -> None:
    """SIGSTOP in the middle of its work: a message of a Lambda and a stanza of WhatsApp are under way."""
    with closing(Switch(house.whatsapp.url)) as wire:
        frozen = house.start(WHATSAPP_URL=wire.url.replace("http", "ws") + "/ws/chat")
        profile = house.pair(NUMBERS["default"])
        standby = house.start()
        standby.wait_until_said("standing by")
        stale = house.lease()
        house.phones.write(SITI, NUMBERS["default"], "before it froze")
        frozen.pause()
        house.phones.write(SITI, NUMBERS["default"], "while it was frozen")
        eventually(lambda: house.lease().epoch == 2 and house.lease().state == "connected", "no takeover", 30)
        eventually(lambda: len(texts_of(house, "default")) >= 2, "the successor got nothing")
        time.sleep(3)  # what the successor still writes after its login

        written, sent, known = everything_but_heartbeats(house), wire.bytes_sent, logins(house)
        frozen.go_on()
        frozen.wait_until_said("lease lost")
        frozen.wait_until_said("standing by")
        with pytest.raises(LeaseMoved):
            client_of(stale).send_message(profile, message_to(house, SITI, "3EB0000000000001"))
        time.sleep(2)
        now = everything_but_heartbeats(house)
        changed = {key for key in written.keys() | now.keys() if written.get(key) != now.get(key)}
        print(f"stale writes accepted: {len(changed)}; bytes sent: {wire.bytes_sent - sent}")
        assert changed == set()
        assert wire.bytes_sent == sent
        assert logins(house) == known
        assert len(texts_of(house, "default")) == 0, "a stanza was forwarded twice"


def test_a_holder_paused_for_longer_than_its_lease_closes_its_socket_by_itself(house: World) -> None:
    """Nobody else logs in, so it isn't WhatsApp that ends the connection."""
    with closing(Switch(house.whatsapp.url)) as wire:
        paused = house.start(WHATSAPP_URL=wire.url.replace("http", "ws") + "/ws/chat")
        house.pair(NUMBERS["default"])
        taker = LeaseKeeper(house.table, "taker", url="https://127.0.0.1:1", certificate="none", terms=TERMS)
        paused.pause()
        eventually(taken_by(taker), "it can't be taken", 30)
        sent, gone = wire.bytes_sent, len(house.phones.events(kind="logout")[0])
        paused.go_on()
        eventually(lambda: len(house.phones.events(kind="logout")[0]) > gone, "the socket stays open", 10)
        assert paused.said("lease lost")
        assert wire.bytes_sent == sent
        assert house.lease().connector == "taker"


def taken_by(keeper: LeaseKeeper) -> Callable[[], bool]:
    def take() -> bool:
        keeper.beat()
        keeper.members()
        try:
            return keeper.acquire("default") > 1
        except Exception:  # noqa: BLE001  not dead yet
            time.sleep(0.5)
            return False

    return take


def test_with_the_store_away_sockets_stay_while_the_lease_allows_and_then_close_by_themselves(
    house: World,
) -> None:
    with closing(Switch(house.aws.url)) as store:
        process = house.start(AWS_ENDPOINT_URL=store.url)
        house.pair(NUMBERS["default"])
        gone = len(house.phones.events(kind="logout")[0])
        store.off()
        away = time.monotonic()
        process.wait_until_said("no heartbeat for too long: all sockets are closed", 30)
        lasted = time.monotonic() - away
        eventually(lambda: len(house.phones.events(kind="logout")[0]) > gone, "the socket stays open")
        print(f"without the store for {lasted:.1f} s before the socket was closed")
        assert lasted > TERMS.hold - TERMS.beat - 1, "it gave up too early"
        before = logins(house)
        store.on()
        eventually(lambda: logins(house) == before + 1, "it doesn't come back", 30)
        house.wait_for_state("connected")
        # More than one higher where a claim landed whose answer was lost.
        assert house.lease().epoch > 1


def client_of(lease: LeaseInfo) -> ConnectorClient:
    """A Lambda that remembers an old lease, and can read no newer one."""
    return ConnectorClient(lambda account: lease)


def texts_of(house: World, account: str) -> list[str]:
    """Ids of the messages that lie in the queue for an account; they are taken out."""
    bodies = house.queued(house.environment["STANZAS_QUEUE_URL"])
    return [
        body["node"].attr_str("id")
        for body in bodies
        if body["account"] == account and body["node"].tag == "message"
    ]


# Several accounts


def three_accounts(house: World) -> dict[str, AccountProfile]:
    house.start(ACCOUNTS=",".join(NAMES))
    return {name: house.pair(NUMBERS[name], name) for name in NAMES}


def test_one_connector_serves_several_accounts_each_with_its_phone(house: World) -> None:
    profiles = three_accounts(house)
    for place, (name, profile) in enumerate(profiles.items()):
        assert profile.jid.startswith(NUMBERS[name])
        house.client().send_message(profile, message_to(house, SITI, f"3EB000000000000{place}"))
        house.phones.write(SITI, NUMBERS[name], f"to {name}")
    routed = {
        event["id"]: event["from"] for event in house.phones.events(kind="message")[0] if "from" in event
    }
    bodies: list[dict[str, Any]] = []

    def all_there() -> bool:
        bodies.extend(house.queued(house.environment["STANZAS_QUEUE_URL"]))
        return len({body["account"] for body in bodies if body["node"].tag == "message"}) == 3

    eventually(all_there, f"not all accounts got theirs: {routed}")


def test_a_second_connector_gets_its_share_and_no_account_logs_in_twice_for_it(house: World) -> None:
    profiles = three_accounts(house)
    before = logins(house)
    house.start(ACCOUNTS=",".join(NAMES))
    eventually(lambda: spread(house) == [1, 2] and all_connected(house), "not shared", 30)
    time.sleep(8)  # longer than between two moves: nothing more moves
    assert spread(house) == [1, 2]
    assert logins(house) - before == 1
    client = house.client()
    for profile in profiles.values():
        client.request(profile, iq.prekey_count())


def test_the_accounts_of_a_killed_connector_go_on_with_the_other_within_the_lease(house: World) -> None:
    three_accounts(house)
    first = house.processes[0]
    second = house.start(ACCOUNTS=",".join(NAMES))
    eventually(lambda: spread(house) == [1, 2] and all_connected(house), "not shared", 30)
    before = logins(house)
    first.kill()
    killed = time.monotonic()
    eventually(lambda: spread(house) == [3] and all_connected(house), "not taken over", 25)
    print(f"all with the other after {time.monotonic() - killed:.1f} s")
    assert logins(house) - before == 2, "only what it had moved"
    assert second.popen.poll() is None


def test_an_account_is_added_to_a_running_stack_and_let_go_again(house: World) -> None:
    process = house.start()
    house.pair(NUMBERS["default"])
    outside = DynamoTable(house.aws.client("dynamodb"), house.environment["NOTIFICATIONS_TABLE"])
    add_account(outside, "billing", int(time.time()))
    eventually(lambda: read_lease(house.table, "billing"), "the new account isn't served")
    house.pair(NUMBERS["billing"], "billing")
    remove_account(outside, "billing")
    process.wait_until_said("account served no more", account="billing")
    eventually(lambda: house.lease("billing").connector is None, "it is still held")
    assert house.lease().state == "connected"


def test_what_is_under_way_while_an_account_moves_arrives(house: World) -> None:
    """Siti writes to all three while one of them moves; nothing is lost or doubled."""
    three_accounts(house)
    house.start(ACCOUNTS=",".join(NAMES))
    written = 0
    while not (spread(house) == [1, 2] and all_connected(house)):
        for name in NAMES:
            house.phones.write(SITI, NUMBERS[name], f"text {written}")
            written += 1
        time.sleep(0.1)
    found: list[tuple[str, str]] = []

    def all_there() -> bool:
        for body in house.queued(house.environment["STANZAS_QUEUE_URL"]):
            if body["node"].tag == "message":
                found.append((body["account"], body["node"].attr_str("id")))
        return len(found) >= written

    eventually(all_there, f"{len(found)} of {written}", 30)
    print(f"{written} messages while an account moved")
    assert len(set(found)) == len(found) == written
