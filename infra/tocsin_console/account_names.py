"""How an account is called wherever it is named: its id, its number, and the name that WhatsApp knows.

All of it stands in plain beside the account's sealed keys, so that who may look may see it. A number is the
business's own and isn't masked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin.tables.keys import credentials_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.dynamo.writes import Item

FRESH_SECONDS: Final = 60.0
_BATCH: Final = 100


class Named(NamedTuple):
    """`number`: digits, `name`: of a business; empty where none is known. `linked`: None if that can't be
    seen."""

    account: str
    number: str = ""
    name: str = ""
    linked: bool | None = None

    @property
    def label(self) -> str:
        """For people: `default (+6281234567890, Warung Net)`, `default (not linked)`."""
        known = ", ".join(filter(None, (self.number and f"+{self.number}", self.name)))
        if self.linked is False:
            known = "not linked"
        return f"{self.account} ({known})" if known else self.account

    def to_json(self) -> dict[str, str | None]:
        """For programs, beside the account's id."""
        return {"number": f"+{self.number}" if self.number else None, "name": self.name or None}

    def about(self) -> dict[str, str | None]:
        """The same beside what is no account's own, such as a notification."""
        return {f"account_{name}": value for name, value in self.to_json().items()}


class AccountNames:
    """What is known of accounts, remembered for a minute. `usual`: accounts that are read along with any, so
    that a list of all takes one request. What can't be read leaves the id alone."""

    def __init__(
        self,
        table: Callable[[], Table],
        usual: Callable[[], Iterable[str]] = tuple,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._usual = usual
        self._clock = clock
        self._known: dict[str, tuple[float, Named]] = {}

    def of(self, account: str) -> Named:
        return self.all([account])[account]

    def label(self, account: str) -> str:
        return self.of(account).label

    def labels(self, accounts: Iterable[str]) -> str:
        """Several, with commas between them."""
        wanted = list(accounts)
        found = self.all(wanted)
        return ", ".join(found[account].label for account in wanted)

    def all(self, accounts: Iterable[str]) -> dict[str, Named]:
        """Several at once."""
        wanted, now = list(dict.fromkeys(accounts)), self._clock()
        if any(self._is_old(account, now) for account in wanted):
            self._read(
                [one for one in dict.fromkeys((*wanted, *self._usual())) if self._is_old(one, now)], now
            )
        return {account: self._known[account][1] for account in wanted}

    def _is_old(self, account: str, now: float) -> bool:
        known = self._known.get(account)
        return known is None or now - known[0] >= FRESH_SECONDS

    def _read(self, accounts: list[str], now: float) -> None:
        for start in range(0, len(accounts), _BATCH):
            some = accounts[start : start + _BATCH]
            try:
                found = self._table().get_many([credentials_key(account) for account in some])
            except (BotoCoreError, ClientError, TableError):
                self._known |= {account: (now, Named(account)) for account in some}
                continue
            for account in some:
                self._known[account] = (now, _named(account, found.get(credentials_key(account))))


def _named(account: str, item: Item | None) -> Named:
    jid = item.get("jid") if item is not None else None
    if item is None or not isinstance(jid, str):
        return Named(account, linked=False)
    number, name = jid.partition("@")[0].partition(":")[0], item.get("push_name")
    return Named(account, number if number.isdecimal() else "", name if isinstance(name, str) else "", True)
