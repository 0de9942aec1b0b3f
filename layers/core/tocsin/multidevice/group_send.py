"""Writing to a group: one ciphertext for all, and our sender key for each device that has it not.

    roster ── may we write? ── reserve ── who lacks the key? ── sessions ── encrypt ── hand over ── ack
      └ w:g2, usync                 └ somebody may have it who is out: a new key

The roster (members and their devices) is remembered and asked for again after a day, or when somebody says
that it changed. A device that could not be given the key gets the message all the same, can't read it, and
says so: `retries` sends it again to that one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tocsin.connector_client.errors import ConnectorError, IqError
from tocsin.keys.errors import Contended, NoOutbound
from tocsin.multidevice.account import Account
from tocsin.multidevice.compose import compose
from tocsin.multidevice.directory import UNPROVEN, Bundles, Need, blame, equip, fetch
from tocsin.multidevice.group_members import GroupView, Roster, Target, side_by_side
from tocsin.notify.failure import Failure, Permanent, Recover
from tocsin.notify.transport import UNPROVEN_DEVICE, Outgoing, Sent
from tocsin.signal.padding import pad
from tocsin.tables.names import message_id_of
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, mask
from tocsin.whatsapp.message import group_message_stanza, retry_message_stanza
from tocsin.whatsapp.outgoing import OutgoingMessage, device_sent, with_sender_key

if TYPE_CHECKING:
    from tocsin.keys.reserve import Reservation
    from tocsin.keys.sender_keys import GroupReservation
    from tocsin.keys.timers import ChatTimer
    from tocsin.signal.session import Ciphertext
    from tocsin.whatsapp.media import Upload
    from tocsin.whatsapp.message import MessageAck
    from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

MAX_KEYS = 4
"""So often a send looks for a key that it can use; each further one needs somebody who was faster."""
MAX_MISSED = 50
"""Devices that are sent a message after all, one by one. If we missed more, they ask for it."""

MAX_TOLD = 200
"""A notification's history names so many devices of a group: all of a large one, at each of some tries, would
not fit into an item of the table. One that isn't named heals too, by asking twice."""

STALE_ADDRESSING = "stale-addressing"

# Earlier refusals after which everything is asked for anew.
STALE_ROSTER = frozenset({"malformed", "not-allowed", "stale-devices", "unknown-recipient", STALE_ADDRESSING})

HandOver = Callable[..., "MessageAck"]


@dataclass(frozen=True)
class Round:
    """What one round of pairwise copies came to: ciphertexts by target, numbers by user, and who has none.

    `numbers` and `told` are for the history: of a large group some.
    """

    copies: Mapping[Target, Ciphertext]
    reservations: Mapping[str, Reservation]
    bundles: Mapping[str, Bundles]

    @property
    def numbers(self) -> dict[str, int]:
        some = islice(self.reservations.items(), MAX_TOLD)
        return {user: reservation.number for user, reservation in some}

    def told(self) -> dict[str, str]:
        """Full JID (as sessions are named) → type and index of the copy."""
        return {
            str(JID.parse(target.user).with_device(target.jid.device)): (f"{copy.type} {self._index(target)}")
            for target, copy in islice(self.copies.items(), MAX_TOLD)
        }

    def why_without(self, target: Target) -> str:
        """Why a device was given no sender key."""
        bundles = self.bundles.get(target.user, Bundles())
        unproven = bundles.refused.get(target.jid.device) == UNPROVEN
        return f"no sender key: {UNPROVEN_DEVICE if unproven else 'no session'}"

    def _index(self, target: Target) -> int:
        reservation = self.reservations[target.user]
        return reservation.chains[target.jid.device].index_of(reservation.number)


class GroupPost:
    """One message on its way into one group. `upload`: what was uploaded of a file.

    `hand_over(stanza, numbers, copies)` returns the ack, or raises a `Failure` with those.
    """

    def __init__(
        self,
        account: Account,
        outgoing: Outgoing,
        hand_over: HandOver,
        upload: Upload | None = None,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._account = account
        self._keys = account.keys
        self._profile = account.profile
        self._outgoing = outgoing
        self._group = JID.parse(outgoing.recipient)
        self._view = GroupView(account, self._group, clock=clock)
        self._hand_over = hand_over
        self._upload = upload
        self._random = random
        self._refused: IqError | WireError | None = None
        self._after: list[Callable[[], object]] = []

    def send(self) -> Sent:
        """Raises `Failure`."""
        roster = self._view.roster(refresh=bool(STALE_ROSTER.intersection(self._outgoing.earlier)))
        try:
            return self._post(roster)
        except (Permanent, Recover) as failure:
            self._keys.groups.forget(str(self._group))
            if failure.code != STALE_ADDRESSING:
                raise
            return self._post(self._view.roster(refresh=True))

    def settle(self) -> None:
        """Note who has the key now, and move the checkpoints. Losing this is fine: they get it again."""
        for step in self._after:
            with suppress(Contended):
                step()

    # -- the message ------------------------------------------------------------------------------------

    def _post(self, roster: Roster) -> Sent:
        own = roster.own.jid.bare
        message = compose(self._outgoing.content, str(self._group), own, self._upload, self._timer())
        reservation, holders = self._reserve(roster)
        needy = [target for target in roster.others if holders.get(target.holder, 0) <= target.renewed_at]
        key = with_sender_key(self._group, reservation.distribution())
        copies = self._encrypt(needy, lambda target: key)
        if not copies.copies and len(needy) == len(roster.others) > 0:
            raise self._refused or blame(_all(copies.bundles.values()))
        if copies.copies:
            self._keys.groups.offer_key(reservation, [target.holder for target in copies.copies])
        ack = self._hand_over(
            self._stanza(roster, message, reservation, copies),
            {str(self._group): reservation.number, **copies.numbers},
            {str(self._group): f"skmsg {reservation.iteration}", **copies.told()},
            group=True,
        )
        self._after += [
            lambda: self._keys.groups.confirm_key(reservation, [target.holder for target in copies.copies]),
            lambda: self._keys.groups.checkpoint(reservation),
            *self._checkpoints(copies),
        ]
        missed = self._heed(ack, roster, message, reservation)
        left_out = [target for target in needy if target not in copies.copies]
        return Sent(
            numbers={str(self._group): reservation.number, **copies.numbers},
            devices=len(roster.others) - len(left_out),
            copies={str(self._group): f"skmsg {reservation.iteration}", **copies.told(), **missed},
            left_out={
                str(JID.parse(target.user).with_device(target.jid.device)): copies.why_without(target)
                for target in left_out[:MAX_TOLD]
            },
        )

    def _timer(self) -> ChatTimer | None:
        """The group's, as it was read with the notification, or asked for just now."""
        if self._view.timer is not None:
            return self._view.timer
        known = self._outgoing.address.trust if self._outgoing.address is not None else {}
        return self._keys.contacts.open_timer(self._account.own_user, str(self._group), known)

    def _stanza(
        self, roster: Roster, message: OutgoingMessage, reservation: GroupReservation, copies: Round
    ) -> Node:
        return group_message_stanza(
            message_id_of(self._outgoing.notification),
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
        for _ in range(MAX_KEYS):
            seen = None
            try:
                reservation = self._keys.groups.reserve(self._profile, group)
                if reservation.staleness is None:
                    holders = self._keys.groups.holders(reservation)
                    if holders.keys() <= present:
                        return reservation, holders
                    log.info("a new sender key: somebody who had it is out", extra={"group": mask(group)})
                seen = reservation.tag
            except NoOutbound:
                pass
            self._keys.groups.make_sender_key(self._profile, group, seen=seen)
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
        users = list(devices)
        found = dict(zip(users, side_by_side(self._reserve_with, users), strict=True))
        needs = {user: needed for user in users if (needed := self._needed(found[user], devices[user]))}
        bundles = self._fetch(needs)
        usable = [user for user, some in bundles.items() if some.usable]
        if usable:
            credentials = self._keys.account.credentials()

            def make(user: str) -> Bundles:
                reservation = found[user]
                chains = set(reservation.chains) if reservation is not None else set()
                need = Need(reservation, frozenset(needs[user]) & chains)
                listed = self._listed(user) or sorted(chains.union(devices[user]))
                # Not a group's, and not to be taken for one that is gone.
                listed = sorted({*listed, *({HOSTED_DEVICE} & chains)})
                return equip(self._account, credentials, user, listed, need, bundles[user])

            bundles |= zip(usable, side_by_side(make, usable), strict=True)
            found |= zip(usable, side_by_side(self._reserve_with, usable), strict=True)
        reserved = {user: reservation for user, reservation in found.items() if reservation is not None}
        return reserved, bundles

    def _listed(self, user: str) -> list[int]:
        """All devices of a user as last told, without this one of ours."""
        own = self._account.own_device
        return [
            device
            for device in self._keys.groups.device_lists([user])[user].devices
            if (user, device) != (str(own.bare), own.device)
        ]

    def _reserve_with(self, user: str) -> Reservation | None:
        try:
            return self._keys.sending.reserve(self._profile, user)
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
            self._refused = error
            return {}

    def _checkpoints(self, copies: Round) -> Iterator[Callable[[], object]]:
        for user, reservation in copies.reservations.items():
            devices = [target.jid.device for target in copies.copies if target.user == user]
            yield lambda reservation=reservation, devices=devices: self._keys.sending.checkpoint(  # type: ignore[misc]
                reservation, devices
            )

    # -- what an ack may ask for ------------------------------------------------------------------------

    def _heed(
        self, ack: MessageAck, roster: Roster, message: OutgoingMessage, reservation: GroupReservation
    ) -> Mapping[str, str]:
        """The server knows other devices than we, or another mode: ask, and send the message to whom we
        missed. The message is accepted, so whatever fails here is told and left; the next send asks again."""
        if ack.addressing_mode not in (None, roster.info.mode):
            self._keys.groups.forget(str(self._group))
        if ack.phash is None or ack.phash == roster.puzzling:
            return {}
        try:
            present = self._view.roster(refresh=True)
            if present.phash != ack.phash:
                # Whom the server counts we can't tell; asking after each message wouldn't either.
                self._view.remember(present.info, ack.phash)
            known = {target.holder for target in roster.devices}
            missed = [target for target in present.others if target.holder not in known]
            return self._send_alone(missed[:MAX_MISSED], message, reservation)
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
            self._keys.groups.offer_key(reservation, [target.holder for target in copies.copies])
        for target, copy in copies.copies.items():
            stanza = retry_message_stanza(
                message_id_of(self._outgoing.notification),
                self._group,
                copy,
                count=1,
                device_identity=self._profile.device_identity,
                participant=target.jid,
                kind=message.kind,
            )
            self._hand_over(stanza, copies.numbers, copies.told(), group=True)
            self._after.append(
                lambda target=target: self._keys.groups.confirm_key(reservation, [target.holder])  # type: ignore[misc]
            )
        self._after += self._checkpoints(copies)
        return copies.told()


def _all(bundles: Iterable[Bundles]) -> Bundles:
    """What came of all bundles, as that of one user, to tell why nobody can be written to."""
    refused = [code for found in bundles for code in found.refused.values()]
    return Bundles(refused=dict(enumerate(refused)))
