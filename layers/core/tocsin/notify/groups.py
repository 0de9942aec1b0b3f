"""Writing to a group: one ciphertext for all, and our sender key for each device that has it not.

    roster ── may we write? ── reserve ── who lacks the key? ── sessions ── encrypt ── hand over ── ack
      └ w:g2, usync                 └ somebody may have it who is out: a new key

The roster (members and their devices) is remembered and asked for again after a day, or when somebody says
that it changed. A device that could not be given the key gets the message all the same, can't read it, and
says so: `recovery` sends it again to that one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.connector.client import ConnectorError, IqError
from tocsin.keys.errors import Contended, NoOutbound
from tocsin.notify.account import Account
from tocsin.notify.compose import compose
from tocsin.notify.failure import Failure, Permanent, Recover
from tocsin.notify.sessions import MAX_DEVICES, Bundles, Need, blame, equip, fetch
from tocsin.notify.transport import Outgoing, Sent
from tocsin.signal.padding import pad
from tocsin.whatsapp import usync
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.group import MODES, GroupInfo, parse_group
from tocsin.whatsapp.iq import IqRefused, group_info
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, phash
from tocsin.whatsapp.message import group_message_stanza, retry_message_stanza
from tocsin.whatsapp.outgoing import OutgoingMessage, device_sent, with_sender_key

if TYPE_CHECKING:
    from tocsin.keys.reserve import Reservation
    from tocsin.keys.sender_keys import GroupReservation
    from tocsin.signal.session import Ciphertext
    from tocsin.whatsapp.message import MessageAck
    from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

ROSTER_SECONDS = 24 * 3600
MOST_KEYS = 4
"""So often a send looks for a key that it can use; each further one needs somebody who was faster."""
MOST_MISSED = 50
"""Devices that are sent a message after all, one by one. If we missed more, they ask for it."""
SIDE_BY_SIDE = 8
"""Reservations and sessions of a new key's first round, made at the same time."""

NOT_IN_GROUP = "not-in-group"
UNKNOWN_GROUP = "unknown-group"
ADMINS_ONLY = "admins-only"
SUSPENDED = "group-suspended"
STALE_ADDRESSING = "stale-addressing"

# Refusals of the group's query that say something of the group.
OUT = (NOT_IN_GROUP, "this account isn't in the group: add it as a member")
GROUP_ANSWERS = {
    401: OUT,
    403: OUT,
    404: (UNKNOWN_GROUP, "WhatsApp knows no such group"),
    410: (UNKNOWN_GROUP, "the group was deleted"),
}

# Earlier refusals after which everything is asked for anew.
STALE_ROSTER = frozenset({"malformed", "not-allowed", "stale-devices", "unknown-recipient", STALE_ADDRESSING})

Deliver = Callable[..., "MessageAck"]


@dataclass(frozen=True)
class Target:
    """A device of a member. `jid`: as the group names it; `user`: under which its sessions lie (bare JID).

    `renewed_at`: when the user was last seen with new keys (s); what was given before is lost.
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


@dataclass(frozen=True)
class Round:
    """What one round of pairwise copies came to: ciphertexts by target, numbers by user, and who has none."""

    copies: Mapping[Target, Ciphertext]
    reservations: Mapping[str, Reservation]
    bundles: Mapping[str, Bundles]

    @property
    def numbers(self) -> dict[str, int]:
        return {user: reservation.number for user, reservation in self.reservations.items()}

    def told(self) -> dict[str, str]:
        """Full JID (as sessions are named) → type and index of the copy."""
        return {
            str(JID.parse(target.user).with_device(target.jid.device)): (f"{copy.type} {self._index(target)}")
            for target, copy in self.copies.items()
        }

    def _index(self, target: Target) -> int:
        reservation = self.reservations[target.user]
        return reservation.chains[target.jid.device].index_of(reservation.number)


class GroupPost:
    """One message on its way into one group. `deliver(stanza, numbers, copies)` hands over and returns the
    ack, or raises a `Failure` with those."""

    def __init__(
        self,
        account: Account,
        outgoing: Outgoing,
        deliver: Deliver,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._account = account
        self._keys = account.keys
        self._profile = account.profile
        self._outgoing = outgoing
        self._group = JID.parse(outgoing.recipient)
        self._deliver = deliver
        self._clock = clock
        self._random = random
        self._after: list[Callable[[], object]] = []

    def send(self) -> Sent:
        """Raises `Failure`."""
        roster = self._roster(refresh=bool(STALE_ROSTER.intersection(self._outgoing.earlier)))
        try:
            return self._post(roster)
        except (Permanent, Recover) as failure:
            self._keys.forget_group(str(self._group))
            if failure.code != STALE_ADDRESSING:
                raise
            return self._post(self._roster(refresh=True))

    def settle(self) -> None:
        """Note who has the key now, and move the checkpoints. Losing this is fine: they get it again."""
        for step in self._after:
            step()

    # -- who is there -----------------------------------------------------------------------------------

    def _roster(self, *, refresh: bool = False) -> Roster:
        """The group's devices. Raises `Permanent` if we may not write there."""
        info, puzzling, fresh = self._info(refresh=refresh)
        refusal = self._refusal(info)
        if refusal is not None and not fresh:
            # What is remembered may be old, and this would be for good.
            return self._roster(refresh=True)
        if refusal is not None:
            raise refusal
        own = self._own(info)
        devices = {target.jid: target for target in (own, *self._devices(info, refresh=refresh))}
        return Roster(info, tuple(devices.values()), own, puzzling)

    def _info(self, *, refresh: bool) -> tuple[GroupInfo, str, bool]:
        known = None if refresh else self._keys.known_group(str(self._group))
        if known is not None and known[1] > self._clock() - ROSTER_SECONDS:
            puzzling, _, told = known[0].partition(" ")
            try:
                return GroupInfo.from_text(told), puzzling, False
            except ValueError:
                log.warning("a remembered group can't be read; it is asked for again")
        info = self._ask()
        self._learn(info)
        self._remember(info)
        return info, "", True

    def _ask(self) -> GroupInfo:
        try:
            answer = self._account.connector.request(self._profile, group_info(self._group))
            return parse_group(answer, self._group)
        except (IqError, IqRefused) as error:
            code = error.error if isinstance(error, IqError) else error.code
            if code not in GROUP_ANSWERS:
                raise
            raise Permanent(*GROUP_ANSWERS[code]) from error

    def _remember(self, info: GroupInfo, puzzling: str = "") -> None:
        self._keys.save_group(str(self._group), f"{puzzling} {info.to_text()}")

    def _learn(self, info: GroupInfo) -> None:
        """Both names of each member are one person's, where that is news."""
        known = self._keys.lids([str(member.jid) for member in info.members])
        for member in info.members:
            if str(member.jid) not in known:
                self._account.learn(member.jid, member.other)

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
        lists = self._keys.device_lists(list(names.values()))
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
        lids = self._keys.lids([str(member.jid) for member in info.members])
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
                    self._keys.save_device_list(names[listed.user], found[listed.user])
        return found

    # -- the message ------------------------------------------------------------------------------------

    def _post(self, roster: Roster) -> Sent:
        own = roster.own.jid.bare
        message = compose(self._outgoing.content, str(self._group), own)
        reservation, holders = self._reserve(roster)
        needy = [target for target in roster.others if holders.get(target.holder, 0) <= target.renewed_at]
        key = with_sender_key(self._group, reservation.distribution())
        copies = self._encrypt(needy, lambda target: key)
        if not copies.copies and len(needy) == len(roster.others) > 0:
            raise blame(_all(copies.bundles.values()))
        if copies.copies:
            self._keys.offer_key(reservation, [target.holder for target in copies.copies])
        ack = self._deliver(
            self._stanza(roster, message, reservation, copies),
            {str(self._group): reservation.number, **copies.numbers},
            {str(self._group): f"skmsg {reservation.iteration}", **copies.told()},
            group=True,
        )
        self._after += [
            lambda: self._keys.confirm_key(reservation, [target.holder for target in copies.copies]),
            lambda: self._keys.checkpoint_group(reservation),
            *self._checkpoints(copies),
        ]
        missed = self._heed(ack, roster, message, reservation)
        left_out = [target for target in needy if target not in copies.copies]
        return Sent(
            numbers={str(self._group): reservation.number, **copies.numbers},
            devices=len(roster.others) - len(left_out),
            accepted_at=ack.timestamp,
            copies={str(self._group): f"skmsg {reservation.iteration}", **copies.told(), **missed},
            left_out={
                str(JID.parse(target.user).with_device(target.jid.device)): "no sender key: no session"
                for target in left_out
            },
        )

    def _stanza(
        self, roster: Roster, message: OutgoingMessage, reservation: GroupReservation, copies: Round
    ) -> Node:
        return group_message_stanza(
            self._outgoing.message_id,
            self._group,
            reservation.encrypt(pad(message.body, self._random(1)), self._random(64)),
            addressing_mode=roster.info.mode,
            phash=roster.phash,
            kind=message.kind,
            key_recipients=[(target.jid, copy) for target, copy in copies.copies.items()],
            device_identity=self._profile.device_identity,
        )

    def _reserve(self, roster: Roster) -> tuple[GroupReservation, Mapping[tuple[str, int], int]]:
        """Take a number under a key that nobody has who is out, and tell who has it."""
        present = {target.holder for target in roster.devices}
        group = str(self._group)
        for _ in range(MOST_KEYS):
            seen = None
            try:
                reservation = self._keys.reserve_group(self._profile, group)
                if reservation.staleness is None:
                    holders = self._keys.holders(reservation)
                    if holders.keys() <= present:
                        return reservation, holders
                    log.info("a new sender key: somebody who had it is out", extra={"group": group})
                seen = reservation.tag
            except NoOutbound:
                pass
            self._keys.make_sender_key(self._profile, group, seen=seen)
        raise Contended

    # -- pairwise copies --------------------------------------------------------------------------------

    def _encrypt(self, targets: Sequence[Target], plaintext: Callable[[Target], bytes]) -> Round:
        """A copy for each target that a session can be had with."""
        if not targets:
            return Round({}, {}, {})
        devices: dict[str, list[int]] = {}
        for target in targets:
            devices.setdefault(target.user, []).append(target.jid.device)
        found, bundles = self._sessions(devices)
        copies: dict[Target, Ciphertext] = {}
        for target in targets:
            reservation, device = found.get(target.user), target.jid.device
            if reservation is not None and reservation.staleness(device) is None:
                padded = pad(plaintext(target), self._random(1))
                copies[target] = reservation.encrypt(device, self._profile, padded)
        return Round(copies, found, bundles)

    def _sessions(
        self, devices: Mapping[str, Sequence[int]]
    ) -> tuple[dict[str, Reservation], dict[str, Bundles]]:
        """Reserve with each of these users, making sessions with those devices of theirs that have none."""
        with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(devices)), thread_name_prefix="reserve") as beside:
            found = dict(zip(devices, beside.map(self._reserve_with, devices), strict=True))
            needs = {
                user: needed
                for user, wanted in devices.items()
                if (needed := self._needed(found[user], wanted))
            }
            bundles = self._fetch(needs)
            usable = {user: some for user, some in bundles.items() if some.usable}
            if usable:
                credentials = self._keys.credentials()

                def make(user: str) -> Bundles:
                    chains = set(reservation.chains) if (reservation := found[user]) is not None else set()
                    need = Need(reservation, frozenset(needs[user]) & chains)
                    listed = self._listed(user) or sorted(chains.union(devices[user]))
                    return equip(self._account, credentials, user, listed, need, bundles[user])

                bundles |= zip(usable, beside.map(make, usable), strict=True)
                found |= zip(usable, beside.map(self._reserve_with, usable), strict=True)
        reserved = {user: reservation for user, reservation in found.items() if reservation is not None}
        return reserved, bundles

    def _listed(self, user: str) -> list[int]:
        """All devices of a user as last told, without this one of ours."""
        own = self._account.own_device
        return [
            device
            for device in self._keys.device_lists([user])[user].devices
            if (user, device) != (str(own.bare), own.device)
        ]

    def _reserve_with(self, user: str) -> Reservation | None:
        try:
            return self._keys.reserve(self._profile, user)
        except NoOutbound:
            return None

    def _needed(self, reservation: Reservation | None, wanted: Sequence[int]) -> list[int]:
        return list(wanted) if reservation is None else reservation.in_need(wanted)

    def _fetch(self, needs: Mapping[str, Sequence[int]]) -> dict[str, Bundles]:
        """Ask for bundles. What is refused costs its devices their key, not the group its message."""
        wanted = [JID.parse(user).with_device(device) for user in needs for device in needs[user]]
        if not wanted:
            return {}
        try:
            return fetch(self._account, wanted)
        except (IqError, WireError) as error:
            log.warning("no bundles", extra={"cause": str(error), "devices": len(wanted)})
            return {}

    def _checkpoints(self, copies: Round) -> Iterator[Callable[[], object]]:
        for user, reservation in copies.reservations.items():
            devices = [target.jid.device for target in copies.copies if target.user == user]
            yield lambda reservation=reservation, devices=devices: self._keys.checkpoint(  # type: ignore[misc]
                reservation, devices
            )

    # -- what an ack may ask for ------------------------------------------------------------------------

    def _heed(
        self, ack: MessageAck, roster: Roster, message: OutgoingMessage, reservation: GroupReservation
    ) -> Mapping[str, str]:
        """The server knows other devices than we, or another mode: ask, and send the message to whom we
        missed. The message is accepted, so whatever fails here is told and left; the next send asks again."""
        if ack.addressing_mode not in (None, roster.info.mode):
            self._keys.forget_group(str(self._group))
        if ack.phash is None or ack.phash == roster.puzzling:
            return {}
        try:
            present = self._roster(refresh=True)
            if present.phash != ack.phash:
                # Whom the server counts we can't tell; asking after each message wouldn't either.
                self._remember(present.info, ack.phash)
            known = {target.holder for target in roster.devices}
            missed = [target for target in present.others if target.holder not in known]
            return self._send_alone(missed[:MOST_MISSED], message, reservation)
        except (Failure, ConnectorError, Contended, WireError) as error:
            log.warning("devices were missed", extra={"cause": getattr(error, "code", str(error))})
        return {}

    def _send_alone(
        self, targets: Sequence[Target], message: OutgoingMessage, reservation: GroupReservation
    ) -> dict[str, str]:
        """The message and the key to devices one by one, as they would get it if they asked."""
        body = with_sender_key(self._group, reservation.distribution(), message.body)
        own_copy = device_sent(self._group, body)
        copies = self._encrypt(
            targets, lambda target: own_copy if self._account.is_own(target.user) else body
        )
        if copies.copies:
            self._keys.offer_key(reservation, [target.holder for target in copies.copies])
        for target, copy in copies.copies.items():
            stanza = retry_message_stanza(
                self._outgoing.message_id,
                self._group,
                copy,
                count=1,
                device_identity=self._profile.device_identity,
                participant=target.jid,
                kind=message.kind,
            )
            self._deliver(stanza, copies.numbers, copies.told(), group=True)
            self._after.append(
                lambda target=target: self._keys.confirm_key(reservation, [target.holder])  # type: ignore[misc]
            )
        self._after += self._checkpoints(copies)
        return copies.told()


def _all(bundles: Iterable[Bundles]) -> Bundles:
    """What came of all bundles, as that of one user, to tell why nobody can be written to."""
    refused = [code for found in bundles for code in found.refused.values()]
    return Bundles(refused=dict(enumerate(refused)))
