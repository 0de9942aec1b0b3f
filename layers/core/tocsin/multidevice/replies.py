"""What WhatsApp brings from people, as the domain's `Reply`."""

from __future__ import annotations

from tocsin.multidevice.account import Account
from tocsin.notify.replies import Reply
from tocsin.tables.names import id_of_message
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.content import Content
from tocsin.whatsapp.message import InboundMessage


def reply_of(account: Account, message: InboundMessage, user: str, content: Content) -> Reply:
    """Return a message that a person wrote as a plain reply. `user`: the sender's canonical bare JID."""
    return Reply(
        account=account.profile.account,
        message_id=message.id,
        names=names_of(account, user, message),
        kind=content.kind,
        text=content.text or "",
        at=from_seconds(message.timestamp),
        sender_name=message.push_name or "",
        quoted=id_of_message(content.quoted_id or ""),
        group=str(message.chat) if message.is_group else None,
        author=str(message.sender.chat) if message.is_group else None,
        is_from=lambda recipient: account.is_person(user, recipient),
        names_now=lambda: (account.keys.contacts.address(user) or {}).values(),
    )


def names_of(account: Account, user: str, message: InboundMessage) -> tuple[str, ...]:
    """Return the names (bare JIDs) of a sender; the one that notifications use first, the LID last.

    After a national renumbering WhatsApp's digits differ from those that the ticketing system knows. Of
    somebody without a known number there is the LID alone.
    """
    known = account.keys.contacts.address(user)
    names = [known["pn"]] if known else []
    if message.pn is not None:
        names.append(str(message.pn.chat))
    return tuple(dict.fromkeys([*names, user]))
