"""What Lambda hands on, and what a body can be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tocsin.door.answer import Refused
from tocsin.door.bodies import MAX_NESTED, fields, json_object
from tocsin.door.request import MAX_BODY_BYTES, MAX_QUERY_FIELDS, BadRequest, Request, request_of


def event(**more: Any) -> dict[str, Any]:
    return {"rawPath": "/v1/messages", "requestContext": {"http": {"method": "post"}}, **more}


def test_names_of_headers_are_lower_case() -> None:
    assert request_of(event(headers={"ApiKey": " k "})).header("apikey") == "k"


def test_a_body_in_base64_is_the_bytes_that_were_sent() -> None:
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert request_of(event(body=encoded, isBase64Encoded=True)).body == b"\x00\xff"


def test_a_body_that_only_looks_like_base64_stays_as_it_is() -> None:
    assert request_of(event(body="aGFsbw==")).body == b"aGFsbw=="


def test_without_a_body_the_key_lacks() -> None:
    assert request_of(event()).body == b""


@pytest.mark.parametrize(
    "more",
    [{"body": "%%", "isBase64Encoded": True}, {"body": "x" * (MAX_BODY_BYTES + 1)}],
)
def test_a_body_that_is_none_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        request_of(event(**more))


def test_a_value_with_a_comma_is_one_and_a_plus_is_a_blank() -> None:
    request = Request("GET", "/", "text=a%2Cb,c+d%0Ae%2B&text=second", {}, b"")
    assert request.query_field("text") == "a,b,c d\ne+"


@pytest.mark.parametrize("query", ["&".join(f"a{n}=1" for n in range(MAX_QUERY_FIELDS + 1)), "a=%ff"])
def test_a_query_that_nobody_means_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        _ = Request("GET", "/", query, {}, b"").query


def test_a_slash_too_many_is_none() -> None:
    assert Request("GET", "//v1//messages/", "", {}, b"").segments == ("v1", "messages")


def test_a_name_in_the_path_is_decoded() -> None:
    assert Request("GET", "/message/sendText/my%20inst", "", {}, b"").segments[-1] == "my inst"


# -- bodies ------------------------------------------------------------------------------------------------


def posted(body: bytes, kind: str = "application/json") -> Request:
    return Request("POST", "/", "", {"content-type": kind}, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"NaN",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'\xff{"a": 1}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * (MAX_NESTED + 1) + b"]" * (MAX_NESTED + 1) + b"}",
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        json_object(body)
    assert refused.value.status == 400


def test_six_megabytes_of_json_are_read() -> None:
    body = json.dumps({"text": "x" * (5 * 1024 * 1024)}).encode()
    assert len(json_object(body)["text"]) == 5 * 1024 * 1024


def test_a_form_is_read_as_it_was_encoded() -> None:
    told = fields(
        posted(b"phone=%2B62812&message=a%2Cb+c", "application/x-www-form-urlencoded; charset=utf-8")
    )
    assert (told.text("phone"), told.text("message")) == ("+62812", "a,b c")


def test_a_form_of_parts_has_texts_and_files() -> None:
    body = (
        b'--X\r\nContent-Disposition: form-data; name="caption"\r\n\r\nTagihan \xc3\xa9\r\n'
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%PDF-\r\n\r\n--Y\r\n\x00\r\n--X--\r\n"
    )
    told = fields(posted(body, 'multipart/form-data; boundary="X"'))
    assert told.text("caption") == "Tagihan é"
    upload = told.files["file"]
    assert (upload.name, upload.mime) == ("a.pdf", "application/pdf")
    assert upload.content == b"%PDF-\r\n\r\n--Y\r\n\x00"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"a=\xff", "application/x-www-form-urlencoded"),
        (b"--X\r\n", "multipart/form-data"),
        (
            b'\r\n--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--X--',
            "multipart/form-data; boundary=X",
        ),
        (b"\r\n--X" * 100, "multipart/form-data; boundary=X"),
    ],
)
def test_a_form_that_is_none_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        fields(posted(body, kind))
    assert refused.value.status == 400


def test_another_type_is_refused_as_such() -> None:
    with pytest.raises(Refused) as refused:
        fields(posted(b"<a/>", "application/xml"))
    assert refused.value.status == 415


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json; charset=utf-8"])
def test_json_is_taken_under_the_types_that_callers_send_it_with(kind: str) -> None:
    assert fields(posted(b'{"text": "a", "number": 6281}', kind)).text("number") == "6281"


def test_a_field_that_is_no_text_is_refused_by_its_name() -> None:
    with pytest.raises(Refused, match="400"):
        fields(posted(b'{"text": ["a"]}')).text("text")
