"""Attributes of a stanza that disagree on who speaks: refused by name, before anything is learnt or read."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from tests.support.fake_whatsapp import NOW, message_from
from tests.support.memory_aws import MemoryAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.stanzas import parse_retry
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tests.support.wired_steps import changed, reply_of_everybody, sessions
from tocsin.notify.notification import State
from tocsin.whatsapp.errors import InvalidStanza, StanzaRefused
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.message import parse_message
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import parse_receipt

OWN_PN, OWN_LID = JID("6280000000001", PN), JID("9999", LID)
OTHER_PN, OTHER_LID = JID("6281234567890", PN), JID("1234", LID)
OWN = (OWN_LID, OWN_PN)
GROUP = JID("120363000000000000", "g.us")
NAMES: dict[str, JID | None] = {
    "own number": OWN_PN,
    "own LID": OWN_LID,
    "other number": OTHER_PN,
    "other LID": OTHER_LID,
    "absent": None,
}
SENDER = ("sender_pn", "sender_lid", "participant_pn", "participant_lid")
RECIPIENT = ("recipient", "peer_recipient_pn", "peer_recipient_lid", "recipient_pn", "recipient_lid")


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def told(account: MemoryAccount) -> WiredFunctions:
    """Siti has had one notification, and all devices have written to us."""
    wired = WiredFunctions(account.furnish())
    wired.tell(1)
    reply_of_everybody(wired)
    wired.network.written.clear()
    return wired


def stanza(tag: str, attrs: dict[str, JID | None]) -> Node:
    known = {name: jid for name, jid in attrs.items() if jid is not None}
    enc = Node("enc", {"v": "2", "type": "msg"}, bytes(60))
    return Node(tag, {"id": "S", "t": str(NOW), **known}, (enc,) if tag == "message" else None)


def agree(*names: JID | None) -> bool:
    """One number and one LID at most, and all of them ours or none."""
    given = {name for name in names if name is not None}
    return given <= {OWN_PN, OWN_LID} or given <= {OTHER_PN, OTHER_LID}


def parsed(tag: str, attrs: dict[str, JID | None]) -> str:
    """Why the stanza is refused, empty if it isn't."""
    parse = parse_message if tag == "message" else parse_receipt
    try:
        parse(stanza(tag, attrs), OWN)
    except StanzaRefused as refusal:
        return refusal.reason
    except InvalidStanza:
        return "malformed"
    return ""


# -- every pair of attributes, with every name in it ------------------------------------------------------


# Of each pair of attributes all names are tried in one test: as tests of their own they would be thousands.
EVERY_TWO_NAMES = list(product(NAMES.values(), NAMES.values()))


@pytest.mark.parametrize("tag", ["message", "receipt"])
@pytest.mark.parametrize(("one", "other"), list(combinations(("from", *SENDER), 2)))
def test_a_person_s_stanza_whose_sender_is_two_people_is_refused(tag: str, one: str, other: str) -> None:
    for first, second in EVERY_TWO_NAMES:
        attrs = {one: first, other: second}
        if attrs.get("from") is None:
            attrs["from"] = first or second or OTHER_LID
        found = parsed(tag, attrs)
        assert (found == "sender-mismatch") is not agree(*attrs.values()), attrs


@pytest.mark.parametrize("tag", ["message", "receipt"])
@pytest.mark.parametrize(("one", "other"), list(combinations(("participant", *SENDER), 2)))
def test_a_group_s_stanza_whose_sender_is_two_people_is_refused(tag: str, one: str, other: str) -> None:
    for first, second in EVERY_TWO_NAMES:
        attrs = {"from": GROUP, one: first, other: second}
        if attrs.get("participant") is None:
            attrs["participant"] = first or second or OTHER_LID
        found = parsed(tag, attrs)
        speakers = attrs["participant"], attrs[one], attrs[other]
        assert (found == "sender-mismatch") is not agree(*speakers), attrs


@pytest.mark.parametrize("tag", ["message", "receipt"])
@pytest.mark.parametrize(("one", "other"), list(combinations(RECIPIENT, 2)))
def test_a_stanza_of_ours_whose_recipient_is_two_people_is_refused(tag: str, one: str, other: str) -> None:
    for first, second in EVERY_TWO_NAMES:
        attrs = {"from": OWN_LID, one: first, other: second}
        assert parsed(tag, attrs) == ("" if agree(first, second) else "recipient-mismatch"), attrs


@pytest.mark.parametrize("tag", ["message", "receipt"])
@pytest.mark.parametrize("origin", [OWN_PN, OWN_LID, OTHER_PN, OTHER_LID], ids=str)
@pytest.mark.parametrize("participant", [OWN_PN, OWN_LID, OTHER_PN, OTHER_LID], ids=str)
def test_a_participant_counts_in_groups_alone(tag: str, origin: JID, participant: JID) -> None:
    assert parsed(tag, {"from": origin, "participant": participant}) == "participant-outside-group"
    assert parsed(tag, {"from": GROUP, "participant": participant}) == ""


# -- what such a stanza could have done --------------------------------------------------------------------


@pytest.mark.parametrize(
    "attrs",
    [
        {"from": OWN_PN, "sender_lid": OTHER_LID, "sender_pn": None},
        {"from": OTHER_LID, "sender_pn": OWN_PN},
        {"from": OWN_PN.with_device(0), "sender_lid": OTHER_LID, "sender_pn": None, "recipient": OTHER_LID},
        {"from": OTHER_LID, "participant": OWN_LID},
        {"from": OTHER_LID, "participant_pn": OWN_PN},
    ],
    ids=repr,
)
def test_it_teaches_nothing_reads_nothing_and_is_named(
    told: WiredFunctions, attrs: dict[str, JID | None]
) -> None:
    """Siti's ciphertext, under a name of ours: its session would have been hers, its rights our phone's."""
    honest = message_from(told.siti.devices[0], told.siti, "X", "halo")
    merged = {name: value for name, value in {**honest.attrs, **attrs}.items() if value is not None}
    before = sessions(told)
    report = told.receive(Node("message", merged, honest.content))
    assert (report.kind, report.outcome) == ("message", "refused")
    assert report.cause in ("sender-mismatch", "participant-outside-group")
    assert told.paired.keys.contacts.address(str(OWN_PN)) is None
    assert (sessions(told), told.network.written) == (before, [])
    assert told.receive(honest).outcome == "reply"


@pytest.mark.parametrize("attrs", [{"from": OTHER_LID, "sender_pn": OWN_PN}, {"from": OWN_LID}], ids=repr)
def test_a_receipt_of_two_people_moves_nothing(told: WiredFunctions, attrs: dict[str, JID]) -> None:
    notification = told.tell(2)
    report = told.receive(changed(receipt_of(told.siti, notification.message_id, "read"), **attrs))
    assert (report.kind, report.outcome, report.cause) == ("receipt", "refused", "sender-mismatch")
    assert told.stored(notification).state is State.SENT


def test_a_receipt_s_number_does_not_hide_whose_lid_stands_beside_it(told: WiredFunctions) -> None:
    notification = told.tell(2)
    attrs = {"from": told.siti.pn, "sender_pn": told.siti.pn, "sender_lid": JID("6666", LID)}
    report = told.receive(changed(receipt_of(told.siti, notification.message_id, "read"), **attrs))
    assert (report.outcome, report.cause) == ("refused", "sender-mismatch")
    assert told.stored(notification).state is State.SENT


@pytest.mark.parametrize(
    ("kind", "child"), [("encrypt", "identity"), ("devices", "add"), ("devices", "remove")]
)
def test_news_of_two_people_are_refused(told: WiredFunctions, kind: str, child: str) -> None:
    attrs = {"id": "n", "type": kind, "t": str(NOW), "from": OTHER_PN, "lid": OWN_LID}
    part = Node(child, {}, (Node("device", {"jid": OTHER_PN.with_device(1)}),))
    before = sessions(told)
    report = told.receive(Node("notification", attrs, (part,)))
    assert (report.outcome, report.cause) == ("refused", "sender-mismatch")
    assert sessions(told) == before


def test_our_own_names_are_learnt_from_no_call(told: WiredFunctions) -> None:
    offer = Node("offer", {"call-id": "C", "call-creator": JID("77", LID), "caller_pn": OWN_PN})
    told.receive(Node("call", {"id": "c", "from": JID("77", LID)}, (offer,)))
    assert told.paired.keys.contacts.address("77@lid") is None


# -- somebody else's text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_keys", [False, True])
def test_a_retry_receipt_for_somebody_else_s_device_yields_nothing(
    told: WiredFunctions, with_keys: bool
) -> None:
    """Mallory asks, and names Siti's device as the one that couldn't read."""
    mallory = told.network.person("6281111111111", "6666")
    notification, device = told.tell(2), told.siti.devices[0]
    honest = told.network.retry_receipt(device, notification.message_id, "BadMac", with_keys=with_keys)
    before, sent = sessions(told), len(told.network.messages)
    forged = changed(honest, **{"from": mallory.devices[0].jid, "participant": device.jid})
    del forged.attrs["sender_pn"]
    report = told.receive(forged)
    assert (report.outcome, report.cause) == ("refused", "participant-outside-group")
    assert (sessions(told), len(told.network.messages)) == (before, sent)
    assert told.receive(honest).outcome == "resent"


def test_twin_in_a_group_a_member_s_device_is_named_by_participant() -> None:
    attrs = {"from": GROUP, "id": "S", "type": "retry", "participant": OTHER_LID.with_device(3)}
    retry = Node("retry", {"count": "1", "id": "S", "t": "1"})
    request = parse_retry(Node("receipt", attrs, (retry, Node("registration", {}, bytes(4)))), OWN)
    assert (request.requester, request.to) == (OTHER_LID.with_device(3), GROUP)


def test_receipts_gathered_from_several_people_count_in_groups_alone(told: WiredFunctions) -> None:
    notification = told.tell(2)
    users = (Node("user", {"jid": told.siti.user, "t": str(NOW)}),)
    gathered = Node("participants", {"key": notification.message_id}, users)
    attrs = {"id": notification.message_id, "from": JID("6666", LID)}
    report = told.receive(Node("receipt", attrs, (gathered,)))
    assert (report.outcome, report.cause) == ("refused", "participant-outside-group")
    assert told.stored(notification).state is State.SENT
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"
