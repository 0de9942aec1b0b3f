"""Tocsin's own calls: messages, tickets, states."""

from __future__ import annotations

import pytest

from tests.support.doors import OpenDoor, value_of
from tocsin.accounts.state import AccountState
from tocsin.door.dialect import Progress
from tocsin.notify.events.samples import FULL


@pytest.fixture
def open_door() -> OpenDoor:
    made = OpenDoor()
    made.add("api")
    return made


def bearer(door: OpenDoor) -> dict[str, str]:
    return {"authorization": f"Bearer {door.tokens['api']}"}


HALLO = {"to": ["+6281234567890", "120363000000000000@g.us"], "text": "Halo"}


def test_a_message_becomes_an_event_and_is_answered_with_its_id(open_door: OpenDoor) -> None:
    answer = open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door))
    assert answer.status == 202
    (detail,) = open_door.events.details
    assert detail == {
        "version": "1",
        "account": "default",
        "key": value_of(answer)["id"],
        "recipients": [{"phone": "+6281234567890"}, {"group": "120363000000000000@g.us"}],
        "text": "Halo",
        "source": "api",
    }
    assert answer.headers["location"] == f"/v1/messages/{value_of(answer)['id']}"


def test_the_entry_bears_the_source_and_the_type_that_the_rule_looks_for(open_door: OpenDoor) -> None:
    open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door))
    (entry,) = open_door.events.entries
    assert (entry["Source"], entry["DetailType"]) == ("ticketing", "MessageRequested")
    assert entry["EventBusName"] == "tickets"


def test_the_same_key_is_one_event_and_200(open_door: OpenDoor) -> None:
    first, second = (
        open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door), idempotency_key="INV-7")
        for _ in range(2)
    )
    assert (first.status, second.status) == (202, 200)
    assert value_of(first)["id"] == value_of(second)["id"]
    assert len(open_door.events.entries) == 1


def test_the_same_key_in_another_process_is_the_same_message_to_the_planner(open_door: OpenDoor) -> None:
    for door in (None, open_door.another_process()):
        open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door), idempotency_key="INV-7", door=door)
    first, second = open_door.events.details
    assert first["key"] == second["key"]


def test_the_same_text_with_another_key_is_another_message(open_door: OpenDoor) -> None:
    for key in ("INV-7", "INV-8"):
        open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door), idempotency_key=key)
    first, second = open_door.events.details
    assert first["key"] != second["key"]


def test_a_key_of_another_message_is_refused(open_door: OpenDoor) -> None:
    open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door), idempotency_key="INV-7")
    other = open_door.ask(
        "POST", "/v1/messages", {**HALLO, "text": "Lain"}, **bearer(open_door), idempotency_key="INV-7"
    )
    assert (other.status, value_of(other)["title"]) == (422, "key-reused")


def test_two_sources_with_the_same_key_of_theirs_are_apart(open_door: OpenDoor) -> None:
    other = open_door.add("api", "other")
    open_door.ask("POST", "/v1/messages", HALLO, **bearer(open_door), idempotency_key="1")
    open_door.ask("POST", "/v1/messages", HALLO, authorization=f"Bearer {other}", idempotency_key="1")
    first, second = open_door.events.details
    assert first["key"] != second["key"]


def test_errors_are_problems_with_every_violation(open_door: OpenDoor) -> None:
    answer = open_door.ask("POST", "/v1/messages", {"too": "+62812", "txt": "Halo"}, **bearer(open_door))
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert [one.partition(":")[0] for one in value_of(answer)["violations"]] == ["too", "txt"]


def test_the_answer_to_a_flood_is_short(open_door: OpenDoor) -> None:
    flood = {f"field{number}": 1 for number in range(50_000)}
    answers = [
        open_door.ask("POST", "/v1/messages", {**HALLO, **flood}, **bearer(open_door)),
        open_door.ask(
            "POST", "/v1/messages", {**HALLO, "to": ["+6281234567890"] * 50_000}, **bearer(open_door)
        ),
    ]
    assert [one.status for one in answers] == [400, 400]
    assert all(len(one.body) < 100_000 for one in answers)
    assert len(value_of(answers[0])["violations"]) == 200


def test_a_ticket_event_goes_on_as_it_is(open_door: OpenDoor) -> None:
    answer = open_door.ask("POST", "/v1/tickets", {"event": "created", **FULL}, **bearer(open_door))
    assert (answer.status, open_door.events.details) == (202, [FULL])
    assert open_door.events.entries[0]["DetailType"] == "TicketCreated"


def test_a_ticket_with_the_same_key_is_one_event_and_200(open_door: OpenDoor) -> None:
    told = {"event": "created", **FULL}
    answers = [
        open_door.ask("POST", "/v1/tickets", told, idempotency_key="TCK-1042/1", **bearer(open_door))
        for _ in range(2)
    ]
    assert [one.status for one in answers] == [202, 200]
    assert value_of(answers[1])["repeated"] is True
    assert open_door.events.details == [FULL]


def test_a_ticket_written_with_its_members_in_another_order_is_the_same_one(open_door: OpenDoor) -> None:
    told = {"event": "created", **FULL}
    turned = {name: told[name] for name in reversed(told)}
    turned["ticket"] = dict(reversed(FULL["ticket"].items()))
    answers = [
        open_door.ask("POST", "/v1/tickets", one, idempotency_key="TCK-1042/1", **bearer(open_door))
        for one in (told, turned)
    ]
    assert [one.status for one in answers] == [202, 200]


def test_a_key_of_another_ticket_or_of_a_message_is_its_own(open_door: OpenDoor) -> None:
    told = {"event": "created", **FULL}
    asked = [
        ("/v1/tickets", told, 202),
        ("/v1/tickets", {**told, "event": "updated"}, 422),
        ("/v1/messages", HALLO, 202),
    ]
    for path, body, status in asked:
        answer = open_door.ask("POST", path, body, idempotency_key="one", **bearer(open_door))
        assert answer.status == status
    assert len(open_door.events.entries) == 2


def test_a_ticket_that_the_bus_did_not_take_is_not_remembered(open_door: OpenDoor) -> None:
    told = {"event": "created", **FULL}
    open_door.events.down = True
    first = open_door.ask("POST", "/v1/tickets", told, idempotency_key="one", **bearer(open_door))
    open_door.events.down = False
    again = open_door.ask("POST", "/v1/tickets", told, idempotency_key="one", **bearer(open_door))
    assert (first.status, again.status) == (503, 202)


def test_a_ticket_s_key_that_none_can_be_is_refused(open_door: OpenDoor) -> None:
    told = {"event": "created", **FULL}
    answer = open_door.ask("POST", "/v1/tickets", told, idempotency_key="k" * 256, **bearer(open_door))
    assert (answer.status, open_door.events.entries) == (400, [])


def test_a_ticket_event_that_breaks_its_schema_is_refused_with_every_violation(open_door: OpenDoor) -> None:
    broken = {"event": "updated", "ticket": {"id": "7", "subject": ""}}
    answer = open_door.ask("POST", "/v1/tickets", broken, **bearer(open_door))
    assert answer.status == 422
    assert len(value_of(answer)["violations"]) == 3
    assert open_door.events.entries == []


def test_the_state_of_a_message_is_that_of_its_notifications(open_door: OpenDoor) -> None:
    open_door.facts.found["msg-1"] = [Progress("n1", "delivered", 1000), Progress("n2", "failed", 0, "gone")]
    told = value_of(open_door.ask("GET", "/v1/messages/msg-1", **bearer(open_door)))
    assert told["notifications"] == [
        {"id": "n1", "state": "delivered", "at": "1970-01-01T00:00:01.000Z"},
        {"id": "n2", "state": "failed", "at": "1970-01-01T00:00:00.000Z", "reason": "gone"},
    ]


def test_an_unknown_message_is_404(open_door: OpenDoor) -> None:
    assert open_door.ask("GET", "/v1/messages/msg-2", **bearer(open_door)).status == 404


@pytest.mark.parametrize("identity", ["x" * 65, "msg-1%00", "a%2Fmsg-1", "%F0%9F%98%80" * 700])
def test_an_id_that_no_message_has_asks_nobody(
    open_door: OpenDoor, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(open_door.facts), "progress", asked)
    assert open_door.ask("GET", f"/v1/messages/{identity}", **bearer(open_door)).status == 404


def test_accounts_are_told_in_their_true_state(open_door: OpenDoor) -> None:
    open_door.facts.known["billing"] = AccountState.LOGGED_OUT
    told = value_of(open_door.ask("GET", "/v1/accounts", **bearer(open_door)))
    assert told["accounts"] == [
        {"account": "default", "state": "connected"},
        {"account": "billing", "state": "logged_out"},
    ]


@pytest.mark.parametrize("key", ["tocsin/requested/door/other/msg-1/0/invoice.pdf", "tocsin/"])
def test_no_source_sends_on_the_files_of_another_one(open_door: OpenDoor, key: str) -> None:
    message = {**HALLO, "files": [{"name": "a.pdf", "key": key}]}
    ticket = {**FULL, "event": "created", "attachments": [{"key": key, "file_name": "a.pdf"}]}
    answers = [
        open_door.ask("POST", "/v1/messages", message, **bearer(open_door)),
        open_door.ask("POST", "/v1/tickets", ticket, **bearer(open_door)),
    ]
    assert [(one.status, value_of(one)["title"]) for one in answers] == [(403, "not-allowed")] * 2
    assert open_door.events.entries == []


def test_a_file_of_the_bucket_that_is_nobody_s_goes_on(open_door: OpenDoor) -> None:
    message = {**HALLO, "files": [{"name": "a.pdf", "key": "invoices/tocsin/7.pdf"}]}
    assert open_door.ask("POST", "/v1/messages", message, **bearer(open_door)).status == 202
