"""Writing and reading nodes: ours, Baileys', pyaileys'. No floor: a node needs nothing of OpenSSL."""

import os
from collections.abc import Iterator
from functools import partial

from tests.bench import node_scripts
from tests.bench.measure import OURS, Aim, Table, microseconds
from tests.bench.surroundings import ConnectorContext, tell
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

try:
    from pyaileys import wabinary
except ImportError:
    wabinary = None

ROUNDS = 2000
PARTIES = ("Baileys", "pyaileys")
AIMS = (Aim("Baileys", 1), Aim("pyaileys", 1))


def device(number: int) -> JID:
    return JID("62812345678", "s.whatsapp.net", number)


def message() -> Node:
    """A text for three devices, one of which needs a pkmsg."""
    sizes = {0: ("msg", 259), 1: ("msg", 259), 2: ("pkmsg", 340)}
    participants = tuple(
        Node("to", {"jid": device(number)}, (Node("enc", {"v": "2", "type": kind}, os.urandom(size)),))
        for number, (kind, size) in sizes.items()
    )
    attrs = {"id": "3EB0A1B2C3D4E5F6071829", "to": device(0), "type": "text"}
    identity = Node("device-identity", {}, os.urandom(160))
    return Node("message", attrs, (Node("participants", {}, participants), identity))


def receipt() -> Node:
    attrs = {"from": device(0), "id": "3EB0A1B2C3D4E5F6071829", "t": "1795000000", "type": "read"}
    return Node("receipt", attrs)


def device_list() -> Node:
    """The answer to a question for the devices of forty users."""
    users = []
    for number in range(40):
        devices = tuple(Node("device", {"id": str(id), "key-index": str(id)}) for id in range(3))
        listed = Node("devices", {}, (Node("device-list", {}, devices),))
        users.append(Node("user", {"jid": JID(str(62811000000 + number), "s.whatsapp.net")}, (listed,)))
    usync = Node("usync", {"sid": "1795000000", "mode": "query"}, (Node("list", {}, tuple(users)),))
    return Node("iq", {"from": JID("", "s.whatsapp.net"), "id": "12.34-5", "type": "result"}, (usync,))


NODES = {"message to 3 devices": message(), "receipt": receipt(), "devices of 40 users": device_list()}


def measure(bench: ConnectorContext) -> Iterator[Table]:
    tell("nodes")
    frames = {name: encode(node) for name, node in NODES.items()}
    baileys = node_scripts.run(
        "baileys-bench.mjs",
        {"rounds": ROUNDS, "frames": {name: frame.hex() for name, frame in frames.items()}},
    )
    table = Table("Nodes", PARTIES, AIMS)
    for name, node in NODES.items():
        frame = frames[name]
        figures = {
            "encode": {OURS: microseconds(partial(encode, node), ROUNDS), "pyaileys": None},
            "decode": {OURS: microseconds(partial(decode, frame), ROUNDS), "pyaileys": None},
        }
        if wabinary is not None:
            theirs = wabinary.decode_binary_node(frame)
            figures["encode"]["pyaileys"] = microseconds(partial(wabinary.encode_binary_node, theirs), ROUNDS)
            figures["decode"]["pyaileys"] = microseconds(partial(wabinary.decode_binary_node, frame), ROUNDS)
        for direction, row in figures.items():
            table.add(f"{direction}, {name}", row | {"Baileys": baileys and baileys[name][direction]})
    if baileys is None:
        table.notes.append("Baileys: no Node, or no `npm ci` in tests/interop/node")
    if wabinary is None:
        table.notes.append("pyaileys: not installed here")
    yield table
