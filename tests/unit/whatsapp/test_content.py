"""What messages say: every kind of reply, every wrapping; control messages, from whoever may send them."""

import pytest

from tocsin.whatsapp.content import Content, SenderKey, content_of, parse_plaintext
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.history import AddressPair
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.proto import message_pb2 as pb
from tocsin.whatsapp.timer import Timer

QUOTE = pb.ContextInfo(stanza_id="3EB0AA", expiration=86400)
TEXT = pb.Message(extended_text=pb.ExtendedTextMessage(text="Thanks", context_info=QUOTE))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (pb.Message(conversation="Hello"), Content("text", "Hello")),
        (TEXT, Content("text", "Thanks", "3EB0AA", timer=Timer(86400))),
        (
            pb.Message(image=pb.ImageMessage(caption="See", context_info=QUOTE)),
            Content("image", "See", "3EB0AA", timer=Timer(86400)),
        ),
        (pb.Message(image=pb.ImageMessage()), Content("image")),
        (pb.Message(video=pb.VideoMessage(caption="Look")), Content("video", "Look")),
        (pb.Message(document=pb.DocumentMessage(caption="Bill")), Content("document", "Bill")),
        (
            pb.Message(
                buttons_response=pb.ButtonsResponse(selected_button_id="1", selected_display_text="Yes")
            ),
            Content("button", "Yes"),
        ),
        (
            pb.Message(template_button_reply=pb.TemplateButtonReply(selected_id="stop")),
            Content("button", "stop"),
        ),
        (pb.Message(list_response=pb.ListResponse(title="Monday")), Content("list", "Monday")),
        (
            pb.Message(
                interactive_response=pb.InteractiveResponse(body=pb.InteractiveResponse.Body(text="Later"))
            ),
            Content("interactive", "Later"),
        ),
        (
            pb.Message(reaction=pb.Reaction(key=pb.MessageKey(id="3EB0BB"), text="👍")),
            Content("reaction", "👍", "3EB0BB", target_id="3EB0BB"),
        ),
        (pb.Message(audio=pb.AudioMessage(seconds=7)), Content("audio", details={"duration_seconds": 7})),
        (
            pb.Message(poll_update=pb.About(key=pb.MessageKey(id="3EB0DD"))),
            Content("poll_vote", None, "3EB0DD", target_id="3EB0DD"),
        ),
        (pb.Message(), Content("empty")),
        (
            pb.Message(protocol=pb.ProtocolMessage(type=0, key=pb.MessageKey(id="3EB0CC"))),
            Content("deleted", target_id="3EB0CC"),
        ),
        (
            pb.Message(
                edited=pb.Wrapped(
                    message=pb.Message(
                        protocol=pb.ProtocolMessage(
                            type=14,
                            key=pb.MessageKey(id="3EB0CC"),
                            edited_message=pb.Message(conversation="Better"),
                        )
                    )
                )
            ),
            Content("edit", "Better", target_id="3EB0CC"),
        ),
        (
            pb.Message(protocol=pb.ProtocolMessage(type=3, ephemeral_expiration=604800)),
            Content("timer", timer=Timer(604800)),
        ),
        (pb.Message(protocol=pb.ProtocolMessage(type=99)), Content("protocol")),
    ],
)
def test_kinds(message: pb.Message, expected: Content) -> None:
    assert content_of(parse_plaintext(message.SerializeToString())) == expected


def test_a_copy_of_an_own_device_tells_the_chat() -> None:
    copy = pb.Message(device_sent=pb.DeviceSentMessage(destination_jid="1000@lid", message=TEXT))
    assert content_of(copy, from_me=True) == Content("text", "Thanks", "3EB0AA", "1000@lid", Timer(86400))
    assert content_of(copy, from_me=False).kind == "spoofed"


@pytest.mark.parametrize("kind", [5, 6, 17, 22])
def test_nobody_else_speaks_for_the_account(kind: int) -> None:
    message = pb.Message(protocol=pb.ProtocolMessage(type=kind))
    assert content_of(message, from_me=False) == Content("spoofed")
    assert content_of(message, from_me=True).kind != "spoofed"


def test_a_sender_key_comes_alone_or_with_words() -> None:
    distribution = pb.SenderKeyDistribution(group_id="1203@g.us", distribution=b"key")
    key = SenderKey("1203@g.us", b"key")
    assert content_of(pb.Message(sender_key_distribution=distribution)) == Content(
        "sender-key", sender_key=key
    )
    both = pb.Message(sender_key_distribution=distribution, conversation="Hi")
    assert content_of(both) == Content("text", "Hi", sender_key=key)


def test_a_migration_pairs_numbers_with_their_latest_lid() -> None:
    mapping = pb.LidMigrationPayload.Mapping
    payload = pb.LidMigrationPayload(
        mappings=[
            mapping(pn=628111, assigned_lid=1, latest_lid=2),
            mapping(pn=628222, assigned_lid=3),
            mapping(pn=7),
        ]
    )
    protocol = pb.ProtocolMessage(
        type=22, lid_migration_mapping=pb.LidMigrationMapping(payload=payload.SerializeToString())
    )
    assert content_of(pb.Message(protocol=protocol), from_me=True).pairs == (
        AddressPair(JID.parse("628111@s.whatsapp.net"), JID.parse("2@lid")),
        AddressPair(JID.parse("628222@s.whatsapp.net"), JID.parse("3@lid")),
    )


def test_broken_utf8_doesn_t_cost_the_message() -> None:
    assert content_of(parse_plaintext(b"\x0a\x03Hi\xff")).text == "Hi\ufffd"


def test_what_is_no_protobuf_is_refused() -> None:
    with pytest.raises(InvalidStanza, match="protobuf"):
        parse_plaintext(b"\x0a\xff")
