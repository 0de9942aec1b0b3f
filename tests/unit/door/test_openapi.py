"""The document of the door's own calls: valid, as the code is, and true of what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from tests.support import openapi
from tests.support.doors import OpenDoor
from tocsin.door.dialect import ANY, Progress
from tocsin.door.dialects import own
from tocsin.notify.events.samples import FULL

WRITTEN: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = {
    (method.upper(), path): one for path, item in WRITTEN["paths"].items() for method, one in item.items()
}


def judge(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": WRITTEN["components"]})


def test_it_is_openapi_3_1() -> None:
    validate(WRITTEN, cls=OpenAPIV31SpecValidator)


def test_one_that_is_none_is_found_out() -> None:
    with pytest.raises(OpenAPIValidationError):
        validate({**WRITTEN, "paths": {"v1": {"get": {}}}}, cls=OpenAPIV31SpecValidator)


def test_it_is_as_the_code_is() -> None:
    assert openapi.document() == WRITTEN, "run: python -m tests.support.openapi"


def test_it_describes_the_calls_that_there_are() -> None:
    routes = {
        (one.method, "/" + "/".join("{id}" if part == ANY else part for part in one.pattern))
        for one in own.ROUTES
    }
    assert set(OPERATIONS) == routes


def test_it_names_the_fields_that_a_message_has() -> None:
    schemas = WRITTEN["components"]["schemas"]
    assert set(schemas["Message"]["properties"]) == own.MESSAGE_FIELDS
    assert set(schemas["File"]["properties"]) == own.FILE_FIELDS


@pytest.fixture
def door() -> OpenDoor:
    made = OpenDoor()
    made.add("api", per_minute=1000)
    made.facts.found["msg-1"] = [Progress("n1", "failed", 1, "gone")]
    return made


REQUESTS: list[tuple[str, str, str, Any]] = [
    ("POST", "/v1/messages", "/v1/messages", {"to": "+6281234567890", "text": "Halo"}),
    ("POST", "/v1/messages", "/v1/messages", {"to": "Siti", "text": "Halo"}),
    ("POST", "/v1/messages", "/v1/messages", {"text": "Halo"}),
    ("POST", "/v1/messages", "/v1/messages", {"to": "+6281234567890", "text": "Halo", "account": "nobody"}),
    ("POST", "/v1/tickets", "/v1/tickets", {"event": "created", **FULL}),
    ("POST", "/v1/tickets", "/v1/tickets", {"event": "created", "ticket": {}}),
    ("POST", "/v1/tickets", "/v1/tickets", {}),
    ("GET", "/v1/messages/msg-1", "/v1/messages/{id}", None),
    ("GET", "/v1/messages/msg-2", "/v1/messages/{id}", None),
    ("GET", "/v1/accounts", "/v1/accounts", None),
]


@pytest.mark.parametrize(("method", "path", "described", "body"), REQUESTS)
def test_an_answer_is_one_that_the_document_describes(
    door: OpenDoor, method: str, path: str, described: str, body: Any
) -> None:
    answer = door.ask(method, path, body, authorization=f"Bearer {door.tokens['api']}")
    told = OPERATIONS[method, described]["responses"][str(answer.status)]
    if "$ref" in told:
        told = WRITTEN["components"]["responses"][told["$ref"].rpartition("/")[2]]
    (kind, content), *_ = told["content"].items()
    assert answer.content_type == kind
    judge(content["schema"]).validate(json.loads(answer.body))


@pytest.mark.parametrize("call", sorted(OPERATIONS))
def test_strangers_get_what_it_says_of_them(door: OpenDoor, call: tuple[str, str]) -> None:
    method, path = call
    answer = door.ask(method, path.replace("{id}", "msg-1"), {})
    assert answer.status == 401
    assert "401" in OPERATIONS[call]["responses"]


@pytest.mark.parametrize("call", [one for one in sorted(OPERATIONS) if "requestBody" in OPERATIONS[one]])
def test_an_example_fits_its_schema_and_is_taken(door: OpenDoor, call: tuple[str, str]) -> None:
    content = OPERATIONS[call]["requestBody"]["content"]["application/json"]
    judge(content["schema"]).validate(content["example"])
    method, path = call
    answer = door.ask(method, path, content["example"], authorization=f"Bearer {door.tokens['api']}")
    assert answer.status == 202


def test_the_schema_refuses_what_the_door_refuses(door: OpenDoor) -> None:
    for body in ({"text": "Halo"}, {"to": [], "text": "a"}, {"to": "+62812", "txt": "a"}, {"to": 1}):
        assert not judge({"$ref": "#/components/schemas/Message"}).is_valid(body)
        answer = door.ask("POST", "/v1/messages", body, authorization=f"Bearer {door.tokens['api']}")
        assert answer.status == 400
