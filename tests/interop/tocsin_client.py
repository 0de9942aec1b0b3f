"""Tocsin as one process between its own queues and the local WhatsApp server, as a test drives it.

What sends and receives is what the functions wire together, over tables and queues on moto; what logs in is
the connector's line. A thread stands for the stanza queue with its function behind it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, Self, TypeVar
from uuid import uuid4

from tests.interop.driven_client import ClientFailed, Companion, Json
from tests.interop.own_line import OwnLine
from tests.support.fake_aws import Cloud
from tests.support.notifications import a_notification, an_id
from tests.support.sealed_texts import TEXTS
from tocsin.accounts.state import AccountState
from tocsin.accounts.whereabouts import Whereabouts
from tocsin.bootstrap.receive_stanza import inbound
from tocsin.bootstrap.send_notification import delivery
from tocsin.connector.forwarding.stanza import Origin, pack
from tocsin.connector.login import check_prekeys
from tocsin.connector.pairing import store_pairing
from tocsin.connector.socket import Line, LineClosed, LineLost
from tocsin.connector_client import protocol
from tocsin.connector_client.errors import ConnectorAway
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Item
from tocsin.keys.account import AccountProfile
from tocsin.keys.context import KeyContext
from tocsin.keys.sessions import pack_inbound, read_sessions
from tocsin.keys.store import KeyStore
from tocsin.multidevice.inbound.envelope import Report
from tocsin.notify.config import Environment, ReceiveConfig, SendConfig
from tocsin.notify.content import Text
from tocsin.notify.failure import Failure
from tocsin.notify.queues import Order
from tocsin.notify.store.replies import open_reply
from tocsin.notify.store.stores import Stores
from tocsin.sealing import Sealer
from tocsin.signal.state import State, decode_lost, evolve
from tocsin.tables.keys import inbound_device, inbound_key, owner_of
from tocsin.whatsapp import iq
from tocsin.whatsapp.events import (
    Event,
    PairingCodeOffered,
    PairingSucceeded,
    PreKeysLow,
    QrOffered,
    StanzaReceived,
    StreamEnded,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import ack, parse_receipt
from tocsin_whatsapp_server.control_client import ControlClient

T = TypeVar("T")

ACCOUNT = "default"
PUT_OFF_SECONDS = 0.2


class OneAtATime:
    """An AWS client whose calls wait for each other: moto's tables don't bear two threads."""

    _lock = threading.RLock()

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if not callable(operation):
            return operation

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return operation(*args, **kwargs)

        return call


@contextmanager
def _away() -> Iterator[None]:
    """As the connector's client tells it."""
    try:
        yield
    except (LineLost, LineClosed) as error:
        raise ConnectorAway(str(error)) from error


class Connection(OwnLine):
    """The connector's part, on a loop of its own: links, logs in, tops prekeys up, acknowledges what the
    queue has, and asks WhatsApp what the transport wants to know."""

    def __init__(self, url: str, root_key: bytes, aws: Cloud, enqueue: Callable[[Node, str], None]) -> None:
        super().__init__(url, root_key)
        self._enqueue = enqueue
        self.sealer = Sealer({"k": os.urandom(32)}, "k")
        self.keys = KeyStore(DynamoTable(aws.dynamodb, aws.keys), self.sealer, ACCOUNT)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def link(self, scan: Callable[[str], Any]) -> None:
        self._pair(lambda line, event: scan(event.text) if isinstance(event, QrOffered) else None)

    def link_by_code(self, number: str, type_in: Callable[[str], Any]) -> None:
        def do(line: Line, event: Event) -> None:
            match event:
                case QrOffered():
                    line.ask_pairing_code(number)
                case PairingCodeOffered(code=code):
                    type_in(code)

        self._pair(do)

    def log_in(self) -> None:
        """Returns when live delivery begins."""
        self.credentials = self.keys.account.credentials()
        self._wait(self._log_in())

    def log_out(self) -> None:
        """Close the connection; the server keeps what comes."""
        self._wait(self._leave())

    def close(self) -> None:
        if self._line is not None:
            self.log_out()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._aws.close()

    # What the transport asks of it, with the failures it knows

    def request(self, profile: AccountProfile, node: Node, timeout: int = 30) -> Node:
        with _away():
            return iq.checked(self._wait(self._open_line.request(node, timeout)))

    def send_message(
        self, profile: AccountProfile, node: Node, *, timeout: int = 80, **_: bool | str
    ) -> Node:
        with _away():
            return self._wait(self._open_line.message(node, timeout))

    def send(self, profile: AccountProfile, node: Node) -> None:
        with _away():
            self._wait(self._write(node))

    # On the loop

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _write(self, node: Node) -> None:
        self._open_line.write(node)

    def _pair(self, do: Callable[[Line, Event], Any]) -> None:
        """`do` has the phone act on the first code of each kind."""
        self.keys.account.create()
        self._wait(self._try_to_pair(do))
        self.log_in()

    async def _try_to_pair(self, do: Callable[[Line, Event], Any]) -> None:
        line = await self._open()
        acting: dict[type[Event], asyncio.Task[Any]] = {}
        while not isinstance(event := await line.next_event(), StreamEnded):
            if isinstance(event, QrOffered | PairingCodeOffered) and type(event) not in acting:
                acting[type(event)] = asyncio.create_task(asyncio.to_thread(do, line, event))
            if isinstance(event, PairingSucceeded):
                await store_pairing(self._aws, self.keys, event.pairing)
                line.confirm_pairing()
        await asyncio.gather(*acting.values())
        await self._leave()

    async def _follow(self, line: Line) -> None:
        while not isinstance(event := await line.next_event(), StreamEnded):
            match event:
                case StanzaReceived(node=node):
                    origin = Origin(ACCOUNT, self.credentials.incarnation, 1)
                    self._enqueue(node, pack(node, origin, int(time.time() * 1000)).body)
                    line.write(ack(node))
                case PreKeysLow(count=count):
                    topping_up = check_prekeys(self._aws, self.keys, self.credentials, line, count=count)
                    self._tasks.append(asyncio.create_task(topping_up))


class Tocsin(Companion):
    """`send` plans a notification and carries it out; a customer's answer is told as a message."""

    def __init__(self, url: str, root_public_key: str, aws: Cloud) -> None:
        super().__init__()
        self._cloud = aws = replace(aws, dynamodb=OneAtATime(aws.dynamodb), sqs=OneAtATime(aws.sqs))
        self._stanzas: queue.Queue[tuple[Node, str]] = queue.Queue()
        self.connection = Connection(
            url, bytes.fromhex(root_public_key), aws, lambda node, body: self._stanzas.put((node, body))
        )
        self.stores = Stores(
            DynamoTable(aws.dynamodb, aws.notifications),
            DynamoTable(aws.dynamodb, aws.keys),
            texts=TEXTS,
        )
        self._tickets = (f"TCK-{uuid4().hex[:6]}-{number}" for number in count(1))
        self._wire()
        threading.Thread(target=self._receive, daemon=True).start()

    def _wire(self) -> None:
        """Delivery and reception, as the functions make them."""
        variables = {
            "KEYS_TABLE": self._cloud.keys,
            "NOTIFICATIONS_TABLE": self._cloud.notifications,
            "SEALING_SECRET_ARN": "handed over",
            "TEXTS_SECRET_ARN": "handed over",
            "NOTIFICATIONS_QUEUE_URL": self._cloud.queues["notifications"],
            "DEAD_LETTERS_QUEUE_URL": self._cloud.queues["dead-letters"],
            "STANZAS_QUEUE_URL": self._cloud.queues["stanzas"],
            "CUSTOMER_RETRY_DELAY_SECONDS": "1",
        }
        lease = Whereabouts(ACCOUNT, AccountState.CONNECTED, "here", protocol=protocol.VERSION)
        world: dict[str, Any] = {
            "dynamodb": self._cloud.dynamodb,
            "sqs": self._cloud.sqs,
            "sealer": lambda: self.connection.sealer,
            "texts": TEXTS,
            "connector": self.connection,
            "lease": lambda account: lease,
        }
        self._delivery = delivery(SendConfig.read(Environment(variables)), **world)
        self._inbound = inbound(ReceiveConfig.read(Environment(variables)), **world)

    def link(self, control: ControlClient, number: str) -> Json:
        self.connection.link(partial(control.link, number))
        return self._opened()

    def link_by_code(self, control: ControlClient, number: str) -> Json:
        self.connection.link_by_code(number, partial(control.link_by_code, number))
        return self._opened()

    def _opened(self) -> Json:
        credentials = self.connection.credentials
        self.tell({"event": "open", "jid": credentials.jid, "lid": credentials.lid})
        return self.events[-1]

    def send(self, to: str, text: str) -> str:
        """Notify somebody of an event of its own. Returns the message id, once the server has it."""
        ticket = next(self._tickets)
        notification = a_notification(
            id=an_id(ACCOUNT, ticket, "TicketCreated", 1, "customer", to),
            account=ACCOUNT,
            ticket_id=ticket,
            recipient=to,
            recipient_name="",
            content=Text(text),
            created_at=int(time.time() * 1000),
            expires_at=int(time.time() + 3600) * 1000,
        )
        self.stores.notifications.put_new(notification)
        receives = 1
        while (verdict := self._delivery.deliver(Order.of(notification), receives)).again_after is not None:
            time.sleep(verdict.again_after)
            receives += 1
        if verdict.outcome != "sent":
            raise ClientFailed(f"{verdict.outcome}: {verdict.cause}")
        return notification.message_id

    def corrupt_session(self, lid: str) -> None:
        """Garble what the session with a device decrypts with, as a lost or doubled write would."""
        keys = DynamoTable(self._cloud.dynamodb, self._cloud.keys)
        context = KeyContext(keys, self.connection.sealer, ACCOUNT, time.time, os.urandom, time.sleep)
        device = JID.parse(lid)
        key = inbound_key(ACCOUNT, self.connection.credentials.incarnation, str(device.bare), device.device)
        item = keys.get(key)
        assert item is not None
        self._cloud.dynamodb.update_item(
            TableName=self._cloud.keys,
            Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}},
            UpdateExpression="SET states = :states",
            ExpressionAttributeValues={":states": {"B": _garbled(context, item)}},
        )

    def leave(self) -> None:
        self.connection.log_out()

    def come_back(self) -> None:
        self.connection.log_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def _receive(self) -> None:
        """The queue and its function: in order, and again after a while what can't be done now."""
        while True:
            node, body = self._stanzas.get()
            try:
                report = self._inbound.handle(body)
            except Failure:
                time.sleep(PUT_OFF_SECONDS)
                self._stanzas.put((node, body))
            else:
                self._tell_of(node, report)

    def _tell_of(self, node: Node, report: Report) -> None:
        match report.kind, report.outcome:
            case "message", "reply":
                self._tell_reply(node.attr_str("id"))
            case "message", "asked-again":
                self.tell({"event": "asked-again", "id": node.attr_str("id"), "cause": report.cause})
            case "receipt", "delivered" | "read" as status:
                for name in parse_receipt(node).ids:
                    self.tell({"event": "status", "id": name, "status": status})

    def _tell_reply(self, name: str) -> None:
        """What the outcome event will say."""
        table = DynamoTable(self._cloud.dynamodb, self._cloud.notifications)
        [reply] = (open_reply(item, TEXTS) for item in table.scan(prefix="reply#", sk=name).items)
        if any(event["event"] == "message" and event["id"] == name for event in self.events):
            return  # sent again under the same id: told once
        about = (
            self.stores.notifications.get(str(reply["notification_id"]))
            if reply.get("notification_id")
            else None
        )
        self.tell(
            {
                "event": "message",
                "id": name,
                "chat": str(reply["user"]),
                "text": reply["text"],
                "quoted_id": about.message_id if about else None,
                "from_me": False,
            }
        )


def _garbled(context: KeyContext, item: Item) -> bytes:
    """The receiving half of a session with other secrets, sealed as it was."""
    key = str(item["pk"]), str(item["sk"])
    owner, device = owner_of(key[0]), inbound_device(key[1])
    assert owner is not None
    assert device is not None
    half = read_sessions(context, owner.incarnation, owner.user, device).inbound(device)
    assert half is not None
    record = decode_lost(half.encoded, os.urandom(32))
    states = tuple(_garbled_state(state) for state in record.states)
    tag = item["tag"]
    assert isinstance(tag, bytes)
    return context.seal(pack_inbound(evolve(record, states=states), half.rebuilt), key, "states", tag)


def _garbled_state(state: State) -> State:
    receiving = tuple(replace(chain, chain_key=os.urandom(32), skipped=()) for chain in state.receiving)
    return evolve(state, root_key=os.urandom(32), receiving=receiving)
