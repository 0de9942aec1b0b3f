"""What the connector may do in the tables: what it does, and nothing with notifications or sessions.

That it needs no more is shown by the other tests here: they run on the tables that the policy leaves it.
"""

from __future__ import annotations

import pytest

from tests.support.connector_fakes import Around
from tests.support.leading_keys import GrantedTable, NotGranted, choices, granted
from tests.support.templates import as_list, statements
from tocsin.dynamo.writes import Key, Put
from tocsin.tables import keys
from tocsin.tables import notifications as told

NUMBER = "6281234567890@s.whatsapp.net"

OUT_OF_REACH: list[tuple[str, Key]] = [
    ("KeysTable", keys.outbound_key("default", 1, "1234@lid")),
    ("KeysTable", keys.inbound_key("default", 1, "1234@lid", 0)),
    ("KeysTable", keys.stanza_key("default", 1, "1234@lid", 0, "A1", "ff")),
    ("KeysTable", keys.own_sender_key("default", 1, "1@g.us")),
    ("KeysTable", keys.upload_key("default", "message#3EB0AA")),
    ("NotificationsTable", told.notification_key("f" * 18)),
    ("NotificationsTable", told.reply_key("default", NUMBER, "R1")),
    ("NotificationsTable", told.thread_key("default", NUMBER, "TCK-1")),
    ("NotificationsTable", told.person_key("default", NUMBER)),
    ("NotificationsTable", told.identity_change_key("default", NUMBER, 1, "aa", 1)),
    ("NotificationsTable", (told.recoveries_pk("default", 1), "theirs#1#2")),
]
WITHIN_REACH: list[tuple[str, Key]] = [
    ("KeysTable", keys.credentials_key("default")),
    ("KeysTable", keys.lease_key("default")),
    ("KeysTable", keys.heartbeat_key("c1")),
    ("KeysTable", keys.operator_request_key("default")),
    ("KeysTable", keys.prekey_key("default", 7)),
    ("KeysTable", keys.address_key("default", NUMBER)),
    ("NotificationsTable", told.roster_key("second")),
    ("NotificationsTable", told.high_water_mark_key("default")),
    ("NotificationsTable", told.waiting_key("default", "1#f")),
    ("NotificationsTable", told.settings_key()),
    ("NotificationsTable", told.settings_version_key(7)),
]


@pytest.mark.parametrize(("table", "key"), OUT_OF_REACH)
def test_notifications_replies_and_sessions_are_out_of_its_reach(table: str, key: Key) -> None:
    granted_table = GrantedTable(table)  # type: ignore[arg-type]
    with pytest.raises(NotGranted):
        granted_table.get(key)
    with pytest.raises(NotGranted):
        granted_table.put(Put(key, {}))


@pytest.mark.parametrize(("table", "key"), WITHIN_REACH)
def test_what_it_works_with_is_within_it(table: str, key: Key) -> None:
    assert GrantedTable(table).get(key) is None  # type: ignore[arg-type]


def test_in_the_notifications_table_it_only_asks() -> None:
    own = {"Fn::GetAtt": ["NotificationsTable", "Arn"]}
    [statement] = [
        it for owner, it in statements() if owner == "ConnectorPolicy" and own in choices(it["Resource"])
    ]
    assert as_list(statement["Action"]) == ["dynamodb:GetItem", "dynamodb:Query"]


def test_no_pattern_grants_a_whole_table() -> None:
    patterns = [*granted("KeysTable"), *granted("NotificationsTable")]
    assert not [pattern for pattern in patterns if pattern.startswith("*")]


def test_the_tests_beside_this_run_on_what_is_granted() -> None:
    assert isinstance(Around().table, GrantedTable)
