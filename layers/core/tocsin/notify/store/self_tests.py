"""The last self-test of each account."""

from __future__ import annotations

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Equals, Item, Put
from tocsin.notify.self_test import Result, SelfTest
from tocsin.notify.store.codec import present
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import self_test_key


class SelfTests:
    """One item for each account. It is forgotten like a notification when no more are made."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def get(self, account: str) -> SelfTest | None:
        item = self._table.get(self_test_key(account))
        return None if item is None else _read(item)

    def put(self, account: str, test: SelfTest, *, after: SelfTest | None) -> bool:
        """Write it in the place of `after`. Return False if something else stands there by now."""
        item: Item = present(
            {
                "notification": test.notification,
                "asked_at": test.asked_at,
                "result": str(test.result),
                "cause": str(test.cause) or None,
                "ended_at": test.ended_at,
                "arrived_at": test.arrived_at,
                "sent_at": test.sent_at,
                "failing": int(test.failing),
                "expire_at": self._table.expire_at(test.asked_at),
            }
        )
        unchanged = (
            (ITEM_ABSENT,)
            if after is None
            else (Equals("asked_at", after.asked_at), Equals("result", str(after.result)))
        )
        try:
            self._table.put(Put(self_test_key(account), item, when=unchanged))
        except ConditionFailed:
            return False
        return True


def _read(item: Item) -> SelfTest:
    return SelfTest(
        notification=_text(item.get("notification")),
        asked_at=_number(item.get("asked_at")) or 0,
        result=_result(item.get("result")),
        cause=_text(item.get("cause")) or "",
        ended_at=_number(item.get("ended_at")),
        arrived_at=_number(item.get("arrived_at")),
        sent_at=_number(item.get("sent_at")),
        failing=bool(item.get("failing")),
    )


def _result(value: object) -> Result:
    """A word that this version doesn't know is a failure: then another one is made soon."""
    try:
        return Result(str(value))
    except ValueError:
        return Result.FAILED


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
