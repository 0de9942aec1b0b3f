"""The secrets of messages that we received, under which their authors' later edits are sealed.

Kept sealed for as long as an edit of the message may come, and dead by themselves after that.
"""

from __future__ import annotations

from tocsin.dynamo.writes import Put
from tocsin.keys.context import KeyContext
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import message_secret_key

# People edit for 15 minutes; the rest is for phones and queues that are away for a weekend.
LIFETIME = 3 * 86400


def keep_message_secret(context: KeyContext, user: str, message_id: str, secret: bytes) -> None:
    """Keep the secret of a message that `user` (bare JID) wrote. Keeping it twice is harmless."""
    key = message_secret_key(context.account, user, message_id)
    sealed = context.seal(secret, key, "secret")
    put = Put(key, {"secret": sealed, "expire_at": context.now() + LIFETIME})
    context.insistently(lambda: context.table.put(put))


def read_message_secret(context: KeyContext, user: str, message_id: str) -> bytes | None:
    """The secret of a message that `user` wrote; `None`: not kept, or damaged (which is reported)."""
    item = context.table.get(message_secret_key(context.account, user, message_id))
    if item is None:
        return None
    try:
        return context.unseal(item, "secret")
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None
