"""An attachment on its way to WhatsApp: read, encrypted, uploaded once, remembered.

What a message describes is decided before it is first sent and kept under its id, so that every repeat of
that id within two weeks, in whichever function, describes the very same upload. Further recipients of one
file share an upload for some days.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from tocsin.notify.attachments import IMAGES, Bucket
from tocsin.notify.failure import Permanent, Wait
from tocsin.timestamps import from_seconds, is_recent
from tocsin.whatsapp.media import DOCUMENT, IMAGE, KEY_BYTES, Upload, dimensions, encrypt

if TYPE_CHECKING:
    from tocsin.multidevice.account import Account
    from tocsin.notify.attachments import Stored
    from tocsin.notify.content import Attachment

SHARED_SECONDS = 3 * 86400
"""For so long another recipient gets the same upload. The hosts keep one some weeks."""

BUSY_SECONDS = 20.0
"""How long a lane waits for the files of others. Then its message is parked, which spends no retry."""

PARKED_MS = 60_000

_files = BoundedSemaphore(2)
"""Files that are in memory at a time: one of 15 MB takes 60 while it is encrypted. Who comes later often
finds it uploaded."""

FRESH_SECONDS = 14 * 86400
"""A message that is sent again later than that (redriven, say) describes a new upload: the old one may be
gone before its recipient asks for it. Whoever has the message already takes it for the repetition it is."""


class Uploads:
    """Uploads what lies in `bucket`, each file once."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._random = random

    def of_message(self, account: Account, message_id: str, attachment: Attachment) -> Upload:
        """The upload that the message describes, made now if it was never sent, or weeks ago.

        Raises `Failure`s and `ConnectorError`s.
        """
        name = f"message#{message_id}"
        known = account.keys.sending.read_upload(name)
        if known is not None:
            upload = unpacked(known)
            if is_recent(upload.uploaded_at, self._clock(), FRESH_SECONDS):
                return upload
        with self._in_memory():
            upload = self._of_file(account, attachment)
        if not account.keys.sending.keep_upload(name, packed(upload), replace=known is not None):
            # Somebody else decided meanwhile, and may have sent.
            return sent_upload(account, message_id)
        return upload

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """While a file is in memory. Raises `Wait` while too many others are."""
        if not _files.acquire(timeout=BUSY_SECONDS):
            due_at = from_seconds(self._clock()) + PARKED_MS
            raise Wait("uploads-busy", "other files are being uploaded", due_at=due_at)
        try:
            yield
        finally:
            _files.release()

    def _of_file(self, account: Account, attachment: Attachment) -> Upload:
        file = self._bucket.read(attachment)
        kind = IMAGE if attachment.media_type in IMAGES else DOCUMENT
        name = f"file#{_digest(self._bucket.name, attachment.key, file.version, kind)}"
        shared = account.keys.sending.read_upload(name)
        if shared is not None:
            upload = unpacked(shared)
            same = upload.file_sha256 == sha256(file.body).digest()
            if same and is_recent(upload.uploaded_at, self._clock(), SHARED_SECONDS):
                return upload
        upload = self._upload(account, file, kind)
        account.keys.sending.keep_upload(name, packed(upload), replace=True)
        return upload

    def _upload(self, account: Account, file: Stored, kind: str) -> Upload:
        media_key = self._random(KEY_BYTES)
        encrypted = encrypt(file.body, kind, media_key)
        url, direct_path = account.connector.upload(account.profile, kind, encrypted.blob)
        width, height = dimensions(file.body) if kind == IMAGE else (0, 0)
        return Upload(
            kind=kind,
            media_key=media_key,
            file_sha256=encrypted.file_sha256,
            file_enc_sha256=encrypted.file_enc_sha256,
            length=len(file.body),
            url=url,
            direct_path=direct_path,
            uploaded_at=int(self._clock()),
            width=width,
            height=height,
        )


def sent_upload(account: Account, message_id: str) -> Upload:
    """What a message describes that was sent before. Raises `Permanent`."""
    known = account.keys.sending.read_upload(f"message#{message_id}")
    if known is None:
        raise Permanent("upload-forgotten", "what was uploaded for this message isn't known any more")
    return unpacked(known)


def _digest(*parts: str) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()


def packed(upload: Upload) -> bytes:
    values = asdict(upload)
    return json.dumps(
        {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
    ).encode()


_BYTES = ("media_key", "file_sha256", "file_enc_sha256")


def unpacked(data: bytes) -> Upload:
    values = json.loads(data)
    return Upload(**{**values, **{name: bytes.fromhex(values[name]) for name in _BYTES}})
