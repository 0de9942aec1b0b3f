"""What WhatsApp brings from people, as the domain's `Reply`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from tocsin.multidevice.account import Account
from tocsin.notify.replies import Reply
from tocsin.tables.names import id_of_message
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.content import DELETED, EDIT, Content, content_of, parse_plaintext
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import BROADCAST, LID, PN, STATUS
from tocsin.whatsapp.message import InboundMessage
from tocsin.whatsapp.message_secret import open_edit
from tocsin.whatsapp.written import REACTION

VIEW_ONCE, HOSTED, BOT = "view_once", "hosted", "bot"

WITHOUT_COPY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "view_once": VIEW_ONCE,
        "view_once_unavailable_fanout": VIEW_ONCE,
        "hosted_unavailable_fanout": HOSTED,
        "bot_unavailable_fanout": BOT,
    }
)
"""`type` of `<unavailable>` → kind of the reply; `unavailable` for every other."""

UNREADABLE = "unreadable"


def is_to_us(message: InboundMessage) -> bool:
    """Whether a person wrote it to us alone, or to a list of recipients, which reads the same to each."""
    if message.from_me:
        return False
    is_list = message.chat.server == BROADCAST and message.chat != STATUS
    return is_list or message.chat.server in (LID, PN)


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
        username=message.username,
        quoted=id_of_message(content.quoted_id or ""),
        group=str(message.chat) if message.is_group else None,
        author=str(message.sender.chat) if message.is_group else None,
        about=content.target_id,
        details=content.details,
    )


def unread_reply_of(account: Account, message: InboundMessage, user: str, kind: str) -> Reply:
    """Return what is known of a message whose content isn't: that somebody wrote. `kind`: why."""
    return reply_of(account, message, user, Content(kind))


def opened(account: Account, message: InboundMessage, user: str, content: Content) -> Content:
    """Return a sealed edit as the edit that it holds, or as it came if that can't be opened.

    An edit is opened by the secret of the sender's own message, so nobody can change another's.
    """
    sealed = content.sealed
    if sealed is None:
        return content
    names = names_of(account, user, message)
    kept = (account.keys.receiving.secret_of(name, sealed.target_id) for name in (user, *names))
    secret = next((secret for secret in kept if secret is not None), None)
    if secret is None:
        return content
    try:
        plain = open_edit(sealed, secret, dict.fromkeys((user, str(message.sender.chat), *names)))
        inner = content_of(parse_plaintext(plain)) if plain is not None else content
    except InvalidStanza:
        return content
    if inner.kind != EDIT or inner.sealed is not None:
        return content
    # Which message is edited says the seal, not what is in it.
    return replace(content, text=inner.text, quoted_id=inner.quoted_id, sealed=None)


def keep_secret(account: Account, message: InboundMessage, user: str, content: Content) -> None:
    """Keep what opens later edits of a message that was told."""
    if content.secret is not None and content.kind not in (EDIT, DELETED, REACTION):
        account.keys.receiving.keep_secret(user, message.id, content.secret)


def names_of(account: Account, user: str, message: InboundMessage) -> tuple[str, ...]:
    """Return the names (bare JIDs) that are known to be a sender's: their number first, the LID last.

    Of somebody without a known number there is the LID alone. So is it of somebody whose number went to
    another person: a LID remembers the number that it had, and only the number says whose it is.
    """
    said = (jid.chat for jid in (message.sender, message.sender_alt) if jid is not None)
    perhaps = next((str(jid) for jid in said if jid.server == PN), None)
    number = account.keys.contacts.number(user, perhaps)
    if number is None or number.lid != user or number.moved_to is not None:
        return (user,)
    return number.pn, user
