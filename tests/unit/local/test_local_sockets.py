"""The server on real sockets: handshake, pairing, login, endings. The client is Tocsin's own."""

import asyncio
import os
import time
from dataclasses import replace
from functools import wraps

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.local_server import BUDI, SITI
from tests.support.skipping_loop import SkippingLoop
from tests.support.wired_client import Running, new_keys, running
from tocsin.signal.curve import key_pair
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.device_keys import Login
from tocsin.whatsapp.events import (
    AckReceived,
    OfflineDone,
    PairingCodeOffered,
    PairingFailed,
    PreKeysLow,
    QrOffered,
    Response,
    StreamEnded,
)
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame, routing_prefix
from tocsin.whatsapp.iq import keepalive
from tocsin.whatsapp.jid import JID, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import ClientHandshake
from tocsin.whatsapp.payload import ClientInfo, login_payload, registration_payload
from tocsin_whatsapp_server.control_client import ControlError

LONG_ENOUGH = 60
"""Seconds after which a test has failed."""


def with_server(**phones):
    """Run an async test against a server with these phones."""

    def decorate(test):
        @wraps(test)
        def run():
            async def body():
                async with asyncio.timeout(LONG_ENOUGH), running(**phones) as local:
                    await test(local)

            with asyncio.Runner(loop_factory=SkippingLoop) as runner:
                runner.run(body())

        run.__wrapped__ = None
        del run.__wrapped__
        return run

    return decorate


@with_server(Siti=SITI)
async def test_a_client_is_linked_by_qr_restarts_and_logs_in(local: Running):
    client = await local.linked(SITI)
    account = local.server.phone(SITI).account
    assert account.devices[1].identity == client.keys.identity.public
    assert client.keys.login.jid == account.pn.with_device(1)
    assert client.keys.login.lid == account.lid.with_device(1)
    assert account.devices[1].platform == "Ubuntu"


@with_server(Siti=SITI)
async def test_a_client_is_linked_by_a_typed_code(local: Running):
    waiting = local.client()
    await waiting.until(QrOffered)
    waiting.connection.request_pairing_code(JID(SITI, PN), time.time())
    await waiting.flush()
    offered = await waiting.until(PairingCodeOffered)
    linking = asyncio.create_task(local.ask("link_by_code", SITI, offered.code.lower()))
    await local.log_in(waiting, await local.confirmed(waiting, linking))
    assert 1 in local.server.phone(SITI).account.devices


@with_server(Siti=SITI)
async def test_a_mistyped_code_links_nothing_and_says_so(local: Running):
    waiting = local.client()
    await waiting.until(QrOffered)
    waiting.connection.request_pairing_code(JID(SITI, PN), time.time())
    await waiting.flush()
    await waiting.until(PairingCodeOffered)
    with pytest.raises(ControlError, match="mistyped"):
        await local.ask("link_by_code", SITI, "AAAA-AAAA")
    assert list(local.server.phone(SITI).account.devices) == [0]


@with_server(Siti=SITI)
async def test_the_code_of_another_client_is_refused(local: Running):
    one, other = local.client(), local.client()
    ref = (await one.until(QrOffered)).text.split("#")[1].split(",")[0]
    foreign = (await other.until(QrOffered)).text.split(",")[1:]
    with pytest.raises(ControlError, match="aren't those of the client") as refused:
        await local.ask("link", SITI, ",".join([ref, *foreign]))
    assert refused.value.status == 409


@with_server(Siti=SITI)
async def test_a_phone_that_read_another_secret_is_refused_by_the_client(local: Running):
    client = local.client()
    parts = (await client.until(QrOffered)).text.split(",")
    parts[3] = "A" * 43 + "="
    with pytest.raises(ControlError, match="hmac-mismatch") as refused:
        await local.ask("link", SITI, ",".join(parts))
    assert refused.value.status == 422
    assert (await client.until(PairingFailed)).text == "hmac-mismatch"
    assert list(local.server.phone(SITI).account.devices) == [0]


@with_server(Siti=SITI)
async def test_a_code_is_used_once(local: Running):
    waiting = local.client()
    offer = await waiting.until(QrOffered)
    first = asyncio.create_task(local.ask("link", SITI, offer.text))
    await local.confirmed(waiting, first)
    with pytest.raises(ControlError, match=r"expired|used already"):
        await local.ask("link", SITI, offer.text)


@with_server(Siti=SITI)
async def test_the_client_refuses_a_server_with_another_root(local: Running):
    client = local.client(root_key=key_pair(os.urandom(32)).public)
    assert (await client.until(StreamEnded)).reaction.reason == "certificate"


@with_server(Siti=SITI)
async def test_an_unknown_device_is_logged_out(local: Running):
    client = local.client(replace(new_keys(), login=Login(JID(SITI, PN, 1))))
    ended = (await client.until(StreamEnded)).reaction
    assert (ended.state, ended.wipe) == ("logged_out", True)


@with_server(Siti=SITI)
async def test_a_device_with_another_noise_key_is_logged_out(local: Running):
    client = await local.linked(SITI)
    thief = local.client(replace(client.keys, noise=key_pair(os.urandom(32))))
    assert (await thief.until(StreamEnded)).reaction.wipe


@with_server(Siti=SITI)
async def test_a_login_may_be_refused_on_purpose(local: Running):
    client = await local.linked(SITI)
    await local.ask("inject", "login-failure", reason=503, account=SITI)
    refused = local.client(client.keys)
    assert (await refused.until(StreamEnded)).reaction.kind.value == "backoff"
    await local.log_in(client)


@with_server(Siti=SITI)
async def test_the_second_connection_replaces_the_first(local: Running):
    first = await local.linked(SITI)
    await local.log_in(first)
    assert (await first.until(StreamEnded)).reaction.state == "replaced"


@with_server(Siti=SITI, Budi=BUDI)
async def test_queued_messages_come_before_the_end_of_the_queue(local: Running):
    client = await local.linked(SITI)
    await client.socket.close()
    await client.until(StreamEnded)
    for number in range(3):
        await local.ask("write", BUDI, SITI, f"text {number}")
    again = await local.log_in(client)
    await again.until(OfflineDone)
    places = [(await again.stanza("message")).attr_int("offline") for _ in range(3)]
    assert places == sorted(places)


@with_server(Siti=SITI)
async def test_a_ping_is_answered(local: Running):
    client = await local.linked(SITI)
    identity = client.connection.request(keepalive(), 0)
    await client.flush()
    assert (await client.until(Response, lambda event: event.id == identity)).node.attrs["type"] == "result"


@with_server(Siti=SITI)
async def test_a_drained_stock_is_reported(local: Running):
    client = await local.linked(SITI)
    await local.ask("inject", "drain-prekeys", account=SITI)
    assert (await client.until(PreKeysLow)).count == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [({"code": 503}, "backoff"), ({"code": 515}, "reconnect-now"), ({"conflict": "replaced"}, "stop")],
)
def test_stream_errors_end_the_connection_as_they_say(error, reason):
    @with_server(Siti=SITI)
    async def run(local: Running):
        client = await local.linked(SITI)
        await local.ask("inject", "stream-error", account=SITI, **error)
        assert (await client.until(StreamEnded)).reaction.kind.value == reason

    run()


@with_server(Siti=SITI)
async def test_a_dropped_connection_says_nothing(local: Running):
    client = await local.linked(SITI)
    answer = await local.ask("inject", "drop", account=SITI)
    assert answer["devices_hit"] == 1
    assert (await client.until(StreamEnded)).reaction.reason == "connection-lost"


@with_server(Siti=SITI)
async def test_an_unlinked_client_is_told(local: Running):
    client = await local.linked(SITI)
    await local.ask("unlink", SITI, 1)
    assert (await client.until(StreamEnded)).reaction.wipe


@with_server(Siti=SITI, Budi=BUDI)
async def test_a_delay_holds_back_and_keeps_the_order(local: Running):
    client, other = await local.linked(SITI), await local.linked(BUDI)
    await local.ask("inject", "delay", seconds=20, account=SITI)
    sent = [client.connection.request(keepalive(), 0) for _ in range(3)]
    await client.flush()
    other.connection.request(keepalive(), 0)
    await other.flush()
    await other.until(Response)
    with pytest.raises(TimeoutError):
        await client.until(Response, seconds=0.1)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SkippingLoop)
    loop.skip(20)
    got = [(await client.until(Response)).id for _ in range(3)]
    assert got == sent


@with_server(Siti=SITI, Budi=BUDI)
async def test_an_ack_that_is_lost_with_the_connection(local: Running):
    client = await local.linked(SITI)
    await local.ask("inject", "lose-acks", account=SITI, drop=True)
    to = local.server.phone(BUDI).account.lid
    client.connection.send_message(Node("message", {"id": "M", "to": to, "type": "text"}), 0)
    await client.flush()
    await client.until(StreamEnded)
    again = await local.log_in(client)
    again.connection.send_message(Node("message", {"id": "M", "to": to, "type": "text"}), 0)
    await again.flush()
    assert (await again.until(AckReceived)).id == "M"


# -- bytes that are no client's ----------------------------------------------------------------------------


async def shaken(local: Running, socket, payload: bytes, *, prefix: bytes = b"", chop: int = 0):
    """Shake hands by hand over a raw socket, maybe in pieces of `chop` bytes; the transport."""
    handshake = ClientHandshake(
        key_pair(os.urandom(32)), key_pair(os.urandom(32)), payload, root_key=local.server.root_public_key
    )
    hello = prefix + INTRO + frame(handshake.hello())
    for start in range(0, len(hello), chop or len(hello)):
        await socket.send(hello[start : start + (chop or len(hello))])
    splitter = FrameSplitter()
    finish, transport = handshake.finish(splitter.feed(await socket.recv())[0], time.time())
    await socket.send(frame(finish))
    return splitter, transport


async def first_node(socket, splitter, transport):
    frames = []
    while not frames:
        frames = splitter.feed(await socket.recv())
    return decode(transport.decrypt(frames[0]))


def some_registration():
    keys = new_keys()
    return registration_payload(
        ClientInfo(),
        registration_id=1,
        identity=keys.identity.public,
        signed_prekey=keys.signed_prekey,
    )


@pytest.mark.parametrize("chop", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("prefix", [b"", routing_prefix(b"as I was told")])
def test_the_stream_may_be_cut_anywhere_and_carry_routing_information(chop, prefix):
    @with_server(Siti=SITI)
    async def run(local: Running):
        async with connect(local.server.url) as socket:
            splitter, transport = await shaken(local, socket, some_registration(), prefix=prefix, chop=chop)
            node = await first_node(socket, splitter, transport)
            assert len(node.require_child("pair-device").children("ref")) == 6

    run()


NOT_A_CLIENT = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "an empty hello": INTRO + frame(b""),
    "no protobuf": INTRO + frame(b"\xff" * 50),
    "a key of low order": INTRO + frame(b"\x12\x22\x0a\x20" + bytes(32)),
}


@pytest.mark.parametrize("noise", NOT_A_CLIENT.values(), ids=NOT_A_CLIENT)
def test_who_does_not_shake_hands_is_closed_and_the_server_lives(noise):
    @with_server(Siti=SITI)
    async def run(local: Running):
        async with connect(local.server.url) as socket:
            await socket.send(noise)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await local.linked(SITI)

    run()


@pytest.mark.parametrize(
    "payload", [b"", b"\xff" * 9, some_registration()[:-200]], ids=["nothing", "no protobuf", "cut short"]
)
def test_a_client_that_says_nonsense_of_itself_is_refused(payload):
    @with_server(Siti=SITI)
    async def run(local: Running):
        async with connect(local.server.url) as socket:
            splitter, transport = await shaken(local, socket, payload)
            assert (await first_node(socket, splitter, transport)).attrs["reason"] == "400"

    run()


@with_server(Siti=SITI)
async def test_a_malformed_stanza_ends_the_stream_with_its_name(local: Running):
    client = await local.linked(SITI)
    await client.socket.close()
    handshake = ClientHandshake(
        client.keys.noise,
        key_pair(os.urandom(32)),
        login_payload(ClientInfo(), client.keys.login.jid, 1),
        root_key=local.server.root_public_key,
    )
    async with connect(local.server.url) as socket:
        await socket.send(INTRO + frame(handshake.hello()))
        splitter = FrameSplitter()
        finish, transport = handshake.finish(splitter.feed(await socket.recv())[0], time.time())
        await socket.send(frame(finish))
        await socket.send(frame(transport.encrypt(b"\x00\xf8\x01")))
        nodes = [
            decode(transport.decrypt(payload)) async for data in socket for payload in splitter.feed(data)
        ]
    assert nodes[-1].tag == "stream:error"
    assert nodes[-1].child("xml-not-well-formed") is not None


@with_server(Siti=SITI)
async def test_a_login_is_seen_as_an_event(local: Running):
    await local.linked(SITI)
    assert (await local.ask("wait_for_event", "login", account=SITI, device=1))["number"] > 0
