"""Every attribute of every stanza, at every extreme: what a parser lets through has bounds.

The table of `test_bounds` says where each bound lies. Here nobody lists the attributes, so none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace

import pytest

from tests.support import stanzas
from tests.support.stanzas import TEAM, VALID, media_answer
from tocsin.whatsapp import group, media
from tocsin.whatsapp.bounds import MAX_NAME, MAX_NUMBER
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import ack, delivery_receipt

Parser = Callable[[Node], object]
Place = tuple[tuple[int, ...], str]

PARSERS: list[Parser] = [
    *stanzas.PARSERS,
    media.parse_hosts,
    lambda answer: group.parse_group(answer, TEAM),
]

EXTREMES: dict[str, str | JID] = {
    "nothing": "",
    "3,000 characters": "A" * 3000,
    "18 digits": "9" * 18,
    "5,000 digits": "9" * 5000,
    "33 bits": str(2**32),
    "a negative number": "-1",
    "a number with a point": "1.5",
    "digits of another script": "\u0661\u0662",
    "a giant user": JID("1" * 3000, LID),
    "a giant server": JID("1", "s" * 3000),
    "an escape sequence": "\x1b]52;c;AAAA\x07",
}

LONG_BY_RIGHT = frozenset({"auth"})
"""Of a media host: a ticket that only WhatsApp reads, with a bound of its own."""


def places(node: Node, way: tuple[int, ...] = ()) -> Iterator[Place]:
    """All attributes of a stanza: the numbers of the children on the way to it, and its name."""
    for name in node.attrs:
        yield way, name
    for number, child in enumerate(node.children()):
        yield from places(child, (*way, number))


def changed(node: Node, place: Place, value: str | JID) -> Node:
    (way, name) = place
    if not way:
        return replace(node, attrs={**node.attrs, name: value})
    children = list(node.children())
    children[way[0]] = changed(children[way[0]], (way[1:], name), value)
    return replace(node, content=tuple(children))


def excess(value: object, name: str = "") -> Iterator[str]:
    """What is larger in it than a table, a key or a log shall hold."""
    if isinstance(value, str) and len(value) > MAX_NAME and name not in LONG_BY_RIGHT:
        yield f"{name}: {len(value)} characters"
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        yield f"{name}: {value}"
    elif isinstance(value, JID) and value.is_too_long:
        yield f"{name}: an address of {len(str(value))} characters"
    elif isinstance(value, (tuple, list, frozenset)):
        for each in value:
            yield from excess(each, name)
    elif isinstance(value, dict):
        yield from excess([*value.keys(), *value.values()], name)
    elif is_dataclass(value) and not isinstance(value, (JID, Node)):
        for one in fields(value):
            yield from excess(getattr(value, one.name), one.name)


def faults(parse: Parser, stanza: Node, value: str | JID) -> list[str]:
    """What is wrong with what a parser makes of a stanza, whichever attribute has this value."""
    found = []
    for place in places(stanza):
        told = decode(encode(changed(stanza, place, value)))
        try:
            found += [f"{place}: {each}" for each in excess(parse(told))]
        except (InvalidStanza, IqRefused):
            continue
    return found


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("stanza", [*VALID, media_answer("h")], ids=lambda stanza: str(stanza)[:60])
def test_each_attribute_is_bounded_or_refused_by_every_parser(stanza: Node, extreme: str) -> None:
    for parse in PARSERS:
        assert faults(parse, stanza, EXTREMES[extreme]) == []


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("stanza", VALID, ids=lambda stanza: str(stanza)[:60])
def test_whatever_a_stanza_says_it_is_acknowledged(stanza: Node, extreme: str) -> None:
    """Else the server would bring it again and again."""
    for place in places(stanza):
        told = decode(encode(changed(stanza, place, EXTREMES[extreme])))
        encode(ack(told))
        if told.tag == "message" and told.attrs.get("from"):
            try:
                encode(delivery_receipt(told))
            except InvalidStanza:
                continue


def test_twin_that_takes_a_hash_as_it_comes_is_noticed() -> None:
    def unbounded(node: Node) -> object:
        return tuple(child.optional_str("device_hash") for child in node.children())

    [devices] = [stanza for stanza in VALID if stanza.attrs.get("type") == "devices"]
    assert faults(unbounded, devices, "A" * 3000) == ["((0,), 'device_hash'): : 3000 characters"]
    assert faults(stanzas.PARSERS[4], devices, "A" * 3000) == []
