"""What WhatsApp told of groups and of their members' devices, remembered between sends.

    user#A#G   group      what was told of the group, as text, sealed; when
    user#A#U   devices    the devices of a user; when they were told, and since when they have new keys

None of it is key material: it is asked for again when it is old, or when somebody says that it changed. Who
is in a group is sealed all the same: whoever stands there gets our key to the group's messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_EXISTS, Delete, Item, Update, Value
from tocsin.keys.addresses import open_known
from tocsin.keys.context import KeyContext
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import address_key, devices_key, group_key


class DeviceList(NamedTuple):
    """`checked_at`: when WhatsApp told it, in seconds, 0 if it must be asked again. `renewed_at`: when a
    device of the user was last seen with new keys: what it was given before is lost to it."""

    devices: tuple[int, ...] = ()
    checked_at: int = 0
    renewed_at: int = 0


def read_group(context: KeyContext, group: str) -> tuple[str, int] | None:
    """What was told of a group, and when (s); None if nothing is known, or it changed since."""
    item = context.table.get(group_key(context.account, group)) or {}
    told, checked_at = _told(context, item), item.get("checked_at")
    return (told, checked_at) if told is not None and isinstance(checked_at, int) else None


def list_groups(context: KeyContext) -> Iterator[tuple[str, str, int]]:
    """Every group that is known, what was told of it and when, by a walk through the whole table."""
    prefix, after = f"user#{context.account}#", None
    while True:
        page = context.table.scan(after, prefix=prefix, sk="group")
        for item in page.items:
            told = _told(context, item)
            if told is not None:
                yield str(item["pk"]).removeprefix(prefix), told, int(str(item["checked_at"]))
        if (after := page.following) is None:
            return


def save_group(context: KeyContext, group: str, told: str) -> None:
    key = group_key(context.account, group)
    values: dict[str, Value] = {
        "told": context.seal(told.encode(), key, "told"),
        "checked_at": context.now(),
    }
    context.insistently(lambda: context.table.update(Update(key, set=values)))


def _told(context: KeyContext, item: Item) -> str | None:
    """What was told of a group; None if nothing is known, if 0.1.0 wrote it, or if the seal doesn't open."""
    if not isinstance(item.get("told"), bytes):
        return None
    try:
        return context.unseal(item, "told").decode()
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None


def forget_group(context: KeyContext, group: str) -> None:
    """The group changed: ask again before the next send."""
    context.insistently(lambda: context.table.delete(Delete(group_key(context.account, group))))


def read_device_lists(context: KeyContext, users: Sequence[str]) -> dict[str, DeviceList]:
    """The devices of these users (bare JIDs), empty lists for those of whom nothing is known."""
    keys = {devices_key(context.account, user): user for user in users}
    found = context.table.get_many(list(keys)) if keys else {}
    return {user: _device_list(found.get(key) or {}) for key, user in keys.items()}


def save_device_list(context: KeyContext, user: str, devices: Sequence[int]) -> None:
    """Remember the devices of a user as told now."""
    values: dict[str, Value] = {"devices": sorted(devices), "checked_at": context.now()}
    context.insistently(lambda: context.table.update(Update(devices_key(context.account, user), set=values)))


def outdate_device_list(context: KeyContext, user: str, *, new_keys: bool = False) -> None:
    """The user's devices changed: ask again. `new_keys`: one was installed anew, and lost what it had."""
    values: dict[str, Value] = {"checked_at": 0}
    if new_keys:
        values["renewed_at"] = context.now()
    update = Update(devices_key(context.account, user), set=values, when=() if new_keys else (ITEM_EXISTS,))
    try:
        context.insistently(lambda: context.table.update(update))
    except ConditionFailed:
        return


def read_names(context: KeyContext, users: Sequence[str]) -> dict[str, str]:
    """The LIDs of these users (bare JIDs), where both names are known."""
    keys = {address_key(context.account, user): user for user in users}
    found: Mapping[tuple[str, str], Item] = context.table.get_many(list(keys)) if keys else {}
    known = {keys[key]: open_known(context, keys[key], item) for key, item in found.items()}
    return {user: names.lid for user, names in known.items() if names is not None}


def _device_list(item: Item) -> DeviceList:
    devices, checked_at, renewed_at = (item.get(name, 0) for name in DeviceList._fields)
    numbers = tuple(int(device) for device in devices) if isinstance(devices, list) else ()
    return DeviceList(
        numbers,
        checked_at if isinstance(checked_at, int) and numbers else 0,
        renewed_at if isinstance(renewed_at, int) else 0,
    )
