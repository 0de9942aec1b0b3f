"""Bad input: bodies and fields that nobody would send on purpose, and some that somebody would."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.desks import attempted, changed, recorded, translated
from tests.support.steps import steps
from tocsin.door.desks.body import Unreadable, cleaned, read_body
from tocsin.door.desks.fitting import MAX_BYTES, Fitting
from tocsin.door.desks.kind import CHANGES, names
from tocsin.door.desks.translate import Refusal, Translation
from tocsin.notify.events.schema import InvalidEvent, parse_event

ZAMMAD = recorded()["zammad-created"]


def ticket(body: bytes) -> dict[str, Any]:
    entry = translated(ZAMMAD, body).entry
    assert entry is not None
    told: dict[str, Any] = entry.detail["ticket"]
    return told


@pytest.mark.parametrize(
    ("raw", "violation"),
    [
        (b"", "body: is empty"),
        (b"[]", "body: is not a JSON object"),
        (b'"text"', "body: is neither JSON nor a form"),
        (b'{"a": ', "body: is not JSON (line 1, column 6)"),
        (b"{" * 5000, "body: is not JSON"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "body: is nested too deep"),
        (b'{"a":' * 100_000, "body: is"),
        (b"hello", "body: is neither JSON nor a form"),
        (b"&".join(b"a=1" for _ in range(3000)), "body: is a form of more than 2000 fields"),
    ],
)
def test_no_object_is_in_it(raw: bytes, violation: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_body(raw, "")
    assert str(caught.value).startswith(violation)


def test_a_refusal_quotes_nothing() -> None:
    result = attempted(ZAMMAD, b'{"secret-of-siti": ')
    assert isinstance(result, Refusal)
    assert "siti" not in str(result)


def test_bytes_that_are_no_utf_8_cost_a_letter() -> None:
    body = changed(ZAMMAD, ticket__title="Caf\u00e9").replace("Caf\u00e9".encode(), b"Caf\xe9")
    assert ticket(body)["subject"] == "Caf\ufffd"


def test_half_a_surrogate_pair_costs_a_letter() -> None:
    body = changed(ZAMMAD, ticket__title="x").replace(b'"title": "x"', b'"title": "x\\ud83d y"')
    assert ticket(body)["subject"] == "x\ufffd y"


def test_a_line_break_within_a_text_is_taken() -> None:
    body = changed(ZAMMAD, article__body="one|two", article__content_type="text/plain").replace(b"|", b"\n")
    assert ticket(body)["description"] == "one\ntwo"


@pytest.mark.slow
def test_a_body_of_six_megabytes_takes_no_more_steps_than_what_is_shown_of_it() -> None:
    large, small = (changed(ZAMMAD, article__body="<p>x</p>" * number) for number in (750_000, 15_000))
    assert len(ticket(large)["description"]) <= 20_000
    assert steps(lambda: ticket(large)) < 1.1 * steps(lambda: ticket(small))


def test_a_form_says_the_same_as_json() -> None:
    one = recorded()["splynx-created"]
    fields = [("type", "event"), ("call", "tickets/ticket/create")]
    data = json.loads(one.body)["data"]
    for name, value in data.items():
        if isinstance(value, dict):
            fields += [(f"data[{name}][{inner}]", str(told)) for inner, told in value.items()]
        elif value is not None:
            fields.append((f"data[{name}]", str(value)))
    form = translated(one, urlencode(fields).encode()).entry
    whole = translated(one).entry
    assert form is not None
    assert whole is not None
    form.detail["ticket"].pop("revision"), whole.detail["ticket"].pop("revision")
    assert form == whole


@pytest.mark.parametrize("field", ["a[b][c]=1", "a[]=1&a[]=2", "a=1&a[b]=2", "[=1", "a]=1", "a[b=1"])
def test_odd_forms_are_read(field: str) -> None:
    assert isinstance(read_body(field.encode(), "application/x-www-form-urlencoded"), dict)


# -- fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("javascript:alert(1)", None),
        ("https://https://desk.example.com/1", "https://desk.example.com/1"),
        ("http://desk.example.com/1", "http://desk.example.com/1"),
        ("//desk.example.com/1", "https://desk.example.com/1"),
        ("desk.example.com/1", "https://desk.example.com/1"),
        ("https://desk.example.com/tikét?a=b c", "https://desk.example.com/tik%C3%A9t?a=b%20c"),
        ("https://", None),
        ("not a link", None),
        ("https://x.example/" + "a" * 3000, None),
        (["https://x.example/"], None),
    ],
)
def test_links_are_mended_or_dropped(written: Any, told: str | None) -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, ticket__url=written)).entry
    assert entry is not None
    assert entry.detail["ticket"].get("url") == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("English", "en"),
        ("English (United Kingdom)", "en"),
        ("Bahasa Indonesia", "id"),
        ("es_MX", "es-MX"),
        ("en_US.UTF-8", "en-US"),
        ("Klingon", None),
        ("", None),
        (7, None),
    ],
)
def test_languages_are_tags_or_dropped(written: Any, told: str | None) -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, customer__language=written)).entry
    assert entry is not None
    assert entry.detail["customer"].get("language") == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("2026-12-01T09:00:00.000+0700", "2026-12-01T02:00:00Z"),
        ("2013-12-12T05:35Z", "2013-12-12T05:35:00Z"),
        (1_796_090_400, "2026-12-01T02:00:00Z"),
        ("1796090400123", "2026-12-01T02:00:00Z"),
        ("2026-12-01 02:00:00", None),
        ("yesterday", None),
        (True, None),
    ],
)
def test_times_without_a_zone_are_dropped(written: Any, told: str | None) -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, ticket__created_at=written)).entry
    assert entry is not None
    assert entry.detail["ticket"].get("created_at") == told


@pytest.mark.parametrize(
    "phone",
    [
        "6281234567890",
        "5511999999999",
        "081234567890",
        "+62 812-3456-7890",
        "0061 2 1234 7777",
        "tel:+62-812-3456-7890",
        "not a number",
    ],
)
def test_numbers_are_handed_on_as_they_are(phone: str) -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, customer__phone=phone)).entry
    assert entry is not None
    assert entry.detail["customer"]["phone"] == phone


def test_a_number_of_digits_is_text() -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, customer__phone=6281234567890)).entry
    assert entry is not None
    assert entry.detail["customer"]["phone"] == "6281234567890"


def test_an_unset_phone_as_an_empty_text_leaves_the_ticket_as_it_is() -> None:
    one = recorded()["generic-created"]
    entry = translated(one, changed(one, customer__phone="")).entry
    assert entry is not None
    assert "phone" not in entry.detail["customer"]
    assert len(entry.detail["technicians"]) == 1


def test_a_ticket_without_a_subject_is_told_by_its_description() -> None:
    one = recorded()["generic-created"]
    result = translated(one, changed(one, ticket__subject=None))
    assert result.entry is not None
    assert result.entry.detail["ticket"]["subject"] == "The modem's light is red."
    assert any("subject" in repair for repair in result.repairs)


def test_a_ticket_with_neither_is_told_all_the_same() -> None:
    one = recorded()["generic-created"]
    result = translated(one, changed(one, ticket__subject=" ", ticket__description=None))
    assert result.entry is not None
    assert result.entry.detail["ticket"]["subject"] == "\u2013"


def test_two_long_ids_stay_two() -> None:
    one = recorded()["generic-created"]
    ids = set()
    for end in "ab":
        entry = translated(one, changed(one, ticket__id="x" * 300 + end)).entry
        assert entry is not None
        ids.add(entry.detail["ticket"]["id"])
    assert len(ids) == 2
    assert all(len(one) <= 128 for one in ids)


def test_an_event_that_the_bus_would_not_take_is_made_smaller() -> None:
    sign = "\U0001f600"
    people = [{"id": f"{n}", "name": sign * 300, "phone": "0812-3456-7890"} for n in range(60)]
    one = recorded()["generic-created"]
    body = changed(one, ticket__description=sign * 30_000, technicians=people, reply={"text": sign * 30_000})
    result = translated(one, body, "event=replied")
    assert result.entry is not None
    assert len(result.entry.json.encode()) < 240 * 1024
    assert len(result.entry.detail["technicians"]) == 50
    big = Fitting()
    extra = {f"a{n}": sign * 1000 for n in range(30)}
    told = big.fit(
        {"ticket": {"id": "1", "revision": 1, "subject": "x", "description": sign * 20_000, "extra": extra}}
    )
    assert len(json.dumps(told, ensure_ascii=False).encode()) <= MAX_BYTES
    assert "extra" not in told["ticket"]
    assert big.repairs


def test_what_cannot_be_told_is_refused_with_every_violation() -> None:
    one = recorded()["generic-created"]
    result = attempted(one, changed(one, ticket__id=None))
    assert result == Refusal(("detail.ticket.id: is missing",))
    result = attempted(one, changed(one, event="exploded"))
    assert result == Refusal(
        (
            "change: no rule of the kind says what happened; its rules look at body.event: "
            "tocsin sources kinds generic; or let the URL say it, such as ?event=created",
        )
    )
    result = attempted(one, query="event=exploded")
    assert result == Refusal((f"query.event: is none of {', '.join(CHANGES)}",))


@pytest.mark.parametrize("kind", names())
def test_a_stranger_to_the_kind_is_refused_or_ignored(kind: str) -> None:
    result = attempted(recorded()[f"{kind}-created"], b'{"hello": "world"}', "")
    assert isinstance(result, Refusal) or result.entry is None


# -- whatever stands in the fields ---------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["\u202e", "\x00", "*", "https://x", "2026-12-01T00:00:00Z", "x" * 600, "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[Any] = list(value.items()) if isinstance(value, dict) else []
    inner = list(enumerate(value)) if isinstance(value, list) else inner
    return [path, *(leaf for step, one in inner for leaf in leaves(one, (*path, step)))]


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_whatever_stands_in_a_field_the_planner_takes_what_comes_out(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(recorded())))
    body = json.loads(recorded()[name].body)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(leaves(body)[1:]))
        place = body
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = data.draw(ANYTHING)
        except (TypeError, LookupError):
            continue
    result = attempted(recorded()[name], json.dumps(body).encode(errors="surrogatepass"))
    if isinstance(result, Refusal):
        assert all(": " in one for one in result.violations)
        return
    if result.entry is None:
        return
    envelope = json.dumps({"detail-type": result.entry.detail_type, "detail": result.entry.detail})
    try:
        parse_event(envelope, default_region="ID", accounts=["default"])
    except InvalidEvent as refusal:
        raise AssertionError(refusal.violations) from None


def test_the_same_property_fails_for_an_event_that_was_not_fitted() -> None:
    detail = {"ticket": {"id": "1", "revision": 1, "subject": "x", "url": "javascript:alert(1)"}}
    with pytest.raises(InvalidEvent):
        parse_event(
            json.dumps({"detail-type": "TicketCreated", "detail": detail}),
            default_region="ID",
            accounts=["default"],
        )


@given(st.text())
def test_cleaned_text_can_be_written(text: str) -> None:
    assert cleaned(text).encode().decode() == cleaned(text)


def test_a_translation_tells_no_secret_of_the_request() -> None:
    one = recorded()["zammad-created"]
    assert isinstance(attempted(one), Translation)
    assert "4b6a8f0e" not in str(attempted(one))
