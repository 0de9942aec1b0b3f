"""What is told of restricted accounts each minute: for the alarm, by cause, and nothing when all is well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tocsin.connector.context import Meters
from tocsin.connector.process import Connector
from tocsin.metrics import Tally


def told(
    *accounts: tuple[tuple[str, ...], float | None], cold: dict[str, int] | None = None
) -> dict[Any, Any]:
    meters = Meters()
    meters.cold.update(cold or {})
    process: Any = SimpleNamespace(
        _accounts={
            str(number): SimpleNamespace(restrictions=causes, new_chats_used=used)
            for number, (causes, used) in enumerate(accounts)
        },
        _context=SimpleNamespace(meters=meters),
    )
    tally = Tally()
    Connector._tally_health(process, tally)
    return {
        (name, dict(dimensions).get("cause") or dict(dimensions).get("account")): metric.values
        for dimensions, metrics in tally.take()
        for name, metric in metrics.items()
    }


def test_restricted_accounts_are_counted_once_and_by_each_cause() -> None:
    found = told((("reachout-lock", "new-chat-quota"), None), (("reachout-lock",), None), ((), None))
    assert found == {
        ("AccountsRestricted", None): [2],
        ("AccountsRestricted", "reachout-lock"): [2],
        ("AccountsRestricted", "new-chat-quota"): [1],
    }


def test_new_chats_are_measured_while_whatsapp_warns() -> None:
    assert told(((), 90.0), ((), None)) == {("NewChatsUsed", None): [90.0]}


def test_cold_recipients_are_counted_by_account() -> None:
    assert told(cold={"default": 2}) == {("ColdRecipients", "default"): [2]}


def test_of_healthy_accounts_nothing_is_told() -> None:
    assert told(((), None)) == {}
