"""Requests about groups (`w:g2`): who is in one, and the changes that clients ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.answers import Answer, QueryError
from tocsin_whatsapp_server.directory import Account, Device, Directory
from tocsin_whatsapp_server.groups import ADMIN, MEMBER, Group, Groups
from tocsin_whatsapp_server.stanzas import result

FORBIDDEN = 403
UNKNOWN = 404


class Books(Protocol):
    """Who is on this server, and in which groups."""

    directory: Directory
    groups: Groups


def metadata(books: Books, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, _own_group(books, device, iq.attr_jid("to")).as_node()))


def participating(books: Books, device: Device, iq: Node, now: int) -> Answer:
    groups = books.groups.of(device.account)
    return Answer(result(iq, Node("groups", {}, tuple(group.as_node() for group in groups))))


def create(books: Books, device: Device, iq: Node, now: int) -> Answer:
    """The creator is its first admin; whoever isn't on WhatsApp is left out."""
    asked = iq.require_child("create")
    members = [account for _, account in _named(books, asked) if account is not None]
    change = books.groups.create(asked.attr_str("subject"), device.account, members, now=now)
    return Answer(result(iq, change.group.as_node()), change=change)


def add(books: Books, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(books, device, iq), iq.require_child("add")
    named = list(_named(books, asked))
    change = books.groups.add(group, device.account, [account for _, account in named if account])
    return Answer(result(iq, _report(asked, named)), change=change)


def remove(books: Books, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(books, device, iq), iq.require_child("remove")
    named = list(_named(books, asked))
    change = books.groups.remove(group, device.account, [account for _, account in named if account])
    return Answer(result(iq, _report(asked, named)), change=change)


def promote(books: Books, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(books, device, iq), iq.children()[0]
    named = list(_named(books, asked))
    role = ADMIN if asked.tag == "promote" else MEMBER
    accounts = [account for _, account in named if account]
    change = books.groups.promote(group, device.account, accounts, role)
    return Answer(result(iq, _report(asked, named)), change=change)


def leave(books: Books, device: Device, iq: Node, now: int) -> Answer:
    named = iq.require_child("leave").require_child("group").attr_jid("id")
    group = _own_group(books, device, named)
    change = books.groups.remove(group, device.account, [device.account])
    left = Node("leave", {}, (Node("group", {"id": named}),))
    return Answer(result(iq, left), change=change)


def _own_group(books: Books, device: Device, jid: JID) -> Group:
    group = books.groups.find(jid)
    if group is None:
        raise QueryError(UNKNOWN, "item-not-found")
    if device.account not in group.members:
        raise QueryError(FORBIDDEN, "forbidden")
    return group


def _administered(books: Books, device: Device, iq: Node) -> Group:
    group = _own_group(books, device, iq.attr_jid("to"))
    if not group.members[device.account]:
        raise QueryError(FORBIDDEN, "forbidden")
    return group


def _named(books: Books, asked: Node) -> Iterator[tuple[JID, Account | None]]:
    for participant in asked.children("participant"):
        jid = participant.attr_jid("jid")
        yield jid, books.directory.account(jid)


def _report(asked: Node, named: list[tuple[JID, Account | None]]) -> Node:
    """Each as it was asked for, with an error where nobody has the address."""
    return Node(
        asked.tag,
        {},
        tuple(
            Node("participant", {"jid": jid} | ({} if account else {"error": str(UNKNOWN)}))
            for jid, account in named
        ),
    )


HANDLERS: dict[tuple[str, str, str], Callable[[Books, Device, Node, int], Answer]] = {
    # (xmlns, type, first child)
    ("w:g2", "get", "query"): metadata,
    ("w:g2", "get", "participating"): participating,
    ("w:g2", "set", "create"): create,
    ("w:g2", "set", "add"): add,
    ("w:g2", "set", "remove"): remove,
    ("w:g2", "set", "promote"): promote,
    ("w:g2", "set", "demote"): promote,
    ("w:g2", "set", "leave"): leave,
}
