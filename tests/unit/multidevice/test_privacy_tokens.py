"""Privacy tokens: whose goes along with a message, when ours is issued, and what is kept of them."""

from __future__ import annotations

import hmac
import zlib

import pytest

from tests.support.fake_whatsapp import NOW, wrapped
from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.wired_functions import WiredFunctions
from tocsin.connector_client.errors import ConnectorAway, IqError
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.keys.errors import Contended
from tocsin.keys.store.contacts import Contacts
from tocsin.multidevice.privacy_tokens import BUCKET_SECONDS, is_due, is_valid
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import HistorySync, Message

TOKEN = b"a token of Siti's"
OWN, SITI = "9999@lid", "1234@lid"
BUCKET = NOW // BUCKET_SECONDS * BUCKET_SECONDS


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())


def entrust(wired: WiredFunctions, token: bytes = TOKEN, at: int | None = NOW, **attrs: object) -> str:
    """Siti's phone issues a token to us."""
    given = {
        "type": "trusted_contact",
        "jid": wired.paired.own.pn,
        **({"t": str(at)} if at is not None else {}),
    }
    tokens = Node("tokens", {}, (Node("token", given, token),))
    named = {"from": wired.siti.pn, "sender_lid": wired.siti.user, **attrs}
    note = {"id": "T", "type": "privacy_token", "t": str(NOW), **named}
    return wired.receive(Node("notification", note, (tokens,))).outcome  # type: ignore[arg-type]


def own_phone_tells(wired: WiredFunctions, chunk: HistorySync) -> None:
    message = Message()
    message.protocol.type = 5
    message.protocol.history_sync_notification.inline_payload = zlib.compress(chunk.SerializeToString())
    phone = wired.paired.own.devices[0]
    ciphertext = phone.encrypt(message.SerializeToString())
    wired.receive(wrapped(phone, wired.paired.own, "H", ciphertext, category="peer"))


def attached(wired: WiredFunctions) -> tuple[bytes | None, bytes | None]:
    """Token and secret of the last message."""
    node = wired.network.messages[-1]
    token, secret = node.child("tctoken"), node.child("cstoken")
    return (token.bytes() if token else None), (secret.bytes() if secret else None)


def issued(wired: WiredFunctions) -> list[str]:
    return wired.network.issued


# -- theirs ----------------------------------------------------------------------------------------------


def test_a_token_goes_along_with_the_next_message(wired: WiredFunctions) -> None:
    assert entrust(wired) == "privacy-token"
    wired.tell(1)
    assert attached(wired) == (TOKEN, None)
    assert [child.tag for child in wired.network.messages[-1].children()][-1] == "tctoken"


def test_a_token_that_came_before_the_number_was_known_goes_along_with_the_first_message(
    wired: WiredFunctions,
) -> None:
    entrust(wired, **{"from": wired.siti.user})
    assert wired.paired.keys.contacts.address(SITI) is None
    wired.tell(1)
    assert attached(wired) == (TOKEN, None)
    wired.tell(2)
    assert attached(wired) == (TOKEN, None)


@pytest.mark.parametrize(
    ("age", "valid"), [(0, True), (27, True), (28, False)], ids=["new", "27 days", "28 days"]
)
def test_a_token_is_valid_for_its_week_and_three_more(age: int, valid: bool) -> None:
    assert is_valid(BUCKET, BUCKET + age * 86400) is valid


def test_a_token_that_ran_out_is_left_at_home(wired: WiredFunctions) -> None:
    entrust(wired, at=NOW - 40 * 86400)
    wired.tell(1)
    assert attached(wired) == (None, None)


def test_a_resend_carries_no_token(wired: WiredFunctions) -> None:
    entrust(wired)
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    wired.tell(2)
    wired.answer_retries()
    assert wired.network.messages[-1].attrs["id"] == wired.network.messages[-2].attrs["id"]
    assert attached(wired) == (None, None)


def test_a_message_to_the_missing_devices_carries_no_token(wired: WiredFunctions) -> None:
    from tests.support.fake_whatsapp import Device

    entrust(wired)
    wired.tell(1)
    wired.siti.devices[2] = Device(wired.siti.user.with_device(2))
    wired.network.extra_ack = {"phash": "2:AAAAAAAA"}
    wired.tell(2)
    assert attached(wired) == (None, None)


def test_only_a_newer_token_takes_the_place_of_another(wired: WiredFunctions) -> None:
    entrust(wired, b"new", NOW)
    entrust(wired, b"old", NOW - 9)
    wired.tell(1)
    assert attached(wired)[0] == b"new"
    entrust(wired, b"newer", NOW + 9)
    wired.tell(2)
    assert attached(wired)[0] == b"newer"


@pytest.mark.parametrize(
    ("token", "at"),
    [(TOKEN, None), (b"", NOW), (b"x" * 1025, NOW), (TOKEN, NOW + 365 * 86400)],
    ids=["without a time", "empty", "giant", "of the future"],
)
def test_a_token_that_can_t_be_meant_is_not_kept(wired: WiredFunctions, token: bytes, at: int | None) -> None:
    assert entrust(wired, token, at) in ("ignored", "malformed")
    assert wired.paired.keys.contacts.trust(OWN, SITI).token is None


def test_tokens_lie_sealed(wired: WiredFunctions) -> None:
    entrust(wired)
    items = everything_in(wired.aws.keys_table)
    assert TOKEN not in repr(items).encode()
    assert "token=" not in repr(wired.paired.keys.contacts.trust(OWN, SITI))


def test_a_token_for_another_number_of_ours_is_none(wired: WiredFunctions) -> None:
    """After a pairing with another number it can't be opened: it was issued to somebody else."""
    entrust(wired)
    assert wired.paired.keys.contacts.trust("8888@lid", SITI).token is None
    assert wired.paired.keys.contacts.keep_token("8888@lid", SITI, b"anew", NOW - 9)
    assert wired.paired.keys.contacts.trust("8888@lid", SITI).token == b"anew"


# -- nobody's --------------------------------------------------------------------------------------------


def test_without_a_token_the_salt_makes_a_secret(wired: WiredFunctions) -> None:
    wired.tell(1)
    own_phone_tells(wired, HistorySync(nct_salt=b"salt of the account"))
    wired.restart()
    wired.tell(2)
    assert attached(wired) == (None, hmac.digest(b"salt of the account", b"1234@lid", "sha256"))


def test_a_container_finds_the_salt_within_the_hour(wired: WiredFunctions) -> None:
    wired.tell(1)
    wired.paired.keys.contacts.save_salt(OWN, b"salt")
    wired.tell(2)
    assert attached(wired) == (None, None)
    wired.paired.now += 3600
    wired.tell(3)
    assert attached(wired)[1] is not None


def test_a_token_is_preferred_to_the_secret(wired: WiredFunctions) -> None:
    wired.paired.keys.contacts.save_salt(OWN, b"salt")
    entrust(wired)
    wired.tell(1)
    assert attached(wired) == (TOKEN, None)


# -- ours ------------------------------------------------------------------------------------------------


def test_ours_is_issued_once_a_week(wired: WiredFunctions) -> None:
    wired.tell(1)
    wired.tell(2)
    assert issued(wired) == [f"privacy 1234@lid {NOW}"]
    wired.paired.now = BUCKET + BUCKET_SECONDS
    wired.tell(3)
    assert len(issued(wired)) == 2


def test_a_week_is_one_of_the_calendar() -> None:
    assert is_due(BUCKET - 1, BUCKET)
    assert not is_due(BUCKET, BUCKET + BUCKET_SECONDS - 1)


def test_ours_is_issued_after_the_message_was_recorded(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        wired.stores.notifications, "mark_sent", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        wired.tell(1)
    assert issued(wired) == []


def test_a_refusal_is_not_asked_for_at_every_send(wired: WiredFunctions) -> None:
    wired.network.refuse_tokens = IqError(400, "bad-request", None)
    wired.tell(1)
    wired.tell(2)
    assert len(issued(wired)) == 1


def test_what_couldn_t_be_issued_is_issued_with_the_next_message(wired: WiredFunctions) -> None:
    wired.network.refuse_tokens = ConnectorAway("gone")
    wired.tell(1)
    wired.network.refuse_tokens = None
    wired.tell(2)
    wired.tell(3)
    assert len(issued(wired)) == 2


@pytest.mark.parametrize("error", [Contended(), OutcomeUnknown("the answer was lost")])
def test_that_it_can_t_be_noted_is_no_failure_of_the_message(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def note(*_: object) -> None:
        raise error

    with monkeypatch.context() as away:
        away.setattr(Contacts, "note_issued", note)
        wired.tell(1)
    wired.tell(2)
    assert len(issued(wired)) == 2


def test_ourselves_we_trust_already(wired: WiredFunctions) -> None:
    from dataclasses import replace

    note_to_self = replace(wired.plan(1), id="0" * 18, recipient=wired.paired.own.phone)
    wired.stores.notifications.put_new(note_to_self)
    assert wired.deliver(note_to_self).outcome == "sent"
    assert (issued(wired), attached(wired)) == ([], (None, None))


def test_a_reinstalled_contact_gets_ours_again_as_of_its_time(wired: WiredFunctions) -> None:
    wired.tell(1)
    wired.paired.now += 60
    attrs = {"id": "I", "type": "encrypt", "t": str(NOW), "from": wired.siti.user}
    wired.receive(Node("notification", attrs, (Node("identity"),)))
    assert issued(wired) == [f"privacy 1234@lid {NOW}"] * 2


def test_the_history_may_name_the_chat_of_a_token_by_a_number_that_is_known(wired: WiredFunctions) -> None:
    wired.tell(1)
    chunk = HistorySync()
    chunk.conversations.add(id=str(wired.siti.pn), tc_token=TOKEN, tc_token_timestamp=NOW - 5)
    own_phone_tells(wired, chunk)
    assert wired.paired.keys.contacts.trust(OWN, SITI).token == TOKEN


def test_what_the_history_tells_of_tokens_is_kept(wired: WiredFunctions) -> None:
    wired.tell(1)
    wired.network.issued.clear()
    chunk = HistorySync()
    chunk.conversations.add(
        id=SITI, tc_token=TOKEN, tc_token_timestamp=NOW - 5, tc_token_sender_timestamp=NOW - 9
    )
    chunk.conversations.add(id="5555@lid", tc_token=b"", tc_token_timestamp=NOW)
    nobody_s = "6299@s.whatsapp.net"
    chunk.conversations.add(id=nobody_s, tc_token=b"of a number", tc_token_timestamp=NOW)
    own_phone_tells(wired, chunk)
    assert wired.paired.keys.contacts.trust(OWN, SITI) == (TOKEN, NOW - 5, NOW - 9)
    wired.tell(2)
    assert attached(wired) == (TOKEN, None)
    assert issued(wired) == []
