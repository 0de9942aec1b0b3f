"""A piece of history: what of it is taken, and what is refused."""

import zlib

import pytest

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.history import AddressPair, history_of
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.proto import message_pb2 as pb


def test_history_yields_addresses_and_names() -> None:
    chunk = pb.HistorySync()
    chunk.phone_number_to_lid.add(pn_jid="628111@s.whatsapp.net", lid_jid="2@lid")
    chunk.phone_number_to_lid.add(pn_jid="not a jid", lid_jid="3@lid")
    chunk.push_names.add(id="628111@s.whatsapp.net", push_name="Alice")
    history = history_of(zlib.compress(chunk.SerializeToString()))
    assert history.pairs == (AddressPair(JID.parse("628111@s.whatsapp.net"), JID.parse("2@lid")),)
    assert history.push_names == {"628111@s.whatsapp.net": "Alice"}


def test_a_token_in_a_chat_that_is_named_by_number_is_that_of_its_lid() -> None:
    chunk = pb.HistorySync()
    chunk.phone_number_to_lid.add(pn_jid="628111@s.whatsapp.net", lid_jid="2@lid")
    for name in ("628111@s.whatsapp.net", "628222@s.whatsapp.net"):
        chunk.conversations.add(id=name, tc_token=b"t", tc_token_timestamp=7)
    found = history_of(zlib.compress(chunk.SerializeToString())).entrusted
    assert [str(one.user) for one in found] == ["2@lid", "628222@s.whatsapp.net"]


@pytest.mark.parametrize("data", [b"", b"junk", zlib.compress(b"\xff\xff"), zlib.compress(b"x" * 500)[:-3]])
def test_a_damaged_history_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidStanza):
        history_of(data)
