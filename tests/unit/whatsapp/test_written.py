"""What a person wrote is told, of whatever kind and however wrapped, and its quote is found in each."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from tocsin.whatsapp.bounds import MAX_DETAIL, MAX_NAME
from tocsin.whatsapp.content import NO_REPLIES, PROTOCOL, content_of, parse_plaintext
from tocsin.whatsapp.proto import message_pb2 as pb
from tocsin.whatsapp.written import KINDS, MAX_WRAPPERS, SILENT, is_wrapper

FIELDS: dict[str, FieldDescriptor] = dict(pb.Message.DESCRIPTOR.fields_by_name)
WRAPPERS = sorted(name for name, described in FIELDS.items() if is_wrapper(described))
WRITTEN = sorted(set(FIELDS) - set(WRAPPERS) - set(SILENT))
QUOTING = sorted(
    name
    for name in WRITTEN
    if FIELDS[name].message_type is not None and "context_info" in FIELDS[name].message_type.fields_by_name
)
WORDS = ("text", "caption", "selected_display_text")


def a_message(name: str, words: str = "", quoted: str = "") -> pb.Message:
    """A message with that one field set, as far as it can say and quote anything."""
    message = pb.Message()
    if FIELDS[name].message_type is None:
        message.conversation = words
        return message
    part = getattr(message, name)
    part.SetInParent()
    for field in WORDS:
        if words and field in part.DESCRIPTOR.fields_by_name:
            setattr(part, field, words)
    if quoted:
        part.context_info.stanza_id = quoted
    return message


def wrapped(message: pb.Message, wrappers: list[str]) -> pb.Message:
    for name in reversed(wrappers):
        message = pb.Message(**{name: pb.Wrapped(message=message)})
    return message


# -- no field is swallowed ---------------------------------------------------------------------------------


def test_the_tables_name_only_fields_that_there_are() -> None:
    assert set(KINDS) | set(SILENT) <= set(FIELDS)
    assert not set(KINDS) & set(SILENT)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_field_is_told_as_its_kind_or_as_other_by_its_name(name: str) -> None:
    content = content_of(parse_plaintext(a_message(name).SerializeToString()))
    assert content.is_reply
    assert content.kind == KINDS.get(name, "other")
    assert (content.details.get("type") == FIELDS[name].json_name) == (name not in KINDS)


@pytest.mark.parametrize("name", sorted(set(SILENT) - {"message_context_info"}))
def test_what_no_person_wrote_is_no_reply(name: str) -> None:
    message = pb.Message()
    getattr(message, name).SetInParent()
    if name == "protocol":
        message.protocol.type = 3
    assert content_of(message).kind in NO_REPLIES


@pytest.mark.parametrize("name", sorted(set(SILENT) - {"device_sent"}))
def test_words_beside_what_no_person_wrote_are_told(name: str) -> None:
    message = pb.Message(conversation="Hi")
    getattr(message, name).SetInParent()
    if name == "protocol":
        message.protocol.type = 3
    assert (content_of(message).kind, content_of(message).text) == ("text", "Hi")


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_empty_wrapper_tells_that_somebody_wrote(name: str) -> None:
    assert content_of(wrapped(pb.Message(), [name])).kind == "empty"


@pytest.mark.parametrize("kind", range(64))
def test_of_the_control_messages_edits_and_deletions_are_a_persons(kind: int) -> None:
    message = pb.Message(protocol=pb.ProtocolMessage(type=kind))
    assert content_of(message).is_reply == (PROTOCOL.get(kind) in ("edit", "deleted"))


def test_a_field_of_a_newer_schema_is_told_by_its_number_and_its_quote_found() -> None:
    part = pb.QuotingAt17(context_info=pb.ContextInfo(stanza_id="3EB0AA")).SerializeToString()
    number_999 = b"\xba\x3e" + bytes((len(part),)) + part
    content = content_of(parse_plaintext(number_999))
    assert (content.kind, content.details, content.quoted_id) == ("other", {"type": "field 999"}, "3EB0AA")


def test_a_field_of_a_newer_schema_doesn_t_hide_the_words_beside_it() -> None:
    content = content_of(parse_plaintext(pb.Message(conversation="Hi").SerializeToString() + b"\xba\x3e\x00"))
    assert (content.kind, content.text) == ("text", "Hi")


# -- quotes and wrappers -----------------------------------------------------------------------------------

kinds = st.sampled_from(QUOTING)
nestings = st.lists(st.sampled_from(WRAPPERS), max_size=MAX_WRAPPERS)


@given(name=kinds, wrappers=nestings, words=st.text(min_size=1, max_size=40))
def test_kind_words_and_quote_are_found_in_any_nesting(name: str, wrappers: list[str], words: str) -> None:
    message = a_message(name, words, quoted="3EB0AA")
    content = content_of(parse_plaintext(wrapped(message, wrappers).SerializeToString()))
    assert (content.kind, content.quoted_id) == (KINDS.get(name, "other"), "3EB0AA")
    says = any(field in FIELDS[name].message_type.fields_by_name for field in WORDS)
    assert content.text == (words if says else None)


@given(name=kinds, wrappers=nestings)
def test_an_own_devices_copy_is_nested_like_any_other(name: str, wrappers: list[str]) -> None:
    copy = pb.DeviceSentMessage(
        destination_jid="1@lid", message=wrapped(a_message(name, quoted="3EB0AA"), wrappers)
    )
    content = content_of(pb.Message(device_sent=copy), from_me=True)
    assert (content.kind, content.quoted_id, content.chat) == (KINDS.get(name, "other"), "3EB0AA", "1@lid")


@given(wrappers=st.lists(st.sampled_from(WRAPPERS), min_size=MAX_WRAPPERS + 1, max_size=40))
def test_what_is_wrapped_too_deep_is_told_without_its_words(wrappers: list[str]) -> None:
    content = content_of(wrapped(pb.Message(conversation="Hi"), wrappers))
    assert (content.kind, content.text) == ("other", None)


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name.startswith("view_once")])
def test_what_is_shown_once_says_so(name: str) -> None:
    content = content_of(wrapped(pb.Message(image=pb.ImageMessage(caption="Look")), ["ephemeral", name]))
    assert (content.kind, content.text, content.details) == ("image", "Look", {"view_once": True})


# -- what else is told -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind", "text", "details"),
    [
        (
            pb.Message(audio=pb.AudioMessage(mimetype="audio/ogg", file_length=9000, seconds=4, ptt=True)),
            "voice",
            None,
            {"mime_type": "audio/ogg", "size_bytes": 9000, "duration_seconds": 4},
        ),
        (
            pb.Message(document=pb.DocumentMessage(file_name="bill.pdf", title="Bill", page_count=2)),
            "document",
            None,
            {"file_name": "bill.pdf", "pages": 2},
        ),
        (
            pb.Message(location=pb.LocationMessage(latitude=-6.2, longitude=106.816667, name="Monas")),
            "location",
            None,
            {"name": "Monas", "latitude": "-6.200000", "longitude": "106.816667"},
        ),
        (
            pb.Message(location=pb.LocationMessage(latitude=float("nan"), longitude=500)),
            "location",
            None,
            {},
        ),
        (
            pb.Message(contact=pb.ContactMessage(name="Budi", vcard="BEGIN:VCARD")),
            "contact",
            None,
            {"name": "Budi", "vcard": "BEGIN:VCARD"},
        ),
        (
            pb.Message(
                poll_creation_v3=pb.PollCreation(
                    text="When?",
                    options=[pb.PollCreation.Option(name="now"), pb.PollCreation.Option(name="later")],
                )
            ),
            "poll",
            "When?",
            {"options": "now\nlater"},
        ),
        (
            pb.Message(send_payment=pb.SendPayment(note=pb.Message(conversation="for the router"))),
            "other",
            "for the router",
            {"type": "sendPaymentMessage"},
        ),
        (
            pb.Message(comment=pb.CommentMessage(message=pb.Message(conversation="I agree"))),
            "other",
            "I agree",
            {"type": "commentMessage"},
        ),
        (
            pb.Message(
                interactive_response=pb.InteractiveResponse(
                    native_flow_response=pb.InteractiveResponse.NativeFlowResponse(params_json="{}")
                )
            ),
            "interactive",
            "{}",
            {},
        ),
    ],
)
def test_what_can_be_told_is_told(message: pb.Message, kind: str, text: str | None, details: dict) -> None:
    content = content_of(message)
    assert (content.kind, content.text, content.details) == (kind, text, details)


def test_details_are_bounded() -> None:
    contact = pb.ContactMessage(name="n" * 9000, vcard="v" * 9000)
    content = content_of(pb.Message(contact=contact))
    assert {name: len(str(value)) for name, value in content.details.items()} == {
        "name": MAX_NAME,
        "vcard": MAX_DETAIL,
    }
    absurd = content_of(pb.Message(video=pb.VideoMessage(file_length=2**63)))
    assert absurd.details == {}


@pytest.mark.parametrize(
    "name", ["reaction", "poll_update", "pin_in_chat", "keep_in_chat", "secret_encrypted"]
)
def test_the_message_that_a_key_names_is_told(name: str) -> None:
    message = pb.Message()
    getattr(message, name).key.id = "3EB0BB"
    assert content_of(message).target_id == "3EB0BB"


def test_an_id_that_no_message_can_have_names_none() -> None:
    message = pb.Message(reaction=pb.Reaction(key=pb.MessageKey(id="A" * 3000), text="👍"))
    assert content_of(message).target_id is None
