"""Groups: who is in them and in which address form, and what the server tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tocsin.whatsapp.jid import GROUP, HOSTED_DEVICE, JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account, Device

FIRST_GROUP = 120_363_000_000_000_001
MODES = {"lid": LID, "pn": PN}
"""Addressing modes, and the server of the JIDs by which members are named in each."""

MEMBER, ADMIN = "", "admin"


class UnknownGroup(KeyError):
    """No group has this id. Make it with POST /groups."""

    def __str__(self) -> str:
        return f"no group {self.args[0]}; GET /groups lists them"


@dataclass(eq=False)
class Group:
    """`members`: each with its role, `admin` or nothing. `announcement`: only admins may write.

    `expiration`: after how many seconds messages disappear, 0 for never. `suspended`: nobody may write.
    `mode` is `lid` or `pn`, and may change at any time, as in the real one.
    """

    id: str
    subject: str
    creator: Account
    created_at: int
    mode: str = "lid"
    announcement: bool = False
    suspended: bool = False
    expiration: int = 0
    members: dict[Account, str] = field(default_factory=dict)

    @property
    def jid(self) -> JID:
        return JID(self.id, GROUP)

    @property
    def server(self) -> str:
        """The server of the members' addresses."""
        return MODES[self.mode]

    @property
    def devices(self) -> list[Device]:
        """Every device of every member; those that Meta hosts take no part in groups."""
        everybody = [device for member in self.members for device in member.devices.values()]
        return [device for device in everybody if device.number != HOSTED_DEVICE]

    def as_node(self) -> Node:
        """`<group>` as clients get it."""
        attrs: dict[str, str | JID] = {
            "id": self.id,
            "subject": self.subject,
            "s_t": str(self.created_at),
            "creation": str(self.created_at),
            "creator": self.creator.bare(self.server),
            "s_o": self.creator.bare(self.server),
            "addressing_mode": self.mode,
            "size": str(len(self.members)),
        }
        marks = [name for name in ("announcement", "suspended") if getattr(self, name)]
        timer = (Node("ephemeral", {"expiration": str(self.expiration)}),) if self.expiration else ()
        return Node("group", attrs, (*self.as_nodes(self.members), *map(Node, marks), *timer))

    def as_nodes(self, accounts: Iterable[Account]) -> tuple[Node, ...]:
        """`<participant>` for each, with its other address beside the one of the group's mode."""
        return tuple(self._participant(account) for account in accounts)

    def _participant(self, account: Account) -> Node:
        attrs: dict[str, str | JID] = {"jid": account.bare(self.server)}
        if self.server == LID:
            attrs["phone_number"] = account.pn
        else:
            attrs["lid"] = account.lid
        if role := self.members.get(account):
            attrs["type"] = role
        return Node("participant", attrs)

    def as_json(self) -> dict[str, object]:
        return {
            "id": str(self.jid),
            "subject": self.subject,
            "addressing_mode": self.mode,
            "announcement": self.announcement,
            "suspended": self.suspended,
            "expiration": self.expiration,
            "members": [account.number for account in self.members],
            "admins": [account.number for account, role in self.members.items() if role],
        }


@dataclass(frozen=True)
class Change:
    """What happened to a group. `action`: the tag that tells it (`create`, `add`, `remove`, `leave`,
    `announcement` …), `told`: the accounts that hear of it, those who are out by it included."""

    group: Group
    action: str
    author: Account
    accounts: tuple[Account, ...]
    told: tuple[Account, ...]

    def notification(self, identity: str, now: int) -> Node:
        group, server = self.group, self.group.server
        other = "participant_pn" if server == LID else "participant_lid"
        attrs: dict[str, str | JID] = {
            "from": group.jid,
            "type": "w:gp2",
            "id": identity,
            "t": str(now),
            "participant": self.author.bare(server),
            other: self.author.bare(PN if server == LID else LID),
        }
        if self.action == "create":
            child = Node("create", {"type": "new"}, (group.as_node(),))
        else:
            told = {"expiration": str(group.expiration)} if self.action == "ephemeral" else {}
            child = Node(self.action, told, group.as_nodes(self.accounts) or None)
        return Node("notification", attrs, (child,))


class Groups:
    """All groups, by the user part of their JIDs. Each method that changes one returns what is to be told."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def find(self, jid: JID) -> Group | None:
        return self._groups.get(jid.user) if jid.server == GROUP else None

    def get(self, identity: str) -> Group:
        """By its id, with or without `@g.us`. Raises UnknownGroup."""
        try:
            return self._groups[identity.partition("@")[0]]
        except KeyError:
            raise UnknownGroup(identity) from None

    def of(self, account: Account) -> list[Group]:
        return [group for group in self if account in group.members]

    def create(
        self, subject: str, creator: Account, members: Iterable[Account], *, now: int, mode: str = "lid"
    ) -> Change:
        group = Group(str(FIRST_GROUP + len(self._groups)), subject, creator, now, mode)
        group.members = {creator: ADMIN, **{member: MEMBER for member in members if member is not creator}}
        self._groups[group.id] = group
        return Change(group, "create", creator, (), tuple(group.members))

    def add(self, group: Group, author: Account, accounts: Iterable[Account]) -> Change:
        new = tuple(account for account in dict.fromkeys(accounts) if account not in group.members)
        group.members |= dict.fromkeys(new, MEMBER)
        return Change(group, "add", author, new, tuple(group.members))

    def remove(self, group: Group, author: Account, accounts: Iterable[Account]) -> Change:
        """Whoever takes themselves out leaves."""
        gone = tuple(account for account in dict.fromkeys(accounts) if account in group.members)
        told = tuple(group.members)
        for account in gone:
            del group.members[account]
        action = "leave" if gone == (author,) else "remove"
        return Change(group, action, author, gone, told)

    def promote(self, group: Group, author: Account, accounts: Iterable[Account], role: str) -> Change:
        changed = tuple(account for account in accounts if account in group.members)
        group.members |= dict.fromkeys(changed, role)
        return Change(group, "promote" if role else "demote", author, changed, tuple(group.members))

    def set(self, group: Group, **settings: object) -> list[Change]:
        """`announcement`, `expiration`: told. `mode` is not: the real server changes it silently."""
        changes = []
        for name, value in settings.items():
            setattr(group, name, value)
            if name == "announcement":
                action = "announcement" if value else "not_announcement"
                changes.append(Change(group, action, group.creator, (), tuple(group.members)))
            if name == "expiration":
                action = "ephemeral" if value else "not_ephemeral"
                changes.append(Change(group, action, group.creator, (), tuple(group.members)))
        return changes
