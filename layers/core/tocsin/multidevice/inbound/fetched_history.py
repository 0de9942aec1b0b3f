"""A piece of history that our phone left at a media host, because it is too large to go along.

Of large accounts that is where the privacy tokens are, the salt for contact secrets, and the timers of chats.
Only the kinds that bring those are fetched, and only so much; what else they hold is forgotten at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.connector_client.errors import DownloadFailed, Refused
from tocsin.connector_client.protocol import MAX_DOWNLOAD
from tocsin.whatsapp.media import HISTORY, KEY_BYTES, DamagedMedia, decrypt
from tocsin.whatsapp.proto.message_pb2 import HistorySyncNotification

if TYPE_CHECKING:
    from tocsin.multidevice.account import Account

FETCHED: Final = frozenset((HistorySyncNotification.INITIAL_BOOTSTRAP, HistorySyncNotification.RECENT))
"""What holds chats. `FULL` holds the same ones again, back to the beginning; the others hold none."""

MAX_CHUNKS: Final = 20
"""Pieces of one kind. Chats come the latest first."""


class HistoryAway(Exception):
    """It can't be had, and is left: people's next messages tell the same, one by one."""


def fetched_history(account: Account, told: HistorySyncNotification) -> bytes | None:
    """The compressed piece; None for one that isn't wanted. Raises HistoryAway, and `ConnectorError` while
    there is nobody who could fetch it."""
    if told.sync_type not in FETCHED or not told.direct_path or told.chunk_order > MAX_CHUNKS:
        return None
    if told.file_length > MAX_DOWNLOAD or len(told.media_key) != KEY_BYTES:
        raise HistoryAway("too large, or without its key")
    try:
        blob = account.connector.download(account.profile, told.direct_path, told.file_enc_sha256)
        return decrypt(blob, HISTORY, told.media_key, told.file_sha256, told.file_enc_sha256)
    except (DownloadFailed, Refused, DamagedMedia) as error:
        raise HistoryAway(f"{type(error).__name__}: {error}") from error
