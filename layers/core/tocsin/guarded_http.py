"""HTTPS to addresses that strangers or operators name: never to what only we can reach.

    URL ─ checked ─▶ name ─ resolved once ─▶ addresses, all public ─▶ connected to one of *those*, name in TLS

A name that answers with a public address first and a private one then gains nothing: it isn't asked twice. No
redirect is followed. One bound holds for all of a request, however slowly the other side drips, and of an
answer no more is read than was asked for. Nothing here logs, and errors quote no URL.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

MAX_URL = 2000
_URL = re.compile(r"[!-~]{1,2000}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?")

_EMBEDDING = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"))
"""IPv6 that wraps an IPv4 address (NAT64, 6to4). Python calls it global."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""From host name and port to addresses. Raises OSError."""


class UrlRefused(Exception):
    """The URL isn't one that is connected to. `why`: what is wrong with it, without what it says."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Unreachable(Exception):
    """No answer came. `why`: `timeout`, `dns`, `tls`, `connection`, `protocol`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Answer:
    """What the other side said. `headers`: names in lower case. `body`: at most what was asked for; `is_cut`:
    there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


@dataclass(frozen=True)
class Policy:
    """Where one may connect to. `loopback`: to this machine as well, and without TLS: for a stack on one
    machine only."""

    ports: tuple[int, ...] = (443,)
    loopback: bool = False


PUBLIC = Policy()


@dataclass(frozen=True)
class Target:
    """A URL that was checked. `path`: with its query."""

    host: str
    port: int
    path: str
    is_tls: bool = True

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_tls else 80) else f"{name}:{self.port}"


def checked(url: str, policy: Policy = PUBLIC) -> Target:
    """Read a URL. Raises UrlRefused."""
    if not _URL.fullmatch(url):
        raise UrlRefused(f"is not a URL of at most {MAX_URL} printable ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UrlRefused("is no URL") from None
    if "\\" in url or not _HOST.fullmatch(host):
        raise UrlRefused("names no host")
    scheme = parts.scheme.lower()
    on_this_machine = policy.loopback and host in ("127.0.0.1", "localhost", "::1")
    if scheme != "https" and not (scheme == "http" and on_this_machine):
        raise UrlRefused("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("must not hold a user or a password")
    if parts.fragment or url.endswith("#"):
        raise UrlRefused("must not hold a fragment (#…)")
    port = port if port is not None else (443 if scheme == "https" else 80)
    if port not in policy.ports and not on_this_machine:
        raise UrlRefused(f"must be on port {' or '.join(str(one) for one in policy.ports)}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, path, scheme == "https")


def is_public(text: str) -> bool:
    """Whether an address is one that anybody on the internet could mean."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    wraps = address.ipv4_mapped or address.sixtofour or address.teredo
    return not (wraps or address.is_site_local or any(address in net for net in _EMBEDDING))


def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def request(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    seconds: float,
    max_bytes: int,
    policy: Policy = PUBLIC,
    resolve: Resolve = resolved,
    tls: Callable[[], ssl.SSLContext] | None = None,
) -> Answer:
    """Make one request and return its answer, whatever its status. Raises UrlRefused, Unreachable.

    `seconds`: for all of it; `max_bytes`: of the answer's body that are read. `tls`: makes the context; by
    default one that checks names and certificates.
    """
    target = checked(url, policy)
    deadline = time.monotonic() + seconds
    addresses = _looked_up(target, deadline, policy, resolve)
    connection = _connected(target, addresses, deadline, tls or _context)
    try:
        return _asked(connection, target, method, headers or {}, body, deadline, max_bytes)
    finally:
        connection.close()


def _looked_up(target: Target, deadline: float, policy: Policy, resolve: Resolve) -> Sequence[str]:
    """All addresses of a name, each checked. The system's resolver knows no bound, so it is waited for."""
    found: list[Sequence[str] | OSError] = []

    def ask() -> None:
        try:
            found.append(resolve(target.host, target.port))
        except (OSError, UnicodeError) as error:
            found.append(OSError(str(error)))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(max(deadline - time.monotonic(), 0.0))
    if not found:
        raise Unreachable("timeout")
    addresses = found[0]
    if isinstance(addresses, OSError) or not addresses:
        raise Unreachable("dns")
    for address in addresses:
        if not is_public(address) and not (policy.loopback and _is_loopback(address)):
            raise UrlRefused("leads to an address that is not public")
    return addresses


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _connected(
    target: Target, addresses: Sequence[str], deadline: float, tls: Callable[[], ssl.SSLContext]
) -> socket.socket:
    """A connection to the first address that takes one."""
    why = "connection"
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unreachable("timeout")
        try:
            raw = socket.create_connection((address, target.port), timeout=left)
        except TimeoutError:
            why = "timeout"
            continue
        except OSError:
            why = "connection"
            continue
        if not target.is_tls:
            return raw
        try:
            raw.settimeout(max(deadline - time.monotonic(), 0.001))  # connecting took its part of it
            with _Bound(raw, deadline) as bound:
                return tls().wrap_socket(raw, server_hostname=target.host)
        except (OSError, ValueError) as error:
            raw.close()
            is_late = bound.is_over or isinstance(error, TimeoutError)
            raise Unreachable("timeout" if is_late else "tls") from None
    raise Unreachable(why)


def _asked(
    connection: socket.socket,
    target: Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    max_bytes: int,
) -> Answer:
    spoken = http.client.HTTPConnection(target.host, target.port)
    spoken.sock = connection
    with _Bound(connection, deadline) as bound:
        try:
            spoken.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": target.host_header, "Connection": "close", **headers}
            if body is not None:
                sent["Content-Length"] = str(len(body))
            for name, value in sent.items():
                spoken.putheader(name, value)
            spoken.endheaders(body)
            answer = spoken.getresponse()
            read = answer.read(max_bytes + 1)
            if answer.length and len(read) <= max_bytes:
                raise ConnectionError  # it ended before it was all there
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = bound.is_over or isinstance(error, TimeoutError)
            why = "protocol" if isinstance(error, http.client.HTTPException) else "connection"
            raise Unreachable("timeout" if late else why) from None
    if bound.is_over:
        raise Unreachable("timeout")
    told = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, told, read[:max_bytes], len(read) > max_bytes)


class _Bound:
    """Ends whatever happens on a socket at a moment: a time-out of each read is none for all of them."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = threading.Timer(max(deadline - time.monotonic(), 0.0), self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Bound:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        with contextlib.suppress(OSError):  # it is closed already
            self._connection.shutdown(socket.SHUT_RDWR)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
