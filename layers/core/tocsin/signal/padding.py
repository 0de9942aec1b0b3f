"""WhatsApp's padding around a Message protobuf: n bytes of value n, n drawn from 1 to 16.

It hides the length a little; it is not the block cipher's padding, which comes on top.
"""

from __future__ import annotations

from tocsin.signal.errors import InvalidMessage


def pad(plaintext: bytes, entropy: bytes) -> bytes:
    """`entropy`: one random byte."""
    count = (entropy[0] & 0x0F) + 1
    return plaintext + bytes((count,)) * count


def unpad(padded: bytes) -> bytes:
    """Raises InvalidMessage unless the last byte's value n is 1 or more and the last n bytes are equal."""
    count = padded[-1] if padded else 0
    if not 1 <= count <= len(padded) or padded[-count:].count(count) != count:
        raise InvalidMessage("wrong padding around a message")
    return padded[:-count]
