"""`tocsin explain` tells the whole life of a notification, of its message, or of all of a ticket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_deployment import Said
from tests.support.fake_whatsapp import message_from
from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import deaf, reply_of_everybody
from tocsin.accounts.lease import LeaseKeeper
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.content import Attachment, Edit, File, Quote, Reaction, Text
from tocsin.notify.notification import Notification, Problem, request_name
from tocsin.notify.queues import TicketEventsDeadQueue
from tocsin.notify.redrive import Selection
from tocsin.notify.store.audit import LETTERS_DROPPED, MAX_IDS, AuditLine
from tocsin.tables.notifications import notification_key, source_key
from tocsin_console.errors import NeedsAttention, NotFound, Usage
from tocsin_console.explain import explain


@pytest.fixture
def functions() -> WiredFunctions:
    return WiredFunctions(MemoryAws())


def lines(functions: WiredFunctions, wanted: str, said: Said, *, text: bool = False) -> list[str]:
    explain(
        deployment_of(functions), wanted, output=said.output, text=text, clock=lambda: functions.paired.now
    )
    return said.lines


def record(functions: WiredFunctions, notification: Notification, told: Said) -> dict:
    [record] = _records(functions, notification.id, told)
    return record


def _records(functions: WiredFunctions, wanted: str, told: Said) -> list[dict]:
    explain(deployment_of(functions), wanted, output=told.output, clock=lambda: functions.paired.now)
    return told.records


def whats(record: dict) -> list[str]:
    return [one["what"] for one in record["timeline"]]


def after(functions: WiredFunctions, seconds: float) -> None:
    functions.paired.now += seconds


# -- what arrived ------------------------------------------------------------------------------------------


def test_what_arrived_says_when_and_by_which_device(functions, said):
    notification = functions.tell(1)
    after(functions, 3)
    functions.receipt(notification)
    text = "\n".join(lines(functions, notification.id, said))
    assert "state         delivered" in text
    assert "ticket        TCK-1, TicketCreated, revision 1" in text
    assert "says 1234@lid" in text


def test_each_device_stands_with_its_number_and_index_and_never_a_key(functions, said):
    functions.tell(1)
    reply_of_everybody(functions)
    notification = functions.tell(2)
    found = [line.strip() for line in lines(functions, notification.id, said)]
    numbers = functions.stored(notification).attempts[-1].numbers
    assert f"1234@lid  msg, number {numbers['1234@lid']}, index 0" in found
    assert f"9999@lid  pkmsg, number {numbers['9999@lid']}, index 1  (own device)" in found


def test_the_number_of_the_recipient_is_masked(functions, said):
    notification = functions.tell(1)
    assert functions.siti.phone not in "\n".join(lines(functions, notification.id, said))


def test_the_message_id_leads_to_the_same_life_in_either_case(functions, said, told):
    notification = functions.tell(1)
    by_id = lines(functions, notification.id, said)
    again = Said()
    assert lines(functions, notification.message_id.lower(), again) == by_id
    assert record(functions, notification, told)["message"] == notification.message_id


def test_the_text_is_told_only_when_it_is_asked_for(functions, said):
    notification = functions.tell(1, text="Rahasia")
    assert "Rahasia" not in "\n".join(lines(functions, notification.id, said))
    assert "  | Rahasia" in lines(functions, notification.id, Said(stream=said.stream), text=True)


def test_without_the_right_to_the_key_everything_else_is_told(functions, said, told):
    notification = functions.tell(1, text="Rahasia")
    deployment = deployment_of(functions)
    vars(deployment).update(record_sealer=None)
    explain(deployment, notification.id, output=said.output, text=True)
    assert "state         sent" in said.text
    assert "words         sealed: you have no right to the key" in said.text
    assert "Rahasia" not in said.text
    explain(deployment, notification.id, output=told.output, text=True)
    assert (told.records[0]["text"], told.records[0]["text_withheld"]) == (None, "text-locked")


# -- what did not ------------------------------------------------------------------------------------------


def test_a_recovery_is_told_with_cause_way_and_time_to_heal(functions, told):
    functions.tell(1)
    functions.siti.devices[0].corrupt()
    notification = functions.tell(2)
    functions.answer_retries()
    after(functions, 2)
    functions.receipt(notification)
    life = record(functions, notification, told)
    assert whats(life) == ["planned", "sent", "recovered", "delivered", "healed"]
    recovered = next(one for one in life["timeline"] if one["what"] == "recovered")
    assert (
        "(bad-mac: its keys and ours differ), count 1: sent again, new session from bundle"
        in recovered["text"]
    )
    assert recovered["copies"] == {"1234@lid": "pkmsg 0"}
    assert next(one for one in life["timeline"] if one["what"] == "healed")["seconds"] == 2.0


def test_what_a_device_refused_to_the_end_lies_dead_with_the_way_back(functions, said, told):
    functions.tell(1)
    notification, _ = deaf(functions)
    functions.answer_retries()
    life = record(functions, notification, told)
    assert whats(life).count("recovered") == 5
    assert "its retries are used up" in next(
        one["text"] for one in life["timeline"] if one["what"] == "refused"
    )
    assert life["conclusion"].startswith("given up: recovery-exhausted")
    assert f"tocsin dead-letters redrive {notification.id}" in life["conclusion"]


def test_a_device_that_never_answers_is_looked_for(functions, told):
    notification = functions.tell(1)
    after(functions, 7200)
    life = record(functions, notification, told)
    assert life["conclusion"] == (
        "WhatsApp accepted it 2 h ago, but no device confirmed it: is the phone on and online?"
    )


def test_a_device_is_given_some_seconds_before_it_is_looked_for(functions, told):
    notification = functions.tell(1)
    after(functions, 10)
    assert record(functions, notification, told)["conclusion"].endswith("ago; no device confirmed it yet")


def test_a_device_that_could_not_read_it_yet_is_named(functions, told):
    functions.tell(1)
    functions.siti.devices[0].corrupt()
    notification = functions.tell(2)
    functions.answer_retries()
    assert (
        "1234@lid can't read it (bad-mac): it was sent there again"
        in record(functions, notification, told)["conclusion"]
    )


def test_a_parked_one_says_for_what_it_waits(functions, told):
    functions.paired.lease.state = "connecting"
    notification = functions.plan(1)
    functions.deliver(notification)
    life = record(functions, notification, told)
    assert whats(life) == ["planned", "waits"]
    assert life["conclusion"].startswith("waits for not-connected")
    assert "sent by itself when that ends" in life["conclusion"]


def test_a_planned_one_says_how_long_it_is_in_the_queue(functions, told):
    notification = functions.plan(1)
    after(functions, 600)
    assert record(functions, notification, told)["conclusion"].startswith(
        "in the queue for 10 min, not sent yet"
    )


def test_a_suppressed_one_says_that_the_recipient_opted_out(functions, told):
    functions.tell(1)
    functions.reply("STOP")
    notification = functions.plan(2)
    functions.deliver(notification)
    assert record(functions, notification, told)["conclusion"] == "not sent: the recipient opted out"


def test_a_reply_and_a_new_phone_belong_to_the_life(functions, told):
    notification = functions.tell(1)
    reply_of_everybody(functions)
    after(functions, 1)
    functions.receipt(notification)
    functions.siti.devices[0].reinstall()
    second = functions.tell(2)
    functions.answer_retries()
    after(functions, 1)
    functions.receipt(second)
    at = str(int(functions.paired.now))
    functions.receive(message_from(functions.siti.devices[0], functions.siti, "R9", "Terima kasih", t=at))
    assert whats(record(functions, second, told)) == [
        "planned",
        "sent",
        "recovered",
        "identity",
        "delivered",
        "healed",
        "reply",
    ]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"kind": "voice"}, "the recipient answered (voice)"),
        ({"kind": "other", "type": "eventMessage"}, "the recipient answered (other, eventMessage)"),
        (
            {"kind": "edit", "about_message_id": "R1", "consent": "withdrawn"},
            "the recipient edited an answer (R1); consent withdrawn",
        ),
        ({"kind": "deleted"}, "the recipient deleted an answer (unnamed)"),
        ({"kind": "view_once"}, "the recipient wrote what Tocsin can't read (view_once)"),
    ],
)
def test_a_reply_says_what_kind_it_was(functions, told, reply, text):
    notification = functions.tell(1)
    user, at = f"{functions.siti.phone}@s.whatsapp.net", int(functions.paired.now * 1000) + 1
    functions.stores.replies.put(
        notification.account, user, "R1", {**reply, "notification_id": notification.id}, at
    )
    assert record(functions, notification, told)["timeline"][-1]["text"] == text


# -- tickets -----------------------------------------------------------------------------------------------


def test_a_ticket_shows_all_its_notifications(functions, told):
    functions.tell(7)
    after(functions, 1)
    functions.tell(7, audience="technician")
    assert [one["audience"] for one in _records(functions, "TCK-7", told)] == ["customer", "technician"]


@pytest.mark.parametrize("source", ["zammad", "api-2"])
def test_the_id_that_the_http_door_answered_leads_to_its_message(functions, told, source):
    key = f"msg-{'4f' * 12}"
    deployment = deployment_of(functions)
    for name in ("zammad", "api-2"):
        deployment.outside_table.put(Put(source_key(name), {"kind": "api"}))
    of_source = replace(functions.plan(7), id="ab" * 9, ticket_id=request_name(source, key))
    functions.stores.notifications.put_new(of_source)
    assert [one["notification"] for one in _records(functions, key, told)] == ["ab" * 9]


def test_a_ticket_whose_event_was_refused_says_what_was_wrong(functions, said):
    deployment = deployment_of(functions)
    event = '{"id": "e-1", "detail-type": "TicketCreated", "detail": {"ticket": {"id": "TCK-9"}}}'
    queue = TicketEventsDeadQueue(functions.aws.sqs, deployment["TicketEventsDeadQueueUrl"])
    queue.send(event, ("detail.customer.phone: is no number",), 0)
    explain(deployment, "TCK-9", output=said.output)
    assert said.lines[0] == "event e-1 (TicketCreated) told nobody: invalid-event"
    assert "detail.customer.phone: is no number" in said.lines[1]


def test_of_a_long_ticket_the_last_ones_are_shown(functions, told, monkeypatch):
    monkeypatch.setattr("tocsin_console.explain.MAX_LIVES", 1)
    functions.tell(7)
    after(functions, 1)
    functions.tell(7, audience="technician")
    assert [one["audience"] for one in _records(functions, "TCK-7", told)] == ["technician"]


@pytest.mark.parametrize("wanted", ["0" * 18, "3EB0" + "0" * 18, "TCK-unheard-of", "x" * 5000])
def test_an_unknown_one_says_what_was_looked_for(functions, said, wanted):
    with pytest.raises(NotFound, match=r"there is no notification|nothing is known of"):
        lines(functions, wanted, said)


@pytest.mark.parametrize("wanted", ["", "   ", "TCK\n1"])
def test_what_is_no_id_is_refused(functions, said, wanted):
    with pytest.raises(Usage):
        lines(functions, wanted, said)


# -- what is more than a text ----------------------------------------------------------------------------


def test_a_file_an_edit_and_a_quote_say_of_what_they_are(functions, said):
    text = functions.tell(1)
    file = Attachment("tickets/1.pdf", "plan.pdf", "application/pdf")
    for number, content, line in [
        (2, File(file), "file          plan.pdf, application/pdf, from tickets/1.pdf"),
        (3, Edit(text.message_id, "solved", 1), f"edit          of {text.message_id}"),
        (4, Text("also", Quote(text.message_id, "Tiket 1")), f"quotes        {text.message_id}"),
        (5, Reaction("R1", "👍", 1), "reaction      👍 on R1"),
    ]:
        one = replace(functions.plan(number), id=f"{number:018x}", content=content)
        functions.stores.notifications.put_new(one)
        assert line in lines(functions, one.id, said)


@pytest.mark.parametrize(
    ("code", "why"),
    [("edit-too-late", "sent as a message of its own"), ("superseded", "a newer edit of the same message")],
)
def test_an_edit_that_was_not_sent_says_what_was_instead(functions, told, code, why):
    edit = replace(functions.plan(2), id="ed" * 9, content=Edit("3EB0" + "AB" * 9, "solved", 1))
    functions.stores.notifications.put_new(edit)
    now = int(functions.paired.now * 1000)
    functions.stores.notifications.suppress(edit.id, Problem(code, "permanent"), now)
    assert why in record(functions, edit, told)["conclusion"]


# -- what can't be read ------------------------------------------------------------------------------------


def spoil(functions: WiredFunctions, notification: Notification, **change: Any) -> None:
    functions.aws.notifications_table.update(Update(notification_key(notification.id), **change))


SPOILT: dict[str, dict[str, Any]] = {
    "a missing field": {"remove": ("recipient",)},
    "a field of another type": {"set": {"attempts": 7}},
    "a moment that is none": {"set": {"created_at": "yesterday"}},
    "a moment beyond the calendar": {"set": {"created_at": int("9" * 30)}},
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
def test_an_odd_record_is_named_and_the_others_of_its_ticket_are_told(
    functions, said, told, change: dict[str, Any]
):
    good, odd = functions.tell(1), functions.tell(1, audience="technician")
    spoil(functions, odd, **change)
    for heard in (said, told):
        with pytest.raises(NeedsAttention, match=odd.id):
            explain(
                deployment_of(functions), "TCK-1", output=heard.output, clock=lambda: functions.paired.now
            )
    assert f"notification  {good.id}" in said.text
    assert f"notification  {odd.id}  its record can't be read" in said.text
    assert {one["notification"]: one["state"] for one in told.records} == {
        good.id: "sent",
        odd.id: "unreadable",
    }


def test_an_odd_record_that_is_named_is_no_unknown_one(functions, said):
    odd = functions.tell(1)
    spoil(functions, odd, **SPOILT["a missing field"])
    with pytest.raises(NeedsAttention, match="can't be read: the record of"):
        lines(functions, odd.id, said)


def test_an_event_nested_too_deep_ends_nothing(functions, said):
    """The queue of refused events is looked through for the ticket."""
    notification = functions.tell(1)
    deployment = deployment_of(functions)
    deep = '{"detail": {"ticket": {"id": "TCK-1"}, "x": ' + "[" * 5000 + "]" * 5000 + "}}"
    for body in (deep, "hello?"):
        functions.aws.sqs.send_message(QueueUrl=deployment["TicketEventsDeadQueueUrl"], MessageBody=body)
    explain(deployment, "TCK-1", output=said.output, clock=lambda: functions.paired.now)
    assert f"notification  {notification.id}" in said.text
    [named] = [line for line in said.lines if line.startswith("event ")]
    assert "(not an event) told nobody: crashed" in named


def test_an_account_whose_connector_is_dead_is_called_unreachable(functions, told):
    notification = functions.plan(1)
    keeper = LeaseKeeper(
        deployment_of(functions).keys_table,
        "c1",
        url="u",
        certificate="c",
        sealer=functions.paired.sealer,
        clock=lambda: functions.paired.now - 50,
    )
    keeper.beat()
    keeper.set_state("default", keeper.acquire("default"), "connected")
    assert record(functions, notification, told)["account_state"] == "unreachable"


# -- who could not be told -----------------------------------------------------------------------------------


def lost(functions: WiredFunctions, **changes: Any) -> Notification:
    return replace(functions.tell(1), id="e" * 18, ticket_id="TCK-LOST", recipient="", **changes)


def test_a_ticket_tells_of_a_mistyped_number_its_field_and_what_to_do(functions, said):
    mistyped = lost(functions, refused_address="0812 ask Budi")
    functions.stores.notifications.put_new(mistyped)
    problem = Problem("invalid-phone", "permanent", "detail.technicians[0].phone holds something else")
    functions.stores.notifications.fail(mistyped.id, problem, int(functions.paired.now * 1000))
    text = "\n".join(lines(functions, "TCK-LOST", said))
    assert "refused       '0812 ask Budi'" in text
    assert "given up: invalid-phone (detail.technicians[0].phone holds something else)" in text
    assert "let that send the event again" in text


def test_a_ticket_tells_of_whom_it_names_without_a_number(functions, said):
    nobody = lost(functions)
    functions.stores.notifications.put_new(nobody)
    problem = Problem("no-phone", "permanent", "detail.customer.phone names no number")
    functions.stores.notifications.suppress(nobody.id, problem, int(functions.paired.now * 1000))
    text = "\n".join(lines(functions, "TCK-LOST", said))
    assert "not sent: the event names no phone number of the recipient" in text
    assert "opted out" not in text


def test_who_must_write_first_gets_it_by_itself(functions: WiredFunctions, told: Said) -> None:
    functions.network.refuse_with = [463]
    functions.network.verdict = {"tocsin-verdict": "cold"}
    planned = functions.plan(1)
    functions.deliver(planned)
    life = record(functions, planned, told)
    assert "tocsin people invite" in life["conclusion"]
    assert "Once they write it is sent by itself" in life["conclusion"]


# -- a dead letter that was dropped ------------------------------------------------------------------------


OTHERS = [f"{number:018x}" for number in range(MAX_IDS)]


@pytest.mark.parametrize(
    ("kind", "ids", "says"),
    [
        (LETTERS_DROPPED, ["{}"], "dewi dropped its dead letter at "),
        (LETTERS_DROPPED, [OTHERS[0], "{}"], "dewi dropped its dead letter at "),
        (LETTERS_DROPPED, OTHERS, "many were dropped since it failed"),
        (LETTERS_DROPPED, OTHERS[:9], "others hide it, or it is gone"),
        ("another", ["{}"], "others hide it, or it is gone"),
        ("", [], "others hide it, or it is gone"),
    ],
)
def test_of_a_dead_letter_that_is_gone_it_says_what_the_audit_knows(functions, told, kind, ids, says):
    functions.tell(1)
    notification, _ = deaf(functions)
    functions.answer_retries()
    deployment = deployment_of(functions)
    list(deployment.redriver().drop(Selection(notification=notification.id)))
    failed_at = deployment.stores.notifications.get(notification.id).failed_at
    of = tuple(one.format(notification.id) for one in ids)
    line = AuditLine(failed_at + 1, "dewi", "dropped dead letters", len(of), kind=kind, ids=of)
    deployment.stores.audit.add(line)
    assert says in record(functions, notification, told)["conclusion"]


def test_words_of_a_line_tell_it_nothing(functions, told):
    """They are for people: a line of before there were kinds says nothing of whose letter was dropped."""
    functions.tell(1)
    notification, _ = deaf(functions)
    functions.answer_retries()
    deployment = deployment_of(functions)
    list(deployment.redriver().drop(Selection(notification=notification.id)))
    failed_at = deployment.stores.notifications.get(notification.id).failed_at
    what = f"dead letters: 0 redriven, 1 dropped, 0 kept ({notification.id})"
    deployment.stores.audit.add(AuditLine(failed_at + 1, "dewi", what))
    assert "others hide it" in record(functions, notification, told)["conclusion"]
