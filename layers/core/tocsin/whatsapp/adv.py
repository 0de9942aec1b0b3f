"""ADV: who vouches for a companion. The phone signs the identity of each device that it links.

    details   which of the account's devices it is: a key index, when, of which kind
    account   the phone's signature over prefix ‖ details ‖ the device's identity
    device    the device's own over prefix ‖ details ‖ its identity ‖ the phone's identity

Such a `<device-identity>` comes with a companion's prekey bundle and with each of its first messages. A
device that the phone has unlinked keeps its signature; that it doesn't count any more is said by the list of
key indexes, which the phone signs as well and which comes with a list of devices.

Whose identity the phone's is, nobody here knows: who asks brings the one that is pinned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tocsin.signal.curve import verify
from tocsin.signal.errors import SignalError

# What stands before each signed text, so that none passes for another.
ACCOUNT: Final = b"\x06\x00"
DEVICE: Final = b"\x06\x01"
KEY_INDEXES: Final = b"\x06\x02"
ACCOUNT_HOSTED: Final = b"\x06\x05"
DEVICE_HOSTED: Final = b"\x06\x06"

MAX_IDENTITY_BYTES: Final = 4096
"""Of a `<device-identity>`; some 200 bytes are usual."""

MAX_LIST_BYTES: Final = 4096
"""Of a list of key indexes; an account has some dozens of companions at most."""

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class KeyIndexes:
    """A `<key-index-list>` as it came, unverified: which companions of an account still count."""

    content: bytes = field(repr=False)

    def is_signed_by(self, account: bytes) -> bool:
        """Whether the phone with the identity `account` (32 bytes) signed this list."""
        return self._details(account) is not None

    def hold(self, key_index: int, account: bytes) -> bool:
        """Whether that phone signed it, and the companion with this key index counts: it is listed, or was
        linked after the list was made."""
        from tocsin.whatsapp.proto.pairing_pb2 import KeyIndexList

        details = self._details(account)
        listed = _parsed(KeyIndexList.FromString, details, MAX_LIST_BYTES) if details is not None else None
        if listed is None:
            return False
        return key_index in listed.valid_indexes or key_index > listed.current_index

    def _details(self, account: bytes) -> bytes | None:
        from tocsin.whatsapp.proto.pairing_pb2 import SignedKeyIndexList

        signed = _parsed(SignedKeyIndexList.FromString, self.content, MAX_LIST_BYTES)
        if signed is None or not _signed(account, KEY_INDEXES + signed.details, signed.account_signature):
            return None
        return signed.details


@dataclass(frozen=True, slots=True)
class Voucher:
    """A `<device-identity>` as it came, and the list of key indexes that came beside it, if one did."""

    content: bytes = field(repr=False)
    counting: KeyIndexes | None = None

    def vouches(self, identity: bytes, account: bytes) -> bool:
        """Whether the phone with the identity `account` says that the device with `identity` is one of its
        own (32 bytes each)."""
        from tocsin.whatsapp.proto.pairing_pb2 import HOSTED, DeviceIdentity, SignedDeviceIdentity

        signed = _parsed(SignedDeviceIdentity.FromString, self.content, MAX_IDENTITY_BYTES)
        if signed is None or signed.account_signature_key not in (b"", account):
            return False
        details = _parsed(DeviceIdentity.FromString, signed.details, MAX_IDENTITY_BYTES)
        if details is None:
            return False
        hosted = details.device_type == HOSTED
        statement = signed.details + identity
        prefix = ACCOUNT_HOSTED if hosted else ACCOUNT
        if not _signed(account, prefix + statement, signed.account_signature):
            return False
        # The server may leave the device's own signature out of a bundle. What is there must be right.
        prefixes = (DEVICE_HOSTED, DEVICE) if hosted else (DEVICE,)
        if signed.device_signature and not any(
            _signed(identity, prefix + statement + account, signed.device_signature) for prefix in prefixes
        ):
            return False
        return self.counting is None or self.counting.hold(details.key_index, account)


def _signed(key: bytes, text: bytes, signature: bytes) -> bool:
    try:
        verify(key, text, signature)
    except SignalError:
        return False
    return True


def _parsed(parse: Callable[[bytes], M], content: bytes, most: int) -> M | None:
    """The message in `content`, `None` if it is none or impossibly long."""
    from google.protobuf.message import DecodeError

    if len(content) > most:
        return None
    try:
        return parse(content)
    except DecodeError:
        return None
