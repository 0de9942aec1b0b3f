"""Uploads for the Lambdas, which have no way to WhatsApp's media hosts: ciphertext in, its address out; and
downloads of what our own phone leaves there (pieces of history), by address and hash.

Which hosts take it, the server tells for some hours (`media_conn`). One that fails is passed over; one that
doesn't know our ticket any more has the server asked again.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from hashlib import sha256
from typing import Final

from tocsin.connector.https import fetch
from tocsin.connector.socket import ORIGIN
from tocsin.connector_client.protocol import MAX_DOWNLOAD
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.media import (
    HISTORY,
    MediaHosts,
    download_path,
    hosts_request,
    parse_hosts,
    parse_uploaded,
    upload_path,
)
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

UPLOAD_SECONDS: Final = 30
"""How long a host may take for a file, from the connection to the end of its answer."""

UPLOADS: Final = 8
"""Under way at the same time, of all accounts."""

MAX_TRIES: Final = 4
"""Hosts asked in one round, of which there are two."""

MAX_ANSWER: Final = 64 * 1024

DOWNLOAD_SECONDS: Final = 15
"""How long a host may take to give a file out."""

STALE_TICKET: Final = frozenset({401, 403})
REFUSED: Final = frozenset({400, 413, 415})
"""About the file: no other host would take it. Anything else (404 and 410, say) is about the host."""

Ask = Callable[[Node], Awaitable[Node]]


class UploadFailed(Exception):
    """No host took it. It may pass: try again later."""


class UploadRefused(Exception):
    """A host refused it for good; the text says why."""


class DownloadFailed(Exception):
    """No host gives the file out, or what it gives isn't that file."""


class Uploader:
    """One account's way to the media hosts."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        trust: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._clock = clock
        self._trust = trust or system_trust
        self._hosts: MediaHosts | None = None
        self._until = 0.0

    async def upload(self, ask: Ask, kind: str, blob: bytes) -> tuple[str, str]:
        """URL and direct path of what was uploaded. `ask`: a request to the server.

        Raises `UploadFailed`, `UploadRefused`, and whatever `ask` does.
        """
        digest = sha256(blob).digest()
        problem = ""
        for round_ in range(2):
            hosts = await self._find(ask, anew=round_ > 0)
            path = upload_path(kind, digest, hosts.auth)
            for host in hosts.hosts[:MAX_TRIES]:
                try:
                    post = partial(_post, f"https://{host}{path}", blob, self._trust())
                    status, answer = await asyncio.get_running_loop().run_in_executor(_threads(), post)
                    if status == 200:
                        return parse_uploaded(answer)
                except (OSError, ValueError, http.client.HTTPException, WireError) as exc:
                    problem = f"{host}: {type(exc).__name__}: {exc}"
                else:
                    problem = f"{host} answered {status}"
                    if status in STALE_TICKET:
                        break
                    if status in REFUSED:
                        raise UploadRefused(problem)
                log.warning("upload failed", extra={"problem": problem})
        raise UploadFailed(problem)

    async def download(self, ask: Ask, direct_path: str, digest: bytes) -> bytes:
        """The encrypted file that lies under a path and has this SHA-256. One at a time in a process, of all
        accounts, so that memory stays bounded.

        Raises `DownloadFailed`, `UploadFailed` (no hosts), and whatever `ask` does.
        """
        path, problem = download_path(HISTORY, direct_path, digest), ""
        for host in (await self._find(ask, anew=False)).hosts[:MAX_TRIES]:
            try:
                get = partial(_get, f"https://{host}{path}", self._trust())
                status, blob = await asyncio.get_running_loop().run_in_executor(_one_thread(), get)
            except (OSError, ValueError, http.client.HTTPException) as exc:
                problem = f"{host}: {type(exc).__name__}: {exc}"
            else:
                if status == 200 and sha256(blob).digest() == digest:
                    return blob
                problem = f"{host} answered {status}" if status != 200 else f"{host} has another file there"
            log.warning("download failed", extra={"problem": problem})
        raise DownloadFailed(problem)

    async def _find(self, ask: Ask, *, anew: bool) -> MediaHosts:
        if self._hosts is None or anew or self._clock() >= self._until:
            self._hosts = None
            try:
                hosts = parse_hosts(await ask(hosts_request()))
            except WireError as exc:
                raise UploadFailed(f"no media hosts: {exc}") from exc
            self._hosts, self._until = hosts, self._clock() + hosts.lifetime
        return self._hosts


@cache
def _threads() -> ThreadPoolExecutor:
    """Of their own: the loop's look names up, and hosts that hang must keep no account from reconnecting."""
    return ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload")


@cache
def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="download")


@cache
def system_trust() -> ssl.SSLContext:
    """The system's authorities (`SSL_CERT_FILE` names others, for a local server)."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _post(url: str, blob: bytes, trust: ssl.SSLContext) -> tuple[int, bytes]:
    """Status and body. Blocking."""
    headers = {"Origin": ORIGIN, "Content-Type": "application/octet-stream"}
    return fetch(
        "POST",
        url,
        headers=headers,
        seconds=UPLOAD_SECONDS,
        max_bytes=MAX_ANSWER,
        body=blob,
        trust=trust,
    )


def _get(url: str, trust: ssl.SSLContext) -> tuple[int, bytes]:
    """Status and body. Blocking."""
    return fetch(
        "GET",
        url,
        headers={"Origin": ORIGIN},
        seconds=DOWNLOAD_SECONDS,
        max_bytes=MAX_DOWNLOAD,
        trust=trust,
    )
