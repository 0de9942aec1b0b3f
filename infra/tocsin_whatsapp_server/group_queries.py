"""Requests about groups (`w:g2`): who is in one, and the changes that clients ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.answers import Answer, QueryError
from tocsin_whatsapp_server.directory import Account, Device
from tocsin_whatsapp_server.groups import ADMIN, MEMBER, Group
from tocsin_whatsapp_server.stanzas import result

if TYPE_CHECKING:
    from tocsin_whatsapp_server.queries import Queries

FORBIDDEN = 403
UNKNOWN = 404


def metadata(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, _own_group(queries, device, iq.attr_jid("to")).as_node()))


def participating(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    groups = queries.groups.of(device.account)
    return Answer(result(iq, Node("groups", {}, tuple(group.as_node() for group in groups))))


def create(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    """The creator is its first admin; whoever isn't on WhatsApp is left out."""
    asked = iq.require_child("create")
    members = [account for _, account in _named(queries, asked) if account is not None]
    change = queries.groups.create(asked.attr_str("subject"), device.account, members, now=now)
    return Answer(result(iq, change.group.as_node()), change=change)


def add(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(queries, device, iq), iq.require_child("add")
    named = list(_named(queries, asked))
    change = queries.groups.add(group, device.account, [account for _, account in named if account])
    return Answer(result(iq, _report(asked, named)), change=change)


def remove(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(queries, device, iq), iq.require_child("remove")
    named = list(_named(queries, asked))
    change = queries.groups.remove(group, device.account, [account for _, account in named if account])
    return Answer(result(iq, _report(asked, named)), change=change)


def promote(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    group, asked = _administered(queries, device, iq), iq.children()[0]
    named = list(_named(queries, asked))
    role = ADMIN if asked.tag == "promote" else MEMBER
    accounts = [account for _, account in named if account]
    change = queries.groups.promote(group, device.account, accounts, role)
    return Answer(result(iq, _report(asked, named)), change=change)


def leave(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    named = iq.require_child("leave").require_child("group").attr_jid("id")
    group = _own_group(queries, device, named)
    change = queries.groups.remove(group, device.account, [device.account])
    left = Node("leave", {}, (Node("group", {"id": named}),))
    return Answer(result(iq, left), change=change)


def _own_group(queries: Queries, device: Device, jid: JID) -> Group:
    group = queries.groups.find(jid)
    if group is None:
        raise QueryError(UNKNOWN, "item-not-found")
    if device.account not in group.members:
        raise QueryError(FORBIDDEN, "forbidden")
    return group


def _administered(queries: Queries, device: Device, iq: Node) -> Group:
    group = _own_group(queries, device, iq.attr_jid("to"))
    if not group.members[device.account]:
        raise QueryError(FORBIDDEN, "forbidden")
    return group


def _named(queries: Queries, asked: Node) -> Iterator[tuple[JID, Account | None]]:
    for participant in asked.children("participant"):
        jid = participant.attr_jid("jid")
        yield jid, queries.directory.account(jid)


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


HANDLERS: dict[tuple[str, str, str], Callable[[Queries, Device, Node, int], Answer]] = {
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
