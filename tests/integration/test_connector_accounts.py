"""Several accounts, several connectors: spread, moved, added; and a holder that was away writes nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.connector_processes import SECRET, SITI, TERMS, RunningConnectors, eventually, world
from tests.support.tcp_switch import Switch
from tocsin.accounts.lease import LeaseKeeper, read_lease
from tocsin.accounts.served_accounts import add_account, remove_account
from tocsin.accounts.whereabouts import Whereabouts
from tocsin.connector_client.client import ConnectorClient
from tocsin.connector_client.errors import LeaseMoved
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.account import AccountProfile
from tocsin.sealing import Sealer
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
def connectors(aws: Emulator) -> Iterator[RunningConnectors]:
    with LocalWhatsApp.start(log_file=aws.folder / "whatsapp.log") as whatsapp:
        for number in NUMBERS.values():
            whatsapp.control.add_phone(number, "Support")
        whatsapp.control.add_phone(SITI, "Siti")
        with world(aws, whatsapp, aws.folder) as built:
            yield built


def message_to(connectors: RunningConnectors, number: str, message_id: str) -> Node:
    lid = JID.parse(connectors.phones.phone(number)["lid"])
    enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + bytes(60))
    to = Node("participants", {}, (Node("to", {"jid": lid}, (enc,)),))
    return Node("message", {"id": message_id, "to": lid, "type": "text"}, (to,))


def logins(connectors: RunningConnectors, number: str | None = None) -> int:
    events = connectors.phones.events(kind="login")[0]
    return sum(event["device"] > 0 and number in (None, event["account"]) for event in events)


def holders(connectors: RunningConnectors) -> dict[str, str | None]:
    leases = {name: read_lease(connectors.table, name) for name in NAMES}
    return {name: lease.connector if lease else None for name, lease in leases.items()}


def spread(connectors: RunningConnectors) -> list[int]:
    return sorted(Counter(holder for holder in holders(connectors).values() if holder).values())


def all_connected(connectors: RunningConnectors) -> bool:
    leases = [read_lease(connectors.table, name) for name in NAMES]
    return all(lease is not None and lease.connector and lease.state == "connected" for lease in leases)


def everything_but_heartbeats(connectors: RunningConnectors) -> dict[tuple[str, str], Any]:
    """All items of the keys table."""
    items, after = {}, None
    while True:
        page = connectors.table.scan(after)
        items |= {(str(item["pk"]), str(item["sk"])): dict(item) for item in page.items}
        if page.following is None:
            return {key: item for key, item in items.items() if key[0] != CONNECTORS}
        after = page.following


# A holder that was away


def test_a_holder_paused_for_longer_than_its_lease_writes_and_sends_nothing_when_it_wakes(
    connectors: RunningConnectors,
) -> None:
    """SIGSTOP in the middle of its work: a message of a Lambda and a stanza of WhatsApp are under way."""
    with closing(Switch(connectors.whatsapp.url)) as wire:
        frozen = connectors.start(WHATSAPP_URL=wire.url.replace("http", "ws") + "/ws/chat")
        profile = connectors.pair(NUMBERS["default"])
        standby = connectors.start()
        standby.wait_until_said("standing by")
        stale = connectors.whereabouts()
        connectors.phones.write(SITI, NUMBERS["default"], "before it froze")
        frozen.pause()
        connectors.phones.write(SITI, NUMBERS["default"], "while it was frozen")
        eventually(
            lambda: connectors.lease().epoch == 2 and connectors.lease().state == "connected",
            "no takeover",
            60,
        )
        eventually(lambda: len(texts_of(connectors, "default")) >= 2, "the successor got nothing")
        time.sleep(3)  # what the successor still writes after its login

        written, sent, known = everything_but_heartbeats(connectors), wire.bytes_sent, logins(connectors)
        frozen.go_on()
        frozen.wait_until_said("lease lost")
        frozen.wait_until_said("standing by")
        with pytest.raises(LeaseMoved):
            client_of(stale).send_message(profile, message_to(connectors, SITI, "3EB0000000000001"))
        time.sleep(2)
        now = everything_but_heartbeats(connectors)
        changed = {key for key in written.keys() | now.keys() if written.get(key) != now.get(key)}
        print(f"stale writes accepted: {len(changed)}; bytes sent: {wire.bytes_sent - sent}")
        assert changed == set()
        assert wire.bytes_sent == sent
        assert logins(connectors) == known
        assert len(texts_of(connectors, "default")) == 0, "a stanza was forwarded twice"


def test_a_holder_paused_for_longer_than_its_lease_closes_its_socket_by_itself(
    connectors: RunningConnectors,
) -> None:
    """Nobody else logs in, so it isn't WhatsApp that ends the connection."""
    with closing(Switch(connectors.whatsapp.url)) as wire:
        paused = connectors.start(WHATSAPP_URL=wire.url.replace("http", "ws") + "/ws/chat")
        connectors.pair(NUMBERS["default"])
        taker = LeaseKeeper(
            connectors.table,
            "taker",
            url="https://127.0.0.1:1",
            certificate="none",
            sealer=Sealer.from_secret(SECRET),
            terms=TERMS,
        )
        paused.pause()
        eventually(taken_by(taker), "it can't be taken", 60)
        sent, gone = wire.bytes_sent, len(connectors.phones.events(kind="logout")[0])
        paused.go_on()
        eventually(
            lambda: len(connectors.phones.events(kind="logout")[0]) > gone, "the socket stays open", 60
        )
        assert paused.said("lease lost")
        assert wire.bytes_sent == sent
        assert connectors.lease().connector == "taker"


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
    connectors: RunningConnectors,
) -> None:
    with closing(Switch(connectors.aws.url)) as store:
        process = connectors.start(AWS_ENDPOINT_URL=store.url)
        connectors.pair(NUMBERS["default"])
        gone = len(connectors.phones.events(kind="logout")[0])
        store.off()
        closed = "no heartbeat for too long: all sockets are closed"
        process.wait_until_said(closed, 60)
        eventually(lambda: len(connectors.phones.events(kind="logout")[0]) > gone, "the socket stays open")
        said = [str(line.get("message")) for line in process.lines()]
        tries = sum(one.startswith("heartbeat failed") for one in said[: said.index(closed)])
        print(f"without the store for {tries} heartbeats before the socket was closed")
        assert tries > 1, "it gave up too early"
        before = logins(connectors)
        store.on()
        eventually(lambda: logins(connectors) == before + 1, "it doesn't come back", 60)
        connectors.wait_for_state("connected")
        # More than one higher where a claim landed whose answer was lost.
        assert connectors.lease().epoch > 1


def client_of(lease: Whereabouts | None) -> ConnectorClient:
    """A Lambda that remembers an old lease, and can read no newer one."""
    return ConnectorClient(lambda account: lease)


def texts_of(connectors: RunningConnectors, account: str) -> list[str]:
    """Ids of the messages that lie in the queue for an account; they are taken out."""
    bodies = connectors.queued(connectors.environment["STANZAS_QUEUE_URL"])
    return [
        body["node"].attr_str("id")
        for body in bodies
        if body["account"] == account and body["node"].tag == "message"
    ]


# Several accounts


def three_accounts(connectors: RunningConnectors) -> dict[str, AccountProfile]:
    connectors.start(ACCOUNTS=",".join(NAMES))
    return {name: connectors.pair(NUMBERS[name], name) for name in NAMES}


def test_one_connector_serves_several_accounts_each_with_its_phone(connectors: RunningConnectors) -> None:
    profiles = three_accounts(connectors)
    for place, (name, profile) in enumerate(profiles.items()):
        assert profile.jid.startswith(NUMBERS[name])
        connectors.client().send_message(profile, message_to(connectors, SITI, f"3EB000000000000{place}"))
        connectors.phones.write(SITI, NUMBERS[name], f"to {name}")
    routed = {
        event["id"]: event["from"] for event in connectors.phones.events(kind="message")[0] if "from" in event
    }
    bodies: list[dict[str, Any]] = []

    def all_there() -> bool:
        bodies.extend(connectors.queued(connectors.environment["STANZAS_QUEUE_URL"]))
        return len({body["account"] for body in bodies if body["node"].tag == "message"}) == 3

    eventually(all_there, f"not all accounts got theirs: {routed}")


def test_a_second_connector_gets_its_share_and_no_account_logs_in_twice_for_it(
    connectors: RunningConnectors,
) -> None:
    profiles = three_accounts(connectors)
    before = logins(connectors)
    connectors.start(ACCOUNTS=",".join(NAMES))
    eventually(lambda: spread(connectors) == [1, 2] and all_connected(connectors), "not shared", 60)
    time.sleep(8)  # longer than between two moves: nothing more moves
    assert spread(connectors) == [1, 2]
    assert logins(connectors) - before == 1
    client = connectors.client()
    for profile in profiles.values():
        client.request(profile, iq.prekey_count())


def test_the_accounts_of_a_killed_connector_go_on_with_the_other(
    connectors: RunningConnectors,
) -> None:
    three_accounts(connectors)
    first = connectors.processes[0]
    second = connectors.start(ACCOUNTS=",".join(NAMES))
    eventually(lambda: spread(connectors) == [1, 2] and all_connected(connectors), "not shared", 60)
    before = logins(connectors)
    first.kill()
    killed = time.monotonic()
    eventually(lambda: spread(connectors) == [3] and all_connected(connectors), "not taken over", 60)
    print(f"all with the other after {time.monotonic() - killed:.1f} s")
    assert logins(connectors) - before == 2, "only what it had moved"
    assert second.popen.poll() is None


def test_an_account_is_added_to_a_running_stack_and_let_go_again(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(NUMBERS["default"])
    outside = DynamoTable(connectors.aws.client("dynamodb"), connectors.environment["NOTIFICATIONS_TABLE"])
    add_account(outside, "billing", int(time.time()))
    eventually(lambda: read_lease(connectors.table, "billing"), "the new account isn't served")
    connectors.pair(NUMBERS["billing"], "billing")
    remove_account(outside, "billing")
    process.wait_until_said("account served no more", account="billing")
    eventually(lambda: connectors.lease("billing").connector is None, "it is still held")
    assert connectors.lease().state == "connected"


def test_what_is_under_way_while_an_account_moves_arrives(connectors: RunningConnectors) -> None:
    """Siti writes to all three while one of them moves; nothing is lost or doubled."""
    three_accounts(connectors)
    connectors.start(ACCOUNTS=",".join(NAMES))
    written = 0
    while not (spread(connectors) == [1, 2] and all_connected(connectors)):
        for name in NAMES:
            connectors.phones.write(SITI, NUMBERS[name], f"text {written}")
            written += 1
        time.sleep(0.1)
    found: list[tuple[str, str]] = []

    def all_there() -> bool:
        for body in connectors.queued(connectors.environment["STANZAS_QUEUE_URL"]):
            if body["node"].tag == "message":
                found.append((body["account"], body["node"].attr_str("id")))
        return len(found) >= written

    eventually(all_there, f"{len(found)} of {written}", 60)
    print(f"{written} messages while an account moved")
    assert len(set(found)) == len(found) == written
