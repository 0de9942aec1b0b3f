"""How people, groups and messages are named in keys, records and events.

WhatsApp was the first transport, so the names are its own: bare JIDs, and message ids as its web client makes
them. They are stored and told to the world, therefore they stay whatever transport carries a message.
"""

from __future__ import annotations

ID_BYTES = 9
"""Of a notification id, which is 18 lower-case hex digits."""

_OF_A_NUMBER = "@s.whatsapp.net"
_OF_A_LID = "@lid"
_OF_A_GROUP = "@g.us"
_OF_A_MESSAGE = "3EB0"


def is_group(recipient: str) -> bool:
    """Whether a recipient is a group (its JID), not a person (digits)."""
    return recipient.endswith(_OF_A_GROUP)


def is_lid(recipient: str) -> bool:
    """Whether a recipient, or a bare JID, is a LID: a name that says nothing of the person's number."""
    return recipient.endswith(_OF_A_LID)


def is_number(user: str) -> bool:
    """Whether a bare JID is a phone number."""
    return user.endswith(_OF_A_NUMBER)


def user_of(recipient: str) -> str:
    """Return the bare JID under which conduct and address of `recipient` (digits, LID or group JID) are
    filed."""
    return recipient if "@" in recipient else f"{recipient}{_OF_A_NUMBER}"


def recipient_of(user: str) -> str:
    """Return the recipient that a bare JID stands for: the digits of a phone number, else the JID itself."""
    return user.removesuffix(_OF_A_NUMBER)


def message_id_of(notification_id: str) -> str:
    """Return the message id that is made of a notification id. It never changes, so a repeat is the same
    message."""
    return _OF_A_MESSAGE + notification_id.upper()


def id_of_message(message_id: str) -> str | None:
    """Return the notification id that a message id was made of, `None` for any other. Needs no index."""
    digits = message_id.removeprefix(_OF_A_MESSAGE)
    if digits == message_id or len(digits) != 2 * ID_BYTES:
        return None
    return digits.lower() if all(digit in "0123456789ABCDEF" for digit in digits) else None
