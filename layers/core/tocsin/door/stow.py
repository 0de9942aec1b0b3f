"""Where the files of a message go: small ones into the event, others into the deployment's bucket."""

from __future__ import annotations

import base64
import logging
from typing import Any, Final

from tocsin.door.answer import Refused, unavailable
from tocsin.door.message import File

log = logging.getLogger(__name__)

PREFIX: Final = "tocsin/requested/door/"
"""Of the bucket. Nothing there is removed by Tocsin: give it a lifecycle rule."""

MAX_INLINE_BYTES: Final = 24 * 1024
"""Of a file that goes within the event. Five of them have room there."""

_NAME_CHARACTERS: Final = 200


class Stow:
    """`s3`: a client; `bucket`: empty where the deployment sends no files."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def __call__(self, file: File, name: str) -> dict[str, Any]:
        """Return the file as the event names it. `name`: what nobody else's file is called. Raises Refused
        (422, 503)."""
        if not self._bucket:
            reason = "no files are sent here: the deployment's parameter AttachmentsBucket names no bucket"
            raise Refused(422, "no-files", reason)
        told = {"name": _safe(file.name)} | ({"mime": file.mime} if file.mime else {})
        if file.url:
            return {**told, "url": file.url}
        if file.bucket_key:
            return {**told, "bucket_key": file.bucket_key}
        if len(file.content) <= MAX_INLINE_BYTES:
            return {**told, "content": base64.b64encode(file.content).decode()}
        key = f"{PREFIX}{name}/{told['name']}"
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=file.content)
        except Exception as error:  # noqa: BLE001 - whatever keeps S3 away, the caller shall try again
            log.warning("a file can't be kept", extra={"error": type(error).__name__})
            raise unavailable("the file can't be kept now") from None
        return {**told, "bucket_key": key}


def _safe(name: str) -> str:
    """What callers call their file, without what would make it another path or a control of a terminal."""
    text = "".join("_" if sign in "/\\" or not sign.isprintable() else sign for sign in name)
    return text[-_NAME_CHARACTERS:] or "file"
