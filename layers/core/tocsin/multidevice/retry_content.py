"""What goes along with a retry receipt of ours, and what answers one of a recipient's device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.multidevice.account import Account
from tocsin.multidevice.compose import compose, plaintext_for
from tocsin.multidevice.retry_case import Case, Ignored
from tocsin.notify.content import File
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import Notification
from tocsin.signal.padding import pad
from tocsin.signal.x3dh import SignedPreKey
from tocsin.tables.names import user_of
from tocsin.whatsapp.receipts import RetryKeys, retry_receipt

if TYPE_CHECKING:
    from tocsin.keys.account import Credentials
    from tocsin.whatsapp.media import Upload
    from tocsin.whatsapp.node import Node
    from tocsin.whatsapp.outgoing import Kind


def question_stanza(
    account: Account, credentials: Credentials, node: Node, count: int, error: int, *, with_keys: bool
) -> Node:
    """Return the retry receipt for a message (`node`) that we can't read. `with_keys`: a new prekey of ours
    is stored and goes along."""
    return retry_receipt(
        node,
        count=count,
        registration_id=credentials.registration_id,
        error=error,
        keys=_fresh_keys(account, credentials) if with_keys else None,
    )


def _fresh_keys(account: Account, credentials: Credentials) -> RetryKeys:
    """Return keys with which the sender can start a new session with us."""
    prekey, signed = account.keys.account.retry_prekey(), credentials.signed_prekey
    return RetryKeys(
        identity=credentials.identity.public,
        prekey=(prekey.id, prekey.pair.public),
        signed_prekey=SignedPreKey(signed.id, signed.pair, signed.signature),
        device_identity=credentials.device_identity or b"",
    )


def plaintext_again(
    case: Case, *, clock: Callable[[], float], random: Callable[[int], bytes]
) -> tuple[bytes, Kind]:
    """Return the padded message for a device that asks, and what the stanza says of it. Raises `Ignored`."""
    content, group, upload = case.notification.content, case.notification.group, _upload_of(case)
    if group is not None:
        from tocsin.multidevice.group_resend import body_for

        message = body_for(case.account, group, case.user, case.device, content, upload, clock=clock)
        return pad(message.body, random(1)), message.kind
    chat = chat_of(case.account, case.notification)
    timer = case.account.keys.contacts.timer(case.account.own_user, chat)
    message = compose(content, chat, case.account.own_device, upload, timer)
    return plaintext_for(case.account, chat, case.user, message, random), message.kind


def _upload_of(case: Case) -> Upload | None:
    """What the message describes that the device asks for again. Raises `Ignored`."""
    if not isinstance(case.notification.content, File):
        return None
    from tocsin.multidevice.uploads import sent_upload

    try:
        return sent_upload(case.account, case.notification.message_id)
    except Permanent as failure:
        raise Ignored(failure.code) from failure


def chat_of(account: Account, notification: Notification) -> str:
    """Return the chat a notification was sent to, as its copies for our own devices name it: not that of
    whoever has the number by now."""
    return notification.recipient_lid or account.lid_of(user_of(notification.recipient))
