"""Dead letters can be looked at, sent again and given up; nobody is told twice, and no number is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.fake_deployment import NOW, SITI, Rig, Said
from tocsin.notify.notification import Attempt, Problem, State
from tocsin.notify.queues import Order
from tocsin_console.dead_letters import (
    DeadLetters,
    Selection,
    drop_letters,
    list_letters,
    redrive_letters,
    show_letter,
)
from tocsin_console.errors import NotFound

BUDI = "6281311112222"


@pytest.fixture
def letters(rig: Rig) -> DeadLetters:
    return DeadLetters(rig.deployment, clock=lambda: NOW + 60)


def results(letters: DeadLetters, selection: Selection | None = None, **options: bool) -> dict[str, str]:
    done = letters.redrive(selection or Selection(), **options)
    return {one.letter.notification: one.result for one in done}


# -- looking -----------------------------------------------------------------------------------------------


def test_the_list_tells_ticket_reason_and_time_but_no_number(rig: Rig, said: Said) -> None:
    buried = rig.failed(code="not-on-whatsapp")
    list_letters(rig.deployment, said.output)
    row = said.lines[1]
    assert buried.id in row
    assert "TCK-1 TicketCreated" in row
    assert "not-on-whatsapp" in row
    assert "2026-11-18 11:06:40" in row
    assert "6281…90" in row
    assert SITI not in said.text
    assert "tocsin dead-letters redrive" in said.text


def test_the_list_says_what_arrived_meanwhile(rig: Rig, said: Said) -> None:
    rig.arrives(rig.failed())
    list_letters(rig.deployment, said.output)
    assert "server-error (it has arrived meanwhile (delivered))" in said.text


def test_an_empty_list_says_so(rig: Rig, said: Said) -> None:
    list_letters(rig.deployment, said.output)
    assert said.lines == ["no dead letters"]


def test_letters_behind_ten_of_the_same_recipient_are_counted(rig: Rig, said: Said) -> None:
    for _ in range(12):
        rig.failed()
    rig.failed(BUDI)
    list_letters(rig.deployment, said.output)
    assert len([line for line in said.lines if "server-error" in line]) == 11
    assert "and about 2 more" in said.text


def test_programs_get_a_document_for_each_letter(rig: Rig, told: Said) -> None:
    buried = rig.failed()
    list_letters(rig.deployment, told.output)
    (record,) = told.records
    assert record["notification"] == buried.id
    assert (record["reason"], record["class"], record["state"]) == ("server-error", "retry", "failed")
    assert record["ticket"] == "TCK-1"
    assert record["recipient"] == "6281…90"


def test_a_letter_shows_its_history(rig: Rig, said: Said) -> None:
    planned = rig.planned()
    attempt = Attempt("ack-timeout", NOW * 1000, "retry", "no ack in 75 s", {f"{SITI}@s.whatsapp.net": 7})
    rig.deployment.stores.notifications.record_attempt(planned.id, attempt, spends_retry=True)
    problem = Problem("ack-timeout", "retry", "no ack in 75 s")
    rig.deployment.stores.notifications.fail(planned.id, problem, NOW * 1000)
    rig.bury(planned, problem)
    show_letter(rig.deployment, planned.id, text=False, output=said.output)
    assert "attempts      1" in said.text
    assert "ack-timeout (retry)  no ack in 75 s  6281…90@s.whatsapp.net #7" in said.text
    assert SITI not in said.text
    assert "Halo" not in said.text, "what people are told is shown only where asked for"


def test_the_text_is_shown_where_asked_for(rig: Rig, said: Said, told: Said) -> None:
    buried = rig.failed()
    show_letter(rig.deployment, buried.id, text=True, output=said.output)
    assert "| Halo Siti, *TCK-1*" in said.text
    show_letter(rig.deployment, buried.id, text=True, output=told.output)
    assert told.records[0]["text"] == "Halo Siti, *TCK-1*"


def test_json_masks_the_users_of_each_attempt(rig: Rig, told: Said) -> None:
    planned = rig.planned()
    attempt = Attempt("sent", NOW * 1000, "ok", "", {f"{SITI}@s.whatsapp.net": 7})
    rig.deployment.stores.notifications.record_attempt(planned.id, attempt)
    problem = Problem("recovery-exhausted", "recover")
    rig.deployment.stores.notifications.fail(planned.id, problem, NOW * 1000)
    rig.bury(planned, problem)
    show_letter(rig.deployment, planned.id, text=False, output=told.output)
    assert SITI not in told.text
    assert told.records[0]["attempts"][0]["numbers"] == {"6281…90@s.whatsapp.net": 7}


def test_a_letter_that_no_look_can_see_is_shown_from_its_record(rig: Rig, said: Said) -> None:
    buried = [rig.failed() for _ in range(11)]
    show_letter(rig.deployment, buried[-1].id, text=False, output=said.output)
    assert "server-error" in said.text


def test_what_isnt_dead_isnt_found_and_its_state_is_said(rig: Rig, said: Said) -> None:
    alive = rig.planned()
    with pytest.raises(NotFound, match="it is planned"):
        show_letter(rig.deployment, alive.id, text=False, output=said.output)


ID = "0123456789abcdef01"
DEEP = "[" * 5000 + "]" * 5000
ODD = {
    "deep": DEEP,
    "deep within": json.dumps({"notification": ID, "detail": "?"}).replace('"?"', DEEP),
    "a bit deep": "[" * 400 + "]" * 400,
    "a list": "[]",
    "a number without end": "9" * 5000,
    "no fields": "{}",
    "no id": json.dumps({"notification": ["x"], "account": "a", "recipient": "r", "audience": "c"}),
    "an id too long for a key": json.dumps(
        {"notification": "f" * 4000, "account": "a", "recipient": "r", "audience": "c"}
    ),
    "attempts that are none": json.dumps(
        {"notification": ID, "account": "a", "recipient": "r", "audience": "c", "attempts": 7}
    ),
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_letter_is_named_and_the_others_are_listed(
    rig: Rig, said: Said, told: Said, body: str
) -> None:
    rig.put("DeadLetters", body)
    buried = rig.failed()
    list_letters(rig.deployment, said.output)
    list_letters(rig.deployment, told.output)
    assert sorted(record["reason"] for record in told.records) == ["server-error", "unreadable"]
    assert buried.id in said.text
    [named] = [record["notification"] for record in told.records if record["reason"] == "unreadable"]
    assert any(line.startswith(named) and "unreadable" in line for line in said.lines)


ODD_ATTEMPTS = [7, None, "text", {"numbers": 7}, {"at": "yesterday", "detail": {"a": 1}}, {"at": 10**30}]


@pytest.mark.parametrize("attempt", ODD_ATTEMPTS, ids=repr)
def test_an_odd_attempt_spoils_no_letter(rig: Rig, said: Said, told: Said, attempt: object) -> None:
    planned = rig.planned()
    rig.put("DeadLetters", json.dumps(Order.of(planned).to_json() | {"attempts": [attempt]}))
    list_letters(rig.deployment, told.output)
    show_letter(rig.deployment, planned.id, text=False, output=said.output)
    assert told.records[0]["notification"] == planned.id
    assert "attempts      1" in said.text


def test_numbers_that_json_doesnt_know_come_as_text(rig: Rig, told: Said) -> None:
    planned = rig.planned()
    letter = json.dumps(Order.of(planned).to_json() | {"attempts": [{"at": 1e999, "count": float("nan")}]})
    rig.put("DeadLetters", letter.replace("Infinity", "1e999"))
    list_letters(rig.deployment, told.output)
    assert "NaN" not in told.text.replace('"NaN"', "")
    assert told.records[0]["attempts"][0]["at"] == "1e999"


def test_a_record_that_cant_be_read_is_named_and_its_letter_kept(
    rig: Rig, letters: DeadLetters, said: Said, told: Said
) -> None:
    odd, other = rig.failed(), rig.failed(BUDI)
    rig.spoil(odd)
    list_letters(rig.deployment, said.output)
    list_letters(rig.deployment, told.output)
    assert [line for line in said.lines if odd.id in line and "its record can't be read" in line]
    assert {one["notification"]: one["state"] for one in told.records} == {
        odd.id: "unreadable",
        other.id: "failed",
    }
    show_letter(rig.deployment, odd.id, text=True, output=said.output)
    assert results(letters, dry_run=True) == {odd.id: "kept", other.id: "kept"}
    assert results(letters) == {odd.id: "kept", other.id: "redriven"}


# -- sending again -----------------------------------------------------------------------------------------


def test_a_redriven_notification_starts_anew(rig: Rig, letters: DeadLetters) -> None:
    buried = rig.failed()
    assert results(letters) == {buried.id: "redriven"}
    stored = rig.stored(buried)
    assert (stored.state, stored.retries_used, stored.generation) == (State.PLANNED, 0, 1)
    assert stored.expires_at == NOW + 60 + 7200, "as long as this deployment lets a notification wait"
    (order,) = rig.taken("Notifications")
    assert (order["notification"], order["generation"]) == (buried.id, 1)
    assert rig.taken("DeadLetters") == []


def test_more_than_ten_of_one_recipient_are_all_redriven_in_their_order(
    rig: Rig, letters: DeadLetters
) -> None:
    buried = [rig.failed().id for _ in range(23)]
    assert list(results(letters)) == buried
    assert [order["notification"] for order in rig.taken("Notifications")] == buried
    assert letters.count() == 0


def test_what_arrived_meanwhile_is_not_sent_again(rig: Rig, letters: DeadLetters) -> None:
    buried = rig.failed()
    rig.arrives(buried)
    assert results(letters) == {buried.id: "dropped"}
    assert rig.taken("Notifications") == []
    assert letters.count() == 0


def test_a_letter_that_outlived_its_record_is_dropped(rig: Rig, letters: DeadLetters) -> None:
    buried = rig.failed()
    rig.deployment.dynamodb.delete_item(
        TableName=rig.deployment["NotificationsTable"],
        Key={"pk": {"S": f"notification#{buried.id}"}, "sk": {"S": "state"}},
    )
    assert results(letters) == {buried.id: "dropped"}


def test_a_redrive_that_crashed_before_deleting_the_letter_can_be_repeated(
    rig: Rig, letters: DeadLetters
) -> None:
    buried = rig.failed()
    results(letters)
    rig.bury(buried, Problem("server-error", "retry"))
    assert results(letters) == {buried.id: "redriven"}
    assert rig.stored(buried).generation == 2, "the older order is superseded, not sent"


def test_what_the_queue_gave_up_on_can_be_redriven(rig: Rig, letters: DeadLetters) -> None:
    """SQS moves an order on which the function crashed ten times as it is: without a reason."""
    planned = rig.planned()
    rig.put("DeadLetters", json.dumps(Order.of(planned).to_json()))
    assert [letter.reason for letter in letters.read()] == ["crashed"]
    assert results(letters, Selection(reason="crashed")) == {planned.id: "redriven"}


@pytest.mark.parametrize("field", ["account", "recipient", "audience"])
def test_a_letter_that_names_another_than_its_record_is_dropped_and_nobody_is_told(
    rig: Rig, letters: DeadLetters, field: str
) -> None:
    failed = rig.failed()
    (letter,) = rig.taken("DeadLetters")
    rig.put("DeadLetters", json.dumps({**letter, field: "another"}))
    (done,) = letters.redrive(Selection())
    assert (done.result, done.why) == ("dropped", f"it names another {field} than its notification")
    assert rig.taken("Notifications") == []
    assert rig.stored(failed).state is State.FAILED


def test_only_the_selected_ones_are_redriven(rig: Rig, letters: DeadLetters) -> None:
    first, second, third = rig.failed(), rig.failed(BUDI, code="gone"), rig.failed(BUDI)
    assert results(letters, Selection(reason="gone")) == {second.id: "redriven"}
    assert results(letters, Selection(notification=third.id)) == {third.id: "redriven"}
    assert [letter.notification for letter in letters.read()] == [first.id]


def test_a_dry_run_changes_nothing_and_says_what_would_be(rig: Rig, letters: DeadLetters) -> None:
    dead, arrived = rig.failed(), rig.failed(BUDI)
    rig.arrives(arrived)
    said = {done.letter.notification: done.why for done in letters.redrive(Selection(), dry_run=True)}
    assert said[dead.id] == "would be sent again"
    assert said[arrived.id].startswith("would be dropped: it has arrived meanwhile")
    assert rig.stored(dead).state is State.FAILED
    assert letters.count() == 2


def test_one_that_fails_again_at_once_is_redriven_once(rig: Rig, letters: DeadLetters) -> None:
    """Else `redrive --all` would go on for ever with a number that isn't on WhatsApp."""
    buried = rig.failed()
    redriven = 0
    for done in letters.redrive(Selection()):
        redriven += 1
        rig.deployment.stores.notifications.fail(buried.id, Problem("gone", "permanent"), NOW * 1000)
        rig.bury(buried, Problem("gone", "permanent"))
        assert done.result == "redriven"
    assert redriven == 1
    assert letters.count() == 1


def test_one_named_but_hidden_behind_ten_others_is_redriven_too(rig: Rig, letters: DeadLetters) -> None:
    buried = [rig.failed() for _ in range(11)]
    assert results(letters, Selection(notification=buried[-1].id)) == {buried[-1].id: "redriven"}
    assert [order["notification"] for order in rig.taken("Notifications")] == [buried[-1].id]
    rig.arrives(buried[-1])
    assert results(letters)[buried[-1].id] == "dropped", "its letter, once it comes to light"


def test_a_name_that_no_letter_bears_is_an_error(rig: Rig, said: Said) -> None:
    with pytest.raises(NotFound, match="see 'tocsin dead-letters list'"):
        redrive_letters(rig.deployment, Selection(notification="f" * 18), dry_run=False, output=said.output)


def test_the_report_counts(rig: Rig, said: Said, told: Said) -> None:
    buried = rig.failed()
    redrive_letters(rig.deployment, Selection(), dry_run=True, output=told.output)
    assert told.records == [{"notification": buried.id, "result": "kept", "why": "would be sent again"}]
    redrive_letters(rig.deployment, Selection(), dry_run=False, output=said.output)
    assert said.lines == [f"{buried.id}  server-error  redriven", "1 redriven, 0 dropped, 0 kept"]


# -- giving up ---------------------------------------------------------------------------------------------


def test_a_dropped_letter_is_gone_and_its_notification_stays_failed(rig: Rig, said: Said) -> None:
    buried = rig.failed()
    drop_letters(
        rig.deployment, Selection(notification=buried.id), dry_run=False, output=said.output, yes=True
    )
    assert DeadLetters(rig.deployment).count() == 0
    assert rig.stored(buried).state is State.FAILED


def test_a_message_that_nothing_of_ours_wrote_can_only_be_dropped(
    rig: Rig, letters: DeadLetters, said: Said
) -> None:
    rig.put("DeadLetters", "hello?")
    (done,) = letters.redrive(Selection())
    assert (done.letter.reason, done.result) == ("unreadable", "kept")
    list_letters(rig.deployment, said.output)
    assert "unreadable" in said.text
    drop_letters(rig.deployment, Selection(reason="unreadable"), dry_run=False, output=said.output, yes=True)
    assert letters.count() == 0


# -- of a recipient without a usable number ------------------------------------------------------------------


def test_it_is_listed_and_shown_with_what_the_event_says(rig: Rig, said: Said, told: Said) -> None:
    lost = rig.unreachable("0812\x1b Budi")
    list_letters(rig.deployment, said.output)
    show_letter(rig.deployment, lost.id, text=False, output=said.output)
    lines = "\n".join(said.lines)
    assert "customer without a usable address" in lines
    assert "detail        detail.technicians[0].phone is not text" in lines
    assert "refused       '0812\\x1b Budi'" in lines
    show_letter(rig.deployment, lost.id, text=False, output=told.output)
    assert (told.records[0]["recipient"], told.records[0]["refused_address"]) == (None, "0812\x1b Budi")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_it_is_not_redriven_and_says_what_to_do(
    rig: Rig, letters: DeadLetters, dry_run: bool, hidden: bool
) -> None:
    lost = rig.unreachable()
    if hidden:
        rig.taken("DeadLetters")
    (done,) = letters.redrive(Selection(lost.id), dry_run=dry_run)
    assert done.result == "kept"
    assert "let that send the event again" in done.why
    assert rig.taken("Notifications") == []
    assert rig.stored(lost).state is State.FAILED


def test_more_than_ten_of_them_are_all_seen(rig: Rig, letters: DeadLetters) -> None:
    lost, problem = rig.unreachable(), Problem("invalid-phone", "permanent")
    for number in range(11):
        another = replace(lost, id=f"{number:018}")
        rig.deployment.stores.notifications.put_new(another)
        rig.bury(another, problem)
    assert len(letters.read()) == 12
