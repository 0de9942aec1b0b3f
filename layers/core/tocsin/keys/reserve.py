"""Reserving: one atomic update takes the next number of a user's sending chains, and answers with the chains.

    UpdateItem  ADD next 1, SET used_at   IF attribute_exists(next)   RETURN ALL_NEW        number = next − 1

Nobody computes a number from a read, so no number is taken twice, and no send waits for a send. A repeated
request or a crash leaves a gap, which receivers allow for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tocsin.dynamo.table import ConditionFailed, Contention, OutcomeUnknown
from tocsin.dynamo.writes import Equals, Exists, Item, Key, Update
from tocsin.keys.chain import CHECKPOINT_DISTANCE, Chain, chain_devices, pack, read_chain, staleness_of
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoOutbound, StaleChain, Staleness
from tocsin.keys.proof import PHONE
from tocsin.keys.signpost import MAX_WALK, read_signpost
from tocsin.sealing import masked
from tocsin.signal.session import Ciphertext, advance, encrypt
from tocsin.tables.keys import chain_attribute, outbound_key

if TYPE_CHECKING:
    from tocsin.keys.profile import AccountProfile

# The user has sessions here: a tombstone (`moved`) and an absent item have no counter.
HAS_COUNTER = Exists("next")


class Reservation(NamedTuple):
    """A number that is ours alone, and the chains it may be used with.

    `user`: where the sessions lie (another name than asked for, if they moved). `checked_at`: when the device
    list was last compared with WhatsApp's, in seconds, 0 for never. `at`: when the number was taken.
    """

    user: str
    key: Key
    number: int
    chains: Mapping[int, Chain]
    checked_at: int
    at: int

    def __repr__(self) -> str:
        return f"Reservation({masked(self.user)}, number={self.number}, devices={list(self.chains)})"

    def staleness(self, device: int) -> Staleness | None:
        """Why this number can't be used for `device`, or None if it can."""
        return staleness_of(self.chains, device, self.number, self.at)

    @property
    def phone_identity(self) -> bytes | None:
        """The identity of the user's phone, as pinned by the session with it; None without one."""
        phone = self.chains.get(PHONE)
        return phone.sending.remote_identity if phone is not None else None

    def in_need(self, devices: Iterable[int]) -> list[int]:
        """Those of `devices` that need a new session before anything can be sent to them."""
        return [device for device in devices if self.staleness(device) is not None]

    def encrypt(self, device: int, profile: AccountProfile, plaintext: bytes) -> Ciphertext:
        """Encrypt `plaintext` (padded already) for one device under this number, once.

        Raises StaleChain; nothing is changed then.
        """
        reason = self.staleness(device)
        if reason is not None:
            raise StaleChain(device, reason)
        chain = self.chains[device]
        return encrypt(
            chain.sending,
            chain.index_of(self.number),
            identity=profile.identity_public,
            registration_id=profile.registration_id,
            plaintext=plaintext,
        )


def reserve(context: KeyContext, incarnation: int, user: str) -> Reservation:
    """Take the next number of `user`. Raises NoOutbound, Contended."""
    for _ in range(MAX_WALK):
        key = outbound_key(context.account, incarnation, user)
        try:
            outbound = take_number(context, key)
        except ConditionFailed as failed:
            moved = read_signpost(context, failed.item)
            if moved is None:
                raise NoOutbound(user) from None
            user = moved
            continue
        return _reservation(context, user, key, outbound)
    raise NoOutbound(user)


def take_number(context: KeyContext, key: Key) -> Item:
    """Count on by one, and return the item as it is then. Raises ConditionFailed if nobody counts there, and
    Contended."""
    take = Update(key, set={"used_at": context.now()}, add={"next": 1}, when=(HAS_COUNTER,))
    # After a lost answer the number may be taken: the next one leaves a gap, nothing worse.
    return context.insistently(lambda: context.table.update(take))


def _reservation(context: KeyContext, user: str, key: Key, outbound: Item) -> Reservation:
    following, checked_at = outbound["next"], outbound.get("checked_at", 0)
    if not isinstance(following, int) or not isinstance(checked_at, int):
        raise NoOutbound(user)
    chains = {device: read_chain(context, outbound, device) for device in chain_devices(outbound)}
    readable = {device: chain for device, chain in chains.items() if chain is not None}
    return Reservation(
        user=user,
        key=key,
        number=following - 1,
        chains=readable,
        # A damaged chain isn't just left out: the list is asked for, and the device gets a new session.
        checked_at=checked_at if len(readable) == len(chains) else 0,
        at=context.now(),
    )


def checkpoint(context: KeyContext, reservation: Reservation, devices: Iterable[int]) -> bool:
    """See `SendingKeys.checkpoint`. It may lose to a turn or another checkpoint: both bring a newer one."""
    moved = {
        device: advanced(chain, reservation.number)
        for device, chain in reservation.chains.items()
        if device in set(devices) and chain.distance(reservation.number) >= CHECKPOINT_DISTANCE
    }
    if not moved:
        return False
    names = {device: chain_attribute(device) for device in moved}
    update = Update(
        reservation.key,
        set={
            names[device]: context.seal(pack(chain), reservation.key, names[device], chain.tag)
            for device, chain in moved.items()
        },
        when=tuple(unchanged(reservation.chains[device], device) for device in moved),
    )
    try:
        context.table.update(update)
    except (ConditionFailed, Contention, OutcomeUnknown):
        return False
    return True


def unchanged(chain: Chain, device: int) -> Equals:
    """The chain is byte for byte what our own reservation answered."""
    return Equals(chain_attribute(device), chain.sealed)


def advanced(chain: Chain, number: int) -> Chain:
    """The chain with its checkpoint behind `number`, whose key is not needed again."""
    sending = advance(chain.sending, chain.index_of(number) + 1)
    return chain._replace(sending=sending)
