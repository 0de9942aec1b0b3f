"""Changes of identity: a recipient's device has a new key, or their number belongs to somebody else.

A new key (they reinstalled, or somebody else has the number now) is accepted, as the official client does by
default, and published (`IdentityChanged` on the bus). The key store calls this once a message or a signed
bundle has proved it, and before it stores it: a crash in between publishes it twice rather than never. That a
number moved is published before anything is sent there.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.notify.notification import named
from tocsin.tables.names import is_lid, is_number, recipient_of
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.keys.addresses import KnownAddress
    from tocsin.keys.observe import IdentityChange
    from tocsin.keys.store import KeyStore
    from tocsin.notify.store.stores import Stores

log = logging.getLogger(__name__)

NEW_KEYS = "new-keys"
NUMBER_MOVED = "number-moved"
"""Kinds of a change of identity, as the event names them."""


def tell_change(
    stores: Stores,
    keys: KeyStore,
    change: IdentityChange,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Record one change of identity, and with that put it on the bus."""
    # Not the number that a LID had once: it may be somebody else's by now.
    names = {change.user, *keys.upkeep.names(change.user)}
    number, lid = next(filter(is_number, names), change.user), next(filter(is_lid, names), None)
    told = {
        "kind": NEW_KEYS,
        **named(recipient_of(number), lid),
        "device_jid": str(JID.parse(change.user).with_device(change.device)),
        "by": change.by,
        "old_fingerprint": fingerprint(change.old),
        "new_fingerprint": fingerprint(change.new),
    }
    keys.groups.note_new_keys(change.user)
    at = from_seconds(clock())
    stores.identity_changes.put(
        keys.account.name, change.user, change.device, told, fingerprint(change.new), at
    )
    device = JID.parse(change.user).with_device(change.device)
    log.warning("identity changed", extra={"device": repr(device), "by": change.by})


def tell_moved(
    stores: Stores,
    account: str,
    known: KnownAddress,
    to: str | None,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Record that the number of `known` went to another LID (`to`), or is no longer on WhatsApp (`None`), and
    with that put it on the bus."""
    told = {"kind": NUMBER_MOVED, **named(recipient_of(known.pn), known.lid), "moved_to": to}
    what = f"{NUMBER_MOVED}-{known.pn}-{to}"
    stores.identity_changes.put(account, known.lid, 0, told, what, from_seconds(clock()))


def fingerprint(identity: bytes) -> str:
    """Return what tells identities apart in events and logs: 16 hex digits of the public key's SHA-256."""
    return hashlib.sha256(identity).hexdigest()[:16]
