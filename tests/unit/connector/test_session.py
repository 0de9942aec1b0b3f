"""A stanza is stored, then acknowledged, and whatever it holds is the end of nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.connector_fakes import Around, HeldLease, nothing_refused
from tests.support.key_peers import Interposed, once
from tests.support.leading_keys import GrantedTable
from tests.support.settings import chosen
from tocsin.connector.account_runner import Account
from tocsin.connector.forwarding.forwarder import Counters, Forwarder
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import Packed
from tocsin.connector.forwarding.ways import Ways
from tocsin.connector.gateway.status import AccountStatus
from tocsin.connector.session import Session, _Turn
from tocsin.connector.socket import LineClosed
from tocsin.dynamo.writes import Put
from tocsin.keys.account import Credentials
from tocsin.keys.store import KeyStore
from tocsin.tables.keys import credentials_key
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import HOSTED, JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import Reaction

# A server may name such an address; none can be written back to it.
UNWRITABLE = Node("notification", {"id": "N", "from": JID("", HOSTED), "type": "devices"})
GOOD = Node("notification", {"id": "G", "from": JID("", "s.whatsapp.net"), "type": "devices"})


@dataclass
class Line:
    """Writes as the real one does: encoded first. `closed`: over."""

    closed: bool = False
    written: list[str] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)

    def write(self, node: Node) -> None:
        if self.closed:
            raise LineClosed
        encode(node)
        self.written.append(str(node.attrs["id"]))

    def end(self, cause: Any) -> None:
        self.ended.append(cause)


def service(forwarder: Forwarder) -> Session:
    around: Any = SimpleNamespace(settings=chosen(decline_calls=True))
    anything: Any = None
    held_lease: Any = HeldLease()
    return Session(around, anything, held_lease, AccountStatus("default"), forwarder, anything, anything)


@pytest.mark.parametrize("closed", [False, True])
async def test_a_stanza_that_cannot_be_acknowledged_ends_nothing(closed: bool) -> None:
    line: Any = Line(closed)
    forwarder = Forwarder(nothing_refused, Counters())
    carrying = asyncio.ensure_future(forwarder.run())
    serving = service(forwarder)

    serving._take(line, UNWRITABLE)
    serving._take(line, GOOD)
    await asyncio.wait_for(forwarder.drained(), 60)

    assert line.written == ([] if closed else ["G"])
    assert not carrying.done()
    assert not line.ended
    carrying.cancel()


@pytest.mark.parametrize(
    ("enc", "error"), [((), "488"), ((Node("enc", {"type": "msmsg"}, b"x"),), "495")], ids=["none", "msmsg"]
)
async def test_a_message_that_nobody_can_read_is_refused_and_not_stored(
    enc: tuple[Node, ...], error: str
) -> None:
    written: list[Node] = []
    line: Any = SimpleNamespace(write=written.append)
    forwarder = Forwarder(nothing_refused, Counters())
    unreadable = Node("message", {"id": "M", "from": JID("1", "lid"), "t": "1"}, enc)
    assert service(forwarder)._take(line, unreadable)
    assert forwarder.waiting == 0
    assert [(node.tag, node.attrs["id"], node.attrs["error"]) for node in written] == [("ack", "M", error)]


THOUSANDS = "A" * 3000
FAR = JID("1" * 3000, "lid")


@pytest.mark.parametrize(
    "change", [{"id": THOUSANDS}, {"t": "9" * 18}, {"from": FAR}], ids=["id", "t", "from"]
)
async def test_a_message_beyond_all_bounds_is_refused_and_not_stored(change: dict[str, Any]) -> None:
    written: list[Node] = []
    line: Any = SimpleNamespace(write=written.append)
    forwarder = Forwarder(nothing_refused, Counters())
    attrs = {"id": "M", "from": JID("1", "lid"), "t": "1", **change}
    assert service(forwarder)._take(line, Node("message", attrs, (Node("enc", {"type": "msg"}, b"x"),)))
    assert forwarder.waiting == 0
    [answer] = written
    assert (answer.attrs["id"], answer.attrs["to"]) == (attrs["id"], attrs["from"])
    assert answer.attrs["error"] == "487"


@pytest.mark.parametrize(
    "change", [{"id": THOUSANDS}, {"t": "9" * 18}, {"from": FAR}], ids=["id", "t", "from"]
)
@pytest.mark.parametrize("tag", ["receipt", "notification", "call"])
async def test_whatever_else_is_beyond_all_bounds_is_stored_and_acknowledged(
    tag: str, change: dict[str, Any]
) -> None:
    line: Any = Line()
    forwarder = Forwarder(nothing_refused, Counters())
    carrying = asyncio.ensure_future(forwarder.run())
    attrs = {"id": "N", "from": JID("1", "lid"), "type": "devices", **change}
    assert service(forwarder)._take(line, Node(tag, attrs))
    await asyncio.wait_for(forwarder.drained(), 60)
    assert line.written == [attrs["id"]]
    assert not line.ended
    carrying.cancel()


async def test_an_account_ends_with_its_forwarder(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(self: Ways) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Ways, "run", breaks)
    around: Any = Around()
    held_lease: Any = HeldLease()

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await asyncio.wait_for(Account("default", around).serve(held_lease), 60)


async def test_an_account_that_is_not_linked_waits_with_its_forwarder_at_hand() -> None:
    around: Any = Around()
    held_lease: Any = HeldLease()
    running = asyncio.ensure_future(Account("default", around).serve(held_lease))

    done, _ = await asyncio.wait([running], timeout=0.2)

    assert not done
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@dataclass
class Linked:
    """A linked account with a high-water mark. `said`: states in its lease; `connects`: once it does."""

    monkeypatch: pytest.MonkeyPatch
    said: list[str] = field(default_factory=list)
    notifications_table: Interposed = field(
        default_factory=lambda: Interposed(GrantedTable("NotificationsTable"))
    )

    def __post_init__(self) -> None:
        self.around: Any = Around(config=SimpleNamespace(notifications_table="notifications"))
        self.connects = asyncio.Event()
        self.stops = asyncio.Event()
        self.keys = KeyStore(self.around.table, self.around.sealer, "default")
        self.keys.account.create()
        self.keys.account.save_pairing(jid="1:3@s.whatsapp.net", lid="1:3@lid", device_identity=b"identity")
        self.keys.account.record_high_water_mark(self.notifications_table)

    async def _say(self, state: str, detail: str = "") -> None:
        self.said.append(state)
        if state == "stopped":
            self.stops.set()

    async def serve(self, until: asyncio.Event) -> None:
        async def disconnected(*_: Any, **__: Any) -> None:
            pass

        async def run(service: Session, credentials: Credentials, *, routing: bool) -> Reaction:
            self.connects.set()
            return await asyncio.Future()

        self.monkeypatch.setattr(Session, "run", run)
        self.monkeypatch.setattr(
            "tocsin.connector.stored_keys.DynamoTable", lambda client, name: self.notifications_table
        )
        self.around.notices = SimpleNamespace(disconnected=disconnected)
        held_lease: Any = HeldLease()
        held_lease.set_state = self._say
        running = asyncio.ensure_future(Account("default", self.around).serve(held_lease))
        async with asyncio.timeout(60):
            await until.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_account_whose_keys_were_set_back_never_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    linked = Linked(monkeypatch)
    key = credentials_key("default")
    backup = linked.around.table.get(key)
    linked.keys.account.record_high_water_mark(linked.notifications_table)
    linked.around.table.put(Put(key, {n: v for n, v in backup.items() if n not in ("pk", "sk")}))

    await linked.serve(until=linked.stops)

    assert not linked.connects.is_set()


async def test_a_witness_written_while_the_keys_were_read_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linked = Linked(monkeypatch)
    linked.notifications_table.before = once(
        "query", lambda: linked.keys.account.record_high_water_mark(linked.notifications_table.table)
    )

    await linked.serve(until=linked.connects)

    assert "stopped" not in linked.said


class Gate:
    """A queue that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def send(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        await self.open.wait()
        return {}


def numbered(number: int) -> Node:
    return Node("notification", {"id": str(number), "from": JID("", "s.whatsapp.net"), "type": "picture"})


async def test_a_backlog_larger_than_what_may_wait_is_taken_whole_and_in_order() -> None:
    line: Any = Line()
    gate = Gate()
    forwarder = Forwarder(gate.send, Counters(), room=Room(max_waiting=10))
    carrying = asyncio.ensure_future(forwarder.run())
    serving = service(forwarder)

    async def backlog() -> None:
        for number in range(1000):
            await serving._take_patiently(line, numbered(number))

    taking = asyncio.ensure_future(backlog())
    await asyncio.sleep(0.05)
    assert forwarder.waiting == 10
    gate.open.set()
    await asyncio.wait_for(taking, 60)
    await asyncio.wait_for(forwarder.drained(), 60)

    assert line.written == [str(number) for number in range(1000)]
    assert not line.ended
    carrying.cancel()


async def test_a_queue_that_takes_nothing_for_long_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.connector.session.ROOM_SECONDS", 0.05)
    line: Any = Line()
    serving = service(Forwarder(Gate().send, Counters(), room=Room(max_waiting=1)))

    await serving._take_patiently(line, numbered(1))
    await asyncio.wait_for(serving._take_patiently(line, numbered(2)), 60)

    assert [cause.reason for cause in line.ended] == ["stanzas-not-stored"]


CALL = Node(
    "call",
    {"id": "C1", "from": JID("628", "s.whatsapp.net")},
    (Node("offer", {"call-id": "X", "call-creator": JID("628", "s.whatsapp.net")}),),
)


@pytest.mark.parametrize(("wanted", "tags"), [(True, ["ack", "call"]), (False, ["ack"])])
async def test_a_call_is_acknowledged_and_declined_if_that_is_wanted(wanted: bool, tags: list[str]) -> None:
    @dataclass
    class Noted(Line):
        tags: list[str] = field(default_factory=list)

        def write(self, node: Node) -> None:
            super().write(node)
            self.tags.append(node.tag)

    line: Any = Noted()
    forwarder = Forwarder(nothing_refused, Counters())
    carrying = asyncio.ensure_future(forwarder.run())
    around: Any = SimpleNamespace(settings=chosen(decline_calls=wanted))
    anything: Any = None
    held_lease: Any = HeldLease()
    serving = Session(around, anything, held_lease, AccountStatus("default"), forwarder, anything, anything)

    serving._take(line, CALL)
    await asyncio.wait_for(forwarder.drained(), 60)

    assert line.tags == tags
    carrying.cancel()


@dataclass
class Server:
    """Has so many of our prekeys. `asked`: what it was asked, in order."""

    prekeys: int
    asked: list[str] = field(default_factory=list)

    async def request(self, node: Node) -> Node:
        if node.child("count") is not None:
            self.asked.append("count")
            return Node("iq", {"type": "result"}, (Node("count", {"value": str(self.prekeys)}),))
        self.asked.append("upload")
        return Node("iq", {"type": "result"})

    async def go_active(self) -> Node:
        self.asked.append("active")
        return Node("iq", {"type": "result"})


@dataclass
class Live:
    """An account about to go live. `keys`: its store, with no prekeys yet."""

    server: Any

    def __post_init__(self) -> None:
        around: Any = Around()
        anything: Any = None
        held_lease: Any = HeldLease()
        self.keys = KeyStore(around.table, around.sealer, "default")
        self.credentials = self.keys.account.create()
        status = AccountStatus("default")
        self.service = Session(around, self.keys, held_lease, status, anything, anything, anything)

    async def goes(self) -> None:
        async with asyncio.timeout(60):
            await self.service._go_active(self.server, self.credentials)


async def test_an_account_whose_prekeys_the_server_has_goes_live_before_ours_are_counted() -> None:
    live = Live(Server(prekeys=30))
    live.keys.account.new_prekeys(6)
    await live.goes()
    assert live.server.asked == ["count", "active"]


async def test_after_a_reset_prekeys_are_uploaded_although_the_server_has_plenty() -> None:
    live = Live(Server(prekeys=30))
    await live.goes()
    assert live.server.asked == ["count", "active", "upload"]
    assert live.keys.account.prekey_count() > 5


async def test_a_server_with_few_prekeys_gets_more_before_anything_is_delivered() -> None:
    live = Live(Server(prekeys=5))
    await live.goes()
    assert live.server.asked == ["count", "upload", "active"]


async def test_a_server_that_does_not_say_how_many_it_has_delivers_all_the_same() -> None:
    class Silent(Server):
        async def request(self, node: Node) -> Node:
            raise TimeoutError

    live = Live(Silent(prekeys=0))
    live.keys.account.new_prekeys(6)
    await live.goes()
    assert live.server.asked == ["active"]


class Logins:
    """Accounts that take their turn, with room for two."""

    def __init__(self) -> None:
        self.logins = asyncio.Semaphore(2)

    def turn(self) -> _Turn:
        around: Any = self
        return _Turn(around)


async def test_a_herd_logs_in_a_few_at_a_time() -> None:
    logins = Logins()
    turns = [logins.turn() for _ in range(5)]
    begun: list[int] = []

    async def log_in(number: int) -> None:
        await turns[number].take()
        begun.append(number)

    waiting = [asyncio.create_task(log_in(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == [0, 1]
    turns[0].over()
    turns[0].over()  # logged in, and later the connection's end
    for _ in range(3):
        await asyncio.sleep(0)
    assert begun == [0, 1, 2]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_server_that_does_not_answer_one_account_keeps_no_other_waiting_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.connector.session.TURN_SECONDS", 0.01)
    logins = Logins()
    for _ in range(6):
        turn = logins.turn()
        async with asyncio.timeout(60):
            await turn.take()
        turn.soon_over()


@dataclass
class Prekeys:
    """A server that counts, takes or refuses prekeys. `uploads`: the ids of each upload."""

    told: int = 0
    takes: bool = True
    uploads: list[list[int]] = field(default_factory=list)

    async def request(self, node: Node, seconds: float = 0) -> Node:
        listed = node.child("list")
        if listed is None:
            return Node("iq", {"type": "result"}, (Node("count", {"value": str(self.told)}),))
        self.uploads.append(
            [int.from_bytes(key.require_child("id").bytes(), "big") for key in listed.children()]
        )
        if self.takes:
            return Node("iq", {"type": "result"})
        return Node("iq", {"type": "error"}, (Node("error", {"code": "500", "text": "no"}),))


def session_of(linked: Linked) -> Session:
    anything: Any = None
    held_lease: Any = HeldLease()
    status = AccountStatus("default")
    return Session(linked.around, linked.keys, held_lease, status, anything, anything, anything)


async def test_a_server_that_asks_for_prekeys_gets_some_however_many_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six to twenty left: it was acknowledged and nothing came, until the pool was dry."""
    linked = Linked(monkeypatch)
    server: Any = Prekeys()
    session = session_of(linked)
    monkeypatch.setattr("tocsin.connector.session.ASKED_AGAIN_SECONDS", 0)
    for left in (20, 12, 6):
        await session._give_more(server, linked.keys.account.credentials(), left)
    assert [len(ids) for ids in server.uploads] == [50, 50, 50]


async def test_a_server_that_takes_no_prekeys_gets_the_same_ones_at_each_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.connector.login.UPLOAD_PAUSES", ())
    monkeypatch.setattr("tocsin.keys.prekeys.FIRST_PREKEYS", 30)
    linked = Linked(monkeypatch)
    server: Any = Prekeys(takes=False)
    session = session_of(linked)
    for _ in range(4):
        await session._top_up(server, linked.keys.account.credentials(), 0)
    assert server.uploads == [server.uploads[0]] * 4
    assert linked.keys.account.prekey_count() == 30
