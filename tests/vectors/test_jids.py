"""Every JID text of the vectors: parsed, formatted, named, put on the wire, or refused."""

from typing import Any

import pytest

from tests.vectors.wire_files import load
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza
from tocsin.whatsapp.jid import JID, phash
from tocsin.whatsapp.node import Node

VECTORS = load("jids")
by_text = {"ids": lambda case: case["text"] if isinstance(case, dict) else repr(case)}


@pytest.mark.parametrize("case", VECTORS["jids"], **by_text)
def test_jid_text(case: dict[str, Any]) -> None:
    jid = JID.parse(case["text"])
    parts = {name: getattr(jid, name) for name in ("user", "server", "device", "agent", "integrator")}
    assert parts == {name: case[name] for name in parts}
    assert (str(jid), str(jid.bare), str(jid.chat)) == (case["canonical"], case["bare"], case["chat"])
    assert (jid.kind, jid.is_recipient) == (case["kind"], case["recipient"])


@pytest.mark.parametrize("case", [case for case in VECTORS["jids"] if "wire" in case], **by_text)
def test_jid_on_the_wire(case: dict[str, Any]) -> None:
    frame = encode(Node("to", {"jid": JID.parse(case["text"])}))
    assert frame[frame.index(b"\x0c", 3) + 1 :].hex() == case["wire"]


@pytest.mark.parametrize("case", VECTORS["jids"], **by_text)
def test_signal_address(case: dict[str, Any]) -> None:
    jid = JID.parse(case["text"])
    if "signalAddress" in case:
        assert jid.signal_address == case["signalAddress"]
    else:
        with pytest.raises(InvalidJid):
            _ = jid.signal_address


@pytest.mark.parametrize("text", VECTORS["rejectJids"], **by_text)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidJid):
        JID.parse(text)
    with pytest.raises(InvalidStanza):
        Node("to", {"jid": text}).attr_jid("jid")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (["5511999999999:3@s.whatsapp.net"], "2:5s+YxCff"),
        (["5511999999999@s.whatsapp.net"], "2:RJWVxcMQ"),
        (["7469250125917:21@s.whatsapp.net", "5511988887777:14@s.whatsapp.net"], "2:AAv/hwhn"),
        (["200000000000002@lid", "100000000000001:12@lid", "100000000000001@lid"], "2:DAhkVDl9"),
    ],
)
def test_participant_hash(devices: list[str], expected: str) -> None:
    assert phash(map(JID.parse, devices)) == expected
