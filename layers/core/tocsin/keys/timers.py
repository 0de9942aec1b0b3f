"""The timers of chats: after how long messages disappear, and since when that is so.

They lie beside the addresses, as the privacy tokens do: a send reads them with what it reads anyway. A chat
belongs to one number of ours and to one person (or group), so a timer is sealed under both: after a pairing
with another number it can't be opened, for that chat is another one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Equals, Item, Update, as_read
from tocsin.keys.context import KeyContext
from tocsin.keys.privacy_tokens import TIMER
from tocsin.sealing import DamagedRecord, Place
from tocsin.tables.keys import address_key

_ATTEMPTS = 4


class ChatTimer(NamedTuple):
    """`seconds`: 0 for off. `at`: when it was set, Unix seconds; 0 if that isn't known."""

    seconds: int
    at: int = 0


def read_timer(context: KeyContext, own: str, chat: str) -> ChatTimer | None:
    return open_timer(context, own, chat, context.table.get(address_key(context.account, chat)) or {})


def open_timer(context: KeyContext, own: str, chat: str, item: Item) -> ChatTimer | None:
    """The timer of `chat` (a bare LID, or a group's JID) in an address item as it was read; None if none is
    known. `own`: our own bare LID."""
    if TIMER not in item:
        return None
    try:
        seconds, at = json.loads(context.sealer.unseal(item[TIMER], _place(context, own, chat)))
    except DamagedRecord:
        return None  # of another number's chat, or damaged: their next message tells it
    return ChatTimer(seconds, at)


def keep_timer(
    context: KeyContext, own: str, chat: str, told: ChatTimer, *, certain: bool = False
) -> ChatTimer | None:
    """Take in what was told of a chat's timer; what counts then.

    The one that was set later counts. One without a time counts where nothing is known, or if it is `certain`
    (the server says how it is now).
    """
    key = address_key(context.account, chat)
    known = None
    for _ in range(_ATTEMPTS):
        item = context.table.get(key) or {}
        known = open_timer(context, own, chat, item)
        counts = told
        if certain:
            # What is still on its way from before stays older than this.
            counts = ChatTimer(told.seconds, max(told.at, known.at if known is not None else 0))
        elif known is not None and told.at <= known.at:
            return known
        if counts == known or (known is None and counts == ChatTimer(0, 0)):
            return known
        sealed = context.seal(json.dumps(counts).encode(), key, TIMER, own.encode())
        pn = item.get("pn")
        if isinstance(pn, str):
            number = Update(
                address_key(context.account, pn), set={TIMER: sealed}, when=(Equals("lid", chat),)
            )
            with suppress(ConditionFailed):  # the number is another LID's by now
                context.patiently(lambda number=number: context.table.update(number))  # type: ignore[misc]
        update = Update(key, set={TIMER: sealed}, when=(as_read(TIMER, item),))
        try:
            context.patiently(lambda update=update: context.table.update(update))  # type: ignore[misc]
        except ConditionFailed:
            continue
        return counts
    return known


def _place(context: KeyContext, own: str, chat: str) -> Place:
    return Place(*address_key(context.account, chat), TIMER, own.encode())
