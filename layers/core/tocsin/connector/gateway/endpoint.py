"""The endpoint for the Lambdas: authorisation, what they may hand over, and what they get back.

The endpoint knows paths, tokens and limits; what happens with a node is asked of `Accounts`, and every
refusal of theirs (`Refusal`) becomes one JSON answer. Sources: the paths in `protocol`.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from tocsin.connector.gateway.httpd import Answer, Handler, Head, HttpsServer, Limits
from tocsin.connector_client import protocol
from tocsin.settings.declared import AUDIENCES
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

PATH = re.compile(rf"/v1/accounts/({protocol.ACCOUNT.pattern})/(iq|message|stanza|media|download|resumed)")

STANZAS = frozenset({"ack", "call", "chatstate", "ib", "presence", "receipt"})
"""What may be written to the socket without an answer being awaited. Never a message, never an IQ."""

KINDS = ("image", "document")


class Refusal(Exception):
    """A request that can't be served now, for a reason the caller can act on.

    `code` is one of `protocol`'s; `fields` go into the answer as they are (`state`, `until`).
    """

    def __init__(self, code: str, detail: str, **fields: str | float | None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.fields = fields


@dataclass(frozen=True)
class Handling:
    """How a message is to be taken. `resumed`: it was parked, and may pass while the account is resuming.
    `first_contact`: the recipient doesn't know us; WhatsApp may have forbidden such messages for a while.
    `audience`: empty where that isn't said; `urgent`, `digestible`, `again`, `known_at`: as in
    `protocol.pace_words`."""

    resumed: bool = False
    first_contact: bool = False
    audience: str = ""
    urgent: bool = False
    digestible: bool = False
    again: bool = False
    known_at: int | None = None


class Accounts(Protocol):
    """What the endpoint asks of the process. All but `token` raise `Refusal`."""

    def token(self, account: str) -> str | None:
        """The account's bearer token; None for an account this process doesn't serve."""
        ...

    async def request(self, account: str, incarnation: int, node: Node, seconds: int) -> Node: ...

    async def message(self, account: str, incarnation: int, node: Node, body: bytes, how: Handling) -> Node:
        """`body` is the node as it came, by which a repeated request is known."""
        ...

    async def stanza(self, account: str, incarnation: int, node: Node) -> None: ...

    async def upload(self, account: str, incarnation: int, kind: str, blob: bytes) -> tuple[str, str]: ...

    async def download(self, account: str, incarnation: int, direct_path: str, digest: bytes) -> bytes: ...

    async def resumed(self, account: str, incarnation: int) -> None: ...


class Endpoint:
    """The HTTPS endpoint of one connector process."""

    def __init__(self, accounts: Accounts, limits: Limits | None = None) -> None:
        self._accounts = accounts
        self._server = HttpsServer(self._admit, refuse, limits)
        self._doors: dict[str, Callable[[_Call], Awaitable[Answer]]] = {
            "iq": self._iq,
            "message": self._message,
            "stanza": self._stanza,
            "media": self._media,
            "download": self._download,
            "resumed": self._resumed,
        }

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> int:
        return await self._server.start(host, port, context)

    async def close(self, grace: float) -> None:
        await self._server.close(grace)

    def _admit(self, head: Head) -> Handler | Answer:
        """The one place where a token is checked. Only the health path needs none."""
        if (head.method, head.path) == ("GET", "/v1/health"):
            return Answer(200, b'{"ok":true}', protocol.JSON_TYPE)
        match = PATH.fullmatch(head.path)
        account = match[1] if match else ""
        if not self._may_enter(account, head.headers.get("authorization", "")):
            return refuse(protocol.UNAUTHORIZED, "the bearer token is not this account's")
        if match is None or head.method != "POST":
            return refuse(protocol.NO_SUCH_PATH, "see tocsin.connector_client.protocol")
        if objection := _objection(head):
            return objection
        if self._server.closing:
            return refuse(protocol.DRAINING, "this connector is going away; read the lease again")
        try:
            call = _Call(account, head)
        except ValueError as exc:
            return refuse(protocol.MALFORMED, str(exc))
        return self._guarded(self._doors[match[2]], call)

    def _may_enter(self, account: str, authorization: str) -> bool:
        """True if the token fits. It is compared in constant time; an unknown account takes as long."""
        token = self._accounts.token(account)
        expected = f"Bearer {token or 'none'}".encode()
        return hmac.compare_digest(expected, authorization.encode()) and bool(token)

    def _guarded(self, door: Callable[[_Call], Awaitable[Answer]], call: _Call) -> Handler:
        async def handle(body: bytes) -> Answer:
            call.body = body
            try:
                return await door(call)
            except Refusal as exc:
                return refuse(exc.code, exc.detail, **exc.fields)
            except (WireError, ValueError) as exc:
                return refuse(protocol.MALFORMED, str(exc))
            except Exception:
                log.exception("a request broke the connector's own code", extra={"account": call.account})
                return refuse(protocol.BROKEN, "a fault in the connector; its log tells which")

        return handle

    async def _iq(self, call: _Call) -> Answer:
        node = call.node({"iq"})
        if node.attrs.get("type") not in ("get", "set"):
            raise ValueError("an IQ from here is of type get or set")
        return _node(await self._accounts.request(call.account, call.incarnation, node, call.seconds))

    async def _message(self, call: _Call) -> Answer:
        node = call.node({"message"})
        if not isinstance(node.attrs.get("id"), str) or not node.attrs["id"]:
            raise ValueError("a message needs an id")
        ack = await self._accounts.message(call.account, call.incarnation, node, call.body, call.how)
        return _node(ack)

    async def _stanza(self, call: _Call) -> Answer:
        await self._accounts.stanza(call.account, call.incarnation, call.node(STANZAS))
        return Answer(200)

    async def _media(self, call: _Call) -> Answer:
        if call.media not in KINDS:
            raise ValueError(f"{protocol.MEDIA} must be one of {', '.join(KINDS)}")
        url, direct_path = await self._accounts.upload(call.account, call.incarnation, call.media, call.body)
        body = json.dumps({"url": url, "direct_path": direct_path}).encode()
        return Answer(200, body, protocol.JSON_TYPE)

    async def _download(self, call: _Call) -> Answer:
        asked = json.loads(call.body)
        if not isinstance(asked, dict):
            raise ValueError("a file to fetch is named by a JSON object")
        path, digest = str(asked.get("direct_path")), bytes.fromhex(str(asked.get("file_enc_sha256")))
        return Answer(200, await self._accounts.download(call.account, call.incarnation, path, digest))

    async def _resumed(self, call: _Call) -> Answer:
        await self._accounts.resumed(call.account, call.incarnation)
        return Answer(200)


class _Call:
    """One authorised request. Raises ValueError for a header that can't be read."""

    def __init__(self, account: str, head: Head) -> None:
        self.account = account
        self.incarnation = int(head.headers.get(protocol.INCARNATION.lower(), ""))
        audience, *flags = head.headers.get(protocol.PACE.lower(), "").split() or [""]
        self.how = Handling(
            resumed=head.headers.get(protocol.RESUMED.lower()) == "1",
            first_contact=head.headers.get(protocol.FIRST_CONTACT.lower()) == "1",
            audience=audience if audience in AUDIENCES else "",
            urgent=protocol.URGENT in flags,
            digestible=protocol.DIGESTIBLE in flags,
            again=protocol.AGAIN in flags,
            known_at=protocol.known_at(flags),
        )
        self.media = head.headers.get(protocol.MEDIA.lower(), "")
        seconds = int(head.headers.get(protocol.TIMEOUT.lower(), protocol.IQ_TIMEOUT))
        self.seconds = min(max(seconds, 1), protocol.IQ_TIMEOUT)
        self.body = b""

    def node(self, tags: set[str] | frozenset[str]) -> Node:
        node = decode(self.body)
        if node.tag not in tags:
            raise ValueError(f"<{node.tag[:32]}> may not be handed over here")
        return node


def _objection(head: Head) -> Answer | None:
    """The refusal of a function whose release is too far from ours.

    One of version 1 doesn't know that refusal, but it knows `lease`: then it parks, and asks again later.
    """
    theirs = protocol.version_of(head.headers.get(protocol.PROTOCOL.lower()))
    objection = protocol.objection(protocol.VERSION, theirs)
    if objection is None:
        return None
    return refuse(
        protocol.LEASE if theirs == protocol.FIRST_VERSION else protocol.PROTOCOL_REFUSED, objection
    )


def refuse(code: str, detail: str, **fields: str | float | None) -> Answer:
    """The JSON answer for a code of `protocol`."""
    body = json.dumps({"error": code, "detail": detail, **fields}).encode()
    return Answer(protocol.STATUS[code], body, protocol.JSON_TYPE)


def _node(node: Node) -> Answer:
    return Answer(200, encode(node))
