"""The files of requests, until they are sent: their bytes are put into the deployment's bucket, once.

They come with the event, or from a host that the parameter FileHosts names. What lies there is not removed by
Tocsin: give the prefix `tocsin/requested/` a lifecycle rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tocsin.guarded_http import PUBLIC, Answer, Policy, Unreachable, UrlRefused, request
from tocsin.notify.attachments import MAX_BYTES, check
from tocsin.notify.content import Attachment
from tocsin.notify.failure import Permanent, Retry

if TYPE_CHECKING:
    from tocsin.notify.attachments import Bucket
    from tocsin.notify.events.message_request import RequestedFile

PREFIX = "tocsin/requested/"

FETCH_SECONDS = 12.0
"""For all of a request."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

Fetch = Callable[[str], Answer]
"""Gets a URL. Raises UrlRefused, Unreachable."""


def fetcher(policy: Policy = PUBLIC) -> Fetch:
    def fetch(url: str) -> Answer:
        return request(url, seconds=FETCH_SECONDS, max_bytes=MAX_BYTES, policy=policy)

    return fetch


class RequestedFiles:
    """Keeps the bytes of files. `hosts`: whose files may be fetched; one that begins with "*." stands for all
    names below it."""

    def __init__(self, bucket: Bucket, hosts: Collection[str], fetch: Fetch) -> None:
        self._bucket = bucket
        self._hosts = hosts
        self._fetch = fetch

    def kept(self, folder: str, file: RequestedFile) -> Attachment:
        """Put a file into the bucket. `folder`: a name that nobody else can tell. Raises `Permanent`
        (attachment-refused, attachment-missing, attachment-too-large, attachment-type), `Retry`."""
        body = file.content or self._fetched(file.url)
        if len(body) > MAX_BYTES:
            raise Permanent("attachment-too-large", f"{len(body)} bytes; the limit is {MAX_BYTES}")
        check(file.media_type, body)
        attachment = Attachment(f"{PREFIX}{folder}/{file.file_name}", file.file_name, file.media_type)
        self._bucket.write(attachment, body)
        return attachment

    def _fetched(self, url: str) -> bytes:
        if not is_allowed(url, self._hosts):
            raise Permanent("attachment-refused", "its host is none that the parameter FileHosts names")
        try:
            answer = self._fetch(url)
        except UrlRefused as refusal:
            raise Permanent("attachment-refused", f"its URL {refusal.why}") from None
        except Unreachable as away:
            raise Retry("attachments-away", f"its host gave no answer: {away.why}") from None
        if answer.status in _AGAIN:
            raise Retry("attachments-away", f"its host answered {answer.status}")
        if answer.status != 200:
            raise Permanent("attachment-missing", f"its host answered {answer.status}")
        if answer.is_cut:
            raise Permanent("attachment-too-large", f"the limit is {MAX_BYTES} bytes")
        return answer.body


def is_allowed(url: str, hosts: Collection[str]) -> bool:
    """Whether a URL is of one of these hosts."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    return any(
        host.endswith(one[1:].lower()) and len(host) > len(one) - 1
        if one.startswith("*.")
        else host == one.lower()
        for one in hosts
    )
