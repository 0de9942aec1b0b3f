"""The options that become code, and the paste: what passes, and what the operator is told otherwise."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.passkey_ceremony import CHALLENGE, PASSKEY
from tocsin.whatsapp.assertion import MAX_PASTE, REFUSALS, AssertionRefused, check_assertion
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.passkey import MAX_NESTED, MAX_OPTIONS_BYTES, parse_options
from tocsin_whatsapp_server.passkey import options

ANSWER = PASSKEY.answer(json.loads(options(CHALLENGE)))
PASTE = json.dumps(ANSWER)


def changed(**response: object) -> str:
    kept = {**ANSWER["response"], **response}
    return json.dumps(
        {**ANSWER, "response": {name: value for name, value in kept.items() if value is not None}}
    )


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def client_data(**changes: Any) -> str:
    told = json.loads(base64.urlsafe_b64decode(ANSWER["response"]["clientDataJSON"] + "=="))
    return changed(clientDataJSON=encoded(json.dumps({**told, **changes}).encode()))


def reason(pasted: str) -> str:
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(pasted, CHALLENGE)
    assert str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize(
    "pasted",
    [
        PASTE,
        f"  {PASTE}\r\n",
        f"'{PASTE}'",
        f"\u201c{PASTE}\u201d",
        json.dumps(PASTE),
        f"\ufeff{PASTE}",
        changed(signature=encoded(base64.urlsafe_b64decode(ANSWER["response"]["signature"] + "=="))),
        json.dumps({**ANSWER, "rawId": base64.b64encode(PASSKEY.credential_id).decode()}),
        json.dumps(ANSWER, indent=2),
    ],
)
def test_however_it_was_copied_the_same_goes_on_the_wire(pasted: str) -> None:
    assert check_assertion(pasted, CHALLENGE) == check_assertion(PASTE, CHALLENGE)


def test_the_service_takes_what_we_send() -> None:
    made = check_assertion(PASTE, CHALLENGE)
    PASSKEY.verified(made.credential_id, made.text, CHALLENGE)


@pytest.mark.parametrize("flags", [0x05, 0x1D, 0x9D, 0x85])
def test_other_flags_may_be_set(flags: int) -> None:
    answer = PASSKEY.answer(json.loads(options(CHALLENGE)), flags=flags)
    PASSKEY.verified(PASSKEY.credential_id, check_assertion(json.dumps(answer), CHALLENGE).text, CHALLENGE)


@pytest.mark.parametrize(
    ("pasted", "expected"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("x" * (MAX_PASTE + 1), "too-long"),
        ("Promise {<pending>}", "pending"),
        ("undefined", "not-json"),
        ("[1]", "not-json"),
        ('"text"', "not-json"),
        ("[" * 9000, "not-json"),
        (PASTE[:-7], "cut"),
        (options(CHALLENGE).decode(), "options"),
        ("{}", "incomplete"),
        (json.dumps({**ANSWER, "type": "password"}), "not-a-passkey"),
        (json.dumps({**ANSWER, "rawId": "AAAA"}), "two-credentials"),
        (json.dumps({**ANSWER, "rawId": "", "id": ""}), "incomplete"),
        (json.dumps({**ANSWER, "id": "no base64!"}), "incomplete"),
        (changed(signature=None), "incomplete"),
        (changed(signature=""), "incomplete"),
        (changed(userHandle=7), "incomplete"),
        (changed(clientDataJSON="AAAA"), "incomplete"),
        (changed(authenticatorData="AAAA"), "incomplete"),
        (client_data(type="webauthn.create"), "created"),
        (client_data(type="payment.get"), "not-a-passkey"),
        (client_data(challenge="AAAA"), "another-challenge"),
        (client_data(challenge=None), "another-challenge"),
        (client_data(origin="https://web.whatsapp.com.evil.example"), "another-origin"),
        (client_data(origin="http://web.whatsapp.com"), "another-origin"),
        (json.dumps(PASSKEY.answer({"challenge": "AAAA", "rpId": "x"})), "another-challenge"),
        (json.dumps(PASSKEY.answer(json.loads(options(CHALLENGE)), flags=0x01)), "not-verified"),
        (json.dumps(PASSKEY.answer(json.loads(options(CHALLENGE)), flags=0x04)), "not-verified"),
        (json.dumps(PASSKEY.answer(json.loads(options(CHALLENGE)) | {"rpId": "x.com"})), "another-passkey"),
    ],
)
def test_what_else_is_pasted_is_refused_by_its_name(pasted: str, expected: str) -> None:
    assert reason(pasted) == expected


def test_each_refusal_says_what_to_do_and_repeats_nothing_of_the_paste() -> None:
    for text in REFUSALS.values():
        assert ":" in text or ";" in text
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(changed(signature="secret?"), CHALLENGE)
    assert "secret" not in str(refused.value)


# Options


def test_options_keep_what_we_do_not_know() -> None:
    told = json.loads(options(CHALLENGE)) | {"hints": ["client-device"]}
    read = parse_options(json.dumps(told).encode())
    assert json.loads(read.ascii_json()) == told


@pytest.mark.parametrize("hostile", ["\u2028", "\u2029", "</script><script>", "\x7f", "\ud800", "é", "*/"])
def test_options_are_code_of_plain_ascii_whatever_they_hold(hostile: str) -> None:
    told = json.loads(options(CHALLENGE)) | {hostile: hostile}
    text = parse_options(json.dumps(told).encode()).ascii_json()
    assert text.isascii()
    assert text.isprintable()
    assert "<" not in text
    assert json.loads(text) == told


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"null",
        b'{"challenge":"AAAA","rpId":"whatsapp.com"}',
        options(CHALLENGE).replace(b"whatsapp.com", b"web.whatsapp.com"),
        options(CHALLENGE).replace(b"whatsapp.com", b"evil.example"),
        options(bytes(65)),
        options(CHALLENGE).replace(b'"challenge"', b'"chalenge"'),
        options(CHALLENGE).replace(b"true", b"NaN"),
        options(CHALLENGE).replace(b"true", b"1e999"),
        options(CHALLENGE).replace(b"true", b"[" * 5000 + b"]" * 5000),
        options(CHALLENGE) + b" " * MAX_OPTIONS_BYTES,
        options(CHALLENGE) + b");alert(1",
    ],
)
def test_options_that_are_no_options_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidStanza):
        parse_options(content)


@pytest.mark.parametrize(("levels", "is_read"), [(MAX_NESTED - 1, True), (MAX_NESTED, False)])
def test_how_deep_options_may_be_is_not_left_to_the_release_of_python(levels: int, is_read: bool) -> None:
    deep = options(CHALLENGE).replace(b"true", b"[" * levels + b"]" * levels)
    assert deep != options(CHALLENGE)
    if is_read:
        assert parse_options(deep).challenge
    else:
        with pytest.raises(InvalidStanza):
            parse_options(deep)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(b"600000", 600), (b"60000", 60), (b'"x"', 600), (b"-1", 600), (b"true", 600), (b"9" * 400, 600)],
)
def test_the_time_is_that_of_the_options_and_ten_minutes_at_most(timeout: bytes, seconds: float) -> None:
    read = parse_options(options(CHALLENGE).replace(b"600000", timeout))
    assert read.seconds == seconds
