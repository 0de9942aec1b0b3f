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
from tocsin.whatsapp.errors import DecodeError
from tocsin.whatsapp.node import Node, decode

MAX_STANZA_BYTES = 1024 * 1024


class MalformedEnvelope(ValueError):
    """A queue message that the connector didn't write. Nothing was done; `reason` names what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
            packed = base64.b64decode(value["stanza"], validate=True)
            inflater = zlib.decompressobj()
            plain = inflater.decompress(packed, MAX_STANZA_BYTES + 1)
            if len(plain) > MAX_STANZA_BYTES or not inflater.eof:
                raise MalformedEnvelope("the stanza is too large or cut")
            account = value["account"]
            if not isinstance(account, str) or not 0 < len(account) <= MAX_LABEL:
                raise MalformedEnvelope("not an account's name")
            return cls(
                account=account,
                incarnation=_whole(value["incarnation"], MAX_NUMBER),
                epoch=_whole(value["epoch"], MAX_NUMBER),
                received_at=_whole(value["received_at"], MAX_NUMBER * 1000),
                stanza=decode(plain),
            )
        except MalformedEnvelope:
            raise
        except (binascii.Error, zlib.error) as error:
            raise MalformedEnvelope("the stanza is damaged") from error
        except DecodeError as error:
            raise MalformedEnvelope(f"no node: {error.reason}") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise MalformedEnvelope("not an envelope") from error


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
