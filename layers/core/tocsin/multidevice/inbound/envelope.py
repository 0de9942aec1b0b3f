"""A stanza as the connector put it into the queue, and what became of it."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NUMBER
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import DecodeError
from tocsin.whatsapp.node import Node

MAX_STANZA_BYTES = 1024 * 1024
MAX_RECEIPTS = 1000
"""In one message of the receipts queue; the connector puts fewer into it."""

RECEIPTS_VERSION = 1


class MalformedEnvelope(ValueError):
    """A queue message that the connector didn't write. Nothing was done; `reason` names what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownVersion(Exception):
    """A queue message in a form that this code doesn't know. A newer connector wrote it: leave it in the
    queue until the function is as new."""

    def __init__(self, version: object) -> None:
        super().__init__(version)
        self.version = version

    def __str__(self) -> str:
        return f"a message of version {self.version!r:.20}: a newer connector wrote it; update the functions"


@dataclass(frozen=True)
class Envelope:
    """A stanza as the connector put it into the queue. `received_at`: Unix milliseconds."""

    account: str
    incarnation: int
    epoch: int
    received_at: int
    stanza: Node

    @classmethod
    def parse(cls, body: str) -> Envelope:
        """Read a queue message. Raises `MalformedEnvelope`; hostile sizes are refused before they inflate."""
        try:
            value = json.loads(body)
            return cls(
                *_origin(value),
                received_at=_whole(value["received_at"], MAX_NUMBER * 1000),
                stanza=decode(_inflated(value["stanza"])),
            )
        except MalformedEnvelope:
            raise
        except DecodeError as error:
            raise MalformedEnvelope(f"no node: {error.reason}") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise MalformedEnvelope("not an envelope") from error

    def to_body(self) -> str:
        """Return it as a message of the stanza queue."""
        return json.dumps(
            {
                "account": self.account,
                "incarnation": self.incarnation,
                "epoch": self.epoch,
                "received_at": self.received_at,
                "stanza": base64.b64encode(zlib.compress(encode(self.stanza))).decode(),
            }
        )


def parse_receipts(body: str) -> tuple[list[Envelope], list[str]]:
    """Read a message of the receipts queue: its receipts, and what is wrong with those that can't be read.
    Raises `MalformedEnvelope`, `UnknownVersion`."""
    try:
        value = json.loads(body)
        if value["v"] != RECEIPTS_VERSION:
            raise UnknownVersion(value["v"])
        origin, moments = _origin(value), value["received_at"]
        plains = _split(_inflated(value["stanzas"]))
        if not isinstance(moments, list) or len(moments) != len(plains) or len(plains) > MAX_RECEIPTS:
            raise MalformedEnvelope("not as many moments as receipts, or too many")
        received_at = [_whole(moment, MAX_NUMBER * 1000) for moment in moments]
    except MalformedEnvelope:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedEnvelope("not an envelope") from error
    envelopes: list[Envelope] = []
    unreadable: list[str] = []
    for at, plain in zip(received_at, plains, strict=True):
        try:
            envelopes.append(Envelope(*origin, received_at=at, stanza=decode(plain)))
        except DecodeError as error:
            unreadable.append(f"no node: {error.reason}")
    return envelopes, unreadable


def _origin(value: Mapping[str, Any]) -> tuple[str, int, int]:
    account = value["account"]
    if not isinstance(account, str) or not 0 < len(account) <= MAX_LABEL:
        raise MalformedEnvelope("not an account's name")
    return account, _whole(value["incarnation"], MAX_NUMBER), _whole(value["epoch"], MAX_NUMBER)


def _inflated(packed: str) -> bytes:
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(base64.b64decode(packed, validate=True), MAX_STANZA_BYTES + 1)
    except (binascii.Error, zlib.error) as error:
        raise MalformedEnvelope("the stanza is damaged") from error
    if len(plain) > MAX_STANZA_BYTES or not inflater.eof:
        raise MalformedEnvelope("the stanza is too large or cut")
    return plain


def _split(plain: bytes) -> list[bytes]:
    """The parts of `plain`, each behind its length in four bytes."""
    parts: list[bytes] = []
    at = 0
    while at < len(plain):
        end = at + 4 + int.from_bytes(plain[at : at + 4], "big")
        if end > len(plain):
            raise MalformedEnvelope("the receipts are cut")
        parts.append(plain[at + 4 : end])
        at = end
    return parts


def _whole(value: object, most: int) -> int:
    """A number of an envelope: they are compared, counted with and made dates of."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MalformedEnvelope("a number that no connector writes")
    return value


@dataclass(frozen=True)
class Report:
    """What became of a stanza, for logs and metrics. `facts` are safe to log."""

    kind: str
    outcome: str
    cause: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
