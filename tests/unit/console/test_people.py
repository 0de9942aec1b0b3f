"""`tocsin people` tells what is kept of a person, confirms a number that moved, and erases whom it shall."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.fake_aws import aws_account
from tests.support.fake_deployment import Said, asked, typing
from tests.support.fake_whatsapp import Device, Person
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.paired_account import ACCOUNT, OWN_LID, OWN_PHONE
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import reply_of_everybody
from tocsin.dynamo.writes import Delete, Put
from tocsin.notify.content import ERASED, Withheld
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.planning import spellings_of
from tocsin.tables.notifications import notification_key
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.jid import JID, LID
from tocsin_console import cli
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.explain import explain
from tocsin_console.forget import forget_person
from tocsin_console.people import People, confirm_number
from tocsin_console.person_view import show_person

NUMBER = "6281234567890"
LID_OF_SITI = "1234@lid"
TYPED = "0812-3456-7890"
MONTH = 31 * 86_400


@pytest.fixture
def functions() -> WiredFunctions:
    """Siti has read one message, and both of her devices wrote back."""
    functions = WiredFunctions(MemoryAws())
    functions.receipt(functions.tell(1))
    reply_of_everybody(functions)
    return functions


@pytest.fixture
def people(functions: WiredFunctions) -> People:
    return people_of(functions)


def people_of(functions: WiredFunctions) -> People:
    return People(deployment_of(functions), ACCOUNT)


def show(functions: WiredFunctions, wanted: str = TYPED) -> Said:
    said = Said()
    show_person(people_of(functions), wanted, output=said.output, clock=lambda: functions.paired.now)
    return said


def forget(functions: WiredFunctions, wanted: str = TYPED, *, dry_run: bool = False) -> Said:
    said = Said()
    forget_person(
        people_of(functions),
        wanted,
        dry_run=dry_run,
        output=said.output,
        yes=True,
        clock=lambda: functions.paired.now,
    )
    return said


def confirm(functions: WiredFunctions, wanted: str = TYPED) -> Said:
    said = Said()
    confirm_number(
        people_of(functions), wanted, output=said.output, yes=True, clock=lambda: functions.paired.now
    )
    return said


def everything(functions: WiredFunctions) -> str:
    """Both tables, as whoever may read them sees them."""
    return repr([everything_in(functions.aws.notifications_table), everything_in(functions.aws.keys_table)])


def traces(functions: WiredFunctions) -> list[tuple[str, str]]:
    """The items in which Siti is still named, anywhere."""
    tables = (functions.aws.notifications_table, functions.aws.keys_table)
    items = [item for table in tables for item in everything_in(table)]
    return [(item["pk"], item["sk"]) for item in items if NUMBER in repr(item) or LID_OF_SITI in repr(item)]


def moved(functions: WiredFunctions) -> Person:
    """A month later a stranger has Siti's number, and a notification for it is held. Return the stranger."""
    functions.siti.phone = "6289999999999"
    stranger = Person(NUMBER, "5678", {0: Device(JID("5678", LID))})
    functions.network.people["5678"] = stranger
    functions.paired.now += MONTH
    assert functions.deliver(plan(functions, 2)).cause == NUMBER_MOVED
    return stranger


def plan(functions: WiredFunctions, number: int) -> Notification:
    """A notification to the number that the ticketing system knows."""
    present, functions.siti.phone = functions.siti.phone, NUMBER
    planned = functions.plan(number)
    functions.siti.phone = present
    return planned


# -- show --------------------------------------------------------------------------------------------------


def test_a_person_is_shown_by_any_spelling_of_their_number_and_by_their_lid(functions):
    for wanted in (TYPED, "+62 812 3456 7890", f"{NUMBER}@s.whatsapp.net", LID_OF_SITI):
        assert show(functions, wanted).lines[0] == f"person        {LID_OF_SITI}  (account default)"


def test_a_name_that_only_leads_to_the_person_is_said_to(functions):
    assert f"              {NUMBER} is another name of this person" in show(functions).lines
    assert "followed" not in show(functions, LID_OF_SITI).text


def test_what_is_kept_is_told_in_words(functions):
    text = show(functions).text
    assert "a ticket wrote to it" in text
    assert "consent       no opt-out" in text
    assert f"number        {NUMBER} is {LID_OF_SITI}: WhatsApp said so" in text
    assert "kept          1 notification, the last one until " in text
    assert "kept          2 replies, the last one until " in text
    assert "sessions      next number 1" in text
    assert "2 sessions" in text


def test_an_opt_out_is_shown_with_its_word(functions):
    functions.reply("STOP", "STOP1")
    assert "consent       opted out" in show(functions).text
    assert "by 'stop'" in show(functions).text


def test_a_number_is_masked_where_the_operator_did_not_type_it(functions):
    text = show(functions, LID_OF_SITI).text
    assert NUMBER not in text
    assert "6281…90" in text


def test_a_number_that_moved_and_what_waits_for_it_are_shown(functions):
    moved(functions)
    text = show(functions).text
    assert "now WhatsApp names 5678@lid" in text
    assert f": {NUMBER_MOVED}, due" in text


def test_nobody_is_told_of_nobody(functions, people, said):
    with pytest.raises(NotFound, match="nothing is stored"):
        show_person(people, "+62 811 0000 0000", output=said.output)


@pytest.mark.parametrize("wanted", ["", "x", "a@b@c", "1:2@lid", "1203@g.us", "\x1b[2J", "9" * 4000])
def test_what_names_nobody_is_refused(people, said, wanted):
    with pytest.raises(Usage):
        show_person(people, wanted, output=said.output)


# -- confirm -----------------------------------------------------------------------------------------------


def test_a_confirmed_number_is_written_to_and_what_waited_goes_out(functions):
    stranger = moved(functions)
    said = confirm(functions)
    assert said.lines[-1].startswith(f"{NUMBER} is 5678@lid from now on; 1 waiting notifications")
    [row] = functions.stores.parking.waiting(ACCOUNT)
    assert row.due_at == from_seconds(functions.paired.now)
    functions.stores.parking.requeue(row.notification, row=row)
    functions.restart()
    while functions.deliver(functions.stored(plan(functions, 2))).outcome == "rerouted":
        pass
    assert texts(stranger.devices[0]) == ["Tiket 2"]


def test_all_spellings_of_a_number_are_confirmed_together():
    """WhatsApp has another form of a Mexican number than tickets have, and both are known."""
    functions = WiredFunctions(MemoryAws())
    written, at_whatsapp = "525512345678", "5215512345678"
    functions.network.aliases[written] = functions.siti.phone = at_whatsapp
    contacts = functions.paired.keys.contacts
    for spelling in (written, at_whatsapp):
        contacts.learn(f"{spelling}@s.whatsapp.net", LID_OF_SITI)
        contacts.note_moved(f"{spelling}@s.whatsapp.net", "5678@lid")
    confirm(functions, f"+{written}")
    for spelling in (written, at_whatsapp):
        known = contacts.known(f"{spelling}@s.whatsapp.net")
        assert (known.lid, known.moved_to) == ("5678@lid", None)
        assert functions.stores.people.find(ACCOUNT, f"{spelling}@s.whatsapp.net").id == "5678@lid"


def test_what_was_known_of_the_old_owner_stays_with_them(functions):
    moved(functions)
    functions.stores.people.opt_out(ACCOUNT, LID_OF_SITI, "STOP", 5)
    confirm(functions)
    people = functions.stores.people
    assert people.find(ACCOUNT, f"{NUMBER}@s.whatsapp.net").id == "5678@lid"
    assert people.find(ACCOUNT, "5678@lid").opted_out_at is None
    assert people.find(ACCOUNT, LID_OF_SITI).opted_out_at is not None


def test_a_confirmation_that_was_cut_off_is_done_again(functions):
    moved(functions)
    functions.paired.keys.contacts.learn(f"{NUMBER}@s.whatsapp.net", "5678@lid")  # and then it crashed
    assert "1 waiting notifications" in confirm(functions).lines[-1]
    assert functions.stores.people.find(ACCOUNT, f"{NUMBER}@s.whatsapp.net").id == "5678@lid"


def test_what_was_parked_anew_meanwhile_is_not_released(functions):
    moved(functions)
    [row] = functions.stores.parking.waiting(ACCOUNT)
    [notification] = [functions.stores.notifications.get(row.notification)]
    functions.stores.parking.park(notification, "away", 1, due_at=2**50)
    assert not functions.stores.parking.release(row, 5)
    [anew] = functions.stores.parking.waiting(ACCOUNT)
    assert anew.due_at == 2**50


def test_only_a_number_that_moved_can_be_confirmed(functions, people, said):
    with pytest.raises(NotFound, match="nothing to confirm"):
        confirm_number(people, TYPED, output=said.output, yes=True)
    with pytest.raises(Usage, match="not a LID"):
        confirm_number(people, LID_OF_SITI, output=said.output, yes=True)


def test_an_operator_is_asked_with_both_owners_named(functions, people):
    moved(functions)
    terminal = typing("n\n")
    with pytest.raises(ConsoleError, match="nothing was done"):
        confirm_number(people, TYPED, output=terminal, yes=False)
    assert f"the number {NUMBER} was known as 1234@lid; WhatsApp named 5678@lid" in asked(terminal)
    assert functions.paired.keys.contacts.known(f"{NUMBER}@s.whatsapp.net").moved_to == "5678@lid"


# -- forget ------------------------------------------------------------------------------------------------


def test_nothing_in_either_table_names_an_erased_person(functions):
    functions.tell(2)
    functions.stores.threads.follow(functions.stored(functions.plan(3)))
    functions.paired.keys.contacts.keep_token("9999@lid", LID_OF_SITI, b"token", 5)
    assert traces(functions)
    forget(functions)
    assert traces(functions) == []
    assert "Tiket" not in everything(functions)


def test_the_twin_others_stay_as_they_were(functions):
    budi = functions.network.person("6281111111111", "2222")
    functions.siti, siti = budi, functions.siti
    kept = functions.tell(5)
    functions.siti = siti
    forget(functions)
    assert functions.stored(kept).text == "Tiket 5"
    assert functions.stores.people.find(ACCOUNT, "2222@lid").names
    assert functions.paired.keys.contacts.known("2222@lid") is not None


def test_what_was_sent_stays_as_a_fact_without_words_or_names(functions):
    sent = functions.tell(2)
    forget(functions)
    stored = functions.stored(sent)
    assert (stored.state, stored.ticket_id, stored.recipient) == (State.SENT, "TCK-2", "")
    assert stored.content == Withheld(ERASED)
    said = Said()
    explain(deployment_of(functions), sent.id, output=said.output, text=True)
    assert sent.id in said.text


def test_what_still_waits_is_ended_first(functions):
    waits, queued = functions.plan(2), functions.plan(3)
    functions.stores.parking.park(waits, "away", 1)
    said = forget(functions)
    assert functions.stored(waits).state is functions.stored(queued).state is State.SUPPRESSED
    assert list(functions.stores.parking.waiting(ACCOUNT)) == []
    assert functions.deliver(queued).outcome == "dropped"
    assert "in the queue lay 1 notification." in said.text
    assert "Tiket 3" not in texts(functions.siti.devices[0])


def test_what_a_send_added_meanwhile_is_erased_by_running_it_again(functions):
    queued = functions.plan(2)
    forget(functions)
    functions.stores.notifications.record_attempt(queued.id, functions.stored(functions.tell(9)).attempts[0])
    assert traces(functions)
    forget(functions, LID_OF_SITI)
    assert traces(functions) == []


def test_an_opt_out_outlives_who_said_it(functions):
    functions.reply("STOP", "S1")
    forget(functions)
    assert traces(functions) == []
    functions.restart()
    planned = functions.plan(7)
    assert functions.deliver(planned).outcome == "suppressed"


@pytest.mark.parametrize("spelled", [NUMBER, LID_OF_SITI])
def test_it_holds_under_each_of_their_names(functions, spelled):
    functions.reply("STOP", "S1")
    forget(functions)
    functions.stores.people.address(ACCOUNT, [spellings_of(spelled)])
    name = spelled if "@" in spelled else f"{spelled}@s.whatsapp.net"
    assert functions.stores.people.find(ACCOUNT, name).opted_out_at is not None


def test_the_twin_who_never_opted_out_is_written_to(functions):
    forget(functions)
    functions.restart()
    assert functions.deliver(functions.plan(7)).outcome == "sent"


def test_an_erased_person_who_wants_messages_again_gets_them(functions):
    functions.reply("STOP", "S1")
    forget(functions)
    assert functions.stores.people.opt_in(ACCOUNT, LID_OF_SITI, 9)
    functions.restart()
    assert functions.deliver(functions.plan(7)).outcome == "sent"


def test_what_was_planned_in_that_moment_is_not_sent_either(functions):
    functions.reply("STOP", "S1")
    planned = functions.plan(7)
    table, key = functions.aws.notifications_table, notification_key(planned.id)
    item = table.get(key)
    table.delete(Delete(key))  # no walk through the table has found it yet
    forget(functions)
    table.put(Put(key, {name: value for name, value in item.items() if name not in ("pk", "sk")}))
    functions.restart()
    assert functions.deliver(planned).outcome == "suppressed"


def test_a_shown_person_who_was_erased_had_opted_out(functions):
    functions.reply("STOP", "S1")
    forget(functions)
    assert "then erased: kept as a hash" in show(functions).text


def test_a_rehearsal_counts_and_changes_nothing(functions):
    before = everything(functions)
    said = forget(functions, dry_run=True)
    assert everything(functions) == before
    assert "would erase" in said.text
    assert "  1 notification" in said.lines
    assert "  2 replies" in said.lines


def test_what_is_kept_and_why_is_told(functions):
    text = forget(functions).text
    for what in ("dead letters", "on the bus", "logs, without numbers", "point-in-time recovery"):
        assert what in text


@pytest.mark.parametrize("own", [f"+{OWN_PHONE}", f"{OWN_LID}@lid"])
def test_the_account_itself_is_nobody_to_forget(functions, people, said, own):
    before = everything(functions)
    with pytest.raises(Usage, match="the account itself"):
        forget_person(people, own, dry_run=False, output=said.output, yes=True)
    assert everything(functions) == before


def test_letters_that_may_still_name_them_are_named(functions):
    failed = functions.plan(2)
    functions.stores.notifications.fail(failed.id, Problem("gone", "permanent"), 1)
    assert f"tocsin dead-letters drop {failed.id}" in forget(functions).text


def test_a_second_time_nothing_is_left_to_erase(functions, people, said):
    forget(functions)
    with pytest.raises(NotFound, match="erased before"):
        forget_person(people, TYPED, dry_run=False, output=said.output, yes=True)


def test_what_was_cut_off_is_finished_by_running_it_again(functions, monkeypatch):
    for step in ("belongings.erase", "keys"):
        functions.tell(20 + len(step))
        with monkeypatch.context() as patch:
            target = (
                "tocsin.notify.store.belongings.Belongings.erase"
                if step == "belongings.erase"
                else "tocsin.keys.store.upkeep.Upkeep.forget"
            )
            patch.setattr(target, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                forget(functions)
        assert traces(functions)
    forget(functions)
    assert traces(functions) == []


def test_the_old_owner_of_a_number_is_erased_without_the_new_one(functions):
    stranger = moved(functions)
    confirm(functions)
    functions.restart()
    [row] = functions.stores.parking.waiting(ACCOUNT)
    functions.stores.parking.requeue(row.notification, row=row)
    while functions.deliver(functions.stores.notifications.get(row.notification)).outcome == "rerouted":
        pass
    forget(functions, LID_OF_SITI)
    assert functions.stores.notifications.get(row.notification).text == "Tiket 2"
    assert functions.stores.people.find(ACCOUNT, f"{NUMBER}@s.whatsapp.net").id == str(stranger.user)
    assert functions.paired.keys.contacts.known(f"{NUMBER}@s.whatsapp.net").lid == str(stranger.user)
    assert functions.stores.people.find(ACCOUNT, LID_OF_SITI).names == {}


def test_whoever_opts_out_in_that_moment_is_not_lost(functions, monkeypatch):
    original = functions.paired.keys.upkeep.forget

    def meanwhile(*arguments):
        functions.stores.people.opt_out(ACCOUNT, LID_OF_SITI, "STOP", 5)

    monkeypatch.setattr("tocsin.keys.store.upkeep.Upkeep.forget", meanwhile)
    with pytest.raises(ConsoleError, match="run it again"):
        forget(functions)
    monkeypatch.setattr("tocsin.keys.store.upkeep.Upkeep.forget", lambda _, *given: original(*given))
    forget(functions)
    assert functions.deliver(functions.plan(7)).outcome == "suppressed"


ODD = [frozenset({"a"}), -1, 10**30, "", b"x", [], [[]], [{}], {}, {"a": {"b": [1]}}]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["account", "recipient", "person", "recipient_lid", "created_at", "state", "expire_at", "id"]
)
def test_one_record_of_another_form_spoils_nothing(functions, name, value):
    odd, sound = functions.tell(2), functions.tell(3)
    table = functions.aws.notifications_table
    item = {**table.get(notification_key(odd.id)), name: value}
    table.put(Put((item.pop("pk"), item.pop("sk")), item))
    show(functions)
    forget(functions)
    assert functions.stored(sound).recipient == ""


@pytest.mark.slow
def test_over_the_wire_it_is_the_same():
    with aws_account() as account:
        functions = WiredFunctions(account.furnish())
        functions.receipt(functions.tell(1))
        functions.reply("STOP", "S1")
        assert traces(functions)
        forget(functions)
        assert traces(functions) == []
        functions.restart()
        assert functions.deliver(functions.plan(2)).outcome == "suppressed"


# -- the command line --------------------------------------------------------------------------------------


@pytest.fixture
def found(functions: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the deployment of these functions."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment_of(functions))


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (["show", LID_OF_SITI], 0, "person"),
        (["show", "0899-9999-9999"], 3, "error"),
        (["confirm", TYPED, "--yes"], 3, "error"),
        (["forget", TYPED, "--dry-run"], 0, "notifications"),
        (["forget", TYPED], 2, "error"),
        (["forget", TYPED, "--yes"], 0, "opt_out_hashes"),
        (["show"], 2, "error"),
    ],
)
def test_the_command_line(found, capsys, words, code, key):
    assert cli.main(["--json", "people", *words]) == code
    assert key in json.loads(capsys.readouterr().out.splitlines()[-1])


def test_sessions_come_with_counters_and_ages(functions: WiredFunctions) -> None:
    (first, *_) = [line for line in show(functions).lines if "device 0:" in line]
    assert re.search(r"index \d+, made .* ago, last received from .* ago", first)
