"""Dead letters can be looked at, sent again and given up; nobody is told twice, and no number is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tocsin.notify.notification import Attempt, Problem, State
from tocsin.notify.queues import Order
from tocsin.notify.redrive import Redriver, Selection
from tocsin_console import masking
from tocsin_console.dead_letters import drop_letters, list_letters, redrive_letters, show_letter
from tocsin_console.errors import ConsoleError, NotFound
from tocsin_console.explain import explain

BUDI = "6281311112222"


@pytest.fixture
def redriver(fake: FakeDeployment) -> Redriver:
    return fake.deployment.redriver(clock=lambda: NOW + 60)


def results(redriver: Redriver, selection: Selection | None = None, **options: bool) -> dict[str, str]:
    done = redriver.redrive(selection or Selection(), **options)
    return {one.letter.notification: one.result for one in done}


# -- looking -----------------------------------------------------------------------------------------------


def test_the_list_tells_ticket_reason_and_time_but_no_number(fake: FakeDeployment, said: Said) -> None:
    buried = fake.failed(code="not-on-whatsapp")
    list_letters(fake.deployment, said.output)
    row = said.lines[1]
    assert buried.id in row
    assert "TCK-1 TicketCreated" in row
    assert "not-on-whatsapp" in row
    assert "2026-11-18 11:06:40" in row
    assert "6281…90" in row
    assert SITI not in said.text
    assert "tocsin dead-letters redrive" in said.text


def test_what_arrived_meanwhile_is_not_listed_and_its_letter_goes(fake: FakeDeployment, said: Said) -> None:
    fake.arrives(fake.failed())
    list_letters(fake.deployment, said.output)
    assert said.lines == ["no dead letters"]
    assert fake.count("DeadLetters") == 0


def test_what_is_on_its_way_again_is_counted_and_not_listed(fake: FakeDeployment, said: Said) -> None:
    failed = fake.failed()
    fake.deployment.stores.notifications.reset_for_redrive(failed.id, at=NOW * 1000, expires_at=2**31 * 1000)
    list_letters(fake.deployment, said.output)
    assert said.lines == [
        "no dead letters",
        "and 1 more that ask for nothing: sent again, or at its end since",
    ]


def test_an_empty_list_says_so(fake: FakeDeployment, said: Said) -> None:
    list_letters(fake.deployment, said.output)
    assert said.lines == ["no dead letters"]


def test_letters_behind_ten_of_the_same_recipient_are_counted(fake: FakeDeployment, said: Said) -> None:
    for _ in range(12):
        fake.failed()
    fake.failed(BUDI)
    list_letters(fake.deployment, said.output)
    assert len([line for line in said.lines if "  server-error  " in line]) == 11
    assert "and about 2 more" in said.text


def test_programs_get_a_document_for_each_letter(fake: FakeDeployment, told: Said) -> None:
    buried = fake.failed()
    list_letters(fake.deployment, told.output)
    (record,) = told.records
    assert record["notification"] == buried.id
    assert (record["reason"], record["class"], record["state"]) == ("server-error", "retry", "failed")
    assert record["ticket"] == "TCK-1"
    assert record["recipient"] == "6281…90"


def test_a_letter_shows_its_history(fake: FakeDeployment, said: Said) -> None:
    planned = fake.planned()
    attempt = Attempt("ack-timeout", NOW * 1000, "retry", "no ack in 75 s", {f"{SITI}@s.whatsapp.net": 7})
    fake.deployment.stores.notifications.record_attempt(planned.id, attempt, spends_retry=True)
    problem = Problem("ack-timeout", "retry", "no ack in 75 s")
    fake.deployment.stores.notifications.fail(planned.id, problem, NOW * 1000)
    fake.bury(planned, problem)
    show_letter(fake.deployment, planned.id, text=False, output=said.output)
    assert "attempts      1" in said.text
    assert "ack-timeout (retry)  no ack in 75 s  6281…90@s.whatsapp.net #7" in said.text
    assert SITI not in said.text
    assert "Halo" not in said.text, "what people are told is shown only where asked for"


def test_the_text_is_shown_where_asked_for(fake: FakeDeployment, said: Said, told: Said) -> None:
    buried = fake.failed()
    show_letter(fake.deployment, buried.id, text=True, output=said.output)
    assert "| Halo Siti, *TCK-1*" in said.text
    show_letter(fake.deployment, buried.id, text=True, output=told.output)
    assert told.records[0]["text"] == "Halo Siti, *TCK-1*"


def test_json_masks_the_users_of_each_attempt(fake: FakeDeployment, told: Said) -> None:
    planned = fake.planned()
    attempt = Attempt("sent", NOW * 1000, "ok", "", {f"{SITI}@s.whatsapp.net": 7})
    fake.deployment.stores.notifications.record_attempt(planned.id, attempt)
    problem = Problem("recovery-exhausted", "recover")
    fake.deployment.stores.notifications.fail(planned.id, problem, NOW * 1000)
    fake.bury(planned, problem)
    show_letter(fake.deployment, planned.id, text=False, output=told.output)
    assert SITI not in told.text
    assert told.records[0]["attempts"][0]["numbers"] == {"6281…90@s.whatsapp.net": 7}


def test_a_letter_that_no_look_can_see_is_shown_from_its_record(fake: FakeDeployment, said: Said) -> None:
    buried = [fake.failed() for _ in range(11)]
    show_letter(fake.deployment, buried[-1].id, text=False, output=said.output)
    assert "server-error" in said.text


def test_what_isnt_dead_isnt_found_and_its_state_is_said(fake: FakeDeployment, said: Said) -> None:
    alive = fake.planned()
    with pytest.raises(NotFound, match="it is planned"):
        show_letter(fake.deployment, alive.id, text=False, output=said.output)


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
    fake: FakeDeployment, said: Said, told: Said, body: str
) -> None:
    fake.put("DeadLetters", body)
    buried = fake.failed()
    list_letters(fake.deployment, said.output)
    list_letters(fake.deployment, told.output)
    assert sorted(record["reason"] for record in told.records) == ["server-error", "unreadable"]
    assert buried.id in said.text
    [named] = [record["notification"] for record in told.records if record["reason"] == "unreadable"]
    assert any(line.startswith(named) and "unreadable" in line for line in said.lines)


ODD_ATTEMPTS = [7, None, "text", {"numbers": 7}, {"at": "yesterday", "detail": {"a": 1}}, {"at": 10**30}]


@pytest.mark.parametrize("attempt", ODD_ATTEMPTS, ids=repr)
def test_an_odd_attempt_spoils_no_letter(
    fake: FakeDeployment, said: Said, told: Said, attempt: object
) -> None:
    planned = fake.planned()
    fake.put("DeadLetters", json.dumps(Order.of(planned).to_json() | {"attempts": [attempt]}))
    list_letters(fake.deployment, told.output)
    show_letter(fake.deployment, planned.id, text=False, output=said.output)
    assert told.records[0]["notification"] == planned.id
    assert "attempts      1" in said.text


def test_numbers_that_json_doesnt_know_come_as_text(fake: FakeDeployment, told: Said) -> None:
    planned = fake.planned()
    letter = json.dumps(Order.of(planned).to_json() | {"attempts": [{"at": 1e999, "count": float("nan")}]})
    fake.put("DeadLetters", letter.replace("Infinity", "1e999"))
    list_letters(fake.deployment, told.output)
    assert "NaN" not in told.text.replace('"NaN"', "")
    assert told.records[0]["attempts"][0]["at"] is None


def test_a_record_that_cant_be_read_is_named_and_its_letter_kept(
    fake: FakeDeployment, redriver: Redriver, said: Said, told: Said
) -> None:
    odd, other = fake.failed(), fake.failed(BUDI)
    fake.spoil(odd)
    list_letters(fake.deployment, said.output)
    list_letters(fake.deployment, told.output)
    assert [line for line in said.lines if odd.id in line and "its record can't be read" in line]
    assert {one["notification"]: one["state"] for one in told.records} == {
        odd.id: "unreadable",
        other.id: "failed",
    }
    show_letter(fake.deployment, odd.id, text=True, output=said.output)
    assert results(redriver, dry_run=True) == {odd.id: "kept", other.id: "kept"}
    assert results(redriver) == {odd.id: "kept", other.id: "redriven"}


# -- sending again -----------------------------------------------------------------------------------------


def test_what_is_stuck_is_what_a_redrive_keeps(fake: FakeDeployment, redriver: Redriver) -> None:
    lost = fake.unreachable()
    fake.failed()
    kept = [identity for identity, result in results(redriver).items() if result == "kept"]
    assert kept == [lost.id]
    assert redriver.box().stuck == {lost.id}


def test_a_redriven_notification_starts_anew(fake: FakeDeployment, redriver: Redriver) -> None:
    buried = fake.failed()
    assert results(redriver) == {buried.id: "redriven"}
    stored = fake.stored(buried)
    assert (stored.state, stored.retries_used, stored.generation) == (State.PLANNED, 0, 1)
    assert stored.expires_at == (NOW + 60 + 86_400) * 1000, (
        "as long as this deployment lets a notification wait"
    )
    (order,) = fake.taken("Notifications")
    assert (order["notification"], order["generation"]) == (buried.id, 1)
    assert fake.taken("DeadLetters") == []


def test_more_than_ten_of_one_recipient_are_all_redriven_in_their_order(
    fake: FakeDeployment, redriver: Redriver
) -> None:
    buried = [fake.failed().id for _ in range(23)]
    assert list(results(redriver)) == buried
    assert [order["notification"] for order in fake.taken("Notifications")] == buried
    assert redriver.count() == 0


def test_one_named_but_hidden_behind_ten_others_is_redriven_too(
    fake: FakeDeployment, redriver: Redriver
) -> None:
    buried = [fake.failed() for _ in range(11)]
    assert results(redriver, Selection(notification=buried[-1].id)) == {buried[-1].id: "redriven"}
    assert [order["notification"] for order in fake.taken("Notifications")] == [buried[-1].id]
    fake.arrives(buried[-1])
    assert results(redriver)[buried[-1].id] == "dropped", "its letter, once it comes to light"


def test_a_name_that_no_letter_bears_is_an_error(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(NotFound, match="see 'tocsin dead-letters list'"):
        redrive_letters(fake.deployment, Selection(notification="f" * 18), dry_run=False, output=said.output)


def test_a_hidden_one_whose_record_cannot_be_read_is_an_error(fake: FakeDeployment, said: Said) -> None:
    odd = fake.failed()
    fake.spoil(odd)
    fake.taken("DeadLetters")
    with pytest.raises(ConsoleError, match=f"the record of notification {odd.id} can't be read"):
        redrive_letters(fake.deployment, Selection(notification=odd.id), dry_run=False, output=said.output)


def test_the_report_counts(fake: FakeDeployment, said: Said, told: Said) -> None:
    buried = fake.failed()
    redrive_letters(fake.deployment, Selection(), dry_run=True, output=told.output)
    assert told.records == [
        {"notification": buried.id, "result": "kept", "why": "would be sent again", "would": "redriven"}
    ]
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    assert said.lines == [f"{buried.id}  server-error  redriven", "1 redriven, 0 dropped, 0 kept"]


# -- giving up ---------------------------------------------------------------------------------------------


def test_a_dropped_letter_is_gone_and_its_notification_stays_failed(fake: FakeDeployment, said: Said) -> None:
    buried = fake.failed()
    drop_letters(
        fake.deployment, Selection(notification=buried.id), dry_run=False, output=said.output, yes=True
    )
    assert fake.deployment.redriver().count() == 0
    assert fake.stored(buried).state is State.FAILED


def test_a_message_that_nothing_of_ours_wrote_can_only_be_dropped(
    fake: FakeDeployment, redriver: Redriver, said: Said
) -> None:
    fake.put("DeadLetters", "hello?")
    (done,) = redriver.redrive(Selection())
    assert (done.letter.reason, done.result) == ("unreadable", "kept")
    list_letters(fake.deployment, said.output)
    assert "unreadable" in said.text
    drop_letters(fake.deployment, Selection(reason="unreadable"), dry_run=False, output=said.output, yes=True)
    assert redriver.count() == 0


# -- of a recipient without a usable number ------------------------------------------------------------------


def test_it_is_listed_and_shown_with_what_the_event_says(
    fake: FakeDeployment, said: Said, told: Said
) -> None:
    lost = fake.unreachable("0812\x1b Budi")
    list_letters(fake.deployment, said.output)
    show_letter(fake.deployment, lost.id, text=False, output=said.output)
    lines = "\n".join(said.lines)
    assert "customer '0812\\x1b Budi'  invalid-phone" in lines
    assert "(customer, without a usable address)" in lines
    assert "detail        detail.technicians[0].phone is not text" in lines
    assert "refused       '0812\\x1b Budi'" in lines
    show_letter(fake.deployment, lost.id, text=False, output=told.output)
    assert (told.records[0]["recipient"], told.records[0]["refused_address"]) == (None, "0812\x1b Budi")


def test_a_number_that_was_refused_is_masked_and_keeps_its_form(
    fake: FakeDeployment, said: Said, told: Said
) -> None:
    lost = fake.unreachable("0812-3456 o 789012")
    for output in (said.output, told.output):
        list_letters(fake.deployment, output)
        show_letter(fake.deployment, lost.id, text=False, output=output)
        explain(fake.deployment, lost.id, output=output)
    assert "\n".join(said.lines).count("'0812-•••• o ••••12'") == 3
    assert {one["refused_address"] for one in told.records} == {"0812-•••• o ••••12"}


def test_a_number_that_was_refused_is_shown_to_who_asks_for_it(fake: FakeDeployment, said: Said) -> None:
    fake.unreachable("0812-3456 o 789012")
    with masking.lifted(masking.Reveal(fake.deployment, "it")):
        list_letters(fake.deployment, said.output)
    assert "'0812-3456 o 789012'" in "\n".join(said.lines)
    assert [line.what for line in fake.deployment.stores.audit.lines()] == ["saw it"]


def test_programs_get_what_was_refused_too(fake: FakeDeployment, told: Said) -> None:
    fake.unreachable("0812 Budi")
    fake.failed()
    list_letters(fake.deployment, told.output)
    assert sorted(str(one["refused_address"]) for one in told.records) == ["0812 Budi", "None"]


def test_more_than_ten_of_them_are_all_seen(fake: FakeDeployment, redriver: Redriver) -> None:
    lost, problem = fake.unreachable(), Problem("invalid-phone", "permanent")
    for number in range(11):
        another = replace(lost, id=f"{number:018}")
        fake.deployment.stores.notifications.put_new(another)
        fake.bury(another, problem)
    assert len(redriver.read()) == 12


def test_without_the_right_to_the_key_a_letter_is_shown_but_for_its_words(
    fake: FakeDeployment, said: Said, told: Said
) -> None:
    buried = fake.unreachable("0812 ask Budi")
    vars(fake.deployment).update(record_sealer=None)
    show_letter(fake.deployment, buried.id, text=True, output=said.output)
    assert "reason        invalid-phone (permanent)" in said.text
    assert "words         sealed: you have no right to the key" in said.text
    assert "ask Budi" not in said.text
    show_letter(fake.deployment, buried.id, text=False, output=told.output)
    assert (told.records[0]["text"], told.records[0]["text_withheld"]) == (None, "text-locked")
