"""What is answered to each kind of stanza, and how: acks, negative acks, receipts."""

from __future__ import annotations

import pytest

from tests.support.noise_peer import from_server, logged_in
from tocsin.whatsapp import receipts
from tocsin.whatsapp.events import StanzaReceived
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node

ALICE = JID.parse("777@lid")
ALICE_7 = JID.parse("777:7@lid")
BOB = JID.parse("888@lid")
GROUP = JID.parse("120363000000000000@g.us")
STATUS = JID.parse("status@broadcast")
NEWS = JID.parse("120363111111111111@newsletter")

NOTIFICATIONS = [
    "encrypt",
    "devices",
    "account_sync",
    "server_sync",
    "w:gp2",
    "privacy_token",
    "link_code_companion_reg",
    "passkey_prologue_request",
    "crsc_continuation",
    "companion_reg_refresh",
    "mediaretry",
    "picture",
    "status",
    "contacts",
    "business",
    "disappearing_mode",
    "newsletter",
    "psa",
    "pay",
    "server",
    "mex",
    "unheard-of",
]


@pytest.mark.parametrize(
    ("stanza", "answer"),
    [
        # The device is kept; the type isn't repeated for messages.
        (Node("message", {"id": "1", "from": ALICE_7, "type": "text"}), {"class": "message", "to": ALICE_7}),
        (
            Node("message", {"id": "1", "from": GROUP, "participant": ALICE_7, "type": "text"}),
            {"class": "message", "to": GROUP, "participant": ALICE_7},
        ),
        (
            Node("message", {"id": "1", "from": ALICE, "recipient": BOB, "type": "text"}),
            {"class": "message", "to": ALICE, "recipient": BOB},
        ),
        (Node("receipt", {"id": "1", "from": ALICE}), {"class": "receipt", "to": ALICE}),
        *(
            (
                Node("receipt", {"id": "1", "from": GROUP, "participant": ALICE, "type": kind}),
                {"class": "receipt", "to": GROUP, "participant": ALICE, "type": kind},
            )
            for kind in ("read", "played", "read-self", "inactive", "sender", "retry", "server-error", "x")
        ),
        (
            Node("receipt", {"id": "1", "from": ALICE, "recipient": BOB, "type": "read-self"}),
            {"class": "receipt", "to": ALICE, "recipient": BOB, "type": "read-self"},
        ),
        *(
            (
                Node("notification", {"id": "1", "from": SERVER, "type": kind}),
                {"class": "notification", "to": SERVER, "type": kind},
            )
            for kind in NOTIFICATIONS
        ),
        (
            Node("notification", {"id": "1", "from": GROUP, "participant": BOB, "type": "w:gp2"}),
            {"class": "notification", "to": GROUP, "participant": BOB, "type": "w:gp2"},
        ),
        (Node("call", {"id": "1", "from": ALICE}, (Node("offer"),)), {"class": "call", "to": ALICE}),
    ],
    ids=lambda value: value.tag if isinstance(value, Node) else None,
)
def test_an_ack_repeats_what_names_the_stanza(stanza: Node, answer: dict[str, str | JID]) -> None:
    assert receipts.ack(stanza).attrs == {"id": "1", **answer}


@pytest.mark.parametrize("kind", NOTIFICATIONS)
def test_every_notification_is_handed_on_to_be_stored_and_then_acknowledged(kind: str) -> None:
    note = from_server("notification", {"id": "1", "type": kind})
    assert logged_in().hears(note) == [StanzaReceived(note)]


@pytest.mark.parametrize("tag", ["status", "appdata", "unheard-of", "x" * 200])
def test_a_stanza_of_an_unknown_kind_is_acknowledged_at_once(tag: str) -> None:
    talk = logged_in()
    talk.hears(Node(tag, {"id": "1", "from": ALICE, "type": "t"}))
    [ack] = talk.says()
    assert ack.attrs == {"id": "1", "class": tag, "to": ALICE, "type": "t"}


@pytest.mark.parametrize("tag", ["presence", "chatstate", "success", "ack", "ib"])
def test_what_wants_no_answer_gets_none(tag: str) -> None:
    talk = logged_in()
    talk.hears(Node(tag, {"id": "1", "from": ALICE}))
    assert talk.says() == []


# Negative acks


def message(*children: Node, **attrs: object) -> Node:
    return Node("message", {"id": "1", "from": ALICE, "t": "5", **attrs}, children or None)  # type: ignore[dict-item]


def enc(kind: str) -> Node:
    return Node("enc", {"v": "2", "type": kind}, b"\x33")


@pytest.mark.parametrize(
    ("stanza", "code"),
    [
        (message(enc("msg")), None),
        (message(enc("pkmsg"), enc("skmsg"), **{"from": GROUP, "participant": ALICE}), None),
        (message(enc("msmsg"), enc("msg")), None),
        (message(Node("unavailable", {"type": "view_once"})), None),
        (message(Node("plaintext", {}, b"x"), **{"from": NEWS}), None),
        (message(enc("skmsg"), **{"from": STATUS, "participant": ALICE}), None),
        (message(), 488),
        (message(Node("plaintext", {}, b"x")), 488),
        (message(enc("frskmsg")), 488),
        (message(enc("msmsg")), 495),
        (message(enc("msg"), t="soon"), 487),
        (message(enc("msg"), **{"from": "nobody"}), 487),
        (message(enc("msg"), **{"from": SERVER}), 487),
        (message(enc("skmsg"), **{"from": GROUP}), 487),
        (message(enc("msg"), participant=ALICE), 487),
        (message(Node("enc", {"v": "2"}, b"x")), 487),
        (message(Node("enc", {"v": "2", "type": "msg"})), 487),
        (Node("receipt", {"id": "1", "from": ALICE}), None),
        (Node("notification", {"id": "1", "from": ALICE, "type": "x"}), None),
    ],
)
def test_a_message_that_can_never_be_read_is_refused_by_its_code(stanza: Node, code: int | None) -> None:
    assert receipts.refusal_of(stanza) == code
    assert receipts.ack(stanza, code).attrs.get("error") == (str(code) if code else None)


# Receipts


def test_a_read_receipt_names_the_chat_and_in_a_group_who_wrote() -> None:
    assert receipts.read_receipt(message(enc("msg"), **{"from": ALICE_7}), "read", 9).attrs == {
        "id": "1",
        "to": ALICE,
        "type": "read",
        "t": "9",
    }
    in_group = message(enc("skmsg"), **{"from": GROUP, "participant": ALICE_7})
    assert receipts.read_receipt(in_group, "read-self", 9).attrs == {
        "id": "1",
        "to": GROUP,
        "participant": ALICE,
        "type": "read-self",
        "t": "9",
    }
