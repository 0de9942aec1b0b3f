"""The linter of kinds: every file that is built in passes, and what is wrong is named with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.desks import recorded
from tocsin.door.desks.kind import InvalidKind, UnknownKind, built_in, file_of, merged, names
from tocsin.door.desks.lint import checked, lint

SMALL: dict[str, Any] = {
    "kind": "small",
    "signature": [{"header": "x-signature"}],
    "change": [{"when": "body.new", "is": "created"}],
    "ticket": {"id": "body.id", "subject": "body.subject"},
}


def findings(**changes: Any) -> list[str]:
    return lint(json.dumps({**SMALL, **changes}), {})


@pytest.mark.parametrize("name", names())
def test_every_kind_that_is_built_in_passes(name: str) -> None:
    assert lint(file_of(name), {}) == []
    assert built_in(name).about


def test_a_small_file_passes() -> None:
    assert findings() == []
    assert checked(json.dumps(SMALL), {}).name == "small"


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"chnage": []}, "file: has no chnage"),
        ({"change": []}, "change: is missing"),
        ({"change": [{"when": "body.new", "is": "exploded"}]}, "change[0].is: is none of created"),
        ({"change": [{"when": "body.[", "is": "created"}]}, "change[0].when: "),
        ({"change": [{"if": "body.new", "is": "created"}]}, "change[0]: is not an object with when and is"),
        ({"change": [{"when": "!body.new", "is": "created"}]}, "change[0].when: ! binds closer"),
        (
            {"change": [{"when": "lowre(body.x)", "is": "created"}]},
            "change[0].when: there is no function lowre",
        ),
        ({"ticket": {"subject": "body.subject"}}, "ticket.id: is missing"),
        ({"ticket": {"id": "body.id", "titel": "body.t"}}, "ticket: has no titel"),
        ({"ticket": {"id": "body.id", "revision": "body.r"}}, "ticket.revision: stands beside ticket"),
        ({"ticket": {"id": {"at": "body.id", "as": "number"}}}, "ticket.id.as: is none of"),
        ({"ticket": {"id": {"when": "body.id"}}}, "ticket.id: has neither at nor default"),
        ({"ticket": {"id": {"at": "body.id", "mpa": {}}}}, "ticket.id: has no mpa"),
        ({"ticket": {"id": 7}}, "ticket.id: is neither an expression nor a rule"),
        ({"customer": {"mobile": "body.m"}}, "customer: has no mobile"),
        ({"customer": []}, "customer: is not an object"),
        ({"revision": [{"moment": "body.t"}]}, "revision[0]: is not one of number, key, time"),
        ({"signature": [{"scheme": "rsa"}]}, "signature[0]: its scheme is neither hmac nor token"),
        ({"signature": [{"header": "X-Signature"}]}, "signature[0].header: headers are named in lower case"),
        ({"signature": [{"header": "x", "algorithm": "md5"}]}, "signature[0].algorithm: is none of sha1"),
        ({"signature": [{"header": "x", "signed": ["timestamp"]}]}, "signature[0].signed: a signature that"),
        ({"signature": [{"algorithm": "sha1"}]}, "signature[0]: lacks header"),
        ({"ignore": [{"when": "body.x"}]}, "ignore[0]: is not an object with when and because"),
        ({"lookup": {"path": "/users", "phone": "phone"}}, "lookup.path: must hold {id}"),
        ({"challenge": {"query": "x"}}, "challenge: is not an object with query, text"),
        ({"extends": "nothing"}, "file: extends: there is no such kind"),
        ({"ticket": {"id": 'body."${field}"'}}, "${field}: is no parameter"),
        ({"parameters": {"Field": {}}}, "parameters.Field: a parameter's name"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], finding: str) -> None:
    assert [one for one in findings(**changes) if one.startswith(finding)], findings(**changes)


def test_every_finding_is_told_at_once() -> None:
    assert len(findings(chnage=[], change=[], ticket={})) >= 3


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "file: is not JSON"),
        ("[]", "file: is not a JSON object"),
        ("{" * 100, "file: is not JSON"),
        (json.dumps({"about": "x" * 70_000}), "file: is larger than"),
        ('{"a":' * 500 + "1" + "}" * 500, "file: is nested too deep"),
    ],
)
def test_what_is_no_file_of_a_kind(text: str, finding: str) -> None:
    assert lint(text, {})[0].startswith(finding)


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        ({"phone_feld": "x"}, "phone_feld: is no parameter of this kind; there are"),
        ({"phone_field": "x' || 'y"}, "phone_field: may hold letters"),
        ({"replies": "yes"}, "replies: is none of off, notice, text"),
    ],
)
def test_a_parameter_that_cannot_be_meant(given: dict[str, str], finding: str) -> None:
    assert lint(file_of("jira"), given)[0].startswith(finding)
    with pytest.raises(InvalidKind):
        checked(file_of("jira"), given)


def test_a_parameter_says_where_a_field_is() -> None:
    assert (
        checked(file_of("jira"), {"phone_field": "customfield_1"})
        .customer.fields["phone"][0]
        .at.endswith('"customfield_1"')
    )


def test_a_file_that_extends_another_one_changes_what_it_names() -> None:
    own = merged(json.dumps({"extends": "zammad", "customer": {"phone": "note"}}))
    base = merged(file_of("zammad"))
    assert own["customer"] == {**base["customer"], "phone": "note"}
    assert own["ticket"] == base["ticket"]


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownKind):
        file_of("../../secrets")


def test_every_parameter_says_what_it_is_for() -> None:
    for name in names():
        for parameter, about in merged(file_of(name)).get("parameters", {}).items():
            assert about["about"], (name, parameter)


def test_every_kind_has_recordings() -> None:
    assert {one.told["kind"] for one in recorded().values()} == set(names())
