"""Who is in a group: its members, their devices, and whether we may write there.

It is remembered in the keys table and asked for again after a day, or when somebody says that it changed:
members by a notification about the group, devices by one about a member, both by the hash in an ack.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tocsin.connector_client.errors import IqError
from tocsin.keys.timers import ChatTimer
from tocsin.multidevice.account import Account
from tocsin.multidevice.directory import MAX_DEVICES
from tocsin.notify.failure import Permanent
from tocsin.whatsapp import usync
from tocsin.whatsapp.group import MODES, GroupInfo, parse_group
from tocsin.whatsapp.iq import IqRefused, group_info
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, phash

log = logging.getLogger(__name__)

ROSTER_SECONDS = 24 * 3600
SIDE_BY_SIDE = 8
"""Requests about members that are under way at the same time."""

MAX_MEMBERS = 2048
"""Twice what WhatsApp's groups have; only its communities have more."""
MAX_KEY_HOLDERS = 8000
"""All that may have our key stand in one item of 400 KB, some 30 bytes each."""

T = TypeVar("T")
R = TypeVar("R")

NOT_IN_GROUP = "not-in-group"
UNKNOWN_GROUP = "unknown-group"
ADMINS_ONLY = "admins-only"
SUSPENDED = "group-suspended"
TOO_LARGE = "group-too-large"

# Refusals of the group's query that say something of the group.
OUT = (NOT_IN_GROUP, "this account isn't in the group: add it as a member")
GROUP_ANSWERS = {
    401: OUT,
    403: OUT,
    404: (UNKNOWN_GROUP, "WhatsApp knows no such group"),
    410: (UNKNOWN_GROUP, "the group was deleted"),
}


@dataclass(frozen=True)
class Target:
    """A device of a member. `jid`: as the group names it; `user`: under which its sessions lie (bare JID).

    `renewed_at`: when the user was last seen with new keys (seconds, as the keys table has it); what was
    given before is lost.
    """

    jid: JID
    user: str
    renewed_at: int = 0

    @property
    def holder(self) -> tuple[str, int]:
        return self.user, self.jid.device


@dataclass(frozen=True)
class Roster:
    """A group and all devices of its members, this one of ours included. `puzzling`: the server's hash of
    them, if it was another than ours even after all was asked for anew."""

    info: GroupInfo
    devices: tuple[Target, ...]
    own: Target
    puzzling: str

    @property
    def others(self) -> list[Target]:
        return [target for target in self.devices if target.holder != self.own.holder]

    @property
    def phash(self) -> str:
        return phash(target.jid for target in self.devices)


class GroupView:
    """One group as one account sees it."""

    def __init__(self, account: Account, group: JID, *, clock: Callable[[], float]) -> None:
        self._account = account
        self._keys = account.keys
        self._profile = account.profile
        self._group = group
        self._clock = clock
        self.timer: ChatTimer | None = None
        """The group's, if it was asked for just now."""

    def info(self) -> GroupInfo:
        """Members and settings, as remembered or asked for. Raises `Permanent` if we are told nothing."""
        return self._known(refresh=False)[0]

    def own_name(self, info: GroupInfo) -> JID:
        """Our account as the group names it (bare)."""
        return self._own(info).jid.bare

    def has(self, user: str) -> bool:
        """Whether a user (bare JID, canonical) is a member."""
        names = self._names(self.info())
        return user in names.values() or JID.parse(user) in names

    def roster(self, *, refresh: bool = False) -> Roster:
        """The group's devices. Raises `Permanent` if we may not write there."""
        info, puzzling, fresh = self._known(refresh=refresh)
        refusal = self._refusal(info)
        if refusal is not None and not fresh:
            # What is remembered may be old, and this would be for good.
            return self.roster(refresh=True)
        if refusal is not None:
            raise refusal
        own = self._own(info)
        devices = {target.jid: target for target in (own, *self._devices(info, refresh=refresh))}
        _demand_fewer(len(devices), MAX_KEY_HOLDERS, "devices")
        return Roster(info, tuple(devices.values()), own, puzzling)

    def _known(self, *, refresh: bool) -> tuple[GroupInfo, str, bool]:
        known = None if refresh else self._keys.groups.known(str(self._group))
        if known is not None and known[1] > self._clock() - ROSTER_SECONDS:
            try:
                return *remembered(known[0]), False
            except ValueError:
                log.warning("a remembered group can't be read; it is asked for again")
        info = self._ask()
        self._learn(info)
        self.timer = self._keys.contacts.keep_timer(
            self._account.own_user, str(self._group), ChatTimer(info.expiration), certain=True
        )
        self.remember(info)
        return info, "", True

    def _ask(self) -> GroupInfo:
        try:
            answer = self._account.connector.request(self._profile, group_info(self._group))
            info = parse_group(answer, self._group)
        except (IqError, IqRefused) as error:
            code = error.error if isinstance(error, IqError) else error.code
            if code not in GROUP_ANSWERS:
                raise
            raise Permanent(*GROUP_ANSWERS[code]) from error
        _demand_fewer(len(info.members), MAX_MEMBERS, "members")
        return info

    def remember(self, info: GroupInfo, puzzling: str = "") -> None:
        self._keys.groups.save(str(self._group), f"{puzzling} {info.to_text()}")

    def _learn(self, info: GroupInfo) -> None:
        """Both names of each member are one person's, where that is news."""
        known = self._keys.groups.lids([str(member.jid) for member in info.members])
        new = [member for member in info.members if member.other and str(member.jid) not in known]
        side_by_side(lambda member: self._account.learn(member.jid, member.other), new)

    def _refusal(self, info: GroupInfo) -> Permanent | None:
        own = info.member(*self._own_names)
        if own is None:
            return Permanent(*OUT)
        if info.suspended:
            return Permanent(SUSPENDED, "WhatsApp has suspended the group")
        if info.announcement and not own.admin:
            return Permanent(ADMINS_ONLY, "only admins may write to the group: make this account one")
        return None

    @property
    def _own_names(self) -> tuple[JID, JID]:
        return self._account.own_device.bare, JID.parse(self._profile.jid).bare

    def _own(self, info: GroupInfo) -> Target:
        """This very device."""
        lid, pn = self._own_names
        name = lid if MODES[info.mode] == lid.server else pn
        device = self._account.own_device
        return Target(name.with_device(device.device), str(device.bare))

    def _devices(self, info: GroupInfo, *, refresh: bool) -> Iterator[Target]:
        """Every device of every member, hosted ones left out: they take no part in groups."""
        names = self._names(info)
        lists = self._keys.groups.device_lists(list(names.values()))
        due = self._clock() - ROSTER_SECONDS
        stale = [jid for jid, user in names.items() if refresh or lists[user].checked_at <= due]
        asked = self._ask_devices(stale, names)
        for jid, user in names.items():
            devices = asked.get(jid, lists[user].devices) or (0,)
            yield from (Target(jid.with_device(device), user, lists[user].renewed_at) for device in devices)

    def _names(self, info: GroupInfo) -> dict[JID, str]:
        """Each member as the group names them → the name under which their sessions lie."""
        if info.mode == "lid":
            return {member.jid: str(member.jid) for member in info.members}
        lids = self._keys.groups.lids([str(member.jid) for member in info.members])
        lids |= {str(name): self._account.own_user for name in self._own_names}
        return {
            member.jid: lids.get(str(member.jid)) or str(member.other or member.jid)
            for member in info.members
        }

    def _ask_devices(self, members: Sequence[JID], names: Mapping[JID, str]) -> dict[JID, tuple[int, ...]]:
        """The devices of members, by one query for each hundred. Whoever's list can't be had isn't in it."""
        found: dict[JID, tuple[int, ...]] = {}
        for start in range(0, len(members), usync.MAX_PER_REQUEST):
            query = usync.usync_devices(members[start : start + usync.MAX_PER_REQUEST])
            for listed in usync.parse_devices(self._account.connector.request(self._profile, query)):
                devices = sorted({jid.device for jid in listed.devices} - {HOSTED_DEVICE})[:MAX_DEVICES]
                if listed.user in names and devices and listed.error is None:
                    found[listed.user] = tuple(devices)
        side_by_side(lambda jid: self._keys.groups.save_device_list(names[jid], found[jid]), list(found))
        return found


def _demand_fewer(number: int, most: int, what: str) -> None:
    if number > most:
        raise Permanent(TOO_LARGE, f"the group has {number} {what}; no more than {most} can be written to")


def remembered(told: str) -> tuple[GroupInfo, str]:
    """Read what `GroupView.remember` wrote: the group, and the puzzling hash. Raises ValueError."""
    puzzling, _, info = told.partition(" ")
    return GroupInfo.from_text(info), puzzling


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do the same for each, some at the same time: they are requests that wait for nobody."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(items)), thread_name_prefix="group") as beside:
        return list(beside.map(work, items))
