"""No message key leaves twice with other content, whatever the counters in the table say."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.signal_peers import Person
from tocsin.connector.gateway.used_keys import WINDOW, UsedKeys, copies_of
from tocsin.keys.chain import GAP_LIMIT
from tocsin.signal.curve import key_pair
from tocsin.signal.wire import (
    MAC_LENGTH,
    SIGNATURE_LENGTH,
    encode_prekey_message,
    encode_sender_key_message,
    encode_signal_message,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

GROUP = JID.parse("123-456@g.us")
SITI, BUDI = JID.parse("1234@lid"), JID.parse("5678:2@lid")
RATCHETS = [key_pair(sha256(bytes((n,))).digest()).public for n in range(4)]


def msg(chain: int, number: int, text: bytes = b"hello") -> bytes:
    return encode_signal_message(RATCHETS[chain], number, 0, text) + bytes(MAC_LENGTH)


def pkmsg(chain: int, number: int, text: bytes = b"hello") -> bytes:
    return encode_prekey_message(7, RATCHETS[0], RATCHETS[1], msg(chain, number, text), 1, 2)


def skmsg(key_id: int, number: int, text: bytes = b"hello") -> bytes:
    return encode_sender_key_message(key_id, number, text) + bytes(SIGNATURE_LENGTH)


def enc(body: bytes, kind: str = "msg") -> Node:
    return Node("enc", {"v": "2", "type": kind}, body)


def fan(*copies: tuple[JID, bytes], to: JID = SITI, own: Sequence[Node] = ()) -> Node:
    """A message with a copy for each device, as functions hand it over."""
    each = tuple(Node("to", {"jid": jid}, (enc(body),)) for jid, body in copies)
    return Node("message", {"id": "M", "to": to}, (Node("participants", {}, each), *own))


def direct(body: bytes, kind: str = "msg", **attrs: JID) -> Node:
    return Node("message", {"id": "M", "to": SITI, **attrs}, (enc(body, kind),))


@pytest.fixture
def used() -> UsedKeys:
    return UsedKeys()


def test_another_ciphertext_under_a_used_key_is_refused_by_name(used: UsedKeys) -> None:
    assert used.claim(fan((SITI, msg(0, 5)), (BUDI, msg(1, 5)))) == []
    assert used.claim(fan((SITI, msg(0, 6)), (BUDI, msg(1, 5, b"other")))) == ["5678:2@lid"]


def test_the_same_ciphertext_is_a_repeat(used: UsedKeys) -> None:
    message = fan((SITI, msg(0, 5)))
    assert used.claim(message) == used.claim(message) == []


def test_of_a_refused_message_nothing_is_remembered(used: UsedKeys) -> None:
    used.claim(direct(msg(0, 5)))
    assert used.claim(fan((SITI, msg(0, 5, b"other")), (BUDI, msg(1, 5)))) != []
    assert used.claim(direct(msg(1, 5, b"new"))) == []


def test_two_copies_of_one_message_under_one_key_are_refused(used: UsedKeys) -> None:
    assert used.claim(fan((SITI, msg(0, 5)), (BUDI, msg(0, 5, b"other")))) == ["5678:2@lid"]


def test_a_first_message_is_of_the_chain_that_is_inside_it(used: UsedKeys) -> None:
    used.claim(direct(pkmsg(2, 0), "pkmsg"))
    assert used.claim(direct(msg(2, 0, b"other"))) == ["1234@lid"]


def test_a_group_s_message_is_of_the_group_s_key(used: UsedKeys) -> None:
    def to_group(body: bytes) -> Node:
        return fan((SITI, msg(0, 1)), to=GROUP, own=[enc(body, "skmsg")])

    assert used.claim(to_group(skmsg(9, 3))) == []
    assert used.claim(to_group(skmsg(9, 3, b"other"))) == [str(GROUP)]
    assert used.claim(to_group(skmsg(8, 3, b"other"))) == []


def test_a_resend_in_a_group_is_of_the_device_that_asked(used: UsedKeys) -> None:
    used.claim(direct(msg(0, 1), participant=BUDI))
    resend = Node("message", {"id": "M", "to": GROUP, "participant": BUDI}, (enc(msg(0, 1, b"other")),))
    assert used.claim(resend) == ["5678:2@lid"]


@pytest.mark.parametrize("body", [b"", b"ciphertext", b"\x33", msg(0, 1)[:12]])
def test_what_is_no_ciphertext_uses_no_key(body: bytes) -> None:
    assert list(copies_of(direct(body))) == []


def test_real_ciphertexts_are_read() -> None:
    """Of a real session, by its own encryption."""
    ann, bob = Person("ann", 1), Person("bob", 2)
    ann.start(bob.bundle())
    first, second = ann.say("one"), ann.say("two")
    copies = [next(copies_of(direct(each.body, each.type))) for each in (first, second)]
    assert copies[0].chain == copies[1].chain
    assert [copy.number for copy in copies] == [0, 1]


# -- within bounds ----------------------------------------------------------------------------------------


def test_numbers_that_are_remembered_no_more_are_refused() -> None:
    used = UsedKeys(window=2)
    for number in (1, 2, 3):
        used.claim(direct(msg(0, number)))
    assert used.claim(direct(msg(0, 1, b"other"))) == ["1234@lid"]
    assert used.claim(direct(msg(0, 0))) == ["1234@lid"]


def test_a_message_that_was_overtaken_passes() -> None:
    """Functions send beside each other, and one of them waits for a bundle."""
    used = UsedKeys()
    for number in (0, *range(2, 200)):
        used.claim(direct(msg(0, number)))
    assert used.claim(direct(msg(0, 1))) == []


def test_the_window_is_wider_than_a_function_can_be_behind() -> None:
    assert WINDOW > GAP_LIMIT


def test_when_there_are_too_many_numbers_the_chain_used_longest_ago_keeps_its_floor() -> None:
    used = UsedKeys(numbers=4)
    for chain in (0, 1, 2):
        for number in (10, 11):
            used.claim(direct(msg(chain, number)))
    assert used.numbers <= 4
    assert used.claim(direct(msg(0, 11, b"other"))) == ["1234@lid"]
    assert used.claim(direct(msg(0, 12))) == []


def test_when_there_are_too_many_chains_the_one_used_longest_ago_is_forgotten() -> None:
    """What remains, said in SEALED.md."""
    used = UsedKeys(chains=2)
    for chain in (0, 1, 2):
        used.claim(direct(msg(chain, 1)))
    assert used.claim(direct(msg(0, 1, b"other"))) == []


SENDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.sampled_from([b"x", b"y"])), max_size=60)


@settings(max_examples=150)
@given(sends=SENDS, window=st.integers(1, 9), numbers=st.integers(1, 40))
def test_no_key_ever_leaves_twice_with_other_content(
    sends: list[tuple[int, int, bytes]], window: int, numbers: int
) -> None:
    """However little of each chain is remembered, for as long as no chain is forgotten whole."""
    used, left = UsedKeys(window=window, numbers=numbers), dict[tuple[int, int], bytes]()
    for chain, number, text in sends:
        if used.claim(direct(msg(chain, number, text))) == []:
            assert left.setdefault((chain, number), text) == text
        assert used.numbers <= max(numbers, 1)


@settings(max_examples=100)
@given(order=st.permutations(range(12)), again=st.lists(st.integers(0, 11), max_size=8))
def test_whatever_was_never_sent_passes_in_any_order_and_again(order: list[int], again: list[int]) -> None:
    used = UsedKeys()
    for number in (*order, *again):
        assert used.claim(direct(msg(0, number))) == []


def test_a_twin_that_remembers_only_the_highest_number_refuses_what_was_overtaken() -> None:
    """Why a window, and not one number for each chain."""
    used = UsedKeys(window=1)
    used.claim(direct(msg(0, 2)))
    used.claim(direct(msg(0, 3)))
    assert used.claim(direct(msg(0, 1))) != []
