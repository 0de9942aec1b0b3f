"""Where a URL that somebody else gave may lead, and how long it may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tocsin import guarded_http
from tocsin.guarded_http import (
    Policy,
    Target,
    Unreachable,
    UrlRefused,
    checked,
    is_public,
    request,
)

HERE = Policy(loopback=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def asked(taken: socket.socket) -> bytes:
    """The whole of a request; of TLS its first bytes."""
    said = taken.recv(65536)
    while said[:4] in (b"GET ", b"POST") and not said.endswith((b"\r\n\r\n", b"{}")):
        said += taken.recv(65536)
    if b"Content-Length" in said and not said.endswith(b"{}"):
        said += taken.recv(65536)
    return said


@contextmanager
def server(answer: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server for one connection; yields its port and what it was asked."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                taken, _ = listening.accept()
            except OSError:
                return
            with taken:
                heard.append(asked(taken))
                try:
                    answer(taken, heard[0])
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], heard
        listening.close()
        thread.join(60)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", Target("hooks.example.com", 443, "/")),
        ("https://hooks.example.com:443/a/b?c=d%20e", Target("hooks.example.com", 443, "/a/b?c=d%20e")),
        ("HTTPS://Hooks.Example.com/A", Target("hooks.example.com", 443, "/A")),
    ],
)
def test_an_https_url_is_read(url: str, target: Target) -> None:
    assert checked(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com/#",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https:///path",
        "https://",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/\r\nHost: other",
        "https://hooks.example.com/ a",
        "https://h\u00f6oks.example.com/",
        "https://[::1",
        "https://exa_mple.com/",
        "https://hooks.example.com/" + "a" * 2000,
        "",
    ],
)
def test_any_other_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UrlRefused) as refusal:
        checked(url)
    assert "secret" not in str(refusal.value)


def test_another_port_needs_to_be_allowed() -> None:
    assert checked("https://hooks.example.com:8443/", Policy(ports=(443, 8443))).port == 8443


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::6810:84e5", "1.1.1.1"])
def test_what_anybody_can_reach_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
        "0.0.0.0",  # noqa: S104 - an address that is refused
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
        *("::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1"),
        *("no address", ""),
    ],
)
def test_what_only_we_can_reach_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UrlRefused, match="not public"):
        request(
            "https://hooks.example.com/",
            seconds=60,
            max_bytes=10,
            resolve=lambda host, port: ["169.254.169.254"],
        )


def test_a_name_with_one_address_inside_is_refused_as_a_whole() -> None:
    with pytest.raises(UrlRefused, match="not public"):
        request(
            "https://hooks.example.com/",
            seconds=60,
            max_bytes=10,
            resolve=lambda host, port: ["93.184.215.14", "127.0.0.1"],
        )


def test_a_name_is_asked_for_once_and_its_answer_connected_to() -> None:
    """A second question could be answered with another address than the one that was checked."""
    names: list[str] = []
    with server(lambda taken, _: taken.sendall(OK)) as (port, heard):

        def resolve(host: str, _: int) -> list[str]:
            names.append(host)
            return ["127.0.0.1"]

        answer = request(
            f"http://localhost:{port}/x?y=1",
            method="POST",
            headers={"Content-Type": "application/json"},
            body=b"{}",
            seconds=60,
            max_bytes=100,
            policy=HERE,
            resolve=resolve,
        )
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"hello", "text/plain")
    assert names == ["localhost"]
    assert heard[0].startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert f"Host: localhost:{port}\r\n".encode() in heard[0]
    assert heard[0].endswith(b"\r\n\r\n{}")


def test_this_machine_is_reached_only_where_that_is_allowed() -> None:
    with pytest.raises(UrlRefused):
        request("http://127.0.0.1:1/", seconds=60, max_bytes=1)


def test_a_redirect_is_an_answer_like_any_other() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with server(lambda taken, _: taken.sendall(moved)) as (port, _):
        answer = request(f"http://127.0.0.1:{port}/", seconds=60, max_bytes=10, policy=HERE)
    assert answer.status == 302


def test_of_a_long_answer_no_more_is_read_than_was_asked_for() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000
    with server(lambda taken, _: taken.sendall(long)) as (port, _):
        answer = request(f"http://127.0.0.1:{port}/", seconds=60, max_bytes=10, policy=HERE)
    assert (answer.body, answer.is_cut) == (b"a" * 10, True)


def test_who_drips_is_left_after_the_bound_of_the_whole() -> None:
    gone = threading.Event()

    def drip(taken: socket.socket, _: bytes) -> None:
        for letter in OK * 100:
            if gone.wait(0.05):
                return
            taken.sendall(bytes([letter]))

    with server(drip) as (port, _):
        with pytest.raises(Unreachable) as late:
            request(f"http://127.0.0.1:{port}/", seconds=0.4, max_bytes=10_000, policy=HERE)
        gone.set()
    assert late.value.why == "timeout"


def test_who_says_nothing_is_left_after_the_bound() -> None:
    gone = threading.Event()
    with server(lambda taken, _: gone.wait(60) and None) as (port, _):
        with pytest.raises(Unreachable) as late:
            request(f"http://127.0.0.1:{port}/", seconds=0.3, max_bytes=10, policy=HERE)
        gone.set()
    assert late.value.why == "timeout"


def test_a_resolver_that_hangs_is_left_after_the_bound() -> None:
    gone = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        gone.wait(60)
        return []

    with pytest.raises(Unreachable) as late:
        request("https://hooks.example.com/", seconds=0.2, max_bytes=10, resolve=hang)
    gone.set()
    assert late.value.why == "timeout"


@pytest.mark.parametrize(
    ("answer", "why"), [(b"nonsense\r\n\r\n", "protocol"), (b"", "protocol"), (OK[:-2], "connection")]
)
def test_what_is_no_http_is_no_answer(answer: bytes, why: str) -> None:
    with (
        server(lambda taken, _: taken.sendall(answer)) as (port, _),
        pytest.raises(Unreachable) as refused,
    ):
        request(f"http://127.0.0.1:{port}/", seconds=60, max_bytes=10, policy=HERE)
    assert refused.value.why in (why, "connection")


def test_nobody_there_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="connection"):
        request("http://127.0.0.1:1/", seconds=60, max_bytes=10, policy=HERE)


def test_a_name_that_does_not_exist_is_no_answer() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    with pytest.raises(Unreachable, match="dns"):
        request("https://nowhere.example.com/", seconds=60, max_bytes=10, resolve=unknown)


def test_tls_that_speaks_something_else_is_no_answer() -> None:
    with (
        server(lambda taken, _: taken.sendall(b"no tls here")) as (port, _),
        pytest.raises(Unreachable, match="tls"),
    ):
        request(f"https://localhost:{port}/", seconds=60, max_bytes=10, policy=HERE)


def test_connecting_and_tls_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    now, left = [100.0], []

    class Raw:
        def settimeout(self, seconds: float) -> None:
            left.append(seconds)

        def close(self) -> None:
            pass

    class Tls:
        def wrap_socket(self, raw: Raw, server_hostname: str) -> None:
            raise TimeoutError

    def slow(address: tuple[str, int], timeout: float) -> Raw:
        now[0] += 3
        return Raw()

    monkeypatch.setattr(guarded_http, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(guarded_http.socket, "create_connection", slow)
    with pytest.raises(Unreachable, match="timeout"):
        request(
            "https://example.com/",
            seconds=5,
            max_bytes=10,
            resolve=lambda *_: ["93.184.216.34"],
            tls=Tls,  # type: ignore[arg-type]
        )
    assert left == [2]
