"""One schema for each event in and out, which what is told fits; AsyncAPI is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator, ValidationError

from tests.support import contracts
from tests.support.notifications import a_notification
from tests.support.sealed_texts import TEXTS
from tests.support.streams import image_of
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.cloud_events import TYPES, cloud_event
from tocsin.notify.content import Attachment, Edit, File, Reaction
from tocsin.notify.events.samples import FULL, MESSAGE
from tocsin.notify.notification import Attempt, Notification, Problem, State
from tocsin.notify.outcomes import outcomes_of
from tocsin.notify.store.codec import item_of_notification
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import notification_key
from tocsin_local.paths import ROOT

SPECS = ROOT / "tests/interop/node/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
AT = 1_800_000_000_000


def valid(detail_type: str, detail: Any) -> None:
    # As it stands on the bus.
    contracts.validator_of(detail_type).validate(json.loads(json.dumps(detail)))


@pytest.mark.parametrize("name", sorted(contracts.schemas()))
def test_each_file_is_a_schema_with_an_id_and_a_description(name: str) -> None:
    schema = contracts.schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:tocsin:{name}:1"
    assert schema["description"]


def test_each_event_has_a_file_and_each_file_an_event() -> None:
    told = {*contracts.IN.values(), *contracts.OUT.values(), contracts.ACCOUNT, contracts.SHARED}
    assert told == set(contracts.schemas())


def test_what_comes_in_fits_its_schema() -> None:
    valid("TicketCreated", FULL)
    valid("MessageRequested", MESSAGE)
    with pytest.raises(ValidationError):
        valid("MessageRequested", {**MESSAGE, "recipients": []})


CONTENTS = [
    None,
    File(Attachment("k/a.pdf", "a.pdf", "application/pdf"), "a plan"),
    Edit("3EB00123456789ABCDEF01", "words", AT),
    Reaction("3EB00123456789ABCDEF01", "👍", AT),
]
STATES = {
    "Sent": {"state": State.SENT, "sent_at": AT},
    "Delivered": {"state": State.DELIVERED, "sent_at": AT, "delivered_at": AT},
    "Read": {"state": State.READ, "sent_at": AT, "delivered_at": AT, "read_at": AT},
    "Failed": {
        "state": State.FAILED,
        "failed_at": AT,
        "last_error": Problem("expired", "permanent", "too late"),
        "attempts": (Attempt("server-error", AT, "retry", "500"),),
    },
    "Suppressed": {
        "state": State.SUPPRESSED,
        "suppressed_at": AT,
        "last_error": Problem("opted-out", "permanent", "they don't want it"),
    },
    "Overdue": {"state": State.SENT, "sent_at": AT, "overdue_at": AT},
}


def told(notification: Notification, outcome: str) -> tuple[str, dict[str, Any]]:
    pk, sk = notification_key(notification.id)
    item = item_of_notification(notification, AT // 1000, TEXTS)
    seen = {"overdue_at": AT} if outcome == "Overdue" else {}
    image = image_of({**item, **seen, "pk": pk, "sk": sk, "outcome": outcome, "outcome_at": AT})
    record = {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}
    [one] = outcomes_of(record, TEXTS)
    return one.detail_type, dict(one.detail)


@pytest.mark.parametrize("outcome", STATES)
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("ticket", ["TCK-1", "message:billing:invoice-7", "message::e-1"])
def test_each_outcome_of_a_notification_fits_its_schema(outcome: str, content: Any, ticket: str) -> None:
    notification = replace(a_notification(), ticket_id=ticket, **STATES[outcome])
    notification = replace(notification, content=content) if content else notification
    detail_type, detail = told(notification, outcome)
    valid(detail_type, detail)
    for other in contracts.OUT:
        if other.startswith("Notification") and other not in (detail_type, "NotificationOverdue"):
            with pytest.raises(ValidationError):
                valid(other, {**detail, "state": "planned"})


def stream_image(table: MemoryTable, prefix: str) -> dict[str, Any]:
    [item] = [one for one in table.scan().items if str(one["pk"]).startswith(prefix)]
    return image_of(item)


def test_a_reply_and_a_change_of_identity_fit_theirs() -> None:
    table = MemoryTable()
    stores = Stores(table, texts=TEXTS)
    reply = {"text": "thanks", "kind": "text", "ticket_id": "message:billing:7", "recipient": "62812"}
    stores.replies.put("default", "62812@s.whatsapp.net", "ABC", reply, AT)
    change = {"kind": "number-moved", "recipient": "62812", "recipient_lid": "7@lid", "moved_to": None}
    stores.identity_changes.put("default", "7@lid", 0, change, "number-moved", AT)
    for prefix, detail_type in (("reply#", "ReplyReceived"), ("identity#", "IdentityChanged")):
        record = {
            "eventName": "INSERT",
            "dynamodb": {"SequenceNumber": "1", "NewImage": stream_image(table, prefix)},
        }
        [one] = outcomes_of(record, TEXTS)
        assert one.detail_type == detail_type
        valid(detail_type, one.detail)


# -- AsyncAPI ----------------------------------------------------------------------------------------------


def test_the_document_is_as_the_files_are() -> None:
    assert contracts.DOCUMENT.read_text(encoding="utf-8") == contracts.text()
    assert contracts.main(["--check"]) == 0


def test_the_document_is_asyncapi_3() -> None:
    if not SPECS.exists():
        pytest.skip("the schemas of AsyncAPI aren't installed: make setup")
    schema = json.loads(SPECS.read_text(encoding="utf-8"))
    Draft7Validator(schema).validate(contracts.document())
    with pytest.raises(ValidationError):
        Draft7Validator(schema).validate({**contracts.document(), "operations": {"take": {"action": "eat"}}})


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = contracts.document()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    place: Any = document
                    for step in inner.removeprefix("#/").split("/"):
                        place = place[step]
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)


# -- CloudEvents -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail_type", TYPES)
def test_a_cloud_event_has_what_the_specification_asks_for(detail_type: str) -> None:
    detail = {"id": "o-1", "ticket_id": "TCK-1"}
    event = cloud_event(TYPES[detail_type], detail, AT, "tocsin")
    assert {"id", "source", "specversion", "type"} <= event.keys()
    assert event["specversion"] == "1.0"
    assert all(name.isalnum() and name == name.lower() for name in event)
    assert event["dataschema"] == contracts.schemas()[contracts.OUT[detail_type]]["$id"]
    assert event["data"] == detail
