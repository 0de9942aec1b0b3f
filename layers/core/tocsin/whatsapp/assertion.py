"""What the operator brings back from the browser: a WebAuthn assertion, checked before it is sent.

A prologue that WhatsApp refuses costs a new scan, so everything that can be checked without the account's
public key is checked here: whoever pastes the wrong thing keeps the challenge and is asked again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.whatsapp.passkey import RP_ID, from_base64, to_base64url

MAX_PASTE: Final = 16_384
"""Characters. Some 900 are usual."""

ORIGIN: Final = "https://web.whatsapp.com"
USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
MIN_AUTHENTICATOR_BYTES: Final = 37
"""The hash of the rpId (32), flags (1), counter (4); extensions may follow."""

_QUOTES: Final = "'\"`\u2018\u2019\u201c\u201d"
_ASK_AGAIN: Final = "run the line in the browser again, and paste what it copies"

REFUSALS: Final = {
    "empty": f"nothing was pasted: {_ASK_AGAIN}",
    "too-long": f"this is longer than any answer of a browser: {_ASK_AGAIN}",
    "pending": "the browser was still asking for the passkey when this was copied: use the passkey there,"
    " then paste what the line copied",
    "not-json": f"this isn't the answer of the browser (one line that begins with a brace): {_ASK_AGAIN}",
    "options": "this is the question, not the answer: paste it into the browser's console, and what that"
    " copies here",
    "cut": "the end is missing, as if the line was cut: copy all of it, or put it into a file and use"
    " --assertion FILE",
    "incomplete": f"a part of the answer is missing or can't be read ({{detail}}): {_ASK_AGAIN}",
    "not-a-passkey": f"this isn't an answer of a passkey: {_ASK_AGAIN}",
    "two-credentials": "the answer names two different passkeys (id and rawId differ): copy it again, whole",
    "created": "a new passkey was made here; the line to paste asks for the one that WhatsApp knows: run it",
    "another-challenge": "this answers an earlier question: run the line that is shown now",
    "another-origin": "this was made on another page: open https://web.whatsapp.com and run the line there",
    "another-passkey": "this is the passkey of another site: choose the one for whatsapp.com",
    "not-verified": "the passkey was used without fingerprint, face or PIN; WhatsApp asks for one: run the"
    " line again, and unlock the passkey when you are asked",
}
"""Reason → what the operator reads, and is to do. Nothing of the paste is repeated."""


class AssertionRefused(ValueError):
    """The paste is no answer to this challenge; the challenge stays. `reason`: a name of `REFUSALS`. The text
    is for the operator."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(REFUSALS[reason].replace("{detail}", detail))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Assertion:
    """What goes on the wire. `credential_id`: raw bytes. `text`: JSON, byte for byte."""

    credential_id: bytes = field(repr=False)
    text: bytes = field(repr=False)


def check_assertion(pasted: str, challenge: bytes) -> Assertion:
    """The assertion in what was pasted, if it answers this challenge. Raises `AssertionRefused`."""
    told = _parsed(pasted)
    response = _part(told, "response")
    if told.get("type") != "public-key":
        raise AssertionRefused("not-a-passkey")
    credential, raw = _decoded(told, "id"), _decoded(told, "rawId")
    if credential != raw or not raw:
        raise AssertionRefused("two-credentials" if raw else "incomplete", "rawId")
    client_data = _decoded(response, "clientDataJSON")
    authenticator = _decoded(response, "authenticatorData")
    signature = _decoded(response, "signature")
    handle = _decoded(response, "userHandle") if response.get("userHandle") is not None else None
    if not signature:
        raise AssertionRefused("incomplete", "signature")
    _check_client_data(client_data, challenge)
    _check_authenticator(authenticator)
    members = {
        "id": to_base64url(raw),
        "rawId": to_base64url(raw),
        "type": "public-key",
        "response": {
            "clientDataJSON": to_base64url(client_data),
            "authenticatorData": to_base64url(authenticator),
            "signature": to_base64url(signature),
            "userHandle": to_base64url(handle) if handle is not None else None,
        },
    }
    return Assertion(raw, json.dumps(members, separators=(",", ":")).encode())


def _parsed(pasted: str) -> dict[str, Any]:
    if len(pasted) > MAX_PASTE:
        raise AssertionRefused("too-long")
    text = pasted.strip().strip("\ufeff\x00").strip()
    if not text:
        raise AssertionRefused("empty")
    if text.startswith("Promise"):
        raise AssertionRefused("pending")
    told = _json(text)
    if told is None:
        told = _json(_unquoted(text))
    if isinstance(told, str):  # a console shows a string in quotes, its own escaped
        told = _json(told)
    if told is None and text.lstrip(_QUOTES).startswith("{"):
        raise AssertionRefused("cut")
    if not isinstance(told, dict):
        raise AssertionRefused("not-json")
    if "challenge" in told:
        raise AssertionRefused("options")
    return told


def _json(text: str) -> object:
    """None for what is no JSON."""
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def _unquoted(text: str) -> str:
    """Without quotes around it. Only a pair is taken off, and never the last brace's neighbour inside."""
    while len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    part = told.get(name)
    if not isinstance(part, dict):
        raise AssertionRefused("incomplete", name)
    return part


def _decoded(part: dict[str, Any], name: str) -> bytes:
    try:
        return from_base64(part.get(name))
    except ValueError as exc:
        raise AssertionRefused("incomplete", name) from exc


def _check_client_data(content: bytes, challenge: bytes) -> None:
    try:
        told = json.loads(content.decode())
    except (ValueError, RecursionError) as exc:
        raise AssertionRefused("incomplete", "clientDataJSON") from exc
    if not isinstance(told, dict):
        raise AssertionRefused("incomplete", "clientDataJSON")
    if told.get("type") != "webauthn.get":
        raise AssertionRefused("created" if told.get("type") == "webauthn.create" else "not-a-passkey")
    try:
        answered = from_base64(told.get("challenge"))
    except ValueError:
        answered = b""
    if not hmac.compare_digest(answered, challenge):
        raise AssertionRefused("another-challenge")
    if told.get("origin") != ORIGIN:
        raise AssertionRefused("another-origin")


def _check_authenticator(data: bytes) -> None:
    if len(data) < MIN_AUTHENTICATOR_BYTES:
        raise AssertionRefused("incomplete", "authenticatorData")
    if data[:32] != hashlib.sha256(RP_ID.encode()).digest():
        raise AssertionRefused("another-passkey")
    needed = USER_PRESENT | USER_VERIFIED
    if data[32] & needed != needed:
        raise AssertionRefused("not-verified")
