"""The connectors that the leases name: what parking asks and tells the process with the socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.accounts.lease import read_lease
from tocsin.accounts.limits import first_contacts_limit
from tocsin.connector_client.errors import ConnectorError
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.notify.parking import NotTold

if TYPE_CHECKING:
    from tocsin.accounts.state import AccountState
    from tocsin.connector_client.client import ConnectorClient
    from tocsin.dynamo.table import Table
    from tocsin.sealing import Sealer


class LeasedConnectors:
    """Connectors as the leases name them, spoken to with the account's own token."""

    def __init__(self, table: Table, sealer: Callable[[], Sealer], client: ConnectorClient) -> None:
        self._table = table
        self._sealer = sealer
        self._client = client

    def state(self, account: str) -> AccountState | None:
        lease = read_lease(self._table, account)
        return None if lease is None or lease.connector is None else lease.state

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        return first_contacts_limit(self._table, account, time.time(), urgent=urgent) is None

    def own_name(self, account: str) -> str | None:
        """Return the account's own LID (a bare JID); `None` if it isn't linked."""
        from tocsin.keys.store import KeyStore
        from tocsin.whatsapp.jid import JID

        try:
            profile = KeyStore(self._table, self._sealer(), account).account.profile()
        except (NoAccount, NotPaired):
            return None
        return str(JID.parse(profile.lid).bare) if profile.lid else None

    def resumed(self, account: str) -> None:
        from tocsin.keys.store import KeyStore  # most runs find nothing to resume

        try:
            self._client.resumed(KeyStore(self._table, self._sealer(), account).account.profile())
        except (ConnectorError, NoAccount, NotPaired) as exc:
            raise NotTold(f"{type(exc).__name__}: {exc}") from exc
