"""The main job on the deployed template: a ticket event becomes a message that a phone shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stack import DESK, Bus, Notice, Person, Stage, eventually, failures, new_ticket
from tocsin.notify.notification import State
from tocsin_console.send import put_event

pytestmark = pytest.mark.e2e


# Who is told


@pytest.mark.parametrize("made_by", ["admin", "technician"])
def test_a_new_ticket_is_told_to_its_customer_and_its_technicians(stage: Stage, made_by: str) -> None:
    siti, budi, ayu = stage.person("Siti"), stage.person("Budi"), stage.person("Ayu", language="en")
    creator: Person | str = budi if made_by == "technician" else "admin"
    ticket = new_ticket("Router mati", location="Jl. Merdeka 5")
    notices = stage.put("TicketCreated", ticket, customer=siti, technicians=[budi, ayu], made_by=creator)
    stage.all_until(notices, State.READ)
    for notice in notices:
        assert ticket["id"] in text_of(stage, notice)
        assert ticket["subject"] in text_of(stage, notice)
    stage.nothing_is_lost(*notices)


def test_a_technician_who_made_the_ticket_is_not_told_about_it(stage: Stage) -> None:
    siti, budi = stage.person("Siti"), stage.person("Budi")
    (told,) = stage.put("TicketCreated", new_ticket(), customer=siti, technicians=[budi], made_by=budi)
    stage.until(told, State.READ)
    assert told.person == siti
    assert stage.phones.messages(budi.number) == []


def test_everybody_is_told_in_their_own_language_and_role(stage: Stage) -> None:
    carlos, ayu = stage.person("Carlos", language="es"), stage.person("Ayu", language="en")
    customer, technician = stage.put("TicketCreated", new_ticket(), customer=carlos, technicians=[ayu])
    stage.all_until([customer, technician], State.READ)
    assert "Hola Carlos" in text_of(stage, customer)
    assert "Priority:* High" in text_of(stage, technician)
    assert "ALTO" in text_of(stage, customer)


def test_the_whole_life_of_a_ticket_arrives_in_order(stage: Stage) -> None:
    siti, budi = stage.person("Siti"), stage.person("Budi")
    ticket = new_ticket()
    life = ["TicketCreated", "TicketAssigned", "TicketUpdated", "TicketResolved"]
    told = []
    for revision, event in enumerate(life, start=1):
        told.append(stage.put(event, ticket | {"revision": revision}, customer=siti, technicians=[budi]))
        # EventBridge keeps no order. What is planned does.
        stage.all_until(told[-1], State.PLANNED)
    for person, notices in zip((siti, budi), zip(*told, strict=True), strict=True):
        stage.all_until(notices, State.READ)
        stage.shown_in_order(person, notices)
    stage.nothing_is_lost(*(notice for notices in told for notice in notices))


def test_the_same_event_twice_is_told_once(stage: Stage, bus: Bus) -> None:
    siti, ticket = stage.person(), new_ticket()
    (notice,) = stage.put("TicketCreated", ticket, customer=siti)
    stage.put("TicketCreated", ticket, customer=siti)
    later = stage.tell(siti)
    stage.all_until([notice, later], State.READ)
    assert len(stage.phones.messages(siti.number)) == 2
    stage.nothing_is_lost(notice, later)
    assert len(bus.all("NotificationRead", notification_id=notice.id)) <= 1


def test_an_invalid_event_is_put_aside_with_every_violation_and_tells_nobody(stage: Stage) -> None:
    siti = stage.person()
    ticket: dict[str, Any] = {"id": "TCK-INVALID", "revision": "first"}
    customer = siti.in_event("C-1")
    technician = {"id": "T-1", "name": "Budi", "phone": "12"}
    detail = {"ticket": ticket, "customer": customer, "technicians": [technician], "account": "nobody"}
    put_event(stage.world.deployment, "TicketCreated", detail)
    letter = refused(stage, "TCK-INVALID")
    named = " ".join(letter["violations"])
    for field in ("ticket.revision", "subject", "technicians", "account"):
        assert field in named
    assert json.loads(letter["event"])["detail"] == detail
    assert stage.phones.messages(siti.number) == []


def test_a_mistyped_number_of_one_technician_is_a_dead_letter_and_the_customer_is_told(
    stage: Stage, bus: Bus
) -> None:
    siti, ticket = stage.person("Siti"), new_ticket()
    told, _ = stage.put("TicketCreated", ticket, customer=siti, technicians=[Person("12", "Budi", "id")])
    stage.until(told, State.READ)
    failed = bus.wait("NotificationFailed", ticket_id=ticket["id"])
    told_of = (failed["recipient"], failed["audience"], failed["reason"])
    assert told_of == (None, "technician", "invalid-phone")
    letter = stage.letter(Notice(failed["notification_id"], siti, ticket["id"]))
    assert letter.detail.startswith("detail.technicians[0].phone ")


# The way there


def test_a_number_in_local_form_is_found_and_addressed_by_its_lid(stage: Stage) -> None:
    siti = stage.person()
    local = siti.in_event("C-1") | {"phone": "0" + siti.number.removeprefix("62")}
    ticket = new_ticket()
    put_event(stage.world.deployment, "TicketCreated", {"ticket": ticket, "customer": local})
    stage.phones.wait_until(lambda: stage.phones.messages(siti.number), "nothing arrived")
    lid = stage.phones.phone(siti.number)["lid"]
    keys = stage.world.deployment.key_store("default")
    assert (keys.contacts.address(f"{siti.number}@s.whatsapp.net") or {})["lid"] == lid
    assert keys.sending.session_facts(keys.account.profile(), lid, 0) is not None


def test_an_answer_turns_the_ratchet_and_the_session_goes_on(stage: Stage, bus: Bus) -> None:
    siti = stage.person()
    first = stage.tell(siti)
    stage.until(first, State.READ)
    answer = stage.phones.write(siti.number, DESK, "Terima kasih")
    assert bus.wait("ReplyReceived", message_id=answer["id"])["recipient"] == siti.number
    second = stage.tell(siti)
    stage.until(second, State.READ)
    assert failures(stage, second) == []
    stage.nothing_is_lost(first, second)


def test_the_accounts_own_phone_has_a_copy_in_the_customers_chat(stage: Stage) -> None:
    siti = stage.person()
    notice = stage.tell(siti)
    stage.until(notice, State.READ)

    def copies() -> list[dict[str, Any]]:
        own = stage.phones.mailbox(DESK)["from_own_devices"]
        return [entry for entry in own if entry["id"] == notice.message_id]

    (copy,) = stage.phones.wait_until(copies, "the desk's phone has no copy")
    assert copy["text"] == text_of(stage, notice)
    assert copy["chat"] == siti.number


def test_each_step_is_told_on_the_bus_once_with_its_times(stage: Stage, bus: Bus) -> None:
    notice = stage.tell(stage.person())
    read = bus.wait("NotificationRead", notification_id=notice.id)
    assert bus.types(notification_id=notice.id) == [
        "NotificationSent",
        "NotificationDelivered",
        "NotificationRead",
    ]
    assert (read["ticket_id"], read["audience"], read["account"]) == (notice.ticket_id, "customer", "default")
    assert read["created_at"] <= read["sent_at"] <= read["delivered_at"] <= read["read_at"]


def test_a_message_unread_on_an_offline_phone_waits_there_and_counts_as_sent(stage: Stage) -> None:
    siti = stage.person(reads=False)
    stage.phones.break_phone(siti.number, "offline")
    notice = stage.tell(siti)
    assert stage.until(notice, State.SENT).state is State.SENT
    stage.phones.break_phone(siti.number, "online")
    assert stage.until(notice, State.DELIVERED).state is State.DELIVERED
    stage.phones.read(siti.number, notice.message_id)
    stage.until(notice, State.READ)
    stage.nothing_is_lost(notice)


# Healing


@pytest.mark.parametrize("fault", ["corrupt-session", "forget-session"])
def test_a_session_broken_on_the_phone_heals_and_the_message_arrives(stage: Stage, fault: str) -> None:
    siti = stage.person()
    first = stage.tell(siti)
    stage.until(first, State.READ)
    stage.phones.break_phone(siti.number, fault)
    second = stage.tell(siti)
    stage.until(second, State.READ)
    assert failures(stage, second)
    third = stage.tell(siti)
    stage.until(third, State.READ)
    assert failures(stage, third) == []
    stage.nothing_is_lost(first, second, third)


def test_a_number_that_has_no_whatsapp_is_a_dead_letter_at_once(stage: Stage, bus: Bus) -> None:
    nobody = Person("6289999999999", "Nobody", "id")
    notice = stage.tell(nobody)
    stage.until(notice, State.FAILED)
    letter = stage.letter(notice)
    assert letter.class_ == "permanent"
    assert len(letter.attempts) == 1
    failed = bus.wait("NotificationFailed", notification_id=notice.id)
    assert failed["reason"] == letter.reason


# What people answer


def test_a_reply_becomes_an_event_about_the_notification_it_quotes(stage: Stage, bus: Bus) -> None:
    siti = stage.person()
    first, second = stage.tell(siti), stage.tell(siti)
    stage.all_until([first, second], State.READ)
    sent = stage.phones.write(siti.number, DESK, "Jam berapa teknisi datang?", quote=first.message_id)
    reply = bus.wait("ReplyReceived", message_id=sent["id"])
    assert reply["text"] == "Jam berapa teknisi datang?"
    assert (reply["notification_id"], reply["ticket_id"]) == (first.id, first.ticket_id)
    assert reply["recipient"] == siti.number
    assert delivered_to_desk(stage, siti, sent["id"])


def test_a_reply_without_a_quote_is_about_what_arrived_last(stage: Stage, bus: Bus) -> None:
    siti = stage.person()
    for notice in (stage.tell(siti), last := stage.tell(siti)):
        stage.until(notice, State.READ)
    sent = stage.phones.write(siti.number, DESK, "Oke")
    assert bus.wait("ReplyReceived", message_id=sent["id"])["notification_id"] == last.id


def test_an_opt_out_is_confirmed_once_and_ends_notifications_until_it_is_taken_back(
    stage: Stage, bus: Bus
) -> None:
    siti = stage.person()
    stage.until(stage.tell(siti), State.READ)

    stage.phones.write(siti.number, DESK, "BERHENTI")
    confirmation = stage.phones.wait_until(
        lambda: stage.phones.messages(siti.number)[1:], "the opt-out isn't confirmed"
    )[0]
    assert "MULAI" in confirmation["text"]
    again = stage.phones.write(siti.number, DESK, "berhenti!")
    assert bus.wait("ReplyReceived", message_id=again["id"])["consent"] == "withdrawn"

    unwanted = stage.tell(siti)
    stage.until(unwanted, State.SUPPRESSED)
    assert bus.wait("NotificationSuppressed", notification_id=unwanted.id)["reason"] == "opted-out"
    assert len(stage.phones.messages(siti.number)) == 2

    stage.phones.write(siti.number, DESK, "MULAI")
    stage.phones.wait_until(lambda: stage.phones.messages(siti.number)[2:], "the opt-in isn't confirmed")
    wanted = stage.tell(siti)
    stage.until(wanted, State.READ)
    assert len(stage.phones.messages(siti.number)) == 4
    stage.nothing_is_lost(wanted)


# At the end


def test_no_message_key_was_used_twice_and_no_prekey_handed_out_twice(stage: Stage) -> None:
    audit = stage.phones.audit()
    assert audit["ciphertexts"] > 50
    stage.nothing_is_lost()


def test_nothing_was_asked_that_the_server_does_not_know(stage: Stage) -> None:
    unknown = {(event["xmlns"], event["child"]) for event in stage.phones.events(kind="unknown-iq")[0]}
    assert unknown == set()
    assert stage.phones.events(kind="bad-stanza")[0] == []


def text_of(stage: Stage, notice: Notice) -> str:
    shown = stage.shown(notice)
    assert shown is not None, f"the phone of {notice.person.name} doesn't show it"
    return str(shown["text"])


def delivered_to_desk(stage: Stage, person: Person, message_id: str) -> bool:
    """Whether the account's companion confirmed what this person wrote."""

    def confirmed() -> bool:
        sent = stage.phones.mailbox(person.number)["sent"]
        return any(entry["id"] == message_id and f"{DESK}:1" in entry["delivered"] for entry in sent)

    return bool(stage.phones.wait_until(confirmed, f"no receipt for {message_id}"))


def refused(stage: Stage, ticket_id: str) -> dict[str, Any]:
    """The letter about an event that the planner refused."""
    sqs, url = stage.world.deployment.sqs, stage.world.deployment["TicketEventsDeadQueueUrl"]

    def found() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url, VisibilityTimeout=1).get("Messages", []):
            letter: dict[str, Any] = json.loads(message["Body"])
            if ticket_id in letter["event"]:
                return letter
        return None

    return eventually(found, f"no letter about {ticket_id}")
