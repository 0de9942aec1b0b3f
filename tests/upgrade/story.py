"""A story in two halves, told by one release and gone on with by another.

    python story.py write FILE     tell the first half; FILE then holds the tables, the queues and the people
    python story.py go-on FILE     go on with it; what came of each scene is printed, as JSON

It runs on the code of whatever release comes first on the path, with that release's own `tests/support`. So
it uses nothing that isn't in both: it is changed when the release before is moved on, and not before.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.fake_whatsapp import Device, Network, Person, message_from
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.paired_account import ACCOUNT, Lease, PairedAccount
from tests.support.running_endpoint import Profile, ScriptedAccounts
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions, receipt_of
from tocsin.accounts.lease import LeaseKeeper, read_lease
from tocsin.accounts.limits import FIRST_CONTACTS, Limit, read_limits
from tocsin.accounts.operator_requests import answer, open_request, read_control, read_request, request
from tocsin.accounts.served_accounts import add_account, added_accounts
from tocsin.accounts.state import AccountState
from tocsin.accounts.whereabouts import read_whereabouts
from tocsin.connector.forwarding.stanza import Origin, pack
from tocsin.connector.gateway.endpoint import Endpoint, refuse
from tocsin.connector.gateway.httpd import Answer, Head
from tocsin.connector_client.client import ConnectorClient
from tocsin.connector_client.protocol import STATUS
from tocsin.dynamo.attributes import from_item, to_item
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.keys.high_water_mark import read_high_water_mark
from tocsin.multidevice.socket import RememberedLeases
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import Notification
from tocsin.notify.queues import Order
from tocsin.notify.store.stores import Stores
from tocsin.sealing import Sealer
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.signal.state import decode_record, encode_record
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

try:
    from tocsin.connector_client.answers import Stale, understand
    from tocsin.connector_client.errors import ConnectorError
    from tocsin.connector_client.line import Line
    from tocsin.whatsapp.encoder import encode
except ImportError:
    # In release 0.1.0 they are elsewhere.
    from tocsin.connector_client.client import ConnectorError
    from tocsin.connector_client.client import _Line as Line
    from tocsin.connector_client.client import _Stale as Stale
    from tocsin.connector_client.client import _understand as understand
    from tocsin.whatsapp.node import encode

OTHER = "6281399990000@s.whatsapp.net"
GROUP = "12036300000000001@g.us"
LATER = 60
NEWER_REFUSALS = ("protocol", "download-failed")
NEXT_RELEASE = "from_the_next_release"
"""What every record may bear, and must keep where it isn't replaced as a whole."""

Json = dict[str, Any]

SPOKEN_TO = Lease()
RESULT = Node("iq", {"type": "result", "id": "1"})
MEDIA_ANSWER = json.dumps({"url": "https://media.test/1", "direct_path": "/v/1"}).encode()


class Stage(PairedAccount):
    """The account, its keys and its people as they were; only the socket is new."""

    def __init__(self, told: Json, table: MemoryTable, stores: Stores) -> None:
        self.now = float(told["now"] + LATER)
        self.stores = stores
        self.table = table
        self.sealer = Sealer({"k1": bytes(32)}, "k1")
        self.keys = self.open_keys(ACCOUNT)
        self.network = Network()
        self.own, self.siti = (self._person(told["people"][name]) for name in ("own", "siti"))
        self.lease: Lease | None = Lease()
        self.lease_reads = 0
        self.leases = RememberedLeases(self._read_lease)
        self.uploads = None
        self.transport = self.new_transport()

    def _person(self, told: Json) -> Person:
        devices = [_device(one) for one in told["devices"]]
        person = Person(told["phone"], told["lid"], {one.jid.device: one for one in devices})
        self.network.people[told["lid"]] = person
        return person


class House(WiredFunctions):
    """The functions on the tables and queues of the first half."""

    def __init__(self, told: Json) -> None:
        self.told = told
        super().__init__(MemoryAws(*(_table(told["tables"][name]) for name in ("notifications", "keys"))))

    def _paired_on(self, aws: Any) -> tuple[PairedAccount, Stores]:
        stores = Stores(aws.notifications_table, aws.keys_table, texts=TEXTS, clock=lambda: paired.now)
        paired = Stage(self.told, aws.keys_table, stores)
        return paired, stores

    def named(self, name: str) -> Notification:
        found = self.stores.notifications.get(self.told["notifications"][name])
        assert found is not None
        return found

    def order(self, name: str) -> str:
        """The queue's message, as the first half left it; what was planned is delivered by it."""
        notification = self.told["notifications"][name]
        [body] = [one for one in self.told["orders"] if json.loads(one)["notification"] == notification]
        return str(body)

    def deliver_by(self, body: str) -> str:
        return self.delivery.deliver(Order.parse(body), 1).outcome

    def shown(self, device: int = 0) -> list[str]:
        return [text for _, text in self.siti.devices[device].shown]


# -- the first half --------------------------------------------------------------------------------------


def write() -> Json:
    """Tell it; everything that the other release finds."""
    wired = WiredFunctions(MemoryAws())
    paired, at = wired.paired, int(wired.paired.now * 1000)
    stores, aws, keys = wired.stores, wired.aws, paired.keys
    names = {name: wired.tell(number) for number, name in enumerate(("read", "sent", "overdue", "unread"), 1)}
    wired.receipt(names["read"])
    wired.receipt(names["read"], "read")
    stores.notifications.mark_overdue(names["overdue"].id, at + 7_200_000)
    wired.reply("masih rusak", "R0")
    wired.reply("lagi", "R1", wired.siti.devices[1])
    # A break that is healed, and so a rebuilt session and its record.
    wired.siti.devices[1].corrupt()
    names["healed"] = wired.tell(5)
    wired.answer_retries()
    # One that stays broken until the other release hears of it.
    wired.siti.devices[0].corrupt()
    names["broken"] = wired.tell(6)
    retry = wired.network.retries.pop(0)
    for number, name in enumerate(("planned", "failed", "waiting"), 7):
        names[name] = wired.plan(number)
    failed = wired.stored(names["failed"])
    wired.dead_letters.bury(failed, Permanent("gone", "it left WhatsApp"), at)
    wired.queue.send(names["planned"])
    paired.lease = None
    paired.leases.forget(ACCOUNT)
    wired.deliver(names["waiting"])
    stores.people.opt_out(ACCOUNT, OTHER, "stop", at)
    add_account(aws.notifications_table, "second", int(paired.now))
    keys.account.record_high_water_mark(aws.notifications_table)
    keys.account.new_prekeys(2)
    keys.account.note_limit(Limit(FIRST_CONTACTS, "463", int(paired.now) + 3600, int(paired.now)))
    keeper = _keeper(wired, "c-first")
    keeper.beat()
    keeper.set_state(ACCOUNT, keeper.acquire(ACCOUNT), AccountState.CONNECTED)
    request(paired.table, paired.sealer, ACCOUNT, "reconnect", int(paired.now), bytes(12))
    answer(paired.table, paired.sealer, ACCOUNT, bytes(12), state=AccountState.CONNECTED, message="seen")
    origin = Origin(ACCOUNT, paired.profile.incarnation, 1)
    stanzas = {
        "retry": retry,
        "receipt": receipt_of(wired.siti, names["sent"].message_id),
        "reply": message_from(wired.siti.devices[1], wired.siti, "R9", "sudah baik"),
    }
    return {
        "now": int(paired.now),
        "notifications": {name: one.id for name, one in names.items()},
        "orders": _bodies(aws, "notifications"),
        "letters": _bodies(aws, "dead-letters"),
        "stanzas": {name: pack(node, origin, at).body for name, node in stanzas.items()},
        **spoken(),
        "people": {"own": _told_person(paired.own), "siti": _told_person(paired.siti)},
        "tables": {
            "notifications": _items(aws.notifications_table),
            "keys": _items(paired.table),
        },
    }


def spoken() -> Json:
    """What functions of this release ask the endpoint, what its connector answers, and how it refuses."""
    calls: list[Json] = []

    def note(
        line: Any, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, bytes]:
        calls.append({"path": path, "headers": dict(headers), "body": base64.b64encode(body).decode()})
        kind = path.rpartition("/")[2]
        return 200, MEDIA_ANSWER if kind == "media" else encode(RESULT)

    client, post = ConnectorClient(lambda account: SPOKEN_TO), Line.post
    Line.post = note  # type: ignore[assignment,method-assign]
    try:
        client.request(Profile(), Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),)), 7)
        client.send_message(
            Profile(), Node("message", {"id": "3EB0AA", "to": "1234@lid"}, b"x"), resumed=True
        )
        client.send(Profile(), Node("receipt", {"id": "3EB0AA", "to": "1234@lid"}))
        client.upload(Profile(), "image", b"blob")
        client.resumed(Profile())
    finally:
        Line.post = post  # type: ignore[method-assign]
    more = {"state": "connecting", "until": 1.5, "limit": "messages", "names": "1234@lid"}
    return {
        "calls": calls,
        "answers": [_told_answer(served(call)) for call in calls],
        "refusals": {code: _told_answer(refuse(code, "why", **more)) for code in sorted(STATUS)},
    }


def served(call: Json) -> Answer:
    """What the endpoint of this release answers."""
    headers = {name.lower(): value for name, value in call["headers"].items()}
    handler = Endpoint(ScriptedAccounts())._admit(Head("POST", call["path"], headers))
    if isinstance(handler, Answer):
        return handler
    return asyncio.run(handler(base64.b64decode(call["body"])))  # type: ignore[arg-type]


def understood(told: Json) -> str:
    """What a function of this release makes of an answer."""
    try:
        understand(told["status"], base64.b64decode(told["body"]))
    except Stale as stale:
        return type(stale.error).__name__
    except ConnectorError as error:
        return type(error).__name__
    return "ok"


def _told_answer(answer: Answer) -> Json:
    return {"status": answer.status, "body": base64.b64encode(answer.body).decode()}


def _keeper(wired: WiredFunctions, name: str) -> LeaseKeeper:
    return LeaseKeeper(
        wired.paired.table,
        name,
        url="https://127.0.0.1:1",
        certificate="PEM",
        sealer=wired.paired.sealer,
        clock=lambda: wired.paired.now,
    )


# -- the second half -------------------------------------------------------------------------------------

SCENES: dict[str, Callable[[House], object]] = {}
"""Name → what is done, in this order, all on one stage; what it returns is compared."""


def scene(told: Callable[[House], object]) -> Callable[[House], object]:
    SCENES[told.__name__.replace("_", " ")] = told
    return told


def go_on(told: Json) -> Json:
    """What came of each scene: its result, or the error that ended it."""
    house = House(told)
    results: Json = {}
    for name, play in SCENES.items():
        try:
            results[name] = play(house)
        except Exception as exc:  # noqa: BLE001  the reader compares it
            results[name] = f"{type(exc).__name__}: {exc}"
    results["kept"] = sorted(set(_unknown(told)) - set(_kept(house)))
    return results


@scene
def states_are_read(house: House) -> object:
    return {name: str(house.named(name).state) for name in house.told["notifications"]}


@scene
def what_got_no_receipt_in_time_is_found(house: House) -> object:
    ids = {identity: name for name, identity in house.told["notifications"].items()}
    in_two_hours = int(house.paired.now * 1000) + 7_200_000
    # Where 0.1.0 looked, and where it is looked since.
    looked = getattr(house.stores, "watches", house.stores.notifications)
    return sorted(ids[found] for found in looked.overdue(ACCOUNT, in_two_hours))


@scene
def the_order_is_carried_out_in_the_session_that_is_there(house: House) -> object:
    asked = len(house.network.queries)
    outcome = house.deliver_by(house.order("planned"))
    return outcome, house.shown(1)[-1:], house.siti.devices[1].failures, len(house.network.queries) - asked


@scene
def what_waits_goes_on(house: House) -> object:
    [row] = house.stores.parking.waiting(ACCOUNT)
    house.stores.parking.requeue(row.notification, row=row)
    outcome = house.deliver(house.named("waiting"), resumed=True).outcome
    house.stores.parking.drop_waiting(row)
    return row.cause, outcome, house.shown(1)[-1:], list(house.stores.parking.waiting(ACCOUNT))


@scene
def a_device_that_could_not_read_it_gets_it_again(house: House) -> object:
    report = house.inbound.handle(house.told["stanzas"]["retry"])
    return report.outcome, "Tiket 6" in house.shown()


@scene
def a_receipt_counts(house: House) -> object:
    house.inbound.handle(house.told["stanzas"]["receipt"])
    return str(house.named("sent").state)


@scene
def an_answer_is_read_once(house: House) -> object:
    outcomes = [house.inbound.handle(house.told["stanzas"]["reply"]).outcome for _ in range(2)]
    names = ["1234@lid", house.siti.pn]
    replies = [
        reply["text"]
        for notification in house.told["notifications"].values()
        for reply in house.stores.replies.about(ACCOUNT, list(map(str, names)), notification)
    ]
    return outcomes, replies.count("sudah baik")


@scene
def a_late_receipt_of_what_was_overdue_counts(house: House) -> object:
    house.receive(receipt_of(house.siti, house.named("overdue").message_id, "read"))
    return str(house.named("overdue").state)


@scene
def a_dead_letter_is_redriven(house: House) -> object:
    [letter] = house.told["letters"]
    failed = house.named("failed").id
    assert json.loads(letter)["notification"] == failed
    at = int(house.paired.now * 1000)
    redriven = house.stores.notifications.reset_for_redrive(failed, at=at, expires_at=at + 86_400_000)
    return redriven.applied, house.deliver(redriven.notification).outcome, house.shown(1)[-1:]


@scene
def consent_is_kept(house: House) -> object:
    return house.stores.people.find(ACCOUNT, OTHER).opt_out_word


@scene
def the_account_is_what_it_was(house: House) -> object:
    keys, table = house.paired.keys, house.paired.table
    mark = read_high_water_mark(house.aws.notifications_table, ACCOUNT)
    lease, where = read_lease(table, ACCOUNT), read_whereabouts(table, ACCOUNT, house.paired.sealer)
    asked = open_request(read_request(table, ACCOUNT), ACCOUNT, house.paired.sealer, house.paired.now)
    shown = read_control(table, ACCOUNT, house.paired.sealer)
    return {
        "incarnation": house.paired.profile.incarnation,
        "prekeys": keys.account.prekey_count() > 0,
        "mark": mark is not None and mark.incarnation == house.paired.profile.incarnation,
        "lease": lease is not None and (lease.connector, str(lease.state), lease.epoch),
        "where": where is not None and (where.connector, where.url, where.certificate),
        "limits": sorted(read_limits(table, ACCOUNT, int(house.paired.now))),
        "asked": asked.request,
        "shown": (str(shown.state), shown.message),
        "added": added_accounts(house.aws.notifications_table),
    }


@scene
def requests_are_served(house: House) -> object:
    return [served(call).status for call in house.told["calls"]]


@scene
def answers_are_understood(house: House) -> object:
    return [understood(told) for told in house.told["answers"]]


@scene
def refusals_are_understood(house: House) -> object:
    # The release before never asks for what leads to these.
    asked = {code: told for code, told in house.told["refusals"].items() if code not in NEWER_REFUSALS}
    return {code: understood(told) for code, told in asked.items()}


@scene
def another_connector_takes_over(house: House) -> object:
    lease = read_lease(house.paired.table, ACCOUNT)
    assert lease is not None
    old, new = _keeper(house, "c-first"), _keeper(house, "c-second")
    old.release(ACCOUNT, lease.epoch)
    epoch = new.acquire(ACCOUNT)
    where = read_whereabouts(house.paired.table, ACCOUNT, house.paired.sealer)
    return epoch - lease.epoch, where is not None and where.connector


@scene
def the_next_send_needs_no_question(house: House) -> object:
    asked = len(house.network.queries)
    house.paired.leases.forget(ACCOUNT)
    house.tell(20)
    shown = {number: house.shown(number)[-1:] for number in house.siti.devices}
    return shown, len(house.network.queries) - asked


@scene
def no_number_was_used_twice(house: House) -> object:
    return [str(jid) for jid, _, _ in house.network.keys_used_twice()]


# -- what is kept of what nobody knows -------------------------------------------------------------------


UNKNOWN_KIND: Json = {
    "pk": {"S": NEXT_RELEASE},
    "sk": {"S": "default"},
    "expire_at": {"S": "never"},
    NEXT_RELEASE: {"S": "a hint"},
}


def with_unknown_fields(told: Json) -> Json:
    """The first half as the release after would leave it: a field more in each record and each message, and
    a kind of record that nobody knows."""
    tables = {
        name: [*({**item, NEXT_RELEASE: {"S": "a hint"}} for item in items), UNKNOWN_KIND]
        for name, items in told["tables"].items()
    }

    def grown(body: str) -> str:
        return json.dumps({**json.loads(body), NEXT_RELEASE: {"a": ["hint"]}})

    return {
        **told,
        "tables": tables,
        "orders": [grown(body) for body in told["orders"]],
        "letters": [grown(body) for body in told["letters"]],
        "stanzas": {name: grown(body) for name, body in told["stanzas"].items()},
    }


def _unknown(told: Json) -> Iterator[str]:
    for items in told["tables"].values():
        yield from (f"{one['pk']['S']} / {one['sk']['S']}" for one in items if NEXT_RELEASE in one)


def _kept(house: House) -> Iterator[str]:
    """Records that still bear it, and those that are gone for good."""
    present = set()
    for table in (house.aws.notifications_table, house.paired.table):
        for item in everything_in(table):  # type: ignore[arg-type]
            name = f"{item['pk']} / {item['sk']}"
            present.add(name)
            if NEXT_RELEASE in item:
                yield name
    yield from set(_unknown(house.told)) - present


# -- to and from JSON ------------------------------------------------------------------------------------


def _bodies(aws: Any, queue: str) -> list[str]:
    return [json.dumps(one, ensure_ascii=False) for one in aws.messages(queue)]


def _told_person(person: Person) -> Json:
    return {
        "phone": person.phone,
        "lid": str(person.user).partition("@")[0],
        "devices": [_told_device(one) for one in person.devices.values()],
    }


def _told_device(device: Device) -> Json:
    return {
        "jid": str(device.jid),
        "identity": _private(device.identity),
        "signed": _private(device.signed),
        "registration_id": device.registration_id,
        "prekeys": {number: _private(pair) for number, pair in device.prekeys.items()},
        "record": encode_record(device.record).hex() if device.record is not None else None,
        "shown": device.shown,
    }


def _private(pair: KeyPair) -> str:
    return pair.private.hex()


def _device(told: Json) -> Device:
    return Device(
        JID.parse(told["jid"]),
        identity=key_pair(bytes.fromhex(told["identity"])),
        signed=key_pair(bytes.fromhex(told["signed"])),
        registration_id=told["registration_id"],
        prekeys={int(number): key_pair(bytes.fromhex(pair)) for number, pair in told["prekeys"].items()},
        record=decode_record(bytes.fromhex(told["record"])) if told["record"] else None,
        shown=[(identity, text) for identity, text in told["shown"]],
        fresh_ids=count(1000),
    )


def _items(table: Any) -> list[Json]:
    found = []
    for item in everything_in(table):
        key = str(item.pop("pk")), str(item.pop("sk"))
        found.append(_encoded(to_item(key, item)))
    return found


def _table(items: list[Json]) -> MemoryTable:
    table = MemoryTable()
    for attributes in items:
        item = from_item({name: _decoded(value) for name, value in attributes.items()})
        table.put(Put((str(item.pop("pk")), str(item.pop("sk"))), item))
    return table


def _encoded(value: Any) -> Any:
    """Bytes as base64, at whatever depth."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _encoded(inner) for name, inner in value.items()}
    return [_encoded(member) for member in value] if isinstance(value, list) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: _decoded(inner) for name, inner in value.items()}
    return [_decoded(member) for member in value] if isinstance(value, list) else value


def main() -> None:
    what, file = sys.argv[1], Path(sys.argv[2])
    if what == "write":
        text = json.dumps(write(), indent=1, sort_keys=True, ensure_ascii=False)
        file.write_text(f"{text}\n", encoding="utf-8")
    else:
        print(json.dumps(go_on(json.loads(file.read_text(encoding="utf-8"))), default=str))


if __name__ == "__main__":
    main()
