"""Attachments: which files a notification may bring along, and their bytes from the deployment's bucket.

What a file is, is told by the ending of its name, and checked by its first bytes where those tell. Whatever
is wrong with a file is permanent and concerns that file alone: its text is a message of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.notify.failure import Failure, Permanent, Retry

if TYPE_CHECKING:
    from tocsin.notify.content import Attachment

MAX_BYTES = 15 * 1024 * 1024
"""What passes through the connector in one request, with room for padding and MAC."""

_OFFICE = "application/vnd.openxmlformats-officedocument"

TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "txt": "text/plain",
    "csv": "text/csv",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "pptx": f"{_OFFICE}.presentationml.presentation",
}
"""Ending of a file name → media type. What a phone would have to run or unpack isn't among them."""

IMAGES = frozenset({"image/jpeg", "image/png"})
"""Shown in the chat. The others are documents: to WhatsApp a WebP is a sticker."""

_BEGINNINGS: Mapping[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    **dict.fromkeys([TYPES["docx"], TYPES["xlsx"], TYPES["pptx"]], (b"PK\x03\x04",)),
}

# S3 → what it means. Without the right to list a bucket, S3 refuses a key that isn't there.
_ABSENT = frozenset({"NoSuchKey", "404", "AccessDenied", "403", "NoSuchBucket", "InvalidObjectState"})


def media_type_of(file_name: str) -> str | None:
    """Return the media type by the ending of a file name, `None` for one that isn't sent."""
    return TYPES.get(file_name.rpartition(".")[2].lower()) if "." in file_name else None


@dataclass(frozen=True)
class Stored:
    """What lies in the bucket. `version`: changes with the bytes (S3's ETag)."""

    body: bytes
    version: str


class Bucket:
    """The deployment's bucket of attachments, behind a boto3 S3 client."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def read(self, attachment: Attachment) -> Stored:
        """Raises `Permanent` (attachment-missing, attachment-too-large, attachment-type), `Retry`."""
        from botocore.exceptions import BotoCoreError, ClientError

        if not self.name:
            raise Permanent("attachment-missing", "the stack has no AttachmentsBucket")
        try:
            answer = self._client.get_object(Bucket=self.name, Key=attachment.key)
            length = int(answer["ContentLength"])
            if length > MAX_BYTES:
                answer["Body"].close()
                raise Permanent("attachment-too-large", f"{length} bytes; the limit is {MAX_BYTES}")
            body = answer["Body"].read()
        except ClientError as error:
            raise _failure_of_s3(error) from error
        except BotoCoreError as error:
            raise Retry("attachments-away", type(error).__name__) from error
        check(attachment.media_type, body)
        return Stored(body, str(answer.get("ETag", "")))

    def write(self, attachment: Attachment, body: bytes) -> None:
        """Put a file there. Raises `Permanent` (attachment-missing), `Retry`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(
                Bucket=self.name, Key=attachment.key, Body=body, ContentType=attachment.media_type
            )
        except ClientError as error:
            raise _failure_of_s3(error) from error
        except BotoCoreError as error:
            raise Retry("attachments-away", type(error).__name__) from error


def _failure_of_s3(error: Any) -> Failure:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _ABSENT:
        return Permanent("attachment-missing", f"S3 says {code}: it isn't in the bucket, or may not be read")
    return Retry("attachments-away", f"S3 says {code}")


def check(media_type: str, body: bytes) -> None:
    """Raise `Permanent` for a file that isn't what its name says."""
    beginnings = _BEGINNINGS.get(media_type)
    if not body:
        raise Permanent("attachment-type", "the file is empty")
    fits = beginnings is None or body.startswith(beginnings)
    if media_type == TYPES["webp"]:
        fits = body.startswith(b"RIFF") and body[8:12] == b"WEBP"
    if not fits:
        raise Permanent("attachment-type", f"the file doesn't begin as {media_type} does")
