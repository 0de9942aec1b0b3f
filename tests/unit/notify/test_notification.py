"""A notification's identity and the order of its states."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest

from tests.support.notifications import a_notification
from tocsin.notify.notification import FROM, OUTCOMES, State, guessable_id, notification_id
from tocsin.tables.names import id_of_message

ABOUT = ("default", "TCK-1042", "TicketCreated", 1, "customer", "6281234567890")
CANONICAL = b'["default","TCK-1042","TicketCreated",1,"customer","6281234567890"]'


def test_the_id_is_a_mac_of_what_makes_a_notification_the_same() -> None:
    secret = bytes(range(32))
    assert notification_id(secret, *ABOUT) == hmac.new(secret, CANONICAL, "sha256").hexdigest()[:18]


def test_another_deployment_makes_other_ids() -> None:
    assert notification_id(bytes(32), *ABOUT) != notification_id(bytes([1]) * 32, *ABOUT)


def test_before_ids_had_a_secret_part_they_were_hashes() -> None:
    assert guessable_id(*ABOUT) == hashlib.sha256(CANONICAL).hexdigest()[:18]


def test_another_revision_is_another_notification() -> None:
    about = ("a", "T", "TicketUpdated")
    ids = {notification_id(bytes(32), *about, revision, "customer", "1") for revision in range(5)}
    assert len(ids) == 5


def test_a_sibling_s_id_follows_from_the_text_s_own_and_leads_back_to_it() -> None:
    text = a_notification()
    edit = replace(text, id=text.sibling_id("edit"), text_id=text.id)
    assert edit.id != text.id
    assert edit.sibling_id() == text.id
    assert edit.sibling_id("plan.pdf") == text.sibling_id("plan.pdf")


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
