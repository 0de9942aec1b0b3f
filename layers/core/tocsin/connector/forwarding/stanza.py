"""A stanza as it goes to the queue: packed, with the group that keeps order and the id that folds repeats."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import EncodeError
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

MAX_BYTES = 256 * 1024
"""What an SQS message may hold, body and attributes together (the older limit, which every region has)."""

BILLED_BYTES = 64 * 1024
"""SQS bills a message by pieces of this size."""

MAX_PLAIN = 1024 * 1024
"""Beyond this a stanza isn't even compressed: ciphertext doesn't shrink, so it can't come below MAX_BYTES."""

_GROUP = re.compile(r"[!-~]{1,128}")


class TooLarge(Exception):
    """The stanza fits no queue message. Acknowledge it, or it comes back at every login; count and log it."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


@dataclass(frozen=True)
class Origin:
    """Where a stanza came in: what `receive_stanza` needs beside the stanza itself."""

    account: str
    incarnation: int
    epoch: int


@dataclass(frozen=True)
class Packed:
    """One queue message. `group`: stanzas of one sender stay in order; `deduplication`: SHA-256, hex. Both
    are empty for a standard queue."""

    body: str
    group: str = ""
    deduplication: str = ""


def pack(node: Node, origin: Origin, received_at: int) -> Packed:
    """`received_at`: Unix milliseconds. Raises `TooLarge`."""
    try:
        plain = encode(node)
    except EncodeError as exc:  # inflated beyond what a frame can hold
        raise TooLarge(0) from exc
    if len(plain) > MAX_PLAIN:
        raise TooLarge(len(plain))
    body = json.dumps(
        {
            "account": origin.account,
            "incarnation": origin.incarnation,
            "epoch": origin.epoch,
            "received_at": received_at,
            "stanza": base64.b64encode(zlib.compress(plain)).decode(),
        }
    )
    if len(body) > MAX_BYTES:
        raise TooLarge(len(plain))
    return Packed(body, group(origin.account, node), fingerprint(origin.account, node))


RECEIPTS_VERSION = 1
"""Of the form in which several receipts share a message."""


def pack_receipts(stanzas: Sequence[tuple[bytes, int]], origin: Origin) -> Packed:
    """Several receipts as one message of the receipts queue: of each its encoded node, and when it came (Unix
    milliseconds). The nodes are compressed together, each behind its length: they are much alike."""
    plain = b"".join(len(node).to_bytes(4, "big") + node for node, _ in stanzas)
    body = json.dumps(
        {
            "v": RECEIPTS_VERSION,
            "account": origin.account,
            "incarnation": origin.incarnation,
            "epoch": origin.epoch,
            "received_at": [received_at for _, received_at in stanzas],
            "stanzas": base64.b64encode(zlib.compress(plain)).decode(),
        }
    )
    return Packed(body)


def group(account: str, node: Node) -> str:
    """`account#sender`: the bare sender, or the chat where no participant is named."""
    sender = node.attrs.get("participant") or node.attrs.get("from") or ""
    name = f"{account}#{sender.bare if isinstance(sender, JID) else sender}"
    if _GROUP.fullmatch(name):
        return name
    return f"{account}#{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}"


_NAMED_BY = ("id", "from", "participant", "recipient", "type")


def fingerprint(account: str, node: Node) -> str:
    """Equal for a stanza that WhatsApp delivers again, different for anything new.

    The id alone doesn't do: a resent message and a second retry receipt bear the first one's. What changes
    between deliveries of one stanza (`offline`, `t`, `notify`) stays out.
    """
    digest = hashlib.sha256()
    names = [account, node.tag, *(str(node.attrs.get(name) or "") for name in _NAMED_BY)]
    for part in [*(name.encode() for name in names), *map(encode, _telling_children(node))]:
        digest.update(len(part).to_bytes(4, "big") + part)
    if isinstance(node.content, bytes):
        digest.update(node.content)
    return digest.hexdigest()


def _telling_children(node: Node) -> Sequence[Node]:
    """Of a message its ciphertexts; of anything else all it holds (a retry's count, the ids of a list)."""
    return node.children("enc") or node.children()
