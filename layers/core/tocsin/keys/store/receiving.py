"""Receiving from the devices of one user."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.keys.account import Credentials
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import OtherPairing
from tocsin.keys.message_secrets import keep_message_secret, read_message_secret
from tocsin.keys.profile import AccountProfile
from tocsin.keys.receive import Arrival, Received, count_retry, mark_handled, receive
from tocsin.signal.x3dh import Voucher


class ReceivingKeys:
    """The part `KeyStore.receiving`. `user`: a bare JID."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context

    def receive(
        self,
        profile: AccountProfile | int,
        credentials: Credentials | None,
        user: str,
        device: int,
        stanza_id: str,
        enc_type: str,
        body: bytes,
        *,
        abridge: Callable[[bytes], bytes] | None = None,
        voucher: Voucher | None = None,
        account_key: bytes | None = None,
    ) -> Received:
        """Decrypt an `msg` or `pkmsg` and store what it changed, with the plaintext, in one transaction.

        `profile`: or the incarnation that the stanza belongs to. `credentials`: `None` has them read along,
        which costs a message without prekey no request. `abridge` cuts a plaintext above 256 KB to
        what will be handled, because no more can be stored. Raises OtherPairing if the incarnation isn't the
        stored one, Contended, and the errors of `signal.session`; nothing was changed then. Duplicate:
        the key was used, and no plaintext of this very ciphertext is stored. UnprovenDevice: it founds a
        session with a companion, and neither `voucher` nor what is stored proves that it is the user's;
        `account_key`: the phone that must vouch, for our own account's.
        """
        incarnation = profile if isinstance(profile, int) else profile.incarnation
        if credentials is not None and incarnation != credentials.incarnation:
            raise OtherPairing(incarnation, credentials.incarnation)
        local = credentials.local if credentials is not None else None
        arrival = Arrival(device, stanza_id, enc_type, body, voucher, account_key)
        return receive(self._context, incarnation, local, user, arrival, abridge=abridge)

    def mark_handled(self, received: Received) -> None:
        """Note that what the plaintext asked for is done. The plaintext is forgotten."""
        mark_handled(self._context, received)

    def count_retry(
        self, profile: AccountProfile, user: str, device: int, stanza_id: str, at_least: int = 0
    ) -> int:
        """Count our next retry receipt for a stanza. Returns its number, which is `at_least` or more."""
        return count_retry(self._context, profile.incarnation, user, device, stanza_id, at_least)

    def keep_secret(self, user: str, message_id: str, secret: bytes) -> None:
        """Keep the 32 bytes under which `user` seals edits of a message, for three days."""
        keep_message_secret(self._context, user, message_id, secret)

    def secret_of(self, user: str, message_id: str) -> bytes | None:
        """The secret of a message that `user` wrote, `None` if it isn't kept (any more)."""
        return read_message_secret(self._context, user, message_id)
