"""Strangers at the endpoint: how long they may be silent, and who goes when there is no room."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.running_endpoint import (
    LONG_ENOUGH,
    TOKEN,
    LoopThread,
    Profile,
    RunningEndpoint,
    build,
)
from tocsin.connector.gateway.httpd import (
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    STRANGER_SECONDS,
    STRANGERS_OF_ONE,
    Limits,
)
from tocsin.connector.gateway.visitors import Visitor, Visitors
from tocsin.connector_client import protocol
from tocsin.whatsapp.node import Node

IQ = Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),))
PATIENCE = 60
NEVER = 3600
"""Seconds of the endpoint's clock, which a test puts forward."""


# -- who goes ---------------------------------------------------------------------------------------------


def entered(visitors: Visitors, address: str = "a", now: float = 0) -> Visitor:
    visitor, _ = visitors.enter(address, now)
    assert visitor is not None
    return visitor


def test_a_stranger_has_seconds() -> None:
    assert entered(Visitors(4, 2, patience=5), now=100).deadline == 105


def test_one_more_of_an_address_costs_its_oldest_stranger_the_place() -> None:
    visitors = Visitors(places=8, share=2, patience=5)
    other, first, second = (entered(visitors, address) for address in ("b", "a", "a"))
    _, leaving = visitors.enter("a", 0)
    assert leaving is first
    assert leaving not in (other, second)


def test_in_a_full_house_the_oldest_stranger_of_all_goes() -> None:
    visitors = Visitors(places=3, share=3, patience=5)
    oldest = entered(visitors, "b")
    entered(visitors, "a")
    entered(visitors, "a")
    visitor, leaving = visitors.enter("c", 0)
    assert visitor is not None
    assert leaving is oldest


def test_those_with_a_token_are_never_dropped() -> None:
    visitors = Visitors(places=2, share=2, patience=5)
    for visitor in (entered(visitors), entered(visitors)):
        visitors.accept(visitor)
    assert visitors.enter("b", 0) == (None, None)


def test_a_welcome_one_leaves_its_share_to_the_next_stranger() -> None:
    visitors = Visitors(places=8, share=1, patience=5)
    visitors.accept(entered(visitors))
    _, leaving = visitors.enter("a", 0)
    assert leaving is None


def test_a_token_that_comes_too_late_welcomes_nobody() -> None:
    visitors = Visitors(places=1, share=1, patience=5)
    late = entered(visitors)
    visitors.enter("a", 0)
    visitors.accept(late)
    assert (len(visitors), late.welcome) == (1, False)


def test_the_share_is_a_quarter() -> None:
    assert 4 * STRANGERS_OF_ONE == MAX_CONNECTIONS


@dataclass
class House:
    """What the rules say, told plainly: everybody in the order of their coming."""

    places: int
    share: int
    inside: list[Visitor] = field(default_factory=list)

    def expected(self, address: str) -> Visitor | None:
        strangers = [one for one in self.inside if not one.welcome]
        ours = [one for one in strangers if one.address == address]
        if len(ours) >= self.share:
            return ours[0]
        return strangers[0] if strangers and len(self.inside) >= self.places else None


@given(
    places=st.integers(1, 6),
    share=st.integers(1, 3),
    steps=st.lists(st.tuples(st.sampled_from(["enter", "accept", "leave"]), st.integers(0, 7)), max_size=40),
)
def test_no_order_of_events_breaks_a_bound_or_drops_a_welcome_one(
    places: int, share: int, steps: list[tuple[str, int]]
) -> None:
    visitors, house = Visitors(places, share, 5), House(places, share)
    for step, number in steps:
        if step == "enter":
            address = "abc"[number % 3]
            expected = house.expected(address)
            visitor, leaving = visitors.enter(address, 0)
            assert leaving is expected
            house.inside = [one for one in house.inside if one is not leaving]
            assert (visitor is None) == (len(house.inside) >= places)
            house.inside += [visitor] if visitor is not None else []
        elif house.inside:
            chosen = house.inside[number % len(house.inside)]
            getattr(visitors, step)(chosen)
            if step == "leave":
                house.inside.remove(chosen)
        assert len(visitors) == len(house.inside) <= places
        for address in "abc":
            assert sum(one.address == address and not one.welcome for one in house.inside) <= share


# -- over real sockets ------------------------------------------------------------------------------------


Open = Callable[..., RunningEndpoint]


@pytest.fixture
def running(loop: LoopThread) -> Iterator[Open]:
    """Endpoints whose patience with strangers is far shorter than that with others, closed at the end."""
    with ExitStack() as closing:

        def start(**limits: float) -> RunningEndpoint:
            chosen = {"stranger_seconds": PATIENCE, "head_seconds": NEVER, "idle_seconds": NEVER, **limits}
            gateway = build(loop, Limits(**chosen))  # type: ignore[arg-type]
            closing.callback(lambda: loop.run(gateway.endpoint.close(0.1)))
            return gateway

        yield start


def silent(gateway: RunningEndpoint, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), LONG_ENOUGH, (address, 0))


def secured(gateway: RunningEndpoint, address: str = "127.0.0.1") -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=gateway.lease.certificate)
    return context.wrap_socket(silent(gateway, address), server_hostname="127.0.0.1")


def closed(line: socket.socket) -> bool:
    """Whether the endpoint closed it, waiting for that; False: not in time."""
    try:
        while line.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("connect", [silent, secured])
def test_a_silent_stranger_is_sent_away_after_its_seconds(running: Open, connect: object) -> None:
    gateway = running()
    with connect(gateway) as line:  # type: ignore[operator]
        gateway.eventually(lambda server: len(server._visitors))
        gateway.skip(PATIENCE)
        assert closed(line)


def test_a_tls_handshake_that_never_ends_is_cut_off(running: Open) -> None:
    gateway = running()
    with silent(gateway) as line:
        line.sendall(b"\x16\x03\x01\x02\x00")
        gateway.eventually(lambda server: len(server._visitors))
        gateway.skip(PATIENCE)
        assert closed(line)


def test_a_stranger_that_drips_its_head_is_sent_away_after_its_seconds(running: Open) -> None:
    gateway = running()
    with secured(gateway) as line:
        line.sendall(b"POST /v1/accounts/default/iq HT")
        gateway.eventually(lambda server: server._busy)
        gateway.skip(PATIENCE)
        assert closed(line)


@pytest.mark.parametrize("path", ["/v1/health", "/v1/accounts/default/iq"])
def test_who_only_chats_stays_a_stranger(running: Open, path: str) -> None:
    """Whatever is answered without a token buys no time."""
    gateway, answers = running(), 0
    with secured(gateway) as line, suppress(ConnectionError, ssl.SSLError):
        while answers < 9:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if not line.recv(4096):
                break
            answers += 1
            gateway.skip(PATIENCE / 4)
    assert answers <= 4


def test_who_showed_a_token_may_be_silent_for_longer(running: Open) -> None:
    """A frozen Lambda says nothing for minutes."""
    gateway = running()
    client = gateway.client()
    client.request(Profile(), IQ)
    with secured(gateway) as stranger:  # who comes later, and is gone before the client asks again
        gateway.skip(PATIENCE)
        assert closed(stranger)
    client.request(Profile(), IQ)
    assert gateway.lease_reads == 1


def test_a_request_that_takes_longer_than_a_stranger_may_is_answered(running: Open) -> None:
    gateway = running()
    with secured(gateway) as line:
        line.sendall(
            b"POST /v1/accounts/default/resumed HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            + f"Authorization: Bearer {TOKEN}\r\n{protocol.INCARNATION}: 3\r\n\r\n".encode()
        )
        gateway.eventually(lambda server: server._visitors._welcome)
        with secured(gateway) as stranger:
            gateway.skip(PATIENCE)
            assert closed(stranger)
        line.sendall(b"body")
        response = http.client.HTTPResponse(line)
        response.begin()
        assert response.status == 200


def test_silent_connections_keep_no_function_out(running: Open) -> None:
    """512 silent TLS connections had shut the endpoint for ten minutes."""
    gateway = running(stranger_seconds=NEVER, max_connections=16, strangers_of_one=4)
    with ExitStack() as held:
        lines = [held.enter_context(secured(gateway)) for _ in range(20)]
        gateway.client().request(Profile(), IQ)
        assert closed(lines[0])


def test_a_flood_is_told_once(running: Open, caplog: pytest.LogCaptureFixture) -> None:
    gateway = running(stranger_seconds=NEVER, max_connections=2)
    with ExitStack() as held:
        lines = [held.enter_context(silent(gateway)) for _ in range(8)]
        assert closed(lines[5])
    assert [record.message for record in caplog.records].count("too many connections") == 1


def test_with_the_limits_in_use_too(running: Open) -> None:
    gateway = running(stranger_seconds=STRANGER_SECONDS, head_seconds=HEAD_SECONDS, idle_seconds=IDLE_SECONDS)
    with ExitStack() as held:
        for _ in range(STRANGERS_OF_ONE + 20):
            held.enter_context(silent(gateway))
        gateway.client().request(Profile(), IQ)


def test_a_flood_from_one_address_costs_another_no_place(running: Open) -> None:
    gateway = running(stranger_seconds=NEVER, max_connections=16, strangers_of_one=4)
    with ExitStack() as held:
        try:
            other = held.enter_context(secured(gateway, "127.0.0.2"))
        except OSError:
            pytest.skip("this system has one loopback address")
        for _ in range(12):
            held.enter_context(secured(gateway))
        other.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_full_house_of_functions_lets_nobody_in(running: Open) -> None:
    gateway = running(max_connections=2)
    clients = [gateway.client() for _ in range(2)]
    for client in clients:
        client.request(Profile(), IQ)
    with silent(gateway) as line:
        assert closed(line)
    for client in clients:
        client.request(Profile(), IQ)
    assert gateway.lease_reads == 2
