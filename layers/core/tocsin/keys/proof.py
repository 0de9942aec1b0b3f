"""Proof that a companion is its user's: which phone vouched for it, stored with its sessions.

The phone (device 0) is whom we pinned: the identity of our session with it. A companion is proven as long as
the phone that vouched for it is that one. So when a phone is installed anew, no record of its companions has
to be touched for them to get nothing more: the next send finds that their proof is another phone's.

The proof is the end of the tags under which a companion's chain and its receiving half are sealed:

    tag   16 random bytes ‖ 12 bytes that name the phone     the second part is missing without proof

The seal covers the tag, so whoever can write to the table can't make a proof, nor move one to another device.
Sessions from before proofs were kept have none: the next send asks for a bundle, which brings one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tocsin.keys.context import TAG_BYTES

if TYPE_CHECKING:
    from tocsin.signal.x3dh import Voucher

PHONE = 0
NAME_BYTES = 12
UNPROVEN = b""


def name_of(phone: bytes | None) -> bytes:
    """What names a phone with this identity (32 bytes) in a tag; empty if no phone is known."""
    return sha256(b"phone" + phone).digest()[:NAME_BYTES] if phone is not None else UNPROVEN


def vouched_by(tag: object) -> bytes:
    """The name of the phone that vouched for the device whose tag this is; empty if none did."""
    name = tag[TAG_BYTES:] if isinstance(tag, bytes) else UNPROVEN
    return name if len(name) == NAME_BYTES else UNPROVEN


def is_proven(
    device: int, phone: bytes | None, vouched: bytes, identity: bytes, voucher: Voucher | None
) -> bool:
    """Whether a device with `identity` is the user's whose phone has the identity `phone` (None: unknown).

    `vouched`: the name of the phone that is known to have vouched for this very identity.
    """
    if device == PHONE:
        return True
    if phone is None:
        return False
    return vouched == name_of(phone) or (voucher is not None and voucher.vouches(identity, phone))
