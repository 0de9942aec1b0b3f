"""The main job on the deployed template: a ticket event becomes a message that a phone shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stack import DESK, Bus, DeployedStack, Notice, Person, eventually, failures, new_ticket
from tocsin.notify.notification import State
from tocsin_console.send import put_event

pytestmark = pytest.mark.e2e


# Who is told


@pytest.mark.parametrize("made_by", ["admin", "technician"])
def test_a_new_ticket_is_told_to_its_customer_and_its_technicians(
    deployed: DeployedStack, made_by: str
) -> None:
    siti, budi, ayu = deployed.person("Siti"), deployed.person("Budi"), deployed.person("Ayu", language="en")
    creator: Person | str = budi if made_by == "technician" else "admin"
    ticket = new_ticket("Router mati", location="Jl. Merdeka 5")
    notices = deployed.put("TicketCreated", ticket, customer=siti, technicians=[budi, ayu], made_by=creator)
    deployed.all_until(notices, State.READ)
    for notice in notices:
        assert ticket["id"] in text_of(deployed, notice)
        assert ticket["subject"] in text_of(deployed, notice)
    deployed.nothing_is_lost(*notices)


def test_a_technician_who_made_the_ticket_is_not_told_about_it(deployed: DeployedStack) -> None:
    siti, budi = deployed.person("Siti"), deployed.person("Budi")
    (told,) = deployed.put("TicketCreated", new_ticket(), customer=siti, technicians=[budi], made_by=budi)
    deployed.until(told, State.READ)
    assert told.person == siti
    assert deployed.phones.messages(budi.number) == []


def test_everybody_is_told_in_their_own_language_and_role(deployed: DeployedStack) -> None:
    carlos, ayu = deployed.person("Carlos", language="es"), deployed.person("Ayu", language="en")
    customer, technician = deployed.put("TicketCreated", new_ticket(), customer=carlos, technicians=[ayu])
    deployed.all_until([customer, technician], State.READ)
    assert "Hola Carlos" in text_of(deployed, customer)
    assert "Priority:* High" in text_of(deployed, technician)
    assert "ALTO" in text_of(deployed, customer)


def test_the_whole_life_of_a_ticket_arrives_in_order(deployed: DeployedStack) -> None:
    siti, budi = deployed.person("Siti"), deployed.person("Budi")
    ticket = new_ticket()
    life = ["TicketCreated", "TicketAssigned", "TicketUpdated", "TicketResolved"]
    told = []
    for revision, event in enumerate(life, start=1):
        told.append(deployed.put(event, ticket | {"revision": revision}, customer=siti, technicians=[budi]))
        # EventBridge keeps no order. What is planned does.
        deployed.all_until(told[-1], State.PLANNED)
    for person, notices in zip((siti, budi), zip(*told, strict=True), strict=True):
        deployed.all_until(notices, State.READ)
        deployed.shown_in_order(person, notices)
    deployed.nothing_is_lost(*(notice for notices in told for notice in notices))


def test_the_same_event_twice_is_told_once(deployed: DeployedStack, bus: Bus) -> None:
    siti, ticket = deployed.person(), new_ticket()
    (notice,) = deployed.put("TicketCreated", ticket, customer=siti)
    deployed.put("TicketCreated", ticket, customer=siti)
    later = deployed.tell(siti)
    deployed.all_until([notice, later], State.READ)
    assert len(deployed.phones.messages(siti.number)) == 2
    deployed.nothing_is_lost(notice, later)
    assert len(bus.all("NotificationRead", notification_id=notice.id)) <= 1


def test_an_invalid_event_is_put_aside_with_every_violation_and_tells_nobody(deployed: DeployedStack) -> None:
    siti = deployed.person()
    ticket: dict[str, Any] = {"id": "TCK-INVALID", "revision": "first"}
    customer = siti.in_event("C-1")
    technician = {"id": "T-1", "name": "Budi", "phone": "12"}
    detail = {"ticket": ticket, "customer": customer, "technicians": [technician], "account": "nobody"}
    put_event(deployed.world.deployment, "TicketCreated", detail)
    letter = refused(deployed, "TCK-INVALID")
    named = " ".join(letter["violations"])
    for field in ("ticket.revision", "subject", "technicians", "account"):
        assert field in named
    assert json.loads(letter["event"])["detail"] == detail
    assert deployed.phones.messages(siti.number) == []


def test_a_mistyped_number_of_one_technician_is_a_dead_letter_and_the_customer_is_told(
    deployed: DeployedStack, bus: Bus
) -> None:
    siti, ticket = deployed.person("Siti"), new_ticket()
    told, _ = deployed.put("TicketCreated", ticket, customer=siti, technicians=[Person("12", "Budi", "id")])
    deployed.until(told, State.READ)
    failed = bus.wait("NotificationFailed", ticket_id=ticket["id"])
    told_of = (failed["recipient"], failed["audience"], failed["reason"])
    assert told_of == (None, "technician", "invalid-phone")
    letter = deployed.letter(Notice(failed["notification_id"], siti, ticket["id"]))
    assert letter.detail.startswith("detail.technicians[0].phone ")


# The way there


def test_a_number_in_local_form_is_found_and_addressed_by_its_lid(deployed: DeployedStack) -> None:
    siti = deployed.person()
    local = siti.in_event("C-1") | {"phone": "0" + siti.number.removeprefix("62")}
    ticket = new_ticket()
    put_event(deployed.world.deployment, "TicketCreated", {"ticket": ticket, "customer": local})
    deployed.phones.wait_until(lambda: deployed.phones.messages(siti.number), "nothing arrived")
    lid = deployed.phones.phone(siti.number)["lid"]
    keys = deployed.world.deployment.key_store("default")
    assert (keys.contacts.address(f"{siti.number}@s.whatsapp.net") or {})["lid"] == lid
    assert keys.sending.session_facts(keys.account.profile(), lid, 0) is not None


def test_an_answer_turns_the_ratchet_and_the_session_goes_on(deployed: DeployedStack, bus: Bus) -> None:
    siti = deployed.person()
    first = deployed.tell(siti)
    deployed.until(first, State.READ)
    answer = deployed.phones.write(siti.number, DESK, "Terima kasih")
    assert bus.wait("ReplyReceived", message_id=answer["id"])["recipient"] == siti.number
    second = deployed.tell(siti)
    deployed.until(second, State.READ)
    assert failures(deployed, second) == []
    deployed.nothing_is_lost(first, second)


def test_the_accounts_own_phone_has_a_copy_in_the_customers_chat(deployed: DeployedStack) -> None:
    siti = deployed.person()
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)

    def copies() -> list[dict[str, Any]]:
        own = deployed.phones.mailbox(DESK)["from_own_devices"]
        return [entry for entry in own if entry["id"] == notice.message_id]

    (copy,) = deployed.phones.wait_until(copies, "the desk's phone has no copy")
    assert copy["text"] == text_of(deployed, notice)
    assert copy["chat"] == siti.number


def test_each_step_is_told_on_the_bus_once_with_its_times(deployed: DeployedStack, bus: Bus) -> None:
    notice = deployed.tell(deployed.person())
    read = bus.wait("NotificationRead", notification_id=notice.id)
    assert bus.types(notification_id=notice.id) == [
        "NotificationSent",
        "NotificationDelivered",
        "NotificationRead",
    ]
    assert (read["ticket_id"], read["audience"], read["account"]) == (notice.ticket_id, "customer", "default")
    assert read["created_at"] <= read["sent_at"] <= read["delivered_at"] <= read["read_at"]


def test_a_message_unread_on_an_offline_phone_waits_there_and_counts_as_sent(deployed: DeployedStack) -> None:
    siti = deployed.person(reads=False)
    deployed.phones.break_phone(siti.number, "offline")
    notice = deployed.tell(siti)
    assert deployed.until(notice, State.SENT).state is State.SENT
    deployed.phones.break_phone(siti.number, "online")
    assert deployed.until(notice, State.DELIVERED).state is State.DELIVERED
    deployed.phones.read(siti.number, notice.message_id)
    deployed.until(notice, State.READ)
    deployed.nothing_is_lost(notice)


# Healing


@pytest.mark.parametrize("fault", ["corrupt-session", "forget-session"])
def test_a_session_broken_on_the_phone_heals_and_the_message_arrives(
    deployed: DeployedStack, fault: str
) -> None:
    siti = deployed.person()
    first = deployed.tell(siti)
    deployed.until(first, State.READ)
    deployed.phones.break_phone(siti.number, fault)
    second = deployed.tell(siti)
    deployed.until(second, State.READ)
    assert failures(deployed, second)
    third = deployed.tell(siti)
    deployed.until(third, State.READ)
    assert failures(deployed, third) == []
    deployed.nothing_is_lost(first, second, third)


def test_a_number_that_has_no_whatsapp_is_a_dead_letter_at_once(deployed: DeployedStack, bus: Bus) -> None:
    nobody = Person("6289999999999", "Nobody", "id")
    notice = deployed.tell(nobody)
    deployed.until(notice, State.FAILED)
    letter = deployed.letter(notice)
    assert letter.class_ == "permanent"
    assert len(letter.attempts) == 1
    failed = bus.wait("NotificationFailed", notification_id=notice.id)
    assert failed["reason"] == letter.reason


# What people answer


def test_a_reply_becomes_an_event_about_the_notification_it_quotes(deployed: DeployedStack, bus: Bus) -> None:
    siti = deployed.person()
    first, second = deployed.tell(siti), deployed.tell(siti)
    deployed.all_until([first, second], State.READ)
    sent = deployed.phones.write(siti.number, DESK, "Jam berapa teknisi datang?", quote=first.message_id)
    reply = bus.wait("ReplyReceived", message_id=sent["id"])
    assert reply["text"] == "Jam berapa teknisi datang?"
    assert (reply["notification_id"], reply["ticket_id"]) == (first.id, first.ticket_id)
    assert reply["recipient"] == siti.number
    assert delivered_to_desk(deployed, siti, sent["id"])


def test_a_reply_without_a_quote_is_about_what_arrived_last(deployed: DeployedStack, bus: Bus) -> None:
    siti = deployed.person()
    for notice in (deployed.tell(siti), last := deployed.tell(siti)):
        deployed.until(notice, State.READ)
    sent = deployed.phones.write(siti.number, DESK, "Oke")
    assert bus.wait("ReplyReceived", message_id=sent["id"])["notification_id"] == last.id


def test_an_opt_out_is_confirmed_once_and_ends_notifications_until_it_is_taken_back(
    deployed: DeployedStack, bus: Bus
) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)

    deployed.phones.write(siti.number, DESK, "BERHENTI")
    confirmation = deployed.phones.wait_until(
        lambda: deployed.phones.messages(siti.number)[1:], "the opt-out isn't confirmed"
    )[0]
    assert "MULAI" in confirmation["text"]
    again = deployed.phones.write(siti.number, DESK, "berhenti!")
    assert bus.wait("ReplyReceived", message_id=again["id"])["consent"] == "withdrawn"

    unwanted = deployed.tell(siti)
    deployed.until(unwanted, State.SUPPRESSED)
    assert bus.wait("NotificationSuppressed", notification_id=unwanted.id)["reason"] == "opted-out"
    assert len(deployed.phones.messages(siti.number)) == 2

    deployed.phones.write(siti.number, DESK, "MULAI")
    deployed.phones.wait_until(
        lambda: deployed.phones.messages(siti.number)[2:], "the opt-in isn't confirmed"
    )
    wanted = deployed.tell(siti)
    deployed.until(wanted, State.READ)
    assert len(deployed.phones.messages(siti.number)) == 4
    deployed.nothing_is_lost(wanted)


# At the end


def test_no_message_key_was_used_twice_and_no_prekey_handed_out_twice(deployed: DeployedStack) -> None:
    audit = deployed.phones.audit()
    assert audit["ciphertexts"] > 50
    deployed.nothing_is_lost()


def test_nothing_was_asked_that_the_server_does_not_know(deployed: DeployedStack) -> None:
    unknown = {(event["xmlns"], event["child"]) for event in deployed.phones.events(kind="unknown-iq")[0]}
    assert unknown == set()
    assert deployed.phones.events(kind="bad-stanza")[0] == []


def text_of(deployed: DeployedStack, notice: Notice) -> str:
    shown = deployed.shown(notice)
    assert shown is not None, f"the phone of {notice.person.name} doesn't show it"
    return str(shown["text"])


def delivered_to_desk(deployed: DeployedStack, person: Person, message_id: str) -> bool:
    """Whether the account's companion confirmed what this person wrote. It has another number after each
    linking."""

    def confirmed() -> bool:
        sent = deployed.phones.mailbox(person.number)["sent"]
        by = {device for entry in sent if entry["id"] == message_id for device in entry["delivered"]}
        return any(device.startswith(f"{DESK}:") for device in by - {f"{DESK}:0"})

    return bool(deployed.phones.wait_until(confirmed, f"no receipt for {message_id}"))


def refused(deployed: DeployedStack, ticket_id: str) -> dict[str, Any]:
    """The letter about an event that the planner refused."""
    sqs, url = deployed.world.deployment.sqs, deployed.world.deployment["TicketEventsDeadQueueUrl"]

    def found() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url, VisibilityTimeout=1).get("Messages", []):
            letter: dict[str, Any] = json.loads(message["Body"])
            if ticket_id in letter["event"]:
                return letter
        return None

    return eventually(found, f"no letter about {ticket_id}")
