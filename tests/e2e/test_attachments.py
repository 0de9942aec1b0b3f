"""Files of a ticket on the deployed stack: from the bucket to the phone, the same to the byte."""

from __future__ import annotations

import os
import time

import pytest

from tests.support.stack import BUCKET, Stage, new_ticket
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e

PDF = b"%PDF-1.7\n" + os.urandom(300_000)


def put_file(stage: Stage, key: str, body: bytes) -> str:
    stage.stack.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return key


def test_a_pdf_arrives_after_its_text_and_is_the_same_to_the_byte(stage: Stage) -> None:
    siti, key = stage.person("Siti"), put_file(stage, f"tickets/{time.time_ns()}.pdf", PDF)
    attachments = [{"key": key, "file_name": "Ticket.pdf", "caption": "Your ticket"}]
    [text] = stage.put("TicketCreated", new_ticket(), customer=siti, attachments=attachments)
    file = stage.file_of(text, key)
    stage.until(text, State.READ)
    stage.until(file, State.READ)
    stage.shown_in_order(siti, [text, file])
    shown = stage.shown(file)
    assert shown is not None
    assert (shown["kind"], shown["text"]) == ("document", "Your ticket")
    assert shown["media"]["verified"]
    assert (shown["media"]["file_name"], shown["media"]["mimetype"]) == ("Ticket.pdf", "application/pdf")
    assert stage.phones.file(siti.number, file.message_id) == PDF


def test_two_recipients_share_one_upload(stage: Stage) -> None:
    siti, budi = stage.person("Siti"), stage.person("Budi")
    key = put_file(stage, f"tickets/{time.time_ns()}.pdf", PDF)
    _, before = stage.phones.events()
    attachments = [{"key": key}]
    for person in (siti, budi):
        [text] = stage.put("TicketCreated", new_ticket(), customer=person, attachments=attachments)
        file = stage.file_of(text, key)
        stage.until(file, State.READ)
        assert stage.phones.file(person.number, file.message_id) == PDF
    assert len(stage.phones.events(before, kind="upload")[0]) == 1


def test_a_file_that_is_not_there_is_a_dead_letter_and_its_text_arrives(stage: Stage) -> None:
    siti = stage.person("Siti")
    attachments = [{"key": "tickets/nothing.pdf"}]
    [text] = stage.put("TicketCreated", new_ticket(), customer=siti, attachments=attachments)
    letter = stage.letter(stage.file_of(text, "tickets/nothing.pdf"))
    assert letter.reason == "attachment-missing"
    stage.until(text, State.READ)


def test_a_phone_that_cannot_read_a_file_asks_again_and_gets_the_same(stage: Stage) -> None:
    siti, key = stage.known("Siti"), put_file(stage, f"tickets/{time.time_ns()}.pdf", PDF)
    stage.phones.break_phone(siti.number, "corrupt-session")
    [text] = stage.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": key}])
    file = stage.file_of(text, key)
    stage.until(text, State.READ)
    stage.phones.break_phone(siti.number, "corrupt-session")
    stage.until(file, State.READ)
    assert stage.phones.file(siti.number, file.message_id) == PDF
    stage.nothing_is_lost(text)


def test_a_media_host_that_fails_delays_a_file_and_loses_nothing(stage: Stage) -> None:
    siti, key = stage.person("Siti"), put_file(stage, f"tickets/{time.time_ns()}.pdf", PDF + b"!")
    stage.phones.inject("upload-error", code=503, n=5)
    [text] = stage.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": key}])
    file = stage.file_of(text, key)
    stage.until(file, State.READ)
    causes = [attempt.cause for attempt in stage.look(file).attempts]
    assert "upload-failed" in causes
    assert stage.phones.file(siti.number, file.message_id) == PDF + b"!"
