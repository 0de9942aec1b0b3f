"""Messages of which the sender made no copy for us: we ask our own phone, which has one.

    <unavailable/> ── ask the phone ── its answer is a message like any other ── reply, consent

The same for what we couldn't read and asked for in vain. Source: the protocol's "Asking the own phone".
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from tocsin.notify.failure import Permanent, Recover
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.content import Resent, placeholder_request
from tocsin.whatsapp.jid import LID, PN
from tocsin.whatsapp.message import InboundMessage

if TYPE_CHECKING:
    from tocsin.multidevice.account import Account
    from tocsin.multidevice.transport import MultiDevice

log = logging.getLogger(__name__)

OLDEST_SECONDS: Final = 14 * 24 * 3600
"""What is older, WhatsApp's own clients don't ask for either."""

# Nobody has a copy of these, or none that may be given on.
NEVER: Final = frozenset(
    {"bot_unavailable_fanout", "hosted_unavailable_fanout", "view_once_unavailable_fanout"}
)


def is_askable(message: InboundMessage, now: int) -> bool:
    """Whether the phone is asked for a message: one that a person wrote to us directly, lately. `now`: ms."""
    direct = not message.from_me and message.chat.server in (LID, PN)
    young = from_seconds(message.timestamp) > now - OLDEST_SECONDS * 1000
    return direct and message.unavailable not in NEVER and young


def ask_phone(transport: MultiDevice, account: Account, message: InboundMessage) -> None:
    """Ask our own phone for a message. Where it can't be asked at all, the message stays away.

    Raises `Wait` or `Retry` if it can't be asked now.
    """
    transport.check(account.profile.account, resumed=True)
    try:
        transport.tell_phone(account, request_id(message), placeholder_request(message.chat, message.id))
    except (Permanent, Recover) as failure:
        log.warning("our phone can't be asked", extra={"cause": failure.code, "stanza": message.id})


def request_id(message: InboundMessage) -> str:
    """Return the id of the question for a message. Deterministic, so repeated questions deduplicate."""
    name = f"placeholder {message.chat} {message.id}"
    return "3EB0" + hashlib.sha256(name.encode()).hexdigest()[:18].upper()


def as_received(resent: Resent) -> InboundMessage | None:
    """A message that the phone gave on, as if it had come to us; None for what is no direct message to us."""
    if resent.from_me or resent.chat.server not in (LID, PN) or not resent.chat.user:
        return None
    return InboundMessage(
        id=resent.id,
        sender=resent.chat,
        sender_alt=None,
        chat=resent.chat,
        from_me=False,
        recipient=None,
        recipient_alt=None,
        timestamp=resent.timestamp,
        encs=(),
        device_identity=None,
        push_name=resent.push_name,
        offline=False,
        peer=False,
        edit=None,
        addressing_mode=None,
        unavailable=None,
    )
