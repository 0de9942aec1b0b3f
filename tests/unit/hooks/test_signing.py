"""Signatures, judged by the library that receivers verify them with."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tocsin.hooks.signing import SECRET_BYTES, headers, new_secret, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = new_secret(lambda n: b"o" * n)


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def test_the_vector_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", [b'{"a":1}', '{"text":"Café ☕"}'.encode(), b"{}"])
def test_the_receivers_library_verifies_what_we_sign(body: bytes) -> None:
    Webhook(SECRET).verify(body.decode(), headers([SECRET], "msg_1", now(), body))


def test_while_a_secret_is_changed_both_verify() -> None:
    told = headers([OTHER, SECRET], "msg_1", now(), b"{}")
    Webhook(SECRET).verify("{}", told)
    Webhook(OTHER).verify("{}", told)


@pytest.mark.parametrize(
    "changed",
    [{"webhook-id": "msg_2"}, {"webhook-timestamp": "1"}, {"webhook-signature": "v1,AAAA"}],
)
def test_twin_with_anything_changed_is_refused(changed: dict[str, str]) -> None:
    told = headers([SECRET], "msg_1", now(), b"{}") | changed
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify("{}", told)


def test_twin_of_another_secret_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify("{}", headers([SECRET], "msg_1", now(), b"{}"))


def test_a_secret_is_random_bytes_of_the_length_that_is_asked_for() -> None:
    secret = new_secret(lambda n: bytes(range(n)))
    assert base64.b64decode(secret.removeprefix("whsec_")) == bytes(range(SECRET_BYTES))
    assert 24 <= SECRET_BYTES <= 64
