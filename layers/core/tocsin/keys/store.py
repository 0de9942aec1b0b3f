"""The key store as its callers see it: one object per account, one method per operation.

The work is done in the modules beside this one (`reserve`, `receive`, `establish`, `addresses`, `prekeys`,
`account`); those that a send doesn't need are imported when they are first used.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tocsin.dynamo.table import Table
from tocsin.keys import reserve as _reserve
from tocsin.keys.context import KeyContext, log_damage
from tocsin.keys.errors import OtherPairing
from tocsin.keys.profile import AccountProfile, read_profile
from tocsin.keys.reserve import Reservation
from tocsin.keys.seal import DamagedRecord, Sealer

if TYPE_CHECKING:
    from tocsin.accounts.limits import Limit
    from tocsin.dynamo.writes import Item
    from tocsin.keys.account import Credentials, SignedPreKey
    from tocsin.keys.cleaning import Cleaned
    from tocsin.keys.establish import SessionFacts
    from tocsin.keys.groups import DeviceList
    from tocsin.keys.maintenance import Limits, Tended
    from tocsin.keys.observe import IdentityChange, Observer
    from tocsin.keys.prekeys import PreKey
    from tocsin.keys.privacy_tokens import Trust
    from tocsin.keys.receive import Received
    from tocsin.keys.sender_keys import GroupReservation
    from tocsin.keys.views import Listing, UserView
    from tocsin.signal.errors import SignalError
    from tocsin.signal.x3dh import Local, PreKeyBundle

_log = logging.getLogger("tocsin.keys")

# A restored backup may hold prekeys that were spent, and a counter that was counted on from.
SKIPPED_PREKEY_IDS = 10_000


MAX_REMEMBERED_LIDS = 10_000


class KeyStore:
    """The keys of one account.

    `clock`: seconds since the epoch. `random(n)`: n random bytes. `on_damage`: hears of damaged session
    records, which count as absent and are replaced; damaged credentials are raised as DamagedRecord.
    `on_identity_change`: hears of a device's new identity just before it is stored, and again if that has to
    be repeated; what it raises keeps the identity from being stored. `observer`: hears of every read and
    write, and of what becomes of sessions; by default they go into the log.
    """

    def __init__(
        self,
        table: Table,
        sealer: Sealer,
        account: str,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
        on_damage: Callable[[DamagedRecord], None] = log_damage,
        on_identity_change: Callable[[IdentityChange], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        if observer is not None or _log.isEnabledFor(logging.DEBUG):
            from tocsin.keys.observe import LOG, ObservedTable

            table = ObservedTable(table, observer or LOG)
        self._known_lids: set[str] = set()
        self._vault = KeyContext(
            table, sealer, account, clock, random, sleep, on_damage, on_identity_change, observer
        )

    @property
    def account(self) -> str:
        return self._vault.account

    # The account

    def profile(self) -> AccountProfile:
        """What sending needs; may be remembered. Raises NoAccount, NotPaired, DamagedRecord."""
        return read_profile(self._vault)

    def credentials(self) -> Credentials:
        """All there is; never to be remembered. Raises NoAccount, DamagedRecord."""
        from tocsin.keys.account import read_credentials

        return read_credentials(self._vault)

    def create_account(self) -> Credentials:
        """The credentials, with keys to pair with made now if there are none."""
        from tocsin.keys.account import create_account

        return create_account(self._vault)

    def renew_account(self) -> Credentials:
        """Fresh keys, unpaired, after a log-out. One-time prekeys of the old identity are deleted."""
        from tocsin.keys.account import renew_account
        from tocsin.keys.prekeys import delete_prekeys

        delete_prekeys(self._vault)
        return renew_account(self._vault)

    def save_pairing(
        self,
        *,
        jid: str,
        lid: str | None,
        device_identity: bytes,
        push_name: str = "",
        platform: str = "",
        adv_secret: bytes | None = None,
    ) -> Credentials:
        """Store what pair-success told, before it is confirmed. Raises the incarnation."""
        from tocsin.keys.account import save_pairing

        return save_pairing(
            self._vault,
            jid=jid,
            lid=lid,
            device_identity=device_identity,
            push_name=push_name,
            platform=platform,
            adv_secret=adv_secret,
        )

    def take_over(self, number: str) -> bool:
        """Note the number (a bare JID) that the account is linked to; what holds for another one before is
        forgotten. Whether there was one."""
        from tocsin.keys.number_change import take_over

        return take_over(self._vault, number)

    def save_lid(self, lid: str) -> Credentials:
        """Store the account's own LID, where a login told it first."""
        from tocsin.keys.account import save_lid

        return save_lid(self._vault, lid)

    def save_login_counter(self, incarnation: int, counter: int) -> None:
        """Raises OtherPairing if the account was paired anew."""
        from tocsin.keys.account import save_login

        save_login(self._vault, incarnation, login_counter=counter)

    def save_routing_info(self, incarnation: int, routing_info: bytes) -> None:
        """Raises OtherPairing if the account was paired anew."""
        from tocsin.keys.account import save_login

        save_login(self._vault, incarnation, routing_info=routing_info)

    def reset_sessions(self, outside: Table | None = None) -> Credentials:
        """Leave all sessions behind: after a backup was restored, before the connector connects again.

        Raises the incarnation, deletes the one-time prekeys, makes a signed one, and skips ids. The connector
        uploads new ones at its next login (`control.request(…, "reconnect")` has it log in again). `outside`:
        the notifications table, whose witness tells how far the account had got, and hears of the reset at
        once: the same backup may be restored again.
        """
        from tocsin.keys.account import raise_incarnation, read_credentials
        from tocsin.keys.high_water_mark import reached, read_witness, testify
        from tocsin.keys.prekeys import delete_prekeys

        witness = read_witness(outside, self.account) if outside is not None else None
        beyond = reached(read_credentials(self._vault), witness)
        raise_incarnation(self._vault, skip_prekey_ids=SKIPPED_PREKEY_IDS, beyond=beyond)
        delete_prekeys(self._vault)
        if outside is not None:
            testify(self._vault, outside)
        return read_credentials(self._vault)

    def testify(self, outside: Table) -> None:
        """Note in the notifications table how far these keys are, so that a restored backup is noticed.

        Raises KeysBehind if one was.
        """
        from tocsin.keys.high_water_mark import testify

        testify(self._vault, outside)

    # Sending

    def reserve(self, profile: AccountProfile, user: str) -> Reservation:
        """Take the next number of `user` (a bare JID): one request. Raises NoOutbound, Contended."""
        return _reserve.reserve(self._vault, profile.incarnation, user)

    def checkpoint(self, reservation: Reservation, devices: Iterable[int]) -> bool:
        """After the server's ack for `devices`: forget the keys up to this number, if it is time to; whether
        it was. Costs no request unless a chain is 32 ahead."""
        return _reserve.checkpoint(self._vault, reservation, devices)

    def make_sessions(
        self,
        profile: AccountProfile,
        credentials: Credentials,
        user: str,
        bundles: Mapping[int, PreKeyBundle],
        *,
        devices: Collection[int],
        replace: frozenset[int] = frozenset(),
    ) -> dict[int, SignalError]:
        """Make sessions from `bundles` where there is no usable one, and with the devices in `replace`.

        `devices`: the whole current list, which is noted as checked now; others get nothing more. Returns the
        bundles that were refused, by device. Reserve again afterwards. Raises Contended, OtherPairing.
        """
        from tocsin.keys.establish import make_sessions

        return make_sessions(
            self._vault,
            profile.incarnation,
            _local(profile, credentials),
            user,
            bundles,
            devices=devices,
            replace=replace,
        )

    def touch_device_list(self, profile: AccountProfile, user: str, devices: Collection[int]) -> None:
        """Note that the device list was checked now; devices that aren't on it get nothing more."""
        from tocsin.keys.establish import touch_devices

        touch_devices(self._vault, profile.incarnation, user, devices)

    def expire_device_list(self, profile: AccountProfile, user: str) -> None:
        """Note that the user's devices changed: the next send asks WhatsApp for the list."""
        from tocsin.keys.establish import expire_devices
        from tocsin.keys.groups import outdate_device_list

        expire_devices(self._vault, profile.incarnation, user)
        outdate_device_list(self._vault, user)

    # Receiving

    def receive(
        self,
        profile: AccountProfile | int,
        credentials: Credentials,
        user: str,
        device: int,
        stanza_id: str,
        enc_type: str,
        body: bytes,
        *,
        abridge: Callable[[bytes], bytes] | None = None,
    ) -> Received:
        """Decrypt an `msg` or `pkmsg` and store what it changed, with the plaintext, in one transaction.

        `profile`: or the incarnation that the stanza belongs to; another one than the stored raises
        OtherPairing. `abridge` cuts a plaintext above 256 KB to what will be handled. Raises the errors of
        `signal.session`, having changed nothing, and Contended.
        """
        from tocsin.keys.receive import Arrival, receive

        incarnation = profile if isinstance(profile, int) else profile.incarnation
        if incarnation != credentials.incarnation:
            raise OtherPairing(incarnation, credentials.incarnation)
        arrival = Arrival(device, stanza_id, enc_type, body)
        return receive(self._vault, incarnation, credentials.local, user, arrival, abridge=abridge)

    def mark_handled(self, received: Received) -> None:
        """What the plaintext asked for is done; it is forgotten, and a repetition will only say so."""
        from tocsin.keys.receive import mark_handled

        mark_handled(self._vault, received)

    def count_retry(
        self, profile: AccountProfile, user: str, device: int, stanza_id: str, at_least: int = 0
    ) -> int:
        """Count our next retry receipt for a stanza; its number, `at_least` included."""
        from tocsin.keys.receive import count_retry

        return count_retry(self._vault, profile.incarnation, user, device, stanza_id, at_least)

    def mark_stale(self, profile: AccountProfile, user: str, device: int) -> bool:
        """Archive the current session, at most once an hour, so that the next send makes one; whether so."""
        from tocsin.keys.establish import mark_stale

        return mark_stale(self._vault, profile.incarnation, user, device)

    def remove_device(self, profile: AccountProfile, user: str, device: int) -> None:
        """Forget all that is shared with a device that its user removed."""
        from tocsin.keys.establish import remove_device

        remove_device(self._vault, profile.incarnation, user, device)

    # Recovery

    def session_facts(self, profile: AccountProfile, user: str, device: int) -> SessionFacts | None:
        """Facts about the session used for sending to this device; None if there is none."""
        from tocsin.keys.establish import session_facts

        return session_facts(self._vault, profile.incarnation, user, device)

    def rebuild(
        self,
        profile: AccountProfile,
        credentials: Credentials,
        user: str,
        device: int,
        bundle: PreKeyBundle,
        *,
        seen: SessionFacts | None = None,
    ) -> bool:
        """Replace the session with a device, unless another than `seen` is there by now; whether it was this
        call. Raises BadSignature, InvalidKey, Contended, OtherPairing; then the old session stays."""
        from tocsin.keys.establish import rebuild

        return rebuild(
            self._vault, profile.incarnation, _local(profile, credentials), user, device, bundle, seen=seen
        )

    # Upkeep, and what an operator asks for

    def sessions(self, profile: AccountProfile) -> Listing:
        """The users with sessions, by a walk through the whole table; the listing says what it cost."""
        from tocsin.keys.views import Listing

        return Listing(self._vault, profile.incarnation)

    def view(self, profile: AccountProfile, user: str) -> UserView:
        """The sessions with a user (a bare JID), without any key: one query."""
        from tocsin.keys.views import view_user

        return view_user(self._vault, profile.incarnation, user)

    def clean(self, profile: AccountProfile, user: str, device: int | None = None) -> Cleaned:
        """Archive the session with one device of a user, or with all; the next send makes new ones."""
        from tocsin.keys.cleaning import clean

        return clean(self._vault, profile.incarnation, user, device)

    def clean_all(self, profile: AccountProfile) -> Iterator[Cleaned]:
        """Clean every user, as the iterator is gone through."""
        from tocsin.keys.cleaning import clean_all

        return clean_all(self._vault, profile.incarnation)

    def needs_care(self, item: Item, limits: Limits) -> bool:
        """Whether an item of the sessions, as a walk through the table finds it, gives `tend` work."""
        from tocsin.keys.maintenance import needs_care

        return needs_care(self._vault, item, limits)

    def tend(self, profile: AccountProfile, user: str, limits: Limits) -> Tended:
        """Renew, prune and rest what is due of a user's sessions. Raises Contended."""
        from tocsin.keys.maintenance import tend

        return tend(self._vault, profile.incarnation, user, limits)

    def tend_group(self, item: Item, limits: Limits) -> bool:
        """The same for our sender key in a group, as a walk through the table finds it; whether anything was
        done."""
        from tocsin.keys.maintenance import tend_group

        return tend_group(self._vault, item, limits)

    # Addresses

    def address(self, user: str) -> dict[str, str] | None:
        """Both names of a user, `pn` and `lid`, by either of them; None if only this one is known."""
        from tocsin.keys.addresses import read_address

        return read_address(self._vault, user)

    def is_known(self, lid: str) -> bool:
        """Whether both names of a LID are known; asked once, for they are never forgotten."""
        if lid in self._known_lids:
            return True
        known = self.address(lid) is not None
        if known:
            if len(self._known_lids) >= MAX_REMEMBERED_LIDS:
                self._known_lids.clear()
            self._known_lids.add(lid)
        return known

    def learn(self, pn: str, lid: str) -> bool:
        """Remember that `pn` is `lid` (bare JIDs), and move the sessions there; whether it was news."""
        from tocsin.keys.addresses import learn

        return learn(self._vault, pn, lid)

    def address_item(self, user: str) -> Item:
        """The item of a user's address, for `open_trust`."""
        from tocsin.keys.addresses import read_item

        return read_item(self._vault, user)

    def absent_since(self, pn: str) -> int:
        """When WhatsApp last said that it doesn't know this number, in seconds; 0: never."""
        from tocsin.keys.addresses import absent_since

        return absent_since(self._vault, pn)

    def note_absent(self, pn: str) -> None:
        """WhatsApp doesn't know this number now."""
        from tocsin.keys.addresses import note_absent

        note_absent(self._vault, pn)

    # Privacy tokens. `own`: our own bare LID, to which they are bound

    def trust(self, own: str, lid: str) -> Trust:
        """What the contact `lid` entrusted to us, and when we did so."""
        from tocsin.keys.privacy_tokens import read_trust

        return read_trust(self._vault, own, lid)

    def open_trust(self, own: str, lid: str, item: Item) -> Trust:
        """The same, from an address item that was read already: no request."""
        from tocsin.keys.privacy_tokens import open_trust

        return open_trust(self._vault, own, lid, item)

    def keep_token(self, own: str, lid: str, token: bytes, at: int) -> bool:
        """Keep the token that the contact issued at `at`; whether it is newer than the one that is kept."""
        from tocsin.keys.privacy_tokens import keep_token

        return keep_token(self._vault, own, lid, token, at)

    def note_issued(self, lid: str, at: int) -> None:
        """We issued a token to the contact."""
        from tocsin.keys.privacy_tokens import note_issued

        note_issued(self._vault, lid, at)

    def save_salt(self, own: str, salt: bytes) -> None:
        """Keep what contact secrets are made with, for those who entrusted nothing to us."""
        from tocsin.keys.privacy_tokens import save_salt

        save_salt(self._vault, own, salt)

    def salt(self, own: str) -> bytes | None:
        from tocsin.keys.privacy_tokens import read_salt

        return read_salt(self._vault, own)

    def device_lists(self, users: Sequence[str]) -> dict[str, DeviceList]:
        """The devices last told of each of these users (bare JIDs), for groups."""
        from tocsin.keys.groups import read_device_lists

        return read_device_lists(self._vault, users)

    def save_device_list(self, user: str, devices: Sequence[int]) -> None:
        from tocsin.keys.groups import save_device_list

        save_device_list(self._vault, user, devices)

    def note_new_keys(self, user: str) -> None:
        """A device of this user was installed anew: what groups' sender keys it had is lost to it."""
        from tocsin.keys.groups import outdate_device_list

        outdate_device_list(self._vault, user, new_keys=True)

    def lids(self, users: Sequence[str]) -> dict[str, str]:
        """The LIDs of those of these users (bare JIDs) whose both names are known."""
        from tocsin.keys.groups import read_names

        return read_names(self._vault, users)

    # Groups; `group` is a group's JID as text

    def known_group(self, group: str) -> tuple[str, int] | None:
        """What was last told of a group, and when (s)."""
        from tocsin.keys.groups import read_group

        return read_group(self._vault, group)

    def groups(self) -> Iterator[tuple[str, str, int]]:
        """All groups that are known, what was told of them, and when (s). Walks through the whole table."""
        from tocsin.keys.groups import list_groups

        return list_groups(self._vault)

    def save_group(self, group: str, told: str) -> None:
        from tocsin.keys.groups import save_group

        save_group(self._vault, group, told)

    def forget_group(self, group: str) -> None:
        """It changed: the next send asks for it."""
        from tocsin.keys.groups import forget_group

        forget_group(self._vault, group)

    def reserve_group(self, profile: AccountProfile, group: str) -> GroupReservation:
        """Take the next number in a group: one request. Raises NoOutbound, Contended."""
        from tocsin.keys.sender_keys import reserve_group

        return reserve_group(self._vault, profile.incarnation, group)

    def make_sender_key(self, profile: AccountProfile, group: str, *, seen: bytes | None) -> None:
        """Make a new key of ours, unless another one than that of tag `seen` is there by now. Reserve again
        afterwards. Raises Contended."""
        from tocsin.keys.sender_keys import make_sender_key

        make_sender_key(self._vault, profile.incarnation, group, seen)

    def discard_sender_key(self, profile: AccountProfile, group: str) -> bool:
        """Somebody left: the next send makes a new key. Whether there was one."""
        from tocsin.keys.sender_keys import discard_sender_key

        return discard_sender_key(self._vault, profile.incarnation, group)

    def checkpoint_group(self, reservation: GroupReservation) -> bool:
        """As `checkpoint`, for a group's key."""
        from tocsin.keys.sender_keys import checkpoint_group

        return checkpoint_group(self._vault, reservation)

    def holders(self, reservation: GroupReservation) -> dict[tuple[str, int], int]:
        """Who may have the reserved key, (bare JID, device) → since when for certain (s), 0 if that isn't."""
        from tocsin.keys.sender_keys import read_holders

        return read_holders(self._vault, reservation)

    def offer_key(self, reservation: GroupReservation, devices: Iterable[tuple[str, int]]) -> None:
        """Before it leaves: these devices may have the key from now on."""
        from tocsin.keys.sender_keys import OFFERED, mark_holders

        mark_holders(self._vault, reservation, devices, OFFERED)

    def confirm_key(self, reservation: GroupReservation, devices: Iterable[tuple[str, int]]) -> None:
        """After the server's ack: these devices have the key."""
        from tocsin.keys.sender_keys import mark_holders

        mark_holders(self._vault, reservation, devices, self._vault.now())

    def hand_out_key(self, profile: AccountProfile, group: str, user: str, device: int) -> bytes | None:
        """The distribution of our present key for a device that could not read a message, which counts as a
        holder from now on and gets it again with the next send; None if there is no key."""
        from tocsin.keys.sender_keys import hand_out

        return hand_out(self._vault, profile.incarnation, group, user, device)

    def take_sender_key(
        self, incarnation: int, group: str, user: str, device: int, distribution: bytes
    ) -> bool:
        """Take in another member's key; whether it was news. Raises InvalidMessage, InvalidKey, Contended."""
        from tocsin.keys.group_receive import take_sender_key

        return take_sender_key(self._vault, incarnation, group, user, device, distribution)

    def receive_in_group(
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
        """Decrypt a `skmsg`, as `receive` does the others. Raises the errors of `signal.sender_key`, having
        changed nothing, and Contended."""
        from tocsin.keys.group_receive import receive_in_group
        from tocsin.keys.receive import Arrival

        arrival = Arrival(device, stanza_id, "skmsg", body)
        return receive_in_group(self._vault, incarnation, group, user, arrival, abridge=abridge)

    # What WhatsApp keeps the account from

    def limits(self) -> dict[str, Limit]:
        """The limits that hold now, by kind."""
        from tocsin.accounts.limits import read_limits

        return read_limits(self._vault.table, self.account, self._vault.clock())

    def limit(self, kind: str) -> Limit | None:
        """The limit of this kind, if it holds now."""
        from tocsin.accounts.limits import read_limit

        return read_limit(self._vault.table, self.account, kind, self._vault.clock())

    def note_limit(self, limit: Limit, *, guessed: bool = False) -> Limit:
        """Write down a limit that was heard of; what counts then. See `limits.note_limit`."""
        from tocsin.accounts.limits import note_limit

        return note_limit(self._vault.table, self.account, limit, guessed=guessed)

    # Uploads

    def read_upload(self, name: str) -> bytes | None:
        """What was kept of an uploaded attachment under `name`."""
        from tocsin.keys.uploads import read_upload

        return read_upload(self._vault, name)

    def keep_upload(self, name: str, upload: bytes, *, replace: bool = False) -> bool:
        """Keep it, sealed; False: there was one already, and it isn't to be replaced."""
        from tocsin.keys.uploads import keep_upload

        return keep_upload(self._vault, name, upload, replace=replace)

    # Prekeys

    def new_prekeys(self, count: int) -> list[PreKey]:
        """Make and store one-time prekeys, to be uploaded next."""
        from tocsin.keys.prekeys import new_prekeys

        return new_prekeys(self._vault, count)

    def retry_prekey(self) -> PreKey:
        """Make and store one prekey, for one retry receipt."""
        from tocsin.keys.prekeys import retry_prekey

        return retry_prekey(self._vault)

    def prekey_count(self) -> int:
        """How many prekeys are unspent on our side."""
        from tocsin.keys.prekeys import prekey_count

        return prekey_count(self._vault)

    def new_signed_prekey(self) -> SignedPreKey:
        """Make and store the next signed prekey; upload it, then `adopt_signed_prekey`."""
        from tocsin.keys.account import new_signed_prekey

        return new_signed_prekey(self._vault)

    def adopt_signed_prekey(self, prekey_id: int) -> None:
        """The server has it: it is the current one."""
        from tocsin.keys.account import adopt_signed_prekey

        adopt_signed_prekey(self._vault, prekey_id)


def _local(profile: AccountProfile, credentials: Credentials) -> Local:
    """Our side of sessions that are to be used with `profile`. Raises OtherPairing if they are not of one
    pairing: the peer would find every MAC bad."""
    same_identity = credentials.identity.public == profile.identity_public
    if credentials.incarnation != profile.incarnation or not same_identity:
        raise OtherPairing(profile.incarnation, credentials.incarnation)
    return credentials.local
