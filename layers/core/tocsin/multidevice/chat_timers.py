"""Disappearing messages: each chat's timer is learnt from whoever tells it, and followed.

    a person's messages, and their change of the setting ─┐
    our own phone's: the same, and history ───────────────┼─▶ by LID chat, the latest one ─▶ on each message
    a group's metadata and notifications ─────────────────┘

It is never set, changed or ended by us, and the default of an account holds for chats that its owner opens,
not for ours. See `whatsapp/PROTOCOL.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tocsin.keys.timers import ChatTimer
from tocsin.tables.names import is_lid
from tocsin.whatsapp.jid import JID, LID, PN

if TYPE_CHECKING:
    from tocsin.multidevice.account import Account
    from tocsin.whatsapp.content import Content
    from tocsin.whatsapp.message import InboundMessage
    from tocsin.whatsapp.timer import Timer

CLOCKS_APART_SECONDS: Final = 24 * 3600
"""A timer that was set later than that from now would keep every true one away."""

MAX_REMEMBERED: Final = 10_000


class ChatTimers:
    """What this container learnt of timers: who writes often says the same each time, which costs nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[tuple[str, str, str], ChatTimer] = {}

    def heard(self, account: Account, message: InboundMessage, user: str, content: Content) -> None:
        """Take in what a message says of its chat's timer. `user`: the sender's canonical JID."""
        chat = _chat(account, message, user) if content.timer is not None else None
        if content.timer is None or chat is None:
            return
        # Who changes the setting does it with that message.
        at = content.timer.at or (message.timestamp if content.kind == "timer" else 0)
        self.note(account, chat, ChatTimer(content.timer.seconds, at))

    def of_group(self, account: Account, group: JID, timer: Timer) -> None:
        """The server says that a group's timer was set."""
        self.note(account, str(group), ChatTimer(timer.seconds, timer.at), certain=not timer.at)

    def note(self, account: Account, chat: str, told: ChatTimer, *, certain: bool = False) -> None:
        """Keep it, unless it is what was heard last."""
        if told.at > self._clock() + CLOCKS_APART_SECONDS:
            return
        place = (account.profile.account, account.own_user, chat)
        if self._heard.get(place) == told and not certain:
            return
        account.keys.contacts.keep_timer(account.own_user, chat, told, certain=certain)
        if len(self._heard) >= MAX_REMEMBERED:
            self._heard.clear()
        self._heard[place] = told


def _chat(account: Account, message: InboundMessage, user: str) -> str | None:
    """The chat that a message lies in, as timers are filed: by LID, or a group; None for any other."""
    if message.is_group:
        return str(message.chat)
    if message.from_me:
        named = message.recipient
        user = account.canonical(named, message.recipient_alt) if named is not None else ""
    elif message.chat.server not in (LID, PN):
        return None  # what a list of recipients gets lies in no chat of theirs
    return user if is_lid(user) and not account.is_own(user) else None
