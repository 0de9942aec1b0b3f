"""What a phone tells its companions in messages that are shown to nobody."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tocsin.whatsapp import media
from tocsin.whatsapp.proto.message_pb2 import (
    HistorySync,
    HistorySyncNotification,
    Message,
    WebMessageInfo,
)
from tocsin_whatsapp_server.directory import Account
from tocsin_whatsapp_server.inbox import Received
from tocsin_whatsapp_server.media import MediaStore

PEER_DATA_RESPONSE, PLACEHOLDER_RESEND = 17, 4
HISTORY_SYNC, FIRST_HISTORY = 5, "INITIAL_BOOTSTRAP"


def resent_placeholder(entry: Received, sender: Account, request_id: str) -> Message:
    """A message that the companion had no copy of and asked for."""
    info = WebMessageInfo(timestamp=int(entry.at[0]), push_name=sender.name)
    info.key.remote_jid, info.key.id, info.key.from_me = str(sender.lid), entry.id, False
    info.message.ParseFromString(entry.message)
    message = Message()
    message.protocol.type = PEER_DATA_RESPONSE
    response = message.protocol.peer_data_response
    response.type, response.stanza_id = PLACEHOLDER_RESEND, request_id
    response.results.add().placeholder.web_message_info = info.SerializeToString()
    return message


def history(chunk: HistorySync, kind: str) -> Message:
    """A piece of history in the message itself. `kind`: as the protocol calls it."""
    message, told = _notification(kind)
    told.inline_payload = _packed(chunk)
    return message


def history_by_reference(
    chunk: HistorySync, kind: str, store: MediaStore, random: Callable[[int], bytes]
) -> Message:
    """A piece of history left at the media host, as phones with many chats do."""
    message, told = _notification(kind)
    packed = _packed(chunk)
    told.media_key = random(32)
    blob = media.encrypt(packed, media.HISTORY, told.media_key)
    told.file_sha256, told.file_enc_sha256 = blob.file_sha256, blob.file_enc_sha256
    told.file_length = len(packed)
    told.direct_path = store.keep(media.HISTORY, blob.blob)
    return message


def _packed(chunk: HistorySync) -> bytes:
    return zlib.compress(chunk.SerializeToString())


def _notification(kind: str) -> tuple[Message, HistorySyncNotification]:
    message = Message()
    message.protocol.type = HISTORY_SYNC
    told = message.protocol.history_sync_notification
    told.sync_type = HistorySyncNotification.Type.Value(kind)  # type: ignore[assignment]
    return message, told
