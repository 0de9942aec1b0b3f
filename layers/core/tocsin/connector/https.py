"""One request over HTTP, blocking, with an end that the other side can't push: however slowly it answers.

The time-out of a socket begins anew with each byte, so a page that dribbles would be read for ever.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

from tocsin.connector.socket import USER_AGENT


def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    seconds: float,
    max_bytes: int,
    body: bytes | None = None,
    trust: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Status and body of the answer; redirections aren't followed. `seconds`: for all of it, but the look-up
    of the name. `trust`: None: the system's authorities.

    Raises TimeoutError, OSError, HTTPException; ValueError for an answer of more than `max_bytes`.
    """
    place = urlsplit(url)
    line: http.client.HTTPConnection
    if place.scheme == "https":
        line = http.client.HTTPSConnection(place.netloc, timeout=seconds, context=trust)
    else:
        line = http.client.HTTPConnection(place.netloc, timeout=seconds)
    end = _End(seconds)
    # Called with the socket as it is before TLS, which may dribble as well.
    line._create_connection = end.connect  # type: ignore[attr-defined]
    try:
        path = place.path + (f"?{place.query}" if place.query else "")
        line.request(method, path or "/", body, {"User-Agent": USER_AGENT, **headers})
        response = line.getresponse()
        answer = response.read(max_bytes + 1)
    except (OSError, http.client.HTTPException):
        if end.came:
            raise TimeoutError(f"no whole answer within {seconds:g} s") from None
        raise
    finally:
        end.over()
        line.close()
    if end.came:  # where the length isn't said, it looks like the end of the answer
        raise TimeoutError(f"no whole answer within {seconds:g} s")
    if len(answer) > max_bytes:
        raise ValueError(f"an answer of more than {max_bytes} bytes")
    return response.status, answer


class _End:
    """Cuts the connection when its time is over. `came`: it did."""

    def __init__(self, seconds: float) -> None:
        self.came = False
        self._cord: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, address: tuple[str, int], *arguments: object, **named: object) -> socket.socket:
        """As `socket.create_connection`."""
        made = socket.create_connection(address, *arguments, **named)  # type: ignore[arg-type]
        with self._lock:
            self._cord = made.dup()
            late = self.came
        if late:
            self._cut()
        return made

    def over(self) -> None:
        self._timer.cancel()
        with self._lock:
            if self._cord is not None:
                self._cord.close()
                self._cord = None

    def _cut(self) -> None:
        with self._lock:
            self.came = True
            if self._cord is not None:
                with contextlib.suppress(OSError):
                    self._cord.shutdown(socket.SHUT_RDWR)
