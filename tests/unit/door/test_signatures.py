"""Signatures of help desks: the right one, and everything that is not."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.desks import NOW, SECRET, recorded, signed
from tocsin.door.desks.kind import built_in
from tocsin.door.signatures import HmacScheme, TokenScheme, Verdict, tokens, verify

BODY = '{"ticket":{"id":42,"title":"Café offline"}}'.encode()
"""Of the vectors, which other programs made: secret `s3cret`."""

SIGNING = ("zammad", "glpi", "redmine", "freescout", "zendesk", "jira", "splynx", "generic")
WITH_TIME = ("glpi", "zendesk")


def verdict(
    kind: str,
    headers: dict[str, str],
    body: bytes = BODY,
    query: str = "",
    secrets: tuple[str, ...] = (SECRET,),
    now: float = NOW,
) -> Verdict:
    return verify(built_in(kind).schemes, secrets, headers, body, query, now)


def recording(kind: str) -> tuple[dict[str, str], bytes]:
    one = recorded()[f"{kind}-created"]
    return signed(kind, one.body, one.headers), one.body


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("zammad", {"x-hub-signature": "sha1=b2e43dfb6efcfdc382a05d869339bd8d9a4abcfb"}),
        ("splynx", {"x-splynx-signature": "b2e43dfb6efcfdc382a05d869339bd8d9a4abcfb"}),
        (
            "redmine",
            {
                "x-redmine-signature-256": "sha256="
                "849d3eed5efa638611eca0e7a012008910ccdb45571b117b1ef7ab09f5439d1d"
            },
        ),
        (
            "jira",
            {"x-hub-signature": "sha256=849d3eed5efa638611eca0e7a012008910ccdb45571b117b1ef7ab09f5439d1d"},
        ),
    ],
)
def test_signatures_that_other_programs_made(kind: str, headers: dict[str, str]) -> None:
    assert verdict(kind, headers) is Verdict.RIGHT
    assert verdict(kind, headers, BODY + b"\n") is Verdict.WRONG


def test_the_vector_of_redmines_own_tests() -> None:
    headers = {
        "x-redmine-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }
    secrets = ("It's a Secret to Everybody",)
    assert verdict("redmine", headers, b"Hello, World!", secrets=secrets) is Verdict.RIGHT


def test_freescouts_key_is_the_hash_that_its_module_shows() -> None:
    headers = {"x-freescout-signature": "WAvpgOge/7jrzgZjctP/XHNK7SU="}
    assert verdict("freescout", headers, secrets=("52165e3369008e2e492687bcf266c857",)) is Verdict.RIGHT
    assert verdict("freescout", headers) is Verdict.WRONG


def test_standard_webhooks_vector() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secrets = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)
    body = b'{"test": 2432232314}'
    assert verdict("generic", headers, body, secrets=secrets, now=1_614_265_330) is Verdict.RIGHT
    assert verdict("generic", headers, body, secrets=secrets, now=1_614_266_000) is Verdict.STALE


def test_what_standard_webhooks_own_library_signs() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(NOW, UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": Webhook(secret).sign("msg_1", at, BODY.decode()),
    }
    assert verdict("generic", headers, secrets=(secret,)) is Verdict.RIGHT
    assert verdict("generic", {**headers, "webhook-id": "msg_2"}, secrets=(secret,)) is Verdict.WRONG


@pytest.mark.parametrize("kind", SIGNING)
def test_a_right_signature(kind: str) -> None:
    headers, body = recording(kind)
    assert verdict(kind, headers, body) is Verdict.RIGHT


@pytest.mark.parametrize("kind", SIGNING)
def test_a_missing_signature(kind: str) -> None:
    one = recorded()[f"{kind}-created"]
    assert verdict(kind, one.headers, one.body) is Verdict.MISSING


@pytest.mark.parametrize("kind", SIGNING)
def test_a_signature_of_another_secret(kind: str) -> None:
    headers, body = recording(kind)
    assert verdict(kind, headers, body, secrets=("another",)) is Verdict.WRONG
    assert verdict(kind, headers, body, secrets=()) is Verdict.WRONG


@pytest.mark.parametrize("kind", SIGNING)
def test_an_empty_secret_signs_nothing(kind: str) -> None:
    one = recorded()[f"{kind}-created"]
    headers = signed(kind, one.body, one.headers, secret="")
    assert verdict(kind, headers, one.body, secrets=("",)) is Verdict.WRONG


@pytest.mark.parametrize("kind", SIGNING)
def test_a_signature_of_another_body(kind: str) -> None:
    headers, _ = recording(kind)
    assert verdict(kind, headers, recorded()[f"{kind}-updated"].body) is Verdict.WRONG


@pytest.mark.parametrize("kind", SIGNING)
def test_a_body_that_was_parsed_and_written_again(kind: str) -> None:
    headers, body = recording(kind)
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert again != body
    assert verdict(kind, headers, again) is Verdict.WRONG


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("value", ["", "x", "sha1=", "sha256=zz", "v1,", "=", "\u00e9", "sha1=" + "0" * 40])
def test_what_is_no_signature(kind: str, value: str) -> None:
    headers, body = recording(kind)
    broken = {
        name: value if "signature" in name and "time" not in name else told for name, told in headers.items()
    }
    assert verdict(kind, broken, body) in (Verdict.WRONG, Verdict.MISSING)


@pytest.mark.parametrize("kind", SIGNING)
def test_the_former_secret_counts_beside_the_new_one(kind: str) -> None:
    headers, body = recording(kind)
    assert verdict(kind, headers, body, secrets=("new", SECRET)) is Verdict.RIGHT


@pytest.mark.parametrize("kind", WITH_TIME)
def test_a_stale_signature(kind: str) -> None:
    headers, body = recording(kind)
    assert verdict(kind, headers, body, now=NOW + 7 * 86_400) is Verdict.STALE
    assert verdict(kind, headers, body, now=NOW - 7 * 86_400) is Verdict.STALE


def test_glpi_signs_when_it_queues_so_a_retry_is_old_and_right() -> None:
    headers, body = recording("glpi")
    assert verdict("glpi", headers, body, now=NOW + 86_400) is Verdict.RIGHT


@pytest.mark.parametrize("kind", WITH_TIME)
def test_a_signature_with_the_time_of_another_one(kind: str) -> None:
    headers, body = recording(kind)
    name = next(name for name in headers if "timestamp" in name)
    assert verdict(kind, {**headers, name: "1796090500"}, body) is Verdict.WRONG
    assert (
        verdict(kind, {key: value for key, value in headers.items() if key != name}, body) is Verdict.MISSING
    )


@pytest.mark.parametrize("stamp", ["soon", "9" * 400, "-1", "2026-13-01T00:00:00Z", "inf", "nan"])
def test_a_time_that_is_none_is_stale(stamp: str) -> None:
    one = recorded()["glpi-created"]
    headers = signed("glpi", one.body, {"x-glpi-timestamp": stamp})
    assert verdict("glpi", headers, one.body) is Verdict.STALE


# -- tokens ------------------------------------------------------------------------------------------------

TOKEN = TokenScheme(("x-tocsin-token", "authorization"), ("token",))
BASIC = "Basic " + base64.b64encode(b"anyone:s3cret").decode()


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-tocsin-token": SECRET}, ""),
        ({"authorization": f"Bearer {SECRET}"}, ""),
        ({"authorization": BASIC}, ""),
        ({"authorization": SECRET}, ""),
        ({}, "a=1&token=s3cret"),
    ],
)
def test_a_token_wherever_it_may_stand(headers: dict[str, str], query: str) -> None:
    assert verify([TOKEN], [SECRET], headers, b"", query, NOW) is Verdict.RIGHT
    assert verify([TOKEN], ["another"], headers, b"", query, NOW) is Verdict.WRONG


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"x-tocsin-token": " "}, ""),
        ({"authorization": "Basic ???"}, ""),
        ({"x-other": SECRET}, "secret=s3cret"),
        ({}, "&".join(f"a{n}=1" for n in range(200)) + "&token=s3cret"),
    ],
)
def test_a_token_nowhere(headers: dict[str, str], query: str) -> None:
    assert verify([TOKEN], [SECRET], headers, b"", query, NOW) is not Verdict.RIGHT


def test_a_token_with_a_comma_is_one_token() -> None:
    assert tokens(TokenScheme(query=("token",)), {}, "token=a,b") == ("a,b",)


def test_one_of_two_schemes_is_enough() -> None:
    schemes: list[Any] = [HmacScheme("x-signature"), TOKEN]
    assert verify(schemes, [SECRET], {"x-tocsin-token": SECRET}, BODY, "", NOW) is Verdict.RIGHT
