"""Frames: a 3-byte big-endian length and a payload, over a stream that may be cut anywhere. No I/O."""

from __future__ import annotations

from typing import Final

from tocsin.whatsapp.tokens import DICTIONARY_VERSION

INTRO: Final = b"WA\x06" + bytes((DICTIONARY_VERSION,))
"""What a client says first, once per connection: magic and the version of the token dictionary."""

MAX_PAYLOAD: Final = 2**24 - 1


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front. Raises ValueError above 16,777,215 bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame of {len(payload)} bytes")
    return len(payload).to_bytes(3, "big") + payload


def routing_prefix(routing_info: bytes) -> bytes:
    """What goes before the intro if the server once gave routing information. No part of the prologue."""
    return b"ED\x00\x01" + frame(routing_info)


class FrameSplitter:
    """Cut a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that `data` completes, oldest first; keep the rest."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= 3:
            end = start + 3 + int.from_bytes(self._buffer[start : start + 3], "big")
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + 3 : end]))
            start = end
        del self._buffer[:start]
        return frames
