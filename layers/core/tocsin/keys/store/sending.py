"""Sending to the devices of one user: numbers, sessions, and what was uploaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from tocsin.keys import reserve as _reserve
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import OtherPairing
from tocsin.keys.profile import AccountProfile
from tocsin.keys.reserve import Reservation

if TYPE_CHECKING:
    from tocsin.keys.account import Credentials
    from tocsin.keys.establish import SessionFacts
    from tocsin.signal.errors import SignalError
    from tocsin.signal.x3dh import Local, PreKeyBundle


class SendingKeys:
    """The part `KeyStore.sending`. `user`: a bare JID."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context

    def reserve(self, profile: AccountProfile, user: str) -> Reservation:
        """Take the next number of `user` (a bare JID): one request. Raises NoOutbound, Contended."""
        return _reserve.reserve(self._context, profile.incarnation, user)

    def checkpoint(self, reservation: Reservation, devices: Iterable[int]) -> bool:
        """After the server's ack for `devices`: forget the keys up to this number, if it is 32 or more ahead.

        Returns whether it was. Costs no request otherwise.
        """
        return _reserve.checkpoint(self._context, reservation, devices)

    def make_sessions(
        self,
        profile: AccountProfile,
        credentials: Credentials,
        user: str,
        bundles: Mapping[int, PreKeyBundle],
        *,
        devices: Collection[int] | None,
        replace: frozenset[int] = frozenset(),
        account_key: bytes | None = None,
    ) -> dict[int, SignalError]:
        """Make sessions from `bundles` where there is no usable one, and with the devices in `replace`.

        `devices`: the whole current list, which is noted as checked now; other devices get nothing more.
        None: the list wasn't asked for.
        Returns the refused bundles (bad signature, key of low order, a companion for which the user's phone
        doesn't vouch) by device; they hold up no others. `account_key`: the identity of the phone that must
        vouch, where it isn't that of the session with the phone: of our own account.
        Reserve again afterwards. Raises Contended, OtherPairing.
        """
        from tocsin.keys.establish import make_sessions

        return make_sessions(
            self._context,
            profile.incarnation,
            _local(profile, credentials),
            user,
            bundles,
            devices=devices,
            replace=replace,
            account_key=account_key,
        )

    def touch_device_list(self, profile: AccountProfile, user: str, devices: Collection[int]) -> None:
        """Note that the device list was checked now; devices that aren't on it get nothing more."""
        from tocsin.keys.establish import touch_devices

        touch_devices(self._context, profile.incarnation, user, devices)

    def expire_device_list(self, profile: AccountProfile, user: str) -> None:
        """Note that the user's devices changed: the next send asks WhatsApp for the list."""
        from tocsin.keys.establish import expire_devices
        from tocsin.keys.groups import outdate_device_list

        expire_devices(self._context, profile.incarnation, user)
        outdate_device_list(self._context, user)

    def session_facts(self, profile: AccountProfile, user: str, device: int) -> SessionFacts | None:
        """Facts about the session used for sending to this device; None if there is none."""
        from tocsin.keys.establish import session_facts

        return session_facts(self._context, profile.incarnation, user, device)

    def rebuild(
        self,
        profile: AccountProfile,
        credentials: Credentials,
        user: str,
        device: int,
        bundle: PreKeyBundle,
        *,
        seen: SessionFacts | None = None,
        account_key: bytes | None = None,
    ) -> bool:
        """Replace the session with a device, unless another one than `seen` is there by now.

        `seen`: the session that was found broken. `account_key`: see `make_sessions`. Returns whether this
        call replaced it. Raises BadSignature, InvalidKey, UnprovenDevice, Contended, OtherPairing; the old
        session stays then.
        """
        from tocsin.keys.establish import rebuild

        local = _local(profile, credentials)
        return rebuild(
            self._context,
            profile.incarnation,
            local,
            user,
            device,
            bundle,
            seen=seen,
            account_key=account_key,
        )

    def phone_identity(self, profile: AccountProfile, user: str) -> bytes | None:
        """The identity (32 bytes) of a user's phone as we pinned it; None without a session ever."""
        from tocsin.keys.establish import phone_identity

        return phone_identity(self._context, profile.incarnation, user)

    def mark_stale(self, profile: AccountProfile, user: str, device: int) -> bool:
        """Archive the current session, so that the next send makes a new one; return whether it was archived.

        At most once per device and hour: what the peer started in the meantime must have time to arrive.
        """
        from tocsin.keys.establish import mark_stale

        return mark_stale(self._context, profile.incarnation, user, device)

    def remove_device(self, profile: AccountProfile, user: str, device: int) -> None:
        """Forget all secrets that are shared with a device that its user removed. What tells a repetition of
        what it sent stays for 30 days."""
        from tocsin.keys.establish import remove_device

        remove_device(self._context, profile.incarnation, user, device)

    def read_upload(self, name: str) -> bytes | None:
        """What was kept of an uploaded attachment under `name`."""
        from tocsin.keys.uploads import read_upload

        return read_upload(self._context, name)

    def keep_upload(self, name: str, upload: bytes, *, replace: bool = False) -> bool:
        """Keep it, sealed; False: there was one already, and it isn't to be replaced."""
        from tocsin.keys.uploads import keep_upload

        return keep_upload(self._context, name, upload, replace=replace)


def _local(profile: AccountProfile, credentials: Credentials) -> Local:
    """Our side of sessions that are to be used with `profile`. Raises OtherPairing if they are not of one
    pairing: the peer would find every MAC bad."""
    same_identity = credentials.identity.public == profile.identity_public
    if credentials.incarnation != profile.incarnation or not same_identity:
        raise OtherPairing(profile.incarnation, credentials.incarnation)
    return credentials.local
