"""Whatever somebody writes is told: edits and deletions with what they change, sealed edits with their words,
each kind with its details; and what they ask of us is heeded, by whichever kind they ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_whatsapp import message_from, wrapped
from tests.support.memory_aws import MemoryAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import garbled, orders, our_bundle, replies
from tests.vectors.folder import load, unhex
from tocsin.dynamo.writes import Update
from tocsin.signal.session import Ciphertext
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.outgoing import text_message
from tocsin.whatsapp.proto import message_pb2 as pb
from tocsin.whatsapp.written import DETAILS

USER = "6281234567890@s.whatsapp.net"
SECRET = bytes([0x11]) * 32
# The message that the sealed edits among the vectors change.
EDITED = "3EB0AABBCCDDEEFF001122"
SEALED = {case["name"]: unhex(case["message"]) for case in load("replies")["sealed_edits"]}


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def told(account: MemoryAccount) -> WiredFunctions:
    """Siti has had a notification about each of two tickets, and got the second one last."""
    wired = WiredFunctions(account.furnish())
    wired.first, wired.second = wired.tell(1), wired.tell(2)  # type: ignore[attr-defined]
    wired.receipt(wired.second)
    return wired


def writes(
    wired: WiredFunctions, message: pb.Message | bytes, stanza_id: str = "M1", **attrs: Any
) -> tuple[str, str]:
    """Siti's phone sends a message; outcome and cause."""
    plain = message if isinstance(message, bytes) else message.SerializeToString()
    device = wired.siti.devices[0]
    report = wired.receive(wrapped(device, wired.siti, stanza_id, device.encrypt(plain), **attrs))
    return report.outcome, report.cause


def saying(text: str, quoted: str = "", secret: bytes = b"") -> pb.Message:
    message = pb.Message(extended_text=pb.ExtendedTextMessage(text=text))
    if quoted:
        message.extended_text.context_info.stanza_id = quoted
    if secret:
        message.message_context_info.message_secret = secret
    return message


def edit(of: str, text: str) -> pb.Message:
    return changing(14, of, pb.Message(conversation=text))


def changing(kind: int, of: str, to: pb.Message | None = None) -> pb.Message:
    return pb.Message(
        protocol=pb.ProtocolMessage(type=kind, key=pb.MessageKey(id=of, from_me=True), edited_message=to)
    )


def by_id(wired: WiredFunctions) -> dict[str, dict[str, Any]]:
    return {reply["message_id"]: reply for reply in replies(wired)}


# -- edits and deletions -----------------------------------------------------------------------------------


def test_an_edit_is_told_beside_what_it_changes_and_about_the_same_ticket(told):
    writes(told, saying("Jam 9", quoted=told.first.message_id))
    assert writes(told, edit("M1", "Jam 10"), "M2") == ("reply", "edit")
    found = by_id(told)
    assert found["M1"]["text"] == "Jam 9"
    assert {name: found["M2"][name] for name in ("kind", "text", "about_message_id", "ticket_id")} == {
        "kind": "edit",
        "text": "Jam 10",
        "about_message_id": "M1",
        "ticket_id": "TCK-1",
    }


def test_a_deletion_names_what_is_deleted(told):
    writes(told, saying("Salah", quoted=told.first.message_id))
    assert writes(told, changing(0, "M1"), "M2") == ("reply", "deleted")
    deleted = by_id(told)["M2"]
    assert (deleted["kind"], deleted["about_message_id"], deleted["text"]) == ("deleted", "M1", "")
    assert deleted["ticket_id"] == "TCK-1"


def test_an_edit_of_what_we_never_got_is_about_the_last_notification(told):
    writes(told, edit("UNKNOWN", "Jam 10"))
    assert by_id(told)["M1"]["ticket_id"] == "TCK-2"


def test_an_edit_gets_no_thanks(told):
    told.restart(thanks="👍")
    writes(told, edit("UNKNOWN", "Jam 10"))
    writes(told, changing(0, "UNKNOWN"), "M2")
    assert orders(told) == []


# -- consent, by whichever kind ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        edit("UNKNOWN", "STOP"),
        pb.Message(edited=pb.Wrapped(message=edit("UNKNOWN", "stop."))),
        pb.Message(buttons_response=pb.ButtonsResponse(selected_display_text="STOP")),
        pb.Message(template_button_reply=pb.TemplateButtonReply(selected_id="stop")),
        pb.Message(list_response=pb.ListResponse(title="Stop")),
        pb.Message(
            interactive_response=pb.InteractiveResponse(body=pb.InteractiveResponse.Body(text="STOP"))
        ),
        pb.Message(image=pb.ImageMessage(caption="STOP")),
        pb.Message(ephemeral=pb.Wrapped(message=saying("STOP"))),
    ],
    ids=["edit", "wrapped edit", "button", "template", "list", "interactive", "caption", "disappearing"],
)
def test_stop_counts_in_every_kind_that_holds_their_words(told, message):
    assert writes(told, message) == ("reply", "stop")
    assert by_id(told)["M1"]["consent"] == "withdrawn"
    assert told.stores.people.find("default", USER).opted_out_at is not None


@pytest.mark.parametrize(
    "message",
    [
        pb.Message(reaction=pb.Reaction(text="stop", key=pb.MessageKey(id="X"))),
        pb.Message(poll_creation=pb.PollCreation(text="stop")),
        pb.Message(contact=pb.ContactMessage(name="stop")),
        pb.Message(group_invite=pb.GroupInvite(caption="stop")),
    ],
    ids=["reaction", "poll", "contact", "invitation"],
)
def test_the_word_elsewhere_is_no_wish(told, message):
    writes(told, message)
    assert told.stores.people.find("default", USER).opted_out_at is None


@pytest.mark.parametrize("later", [edit("M1", "Terima kasih"), edit("M1", "START"), changing(0, "M1")])
def test_an_edited_or_deleted_stop_still_counts(told, later):
    writes(told, saying("STOP"))
    writes(told, later, "M2")
    assert "consent" not in by_id(told)["M2"]
    assert told.stores.people.find("default", USER).opted_out_at is not None


# -- sealed edits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SEALED))
def test_a_sealed_edit_is_opened_by_the_secret_of_the_message(told, name):
    writes(told, saying("Jam 9", quoted=told.first.message_id, secret=SECRET), EDITED)
    writes(told, SEALED[name], "M2")
    told_of = by_id(told)["M2"]
    expected = next(case["text"] for case in load("replies")["sealed_edits"] if case["name"] == name)
    assert (told_of["kind"], told_of["text"], told_of["ticket_id"]) == ("edit", expected, "TCK-1")


def test_a_sealed_edit_to_stop_counts_as_stop(told):
    writes(told, saying("Jam 9", secret=SECRET), EDITED)
    assert writes(told, SEALED["by LID"], "M2") == ("reply", "stop")


def test_without_the_secret_it_is_told_that_an_edit_came(told):
    assert writes(told, SEALED["by LID"]) == ("reply", "edit")
    reply = by_id(told)["M1"]
    assert (reply["kind"], reply["text"], reply["about_message_id"]) == ("edit", "", EDITED)


def test_another_person_s_secret_opens_nothing(told):
    told.paired.keys.receiving.keep_secret("4321@lid", EDITED, SECRET)
    writes(told, SEALED["by LID"])
    assert by_id(told)["M1"]["text"] == ""


def test_a_damaged_secret_costs_the_words_not_the_message(told):
    writes(told, saying("Jam 9", secret=SECRET), EDITED)
    key = (f"secret#{told.paired.profile.account}#1234@lid", EDITED)
    told.paired.table.update(Update(key, set={"secret": b"rot"}))
    assert writes(told, SEALED["by LID"], "M2") == ("reply", "edit")


# -- other kinds -------------------------------------------------------------------------------------------


def test_details_stand_in_the_stored_reply_one_attribute_each(told):
    voice = pb.AudioMessage(ptt=True, seconds=7, mimetype="audio/ogg", file_length=9000)
    writes(told, pb.Message(audio=voice))
    reply = by_id(told)["M1"]
    assert (reply["kind"], reply["duration_seconds"], reply["size_bytes"]) == ("voice", 7, 9000)


def test_a_kind_that_nobody_listed_is_told_with_its_quote(told):
    invite = pb.GroupInvite(name="Neighbours", caption="join us")
    invite.context_info.stanza_id = told.first.message_id
    assert writes(told, pb.Message(group_invite=invite)) == ("reply", "other")
    reply = by_id(told)["M1"]
    assert (reply["type"], reply["text"], reply["ticket_id"]) == ("groupInviteMessage", "join us", "TCK-1")


def test_a_detail_can_t_take_the_place_of_what_we_say_ourselves(told):
    """Names of details and of our own fields are disjoint, whatever the sender calls things."""
    names = {name for name, _ in DETAILS.values()} | {"type", "options", "latitude", "longitude"}
    writes(told, saying("Halo"))
    assert not names & set(by_id(told)["M1"])


def test_an_empty_message_tells_that_somebody_wrote(told):
    assert writes(told, b"") == ("reply", "empty")
    assert by_id(told)["M1"]["kind"] == "empty"


@pytest.mark.parametrize(
    "message", [changing(3, "X"), pb.Message(sender_key_distribution=pb.SenderKeyDistribution())]
)
def test_what_no_person_wrote_is_not_told(told, message):
    assert writes(told, message)[0] == "other"
    assert replies(told) == []


def test_what_is_no_protobuf_is_told_as_unreadable_once(told):
    for _ in range(2):
        writes(told, b"\xff")
    [reply] = replies(told)
    assert (reply["kind"], reply["unread"]) == ("unreadable", True)


def test_a_ciphertext_of_a_type_that_nobody_reads_is_told_as_unreadable(told):
    device = told.siti.devices[0]
    node = wrapped(device, told.siti, "M1", Ciphertext("frskmsg", b"x"))
    assert told.receive(node).outcome == "ignored"
    assert by_id(told)["M1"]["kind"] == "unreadable"


def test_a_message_to_a_broadcast_list_is_a_message_to_us(told):
    attrs = {"from": JID.parse("628777@broadcast"), "participant": told.siti.devices[0].jid}
    assert writes(told, saying("Halo semua"), **attrs) == ("reply", "text")


def test_a_long_text_is_cut_and_says_so(told):
    writes(told, saying("x" * 5000))
    reply = by_id(told)["M1"]
    assert (len(reply["text"]), reply["cut"]) == (4096, ["text"])


# -- what can't be read yet --------------------------------------------------------------------------------


def an_hour_later(wired: WiredFunctions) -> list[dict[str, Any]]:
    wired.paired.now += 3600
    wired.stores.replies.tell_overdue("default", int(wired.paired.now * 1000))
    return replies(wired)


def test_what_nobody_sends_again_is_told_after_an_hour(told):
    assert told.receive(garbled(told)).outcome == "asked-again"
    assert replies(told) == []
    [reply] = an_hour_later(told)
    assert (reply["kind"], reply["message_id"], reply["ticket_id"]) == ("unreadable", "B1", "TCK-2")


def test_what_is_sent_again_in_time_is_told_with_its_content_alone(told):
    told.receive(garbled(told))
    device = told.siti.devices[0]
    told.receive(wrapped(device, told.siti, "B1", device.encrypt(text_message("Halo")), count=1))
    [reply] = an_hour_later(told)
    assert (reply["kind"], reply["text"], "unread" in reply) == ("text", "Halo", False)


def test_what_is_sent_again_after_that_is_told_with_its_content(told):
    told.receive(garbled(told))
    an_hour_later(told)
    device = told.siti.devices[0]
    told.receive(wrapped(device, told.siti, "B1", device.encrypt(text_message("STOP")), count=1))
    [reply] = replies(told)
    assert (reply["text"], reply["consent"]) == ("STOP", "withdrawn")


def test_what_turns_out_to_be_nobodys_words_is_not_told(told):
    told.receive(garbled(told))
    device = told.siti.devices[0]
    timer = changing(3, "").SerializeToString()
    told.receive(wrapped(device, told.siti, "B1", device.encrypt(timer), count=1))
    assert an_hour_later(told) == []


def test_what_is_given_up_within_the_hour_is_told_once(told):
    for _ in range(6):
        told.receive(garbled(told))
    assert len(replies(told)) == 1
    [reply] = an_hour_later(told)
    assert reply["outcome_at"] < told.paired.now * 1000


def test_what_can_t_be_read_makes_nobody_known(account):
    """Whoever sends what we can't read has not opened the chat, so what limits first contacts still does."""
    wired = WiredFunctions(account.furnish())
    device = wired.siti.devices[0]
    device.begin(our_bundle(wired))
    for _ in range(6):
        wired.receive(garbled(wired))
    assert len(replies(wired)) == 1
    assert wired.stores.people.find("default", USER).heard_at is None


# -- crashes -----------------------------------------------------------------------------------------------


def test_an_image_too_large_to_be_kept_is_told_whole_after_a_crash(told, monkeypatch):
    image = pb.Message(image=pb.ImageMessage(caption="see", mimetype="image/jpeg"))
    image.image.context_info.stanza_id = told.first.message_id
    image.image.media_key = bytes(300 * 1024)
    plain = image.SerializeToString()
    device = told.siti.devices[0]
    node = wrapped(device, told.siti, "M1", device.encrypt(plain))
    with monkeypatch.context() as crash:
        crash.setattr(told.stores.replies, "put", _die)
        with pytest.raises(KeyboardInterrupt):
            told.receive(node)
    told.restart()
    assert told.receive(node).outcome == "reply"
    reply = by_id(told)["M1"]
    assert (reply["kind"], reply["text"], reply["ticket_id"]) == ("image", "see", "TCK-1")


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


# -- the public name of the sender ---------------------------------------------------------------------------


def named(wired: WiredFunctions, stanza_id: str, username: str) -> dict:
    device = wired.siti.devices[0]
    wired.receive(message_from(device, wired.siti, stanza_id, "halo", username=username))
    [reply] = [one for one in replies(wired) if one["message_id"] == stanza_id]
    return reply


def test_a_reply_names_the_username_of_who_wrote(told: WiredFunctions) -> None:
    assert named(told, "U1", "siti.rahma")["username"] == "siti.rahma"


def test_a_username_is_remembered_and_its_newest_counts(told: WiredFunctions) -> None:
    for number, username in enumerate(("siti", "siti_2", "siti")):
        told.paired.now += 1
        message = message_from(
            told.siti.devices[0],
            told.siti,
            f"U{number}",
            "halo",
            username=username,
            t=str(int(told.paired.now)),
        )
        told.receive(message)
    assert told.stores.people.find("default", "1234@lid").username == "siti"


@pytest.mark.parametrize("username", ["", "12345", "a", "x" * 36, "\x1b]0;x", "@"])
def test_what_can_be_no_username_says_nothing(told: WiredFunctions, username: str) -> None:
    assert "username" not in named(told, "U1", username)
