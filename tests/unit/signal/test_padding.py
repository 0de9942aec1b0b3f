"""WhatsApp's padding: n bytes of value n, at least one."""

from __future__ import annotations

import pytest

from tocsin.signal.errors import InvalidMessage
from tocsin.signal.padding import pad, unpad


@pytest.mark.parametrize("drawn", range(256))
def test_every_draw_pads_by_one_to_sixteen(drawn: int) -> None:
    padded = pad(b"text", bytes((drawn,)))
    assert 5 <= len(padded) <= 20
    assert unpad(padded) == b"text"


def test_a_longer_padding_of_another_client_is_taken_off() -> None:
    assert unpad(b"text" + b"\xff" * 255) == b"text"
    assert unpad(b"\x01") == b""


@pytest.mark.parametrize(
    "padded", [b"", b"\x00", b"text\x00", b"\x02", b"a\x01\x02", b"\x03\x02\x03", b"\x05" * 4]
)
def test_what_is_not_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(InvalidMessage):
        unpad(padded)
