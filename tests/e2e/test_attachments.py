"""Files of a ticket on the deployed stack: from the bucket to the phone, the same to the byte."""

from __future__ import annotations

import os
import time

import pytest

from tests.support.stack import BUCKET, DeployedStack, new_ticket
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e

PDF = b"%PDF-1.7\n" + os.urandom(300_000)


def put_file(deployed: DeployedStack, key: str, body: bytes) -> str:
    deployed.stack.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return key


def test_a_pdf_arrives_after_its_text_and_is_the_same_to_the_byte(deployed: DeployedStack) -> None:
    siti, key = deployed.person("Siti"), put_file(deployed, f"tickets/{time.time_ns()}.pdf", PDF)
    attachments = [{"key": key, "file_name": "Ticket.pdf", "caption": "Your ticket"}]
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=attachments)
    file = deployed.file_of(text, key)
    deployed.until(text, State.READ)
    deployed.until(file, State.READ)
    deployed.shown_in_order(siti, [text, file])
    shown = deployed.shown(file)
    assert shown is not None
    assert (shown["kind"], shown["text"]) == ("document", "Your ticket")
    assert shown["media"]["verified"]
    assert (shown["media"]["file_name"], shown["media"]["mimetype"]) == ("Ticket.pdf", "application/pdf")
    assert deployed.phones.file(siti.number, file.message_id) == PDF


def test_two_recipients_share_one_upload(deployed: DeployedStack) -> None:
    siti, budi = deployed.person("Siti"), deployed.person("Budi")
    key = put_file(deployed, f"tickets/{time.time_ns()}.pdf", PDF)
    _, before = deployed.phones.events()
    attachments = [{"key": key}]
    for person in (siti, budi):
        [text] = deployed.put("TicketCreated", new_ticket(), customer=person, attachments=attachments)
        file = deployed.file_of(text, key)
        deployed.until(file, State.READ)
        assert deployed.phones.file(person.number, file.message_id) == PDF
    assert len(deployed.phones.events(before, kind="upload")[0]) == 1


def test_a_file_that_is_not_there_is_a_dead_letter_and_its_text_arrives(deployed: DeployedStack) -> None:
    siti = deployed.person("Siti")
    attachments = [{"key": "tickets/nothing.pdf"}]
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=attachments)
    letter = deployed.letter(deployed.file_of(text, "tickets/nothing.pdf"))
    assert letter.reason == "attachment-missing"
    deployed.until(text, State.READ)


def test_a_phone_that_cannot_read_a_file_asks_again_and_gets_the_same(deployed: DeployedStack) -> None:
    siti, key = deployed.known("Siti"), put_file(deployed, f"tickets/{time.time_ns()}.pdf", PDF)
    deployed.phones.break_phone(siti.number, "corrupt-session")
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": key}])
    file = deployed.file_of(text, key)
    deployed.until(text, State.READ)
    deployed.phones.break_phone(siti.number, "corrupt-session")
    deployed.until(file, State.READ)
    assert deployed.phones.file(siti.number, file.message_id) == PDF
    deployed.nothing_is_lost(text)


def test_a_media_host_that_fails_delays_a_file_and_loses_nothing(deployed: DeployedStack) -> None:
    siti, key = deployed.person("Siti"), put_file(deployed, f"tickets/{time.time_ns()}.pdf", PDF + b"!")
    deployed.phones.inject("upload-error", code=503, n=5)
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": key}])
    file = deployed.file_of(text, key)
    deployed.until(file, State.READ)
    causes = [attempt.cause for attempt in deployed.look(file).attempts]
    assert "upload-failed" in causes
    assert deployed.phones.file(siti.number, file.message_id) == PDF + b"!"
