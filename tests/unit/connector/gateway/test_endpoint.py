"""The connector's doors: who may come in, what is refused unread, and what the client makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.running_endpoint import (
    LONG_ENOUGH,
    TOKEN,
    Lease,
    LoopThread,
    Profile,
    RunningEndpoint,
    build,
)
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.httpd import Limits
from tocsin.connector_client import errors, protocol
from tocsin.connector_client.client import GRACE_SECONDS, ConnectorClient
from tocsin.connector_client.protocol import pace_words
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node

IQ = Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),))
Another = Callable[..., RunningEndpoint]
MESSAGE = Node("message", {"id": "3EB0AA", "to": "1234@lid"}, b"ciphertext")
RECEIPT = Node("receipt", {"id": "3EB0AA", "to": "1234@lid"})


# What passes


def test_an_iq_is_answered_with_the_servers_result(gateway: RunningEndpoint) -> None:
    answer = gateway.client().request(Profile(), IQ, timeout=7)
    assert answer.content == IQ.content
    assert gateway.accounts.seen == [("request", "default", 3, IQ, 7)]


def test_who_has_little_time_awaits_no_answer_longer_than_that(gateway: RunningEndpoint) -> None:
    client = ConnectorClient(lambda _: gateway.lease, patience=5)
    client.request(Profile(), IQ, timeout=30)
    client.request(Profile(), IQ, timeout=3)
    assert [seconds for *_, seconds in gateway.accounts.seen] == [5, 3]
    client.close()


def test_a_message_brings_its_ack_and_says_whether_it_was_parked(gateway: RunningEndpoint) -> None:
    async def ack(node: Node) -> Node:
        return Node("ack", {"class": "message", "id": "3EB0AA", "error": "463"})

    gateway.accounts.answer = ack
    client = gateway.client()
    assert client.send_message(Profile(), MESSAGE).attrs["error"] == "463"
    client.send_message(Profile(), MESSAGE, resumed=True)
    client.send_message(Profile(), MESSAGE, first_contact=True)
    assert [seen[-1] for seen in gateway.accounts.seen] == [
        Handling(),
        Handling(resumed=True),
        Handling(first_contact=True),
    ]


@pytest.mark.parametrize(
    ("said", "how"),
    [
        (pace_words("technician", urgent=True), Handling(audience="technician", urgent=True)),
        (pace_words("customer", digestible=True), Handling(audience="customer", digestible=True)),
        (pace_words("group", again=True), Handling(audience="group", again=True)),
        (pace_words("friends", urgent=True), Handling(urgent=True)),
        (
            pace_words("customer", known_at=1_795_000_000_123),
            Handling(audience="customer", known_at=1_795_000_000),
        ),
        ("customer known=yesterday", Handling(audience="customer")),
        (" ", Handling()),
    ],
)
def test_a_message_says_by_what_it_is_paced(gateway: RunningEndpoint, said: str, how: Handling) -> None:
    gateway.client().send_message(Profile(), MESSAGE, pace=said)
    assert [seen[-1] for seen in gateway.accounts.seen] == [how]


def test_a_receipt_is_handed_over_without_an_answer(gateway: RunningEndpoint) -> None:
    gateway.client().send(Profile(), RECEIPT)
    assert gateway.accounts.seen == [("stanza", "default", 3, RECEIPT)]


def test_an_encrypted_file_is_uploaded_and_its_place_told(gateway: RunningEndpoint) -> None:
    assert gateway.client().upload(Profile(), "image", b"blob") == ("https://media.test/1", "/v/1?x=1")
    assert gateway.accounts.seen == [("upload", "default", 3, "image", b"blob")]


def test_a_file_of_an_unknown_kind_is_refused(gateway: RunningEndpoint) -> None:
    with pytest.raises(errors.Refused, match="Tocsin-Media must be one of image, document"):
        gateway.client().upload(Profile(), "sticker", b"blob")
    assert gateway.accounts.seen == []


def test_a_file_is_fetched_and_its_bytes_handed_out(gateway: RunningEndpoint) -> None:
    assert gateway.client().download(Profile(), "/v/1?x=1", b"digest") == b"ciphertext"
    assert gateway.accounts.seen == [("download", "default", 3, "/v/1?x=1", b"digest")]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"file_enc_sha256": "xyz"}'])
def test_a_file_that_is_not_named_is_malformed(gateway: RunningEndpoint, body: bytes) -> None:
    with pytest.raises(errors.Refused, match="malformed"):
        gateway.client()._call(Profile(), "download", body, 5, {})  # type: ignore[arg-type]
    assert gateway.accounts.seen == []


@pytest.mark.parametrize(
    ("code", "error"),
    [(protocol.UPLOAD_FAILED, errors.UploadFailed), (protocol.UPLOAD_REFUSED, errors.UploadRefused)],
)
def test_why_an_upload_failed_is_told_by_its_class(
    gateway: RunningEndpoint, code: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> tuple[str, str]:
        raise Refusal(code, "mmg answered 500")

    monkeypatch.setattr(gateway.accounts, "upload", refuse)
    with pytest.raises(error, match="mmg answered 500"):
        gateway.client().upload(Profile(), "image", b"blob")


def test_files_are_taken_one_after_the_other_and_messages_beside_them(loop: LoopThread) -> None:
    """What waits, waits on the wire: many files at once would be too much for the connector's memory."""
    gateway = build(loop, Limits(large_body=1024, max_large=1))
    first, both, go = threading.Event(), threading.Event(), asyncio.Event()

    async def upload(*_: object) -> tuple[str, str]:
        (both if first.is_set() else first).set()
        await go.wait()
        return "https://media.test/1", "/v/1?x=1"

    gateway.accounts.upload = upload  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as beside:
        uploads = [beside.submit(gateway.client().upload, Profile(), "image", b"x" * 2048) for _ in range(2)]
        assert first.wait(LONG_ENOUGH)
        gateway.client().request(Profile(), IQ)
        assert not both.wait(0.3)
        loop.loop.call_soon_threadsafe(go.set)
        assert [upload.result(LONG_ENOUGH) for upload in uploads] == [
            ("https://media.test/1", "/v/1?x=1")
        ] * 2
    assert both.is_set()
    loop.run(gateway.endpoint.close(0.1))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="no such option on this system")
def test_a_file_that_waits_on_the_wire_isn_t_given_up_as_a_message_is(loop: LoopThread) -> None:
    """The kernel ends a connection that takes nothing for so long (ms)."""
    gateway, patience = build(loop), []
    client = gateway.client()
    for send in (
        lambda: client.upload(Profile(), "image", bytes(protocol.LARGE_BODY + 1)),
        lambda: client.request(Profile(), IQ),
    ):
        send()
        [idle] = client._idle["default"]
        line = idle._http
        assert line is not None
        patience.append(line.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    assert patience == [(protocol.UPLOAD_TIMEOUT + GRACE_SECONDS) * 1000, 5000]
    loop.run(gateway.endpoint.close(0.1))


def test_the_end_of_a_resume_is_told(gateway: RunningEndpoint) -> None:
    gateway.client().resumed(Profile())
    assert gateway.accounts.seen == [("resumed", "default", 3)]


def test_one_connection_and_one_look_at_the_lease_serve_many_calls(gateway: RunningEndpoint) -> None:
    client = gateway.client()
    for _ in range(5):
        client.request(Profile(), IQ)
    assert gateway.lease_reads == 1


def test_each_of_several_calls_at_once_has_a_connection_of_its_own_and_gets_its_own_answer(
    loop: LoopThread,
) -> None:
    gateway, meeting = build(loop), threading.Barrier(4)
    client = gateway.client()

    async def answer(account: str, incarnation: int, node: Node, seconds: int) -> Node:
        # All are under way before the first is answered: on one connection they would wait for each other.
        await asyncio.to_thread(meeting.wait, LONG_ENOUGH)
        return Node("iq", {"id": node.attrs["id"], "type": "result"})

    gateway.accounts.request = answer  # type: ignore[method-assign]
    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(len(names)) as callers:
        for _ in range(2):
            answers = callers.map(
                lambda name: client.request(Profile(), Node("iq", {"id": name, "type": "get"})), names
            )
            assert [node.attrs["id"] for node in answers] == names
    assert gateway.lease_reads == len(names), "the second round opened lines anew"
    client.close()
    loop.run(gateway.endpoint.close(0.1))


def test_health_needs_no_token_and_tells_nothing(gateway: RunningEndpoint) -> None:
    line = raw(gateway)
    line.request("GET", "/v1/health")
    response = line.getresponse()
    assert (response.status, response.read()) == (200, b'{"ok":true}')


# Trust


def test_a_certificate_that_is_not_the_leases_is_refused_before_a_byte_is_sent(
    gateway: RunningEndpoint, another: Another
) -> None:
    client = ConnectorClient(lambda _: Lease(gateway.lease.url, another().lease.certificate))
    with pytest.raises(errors.ConnectorAway, match="certificate verify failed"):
        client.request(Profile(), IQ)
    assert gateway.accounts.seen == []


def test_the_certificate_passes_the_strict_verification_of_python_3_13(gateway: RunningEndpoint) -> None:
    context = ssl.create_default_context(cadata=gateway.lease.certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with (
        socket.create_connection(("127.0.0.1", gateway.port), LONG_ENOUGH) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_below_1_2_is_refused(gateway: RunningEndpoint) -> None:
    context = ssl.create_default_context(cadata=gateway.lease.certificate)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", gateway.port), LONG_ENOUGH) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize("path", ["iq", "message", "stanza", "resumed", "nowhere"])
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_no_door_opens_without_the_token(
    gateway: RunningEndpoint, path: str, authorization: str | None
) -> None:
    headers = {protocol.INCARNATION: "3"} | ({"Authorization": authorization} if authorization else {})
    status, answer = post(gateway, f"/v1/accounts/default/{path}", encode(IQ), headers)
    assert (status, answer["error"]) == (401, "unauthorized")
    assert gateway.accounts.seen == []


def test_a_token_opens_only_its_own_account(gateway: RunningEndpoint) -> None:
    gateway.accounts.tokens["other"] = "another token"
    with pytest.raises(errors.Refused) as raised:
        gateway.client().request(Profile(account="other"), IQ)
    assert raised.value.status == 401


def test_an_account_served_elsewhere_is_refused_like_a_wrong_token(gateway: RunningEndpoint) -> None:
    status, answer = post(gateway, "/v1/accounts/unknown/iq", encode(IQ), authorized())
    assert (status, answer["error"]) == (401, "unauthorized")


def test_a_refused_token_is_checked_against_the_lease_once_more(
    gateway: RunningEndpoint, another: Another
) -> None:
    moved = another()
    client = gateway.client()
    client.request(Profile(), IQ)
    gateway.accounts.tokens.clear()
    gateway.lease = moved.lease
    client.request(Profile(), IQ)
    assert len(moved.accounts.seen) == 1


# Refusals become named errors


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(protocol.NOT_CONNECTED, "no socket", state="logged_out"), errors.NotConnected),
        (Refusal(protocol.RESUMING, "parked first"), errors.Resuming),
        (Refusal(protocol.INCARNATION_REFUSED, "it is 4"), errors.IncarnationRefused),
        (Refusal(protocol.LEASE, "lost"), errors.LeaseMoved),
        (Refusal(protocol.KEY_USED, "used"), errors.KeyUsed),
        (Refusal(protocol.RESTRICTED, "banned", until=1.5e9), errors.Restricted),
        (Refusal(protocol.ACK_TIMEOUT, "75 s"), errors.AckTimeout),
        (Refusal(protocol.REQUEST_TIMEOUT, "60 s"), errors.RequestTimeout),
        (Refusal(protocol.DRAINING, "going"), errors.ConnectorAway),
        (ValueError("what is this"), errors.Refused),
        (ZeroDivisionError(), errors.Refused),
    ],
    ids=lambda value: getattr(value, "code", type(value).__name__) if isinstance(value, Exception) else "",
)
def test_each_refusal_is_its_error(
    gateway: RunningEndpoint, refusal: Exception, error: type[errors.ConnectorError]
) -> None:
    async def refuse(node: Node) -> Node:
        raise refusal

    gateway.accounts.answer = refuse
    with pytest.raises(errors.ConnectorError) as raised:
        gateway.client().send_message(Profile(), MESSAGE)
    assert type(raised.value) is error


def test_a_refusal_keeps_its_facts(gateway: RunningEndpoint) -> None:
    async def banned(node: Node) -> Node:
        raise Refusal(protocol.RESTRICTED, "banned", until=1.5e9)

    gateway.accounts.answer = banned
    with pytest.raises(errors.Restricted) as raised:
        gateway.client().send_message(Profile(), MESSAGE)
    assert raised.value.until == 1.5e9


def test_a_fault_of_our_own_is_answered_without_its_insides(gateway: RunningEndpoint) -> None:
    async def fail(node: Node) -> Node:
        raise RuntimeError("key material")

    gateway.accounts.answer = fail
    status, answer = post(gateway, "/v1/accounts/default/iq", encode(IQ), authorized())
    assert (status, answer["error"]) == (500, "broken")
    assert "key material" not in json.dumps(answer)


def test_an_iq_that_the_server_refuses_raises_with_its_code(gateway: RunningEndpoint) -> None:
    async def error(node: Node) -> Node:
        child = Node("error", {"code": "429", "text": "rate-overlimit", "backoff": "60"})
        return Node("iq", {"type": "error", "id": "1"}, (child,))

    gateway.accounts.answer = error
    with pytest.raises(errors.IqError) as raised:
        gateway.client().request(Profile(), IQ)
    assert (raised.value.error, raised.value.text, raised.value.backoff) == (429, "rate-overlimit", 60)


@pytest.mark.parametrize("number", ["9" * 18, "9" * 5000, "soon"])
def test_an_iq_that_is_refused_in_absurd_numbers_is_refused_all_the_same(
    gateway: RunningEndpoint, number: str
) -> None:
    async def error(node: Node) -> Node:
        child = Node("error", {"code": number, "text": "x" * 100_000, "backoff": number})
        return Node("iq", {"type": "error", "id": "1"}, (child,))

    gateway.accounts.answer = error
    with pytest.raises(errors.IqError) as raised:
        gateway.client().request(Profile(), IQ)
    assert (raised.value.error, len(raised.value.text), raised.value.backoff) == (500, 200, None)


@pytest.mark.parametrize("state", ["unpaired", "pairing", "connecting", "logged_out", "replaced", "stopped"])
def test_a_lease_that_says_not_connected_is_believed_without_a_call(
    gateway: RunningEndpoint, state: str
) -> None:
    gateway.lease = Lease(gateway.lease.url, gateway.lease.certificate, state)
    with pytest.raises(errors.NotConnected) as raised:
        gateway.client().request(Profile(), IQ)
    assert raised.value.state == state
    assert gateway.accounts.seen == []


def test_no_lease_at_all_is_a_connector_away() -> None:
    with pytest.raises(errors.ConnectorAway):
        ConnectorClient(lambda _: None).request(Profile(), IQ)


# What may not be handed over


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("iq", b""),
        ("iq", b"\x00\xf8"),
        ("iq", encode(MESSAGE)),
        ("iq", encode(Node("iq", {"type": "result"}))),
        ("message", encode(IQ)),
        ("message", encode(Node("message", {"to": "1234@lid"}))),
        ("stanza", encode(MESSAGE)),
        ("stanza", encode(IQ)),
        ("stanza", encode(Node("stream:error"))),
    ],
)
def test_a_node_at_the_wrong_door_is_malformed(gateway: RunningEndpoint, path: str, body: bytes) -> None:
    status, answer = post(gateway, f"/v1/accounts/default/{path}", body, authorized())
    assert (status, answer["error"]) == (400, "malformed")
    assert gateway.accounts.seen == []


@pytest.mark.parametrize("incarnation", ["", "x", "3.5"])
def test_an_incarnation_that_is_no_number_is_malformed(gateway: RunningEndpoint, incarnation: str) -> None:
    headers = authorized() | {protocol.INCARNATION: incarnation}
    status, answer = post(gateway, "/v1/accounts/default/iq", encode(IQ), headers)
    assert (status, answer["error"]) == (400, "malformed")


@pytest.mark.parametrize("path", ["/", "/v1/accounts/default/iq/", "/v1/accounts/../iq", "/v2/health"])
def test_unknown_paths_are_refused_like_strangers(gateway: RunningEndpoint, path: str) -> None:
    status, _ = post(gateway, path, b"", authorized())
    assert status == 401


def test_the_wrong_method_at_a_known_door_is_no_such_path(gateway: RunningEndpoint) -> None:
    line = raw(gateway)
    line.request("PUT", "/v1/accounts/default/iq", b"", authorized())
    assert line.getresponse().status == 404


# Sizes and slowness


def test_an_announced_body_over_the_limit_is_refused_unread(gateway: RunningEndpoint) -> None:
    line = raw(gateway)
    line.putrequest("POST", "/v1/accounts/default/iq")
    for name, value in (authorized() | {"Content-Length": str(1 << 40)}).items():
        line.putheader(name, value)
    line.endheaders()
    assert line.getresponse().status == 413


def test_a_chunked_body_over_the_limit_is_cut_off(gateway: RunningEndpoint) -> None:
    line = raw(gateway)
    chunks = (b"x" * 8192 for _ in range(9))
    line.request("POST", "/v1/accounts/default/iq", chunks, authorized(), encode_chunked=True)
    assert line.getresponse().status == 413


def test_a_body_at_the_limit_passes(gateway: RunningEndpoint) -> None:
    node = Node("message", {"id": "1"}, b"x" * (64 * 1024 - 20))
    gateway.client().send_message(Profile(), node)
    assert gateway.accounts.seen[0][3] == node


def test_a_strangers_body_is_not_read(gateway: RunningEndpoint) -> None:
    status, _ = post(gateway, "/v1/accounts/default/iq", b"x" * 60_000, {"Authorization": "Bearer wrong"})
    assert status == 401


def test_a_head_over_the_limit_is_refused(gateway: RunningEndpoint) -> None:
    status, _ = post(gateway, "/v1/accounts/default/iq", b"", {"X-Long": "x" * 200_000})
    assert status == 400


def test_bytes_that_are_not_http_are_refused(gateway: RunningEndpoint) -> None:
    with secured(gateway) as line:
        line.sendall(b"\x16\x03\x01 what is this\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_a_client_that_dawdles_over_its_request_is_sent_away(gateway: RunningEndpoint) -> None:
    with secured(gateway) as line:
        line.sendall(b"POST /v1/accounts/default/iq HTTP/1.1\r\nHost: x\r\n")
        gateway.eventually(lambda server: server._busy)
        gateway.skip(3600)
        assert line.recv(100).startswith(b"HTTP/1.1 408")


def test_the_time_limit_is_for_the_request_not_for_its_answer(gateway: RunningEndpoint) -> None:
    async def late(node: Node) -> Node:
        answering = asyncio.ensure_future(asyncio.sleep(2 * 3600))  # longer than head_seconds
        await asyncio.sleep(0)
        gateway.skip(2 * 3600)
        await answering
        return node

    gateway.accounts.answer = late
    assert gateway.client().send_message(Profile(), MESSAGE) == MESSAGE


def test_more_connections_than_allowed_cost_the_oldest_stranger_its_place(gateway: RunningEndpoint) -> None:
    lines = [secured(gateway) for _ in range(5)]
    try:
        assert lines[0].recv(10) == b""
    finally:
        for line in lines:
            line.close()


def test_reused_connections_do_not_wait_for_a_delayed_acknowledgement(
    gateway: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One side sends its answer in one piece, the other holds no piece back."""
    pieces: list[bytes] = []
    write = asyncio.StreamWriter.write
    monkeypatch.setattr(
        asyncio.StreamWriter, "write", lambda writer, data: (pieces.append(data), write(writer, data))
    )
    client = gateway.client()
    for _ in range(2):
        client.request(Profile(), IQ)
    assert len(pieces) == 2
    [line] = client._idle["default"]
    assert line._http is not None
    assert line._http.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_nothing_a_stranger_sends_keeps_the_next_one_from_being_served(
    gateway: RunningEndpoint, pieces: list[bytes], begin_well: bool
) -> None:
    with secured(gateway) as line, contextlib.suppress(OSError):
        for piece in [b"POST /v1/accounts/default/iq HTTP/1.1\r\n"] * begin_well + pieces:
            line.sendall(piece)
    test_health_needs_no_token_and_tells_nothing(gateway)


@given(st.binary(max_size=300))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_any_body_is_a_node_or_malformed(gateway: RunningEndpoint, body: bytes) -> None:
    status, answer = post(gateway, "/v1/accounts/default/iq", body, authorized())
    assert (status, answer["error"]) == (400, "malformed")


# Connections that end


def test_a_connection_that_the_connector_dropped_is_made_anew_once(
    gateway: RunningEndpoint, another: Another, loop: LoopThread
) -> None:
    client = gateway.client()
    client.request(Profile(), IQ)
    loop.run(gateway.endpoint.close(0))
    again = another(gateway.port)
    again.lease = gateway.lease = Lease(gateway.lease.url, again.lease.certificate)
    client.request(Profile(), IQ)
    assert len(again.accounts.seen) == 1
    assert gateway.lease_reads == 2


def test_a_connector_that_is_gone_is_away(gateway: RunningEndpoint, loop: LoopThread) -> None:
    client = gateway.client()
    client.request(Profile(), IQ)
    loop.run(gateway.endpoint.close(0))
    with pytest.raises(errors.ConnectorAway):
        client.request(Profile(), IQ)


def test_a_connector_that_does_not_answer_is_away_and_not_asked_twice(gateway: RunningEndpoint) -> None:
    async def never(node: Node) -> Node:
        await asyncio.Event().wait()
        raise AssertionError

    gateway.accounts.answer = never
    client = gateway.client()
    with pytest.raises(errors.ConnectorAway, match="no answer within"):
        client.request(Profile(), IQ, timeout=-4)
    assert len(gateway.accounts.seen) == 1


def test_a_closing_endpoint_lets_a_running_request_end(gateway: RunningEndpoint, loop: LoopThread) -> None:
    inside, closing = asyncio.Event(), asyncio.Event()

    async def slow(node: Node) -> Node:
        inside.set()
        await closing.wait()
        return node

    async def call_and_close() -> Node:
        call = asyncio.to_thread(gateway.client().send_message, Profile(), MESSAGE)
        running = asyncio.ensure_future(call)
        await inside.wait()
        closed = asyncio.ensure_future(gateway.endpoint.close(LONG_ENOUGH))
        await asyncio.sleep(0)
        assert gateway.endpoint._server.closing
        closing.set()
        await closed
        return await running

    gateway.accounts.answer = slow
    assert loop.run(call_and_close()) == MESSAGE


# Hands of this module


def authorized() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}", protocol.INCARNATION: "3"}


def secured(gateway: RunningEndpoint) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=gateway.lease.certificate)
    plain = socket.create_connection(("127.0.0.1", gateway.port), LONG_ENOUGH)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def raw(gateway: RunningEndpoint) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cadata=gateway.lease.certificate)
    return http.client.HTTPSConnection("127.0.0.1", gateway.port, timeout=LONG_ENOUGH, context=context)


def post(
    gateway: RunningEndpoint, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    line = raw(gateway)
    line.request("POST", path, body, headers)
    response = line.getresponse()
    return response.status, json.loads(response.read())
