"""Changes of identity: a device of somebody's has new keys, or their number belongs to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Put
from tocsin.notify.notification import IDENTITY_CHANGED
from tocsin.notify.store.codec import present
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import identity_change_key, identity_changes_pk


class IdentityChanges:
    """The items that hold changes of identity. `user`: a bare JID; `at`: ms."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def put(
        self, account: str, user: str, device: int, change: Mapping[str, Any], fingerprint: str, at: int
    ) -> bool:
        """Keep that a device of `user` has a new identity, and tell the world; whether it is news.

        Told again within the hour, it is the same news. `change`: what the event shall say; `fingerprint`: of
        the new identity.
        """
        kept = {
            **change,
            "account": account,
            "user": user,
            "device": device,
            "changed_at": at,
            "outcome": IDENTITY_CHANGED,
            "outcome_at": at,
            "expire_at": self._table.expire_at(at),
        }
        key = identity_change_key(account, user, device, fingerprint, at)
        try:
            self._table.put(Put(key, present(kept), when=(ITEM_ABSENT,)))
        except ConditionFailed:
            return False
        return True

    def of(self, account: str, user: str) -> list[dict[str, Any]]:
        """The kept changes of identity of `user`, oldest first."""
        found: list[dict[str, Any]] = [
            dict(item) for item in self._table.query(identity_changes_pk(account, user))
        ]
        return sorted(found, key=lambda values: values["changed_at"])
