"""How a Lambda reaches the socket: kept-alive HTTPS connections, which the sealed lease vouches for.

A call writes a node to a line (`line`), reads the connector's answer (`answers`), and raises what it means
(`errors`). Where the connector is (the lease) may be remembered between calls, for it is no key material; any
failure or refusal forgets it. Light on purpose, since it is imported at every cold start.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from tocsin.accounts.state import LOGGED_IN, AccountState
from tocsin.accounts.whereabouts import LeaseRefused
from tocsin.connector_client import protocol
from tocsin.connector_client.answers import Stale, iq_error, understand
from tocsin.connector_client.errors import (
    ConnectorAway,
    LeaseUntrusted,
    NotConnected,
    ProtocolRefused,
    Refused,
)
from tocsin.connector_client.line import Line
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.node import Node

CONNECT_SECONDS = 2.0

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
        self._idle: dict[str, list[Line]] = {}
        self._lock = threading.Lock()

    def request(self, profile: Profile, node: Node, timeout: int = 30) -> Node:
        """The server's result for an IQ. Raises `IqError` for its refusal, else `ConnectorError`s."""
        answer = self._node(profile, "iq", node, timeout)
        if answer.attrs.get("type") == "result" and answer.child("error") is None:
            return answer
        raise iq_error(answer)

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
        stale = Stale(ConnectorAway("no connector holds the account"))
        for line in self._lines_to_try(profile.account):
            try:
                answer = line.post(path, body, headers, seconds)
                self._keep(profile.account, line)
                return understand(*answer)
            except Stale as exc:
                stale = exc
                self._forget(profile.account)
        raise stale.error from stale.__cause__

    def _lines_to_try(self, account: str) -> Iterator[Line]:
        """A line that waits, if one does, then the one by a fresh look at the lease."""
        with self._lock:
            idle = self._idle.get(account)
            waiting = idle.pop() if idle else None
        if waiting is not None:
            yield waiting
        yield self._open(account)

    def _open(self, account: str) -> Line:
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
        return Line(lease.url, lease.certificate, self._connect_seconds)

    def _keep(self, account: str, line: Line) -> None:
        with self._lock:
            self._idle.setdefault(account, []).append(line)

    def _forget(self, account: str) -> None:
        """Close the lines that wait: they lead where the one led that failed."""
        with self._lock:
            idle = self._idle.pop(account, [])
        for line in idle:
            line.close()
