"""Ticket events: what passes, and that every violation is named by its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.notify.events.audience import recipients, unreachable
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.samples import FULL, HOSTILE, MINIMAL, sample_body, sample_event
from tocsin.notify.events.schema import MAX_BYTES, InvalidEvent, parse_event, schema
from tocsin.notify.texts.template import Templates


def parse(body: str) -> TicketEvent:
    return parse_event(body, default_region="ID", accounts=["default", "support"])


def violations(body: str) -> tuple[str, ...]:
    with pytest.raises(InvalidEvent) as refusal:
        parse(body)
    return refusal.value.violations


def with_ticket(**changes: Any) -> str:
    return sample_body(ticket={**FULL["ticket"], **changes})


def test_a_full_event_is_read_with_normalised_numbers() -> None:
    event = parse(sample_body("TicketAssigned"))
    assert event.event_type == "TicketAssigned"
    assert event.account == "default"
    assert event.ticket.subject == "No internet since 09:00"
    assert event.customer is not None
    assert event.customer.phone == "6281234567890"
    assert [person.phone for person in event.technicians] == ["6281311112222", "6281311113333"]
    assert event.groups == ("120363000000000000@g.us",)


def test_only_a_ticket_is_needed() -> None:
    event = parse(sample_body(detail={"ticket": MINIMAL["ticket"]}))
    assert (event.customer, event.technicians, event.groups, event.created_by) == (None, (), (), None)
    assert event.account == "default"


@pytest.mark.parametrize(
    ("time", "at"),
    [
        ("2026-11-22T02:00:00Z", 1_795_312_800_000),
        ("2026-11-22T02:00:00", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
        (17, None),
        (None, None),
    ],
)
def test_the_time_on_the_bus_is_kept_where_it_is_one(time: Any, at: int | None) -> None:
    event = json.loads(sample_body()) | {"time": time}
    assert parse(json.dumps(event)).event_at == at


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_a_person_without_a_number_is_known_but_cannot_be_told(nothing: str | None) -> None:
    event = parse(sample_body(customer={"id": "C-1", "name": "Siti", "phone": nothing}))
    assert event.customer is not None
    assert event.customer.phone is None


def test_null_stands_for_missing() -> None:
    event = parse(sample_body(customer=None, technicians=None, groups=None, created_by=None))
    assert (event.customer, event.technicians, event.groups) == (None, (), ())


def test_fields_the_schema_does_not_know_are_ignored_and_said() -> None:
    assert parse(sample_body(technican=[])).ignored == ("technican",)


LOST = "detail.customer.phone"


@pytest.mark.parametrize("phone", ["0812", "call me", "8" * 41, 6281234567890, 0, False, [], {"n": 1}])
def test_a_phone_that_is_none_loses_that_person_only(phone: Any) -> None:
    event = parse(sample_body(customer={"id": "C-1", "phone": phone}))
    assert event.customer is not None
    assert event.customer.unreachable is not None
    assert (event.customer.unreachable.code, event.customer.unreachable.path) == ("invalid-phone", LOST)
    assert [one.audience for one in unreachable(event)] == ["customer"]
    assert [one.audience for one in recipients(event)] == ["technician", "technician", "group"]


def test_a_refused_phone_is_shown_to_no_log() -> None:
    event = parse(sample_body(customer={"id": "C-1", "phone": "0812 secret"}))
    assert event.customer is not None
    assert event.customer.unreachable is not None
    assert event.customer.unreachable.written == "0812 secret"
    assert "secret" not in f"{event!r}{event.customer.unreachable.detail}"


@pytest.mark.parametrize("entry", ["0812-3456-7890", 6281234567890, True, [], ["0812"]])
@pytest.mark.parametrize("audience", ["customer", "technician"])
def test_a_person_who_is_no_object_is_lost_alone(audience: str, entry: Any) -> None:
    changes = (
        {"customer": entry} if audience == "customer" else {"technicians": [*FULL["technicians"], entry]}
    )
    event = parse(sample_body(**changes))
    [lost] = unreachable(event)
    path = "detail.customer" if audience == "customer" else "detail.technicians[2]"
    assert lost.unreachable is not None
    assert (lost.audience, lost.unreachable.code, lost.unreachable.path) == (audience, "invalid-phone", path)
    assert len(recipients(event)) == (3 if audience == "customer" else 4)


def test_a_technician_who_is_null_has_no_number() -> None:
    [lost] = unreachable(parse(sample_body(technicians=[None])))
    assert lost.unreachable is not None
    assert lost.unreachable.code == "no-phone"


MALFORMED = [
    ("language", "x-", "doesn't match ^([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*)?$"),
    ("language", "en" * 20, "is longer than 35 characters"),
    ("language", ["en"], "is not text or null"),
    ("name", 7, "is not text or null"),
    ("name", {"first": "Siti"}, "is not text or null"),
    ("id", 77, "is not text or null"),
    ("id", "x" * 129, "is longer than 128 characters"),
]


@pytest.mark.parametrize(("field", "value", "reason"), MALFORMED)
@pytest.mark.parametrize("audience", ["customer", "technician"])
def test_whoever_has_a_malformed_field_is_told_without_it(
    audience: str, field: str, value: Any, reason: str
) -> None:
    person = {"phone": "0812-3456-7890", field: value}
    changes = {"customer": person} if audience == "customer" else {"technicians": [person]}
    event = parse(sample_body(**changes))
    told = [one for one in recipients(event) if one.audience == audience]
    assert [(one.address, one.name, one.language, one.person) for one in told] == [
        ("6281234567890", "", "", "")
    ]
    path = "detail.customer" if audience == "customer" else "detail.technicians[0]"
    assert event.left_out == (f"{path}.{field}: {reason}",)


def test_the_phones_of_an_event_are_read_with_the_default_area() -> None:
    body = sample_body(customer={"phone": "555 1234"})
    event = parse_event(body, default_region="ID", default_area="21", accounts=["default"])
    assert event.customer is not None
    assert event.customer.phone == "62215551234"
    assert [one.unreachable.reason for one in unreachable(parse(body)) if one.unreachable] == [
        "is no valid number of the region ID (a foreign one needs + and its country code)"
    ]


def test_a_moment_that_is_too_long_is_left_out() -> None:
    event = parse(with_ticket(created_at="2026-11-22T02:00:00." + "0" * 40 + "Z"))
    assert (event.ticket.created_at, event.cut) == ("", ("detail.ticket.created_at",))


@pytest.mark.parametrize("group", ["120363000000000000@s.whatsapp.net", "120363000000000000@g.us\n", "", 7])
def test_what_is_no_group_loses_that_group_only(group: Any) -> None:
    event = parse(sample_body(groups=[group, *FULL["groups"]]))
    assert [one.path for one in event.lost_groups] == ["detail.groups[0]"]
    assert event.groups == tuple(FULL["groups"])


@pytest.mark.parametrize(
    ("field", "most"),
    [("subject", 500), ("description", 20_000), ("priority", 64), ("status", 64), ("location", 500)],
)
def test_a_text_of_the_ticket_that_is_too_long_is_cut_and_said_to_be(field: str, most: int) -> None:
    event = parse(with_ticket(**{field: "x" * (most + 1)}))
    assert getattr(event.ticket, field) == "x" * (most - 1) + "…"
    assert event.cut == (f"detail.ticket.{field}",)


@pytest.mark.parametrize(
    ("field", "most"),
    [("subject", 500), ("description", 20_000), ("priority", 64), ("status", 64), ("location", 500)],
)
def test_a_text_of_just_the_length_is_not_cut(field: str, most: int) -> None:
    event = parse(with_ticket(**{field: "x" * most}))
    assert (getattr(event.ticket, field), event.cut) == ("x" * most, ())


def test_names_and_fields_of_your_own_are_cut_too() -> None:
    ticket = {**FULL["ticket"], "extra": {"sla": "x" * 1001}}
    event = parse(sample_body(ticket=ticket, technicians=[{"name": "B" * 201, "phone": "+62 813 1111 2222"}]))
    assert (len(event.ticket.extra["sla"]), len(event.technicians[0].name)) == (1000, 200)
    assert event.cut == ("detail.ticket.extra.sla", "detail.technicians[0].name")


def test_a_url_that_is_too_long_is_left_out() -> None:
    event = parse(with_ticket(url="https://desk.example.com/" + "x" * 2000))
    assert (event.ticket.url, event.cut) == ("", ("detail.ticket.url",))


@pytest.mark.parametrize(
    "changes",
    [
        {"ticket": {**FULL["ticket"], "id": "x" * 129}},
        {"created_by": {"role": "admin", "id": "x" * 129}},
    ],
)
def test_what_identifies_is_not_cut_but_refused(changes: dict[str, Any]) -> None:
    assert "is longer than 128 characters" in violations(sample_body(**changes))[0]


def test_hostile_text_is_no_violation() -> None:
    assert parse(sample_body(detail=HOSTILE)).ticket.id == "*1*"


def test_every_violation_is_named_by_its_path() -> None:
    body = sample_body(
        ticket={"id": "T-1", "revision": "two", "subject": "", "url": "javascript:alert(1)"},
        customer={"phone": "call me", "language": "xx--"},
        technicians=[{"phone": "0812"}, "Budi"],
        groups=["120363000000000000@s.whatsapp.net"],
        created_by={"role": "boss"},
        account="nobody",
    )
    told = violations(body)
    assert {line.split(":")[0] for line in told} == {
        "detail.ticket.revision",
        "detail.ticket.subject",
        "detail.ticket.url",
        "detail.customer.phone",
        "detail.customer.language",
        "detail.technicians[0].phone",
        "detail.technicians[1]",
        "detail.groups[0]",
        "detail.created_by.role",
        "detail.account",
    }


@pytest.mark.parametrize(
    ("body", "violation"),
    [
        (with_ticket(revision=True), "detail.ticket.revision: is not a whole number"),
        (with_ticket(revision=-1), "detail.ticket.revision: is less than 0"),
        (with_ticket(revision=2**60), "detail.ticket.revision: is more than 9007199254740991"),
        (with_ticket(id="x" * 129), "detail.ticket.id: is longer than 128 characters"),
        (with_ticket(extra={"a b": "c"}), "detail.ticket.extra: doesn't match"),
        (with_ticket(extra={"a": {"b": 1}}), "detail.ticket.extra.a: is not text or a whole number"),
        (sample_body(ticket={}), "detail.ticket: lacks id, revision, subject"),
        (sample_body(account="default\n"), "detail.account: doesn't match"),
        (sample_body(technicians=[{}] * 51), "detail.technicians: holds more than 50 entries"),
        (sample_body(account="other"), "none of this deployment's accounts (default, support)"),
        (sample_body("TicketDeleted"), "detail-type: 'TicketDeleted' is unknown; known are TicketCreated,"),
        (json.dumps({"detail": {}}), "detail-type: is missing"),
        (json.dumps({"detail-type": "TicketCreated"}), "detail: is missing"),
        (json.dumps({"detail-type": "TicketCreated", "detail": "text"}), "detail: is not an object"),
    ],
)
def test_a_violation_says_what_is_wrong(body: str, violation: str) -> None:
    assert any(violation in line for line in violations(body))


@pytest.mark.parametrize(
    ("body", "violation"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"detail": NaN}', "not JSON"),
        ('{"revision": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "nested too deep"),
        (json.dumps(sample_event(account="\ud800")), "surrogate"),
        ('"' + "x" * MAX_BYTES + '"', "larger than"),
    ],
)
def test_what_is_no_event_at_all_is_refused_in_one_sentence(body: str, violation: str) -> None:
    (told,) = violations(body)
    assert violation in told


@pytest.mark.parametrize("levels", [101, 500, 900, 940, 5000])
@pytest.mark.parametrize("place", ["customer", "anything"])
def test_what_is_nested_too_deep_is_refused_wherever_it_stands(place: str, levels: int) -> None:
    """Below the limit of the JSON parser, the validator or a function behind it would run out of stack."""
    body = sample_body(**{place: "deep"}).replace('"deep"', "[" * levels + "]" * levels)
    assert violations(body) == ("event: is nested too deep: 100 levels are the limit",)


def test_a_field_that_is_ignored_may_be_an_object_of_objects() -> None:
    assert parse(sample_body(anything={"a": [{"b": {"c": [1]}}]})).ignored == ("anything",)


# What steers a terminal: escape, OSC by its C1 character, DEL, line breaks, both ways to turn the direction.
STEERING = [
    "\x1b[2J",
    "\x9d0;",
    "\x7f",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200f",
    "\ufeff",
]


@pytest.mark.parametrize("steering", STEERING)
@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("detail.ticket.id", {"ticket": {**FULL["ticket"], "id": "T-1?9"}}),
        ("detail.created_by.id", {"created_by": {"role": "admin", "id": "?"}}),
    ],
)
def test_no_id_holds_what_steers_a_terminal(path: str, changes: Any, steering: str) -> None:
    body = sample_body(**changes).replace("?", json.dumps(steering)[1:-1])
    assert f"{path}: holds control characters, line breaks or marks that turn the direction of writing" in (
        violations(body)
    )


@pytest.mark.parametrize("steering", STEERING)
def test_a_person_whose_id_does_is_told_without_it(steering: str) -> None:
    event = parse(sample_body(customer={**FULL["customer"], "id": f"C-1{steering}9"}))
    assert event.customer is not None
    assert (event.customer.id, event.customer.phone) == ("", "6281234567890")
    assert event.left_out == (
        "detail.customer.id: holds control characters, line breaks or marks that turn the direction of "
        "writing",
    )


@pytest.mark.parametrize("steering", STEERING)
def test_neither_does_an_account(steering: str) -> None:
    assert any(
        line.startswith("detail.account") for line in violations(sample_body(account=f"support{steering}"))
    )


@pytest.mark.parametrize("steering", STEERING)
def test_a_group_whose_id_does_is_lost_alone(steering: str) -> None:
    event = parse(sample_body(groups=[f"120363000000000000@g.us{steering}"]))
    assert not event.groups
    assert [lost.code for lost in event.lost_groups] == ["invalid-group"]


def test_neither_does_the_id_of_the_event_itself() -> None:
    [violation] = violations(json.dumps(sample_event() | {"id": "e\x1b[2J"}))
    assert violation.startswith("id: holds control characters")


@pytest.mark.parametrize("written", ["TCK-1042", "№ 7/β", "تذكرة ٧", "票 42", "క్‌ష", "👩\u200d🔧"])
def test_an_id_is_in_any_language(written: str) -> None:
    assert parse(with_ticket(id=written)).ticket.id == written


def test_violations_quote_nothing_that_the_event_holds() -> None:
    customer = {"phone": "0899secret", "language": "se cret"}
    told = "; ".join(violations(sample_body(customer=customer, groups=["secret"], account="nobody")))
    assert "secret" not in told
    assert "se cret" not in told


def test_violations_without_number_are_cut_and_say_so() -> None:
    told = violations(sample_body(technicians=[1] * 10_000, groups=[1] * 10_000))
    assert len(told) <= 201
    assert "more violations than are listed" in told[-1]


def test_the_schema_is_itself_valid_and_anchors_patterns_only_where_the_reader_understands_it() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())
    for pattern in patterns(schema()):
        assert "$" not in pattern[:-1]


TEMPLATES = Templates()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    ("ticket",),
    *(("ticket", name) for name in (*FULL["ticket"], "extra")),
    ("customer",),
    *(("customer", name) for name in FULL["customer"]),
    ("technicians",),
    ("groups",),
    ("created_by",),
    ("created_by", "role"),
    ("account",),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_anywhere_in_an_event_is_refused_or_can_be_told(
    place: tuple[str, ...], value: Any
) -> None:
    event = sample_event()
    spot = event["detail"]
    for step in place[:-1]:
        spot = spot[step]
    spot[place[-1]] = value
    try:
        parsed = parse(json.dumps(event))
    except InvalidEvent:
        return
    for recipient in (*recipients(parsed), *unreachable(parsed)):
        assert TEMPLATES.render(parsed, recipient, "id").text


@settings(max_examples=200, deadline=None)
@given(st.text() | JSON.map(json.dumps))
def test_whatever_comes_as_an_event_is_refused_by_name(body: str) -> None:
    assert violations(body)


def patterns(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
        return own + [pattern for value in node.values() for pattern in patterns(value)]
    if isinstance(node, list):
        return [pattern for value in node for pattern in patterns(value)]
    return []


# -- attachments -----------------------------------------------------------------------------------------


def with_attachments(*attachments: Any) -> str:
    return sample_body(detail={**FULL, "attachments": list(attachments)})


def parse_attached(body: str) -> TicketEvent:
    return parse_event(body, default_region="ID", accounts=["default"], attachments=True)


def test_attachments_are_read_with_their_names_types_and_audiences() -> None:
    event = parse_attached(
        with_attachments(
            {"key": "tickets/1042.PDF", "caption": "the plan", "audiences": ["technician"]},
            {"key": "x/9f3e", "file_name": "photo.jpg"},
        )
    )
    plan, photo = event.enclosures
    assert (plan.attachment.file_name, plan.attachment.media_type) == ("1042.PDF", "application/pdf")
    assert (plan.caption, plan.is_for("technician"), plan.is_for("customer")) == ("the plan", True, False)
    assert (photo.attachment.key, photo.attachment.file_name) == ("x/9f3e", "photo.jpg")
    assert (photo.attachment.media_type, photo.is_for("group")) == ("image/jpeg", True)


@pytest.mark.parametrize(
    ("attachment", "violation"),
    [
        ({}, "detail.attachments[0]: lacks key"),
        ("a.pdf", "detail.attachments[0]: is not an object"),
        ({"key": ""}, "detail.attachments[0].key: is empty"),
        ({"key": "a.exe"}, "detail.attachments[0]: its file name must end in one of pdf, jpg, jpeg, png, "
         "webp, txt, csv, docx, xlsx, pptx"),
        ({"key": "a.pdf", "file_name": "../a.pdf"}, "detail.attachments[0].file_name: doesn't match "),
        ({"key": "a.pdf", "file_name": "a\n.pdf"}, "detail.attachments[0].file_name: doesn't match "),
        ({"key": "a.pdf", "audiences": ["boss"]}, "detail.attachments[0].audiences[0]: is none of customer, "
         "technician, group"),
        ({"key": "x" * 1021 + ".pdf"}, "detail.attachments[0].key: is longer than 1024"),
    ],
)  # fmt: skip
def test_every_violation_of_an_attachment_is_named(attachment: Any, violation: str) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        parse_attached(with_attachments(attachment))
    assert any(found.startswith(violation) for found in refusal.value.violations), refusal.value.violations


def test_a_long_caption_and_a_long_file_name_are_cut_and_its_ending_stays() -> None:
    event = parse_attached(
        with_attachments({"key": "a", "file_name": "n" * 300 + ".pdf", "caption": "c" * 1001})
    )
    (file,) = event.enclosures
    assert (file.attachment.file_name, file.attachment.media_type) == ("n" * 195 + "….pdf", "application/pdf")
    assert len(file.caption) == 1000


def test_without_a_bucket_an_event_with_attachments_is_refused_and_one_with_none_is_not() -> None:
    assert violations(with_attachments({"key": "a.pdf"})) == (
        "detail.attachments: none are sent here; name a bucket in the parameter AttachmentsBucket",
    )
    assert parse(with_attachments()).enclosures == ()
