"""The transport of the functions that write to WhatsApp: the accounts' keys, and the connector that holds the
socket."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.accounts.whereabouts import read_whereabouts
from tocsin.bootstrap.number_owners import number_owners
from tocsin.bootstrap.stores import open_stores, open_table
from tocsin.connector_client.client import ConnectorClient
from tocsin.keys.store import KeyStore
from tocsin.multidevice.socket import RememberedLeases
from tocsin.multidevice.transport import MultiDevice

if TYPE_CHECKING:
    from tocsin.connector_client.client import Whereabouts
    from tocsin.keys.observe import IdentityChange
    from tocsin.multidevice.account import Connector
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.config import StoreConfig
    from tocsin.sealing import Sealer


def transport(
    stores: StoreConfig,
    dynamodb: Any,
    unsealing: Callable[[], Sealer],
    connector: Connector | None,
    lease: Callable[[str], Whereabouts | None] | None,
    *,
    uploads: Callable[[], Uploads] | None = None,
    patience: int | None = None,
) -> MultiDevice:
    """Return the transport. `connector` and `lease` replace the real ones. `patience`: for how many seconds
    the connector waits for an answer of WhatsApp."""
    table = open_table(dynamodb, stores.keys_table)
    leases = RememberedLeases(lease or (lambda account: read_whereabouts(table, account, unsealing())))

    @cache
    def open_keys(account: str) -> KeyStore:
        def tell(change: IdentityChange) -> None:
            from tocsin.multidevice.identity import tell_change

            tell_change(open_stores(stores, dynamodb), keys, change)

        keys = KeyStore(table, unsealing(), account, on_identity_change=tell)
        return keys

    numbers = number_owners(stores, dynamodb)
    connector = connector or ConnectorClient(leases, patience=patience)
    return MultiDevice(open_keys, connector, leases, numbers, uploads=uploads)
