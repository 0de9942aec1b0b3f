"""Session setup (X3DH), both sides. Spec: Signal, "The X3DH Key Agreement Protocol".

The initiator takes one Diffie-Hellman ratchet step at once; the responder's first ratchet key is its signed
prekey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tocsin.signal.curve import KeyPair, agree, encode_point, verify
from tocsin.signal.errors import NoPreKey
from tocsin.signal.kdf import root_step, session_keys
from tocsin.signal.state import Pending, SendingChain, State
from tocsin.signal.wire import PreKeyMessage


class Voucher(Protocol):
    """What a companion shows for being a device of its account. Signal knows nothing of it, WhatsApp does."""

    def vouches(self, identity: bytes, account: bytes) -> bool:
        """Whether the account whose phone has the identity `account` vouches for the device with `identity`
        (32 bytes each)."""
        ...


@dataclass(frozen=True, slots=True)
class PreKeyBundle:
    """What a device publishes so that others can start a session with it. Public keys of 32 bytes.

    `voucher`: unverified, as all of it; a phone has none.
    """

    registration_id: int
    identity: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    signed_prekey_signature: bytes
    prekey_id: int | None = None
    prekey: bytes | None = None
    voucher: Voucher | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class SignedPreKey:
    """Ours. `signature`: 64 bytes, by the identity key over the encoded public key."""

    id: int
    pair: KeyPair
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of every session: identity, registration id, and the signed prekeys by their ids."""

    identity: KeyPair
    registration_id: int
    signed_prekeys: Mapping[int, KeyPair] = field(repr=False)


def initiate(local: Local, bundle: PreKeyBundle, *, base: KeyPair, ratchet: KeyPair, now: int) -> State:
    """Start a session from a bundle. `base` and `ratchet`: two fresh pairs; `now`: seconds.

    Raises BadSignature if the signed prekey isn't signed by the bundle's identity, InvalidKey for a key of
    low order. Nothing is stored here: `session.start` puts the state into a record.
    """
    verify(bundle.identity, encode_point(bundle.signed_prekey), bundle.signed_prekey_signature)
    agreements = (
        agree(local.identity.private, bundle.signed_prekey)
        + agree(base.private, bundle.identity)
        + agree(base.private, bundle.signed_prekey)
    )
    # An id of 0 says "none" on the wire, so a prekey under it can't be used.
    prekey_id = bundle.prekey_id or None
    if prekey_id is not None and bundle.prekey is not None:
        agreements += agree(base.private, bundle.prekey)
    else:
        prekey_id = None
    # The chain key that comes with it would receive under the signed prekey, as which nobody sends.
    root_key, _ = session_keys(agreements)
    new_root, sending_key = root_step(root_key, agree(ratchet.private, bundle.signed_prekey))
    pending = Pending(prekey_id, bundle.signed_prekey_id, base.public)
    return State(
        base_key=base.public,
        initiated_by_us=True,
        remote_identity=bundle.identity,
        remote_registration_id=bundle.registration_id,
        root_key=new_root,
        ratchet=ratchet,
        sending=SendingChain(sending_key, 0, ratchet.public, 0, bundle.identity, pending),
        used=0,
        receiving=(),
        created=now,
    )


def respond(local: Local, message: PreKeyMessage, prekey: KeyPair | None, *, now: int) -> State:
    """The other side: what the initiator of `message` has before its first ratchet step.

    `prekey`: the one-time prekey that the message names, or None. Raises NoPreKey if it names one that isn't
    given, or a signed prekey that we don't hold; InvalidKey. The state has yet to open the message inside:
    only then is it proven, and only then has it a sending chain that is any good.
    """
    signed_prekey = local.signed_prekeys.get(message.signed_prekey_id)
    if signed_prekey is None:
        raise NoPreKey(f"no signed prekey {message.signed_prekey_id}")
    agreements = (
        agree(signed_prekey.private, message.identity)
        + agree(local.identity.private, message.base_key)
        + agree(signed_prekey.private, message.base_key)
    )
    if message.prekey_id is not None:
        if prekey is None:
            raise NoPreKey(f"no one-time prekey {message.prekey_id}")
        agreements += agree(prekey.private, message.base_key)
    root_key, chain_key = session_keys(agreements)
    return State(
        base_key=message.base_key,
        initiated_by_us=False,
        remote_identity=message.identity,
        remote_registration_id=message.registration_id,
        root_key=root_key,
        ratchet=signed_prekey,
        sending=SendingChain(chain_key, 0, signed_prekey.public, 0, message.identity, None),
        used=0,
        receiving=(),
        created=now,
    )
