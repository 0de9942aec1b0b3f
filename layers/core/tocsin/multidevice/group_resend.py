"""A group's message once more, for the one device that could not read it: with our key in it, pairwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.multidevice.account import Account
from tocsin.multidevice.compose import compose
from tocsin.multidevice.group_members import GroupView
from tocsin.notify.content import Content
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.outgoing import OutgoingMessage, device_sent, with_sender_key

if TYPE_CHECKING:
    from tocsin.whatsapp.media import Upload


def is_member(account: Account, group: str, user: str, *, clock: Callable[[], float]) -> bool:
    """Whether a user (canonical bare JID) is in a group now. Raises `Permanent` if we are not."""
    return GroupView(account, JID.parse(group), clock=clock).has(user)


def body_for(
    account: Account,
    group: str,
    user: str,
    device: int,
    content: Content,
    upload: Upload | None = None,
    *,
    clock: Callable[[], float],
) -> OutgoingMessage:
    """Return what to encrypt for a device that asked again, and note that it may lack our key.

    The key is the present one, which may be newer than the message; the message itself needs none. Where
    there is no key, for somebody left, the next send makes one.
    """
    jid = JID.parse(group)
    view = GroupView(account, jid, clock=clock)
    own = view.own_name(view.info())
    message = compose(content, group, own, upload, account.keys.contacts.timer(account.own_user, group))
    key = account.keys.groups.hand_out_key(account.profile, group, user, device)
    body = with_sender_key(jid, key, message.body) if key is not None else message.body
    return OutgoingMessage(device_sent(jid, body) if account.is_own(user) else body, message.kind)
