"""Groups: sender keys, and what sending to a group needs to know of it and its members.

`group`: the JID of a group, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tocsin.keys.context import KeyContext
from tocsin.keys.profile import AccountProfile

if TYPE_CHECKING:
    from tocsin.keys.groups import DeviceList
    from tocsin.keys.receive import Received
    from tocsin.keys.sender_keys import GroupReservation


class GroupKeys:
    """The part `KeyStore.groups`."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context

    def known(self, group: str) -> tuple[str, int] | None:
        """What was last told of a group, and when (s)."""
        from tocsin.keys.groups import read_group

        return read_group(self._context, group)

    def all(self) -> Iterator[tuple[str, str, int]]:
        """All groups that are known, what was told of them, and when (s). Walks through the whole table."""
        from tocsin.keys.groups import list_groups

        return list_groups(self._context)

    def save(self, group: str, told: str) -> None:
        from tocsin.keys.groups import save_group

        save_group(self._context, group, told)

    def forget(self, group: str) -> None:
        """It changed: the next send asks for it."""
        from tocsin.keys.groups import forget_group

        forget_group(self._context, group)

    def device_lists(self, users: Sequence[str]) -> dict[str, DeviceList]:
        """The devices last told of each of these users (bare JIDs), for groups."""
        from tocsin.keys.groups import read_device_lists

        return read_device_lists(self._context, users)

    def save_device_list(self, user: str, devices: Sequence[int]) -> None:
        from tocsin.keys.groups import save_device_list

        save_device_list(self._context, user, devices)

    def note_new_keys(self, user: str) -> None:
        """A device of this user was installed anew: what groups' sender keys it had is lost to it."""
        from tocsin.keys.groups import outdate_device_list

        outdate_device_list(self._context, user, new_keys=True)

    def lids(self, users: Sequence[str]) -> dict[str, str]:
        """The LIDs of those of these users (bare JIDs) whose both names are known."""
        from tocsin.keys.groups import read_names

        return read_names(self._context, users)

    def reserve(self, profile: AccountProfile, group: str) -> GroupReservation:
        """Take the next number in a group: one request. Raises NoOutbound, Contended."""
        from tocsin.keys.sender_keys import reserve_group

        return reserve_group(self._context, profile.incarnation, group)

    def make_sender_key(self, profile: AccountProfile, group: str, *, seen: bytes | None) -> None:
        """Make a new key of ours, unless another one than that of tag `seen` is there by now.

        `seen` None: unless there is any. Reserve again afterwards. Raises Contended.
        """
        from tocsin.keys.sender_keys import make_sender_key

        make_sender_key(self._context, profile.incarnation, group, seen)

    def discard_sender_key(self, profile: AccountProfile, group: str) -> bool:
        """Forget our key, because somebody left: the next send makes another. Returns whether we had one."""
        from tocsin.keys.sender_keys import discard_sender_key

        return discard_sender_key(self._context, profile.incarnation, group)

    def checkpoint(self, reservation: GroupReservation) -> bool:
        """As `sending.checkpoint`, for a group's key. The last 32 keys stay for new members."""
        from tocsin.keys.sender_keys import checkpoint_group

        return checkpoint_group(self._context, reservation)

    def holders(self, reservation: GroupReservation) -> dict[tuple[str, int], int]:
        """Who may have the reserved key, (bare JID, device) → since when for certain (s), 0 if that isn't."""
        from tocsin.keys.sender_keys import read_holders

        return read_holders(self._context, reservation)

    def offer_key(self, reservation: GroupReservation, devices: Iterable[tuple[str, int]]) -> None:
        """Before it leaves: these devices may have the key from now on."""
        from tocsin.keys.sender_keys import OFFERED, mark_holders

        mark_holders(self._context, reservation, devices, OFFERED)

    def confirm_key(self, reservation: GroupReservation, devices: Iterable[tuple[str, int]]) -> None:
        """After the server's ack: these devices have the key."""
        from tocsin.keys.sender_keys import mark_holders

        mark_holders(self._context, reservation, devices, self._context.now())

    def hand_out_key(self, profile: AccountProfile, group: str, user: str, device: int) -> bytes | None:
        """The distribution of our present key for a device that could not read a message, which counts as a
        holder from now on and gets it again with the next send; None if there is no key."""
        from tocsin.keys.sender_keys import hand_out

        return hand_out(self._context, profile.incarnation, group, user, device)

    def take_sender_key(
        self, incarnation: int, group: str, user: str, device: int, distribution: bytes
    ) -> bool:
        """Take in another member's key; return whether it was new.

        Raises InvalidMessage, InvalidKey, Contended.
        """
        from tocsin.keys.group_receive import take_sender_key

        return take_sender_key(self._context, incarnation, group, user, device, distribution)

    def receive(
        self,
        incarnation: int,
        group: str,
        user: str,
        device: int,
        stanza_id: str,
        body: bytes,
        *,
        abridge: Callable[[bytes], bytes] | None = None,
    ) -> Received:
        """Decrypt a `skmsg`, as `receiving.receive` does the others.

        Raises Contended, and the errors of `signal.sender_key`; nothing was changed then. NoSession: the
        sender key is missing.
        """
        from tocsin.keys.group_receive import receive_in_group
        from tocsin.keys.receive import Arrival

        arrival = Arrival(device, stanza_id, "skmsg", body)
        return receive_in_group(self._context, incarnation, group, user, arrival, abridge=abridge)
