"""How a Lambda reaches the socket: kept-alive HTTPS connections, which the sealed lease vouches for.

Light on purpose, since it is imported at every cold start: http.client, ssl, json, and the node codec. Where
the connector is (the lease) may be remembered between calls, for it is no key material; any failure or
refusal forgets it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from tocsin.accounts.state import LOGGED_IN, AccountState
from tocsin.accounts.whereabouts import LeaseRefused
from tocsin.connector_client import protocol
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.iq import refused
from tocsin.whatsapp.node import Node, decode, encode

CONNECT_SECONDS = 2.0

UNACKNOWLEDGED_MS = 5000
"""After so long a host that confirms nothing of what was sent, or takes nothing, counts as gone."""

GRACE_SECONDS = 5.0
"""How much longer than the connector's own deadline its answer is awaited."""


class Profile(Protocol):
    """What of `keys.account.AccountProfile` a call needs."""

    @property
    def account(self) -> str: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def connector_token(self) -> str: ...


class Whereabouts(Protocol):
    """What of `accounts.whereabouts.Whereabouts` a call needs; `certificate` is PEM, `protocol` a version."""

    @property
    def state(self) -> AccountState: ...
    @property
    def url(self) -> str | None: ...
    @property
    def certificate(self) -> str | None: ...
    @property
    def protocol(self) -> int: ...


# ConnectorError
# ├── ConnectorAway        nobody answers where the lease points
# ├── LeaseUntrusted       the lease's seal doesn't say where that is
# ├── ProtocolRefused      the connector is of a release too far from ours
# ├── NotConnected         the account has no open WhatsApp connection
# ├── LeaseMoved           the connector asked no longer holds the account
# ├── Resuming             parked notifications go first
# ├── Restricted           the server won't have the account for a while
# ├── IncarnationRefused   the caller's state is of an older pairing
# ├── KeyUsed              a message key went out before, with other content
# ├── AckTimeout           handed over, and no ack came
# ├── RequestTimeout       asked, and no answer came
# ├── IqError              the server answered the IQ with an error
# └── Refused              the request itself is wrong: a bug


class ConnectorError(Exception):
    """A call to the connector failed. `code` is for counting and for the notification's history."""

    code = "connector"


class ConnectorAway(ConnectorError):
    """No connector answers. Wait (park); a new one takes the lease within 20 s.

    A message may or may not have been handed over: repeat it under the same message id.
    """

    code = "connector-away"


class LeaseUntrusted(ConnectorError):
    """The lease isn't sealed as a connector seals it, so nobody was called. Wait (park); whoever takes the
    account next writes another."""

    code = "lease-untrusted"


class ProtocolRefused(ConnectorError):
    """The connector's release and ours are too far apart to understand each other. Wait (park): the update
    that brought the one brings the other, or the text says what helps."""

    code = protocol.PROTOCOL_REFUSED


class NotConnected(ConnectorError):
    """The account isn't connected; `state` is the lease's. Wait; a person must act where it says unpaired,
    logged_out, replaced or stopped."""

    code = protocol.NOT_CONNECTED

    def __init__(self, state: str, detail: str = "") -> None:
        super().__init__(f"account is {state}" + (f": {detail}" if detail else ""))
        self.state = state


class LeaseMoved(ConnectorError):
    """The lease changed hands and the new holder doesn't serve yet. Wait."""

    code = protocol.LEASE


class Resuming(ConnectorError):
    """Parked notifications of this account are being sent. Park behind them."""

    code = protocol.RESUMING


class Restricted(ConnectorError):
    """The server forbids the account this until `until` (Unix seconds; None when it didn't say). Wait.

    `limit`: what from, as `accounts.limits` names it; empty where it is from everything. `cause`: by what.
    """

    code = protocol.RESTRICTED

    def __init__(self, until: float | None, detail: str = "", limit: str = "", cause: str = "") -> None:
        super().__init__(detail or "account restricted")
        self.until = until
        self.limit = limit
        self.cause = cause


class DownloadFailed(ConnectorError):
    """No host gives the file out, in time and as it was encrypted."""

    code = protocol.DOWNLOAD_FAILED


class IncarnationRefused(ConnectorError):
    """The profile is of an older pairing. Forget it, read the account again, encrypt again."""

    code = protocol.INCARNATION_REFUSED


class KeyUsed(ConnectorError):
    """A ciphertext's key went out before with other content, so nothing was sent. Give up the chains to
    `names` (full JIDs of devices, and groups), encrypt again."""

    code = protocol.KEY_USED

    def __init__(self, detail: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.names = names


class AckTimeout(ConnectorError):
    """The message went out and the server didn't acknowledge it. Retry under the same message id."""

    code = protocol.ACK_TIMEOUT


class RequestTimeout(ConnectorError):
    """The server didn't answer an IQ in time. Retry."""

    code = protocol.REQUEST_TIMEOUT


class UploadFailed(ConnectorError):
    """No media host took the file. Retry."""

    code = protocol.UPLOAD_FAILED


class UploadRefused(ConnectorError):
    """A media host will never take the file."""

    code = protocol.UPLOAD_REFUSED


class IqError(ConnectorError):
    """The server refused an IQ. `error` is its code, `text` its words, `backoff` seconds it asks for."""

    code = "iq-error"

    def __init__(self, error: int, text: str, backoff: int | None) -> None:
        super().__init__(f"{error} {text}")
        self.error = error
        self.text = text
        self.backoff = backoff


class Refused(ConnectorError):
    """The connector doesn't accept the request as it is; repeating can't help. A bug of ours.

    `status` is HTTP's; `reason` one of the connector's codes.
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.code = reason
        self.status = status


class _Stale(Exception):
    """What is remembered of the connector may be old. `error` is what this means if the lease agrees."""

    def __init__(self, error: ConnectorError) -> None:
        super().__init__(str(error))
        self.error = error


class ConnectorClient:
    """Calls for any number of accounts, from several threads at a time: each call has a line of its own while
    it lasts. A line that worked waits for the next call; there are as many as there were calls at once."""

    def __init__(
        self,
        read_lease: Callable[[str], Whereabouts | None],
        *,
        connect_seconds: float = CONNECT_SECONDS,
        patience: int | None = None,
    ) -> None:
        """`patience`: seconds for which WhatsApp's answer is awaited at most, whatever a call says."""
        self._patience = patience
        self._read_lease = read_lease
        self._connect_seconds = connect_seconds
        self._idle: dict[str, list[_Line]] = {}
        self._lock = threading.Lock()

    def request(self, profile: Profile, node: Node, timeout: int = 30) -> Node:
        """The server's result for an IQ. Raises `IqError` for its refusal, else `ConnectorError`s."""
        answer = self._node(profile, "iq", node, timeout)
        if answer.attrs.get("type") == "result" and answer.child("error") is None:
            return answer
        raise _iq_error(answer)

    def send_message(
        self,
        profile: Profile,
        node: Node,
        *,
        resumed: bool = False,
        first_contact: bool = False,
        pace: str = "",
        timeout: int = 80,
    ) -> Node:
        """The server's `<ack>` for a message, which may bear an `error`. `pace`: as `protocol.pace_words`
        says it."""
        how = {protocol.RESUMED: str(int(resumed)), protocol.FIRST_CONTACT: str(int(first_contact))}
        if pace:
            how[protocol.PACE] = pace
        return self._node(profile, "message", node, timeout, how)

    def send(self, profile: Profile, node: Node) -> None:
        """Write a receipt or the like to the socket; nothing of the server's is awaited."""
        self._call(profile, "stanza", encode(node), 10, {})

    def upload(self, profile: Profile, kind: str, blob: bytes) -> tuple[str, str]:
        """Have an encrypted file uploaded; its URL and direct path. `kind`: `image` or `document`."""
        seconds = protocol.UPLOAD_TIMEOUT + GRACE_SECONDS
        answer = json.loads(self._call(profile, "media", blob, seconds, {protocol.MEDIA: kind}))
        return str(answer["url"]), str(answer["direct_path"])

    def download(self, profile: Profile, direct_path: str, file_enc_sha256: bytes) -> bytes:
        """Have a file fetched that WhatsApp keeps, as it was encrypted. Raises `DownloadFailed` if it can't
        be had; `Refused` by a connector that doesn't fetch any."""
        asked = json.dumps({"direct_path": direct_path, "file_enc_sha256": file_enc_sha256.hex()}).encode()
        return self._call(profile, "download", asked, protocol.DOWNLOAD_TIMEOUT + GRACE_SECONDS, {})

    def resumed(self, profile: Profile) -> None:
        """Tell the connector that all parked notifications are through."""
        self._call(profile, "resumed", b"", 10, {})

    def close(self) -> None:
        """Close the lines that wait for a call."""
        with self._lock:
            idle = [line for lines in self._idle.values() for line in lines]
            self._idle.clear()
        for line in idle:
            line.close()

    def _node(
        self, profile: Profile, door: str, node: Node, timeout: int, headers: dict[str, str] | None = None
    ) -> Node:
        timeout = min(timeout, self._patience or timeout)
        more = {protocol.TIMEOUT: str(timeout), **(headers or {})}
        body = self._call(profile, door, encode(node), timeout + GRACE_SECONDS, more)
        try:
            return decode(body)
        except WireError as exc:
            raise Refused(200, protocol.MALFORMED, f"the connector's answer is no node: {exc}") from exc

    def _call(self, profile: Profile, door: str, body: bytes, seconds: float, more: dict[str, str]) -> bytes:
        """One call; once again, after another look at the lease, if the line was remembered and failed."""
        path = f"/v1/accounts/{profile.account}/{door}"
        headers = {
            "Authorization": f"Bearer {profile.connector_token}",
            "Content-Type": protocol.NODE_TYPE,
            protocol.PROTOCOL: str(protocol.VERSION),
            protocol.INCARNATION: str(profile.incarnation),
            **more,
        }
        stale = _Stale(ConnectorAway("no connector holds the account"))
        for line in self._lines_to_try(profile.account):
            try:
                answer = line.post(path, body, headers, seconds)
                self._keep(profile.account, line)
                return _understand(*answer)
            except _Stale as exc:
                stale = exc
                self._forget(profile.account)
        raise stale.error from stale.__cause__

    def _lines_to_try(self, account: str) -> Iterator[_Line]:
        """A line that waits, if one does, then the one by a fresh look at the lease."""
        with self._lock:
            idle = self._idle.get(account)
            waiting = idle.pop() if idle else None
        if waiting is not None:
            yield waiting
        yield self._open(account)

    def _open(self, account: str) -> _Line:
        """A line to where the lease points. Raises `NotConnected`, `ConnectorAway`, `LeaseUntrusted`,
        `ProtocolRefused`."""
        try:
            lease = self._read_lease(account)
        except LeaseRefused as refused:
            raise LeaseUntrusted(str(refused)) from refused
        if lease is None or not lease.url or not lease.certificate:
            raise ConnectorAway("no connector holds the account")
        if lease.state not in LOGGED_IN:
            raise NotConnected(lease.state)
        if objection := protocol.objection(lease.protocol, protocol.VERSION):
            raise ProtocolRefused(objection)
        return _Line(lease.url, lease.certificate, self._connect_seconds)

    def _keep(self, account: str, line: _Line) -> None:
        with self._lock:
            self._idle.setdefault(account, []).append(line)

    def _forget(self, account: str) -> None:
        """Close the lines that wait: they lead where the one led that failed."""
        with self._lock:
            idle = self._idle.pop(account, [])
        for line in idle:
            line.close()


@dataclass
class _Line:
    """A kept-alive connection to one connector, whose certificate is the only authority it trusts."""

    url: str
    certificate: str
    connect_seconds: float
    _http: http.client.HTTPSConnection | None = None

    def post(self, path: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, bytes]:
        """Status and body. Raises `_Stale`; `ConnectorAway` when it took longer than `seconds`.

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
            raise _Stale(ConnectorAway(f"{type(exc).__name__}: {exc}")) from exc

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


def _understand(status: int, body: bytes) -> bytes:
    """The body of a 200. Raises what the connector's code means."""
    if status == 200:
        return body
    try:
        answer = json.loads(body)
        reason, detail = str(answer["error"]), str(answer.get("detail", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(status, protocol.BROKEN, "an answer that is not the connector's") from None
    match reason:
        # The remembered connector may simply not be the one any more: the lease knows.
        case protocol.LEASE:
            raise _Stale(LeaseMoved(detail))
        case protocol.DRAINING:
            raise _Stale(ConnectorAway(detail))
        case protocol.UNAUTHORIZED:
            raise _Stale(Refused(status, reason, detail))
        # An update goes on behind our back: the lease knows who serves by now.
        case protocol.PROTOCOL_REFUSED:
            raise _Stale(ProtocolRefused(detail))
        case protocol.NOT_CONNECTED:
            raise NotConnected(str(answer.get("state", AccountState.CONNECTING)), detail)
        case protocol.RESTRICTED:
            limit, cause = str(answer.get("limit", "")), str(answer.get("cause", ""))
            raise Restricted(_number(answer.get("until")), detail, limit, cause)
        case protocol.RESUMING:
            raise Resuming(detail)
        case protocol.INCARNATION_REFUSED:
            raise IncarnationRefused(detail)
        case protocol.KEY_USED:
            raise KeyUsed(detail, tuple(str(answer.get("names", "")).split()))
        case protocol.ACK_TIMEOUT:
            raise AckTimeout(detail)
        case protocol.REQUEST_TIMEOUT:
            raise RequestTimeout(detail)
        case protocol.UPLOAD_FAILED:
            raise UploadFailed(detail)
        case protocol.UPLOAD_REFUSED:
            raise UploadRefused(detail)
        case protocol.DOWNLOAD_FAILED:
            raise DownloadFailed(detail)
        case _:
            raise Refused(status, reason, detail)


def _iq_error(answer: Node) -> IqError:
    """From `<iq type="error"><error code text [backoff]/></iq>`; whatever is no result is an error too."""
    why = refused(answer.child("error"))
    return IqError(why.code, why.text, why.backoff)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
