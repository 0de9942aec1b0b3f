"""Uploaded attachments with the keys that open them: sealed, and dead by themselves after a while.

Two kinds of records. By message id: what that message describes, for ever the same. By file: what a
further recipient of the same file may be sent too, replaced when it gets old.
"""

from __future__ import annotations

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Put
from tocsin.keys.context import KeyContext
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import upload_key

# As long as a notification is kept: any retry receipt must be servable.
LIFETIME = 40 * 86400


def read_upload(context: KeyContext, name: str) -> bytes | None:
    """What was kept under `name`; None: nothing, or it is damaged (which is reported)."""
    item = context.table.get(upload_key(context.account, name))
    if item is None:
        return None
    try:
        return context.unseal(item, "upload")
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None


def keep_upload(context: KeyContext, name: str, upload: bytes, *, replace: bool) -> bool:
    """Keep it under `name`; False: there was one already, and it isn't to be replaced."""
    key = upload_key(context.account, name)
    sealed = context.seal(upload, key, "upload")
    put = Put(
        key,
        {"upload": sealed, "expire_at": context.now() + LIFETIME},
        when=() if replace else (ITEM_ABSENT,),
    )
    try:
        context.insistently(lambda: context.table.put(put))
    except ConditionFailed:
        return False
    return True
