"""What we write without protobuf is what the parser, which others' schemas made, reads."""

import pytest

from tocsin.whatsapp import outgoing
from tocsin.whatsapp.content import content_of
from tocsin.whatsapp.jid import GROUP, JID
from tocsin.whatsapp.proto.message_pb2 import ContextInfo, Message
from tocsin.whatsapp.timer import MAX_SECONDS, Timer, told

ALICE = JID.parse("200000000000002@lid")
US = JID.parse("100000000000001:7@lid")
TEAM = JID("120363000000000000", GROUP)
ORIGINAL = "3EB0" + "AB" * 9
AT = 1_800_000_000_123


@pytest.mark.parametrize("text", ["", "Hi", "ünï " * 100, "x" * 70000])
def test_texts_copies_and_sender_keys(text: str) -> None:
    assert Message.FromString(outgoing.text_message(text)).conversation == text
    timed = Message.FromString(outgoing.text_message(text, carries=outgoing.carried(Timer(604800))))
    assert timed.extended_text.text == text
    assert timed.extended_text.context_info.expiration == 604800
    copy = Message.FromString(outgoing.device_sent(ALICE, outgoing.text_message(text))).device_sent
    assert (copy.destination_jid, copy.message.conversation) == (str(ALICE), text)
    keyed = Message.FromString(outgoing.with_sender_key(TEAM, b"key", outgoing.text_message(text)))
    assert (keyed.conversation, keyed.sender_key_distribution.distribution) == (text, b"key")
    assert Message(conversation=text).SerializeToString() == outgoing.text_message(text)


def test_a_quote_brings_along_what_it_quotes() -> None:
    quote = (ORIGINAL, US, outgoing.text_message("no internet"))
    message = outgoing.extended_message("solved", quote=quote)
    assert message.kind == outgoing.TEXT
    written = Message.FromString(message.body).extended_text
    assert (written.text, written.context_info.stanza_id) == ("solved", ORIGINAL)
    assert written.context_info.participant == "100000000000001@lid"
    assert written.context_info.quoted_message.conversation == "no internet"


def test_a_preview_says_where_a_link_leads() -> None:
    message = outgoing.extended_message("see https://t/1", preview=("https://t/1", "No internet", "since 9"))
    assert message.kind == outgoing.Kind("media", "url")
    written = Message.FromString(message.body).extended_text
    assert (written.text, written.matched_text) == ("see https://t/1", "https://t/1")
    assert (written.title, written.description) == ("No internet", "since 9")
    assert not written.HasField("context_info")


def test_an_edit_names_our_message_and_replaces_it() -> None:
    edit = outgoing.edit_message(ALICE, ORIGINAL, outgoing.text_message("now solved"), AT)
    assert edit.kind == outgoing.EDIT
    protocol = Message.FromString(edit.body).edited.message.protocol
    assert (protocol.type, protocol.timestamp_ms) == (14, AT)
    assert (protocol.key.id, protocol.key.from_me, protocol.key.remote_jid) == (ORIGINAL, True, str(ALICE))
    assert protocol.edited_message.conversation == "now solved"
    read = content_of(Message.FromString(edit.body))
    assert (read.kind, read.text, read.target_id) == ("edit", "now solved", ORIGINAL)


@pytest.mark.parametrize(("chat", "author"), [(ALICE, None), (TEAM, ALICE.with_device(3))])
def test_a_reaction_names_the_message_of_somebody_else(chat: JID, author: JID | None) -> None:
    reaction = outgoing.reaction_message(chat, "A5", "👍", AT, author)
    assert reaction.kind == outgoing.REACTION
    written = Message.FromString(reaction.body).reaction
    assert (written.text, written.sender_timestamp_ms) == ("👍", AT)
    assert (written.key.id, written.key.from_me, written.key.remote_jid) == ("A5", False, str(chat))
    assert written.key.participant == ("" if author is None else str(ALICE))


def test_what_is_said_is_not_shown_by_accident() -> None:
    assert "secret" not in repr(outgoing.OutgoingMessage(b"secret"))


# The chat's timer


@pytest.mark.parametrize(
    ("timer", "group", "expected"),
    [
        (None, False, b""),
        (Timer(0, 1_800_000_000), False, b""),
        (Timer(86400), True, ContextInfo(expiration=86400).SerializeToString()),
        (
            Timer(604800, 1_800_000_000),
            True,
            ContextInfo(expiration=604800, ephemeral_setting_timestamp=1_800_000_000).SerializeToString(),
        ),
    ],
)
def test_what_a_message_says_of_the_timer(timer: Timer | None, group: bool, expected: bytes) -> None:
    assert outgoing.carried(timer, group=group) == expected


def test_in_a_chat_of_two_it_says_that_it_is_a_setting_of_the_chat() -> None:
    """Field 32: initiator CHANGED_IN_CHAT (0), trigger CHAT_SETTING (1)."""
    said = outgoing.carried(Timer(86400, 1_800_000_000))
    assert said.endswith(bytes((0x82, 0x02, 4, 0x08, 0, 0x10, 1)))
    assert ContextInfo.FromString(said).expiration == 86400


def test_a_quote_and_the_timer_stand_in_one_context() -> None:
    quote = (ORIGINAL, US, outgoing.text_message("no internet"))
    message = outgoing.extended_message("solved", quote=quote, carries=outgoing.carried(Timer(86400, 7)))
    context = Message.FromString(message.body).extended_text.context_info
    assert (context.stanza_id, context.expiration, context.ephemeral_setting_timestamp) == (
        ORIGINAL,
        86400,
        7,
    )


@pytest.mark.parametrize(
    ("seconds", "at", "expected"),
    [
        (86400, 1_800_000_000, Timer(86400, 1_800_000_000)),
        (86400, 1_800_000_000_123, Timer(86400, 1_800_000_000)),
        (0, 1_800_000_000, Timer(0, 1_800_000_000)),
        (MAX_SECONDS + 1, 1, None),
        (86400, -5, Timer(86400, 0)),
        (86400, 2**62, Timer(86400, 0)),
    ],
)
def test_what_counts_as_a_timer(seconds: int, at: int, expected: Timer | None) -> None:
    """History has its time in milliseconds."""
    assert told(seconds, at) == expected
