"""A server that means harm, against the connector as it runs: refused by name, the line closed where that is
right, and not a bit of the keys table changed.
"""

from __future__ import annotations

import base64
import zlib

import pytest

from tests.support.connector_processes import OWN, Collected, RunningConnectors, eventually, texts_arrive
from tocsin.tables.keys import CONNECTORS
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.control_client import ControlError

pytestmark = pytest.mark.integration

MALLORY = JID.parse("6666@lid")


ALIVE = ("lease", "control")
"""Items that say how the connector is: they change by themselves, as heartbeats do."""


def kept(connectors: RunningConnectors) -> list[str]:
    """All that the keys table holds beside these, bit by bit."""
    return sorted(
        repr(sorted(item.items()))
        for item in connectors.table.scan().items
        if item["pk"] != CONNECTORS and item["sk"] not in ALIVE
    )


# Before there is a link


def test_a_forged_certificate_ends_the_connection_before_anything_is_said(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.wait_for_state("unpaired")
    before = kept(connectors)
    connectors.phones.inject("forge-certificate", n=50)
    connectors.wish("pair")
    process.wait_until_said("pairing ended", reason="certificate")
    eventually(lambda: "certificate" in connectors.control().message, "the operator hears nothing of it")
    assert connectors.control().qr is None
    assert kept(connectors) == before


@pytest.mark.parametrize(
    ("what", "text"),
    [("hmac", "hmac-mismatch"), ("signature", "signature-mismatch"), ("key", "signature-mismatch")],
)
def test_a_forged_pairing_links_nothing_and_stores_nothing(
    connectors: RunningConnectors, what: str, text: str
) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    before = kept(connectors)
    connectors.phones.inject("forge-pairing", what=what, account=OWN)
    connectors.wish("pair")
    qr = eventually(lambda: connectors.control().qr, "no QR code")
    with pytest.raises(ControlError):
        connectors.phones.link(OWN, qr)
    eventually(lambda: text in connectors.control().message, "the operator hears nothing of it")
    assert connectors.control().state == "unpaired"
    assert kept(connectors) == before
    connectors.pair(OWN)


# Over a line that looked well


def bomb() -> bytes:
    return b"\x02" + zlib.compress(bytes(30_000_000), 9)


def thousands(tag: str) -> Node:
    return Node("x", {}, tuple(Node(tag, {"id": str(number)}) for number in range(20_000)))


def iq(kind: str, name: str, *children: Node) -> Node:
    return Node("iq", {"from": SERVER, "type": kind, "id": name, "xmlns": "md"}, children or None)


TRICKS: dict[str, Node | bytes] = {
    "a zip bomb": bomb(),
    "no stanza at all": b"\x00\xff\xff\xff",
    "an empty frame": b"",
    "a giant list": b"\x02" + zlib.compress(encode(thousands("item"))[1:], 9),
    "a result nobody asked for": iq("result", "0.0-1", Node("list")),
    "an ack nobody waits for": Node("ack", {"class": "message", "id": "3EB0", "from": MALLORY}),
    "an offer to pair": iq("set", "5", Node("pair-device", {}, (Node("ref", {}, b"2@x"),))),
    "a pairing": iq("set", "6", Node("pair-success", {}, (Node("device-identity", {}, b"x"),))),
    "a second success": Node("success", {"t": "1", "lid": MALLORY}),
    "a secret to be rotated": Node(
        "notification",
        {"from": SERVER, "type": "companion_reg_refresh", "id": "9"},
        (Node("companion_reg_refresh"),),
    ),
    "a message for somebody else": Node(
        "message", {"from": MALLORY, "to": JID.parse("777@lid"), "id": "M", "t": "1", "type": "text"}
    ),
    "a message of nobody": Node("message", {"from": SERVER, "id": "M", "t": "1", "type": "text"}),
    "a message without words": Node("message", {"from": MALLORY, "id": "M", "t": "1", "type": "text"}),
    "routing of an impossible length": Node(
        "ib", {"from": SERVER}, (Node("edge_routing", {}, (Node("routing_info", {}, bytes(5000)),)),)
    ),
}


def test_tricks_over_a_line_that_looked_well_change_nothing_and_cost_no_connection(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.stanzas()
    before, epoch = kept(connectors), connectors.lease().epoch
    for name, trick in TRICKS.items():
        connectors.say(trick)
        assert process.popen.poll() is None, name
    texts_arrive(connectors, ["after all that"])
    collected = Collected(connectors)
    eventually(lambda: collected.has(1), "the connector is deaf")
    assert (connectors.lease().state, connectors.lease().epoch) == ("connected", epoch)
    assert not process.said("connection ended")
    assert kept(connectors) == before
    assert "M" not in collected.ids


def test_each_trick_is_named_in_the_log(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.say(*TRICKS.values())
    for reason in ("inflated-size", "<message> for another account"):
        process.wait_until_said("frame dropped", reason=reason)
    process.wait_until_said("message refused", code=487)
    process.wait_until_said("message refused", code=488)


def test_a_stream_that_can_t_be_decrypted_is_ended_and_begun_anew(connectors: RunningConnectors) -> None:
    """What comes after a frame that isn't the server's can't be trusted."""
    process = connectors.start()
    connectors.pair(OWN)
    before = kept(connectors)
    garbage = base64.b64encode(bytes(64)).decode()
    connectors.phones.inject("say", account=OWN, device=1, plain=garbage, sealed=False)
    process.wait_until_said("connection ended", reason="undecryptable")
    connectors.wait_for_state("connected")
    assert [item for item in kept(connectors) if "'credentials'" not in item] == [
        item for item in before if "'credentials'" not in item
    ]
