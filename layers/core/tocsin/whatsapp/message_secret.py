"""Edits that are sealed under the secret of the message that they change.

    HKDF-SHA256(ikm = secret of the edited message, salt none,
                info = its id ‖ its author ‖ the editor ‖ "Message Edit", 32)  →  AES-256-GCM, no AAD

Author and editor are one person here, named by bare JID as their client writes it: by LID, or by number.
Source: whatsmeow, msgsecret.go; the same scheme seals poll votes, under other words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES: Final = 32
MAX_SEALED_BYTES: Final = 256 * 1024
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MESSAGE_EDIT: Final = b"Message Edit"


@dataclass(frozen=True, slots=True)
class SealedEdit:
    """An edit as it comes. `target_id`: the message that it changes. `payload`: with its GCM tag."""

    target_id: str
    payload: bytes = field(repr=False)
    iv: bytes = field(repr=False)


def open_edit(sealed: SealedEdit, secret: bytes, names: Iterable[str]) -> bytes | None:
    """Return the serialised Message that an edit holds, `None` if the secret doesn't open it.

    `secret`: of the edited message. `names`: the editor's bare JIDs; a wrong one can't open it.
    """
    if len(sealed.iv) != _IV_BYTES or not _TAG_BYTES < len(sealed.payload) <= MAX_SEALED_BYTES:
        return None
    for author, editor in product(tuple(names), repeat=2):
        key = _edit_key(secret, sealed.target_id, author, editor)
        try:
            return AESGCM(key).decrypt(sealed.iv, sealed.payload, None)
        except InvalidTag:
            continue
    return None


def _edit_key(secret: bytes, message_id: str, author: str, editor: str) -> bytes:
    info = message_id.encode() + author.encode() + editor.encode() + _MESSAGE_EDIT
    return HKDF(hashes.SHA256(), 32, None, info).derive(secret)
