"""A recipient's device has a new identity key: they reinstalled, or somebody else has the number now.

It is accepted, as the official client does by default, and published (`IdentityChanged` on the bus). The key
store calls this once a message or a signed bundle has proved it, and before it stores it: a crash in between
publishes it twice rather than never.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.notify.notification import named
from tocsin.tables.names import recipient_of
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.keys.observe import IdentityChange
    from tocsin.keys.store import KeyStore
    from tocsin.notify.store.stores import Stores

log = logging.getLogger(__name__)


def tell_change(
    stores: Stores,
    keys: KeyStore,
    change: IdentityChange,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Record one change of identity, and with that put it on the bus."""
    names = keys.contacts.address(change.user)
    told = {
        **(named(recipient_of(names["pn"]), names["lid"]) if names else named(recipient_of(change.user))),
        "device_jid": str(JID.parse(change.user).with_device(change.device)),
        "by": change.by,
        "old_fingerprint": fingerprint(change.old),
        "new_fingerprint": fingerprint(change.new),
    }
    keys.groups.note_new_keys(change.user)
    at = from_seconds(clock())
    stores.recipients.put_identity_change(
        keys.account.name, change.user, change.device, told, fingerprint(change.new), at
    )
    device = JID.parse(change.user).with_device(change.device)
    log.warning("identity changed", extra={"device": repr(device), "by": change.by})


def fingerprint(identity: bytes) -> str:
    """Return what tells identities apart in events and logs: 16 hex digits of the public key's SHA-256."""
    return hashlib.sha256(identity).hexdigest()[:16]
