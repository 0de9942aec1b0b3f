"""What handlers may ask: states of accounts, how far a message got, whose number it could be. Reads alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tocsin.door.answer import Entry, unavailable
from tocsin.door.dialect import Progress
from tocsin.dynamo.errors import TableError
from tocsin.tables.notifications import TICKET, notification_key, notification_of

if TYPE_CHECKING:
    from tocsin.accounts.state import AccountState
    from tocsin.dynamo.table import IndexedTable, Table
    from tocsin.dynamo.writes import Item

LEASE_ATTRIBUTES: Final = ("pk", "sk", "connector", "state", "since", "detail", "epoch", "expire_at")
"""All that is read of an account, and of who holds it. Where it answers is none of it."""

PROGRESS_ATTRIBUTES: Final = (
    "pk",
    "sk",
    "state",
    "created_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "suppressed_at",
    "waiting_since",
    "last_error",
)
"""All that is read of a notification: neither whom it is for nor what it says."""

_MOMENTS: Final = {
    "waiting": "waiting_since",
    "sent": "sent_at",
    "delivered": "delivered_at",
    "read": "read_at",
    "failed": "failed_at",
    "suppressed": "suppressed_at",
}

MAX_NOTIFICATIONS: Final = 200
"""Of one message. It has at most 50 recipients, and a text and a few files for each."""


@dataclass(frozen=True)
class Place:
    """Where the deployment is: for numbers without a country code, and for the accounts it serves."""

    default_region: str
    default_area: str = ""
    attachments: bool = False


@dataclass(frozen=True)
class StoredFacts:
    """`leases`, `notifications`: the two tables, each with the attributes above alone. `named(source, id)`:
    what stands in a notification in place of a ticket's id. `now`: ms."""

    now: int
    leases: Table
    notifications: IndexedTable
    named: Callable[[str, str], str]
    place: Place

    def states(self, accounts: Sequence[str]) -> Mapping[str, AccountState]:
        """Raises Refused (503)."""
        from tocsin.accounts.lease import account_states

        try:
            return account_states(self.leases, accounts, self.now / 1000)
        except TableError:
            raise unavailable("the state of the account can't be read now") from None

    def normal(self, phone: str) -> str:
        from tocsin.people.numbers import normalise_phone

        return normalise_phone(phone, self.place.default_region, self.place.default_area)

    def violations(self, entry: Entry, accounts: Sequence[str]) -> Sequence[str]:
        from tocsin.door.tickets import violations_of

        return violations_of(
            entry,
            accounts=accounts,
            default_region=self.place.default_region,
            default_area=self.place.default_area,
            attachments=self.place.attachments,
        )

    def progress(self, source: str, message_id: str) -> Sequence[Progress]:
        """Raises Refused (503)."""
        try:
            found = self.notifications.indexed(
                TICKET, self.named(source, message_id), limit=MAX_NOTIFICATIONS
            )
            ids = [one for key in found if (one := notification_of(key)) is not None]
            items = self.notifications.get_many([notification_key(one) for one in ids])
        except TableError:
            raise unavailable("the state of the message can't be read now") from None
        told = [_progress(one, items[notification_key(one)]) for one in ids if notification_key(one) in items]
        return sorted(told, key=lambda one: one.notification)


def _progress(notification: str, item: Item) -> Progress:
    state = str(item.get("state", ""))
    at = item.get(_MOMENTS.get(state, "created_at"), item.get("created_at", 0))
    error: Any = item.get("last_error")
    failed = state in ("failed", "suppressed", "waiting") and isinstance(error, Mapping)
    reason = str(error.get("code", "")) if failed else ""
    return Progress(notification, state, at if isinstance(at, int) else 0, reason)
