"""Bytes from strangers: either exactly a message, or refused by name."""

from __future__ import annotations

import pytest

from tests.support.signal_peers import Entropy, strangers
from tocsin.signal import wire
from tocsin.signal.errors import InvalidKey, InvalidMessage, NoSession

RATCHET = bytes(range(32))
MSG = wire.encode_signal_message(RATCHET, 300, 7, b"c" * 16) + b"m" * 8
PKMSG = wire.encode_prekey_message(9, b"b" * 32, b"i" * 32, MSG, 77, 5)
SKMSG = wire.encode_sender_key_message(2**32 - 1, 128, b"c" * 32) + b"s" * 64
SKDM = wire.encode_distribution(wire.SenderKeyDistribution(1, 2, b"k" * 32, b"p" * 32))

every_form = pytest.mark.parametrize(
    ("parse", "body"),
    [
        (wire.parse_signal_message, MSG),
        (wire.parse_prekey_message, PKMSG),
        (wire.parse_sender_key_message, SKMSG),
        (wire.parse_distribution, SKDM),
    ],
    ids=["msg", "pkmsg", "skmsg", "skdm"],
)


def field(number: int, content: bytes) -> bytes:
    return wire.varint(number << 3 | 2) + wire.varint(len(content)) + content


def test_what_is_written_is_read() -> None:
    inner = wire.parse_signal_message(MSG)
    assert inner == wire.SignalMessage(RATCHET, 300, 7, b"c" * 16, MSG[:-8], b"m" * 8)
    assert wire.parse_prekey_message(PKMSG) == wire.PreKeyMessage(9, 5, b"b" * 32, b"i" * 32, 77, inner)
    assert wire.parse_sender_key_message(SKMSG) == wire.SenderKeyMessage(
        2**32 - 1, 128, b"c" * 32, SKMSG[:-64], b"s" * 64
    )
    assert wire.parse_distribution(SKDM) == wire.SenderKeyDistribution(1, 2, b"k" * 32, b"p" * 32)


def test_zeros_are_written_and_an_absent_prekey_is_not() -> None:
    assert wire.encode_signal_message(RATCHET, 0, 0, b"") == b"\x33\x0a\x21\x05" + RATCHET + bytes.fromhex(
        "100018002200"
    )
    body = wire.encode_prekey_message(None, b"b" * 32, b"i" * 32, MSG, 0, 0)
    assert body.startswith(b"\x33\x12\x21\x05")
    assert body.endswith(b"\x28\x00\x30\x00")


def test_a_prekey_id_of_zero_is_none() -> None:
    body = wire.encode_prekey_message(0, b"b" * 32, b"i" * 32, MSG, 1, 1)
    assert wire.parse_prekey_message(body).prekey_id is None


@every_form
def test_every_cut_is_refused(parse, body: bytes) -> None:
    for end in range(len(body)):
        with pytest.raises(InvalidMessage):
            parse(body[:end])


@every_form
@pytest.mark.parametrize("version", [0x00, 0x22, 0x32, 0x34, 0x43, 0xFF])
def test_every_other_version_is_refused(parse, body: bytes, version: int) -> None:
    with pytest.raises(InvalidMessage):
        parse(bytes((version,)) + body[1:])


@every_form
def test_noise_is_refused_or_read_but_never_anything_else(parse, body: bytes) -> None:
    entropy = Entropy("noise")
    for length in range(64):
        with pytest.raises(InvalidMessage):
            parse(b"\x33" + entropy(length))
    for place in range(len(body)):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            try:
                parse(body[:place] + bytes((value,)) + body[place + 1 :])
            except InvalidMessage:
                continue


@pytest.mark.parametrize(
    "point", [RATCHET, b"\x05" + RATCHET[:-1], b"\x06" + RATCHET, b"\x05" + RATCHET * 2, b""]
)
def test_a_point_that_is_none_is_an_invalid_key(point: bytes) -> None:
    with pytest.raises(InvalidKey):
        wire.parse_signal_message(b"\x33" + field(1, point) + field(4, b"c" * 16) + b"m" * 8)


def test_absent_numbers_are_zero_and_absent_bytes_are_refused() -> None:
    message = wire.parse_signal_message(
        b"\x33" + field(1, b"\x05" + RATCHET) + field(4, b"c" * 16) + b"m" * 8
    )
    assert (message.counter, message.previous_counter) == (0, 0)
    for only in (field(1, b"\x05" + RATCHET), field(4, b"c" * 16)):
        with pytest.raises(InvalidMessage):
            wire.parse_signal_message(b"\x33" + only + b"m" * 8)


def test_unknown_fields_are_skipped_and_still_signed() -> None:
    unknown = field(15, b"?") + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x78\xff\x01" + field(1000, b"")
    message = wire.parse_signal_message(MSG[:-8] + unknown + b"m" * 8)
    assert message.counter == 300
    assert message.signed == MSG[:-8] + unknown


def test_fields_come_in_any_order_and_the_last_one_counts() -> None:
    body = b"\x33" + field(4, b"c" * 16) + b"\x10\x01" + field(1, b"\x05" + RATCHET) + b"\x10\x02" + b"m" * 8
    assert wire.parse_signal_message(body).counter == 2


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x10\x80\x80\x80\x80\x10",  # 2 to the 32nd
        b"\x10" + b"\xff" * 9 + b"\x7f",  # more than 64 bits
        b"\x78" + b"\xff" * 9 + b"\x7f",  # the same in a field that nobody knows
        b"\x10" + b"\xff" * 11,  # never ends
        b"\x22\xff\xff\xff\xff\x0f",  # 4 GB announced
        b"\x22" + b"\xff" * 9 + b"\x01",  # 2 to the 64th announced
        b"\x00\x01",  # field number 0
        b"\x02\x00",  # field number 0, as bytes
        b"\x13",  # a group
        b"\x14",  # its end
        b"\x16\x00",  # no such wire type
    ],
    ids=lambda value: value.hex()[:12],
)
def test_hostile_fields_are_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_signal_message(MSG[:-8] + hostile + b"m" * 8)


def test_a_message_beyond_any_frame_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_signal_message(b"\x33" + bytes(2**24))


def test_a_wide_counter_survives() -> None:
    for counter in (0, 127, 128, 16383, 16384, wire.LAST_INDEX):
        body = wire.encode_signal_message(RATCHET, counter, counter, b"") + b"m" * 8
        message = wire.parse_signal_message(body)
        assert (message.counter, message.previous_counter) == (counter, counter)


FORMS_OF_AN_INDEX = {
    "msg": lambda at: wire.parse_signal_message(
        wire.encode_signal_message(RATCHET, at, 7, b"c" * 16) + b"m" * 8
    ),
    "skmsg": lambda at: wire.parse_sender_key_message(
        wire.encode_sender_key_message(1, at, b"c" * 32) + b"s" * 64
    ),
    "skdm": lambda at: wire.parse_distribution(
        wire.encode_distribution(wire.SenderKeyDistribution(1, at, b"k" * 32, b"p" * 32))
    ),
}


@pytest.mark.parametrize("form", FORMS_OF_AN_INDEX)
def test_an_index_that_none_can_follow_is_refused(form: str) -> None:
    parse = FORMS_OF_AN_INDEX[form]
    parse(wire.LAST_INDEX)
    for index in (2**32 - 1, 2**32, 2**64 - 1):
        with pytest.raises(InvalidMessage):
            parse(index)


@pytest.mark.parametrize("number", [2**24 - 1, 2**24, 2**32 - 1, 2**32])
def test_ids_are_of_32_bits_though_ours_have_24(number: int) -> None:
    """One of more than 24 bits names no prekey of ours, which is told the sender as such."""
    body = wire.encode_prekey_message(number, b"b" * 32, b"i" * 32, MSG, number, number)
    if number < 2**32:
        assert wire.parse_prekey_message(body).prekey_id == number
    else:
        with pytest.raises(InvalidMessage):
            wire.parse_prekey_message(body)


def test_the_size_of_a_usual_text() -> None:
    """A text of 200 bytes: 259 bytes as msg, about 340 as pkmsg."""
    ada, ben = strangers()
    ada.start(ben.bundle())
    first = ada.say("x" * 200)
    assert (first.type, len(first.body)) == ("pkmsg", 339)
    ben.hear(first)
    assert len(ben.say("x" * 200).body) == 259
    with pytest.raises(NoSession):
        strangers()[0].say("text")
