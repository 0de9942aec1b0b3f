"""A piece of history from our own phone: addresses, names and tokens are taken, texts are not."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.whatsapp.bounds import MAX_NUMBER, MAX_TOKEN_BYTES
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza
from tocsin.whatsapp.jid import GROUP, JID, LID, PN
from tocsin.whatsapp.proto.message_pb2 import HistorySync
from tocsin.whatsapp.timer import Timer, told
from tocsin.whatsapp.written import readable

MAX_HISTORY_BYTES: Final = 64 * 2**20
MAX_SALT_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class AddressPair:
    """One person's two addresses, bare."""

    pn: JID
    lid: JID


@dataclass(frozen=True, slots=True)
class Entrusted:
    """A privacy token of the contact `user` (bare; the number only where the chunk tells no LID of it),
    issued at `at`; `issued_at`: when we issued ours, 0 if never. Unix seconds."""

    user: JID
    token: bytes = field(repr=False)
    at: int
    issued_at: int


@dataclass(frozen=True, slots=True)
class TimedChat:
    """A chat with a timer. `jid`: the person's (bare; the number only where the chunk tells no LID of it), or
    a group's."""

    jid: JID
    timer: Timer


@dataclass(frozen=True, slots=True)
class History:
    """The part of a history chunk that a notifier has use for. `push_names`: by JID text. `salt`: for contact
    secrets, where the chunk has it. `timers`: of chats where one is on."""

    pairs: tuple[AddressPair, ...]
    push_names: dict[str, str] = field(repr=False)
    entrusted: tuple[Entrusted, ...] = field(repr=False, default=())
    salt: bytes | None = field(repr=False, default=None)
    timers: tuple[TimedChat, ...] = ()


def history_of(compressed: bytes) -> History:
    """Read a history chunk (one zlib stream: an inline payload, or a decrypted download).

    Raises `InvalidStanza`; more than 64 MiB inflated is refused too.
    """
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(compressed, MAX_HISTORY_BYTES + 1)
        if len(data) > MAX_HISTORY_BYTES or not stream.eof:
            raise InvalidStanza("history chunk")
        chunk = HistorySync.FromString(data)
    except (zlib.error, ProtobufError) as exc:
        raise InvalidStanza("history chunk") from exc
    named = [(one.pn_jid, one.lid_jid) for one in chunk.phone_number_to_lid]
    for chat in chunk.conversations:
        named += [(chat.pn_jid or chat.id, chat.lid_jid or chat.id)]
    pairs = tuple(dict.fromkeys(pair for pn, lid in named if (pair := _pair(pn, lid)) is not None))
    lids = {pair.pn: pair.lid for pair in pairs}
    names = ((readable(one.id), readable(one.push_name)) for one in chunk.push_names)
    salt = chunk.nct_salt if 0 < len(chunk.nct_salt) <= MAX_SALT_BYTES else None
    return History(
        pairs,
        {jid: name for jid, name in names if jid and name},
        tuple(one for chat in chunk.conversations if (one := _entrusted(chat, lids)) is not None),
        salt,
        tuple(timed for chat in chunk.conversations if (timed := _timed(chat, lids)) is not None),
    )


def _with(chat: HistorySync.Conversation, lids: Mapping[JID, JID]) -> JID | None:
    """Whom or which group a chat is with. Phones whose chats haven't moved to LIDs name the number."""
    jid = jid_in(chat.lid_jid or chat.id)
    return None if jid is None else lids.get(jid, jid)


def _entrusted(chat: HistorySync.Conversation, lids: Mapping[JID, JID]) -> Entrusted | None:
    user = _with(chat, lids)
    if user is None or user.server not in (LID, PN) or not 0 < len(chat.tc_token) <= MAX_TOKEN_BYTES:
        return None
    if not 0 < chat.tc_token_timestamp <= MAX_NUMBER:
        return None
    issued_at = chat.tc_token_sender_timestamp
    return Entrusted(
        user, chat.tc_token, chat.tc_token_timestamp, issued_at if issued_at <= MAX_NUMBER else 0
    )


def _timed(chat: HistorySync.Conversation, lids: Mapping[JID, JID]) -> TimedChat | None:
    jid = _with(chat, lids)
    timer = told(chat.ephemeral_expiration, chat.ephemeral_setting_timestamp)
    if jid is None or timer is None or not timer.seconds or jid.server not in (LID, PN, GROUP):
        return None
    return TimedChat(jid, timer)


def jid_in(text: str) -> JID | None:
    try:
        return JID.parse(readable(text)).chat
    except InvalidJid:
        return None


def _pair(pn: str, lid: str) -> AddressPair | None:
    number, user = jid_in(pn), jid_in(lid)
    if number is None or user is None or not number.user or not user.user:
        return None
    return AddressPair(number, user) if (number.server, user.server) == (PN, LID) else None
