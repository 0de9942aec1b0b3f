"""What the server tells of a group: who is in it, in which address form, and whether we may write."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tocsin.whatsapp.bounds import MAX_DIGITS, MAX_NAME
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import checked
from tocsin.whatsapp.jid import GROUP, JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.timer import told as timer_told

MODES = {"lid": LID, "pn": PN}
"""Addressing modes, and the server of the members' JIDs in each."""


@dataclass(frozen=True, slots=True)
class Member:
    """`jid`: bare, in the group's mode. `other`: the same person in the other one, where told."""

    jid: JID
    other: JID | None
    admin: bool


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """`mode`: `lid` or `pn`. `announcement`: only admins may write. `suspended`: nobody may. `subject`:
    its name. `expiration`: after how many seconds messages disappear, 0 for never; that isn't in the text."""

    group: JID
    mode: str
    members: tuple[Member, ...]
    announcement: bool = False
    suspended: bool = False
    subject: str = ""
    expiration: int = 0

    def member(self, *names: JID) -> Member | None:
        """Who goes by one of these names (bare JIDs, in either form)."""
        return next((member for member in self.members if {member.jid, member.other} & {*names}), None)

    def to_text(self) -> str:
        """As it is remembered; `from_text` reads it."""
        members = [
            [str(member.jid), str(member.other) if member.other else "", int(member.admin)]
            for member in self.members
        ]
        flags = [int(self.announcement), int(self.suspended)]
        told = [str(self.group), self.mode, members, flags, self.subject]
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> GroupInfo:
        """Raises ValueError for what `to_text` didn't write."""
        try:
            group, mode, members, (announcement, suspended), subject = json.loads(text)
            known = tuple(
                Member(JID.parse(jid), JID.parse(other) if other else None, bool(admin))
                for jid, other, admin in members
            )
            return cls(JID.parse(group), mode, known, bool(announcement), bool(suspended), str(subject))
        except (TypeError, ValueError) as error:
            raise ValueError("not a remembered group") from error


def parse_group(answer: Node, group: JID) -> GroupInfo:
    """The answer to `iq.group_info`. Raises `IqRefused` (403: we aren't in it, 404: there is no such group),
    `InvalidStanza`."""
    told = checked(answer).require_child("group")
    mode = told.optional_str("addressing_mode") or "pn"
    if mode not in MODES:
        raise InvalidStanza("addressing_mode")
    members = [_member(node, MODES[mode]) for node in told.children("participant")]
    return GroupInfo(
        group=JID(group.user, GROUP),
        mode=mode,
        members=tuple({member.jid: member for member in members if member is not None}.values()),
        announcement=told.child("announcement") is not None,
        suspended=told.child("suspended") is not None,
        subject=(told.optional_str("subject") or "")[:MAX_NAME],
        expiration=expiration_in(told) or 0,
    )


def expiration_in(told: Node) -> int | None:
    """The timer that metadata or a notification of a group names, in seconds, 0 for off; None for none."""
    setting = told.child("ephemeral")
    if setting is not None:
        timer = timer_told(setting.optional_int("expiration") or 0, 0)
        return timer.seconds if timer is not None else None
    return 0 if told.child("not_ephemeral") is not None else None


def _member(node: Node, server: str) -> Member | None:
    """None for one without an address in the group's mode, to whom nothing can be sent."""
    names = [node.attr_jid("jid"), node.optional_jid("phone_number"), node.optional_jid("lid")]
    named = [jid.chat for jid in reversed(names) if jid is not None and 0 < len(jid.user) <= MAX_DIGITS]
    users = {jid.server: jid for jid in named}
    if server not in users:
        return None
    other = users.get(PN if server == LID else LID)
    return Member(users[server], other, node.optional_str("type") in ("admin", "superadmin"))
