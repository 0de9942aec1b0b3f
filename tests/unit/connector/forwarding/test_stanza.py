"""Packing a stanza for the queue: what folds as a repeat, what does not, and what keeps its order."""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import replace

import pytest

from tocsin.connector.forwarding.stanza import MAX_BYTES, Origin, TooLarge, fingerprint, group, pack
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

ORIGIN = Origin("default", incarnation=3, epoch=7)
ANN = JID.parse("1234@lid")
ANNS_LAPTOP = JID.parse("1234:12@lid")


def enc(body: bytes, **attrs: str) -> Node:
    return Node("enc", {"v": "2", "type": "msg", **attrs}, body)


MESSAGE = Node(
    "message", {"from": ANN, "id": "ABC", "t": "1", "type": "text", "notify": "Ann"}, (enc(b"ciphertext"),)
)
RETRY = Node(
    "receipt",
    {"from": ANNS_LAPTOP, "id": "ABC", "type": "retry", "t": "1"},
    (Node("retry", {"count": "1", "id": "ABC", "t": "1", "v": "1"}), Node("registration", {}, b"\0\0\0\1")),
)


def test_the_body_tells_where_the_stanza_came_in() -> None:
    body = json.loads(pack(MESSAGE, ORIGIN, received_at=1_700_000_000_123).body)
    stanza = body.pop("stanza")
    assert body == {"account": "default", "incarnation": 3, "epoch": 7, "received_at": 1_700_000_000_123}
    assert decode(zlib.decompress(base64.b64decode(stanza))) == MESSAGE


@pytest.mark.parametrize(
    "attrs", [{"offline": "4"}, {"t": "2"}, {"notify": "Ann B."}, {"offline": "1", "t": "9"}]
)
def test_a_stanza_delivered_again_is_the_same(attrs: dict[str, str]) -> None:
    again = replace(MESSAGE, attrs={**MESSAGE.attrs, **attrs})
    assert fingerprint("default", again) == fingerprint("default", MESSAGE)


def retry_with(count: str) -> Node:
    assert isinstance(RETRY.content, tuple)
    first = RETRY.content[0]
    return replace(RETRY, content=(replace(first, attrs={**first.attrs, "count": count}), *RETRY.content[1:]))


@pytest.mark.parametrize(
    "other",
    [
        replace(MESSAGE, content=(enc(b"encrypted anew"),)),
        replace(MESSAGE, content=(enc(b"ciphertext", count="1"),)),
        replace(MESSAGE, content=(enc(b"ciphertext"), enc(b"another"))),
        replace(MESSAGE, attrs={**MESSAGE.attrs, "id": "ABD"}),
        replace(MESSAGE, attrs={**MESSAGE.attrs, "from": ANNS_LAPTOP}),
        replace(MESSAGE, attrs={**MESSAGE.attrs, "participant": ANN}),
        replace(MESSAGE, tag="receipt"),
    ],
    ids=["resent", "its count", "one more", "id", "device", "participant", "tag"],
)
def test_whatever_is_new_is_not_folded(other: Node) -> None:
    assert fingerprint("default", other) != fingerprint("default", MESSAGE)


def test_a_second_retry_receipt_for_one_message_is_not_folded() -> None:
    assert fingerprint("default", retry_with("2")) != fingerprint("default", RETRY)


def test_a_receipt_that_lists_other_messages_is_not_folded() -> None:
    def read(*ids: str) -> Node:
        items = tuple(Node("item", {"id": each}) for each in ids)
        return Node("receipt", {"from": ANN, "id": "A", "type": "read"}, (Node("list", {}, items),))

    assert fingerprint("default", read("B")) != fingerprint("default", read("B", "C"))


def test_two_accounts_in_one_group_both_get_the_groups_message() -> None:
    assert fingerprint("default", MESSAGE) != fingerprint("second", MESSAGE)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"from": ANNS_LAPTOP}, "default#1234@lid"),
        ({"from": JID.parse("77@g.us"), "participant": ANNS_LAPTOP}, "default#1234@lid"),
        ({"from": JID("", "s.whatsapp.net")}, "default#s.whatsapp.net"),
        ({}, "default#"),
    ],
    ids=["device", "group", "server", "nobody"],
)
def test_what_one_person_sends_stays_in_order(attrs: dict[str, JID], expected: str) -> None:
    assert group("default", Node("receipt", attrs)) == expected


@pytest.mark.parametrize("sender", ["x" * 200, "with space", "smörgås", "\x00"])
def test_a_sender_that_sqs_would_refuse_as_a_group_is_hashed(sender: str) -> None:
    name = group("default", Node("receipt", {"from": sender}))
    assert name.startswith("default#")
    assert len(name) == len("default#") + 64


def test_what_fits_no_queue_message_is_named_too_large() -> None:
    with pytest.raises(TooLarge):
        pack(replace(MESSAGE, content=(enc(os.urandom(200_000)),)), ORIGIN, 0)
    with pytest.raises(TooLarge):
        pack(replace(MESSAGE, content=(enc(bytes(2_000_000)),)), ORIGIN, 0)


def test_a_large_stanza_that_compresses_passes() -> None:
    packed = pack(replace(MESSAGE, content=(enc(bytes(900_000)),)), ORIGIN, 0)
    assert len(packed.body) < MAX_BYTES
