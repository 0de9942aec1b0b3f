"""One kept-alive HTTPS connection to one connector."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from tocsin.connector_client import protocol
from tocsin.connector_client.answers import Stale
from tocsin.connector_client.errors import ConnectorAway

UNACKNOWLEDGED_MS = 5000
"""After so long a host that confirms nothing of what was sent, or takes nothing, counts as gone."""


@dataclass
class Line:
    """A kept-alive connection to one connector, whose certificate is the only authority it trusts."""

    url: str
    certificate: str
    connect_seconds: float
    _http: http.client.HTTPSConnection | None = None

    def post(self, path: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, bytes]:
        """Status and body. Raises `Stale`; `ConnectorAway` when it took longer than `seconds`.

        A reset on a reused connection is the ordinary end of an idle one: repeated once on a fresh one,
        which is safe, for the connector knows a repeated request by its bytes.
        """
        try:
            if self._http is not None:
                with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                    return self._exchange(self._http, path, body, headers, seconds)
                self.close()
            return self._exchange(self._connect(), path, body, headers, seconds)
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            raise Stale(ConnectorAway(f"{type(exc).__name__}: {exc}")) from exc

    def _connect(self) -> http.client.HTTPSConnection:
        where = urlsplit(self.url)
        context = _trusting(self.certificate)
        self._http = http.client.HTTPSConnection(
            where.hostname or "", where.port, timeout=self.connect_seconds, context=context
        )
        self._http.connect()
        _watch(self._http.sock)
        return self._http

    @staticmethod
    def _exchange(
        line: http.client.HTTPSConnection, path: str, body: bytes, headers: dict[str, str], seconds: float
    ) -> tuple[int, bytes]:
        if line.sock is None:  # the connector closed after its last answer
            raise ConnectionResetError("closed")
        line.sock.settimeout(seconds)
        # A file may have to wait on the wire until the connector has room for it: that is no vanished host.
        large = len(body) > protocol.LARGE_BODY
        _set(line.sock, "TCP_USER_TIMEOUT", int(seconds * 1000) if large else UNACKNOWLEDGED_MS)
        begun = time.monotonic()
        try:
            line.request("POST", path, body, headers)
            line.sock.settimeout(max(seconds - (time.monotonic() - begun), 0.1))
            response = line.getresponse()
            answer = response.read(protocol.MAX_BODY + 1)
        except TimeoutError as exc:
            line.close()
            raise ConnectorAway(f"no answer within {seconds:g} s") from exc
        if len(answer) > protocol.MAX_BODY:
            raise http.client.HTTPException("answer too long")
        return response.status, answer

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


@lru_cache(maxsize=8)
def _trusting(certificate: str) -> ssl.SSLContext:
    """What trusts this certificate (PEM) alone. Shared by all lines of a connector, as contexts may be."""
    context = ssl.create_default_context(cadata=certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _watch(line: socket.socket) -> None:
    """Have the kernel notice a host that vanished: 15 s of silence, or `TCP_USER_TIMEOUT` (each exchange)."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}.items():
        _set(line, name, value)


def _set(line: socket.socket, option: str, value: int) -> None:
    """Not every system has every option."""
    if hasattr(socket, option):
        line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
