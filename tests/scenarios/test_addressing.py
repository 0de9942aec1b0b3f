"""Who is who: what is believed of a number, who is asked, and what a wrong number costs."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from tests.support.fake_whatsapp import NOW, Device, message_from, wrapped
from tests.support.memory_aws import MemoryAws
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.multidevice.numbers import QUESTIONS_PER_HOUR
from tocsin.notify.notification import State
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, LID, PN, phash
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent, text_message
from tocsin.whatsapp.proto.message_pb2 import HistorySync, LidMigrationPayload, Message

WHO = JID("6287777777777", PN)
LID_OF_WHO = JID("4321", LID)
GROUP = JID("120363000000000000", "g.us")


@pytest.fixture
def told() -> WiredFunctions:
    """Siti has had one notification, and our own phone has our session."""
    wired = WiredFunctions(MemoryAws())
    wired.notification = wired.tell(1)  # type: ignore[attr-defined]
    return wired


def stanza(tag: str, *children: Node, **attrs: object) -> Node:
    return Node(tag, {"id": "S", "t": str(NOW), **attrs}, children or None)  # type: ignore[dict-item]


def garbage() -> Node:
    """A ciphertext that nobody can read: the names on the stanza are the server's word, not the sender's."""
    return Node("enc", {"v": "2", "type": "msg"}, bytes(60))


def from_own_phone(wired: WiredFunctions, plain: bytes, **attrs: object) -> Node:
    phone = wired.paired.own.devices[0]
    return wrapped(phone, wired.paired.own, "O1", phone.encrypt(plain), **attrs)


def migration(wired: WiredFunctions, **lids: int) -> Node:
    payload = LidMigrationPayload()
    payload.mappings.add(pn=int(WHO.user), **lids)
    message = Message()
    message.protocol.type = 22
    message.protocol.lid_migration_mapping.payload = payload.SerializeToString()
    return from_own_phone(wired, message.SerializeToString(), category="peer")


def history(wired: WiredFunctions, chunk: HistorySync) -> Node:
    message = Message()
    message.protocol.type = 5
    message.protocol.history_sync_notification.inline_payload = zlib.compress(chunk.SerializeToString())
    return from_own_phone(wired, message.SerializeToString(), category="peer")


def history_mapping(wired: WiredFunctions) -> Node:
    chunk = HistorySync()
    chunk.phone_number_to_lid.add(pn_jid=str(WHO), lid_jid=str(LID_OF_WHO))
    return history(wired, chunk)


def history_chat(wired: WiredFunctions) -> Node:
    chunk = HistorySync()
    chunk.conversations.add(id=str(LID_OF_WHO), pn_jid=str(WHO))
    return history(wired, chunk)


def device_change(wired: WiredFunctions) -> Node:
    device = Node("device", {"jid": WHO.with_device(3), "lid": LID_OF_WHO.with_device(3)})
    return stanza("notification", Node("add", {}, (device,)), type="devices", **{"from": WHO})


def members(form: str) -> Callable[[WiredFunctions], Node]:
    attrs = {"jid": LID_OF_WHO, "phone_number": WHO} if form == "lid" else {"jid": WHO, "lid": LID_OF_WHO}

    def notification(wired: WiredFunctions) -> Node:
        added = Node("add", {}, (Node("participant", attrs),))
        return stanza("notification", added, type="w:gp2", **{"from": GROUP})

    return notification


def token(wired: WiredFunctions) -> Node:
    tokens = Node("tokens", {}, (Node("token", {"type": "trusted_contact", "t": str(NOW)}, b"tok"),))
    return stanza("notification", tokens, type="privacy_token", sender_lid=LID_OF_WHO, **{"from": WHO})


def call(wired: WiredFunctions) -> Node:
    offer = Node("offer", {"call-id": "C", "call-creator": LID_OF_WHO.with_device(0), "caller_pn": WHO})
    return stanza("call", offer, **{"from": LID_OF_WHO})


Told = dict[str, Callable[[WiredFunctions], Node]]

OWN_PHONE: Told = {
    "history, its mappings": history_mapping,
    "history, its chats": history_chat,
    "LID migration": lambda wired: migration(wired, assigned_lid=int(LID_OF_WHO.user)),
    "LID migration, the latest of two": lambda wired: migration(
        wired, assigned_lid=1111, latest_lid=int(LID_OF_WHO.user)
    ),
}

ASKED: Told = {
    "message from a LID": lambda wired: stanza(
        "message", garbage(), sender_pn=WHO, **{"from": LID_OF_WHO.with_device(2)}
    ),
    "message from a number": lambda wired: stanza(
        "message", garbage(), sender_lid=LID_OF_WHO, **{"from": WHO}
    ),
    "receipt from a LID": lambda wired: stanza(
        "receipt", sender_pn=WHO, **{"from": LID_OF_WHO.with_device(2)}
    ),
    "receipt from a number": lambda wired: stanza("receipt", sender_lid=LID_OF_WHO, **{"from": WHO}),
    "group message of a LID": lambda wired: stanza(
        "message", garbage(), participant=LID_OF_WHO.with_device(1), participant_pn=WHO, **{"from": GROUP}
    ),
    "group message of a number": lambda wired: stanza(
        "message", garbage(), participant=WHO, participant_lid=LID_OF_WHO, **{"from": GROUP}
    ),
    "group receipt": lambda wired: stanza(
        "receipt", participant=LID_OF_WHO, participant_pn=WHO, **{"from": GROUP}
    ),
    **{
        f"own message with {name}": lambda wired, name=name, one=one, other=other: from_own_phone(  # type: ignore[misc]
            wired, device_sent(one, text_message("x")), recipient=one, **{name: other}
        )
        for name, one, other in (
            ("peer_recipient_pn", LID_OF_WHO, WHO),
            ("peer_recipient_lid", WHO, LID_OF_WHO),
            ("recipient_pn", LID_OF_WHO, WHO),
            ("recipient_lid", WHO, LID_OF_WHO),
        )
    },
    "devices, for the user": lambda wired: stanza(
        "notification", Node("update", {}), type="devices", lid=LID_OF_WHO, **{"from": WHO}
    ),
    "privacy token": token,
    "call": call,
}

IN_PASSING: Told = {
    "group member by LID": members("lid"),
    "group member by number": members("pn"),
    "devices, for a device": device_change,
}


def known_lid(wired: WiredFunctions) -> str | None:
    names = wired.paired.keys.contacts.address(str(WHO))
    return names["lid"] if names else None


@pytest.mark.parametrize("source", OWN_PHONE)
def test_our_own_phone_is_believed(source: str, told: WiredFunctions) -> None:
    told.receive(OWN_PHONE[source](told))
    expected = {"pn": str(WHO), "lid": str(LID_OF_WHO)}
    assert told.paired.keys.contacts.address(str(WHO)) == expected
    assert told.paired.keys.contacts.address(str(LID_OF_WHO)) == expected


@pytest.mark.parametrize("source", ASKED)
def test_what_a_stanza_names_is_learnt_from_the_answer_of_whatsapp(source: str, told: WiredFunctions) -> None:
    told.network.person(WHO.user, LID_OF_WHO.user)
    told.receive(ASKED[source](told))
    assert known_lid(told) == str(LID_OF_WHO)


@pytest.mark.parametrize("source", ASKED)
def test_a_stanza_that_names_two_people_is_refused(source: str, told: WiredFunctions) -> None:
    told.network.person(WHO.user, "1111")
    assert told.receive(ASKED[source](told)).cause == "sender-mismatch"
    assert known_lid(told) == "1111@lid"
    assert told.paired.keys.contacts.address(str(LID_OF_WHO)) is None


@pytest.mark.parametrize("source", [*ASKED, *IN_PASSING])
def test_without_an_answer_nothing_is_learnt_from_a_stanza(source: str, told: WiredFunctions) -> None:
    told.receive((ASKED | IN_PASSING)[source](told))
    assert known_lid(told) is None


@pytest.mark.parametrize("source", IN_PASSING)
def test_names_in_passing_ask_nobody_but_make_what_is_known_doubtful(
    source: str, told: WiredFunctions
) -> None:
    told.paired.keys.contacts.learn(str(WHO), "1111@lid")
    told.paired.now += 3600
    before = asked(told)
    told.receive(IN_PASSING[source](told))
    known = told.paired.keys.contacts.known(str(WHO))
    assert known is not None
    assert (known.lid, known.doubted, asked(told)) == ("1111@lid", True, before)


def test_questions_about_numbers_have_a_limit_an_hour(told: WiredFunctions) -> None:
    before = asked(told)
    for number in range(QUESTIONS_PER_HOUR + 5):
        stranger = JID(f"62877777{number:05d}", PN)
        told.receive(stanza("receipt", sender_pn=stranger, **{"from": JID(f"{4000 + number}", LID)}))
    assert asked(told) - before == QUESTIONS_PER_HOUR


def test_both_names_are_learnt_from_the_answer_to_a_device_query(told: WiredFunctions) -> None:
    """The way in which a LID without a known number finds its number."""
    person = told.network.person(WHO.user, LID_OF_WHO.user)
    told.network.tell_numbers = True
    told.paired.transport.account("default")
    from tocsin.multidevice.directory import device_lists

    device_lists(told.paired.transport.account("default"), [str(person.user)])
    assert told.paired.keys.contacts.address(str(WHO))["lid"] == str(LID_OF_WHO)


def test_a_session_under_the_number_goes_on_under_the_lid(told: WiredFunctions) -> None:
    from tests.support.wired_steps import our_bundle

    person = told.network.person(WHO.user, LID_OF_WHO.user)
    device = person.devices[0]
    device.begin(our_bundle(told))
    first = Node("enc", {"v": "2", "type": "pkmsg"}, device.encrypt(text_message("Halo")).body)
    assert told.receive(stanza("message", first, **{"from": WHO})).outcome == "reply"
    assert told.receive(message_from(device, person, "R2", "lagi")).outcome == "reply"
    assert told.paired.keys.sending.session_facts(told.paired.profile, str(LID_OF_WHO), 0) is not None


# -- an identity that changed ------------------------------------------------------------------------------


def test_an_identity_change_cleans_every_device_under_both_addresses(told: WiredFunctions) -> None:
    """The phone was installed anew: its companions are gone with it, under whatever name they were known."""
    told.reply("ok")
    told.reply("ok", "R2", told.siti.devices[1])
    identity = Node("identity")
    report = told.receive(
        stanza("notification", identity, type="encrypt", lid=told.siti.user, **{"from": told.siti.pn})
    )
    assert report.facts == {"archived": 2}
    for user in (told.siti.user, told.siti.pn):
        for device in (0, 1):
            assert told.paired.keys.sending.session_facts(told.paired.profile, str(user), device) is None


def test_an_identity_change_of_a_companion_is_its_own_affair(told: WiredFunctions) -> None:
    told.reply("ok", "R2", told.siti.devices[1])
    origin = told.siti.user.with_device(1)
    told.receive(stanza("notification", Node("identity"), type="encrypt", **{"from": origin}))
    assert told.paired.keys.sending.session_facts(told.paired.profile, str(told.siti.user), 1) is not None


# -- is this number on WhatsApp? ---------------------------------------------------------------------------


def undeliverable(wired: WiredFunctions, number: int) -> None:
    planned = wired.plan(number)
    assert wired.deliver(planned).cause == "not-on-whatsapp"
    assert wired.stored(planned).state is State.FAILED


@pytest.fixture
def wrong() -> WiredFunctions:
    """Siti's number isn't on WhatsApp."""
    wired = WiredFunctions(MemoryAws())
    wired.network.people.pop("1234")
    return wired


def asked(wired: WiredFunctions) -> int:
    return sum(query.startswith("contact ") for query in wired.network.queries)


def test_a_number_that_is_not_on_whatsapp_is_asked_for_once_a_day(wrong: WiredFunctions) -> None:
    for number in range(5):
        undeliverable(wrong, number)
    assert asked(wrong) == 1
    wrong.paired.now += 86400 + 1
    undeliverable(wrong, 6)
    assert asked(wrong) == 2


def test_an_operator_who_redrives_may_ask_again(wrong: WiredFunctions) -> None:
    planned = wrong.plan(1)
    wrong.deliver(planned)
    wrong.network.people["1234"] = wrong.siti
    wrong.stores.notifications.reset_for_redrive(
        planned.id, at=int(wrong.paired.now * 1000), expires_at=int(wrong.paired.now + 99) * 1000
    )
    assert wrong.deliver(wrong.stored(planned)).outcome == "sent"


def test_a_number_that_came_to_whatsapp_is_written_to_as_soon_as_it_is_heard_of(
    wrong: WiredFunctions,
) -> None:
    undeliverable(wrong, 1)
    wrong.network.people["1234"] = wrong.siti
    wrong.receive(stanza("receipt", sender_pn=wrong.siti.pn, **{"from": wrong.siti.user}))
    before = asked(wrong)
    wrong.tell(2)
    assert asked(wrong) == before


@pytest.mark.parametrize(("days", "questions"), [(29, 1), (31, 2)])
def test_a_number_that_is_known_is_asked_for_once_a_month(
    told: WiredFunctions, days: int, questions: int
) -> None:
    """A number that was given up goes to another person after some weeks."""
    told.paired.now += days * 86400
    told.tell(2)
    assert asked(told) == questions


def test_the_canonical_number_is_the_one_that_whatsapp_answers(told: WiredFunctions) -> None:
    """A Mexican number typed with the 1 of old days: whatever was typed, one person, one set of sessions."""
    from dataclasses import replace

    person = told.network.person("525512345678", "7777")
    told.network.aliases["5215512345678"] = "525512345678"
    for number, typed in enumerate(("5215512345678", "525512345678")):
        planned = replace(told.plan(number), id=f"{number:018x}", recipient=typed, person=None, lane=None)
        told.stores.notifications.put_new(planned)
        # What was planned before there were lanes goes over into the one that all spellings have.
        expected = ["rerouted", "sent"] if number == 0 else ["sent"]
        assert [told.deliver(told.stored(planned)).outcome for _ in expected] == expected
    assert len(texts(person.devices[0])) == 2
    for typed in ("5215512345678", "525512345678"):
        assert told.paired.keys.contacts.address(f"{typed}@s.whatsapp.net")["lid"] == "7777@lid"
    assert str(told.network.messages[-1].attr_jid("peer_recipient_pn")).startswith("525512345678")


# -- the device that Meta operates for a business ----------------------------------------------------------


@pytest.fixture
def business() -> WiredFunctions:
    """Siti's is the number of a business that Meta hosts."""
    wired = WiredFunctions(MemoryAws())
    wired.siti.devices[HOSTED_DEVICE] = Device(wired.siti.user.with_device(HOSTED_DEVICE))
    return wired


def test_a_hosted_device_gets_its_copy_at_an_address_of_its_own(business: WiredFunctions) -> None:
    business.tell(1)
    assert texts(business.siti.devices[HOSTED_DEVICE]) == ["Tiket 1"]
    to = business.network.messages[-1].require_child("participants").children("to")
    assert "1234:99@hosted.lid" in [str(one.attr_jid("jid")) for one in to]
    assert "bundle 1234:99@hosted.lid" in business.network.queries
    assert "1234:99@hosted.lid" in business.stored(business.plan(1)).attempts[-1].copies


def test_what_a_hosted_device_writes_is_the_business_reply(business: WiredFunctions) -> None:
    business.tell(1)
    report = business.reply("Selamat siang", "R9", business.siti.devices[HOSTED_DEVICE])
    assert (report.outcome, report.cause) == ("reply", "text")
    assert business.paired.keys.contacts.address(str(business.siti.pn))["lid"] == "1234@lid"


def test_a_hosted_device_that_can_t_read_is_healed_like_any_other(business: WiredFunctions) -> None:
    business.tell(1)
    device = business.siti.devices[HOSTED_DEVICE]
    device.corrupt()
    business.tell(2)
    assert [report.outcome for report in business.answer_retries()] == ["resent"]
    assert texts(device) == ["Tiket 1", "Tiket 2"]


# -- lists that the server tells with their hash ----------------------------------------------------------


def list_queries(wired: WiredFunctions) -> list[str]:
    return [query for query in wired.network.queries if query.startswith("devices ")]


def removal(wired: WiredFunctions, gone: JID, **hashes: str) -> Node:
    removed = Node("remove", hashes, (Node("device", {"jid": gone}),))
    return stanza("notification", removed, type="devices", lid=wired.siti.user, **{"from": wired.siti.pn})


@pytest.mark.parametrize("form", ["device_hash", "device_lid_hash"])
def test_a_removal_whose_hash_is_ours_asks_for_no_list(told: WiredFunctions, form: str) -> None:
    gone = told.siti.devices.pop(1)
    left = told.siti.pn if form == "device_hash" else told.siti.user
    report = told.receive(removal(told, gone.jid, **{form: phash([left])}))
    assert report.facts == {"devices": 1, "list_holds": True}
    told.network.queries.clear()
    told.tell(2)
    assert list_queries(told) == []
    assert texts(told.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


@pytest.mark.parametrize("hashes", [{}, {"device_hash": "2:AAAAAAAA"}], ids=["none", "another"])
def test_a_removal_whose_hash_is_not_ours_asks_for_the_list(
    told: WiredFunctions, hashes: dict[str, str]
) -> None:
    gone = told.siti.devices.pop(1)
    told.siti.devices[2] = Device(told.siti.user.with_device(2))
    told.receive(removal(told, gone.jid, **hashes))
    told.tell(2)
    assert texts(told.siti.devices[2]) == ["Tiket 2"]


def own_list(wired: WiredFunctions, *numbers: int, dhash: str | None = None) -> Node:
    devices = [wired.paired.own.user.with_device(number) for number in numbers]
    listed = tuple(Node("device", {"jid": device}) for device in devices)
    child = Node("devices", {"dhash": dhash or phash(devices)}, listed)
    return stanza("notification", child, type="account_sync", **{"from": wired.paired.own.pn})


def test_a_list_of_our_own_whose_hash_is_right_is_taken_as_it_is() -> None:
    wired = WiredFunctions(MemoryAws())
    wired.paired.own.devices[7] = gone = Device(wired.paired.own.user.with_device(7))
    wired.tell(1)
    del wired.paired.own.devices[7]
    assert wired.receive(own_list(wired, 0, 4)).facts == {"list_holds": True}
    wired.network.queries.clear()
    wired.tell(2)
    assert list_queries(wired) == []
    assert (texts(gone), texts(wired.paired.own.devices[0])) == (["Tiket 1"], ["Tiket 1", "Tiket 2"])


def test_a_reinstalled_device_is_met_anew_whatever_the_list_says(told: WiredFunctions) -> None:
    """Its session is archived; the list alone would leave it without one."""
    gone = told.siti.devices.pop(1)
    told.siti.devices[0].reinstall()
    told.receive(stanza("notification", Node("identity"), type="encrypt", **{"from": told.siti.user}))
    told.receive(removal(told, gone.jid, device_lid_hash=phash([told.siti.user])))
    told.tell(2)
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"
    assert told.network.retries == []


@pytest.mark.parametrize("dhash", [None, "2:AAAAAAAA"], ids=["a new device", "a wrong hash"])
def test_a_list_of_our_own_that_needs_more_is_asked_for(told: WiredFunctions, dhash: str | None) -> None:
    told.paired.own.devices[7] = Device(told.paired.own.user.with_device(7))
    told.receive(own_list(told, *((0, 4, 7) if dhash is None else (0, 4)), dhash=dhash))
    told.tell(2)
    assert texts(told.paired.own.devices[7]) == ["Tiket 2"]


# -- history ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"not zlib", zlib.compress(b"\xff" * 9), zlib.compress(bytes(99))[:-4]]
)
def test_history_is_confirmed_and_left_where_it_can_t_be_used(told: WiredFunctions, payload: bytes) -> None:
    message = Message()
    message.protocol.type = 5
    message.protocol.history_sync_notification.direct_path = "/v/t62.7118-24/x"
    message.protocol.history_sync_notification.inline_payload = payload
    report = told.receive(from_own_phone(told, message.SerializeToString(), category="peer"))
    assert (report.outcome, report.cause) == ("own-device", "history")
    kinds = [node.attrs["type"] for node in told.network.written]
    assert kinds == ["peer_msg", "hist_sync"]


def test_a_history_bomb_is_confirmed_and_left(told: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.whatsapp.history.MAX_HISTORY_BYTES", 1000)
    report = told.receive(history(told, HistorySync(nct_salt=b"s" * 2000)))
    assert (report.outcome, report.cause) == ("own-device", "history")
    assert told.paired.keys.contacts.salt("9999@lid") is None
