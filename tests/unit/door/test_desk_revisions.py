"""Revisions: one change told twice is one, two changes are two, also within a second."""

from __future__ import annotations

import pytest

from tests.support.desks import Recorded, changed, recorded, translated
from tocsin.door.desks.kind import names
from tocsin.door.desks.revision import MAX_REVISION


def revision(one: Recorded, body: bytes | None = None) -> int:
    entry = translated(one, body).entry
    assert entry is not None
    value: int = entry.detail["ticket"]["revision"]
    assert 0 <= value <= MAX_REVISION
    return value


def with_headers(one: Recorded, **headers: str) -> Recorded:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Recorded(one.name, {**one.told, "headers": {**one.headers, **told}})


@pytest.mark.parametrize("kind", names())
def test_the_same_delivery_has_the_same_revision(kind: str) -> None:
    one = recorded()[f"{kind}-updated"]
    assert revision(one) == revision(one)


@pytest.mark.parametrize("kind", names())
def test_two_changes_have_two_revisions(kind: str) -> None:
    assert revision(recorded()[f"{kind}-created"]) != revision(recorded()[f"{kind}-updated"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("glpi-updated", {"item__priority": 1}),
        ("redmine-created", {"data__issue__subject": "another"}),
        ("freescout-updated", {"preview": "another"}),
        ("znuny-updated", {"Ticket__Priority": "1 very low"}),
        ("splynx-updated", {"data__attributes__priority": "low"}),
        ("freshdesk-updated", {"ticket__priority": 1}),
    ],
)
def test_two_changes_within_a_second_are_two(name: str, change: dict[str, object]) -> None:
    one = recorded()[name]
    assert revision(one) != revision(one, changed(one, **change))


def test_zammads_retry_has_the_ticket_as_it_is_then_and_the_same_delivery() -> None:
    one = recorded()["zammad-updated"]
    later = changed(one, ticket__updated_at="2026-12-01T02:31:00.000Z", ticket__title="another")
    assert revision(one, later) == revision(one)
    other = with_headers(one, x_zammad_delivery="another")
    assert revision(other) != revision(one)


def test_jiras_and_zendesks_retries_keep_their_identifier() -> None:
    for name, header in (
        ("jira-updated", "x_atlassian_webhook_identifier"),
        ("zendesk-updated", "x_zendesk_webhook_invocation_id"),
    ):
        one = recorded()[name]
        assert revision(one, one.body + b" ") == revision(one)
        assert revision(with_headers(one, **{header: "another"})) != revision(one)


def test_redmines_revision_is_the_journals_number() -> None:
    assert revision(recorded()["redmine-updated"]) == 502


@pytest.mark.parametrize("told", [-1, 2**53, 1.5, True, "x", "9" * 30, None, [1]])
def test_a_number_that_is_none_leaves_it_to_the_rest(told: object) -> None:
    one = recorded()["generic-created"]
    assert revision(one, changed(one, ticket__revision=told)) > 1


def test_a_number_as_text_is_a_number() -> None:
    one = recorded()["generic-created"]
    assert revision(one, changed(one, ticket__revision="12")) == 12


def test_the_key_of_a_caller_is_the_revision_where_there_is_no_number() -> None:
    one = recorded()["generic-created"]
    body, other = changed(one, ticket__revision=None), changed(one, ticket__revision=None, ticket__title="b")
    keyed = with_headers(one, idempotency_key="INV-7")
    assert revision(keyed, body) == revision(keyed, other)
    assert revision(one, body) != revision(one, other)
