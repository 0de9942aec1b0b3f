"""Retry receipts and ciphertexts that nobody honest sends: each named in the log, none changes a session."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import pytest

from tests.support.fake_whatsapp import wrapped
from tests.support.memory_aws import MemoryAws
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import changed, our_bundle, reply_of_everybody, sessions, with_count
from tocsin.notify.notification import State
from tocsin.signal import errors
from tocsin.signal.session import Ciphertext, send
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message

UNHEARD_OF = "3EB0" + "00" * 9


@pytest.fixture
def wired() -> WiredFunctions:
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    reply_of_everybody(wired)
    return wired


# -- retry receipts --------------------------------------------------------------------------------------


def request(wired: WiredFunctions, **changes: object) -> Node:
    """An honest one: Siti's phone could not read her second notification."""
    wired.siti.devices[0].corrupt()
    notification = wired.tell(2)
    wired.network.retries.clear()
    wired.network.forget_counts()
    return wired.network.retry_receipt(wired.siti.devices[0], notification.message_id, "BadMac", **changes)


def about(node: Node, message_id: str) -> Node:
    children = tuple(
        Node("retry", {**child.attrs, "id": message_id}) if child.tag == "retry" else child
        for child in node.children()
    )
    return Node("receipt", {**node.attrs, "id": message_id}, children)


def of_a_stranger(wired: WiredFunctions) -> Node:
    mallory = wired.network.person("6281111111111", "6666")
    wired.paired.keys.contacts.learn(
        str(mallory.pn), str(mallory.user)
    )  # who has which names is the server's word
    return changed(request(wired), **{"from": mallory.devices[0].jid, "sender_pn": mallory.pn})


def of_an_unlisted_device(wired: WiredFunctions) -> Node:
    return changed(request(wired), **{"from": wired.siti.user.with_device(9)})


def of_an_unlisted_device_with_keys(wired: WiredFunctions) -> Node:
    return changed(request(wired, with_keys=True), **{"from": wired.siti.user.with_device(9)})


def with_forged_keys(wired: WiredFunctions) -> Node:
    wired.network.spoil_signatures = True
    return request(wired, with_keys=True)


def replayed(wired: WiredFunctions) -> Node:
    honest = request(wired)
    assert wired.receive(honest).outcome == "resent"
    return honest


def about_a_suppressed_one(wired: WiredFunctions) -> Node:
    wired.reply("STOP", "S")
    planned = wired.plan(3)
    wired.deliver(planned)
    return about(request_in(wired), planned.message_id)


def request_in(wired: WiredFunctions) -> Node:
    device = wired.siti.devices[0]
    return wired.network.retry_receipt(device, UNHEARD_OF, "BadMac")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda wired: about(request(wired), UNHEARD_OF), "unknown-message"),
        (lambda wired: about(request(wired), "A message id of somebody else's"), "unknown-message"),
        (of_a_stranger, "foreign-device"),
        (of_an_unlisted_device, "unknown-device"),
        (of_an_unlisted_device_with_keys, "unknown-device"),
        (with_forged_keys, "bad-signature"),
        (lambda wired: with_count(request(wired), 11), "absurd-count"),
        (lambda wired: with_count(request(wired), 99), "absurd-count"),
        (replayed, "replayed"),
        (about_a_suppressed_one, "suppressed"),
    ],
)
def test_a_bad_request_is_named_answered_with_nothing_and_changes_no_session(
    wired: WiredFunctions, caplog: pytest.LogCaptureFixture, make: Callable[[WiredFunctions], Node], why: str
) -> None:
    node = make(wired)
    before, sent = sessions(wired), len(wired.network.messages)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        report = wired.receive(node)
    assert report.outcome == why
    assert (sessions(wired), len(wired.network.messages)) == (before, sent)
    [line] = [line for line in caplog.records if line.message == "retry receipt refused"]
    assert line.__dict__["why"] == why
    assert wired.siti.phone not in repr(line.__dict__)


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_a_count_that_is_no_count_is_malformed(wired: WiredFunctions, count: int) -> None:
    node = with_count(request(wired), count)
    before, sent = sessions(wired), len(wired.network.messages)
    assert wired.receive(node).outcome == "malformed"
    assert (sessions(wired), len(wired.network.messages)) == (before, sent)


@pytest.mark.parametrize("missing", ["retry", "registration"])
def test_a_request_without_its_parts_is_malformed(wired: WiredFunctions, missing: str) -> None:
    honest = request(wired)
    children = tuple(child for child in honest.children() if child.tag != missing)
    before = sessions(wired)
    assert wired.receive(Node("receipt", honest.attrs, children)).outcome == "malformed"
    assert sessions(wired) == before


def test_a_forged_request_costs_the_honest_device_nothing(wired: WiredFunctions) -> None:
    """What was refused stands in the history, and the next honest request is served."""
    wired.network.spoil_signatures = True
    forged = request(wired, with_keys=True)
    wired.receive(forged)
    wired.network.spoil_signatures = False
    [notification] = [wired.stores.notifications.get(forged.attr_str("id")[4:].lower())]
    assert notification is not None
    assert notification.attempts[-1].class_ == "refused"
    assert notification.state is State.SENT
    wired.network.retries = [
        wired.network.retry_receipt(wired.siti.devices[0], notification.message_id, "BadMac")
    ]
    assert [report.outcome for report in wired.answer_retries()] == ["resent"]
    assert texts(wired.siti.devices[0])[-1] == "Tiket 2"


# -- a bundle of another identity ------------------------------------------------------------------------


def test_keys_of_another_identity_are_accepted_recorded_and_reported(
    wired: WiredFunctions, caplog: pytest.LogCaptureFixture
) -> None:
    """A customer who reinstalled: the keys are signed by what they name as identity."""
    wired.siti.devices[0].reinstall()
    notification = wired.tell(2)
    wired.network.retries.clear()
    node = wired.network.retry_receipt(
        wired.siti.devices[0], notification.message_id, "NoSession", with_keys=True
    )
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        assert wired.receive(node).outcome == "resent"
    assert texts(wired.siti.devices[0])[-1] == "Tiket 2"
    [change] = wired.stores.identity_changes.of("default", "1234@lid")
    assert (change["by"], change["outcome"]) == ("bundle", "IdentityChanged")
    assert "identity changed" in [line.message for line in caplog.records]


# -- ciphertexts -----------------------------------------------------------------------------------------


def good(wired: WiredFunctions) -> Ciphertext:
    return wired.siti.devices[0].encrypt(text_message("utuh"))


def first(wired: WiredFunctions) -> Ciphertext:
    wired.siti.devices[0].begin(our_bundle(wired))
    return good(wired)


CIPHERTEXTS: dict[str, Callable[[WiredFunctions], Ciphertext]] = {
    "empty": lambda wired: Ciphertext("msg", b""),
    "one byte": lambda wired: Ciphertext("msg", b"\x33"),
    "no room for a mac": lambda wired: Ciphertext("msg", good(wired).body[:8]),
    "cut": lambda wired: Ciphertext("msg", good(wired).body[:-1]),
    "another version": lambda wired: Ciphertext("msg", b"\x44" + good(wired).body[1:]),
    "an old version": lambda wired: Ciphertext("msg", b"\x23" + good(wired).body[1:]),
    "a first message cut": lambda wired: Ciphertext("pkmsg", first(wired).body[:-5]),
    "a first message as an ordinary one": lambda wired: Ciphertext("msg", first(wired).body),
    "an ordinary message as a first one": lambda wired: Ciphertext("pkmsg", good(wired).body),
    "zeros": lambda wired: Ciphertext("msg", b"\x33" + bytes(80)),
    "noise": lambda wired: Ciphertext("msg", b"\x33" + os.urandom(200)),
    "noise as a first message": lambda wired: Ciphertext("pkmsg", b"\x33" + os.urandom(400)),
    "a flipped bit": lambda wired: flipped(good(wired), -1),
    "a flipped bit in the text": lambda wired: flipped(good(wired), -20),
    "very long": lambda wired: Ciphertext("msg", b"\x33" + bytes(100_000)),
}


def flipped(message: Ciphertext, place: int) -> Ciphertext:
    body = bytearray(message.body)
    body[place] ^= 1
    return Ciphertext(message.type, bytes(body))


@pytest.mark.parametrize("kind", sorted(CIPHERTEXTS))
def test_a_malformed_ciphertext_is_asked_for_again_named_and_changes_no_session(
    wired: WiredFunctions, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    node = wrapped(wired.siti.devices[0], wired.siti, "M", CIPHERTEXTS[kind](wired))
    before, written = sessions(wired), len(wired.network.written)
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        report = wired.receive(node)
    assert report.outcome == "asked-again"
    assert sessions(wired) == before
    [line] = [line for line in caplog.records if line.message == "can't decrypt"]
    assert line.__dict__["cause"] == report.cause
    [asked] = wired.network.written[written:]
    code = getattr(errors, report.cause).retry_code
    assert asked.require_child("retry").attrs["error"] == str(code)


@pytest.mark.parametrize("kind", ["msmsg", "skmsg", "unheard-of", ""])
def test_a_ciphertext_of_another_kind_is_left_alone(wired: WiredFunctions, kind: str) -> None:
    before = sessions(wired)
    report = wired.receive(wrapped(wired.siti.devices[0], wired.siti, "M", Ciphertext(kind, b"\x33abc")))
    assert report.outcome in ("ignored", "malformed")
    assert sessions(wired) == before


@pytest.mark.parametrize("padding", [b"", b"\x00", b"\x05", b"\x02\x01", b"\x11" * 16])
def test_a_wrong_padding_is_malformed_and_confirmed(wired: WiredFunctions, padding: bytes) -> None:
    """It was decrypted, so nothing could come of asking again."""
    device = wired.siti.devices[0]
    device.record, ciphertext = send(device.record, local=device.local, plaintext=padding or b"\xff")
    assert wired.receive(wrapped(device, wired.siti, "P", ciphertext)).outcome == "malformed"
    assert wired.reply("baik", "R5").outcome == "reply"
