from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CompanionEphemeralIdentity(_message.Message):
    __slots__ = ("public_key", "device_type", "ref")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    device_type: int
    ref: str
    def __init__(self, public_key: _Optional[bytes] = ..., device_type: _Optional[int] = ..., ref: _Optional[str] = ...) -> None: ...

class CompanionCommitment(_message.Message):
    __slots__ = ("hash",)
    HASH_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    def __init__(self, hash: _Optional[bytes] = ...) -> None: ...

class ProloguePayload(_message.Message):
    __slots__ = ("companion_ephemeral_identity", "commitment")
    COMPANION_EPHEMERAL_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    companion_ephemeral_identity: bytes
    commitment: CompanionCommitment
    def __init__(self, companion_ephemeral_identity: _Optional[bytes] = ..., commitment: _Optional[_Union[CompanionCommitment, _Mapping]] = ...) -> None: ...

class PrimaryEphemeralIdentity(_message.Message):
    __slots__ = ("public_key", "nonce")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    nonce: bytes
    def __init__(self, public_key: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class PairingRequest(_message.Message):
    __slots__ = ("companion_public_key", "companion_identity_key", "adv_secret")
    COMPANION_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    COMPANION_IDENTITY_KEY_FIELD_NUMBER: _ClassVar[int]
    ADV_SECRET_FIELD_NUMBER: _ClassVar[int]
    companion_public_key: bytes
    companion_identity_key: bytes
    adv_secret: bytes
    def __init__(self, companion_public_key: _Optional[bytes] = ..., companion_identity_key: _Optional[bytes] = ..., adv_secret: _Optional[bytes] = ...) -> None: ...

class EncryptedPairingRequest(_message.Message):
    __slots__ = ("encrypted_payload", "iv")
    ENCRYPTED_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    encrypted_payload: bytes
    iv: bytes
    def __init__(self, encrypted_payload: _Optional[bytes] = ..., iv: _Optional[bytes] = ...) -> None: ...
