"""Disappearing messages as a phone has them: the timers of its chats, and whether a message carries them."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.whatsapp.proto.message_pb2 import ContextInfo, Message

SETTING = 3
"""The protocol message that changes a chat's timer."""

CARRIERS = ("extended_text", "image", "document")
WRAPPERS = ("document_with_caption", "device_sent")
UNTIMED = ("reaction", "protocol", "edited", "sender_key_distribution")
"""What needs no timer: it changes another message."""


@dataclass(frozen=True)
class Timer:
    """`seconds`: 0 for off; `at`: when it was set."""

    seconds: int = 0
    at: int = 0


def carried(message: Message) -> Timer | None:
    """The timer that a message names; None for none."""
    for wrapper in WRAPPERS:
        if message.HasField(wrapper):
            return carried(getattr(message, wrapper).message)
    for name in CARRIERS:
        if message.HasField(name):
            context: ContextInfo = getattr(message, name).context_info
            if context.HasField("expiration"):
                return Timer(context.expiration, context.ephemeral_setting_timestamp)
    return None


def setting(message: Message) -> Timer | None:
    """The timer that a message sets for its chat; None if it sets none."""
    if message.HasField("device_sent"):
        return setting(message.device_sent.message)
    if not message.HasField("protocol") or message.protocol.type != SETTING:
        return None
    return Timer(message.protocol.ephemeral_expiration, message.protocol.ephemeral_setting_timestamp)


def change(timer: Timer) -> Message:
    """The message that sets it."""
    message = Message()
    message.protocol.type = SETTING
    message.protocol.ephemeral_expiration = timer.seconds
    message.protocol.ephemeral_setting_timestamp = timer.at
    return message


def with_timer(message: Message, timer: Timer | None) -> Message:
    """The message as it goes into a chat with a timer. A plain text can't carry one, and becomes another."""
    if timer is None or not timer.seconds:
        return message
    timed = Message()
    timed.CopyFrom(message)
    if timed.HasField("conversation"):
        text = timed.conversation
        timed.ClearField("conversation")
        timed.extended_text.text = text
    for name in CARRIERS:
        if timed.HasField(name):
            context = getattr(timed, name).context_info
            context.expiration, context.ephemeral_setting_timestamp = timer.seconds, timer.at
    return timed


def warns(message: Message, timer: Timer | None) -> bool:
    """Whether the reader sees below a message that it won't disappear, for its sender left the timer out."""
    if timer is None or not timer.seconds:
        return False
    inner = message.device_sent.message if message.HasField("device_sent") else message
    if any(inner.HasField(name) for name in UNTIMED):
        return False
    return _facts(carried(message)) != _facts(timer)


def _facts(timer: Timer | None) -> tuple[int, int]:
    return (timer.seconds, timer.at) if timer is not None else (0, 0)
