"""Requests for messages: what passes, what is repaired, what is refused, and what stays sealed."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sealed_texts import TEXTS
from tocsin.notify.events.checks import InvalidEvent
from tocsin.notify.events.message_request import (
    MessageRequest,
    kept_body,
    opened,
    parse_request,
)
from tocsin.notify.events.samples import MESSAGE, sample_body
from tocsin.notify.events.samples import sample_request as body
from tocsin.notify.store.texts import TextWithheld


def parse(text: str, *, attachments: bool = True) -> MessageRequest:
    request = parse_request(
        text, default_region="ID", accounts=["default", "support"], attachments=attachments
    )
    assert request is not None
    return request


def violations(text: str, **options: Any) -> str:
    with pytest.raises(InvalidEvent) as refusal:
        parse(text, **options)
    return str(refusal.value)


def test_a_request_is_read() -> None:
    request = parse(body())
    assert (request.account, request.key, request.source, request.text) == (
        "default",
        "invoice-7",
        "billing",
        "*Invoice 7* is due",
    )
    assert [(one.audience, one.address, one.name) for one in request.recipients] == [
        ("customer", "6281234567890", "Siti"),
        ("group", "120363000000000000@g.us", ""),
    ]
    assert request.name == "message:billing:invoice-7"


def test_a_ticket_event_is_none() -> None:
    assert parse_request(sample_body(), default_region="ID", accounts=["default"]) is None
    mentions = sample_body(ticket={"id": "MessageRequested", "revision": 1, "subject": "x"})
    assert parse_request(mentions, default_region="ID", accounts=["default"]) is None


def test_without_a_key_the_event_s_own_id_counts() -> None:
    detail = {name: value for name, value in MESSAGE.items() if name != "key"}
    assert parse(body(detail)).key == "3f7a9c1e-0000-4000-8000-000000000001"


def test_a_person_named_twice_gets_it_once() -> None:
    twice = [{"phone": "+62 812 3456 7890"}, {"phone": "081234567890", "name": "Siti"}]
    assert len(parse(body(recipients=twice)).recipients) == 1


def test_who_cannot_be_reached_loses_themselves_only() -> None:
    request = parse(body(recipients=[{"phone": "12"}, {"group": "no group"}, {"phone": "+6281234567890"}]))
    assert [one.unreachable and one.unreachable.code for one in request.recipients] == [
        "invalid-phone",
        "invalid-group",
        None,
    ]


def test_technicians_are_asked_for_by_name() -> None:
    assert parse(body(audience="technician")).recipients[0].audience == "technician"


def test_too_long_a_text_is_cut_and_a_malformed_language_left_out() -> None:
    request = parse(body(text="x" * 5000, language="English, please"))
    assert (len(request.text), request.cut, request.language) == (4096, ("detail.text",), "")
    assert len(request.left_out) == 1


@pytest.mark.parametrize(
    ("changes", "violation"),
    [
        ({"recipients": []}, "detail.recipients: holds fewer than 1 entries"),
        ({"recipients": [{"name": "Siti"}]}, "must have exactly one of phone, group"),
        ({"recipients": [{"phone": "1", "group": "2"}]}, "must have exactly one of phone, group"),
        ({"recipients": "0812"}, "detail.recipients: is not a list"),
        ({"text": " \n"}, "detail.text: is missing"),
        ({"text": 7}, "detail.text: is not text or null"),
        ({"account": "other"}, "detail.account: is none of this deployment's accounts"),
        ({"key": "a\nb"}, "detail.key"),
        ({"source": "a:b"}, "detail.source"),
        ({"priority": "asap"}, "detail.priority: is none of normal, urgent"),
        ({"sensitive": "yes"}, "detail.sensitive: is not true or false or null"),
        ({"version": "2"}, "detail.version: is none of 1"),
        ({"files": [{"name": "a.pdf"}]}, "must have exactly one of bucket_key, url, content"),
        (
            {"files": [{"name": "a.exe", "bucket_key": "a"}]},
            "detail.files[0]: its name must end in one of pdf",
        ),
        ({"files": [{"name": "a.pdf", "content": "AAA"}]}, "detail.files[0].content: is not base64"),
        ({"files": [{"name": "a.pdf", "url": "http://x.example/a.pdf"}]}, "detail.files[0].url"),
    ],
)
def test_what_breaks_the_contract_is_named(changes: dict[str, Any], violation: str) -> None:
    assert violation in violations(body(**changes))


def test_files_need_a_bucket() -> None:
    files = [{"name": "a.pdf", "bucket_key": "a"}]
    assert "AttachmentsBucket" in violations(body(files=files), attachments=False)


def test_a_file_alone_is_a_request() -> None:
    content = base64.b64encode(b"%PDF-1.7").decode()
    request = parse(body(text=None, files=[{"name": "scan", "mime": "application/pdf", "content": content}]))
    assert [(one.file_name, one.media_type, one.content) for one in request.files] == [
        ("scan.pdf", "application/pdf", b"%PDF-1.7")
    ]


def test_a_name_s_ending_counts_for_more_than_its_media_type() -> None:
    files = [{"name": "a.png", "mime": "application/octet-stream", "bucket_key": "k"}]
    assert parse(body(files=files)).files[0].media_type == "image/png"


# -- what is sensitive -------------------------------------------------------------------------------------

SECRET = "Your code is 481-516"
SENSITIVE = {**MESSAGE, "text": SECRET, "sensitive": True}


def test_the_kept_form_of_a_sensitive_request_holds_no_words_and_is_planned_the_same() -> None:
    came = body(SENSITIVE, files=[{"name": "a.pdf", "bucket_key": "k", "caption": "481-516"}])
    kept = kept_body(came, TEXTS)
    assert "481-516" not in kept
    request = parse(kept)
    assert request.sensitive
    assert request.text == ""
    again = opened(request, TEXTS)
    assert (again.text, again.files[0].caption) == (SECRET, "481-516")
    assert again.recipients == parse(came).recipients


def test_sealed_twice_it_stays_as_it_is() -> None:
    kept = kept_body(body(SENSITIVE), TEXTS)
    assert json.loads(kept_body(kept, TEXTS)) == json.loads(kept)


def test_other_requests_are_kept_as_they_came() -> None:
    assert kept_body(body(), TEXTS) == body()
    assert kept_body(body(sensitive=False), TEXTS) == body(sensitive=False)


def test_who_asks_in_a_malformed_way_is_believed() -> None:
    assert "481-516" not in kept_body(body({**SENSITIVE, "sensitive": "true"}), TEXTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*SENSITIVE, "files"]), JSON)
@settings(max_examples=300, deadline=None)
def test_whatever_a_field_holds_the_event_is_kept_and_read_or_refused(name: str, value: Any) -> None:
    text = json.dumps({**json.loads(body(SENSITIVE)), "detail": {**SENSITIVE, name: value}})
    kept = kept_body(text, TEXTS)
    for one in (text, kept):
        with suppress(InvalidEvent):
            assert parse(one) is not None


def test_any_number_of_recipients_is_sealed() -> None:
    many = [{"phone": f"+62812{number:07d}", "name": "x" * 300} for number in range(400)]
    assert "481-516" not in kept_body(body(SENSITIVE, recipients=many), TEXTS)


def test_what_is_no_json_is_not_kept_where_it_may_be_sensitive() -> None:
    assert "481-516" not in kept_body(body(SENSITIVE)[:-3], TEXTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": [{"phone": "+62 813 9999 9999"}]},
        {"account": "support"},
        {"key": "invoice-8"},
    ],
)
def test_sealed_words_are_for_those_they_were_sealed_for(changes: dict[str, Any]) -> None:
    kept = json.loads(kept_body(body(SENSITIVE), TEXTS))
    kept["detail"] |= changes
    with pytest.raises(TextWithheld):
        opened(parse(json.dumps(kept)), TEXTS)
