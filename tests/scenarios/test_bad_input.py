"""Retry receipts and ciphertexts that nobody honest sends: each named in the log, none changes a session."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import Device, wrapped
from tests.support.wired_functions import House, texts
from tests.support.wired_steps import changed, our_bundle, reply_of_everybody, sessions, with_count
from tocsin.notify.notification import State
from tocsin.signal import errors
from tocsin.signal.session import Ciphertext, send
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message

UNHEARD_OF = "3EB0" + "00" * 9


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def house(account: AwsAccount) -> House:
    house = House(account.furnish())
    house.tell(1)
    reply_of_everybody(house)
    return house


# -- retry receipts --------------------------------------------------------------------------------------


def request(house: House, **changes: object) -> Node:
    """An honest one: Siti's phone could not read her second notification."""
    house.siti.devices[0].corrupt()
    notification = house.tell(2)
    house.network.retries.clear()
    house.network.forget_counts()
    return house.network.retry_receipt(house.siti.devices[0], notification.message_id, "BadMac", **changes)


def about(node: Node, message_id: str) -> Node:
    children = tuple(
        Node("retry", {**child.attrs, "id": message_id}) if child.tag == "retry" else child
        for child in node.children()
    )
    return Node("receipt", {**node.attrs, "id": message_id}, children)


def of_a_stranger(house: House) -> Node:
    mallory = house.network.person("6281111111111", "6666")
    house.stage.keys.contacts.learn(
        str(mallory.pn), str(mallory.user)
    )  # who has which names is the server's word
    return changed(request(house), **{"from": mallory.devices[0].jid, "sender_pn": mallory.pn})


def of_an_unlisted_device(house: House) -> Node:
    return changed(request(house), **{"from": house.siti.user.with_device(9)})


def of_an_unlisted_device_with_keys(house: House) -> Node:
    return changed(request(house, with_keys=True), **{"from": house.siti.user.with_device(9)})


def with_forged_keys(house: House) -> Node:
    house.network.spoil_signatures = True
    return request(house, with_keys=True)


def with_a_strangers_keys(house: House) -> Node:
    """The keys of one identity under the signature of another."""
    honest = request(house, with_keys=True)
    other = Node("identity", {}, Device(house.siti.devices[0].jid).identity.public)
    keys = honest.require_child("keys")
    swapped = Node(
        "keys", {}, tuple(other if child.tag == "identity" else child for child in keys.children())
    )
    return Node(
        "receipt",
        honest.attrs,
        tuple(swapped if child.tag == "keys" else child for child in honest.children()),
    )


def replayed(house: House) -> Node:
    honest = request(house)
    assert house.receive(honest).outcome == "resent"
    return honest


def about_a_suppressed_one(house: House) -> Node:
    house.reply("STOP", "S")
    planned = house.plan(3)
    house.deliver(planned)
    return about(request_in(house), planned.message_id)


def request_in(house: House) -> Node:
    device = house.siti.devices[0]
    return house.network.retry_receipt(device, UNHEARD_OF, "BadMac")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda house: about(request(house), UNHEARD_OF), "unknown-message"),
        (lambda house: about(request(house), "A message id of somebody else's"), "unknown-message"),
        (of_a_stranger, "foreign-device"),
        (of_an_unlisted_device, "unknown-device"),
        (of_an_unlisted_device_with_keys, "unknown-device"),
        (with_forged_keys, "bad-signature"),
        (with_a_strangers_keys, "bad-signature"),
        (lambda house: with_count(request(house), 11), "absurd-count"),
        (lambda house: with_count(request(house), 99), "absurd-count"),
        (replayed, "replayed"),
        (about_a_suppressed_one, "suppressed"),
    ],
)
def test_a_bad_request_is_named_answered_with_nothing_and_changes_no_session(
    house: House, caplog: pytest.LogCaptureFixture, make: Callable[[House], Node], why: str
) -> None:
    node = make(house)
    before, sent = sessions(house), len(house.network.messages)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        report = house.receive(node)
    assert report.outcome == why
    assert (sessions(house), len(house.network.messages)) == (before, sent)
    [line] = [line for line in caplog.records if line.message == "retry receipt refused"]
    assert line.__dict__["why"] == why
    assert house.siti.phone not in repr(line.__dict__)


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_a_count_that_is_no_count_is_malformed(house: House, count: int) -> None:
    node = with_count(request(house), count)
    before, sent = sessions(house), len(house.network.messages)
    assert house.receive(node).outcome == "malformed"
    assert (sessions(house), len(house.network.messages)) == (before, sent)


@pytest.mark.parametrize("missing", ["retry", "registration"])
def test_a_request_without_its_parts_is_malformed(house: House, missing: str) -> None:
    honest = request(house)
    children = tuple(child for child in honest.children() if child.tag != missing)
    before = sessions(house)
    assert house.receive(Node("receipt", honest.attrs, children)).outcome == "malformed"
    assert sessions(house) == before


def test_a_forged_request_costs_the_honest_device_nothing(house: House) -> None:
    """What was refused stands in the history, and the next honest request is served."""
    house.network.spoil_signatures = True
    forged = request(house, with_keys=True)
    house.receive(forged)
    house.network.spoil_signatures = False
    [notification] = [house.stores.notifications.get(forged.attr_str("id")[4:].lower())]
    assert notification is not None
    assert notification.attempts[-1].class_ == "refused"
    assert notification.state is State.SENT
    house.network.retries = [
        house.network.retry_receipt(house.siti.devices[0], notification.message_id, "BadMac")
    ]
    assert [report.outcome for report in house.answer_retries()] == ["resent"]
    assert texts(house.siti.devices[0])[-1] == "Tiket 2"


# -- a bundle of another identity ------------------------------------------------------------------------


def test_keys_of_another_identity_are_accepted_recorded_and_reported(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A customer who reinstalled: the keys are signed by what they name as identity."""
    house.siti.devices[0].reinstall()
    notification = house.tell(2)
    house.network.retries.clear()
    node = house.network.retry_receipt(
        house.siti.devices[0], notification.message_id, "NoSession", with_keys=True
    )
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        assert house.receive(node).outcome == "resent"
    assert texts(house.siti.devices[0])[-1] == "Tiket 2"
    [change] = house.stores.recipients.identity_changes("default", "1234@lid")
    assert (change["by"], change["outcome"]) == ("bundle", "IdentityChanged")
    assert "identity changed" in [line.message for line in caplog.records]


# -- ciphertexts -----------------------------------------------------------------------------------------


def good(house: House) -> Ciphertext:
    return house.siti.devices[0].encrypt(text_message("utuh"))


def first(house: House) -> Ciphertext:
    house.siti.devices[0].begin(our_bundle(house))
    return good(house)


CIPHERTEXTS: dict[str, Callable[[House], Ciphertext]] = {
    "empty": lambda house: Ciphertext("msg", b""),
    "one byte": lambda house: Ciphertext("msg", b"\x33"),
    "no room for a mac": lambda house: Ciphertext("msg", good(house).body[:8]),
    "cut": lambda house: Ciphertext("msg", good(house).body[:-1]),
    "another version": lambda house: Ciphertext("msg", b"\x44" + good(house).body[1:]),
    "an old version": lambda house: Ciphertext("msg", b"\x23" + good(house).body[1:]),
    "a first message cut": lambda house: Ciphertext("pkmsg", first(house).body[:-5]),
    "a first message as an ordinary one": lambda house: Ciphertext("msg", first(house).body),
    "an ordinary message as a first one": lambda house: Ciphertext("pkmsg", good(house).body),
    "zeros": lambda house: Ciphertext("msg", b"\x33" + bytes(80)),
    "noise": lambda house: Ciphertext("msg", b"\x33" + os.urandom(200)),
    "noise as a first message": lambda house: Ciphertext("pkmsg", b"\x33" + os.urandom(400)),
    "a flipped bit": lambda house: flipped(good(house), -1),
    "a flipped bit in the text": lambda house: flipped(good(house), -20),
    "very long": lambda house: Ciphertext("msg", b"\x33" + bytes(100_000)),
}


def flipped(message: Ciphertext, place: int) -> Ciphertext:
    body = bytearray(message.body)
    body[place] ^= 1
    return Ciphertext(message.type, bytes(body))


@pytest.mark.parametrize("kind", sorted(CIPHERTEXTS))
def test_a_malformed_ciphertext_is_asked_for_again_named_and_changes_no_session(
    house: House, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    node = wrapped(house.siti.devices[0], house.siti, "M", CIPHERTEXTS[kind](house))
    before, written = sessions(house), len(house.network.written)
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        report = house.receive(node)
    assert report.outcome == "asked-again"
    assert sessions(house) == before
    [line] = [line for line in caplog.records if line.message == "can't decrypt"]
    assert line.__dict__["cause"] == report.cause
    [asked] = house.network.written[written:]
    code = getattr(errors, report.cause).retry_code
    assert asked.require_child("retry").attrs["error"] == str(code)


@pytest.mark.parametrize("kind", ["msmsg", "skmsg", "unheard-of", ""])
def test_a_ciphertext_of_another_kind_is_left_alone(house: House, kind: str) -> None:
    before = sessions(house)
    report = house.receive(wrapped(house.siti.devices[0], house.siti, "M", Ciphertext(kind, b"\x33abc")))
    assert report.outcome in ("ignored", "malformed")
    assert sessions(house) == before


@pytest.mark.parametrize("padding", [b"", b"\x00", b"\x05", b"\x02\x01", b"\x11" * 16])
def test_a_wrong_padding_is_malformed_and_confirmed(house: House, padding: bytes) -> None:
    """It was decrypted, so nothing could come of asking again."""
    device = house.siti.devices[0]
    device.record, ciphertext = send(device.record, local=device.local, plaintext=padding or b"\xff")
    assert house.receive(wrapped(device, house.siti, "P", ciphertext)).outcome == "malformed"
    assert house.reply("baik", "R5").outcome == "reply"
