"""Disappearing messages: whoever tells a chat's timer is heard, each kind of message carries it, and nothing
of ours ever sets, changes or ends one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_whatsapp import NOW, wrapped
from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_groups import WiredGroup
from tocsin.multidevice.compose import compose
from tocsin.notify.content import Attachment, Edit, File, Preview, Quote, Reaction, Text
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.media import DOCUMENT, IMAGE, Upload
from tocsin.whatsapp.outgoing import device_sent
from tocsin.whatsapp.proto.message_pb2 import ContextInfo, HistorySync, Message
from tocsin_whatsapp_server.timers import Timer, carried, change, setting, with_timer

DAY, WEEK = 86400, 604800
SET_AT = NOW - 1000


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    """Siti has had one notification, without any timer."""
    made = WiredFunctions(account.furnish())
    made.tell(1)
    return made


@pytest.fixture
def group(account: MemoryAccount) -> WiredGroup:
    return WiredGroup(account.furnish())


def hears(wired: WiredFunctions, message: Message, stanza: str = "T1") -> Any:
    """Siti's phone says it."""
    phone = wired.siti.devices[0]
    return wired.receive(wrapped(phone, wired.siti, stanza, phone.encrypt(message.SerializeToString())))


def hears_own(wired: WiredFunctions, message: Message, stanza: str = "O1") -> Any:
    """Our own phone says it to Siti."""
    phone = wired.paired.own.devices[0]
    copy = device_sent(wired.siti.user, message.SerializeToString())
    node = wrapped(phone, wired.paired.own, stanza, phone.encrypt(copy), recipient=wired.siti.user)
    return wired.receive(node)


def told(wired: WiredFunctions, number: int) -> Timer | None:
    """The timer in what Siti's phone reads of a new notification, sent by a new container."""
    wired.restart()
    wired.tell(number)
    return carried(Message.FromString(wired.siti.devices[0].plaintexts[-1]))


def timed(text: str, seconds: int, at: int) -> Message:
    return with_timer(Message(conversation=text), Timer(seconds, at))


def history(seconds: int, at: int, name: str = "1234@lid", **pair: str) -> Message:
    """`name`: of the chat; `pair`: what the piece tells beside of who that is."""
    import zlib

    chunk = HistorySync()
    if pair:
        chunk.phone_number_to_lid.add(**pair)
    chat = chunk.conversations.add()
    chat.id, chat.ephemeral_expiration, chat.ephemeral_setting_timestamp = name, seconds, at
    message = Message()
    message.protocol.type = 5
    message.protocol.history_sync_notification.sync_type = 0
    message.protocol.history_sync_notification.inline_payload = zlib.compress(chunk.SerializeToString())
    return message


SOURCES = {
    "their message": lambda wired: hears(wired, timed("halo", DAY, SET_AT)),
    "their change of the setting": lambda wired: hears(wired, change(Timer(DAY, SET_AT))),
    "our phone's message to them": lambda wired: hears_own(wired, timed("halo", DAY, SET_AT)),
    "our phone's change of the setting": lambda wired: hears_own(wired, change(Timer(DAY, SET_AT))),
}


@pytest.mark.parametrize("hear", SOURCES.values(), ids=SOURCES)
def test_a_timer_is_learnt_from_whoever_tells_it(wired: WiredFunctions, hear: Any) -> None:
    assert told(wired, 2) is None
    hear(wired)
    assert told(wired, 3) == Timer(DAY, SET_AT)


def test_history_tells_it_in_milliseconds(wired: WiredFunctions) -> None:
    phone = wired.paired.own.devices[0]
    plain = history(DAY, SET_AT * 1000).SerializeToString()
    wired.receive(wrapped(phone, wired.paired.own, "H1", phone.encrypt(plain)))
    assert told(wired, 2) == Timer(DAY, SET_AT)


@pytest.mark.parametrize("beside", [True, False], ids=["who it is stands beside", "who it is is known"])
def test_history_may_name_the_chat_by_number(wired: WiredFunctions, beside: bool) -> None:
    """So do phones whose chats haven't moved to LIDs yet."""
    phone, number = wired.paired.own.devices[0], str(wired.siti.pn)
    pair = {"pn_jid": number, "lid_jid": str(wired.siti.user)} if beside else {}
    plain = history(DAY, SET_AT, number, **pair).SerializeToString()
    wired.receive(wrapped(phone, wired.paired.own, "H1", phone.encrypt(plain)))
    assert told(wired, 2) == Timer(DAY, SET_AT)


def test_history_of_a_number_that_nobody_knows_is_left(wired: WiredFunctions) -> None:
    phone = wired.paired.own.devices[0]
    asked = len(wired.network.queries)
    plain = history(DAY, SET_AT, "6299@s.whatsapp.net").SerializeToString()
    wired.receive(wrapped(phone, wired.paired.own, "H1", phone.encrypt(plain)))
    assert len(wired.network.queries) == asked, "a piece of history names hundreds"


ENDS = {
    "their setting": lambda wired: hears(wired, change(Timer(0, SET_AT + 1)), "T2"),
    "our phone's setting": lambda wired: hears_own(wired, change(Timer(0, SET_AT + 1))),
    "their message": lambda wired: hears(
        wired,
        Message(
            extended_text={
                "text": "halo",
                "context_info": ContextInfo(expiration=0, ephemeral_setting_timestamp=SET_AT + 1),
            }
        ),
        "T2",
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_ends_where_somebody_ends_it(wired: WiredFunctions, end: Any) -> None:
    hears(wired, timed("halo", DAY, SET_AT))
    end(wired)
    assert told(wired, 2) is None


NO_ENDS = {
    "a plain message": Message(conversation="halo"),
    "a reaction": Message(reaction={"key": {"id": "X", "remote_jid": "1@lid"}, "text": "👍"}),
    "an older setting": change(Timer(0, SET_AT - 1)),
    "a setting of the far future": change(Timer(0, SET_AT + 10 * 86400)),
    "a timer that no client sets": change(Timer(2**31, SET_AT + 1)),
}


@pytest.mark.parametrize("message", NO_ENDS.values(), ids=NO_ENDS)
def test_what_says_nothing_of_it_changes_nothing(wired: WiredFunctions, message: Message) -> None:
    hears(wired, timed("halo", DAY, SET_AT))
    hears(wired, message, "T2")
    assert told(wired, 2) == Timer(DAY, SET_AT)


def test_the_answer_to_a_retry_receipt_carries_it_too(wired: WiredFunctions) -> None:
    hears(wired, timed("halo", DAY, SET_AT))
    wired.siti.devices[0].corrupt()
    wired.tell(2)
    wired.answer_retries()
    assert carried(Message.FromString(wired.siti.devices[0].plaintexts[-1])) == Timer(DAY, SET_AT)


UPLOAD = Upload(IMAGE, bytes(32), bytes(32), bytes(32), 3, "https://h/p", "/p", 1)
PDF = Upload(DOCUMENT, bytes(32), bytes(32), bytes(32), 3, "https://h/p", "/p", 1)
ATTACHED = Attachment("k", "a.png", "image/png")
KINDS = {
    "text": (Text("halo"), None),
    "quote": (Text("halo", Quote("3EB0", "before")), None),
    "link": (Text("https://t/1", None, Preview("https://t/1", "t", "d")), None),
    "image": (File(ATTACHED, ""), UPLOAD),
    "image with caption": (File(ATTACHED, "see"), UPLOAD),
    "document": (File(Attachment("k", "a.pdf", "application/pdf"), ""), PDF),
    "document with caption": (File(Attachment("k", "a.pdf", "application/pdf"), "see"), PDF),
}
CHANGES = {
    "edit": Edit("3EB0", "halo", 1, "before"),
    "reaction": Reaction("3EB0", "👍", 1, None),
}


@pytest.mark.parametrize(("content", "upload"), KINDS.values(), ids=KINDS)
def test_each_kind_carries_it_with_its_time(content: Any, upload: Upload | None) -> None:
    from tocsin.keys.timers import ChatTimer

    own = JID.parse("100@lid")
    message = compose(content, "1234@lid", own, upload, ChatTimer(WEEK, SET_AT))
    assert carried(Message.FromString(message.body)) == Timer(WEEK, SET_AT)
    assert compose(content, "1234@lid", own, upload, ChatTimer(0, SET_AT)) == compose(
        content, "1234@lid", own, upload
    )


@pytest.mark.parametrize("content", CHANGES.values(), ids=CHANGES)
def test_what_changes_another_message_needs_none(content: Any) -> None:
    from tocsin.keys.timers import ChatTimer

    own = JID.parse("100@lid")
    assert compose(content, "1234@lid", own, None, ChatTimer(WEEK, SET_AT)) == compose(
        content, "1234@lid", own
    )


# -- groups ----------------------------------------------------------------------------------------------


def set_group_timer(group: WiredGroup, seconds: int) -> None:
    for told_of in group.local.board.groups.set(group.group, expiration=seconds):
        group.local.board.group_changed(told_of)
    group.hear()


def group_reads(group: WiredGroup, number: int) -> tuple[int, bool]:
    """Seconds in what a colleague reads of a new notification, and whether it has a warning below."""
    group.tell_group(number)
    entry = group.colleagues[0].messages()[-1]
    return (entry.timer.seconds if entry.timer else 0), entry.warns


def test_a_group_s_timer_is_followed_from_its_metadata(group: WiredGroup) -> None:
    group.group.expiration = DAY
    group.paired.keys.groups.forget(str(group.group.jid))
    assert group_reads(group, 1) == (DAY, False)
    group.group.expiration = 0
    group.paired.keys.groups.forget(str(group.group.jid))
    assert group_reads(group, 2) == (0, False)


def test_a_group_s_timer_is_followed_when_it_changes_and_when_it_ends(group: WiredGroup) -> None:
    assert group_reads(group, 1) == (0, False)
    set_group_timer(group, WEEK)
    assert group_reads(group, 2) == (WEEK, False)
    group.restart()
    assert group_reads(group, 3) == (WEEK, False)
    set_group_timer(group, 0)
    assert group_reads(group, 4) == (0, False)


def test_a_phone_of_the_local_server_warns_where_the_timer_is_missing(group: WiredGroup) -> None:
    """The twin: else the tests above would pass for a message without any."""
    siti, budi = group.colleagues[:2]
    siti.set_timer(budi.account, DAY)
    budi.timers.clear()
    budi.write(siti.account, "without")
    assert siti.messages()[-1].warns
    siti.write(budi.account, "with")
    assert not budi.messages()[-1].warns
    budi.write(siti.account, "followed")
    assert not siti.messages()[-1].warns


def test_nothing_of_ours_sets_a_timer(wired: WiredFunctions) -> None:
    hears(wired, timed("halo", DAY, SET_AT))
    for number in range(2, 5):
        told(wired, number)
    plaintexts = [Message.FromString(plain) for plain in wired.siti.devices[0].plaintexts]
    assert [setting(message) for message in plaintexts] == [None] * len(plaintexts)
