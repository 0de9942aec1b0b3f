"""A message that came without a copy for us: our own phone is asked, and what it answers counts."""

from __future__ import annotations

import pytest

from tests.support.fake_whatsapp import NOW, Device, wrapped
from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import garbled, our_bundle, replies
from tocsin.connector_client.errors import ConnectorAway
from tocsin.notify.failure import Wait
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message, WebMessageInfo

OWN_LID, OWN_PN = JID.parse("9999@lid"), JID.parse("6280000000001@s.whatsapp.net")


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def told(account: MemoryAccount) -> WiredFunctions:
    wired = WiredFunctions(account.furnish())
    wired.notification = wired.tell(1)  # type: ignore[attr-defined]
    return wired


def no_copy(wired: WiredFunctions, why: str | None = None, **attrs: object) -> Node:
    unavailable = Node("unavailable", {"type": why} if why else {})
    given = {"id": "U", "from": wired.siti.user, "t": str(NOW), "type": "text", "sender_pn": wired.siti.pn}
    return Node("message", {**given, **attrs}, (unavailable,))  # type: ignore[dict-item]


def asked_of(wired: WiredFunctions) -> list[Message]:
    """The control messages that our phone got."""
    messages = [Message.FromString(plain) for plain in wired.paired.own.devices[0].plaintexts]
    return [message for message in messages if message.HasField("protocol")]


def answer(
    wired: WiredFunctions, text: str = "Halo", *, device: Device | None = None, **changes: object
) -> Node:
    """What our phone answers: the message that Siti wrote."""
    info = WebMessageInfo(timestamp=NOW, push_name="Siti")
    info.key.remote_jid, info.key.from_me, info.key.id = str(wired.siti.user), False, "U"
    for name, value in changes.items():
        setattr(info.key, name, value)
    info.message.conversation = text
    message = Message()
    message.protocol.type = 17
    message.protocol.peer_data_response.type = 4
    result = message.protocol.peer_data_response.results.add()
    result.placeholder.web_message_info = info.SerializeToString()
    phone = device or wired.paired.own.devices[0]
    return wrapped(phone, wired.paired.own, "P", phone.encrypt(message.SerializeToString()), category="peer")


def test_our_phone_is_asked_for_it(told: WiredFunctions) -> None:
    assert told.receive(no_copy(told)).outcome == "asked-phone"
    [asked] = asked_of(told)
    request = asked.protocol.peer_data_request
    [placeholder] = request.placeholders
    assert (asked.protocol.type, request.type) == (16, 4)
    assert (placeholder.key.remote_jid, placeholder.key.from_me, placeholder.key.id) == (
        "1234@lid",
        False,
        "U",
    )


def test_the_question_is_a_control_message_to_the_phone_alone(told: WiredFunctions) -> None:
    told.receive(no_copy(told))
    node = told.network.messages[-1]
    assert {name: str(value) for name, value in node.attrs.items() if name != "id"} == {
        "to": "6280000000001@s.whatsapp.net",
        "type": "text",
        "category": "peer",
        "push_priority": "high_force",
    }
    assert [child.tag for child in node.children()] == ["meta", "enc", "device-identity"]
    assert node.require_child("meta").attrs == {"appdata": "default"}


def test_what_the_phone_answers_is_a_reply_like_any_other(told: WiredFunctions) -> None:
    told.receive(no_copy(told))
    told.receive(answer(told))
    [reply] = replies(told)
    assert (reply["text"], reply["message_id"], reply["recipient"]) == ("Halo", "U", "6281234567890")


def test_a_stop_that_came_by_the_phone_counts(told: WiredFunctions) -> None:
    told.receive(answer(told, "STOP"))
    assert told.deliver(told.plan(2)).outcome == "suppressed"


def test_a_reply_that_came_both_ways_is_told_once(told: WiredFunctions) -> None:
    told.receive(answer(told, "Halo"))
    told.reply("Halo", "U")
    assert len(replies(told)) == 1


def test_asking_again_is_the_same_question(told: WiredFunctions) -> None:
    told.receive(no_copy(told))
    told.receive(no_copy(told))
    ids = [node.attrs["id"] for node in told.network.messages[-2:]]
    assert ids[0] == ids[1]


def test_it_is_asked_for_two_weeks_long(told: WiredFunctions) -> None:
    assert told.receive(no_copy(told, t=str(NOW - 13 * 86400))).outcome == "asked-phone"


@pytest.mark.parametrize(
    ("why", "attrs"),
    [
        ("bot_unavailable_fanout", {}),
        ("hosted_unavailable_fanout", {}),
        ("view_once_unavailable_fanout", {}),
        (None, {"t": str(NOW - 15 * 86400)}),
        (None, {"from": JID.parse("120363@g.us"), "participant": JID.parse("1234@lid")}),
        (None, {"from": OWN_LID, "sender_pn": OWN_PN, "recipient": JID.parse("1234@lid")}),
    ],
    ids=["bot", "hosted", "view once", "old", "group", "our own"],
)
def test_the_phone_is_not_asked_for(told: WiredFunctions, why: str | None, attrs: dict[str, object]) -> None:
    sent = len(told.network.messages)
    assert told.receive(no_copy(told, why, **attrs)).outcome in ("reply", "ignored")
    assert len(told.network.messages) == sent


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ("bot_unavailable_fanout", "bot"),
        ("hosted_unavailable_fanout", "hosted"),
        ("view_once_unavailable_fanout", "view_once"),
        ("view_once", "view_once"),
        ("something newer", "unavailable"),
        (None, "unavailable"),
    ],
)
def test_that_somebody_wrote_is_told_once(told: WiredFunctions, why: str | None, kind: str) -> None:
    told.receive(no_copy(told, why))
    told.receive(no_copy(told, why))
    [reply] = replies(told)
    assert (reply["kind"], reply["text"], reply["unread"]) == (kind, "", True)


def test_a_message_without_any_ciphertext_is_told_as_empty(told: WiredFunctions) -> None:
    node = no_copy(told)
    told.receive(Node("message", node.attrs, ()))
    [reply] = replies(told)
    assert reply["kind"] == "empty"


@pytest.mark.parametrize(
    "attrs",
    [
        {"from": JID.parse("120363@g.us"), "participant": JID.parse("1234@lid")},
        {"from": JID.parse("status@broadcast"), "participant": JID.parse("1234@lid")},
        {"from": OWN_LID, "sender_pn": OWN_PN, "recipient": JID.parse("1234@lid")},
    ],
    ids=["group", "status", "our own"],
)
def test_what_isn_t_written_to_us_is_not_told(told: WiredFunctions, attrs: dict[str, object]) -> None:
    told.receive(no_copy(told, **attrs))
    assert replies(told) == []


def test_the_phone_s_answer_tells_the_content_of_what_was_told_without(told: WiredFunctions) -> None:
    told.receive(no_copy(told))
    assert told.receive(answer(told, "STOP")).outcome == "own-device"
    [reply] = replies(told)
    assert (reply["kind"], reply["text"], reply.get("unread")) == ("text", "STOP", None)
    assert reply["consent"] == "withdrawn"


def test_once_the_content_is_told_its_absence_isn_t_any_more(told: WiredFunctions) -> None:
    told.receive(no_copy(told))
    told.receive(answer(told))
    told.receive(no_copy(told))
    [reply] = replies(told)
    assert (reply["kind"], reply["text"]) == ("text", "Halo")


def test_what_was_asked_for_in_vain_is_told_as_unreadable(told: WiredFunctions) -> None:
    for _ in range(4):
        told.receive(garbled(told))
    assert replies(told) == []
    told.receive(garbled(told))
    [reply] = replies(told)
    assert (reply["kind"], reply["message_id"], reply["unread"]) == ("unreadable", "B1", True)


def test_what_was_asked_for_in_vain_is_asked_of_the_phone(told: WiredFunctions) -> None:
    for _ in range(5):
        told.receive(garbled(told))
    [asked] = asked_of(told)
    assert asked.protocol.peer_data_request.placeholders[0].key.id == "B1"


def test_what_comes_garbled_again_and_again_is_asked_of_the_phone_once(told: WiredFunctions) -> None:
    for _ in range(9):
        told.receive(garbled(told))
    assert len(asked_of(told)) == 1


def test_while_nobody_can_ask_it_waits(told: WiredFunctions) -> None:
    told.network.away = ConnectorAway("gone")
    with pytest.raises(Wait):
        told.receive(no_copy(told))
    told.network.away = None
    assert told.receive(no_copy(told)).outcome == "asked-phone"


def test_only_the_phone_itself_may_answer(told: WiredFunctions) -> None:
    companion = Device(told.paired.own.user.with_device(6))
    companion.begin(our_bundle(told))
    told.receive(answer(told, device=companion))
    assert replies(told) == []


def test_a_stranger_s_answer_is_spoofed(told: WiredFunctions) -> None:
    device = told.siti.devices[0]
    plain = Message.FromString(b"")
    plain.protocol.type = 17
    report = told.receive(wrapped(device, told.siti, "S", device.encrypt(plain.SerializeToString())))
    assert report.cause == "spoofed"


@pytest.mark.parametrize(
    "changes", [{"from_me": True}, {"remote_jid": "120363@g.us"}, {"remote_jid": "nobody"}, {"id": ""}]
)
def test_what_the_phone_gives_on_and_is_no_message_to_us_is_left(
    told: WiredFunctions, changes: dict[str, object]
) -> None:
    assert told.receive(answer(told, **changes)).cause == "peer-data"
    assert replies(told) == []


def test_an_answer_that_is_no_message_is_left(told: WiredFunctions) -> None:
    message = Message()
    message.protocol.type = 17
    message.protocol.peer_data_response.type = 4
    for data in (b"", b"\xff" * 9):
        message.protocol.peer_data_response.results.add().placeholder.web_message_info = data
    phone = told.paired.own.devices[0]
    report = told.receive(
        wrapped(phone, told.paired.own, "P", phone.encrypt(message.SerializeToString()), category="peer")
    )
    assert (report.outcome, replies(told)) == ("own-device", [])
