"""What a client must be able to do, asked of Tocsin, Baileys and whatsmeow alike.

Each is the companion of a phone of its own, all on one server. What it writes is judged by a phone of the
server, and by a second client on that phone that nobody here wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import pytest

from tests.interop import baileys_client, whatsmeow_client
from tests.interop.baileys_client import Baileys
from tests.interop.driven_client import Companion, DrivenClient, Json
from tests.interop.matrix import CLIENTS
from tests.interop.tocsin_client import Tocsin
from tests.interop.whatsmeow_client import WhatsMeow
from tests.support.fake_aws import AwsAccount, aws_account
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

pytestmark = pytest.mark.interop

MISSING = {"Baileys": baileys_client.missing(), "whatsmeow": whatsmeow_client.missing(), "Tocsin": None}
# Who reads what a client writes, besides the phone, and writes to it: another one than itself.
JUDGE = {"Tocsin": "Baileys", "Baileys": "whatsmeow", "whatsmeow": "Baileys"}


def installed(name: str) -> str:
    """The name of a client, which skips the test if it can't run here."""
    if reason := MISSING[name]:
        pytest.skip(reason)
    return name


class Clients:
    """A server, people with phones, and clients to be linked to them."""

    def __init__(self, whatsapp: LocalWhatsApp, aws: AwsAccount, folders: pytest.TempPathFactory) -> None:
        self.whatsapp = whatsapp
        self.control: ControlClient = whatsapp.control
        self._aws = aws
        self._folders = folders
        self._numbers = (f"62812000000{number:02}" for number in count(1))
        self.open = ExitStack()

    def person(self, name: str, *, reads: bool = False) -> str:
        """Somebody with a phone; the number."""
        number = next(self._numbers)
        self.control.add_phone(number, name, reads=reads)
        return number

    def client(self, name: str) -> Companion:
        """A client that isn't linked yet, with keys of its own. It ends with the others."""
        url, root = self.whatsapp.url, self.whatsapp.root_public_key
        folder = self._folders.mktemp(name)
        made: Baileys | WhatsMeow | Tocsin
        if name == "Baileys":
            made = Baileys.start(url, folder)
        elif name == "whatsmeow":
            made = WhatsMeow.start(self.whatsapp, folder)
        else:
            made = Tocsin(url, root, self._aws.furnish())
        self.open.enter_context(made)
        return made


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with LocalWhatsApp.start() as whatsapp, aws_account() as aws:
        clients = Clients(whatsapp, aws, tmp_path_factory)
        with clients.open:
            yield clients


@dataclass
class Pair:
    """The client in question is Siti's. Budi has a phone, which reads at once, and on it the judge."""

    control: ControlClient
    client: Companion
    siti: str
    judge: DrivenClient
    budi: str
    opened: Json
    judge_lid: str
    texts: Iterator[str]

    def text(self, what: str = "text") -> str:
        """Words that nobody wrote before."""
        return f"{what} {next(self.texts)}"

    def befriend(self) -> None:
        """Each has read something of the other."""
        there, back = self.text("how are you?"), self.text("fine")
        self.client.send(self.budi, there)
        self.judge.text(there)
        self.judge.send(self.siti, back)
        self.client.text(back)

    def shown_by(self, device: int) -> list[str]:
        """What a companion of Budi's in the server's process shows."""
        messages = self.control.mailbox(self.budi, companion=device)["messages"]
        return [message["text"] for message in messages]


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """The name of the client that a test is about."""
    return installed(request.param)


@pytest.fixture(scope="module")
def linked(clients: Clients, client: str) -> Pair:
    companion, judge = clients.client(client), clients.client(installed(JUDGE[client]))
    siti, budi = clients.person("Siti"), clients.person("Budi", reads=True)
    opened = companion.link(clients.control, siti)
    judge_lid = judge.link(clients.control, budi)["lid"]
    return Pair(clients.control, companion, siti, judge, budi, opened, judge_lid, map(str, count(1)))


@pytest.fixture
def pair(linked: Pair) -> Iterator[Pair]:
    """Budi's phone is online, and nothing is wrong any more."""
    linked.client.forget_events()
    linked.judge.forget_events()
    yield linked
    linked.control.clear_faults()


@pytest.mark.cell("pairing by QR")
def test_is_linked_by_a_scanned_code(linked: Pair) -> None:
    """As all of them here are."""
    opened, phone = linked.opened, linked.control.phone(linked.siti)
    assert opened["jid"] == f"{linked.siti}:1@s.whatsapp.net"
    assert opened["lid"] == phone["lid"].replace("@", ":1@")
    has_prekeys(linked.control, linked.siti)


@pytest.mark.cell("pairing by code")
def test_is_linked_by_a_typed_code(clients: Clients, client: str) -> None:
    number, companion = clients.person("Agus"), clients.client(client)
    opened = companion.link_by_code(clients.control, number)
    assert opened["jid"] == f"{number}:1@s.whatsapp.net"
    has_prekeys(clients.control, number)


def has_prekeys(control: ControlClient, number: str) -> None:
    control.wait_until(lambda: control.phone(number)["devices"][1]["prekeys"] > 800, "no prekeys", seconds=60)


@pytest.mark.cell("1:1")
def test_writes_to_a_phone_and_its_companion_and_reads_both(pair: Pair) -> None:
    there, from_judge, from_phone = pair.text("there"), pair.text("from the companion"), pair.text("phone")
    message_id = pair.client.send(pair.budi, there)
    assert pair.judge.text(there)["id"] == message_id
    assert pair.control.wait_for_text(pair.budi, there)["id"] == message_id
    pair.judge.send(pair.siti, from_judge)
    pair.control.write(pair.budi, pair.siti, from_phone)
    pair.client.text(from_judge)
    pair.client.text(from_phone)


def heard_of_all(pair: Pair) -> None:
    """Nothing waits for the client to confirm it."""
    queued = lambda: pair.control.phone(pair.siti)["devices"][1]["queued"]  # noqa: E731
    pair.control.wait_until(lambda: queued() == 0, "the client doesn't confirm")


@pytest.mark.cell("group")
@pytest.mark.parametrize("mode", ["lid", "pn"])
def test_writes_to_a_group_and_reads_what_its_members_write(clients: Clients, pair: Pair, mode: str) -> None:
    dewi = clients.person("Dewi")
    members = [pair.siti, pair.budi, dewi]
    group = pair.control.add_group("Technicians", members, addressing_mode=mode)
    first, answer, from_phone, second = (pair.text(what) for what in ("all", "answer", "from a phone", "two"))
    message_id = pair.client.send(group, first)
    shown = pair.judge.text(first)
    assert (shown["id"], shown["chat"]) == (message_id, group)
    for number in (pair.budi, dewi):
        assert pair.control.wait_for_text(number, first)["failures"] == []
    pair.judge.send(group, answer, quoted=shown)
    pair.client.text(answer)
    pair.control.write(pair.budi, group, from_phone, quote=message_id)
    pair.client.text(from_phone)
    pair.control.remove_member(group, dewi)
    heard_of_all(pair)
    pair.client.send(group, second)
    pair.judge.text(second)
    assert second not in [message["text"] for message in pair.control.messages(dewi)]


@pytest.mark.cell("receipts")
def test_learns_that_it_was_read_and_confirms_what_it_reads(pair: Pair) -> None:
    _, before = pair.control.events()
    text, back = pair.text("was this read?"), pair.text("is this delivered?")
    message_id = pair.client.send(pair.budi, text)
    pair.client.wait("status", id=message_id, status="read")
    sent = pair.control.write(pair.budi, pair.siti, back)
    pair.client.text(back)
    receipt = pair.control.wait_for_event("receipt", after=before, account=pair.siti, device=1)
    assert (receipt["type"] in ("delivered", "inactive"), sent["id"] in receipt["ids"]) == (True, True)


@pytest.mark.cell("reply")
def test_reads_an_answer_that_quotes_what_it_wrote(pair: Pair) -> None:
    question, answer = pair.text("shall we come?"), pair.text("please do")
    message_id = pair.client.send(pair.budi, question)
    pair.judge.send(pair.siti, answer, quoted=pair.judge.text(question))
    assert pair.client.text(answer)["quoted_id"] == message_id


@pytest.mark.cell("device added")
def test_a_device_that_the_other_linked_later_reads_the_next_message(client: str, pair: Pair) -> None:
    pair.befriend()
    device = pair.control.add_companion(pair.budi)
    if client == "whatsmeow":
        # It looks for the list under the number that the news bears, and keeps it under the LID. So it learns
        # of the device by the hash in the ack of a message that passed it by.
        pair.client.send(pair.budi, pair.text("to two devices of three"))
    text = pair.text("to all three devices")
    pair.client.send(pair.budi, text)
    pair.judge.text(text)
    pair.control.wait_until(lambda: text in pair.shown_by(device), "the new device doesn't show it")
    pair.control.unlink(pair.budi, device)


@pytest.mark.cell("device removed")
def test_a_device_that_the_other_unlinked_is_passed_by(pair: Pair) -> None:
    device = pair.control.add_companion(pair.budi)
    pair.befriend()
    pair.control.unlink(pair.budi, device)
    _, before = pair.control.events()
    text = pair.text("to those that are left")
    message_id = pair.client.send(pair.budi, text)
    pair.judge.text(text)
    pair.control.wait_for_text(pair.budi, text)
    sent = pair.control.wait_for_event("message", after=before, id=message_id)
    assert not [name for name in sent["devices"] if name.startswith(f"{pair.budi}:{device}")]
    assert pair.control.events(before, kind="refused")[0] == []


@pytest.mark.cell("Bad MAC: it asks again")
def test_a_session_that_it_garbled_heals_by_asking(pair: Pair) -> None:
    pair.befriend()
    pair.client.corrupt_session(pair.judge_lid)
    _, before = pair.control.events()
    text, after = pair.text("with your broken session"), pair.text("and at once")
    message_id = pair.judge.send(pair.siti, text)
    pair.client.text(text)
    retry = pair.control.wait_for_event("receipt", after=before, account=pair.siti, device=1, type="retry")
    assert retry["ids"] == [message_id]
    pair.judge.send(pair.siti, after)
    pair.client.text(after)
    assert pair.client.texts().count(text) == 1


@pytest.mark.cell("Bad MAC: it is asked")
def test_a_session_that_the_other_garbled_heals_by_its_answer(pair: Pair) -> None:
    pair.befriend()
    pair.judge.corrupt_session(pair.opened["lid"])
    _, before = pair.control.events()
    text, after = pair.text("with their broken session"), pair.text("and at once")
    message_id = pair.client.send(pair.budi, text)
    assert pair.judge.text(text)["id"] == message_id
    retry = pair.control.wait_for_event("receipt", after=before, account=pair.budi, device=1, type="retry")
    assert retry["ids"] == [message_id]
    pair.client.send(pair.budi, after)
    pair.judge.text(after)
    assert pair.judge.texts().count(text) == 1


@pytest.mark.cell("offline backlog")
def test_what_came_while_it_was_away_is_read_at_its_return_in_order(pair: Pair) -> None:
    pair.befriend()
    pair.client.leave()
    pair.control.wait_until(lambda: not online(pair, pair.siti), "it is still there")
    texts = [pair.text("while you were away") for _ in range(20)]
    for text in texts:
        pair.judge.send(pair.siti, text)
    pair.client.come_back()
    pair.client.text(texts[-1], seconds=40)
    assert [text for text in pair.client.texts() if text in texts] == texts
    heard_of_all(pair)


def online(pair: Pair, number: str) -> bool:
    return bool(pair.control.phone(number)["devices"][1]["online"])


@pytest.mark.cell("prekeys exhausted")
def test_without_one_time_prekeys_it_is_written_to_and_brings_new_ones(clients: Clients, pair: Pair) -> None:
    """Once its own are gone, by somebody whom it never met; once those of somebody it never met."""
    pair.client.leave()
    pair.control.wait_until(lambda: not online(pair, pair.siti), "it is still there")
    pair.control.inject("drain-prekeys", account=pair.siti, device=1)
    stranger = clients.person("Stranger")
    pair.control.inject("drain-prekeys", account=stranger)
    text, back = pair.text("we never met"), pair.text("indeed")
    pair.control.write(stranger, pair.siti, text)
    pair.client.come_back()
    pair.client.text(text)
    pair.control.wait_until(
        lambda: pair.control.phone(pair.siti)["devices"][1]["prekeys"] >= 5, "no new prekeys", seconds=90
    )
    pair.client.send(stranger, back)
    pair.control.wait_for_text(stranger, back)


@pytest.mark.cell("reinstall")
def test_after_the_other_installed_anew_the_next_message_is_read(clients: Clients, pair: Pair) -> None:
    """Last of all: Budi's companions are logged out by it, and one is linked again."""
    pair.befriend()
    pair.control.break_phone(pair.budi, "reinstall")
    pair.judge.wait("closed", code=401)
    text, answer = pair.text("to the new phone"), pair.text("from the new phone")
    message_id = pair.client.send(pair.budi, text)
    assert pair.control.wait_for_text(pair.budi, text)["id"] == message_id
    pair.control.write(pair.budi, pair.siti, answer)
    pair.client.text(answer)


def test_it_used_no_message_key_twice_in_all_of_this(clients: Clients, linked: Pair) -> None:
    report = clients.control.audit()["accounts"][linked.siti]
    assert report["ciphertexts"] > 30
    assert report["message_keys_reused"] == []
    assert report["prekeys_handed_out_twice"] == []
    assert clients.control.events(kind="unknown-iq")[0] == []
    assert clients.control.events(kind="bad-stanza")[0] == []
