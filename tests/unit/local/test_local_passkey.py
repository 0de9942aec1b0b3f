"""The server's passkey and the phone's half: what they take, and every single thing that they refuse."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.noise_peer import pair
from tests.support.passkey_ceremony import CHALLENGE, PASSKEY, REF, steady
from tocsin.whatsapp import passkey
from tocsin.whatsapp.assertion import check_assertion
from tocsin.whatsapp.passkey import to_base64url
from tocsin_console import passkey_code
from tocsin_whatsapp_server import browser
from tocsin_whatsapp_server.passkey import CeremonyRefused, Passkey, PhoneHalf, options

ASKED = json.loads(options(CHALLENGE))
SECRET = b"s" * 32
NOISE, IDENTITY = pair("noise").public, pair("identity").public


def wire(answer: dict[str, Any], challenge: bytes = CHALLENGE) -> bytes:
    return check_assertion(json.dumps(answer), challenge).text


RIGHT = wire(PASSKEY.answer(ASKED))


def changed(**parts: Any) -> bytes:
    told = json.loads(RIGHT)
    for name, value in parts.items():
        (told["response"] if name in told["response"] else told)[name] = value
    return json.dumps(told).encode()


def test_what_it_signed_is_verified() -> None:
    PASSKEY.verified(PASSKEY.credential_id, RIGHT, CHALLENGE)
    PASSKEY.verified(PASSKEY.credential_id, changed(userHandle=None), CHALLENGE)


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        (b"no json", "can't be read"),
        (b"[]", "can't be read"),
        (changed(extra=1), "other members"),
        (json.dumps({**json.loads(RIGHT), "type": 1}).encode(), "in id, rawId and type"),
        (changed(id="AAAA"), "in id, rawId and type"),
        (changed(rawId="AAAA"), "in id, rawId and type"),
        (changed(userHandle="AAAA"), "in the user handle"),
        (changed(rawId=json.loads(RIGHT)["rawId"] + "="), "can't be read"),
        (changed(signature=to_base64url(b"x" * 70)), "signature is wrong"),
        (changed(clientDataJSON=to_base64url(b"{}")), "in the client data"),
        (changed(clientDataJSON=to_base64url(b"[]")), "in the client data"),
        (changed(authenticatorData=to_base64url(bytes(37))), "in the rpId"),
        (changed(authenticatorData=to_base64url(b"")), "in the rpId"),
    ],
)
def test_an_assertion_with_one_thing_wrong_is_refused(assertion: bytes, words: str) -> None:
    with pytest.raises(CeremonyRefused, match=words):
        PASSKEY.verified(PASSKEY.credential_id, assertion, CHALLENGE)


def raw(**wrong: Any) -> bytes:
    """As a browser signs it, wrong from the start: the check of the console is not in between."""
    answer = PASSKEY.answer(ASKED | wrong.pop("asked", {}), **wrong)
    told = {name: answer[name] for name in ("id", "rawId", "type")}
    response = {
        name: answer["response"][name]
        for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle")
    }
    return json.dumps({**told, "response": response}).encode()


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        (raw(origin="https://evil.example"), "in the origin"),
        (raw(flags=0x01), "in user presence"),
        (raw(flags=0x04), "in user presence"),
        (raw(asked={"rpId": "evil.example"}), "in the rpId"),
        (raw(asked={"challenge": to_base64url(bytes(32))}), "in the challenge"),
    ],
)
def test_a_genuine_signature_of_something_else_is_refused(assertion: bytes, words: str) -> None:
    with pytest.raises(CeremonyRefused, match=words):
        PASSKEY.verified(PASSKEY.credential_id, assertion, CHALLENGE)


def test_another_passkey_is_refused() -> None:
    other = Passkey.made(os.urandom)
    with pytest.raises(CeremonyRefused, match="no passkey of that id"):
        PASSKEY.verified(other.credential_id, wire(other.answer(ASKED)), CHALLENGE)
    forged = Passkey(other.key, PASSKEY.credential_id, PASSKEY.handle)
    with pytest.raises(CeremonyRefused, match="signature is wrong"):
        PASSKEY.verified(PASSKEY.credential_id, wire(forged.answer(ASKED)), CHALLENGE)


# The phone's half


def phone(scanned: bytes | None = SECRET) -> PhoneHalf:
    return PhoneHalf(NOISE, IDENTITY, scanned, steady)


OURS = passkey.prologue(pair("ephemeral"), b"n" * 32, REF)
PROOF = passkey.handoff_proof(passkey.handoff_key(SECRET), OURS.payload)


def test_a_companion_that_keeps_to_it_is_let_in() -> None:
    half = phone()
    theirs = passkey.parse_primary(half.begin(OURS.payload, PROOF, REF))
    half.open_nonce(OURS.nonce)
    shared = passkey.agreement(OURS, theirs)
    assert half.code.replace("-", "") == shared.code
    request = passkey.encrypted_pairing_request(shared.key, NOISE, IDENTITY, b"x" * 32, bytes(12))
    assert half.open_request(request) == b"x" * 32
    assert half.skipped


def other(ref: str = REF, device_type: int = 1) -> bytes:
    return passkey.prologue(pair("ephemeral"), b"n" * 32, ref, device_type).payload


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: phone().begin(b"\xff", None, REF), "can't be read"),
    (lambda: phone().begin(b"", None, REF), "impossible lengths"),
    (lambda: phone().begin(other(ref="2@else"), None, REF), "another ref"),
    (lambda: phone().begin(other(device_type=2), None, REF), "another type of device"),
    (lambda: phone(b"t" * 32).begin(OURS.payload, PROOF, REF), "another code"),
    (lambda: phone(None).begin(OURS.payload, PROOF, REF), "scanned no code"),
    (lambda: phone().open_nonce(OURS.nonce), "before the prologue"),
    (lambda: phone().open_request(b""), "before the nonce"),
]


@pytest.mark.parametrize(("say", "words"), REFUSED)
def test_a_phone_refuses_what_does_not_fit(say: Callable[[], object], words: str) -> None:
    with pytest.raises(CeremonyRefused, match=words):
        say()


@pytest.mark.parametrize("nonce", [b"m" * 32, b"n" * 31, b""])
def test_a_nonce_that_was_not_committed_to_is_refused(nonce: bytes) -> None:
    half = phone()
    half.begin(OURS.payload, None, REF)
    with pytest.raises(CeremonyRefused, match="committed"):
        half.open_nonce(nonce)


@pytest.mark.parametrize(
    ("noise", "identity", "secret", "words"),
    [
        (IDENTITY, IDENTITY, b"x" * 32, "other keys"),
        (NOISE, NOISE, b"x" * 32, "other keys"),
        (NOISE, IDENTITY, b"x" * 31, "no secret of 32 bytes"),
    ],
)
def test_a_request_for_another_companion_is_refused(
    noise: bytes, identity: bytes, secret: bytes, words: str
) -> None:
    half = phone()
    theirs = passkey.parse_primary(half.begin(OURS.payload, None, REF))
    half.open_nonce(OURS.nonce)
    key = passkey.agreement(OURS, theirs).key
    request = passkey.encrypted_pairing_request(key, noise, identity, secret, bytes(12))
    with pytest.raises(CeremonyRefused, match=words):
        half.open_request(request)
    with pytest.raises(CeremonyRefused, match="can't be opened"):
        half.open_request(request[:-20])


# Being the browser by hand


@pytest.mark.parametrize("code", [passkey_code.one_line, passkey_code.with_button, lambda text: text])
def test_the_helper_finds_the_options_in_what_is_shown(code: Callable[[str], str]) -> None:
    assert browser.options_in(code(json.dumps(ASKED))) == ASKED


def test_the_helper_says_what_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert browser.main([]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("nothing of the kind {"))
    assert browser.main(["http://127.0.0.1:1", "6281200000001"]) == 1
    assert "no passkey options in this line" in capsys.readouterr().err
