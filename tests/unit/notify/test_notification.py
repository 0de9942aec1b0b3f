"""A notification's identity and the order of its states."""

from __future__ import annotations

import hashlib

import pytest

from tocsin.notify.notification import FROM, OUTCOMES, State, notification_id
from tocsin.tables.names import id_of_message


def test_the_id_is_a_hash_of_what_makes_a_notification_the_same() -> None:
    canonical = '["default","TCK-1042","TicketCreated",1,"customer","6281234567890"]'
    expected = hashlib.sha256(canonical.encode()).hexdigest()[:18]
    assert notification_id("default", "TCK-1042", "TicketCreated", 1, "customer", "6281234567890") == expected


def test_another_revision_is_another_notification() -> None:
    ids = {notification_id("a", "T", "TicketUpdated", revision, "customer", "1") for revision in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("message_id", "notification"),
    [
        ("3EB0" + "0A" * 9, "0a" * 9),
        ("3EB0" + "0a" * 9, None),
        ("3EB0" + "0A" * 8, None),
        ("3EB0" + "0A" * 10, None),
        ("3EB0" + "ZZ" * 9, None),
        ("3AB0" + "0A" * 9, None),
        ("", None),
    ],
)
def test_a_message_id_leads_back_to_its_notification(message_id: str, notification: str | None) -> None:
    assert id_of_message(message_id) == notification


def test_what_is_over_stays_over() -> None:
    """Nothing leads out of `read` or `suppressed`, and no receipt is ever taken back."""
    assert all(State.READ not in sources and State.SUPPRESSED not in sources for sources in FROM.values())
    assert State.DELIVERED not in FROM[State.SENT]
    assert State.DELIVERED not in FROM[State.FAILED]
    assert State.SENT not in FROM[State.WAITING]


def test_every_end_is_told() -> None:
    assert set(State) - set(OUTCOMES) == {State.PLANNED, State.WAITING}
