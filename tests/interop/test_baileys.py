"""Baileys, unmodified from npm, is linked to the local server and talks to its phones.

What heals here heals by Baileys' own retry receipts; the server only carries them.
"""

import pytest

from tests.interop.baileys_client import Baileys, missing
from tests.interop.driven_client import ClientFailed
from tocsin_whatsapp_server.control_client import LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

SITI, BUDI, DEWI = "6281200000001", "6281200000002", "6281200000003"


@pytest.fixture(scope="module")
def whatsapp():
    """Siti has Baileys as her companion; Budi reads what he gets at once."""
    with LocalWhatsApp.start() as server:
        server.control.add_phone(SITI, "Siti")
        server.control.add_phone(BUDI, "Budi", reads=True)
        yield server


@pytest.fixture(scope="module")
def linked(whatsapp, tmp_path_factory):
    with Baileys.start(whatsapp.url, tmp_path_factory.mktemp("siti")) as client:
        client.link(whatsapp.control, SITI)
        yield client


@pytest.fixture
def baileys(linked):
    linked.forget_events()
    return linked


@pytest.mark.cell("Baileys", "pairing by QR")
def test_it_is_linked_and_knows_both_its_addresses(linked, control):
    opened = linked.wait("open")
    assert opened["jid"] == f"{SITI}:1@s.whatsapp.net"
    assert opened["lid"] == control.phone(SITI)["lid"].replace("@", ":1@")
    assert linked.wait("closed")["code"] == 515


def test_it_uploads_its_prekeys(linked, control):
    companion = control.phone(SITI)["devices"][1]
    assert companion["prekeys"] > 800


@pytest.mark.cell("Baileys", "1:1")
@pytest.mark.cell("Baileys", "receipts")
def test_it_reads_what_a_phone_writes(baileys, control):
    sent = control.write(BUDI, SITI, "Selamat pagi, Siti")
    message = baileys.text("Selamat pagi, Siti")
    assert message["id"] == sent["id"]
    assert message["other"] == f"{BUDI}@s.whatsapp.net"
    baileys.command("read", messages=[message["key"]])
    control.wait_for_event("receipt", account=SITI, device=1, type="read")
    assert f"{SITI}:1" in control.mailbox(BUDI)["sent"][-1]["read"]


@pytest.mark.cell("Baileys", "1:1")
@pytest.mark.cell("Baileys", "receipts")
def test_a_phone_reads_what_it_writes_and_its_own_phone_has_a_copy(baileys, control):
    message_id = baileys.send(BUDI, "Apa kabar?")
    shown = control.wait_for_text(BUDI, "Apa kabar?")
    assert (shown["id"], shown["sender"], shown["sender_device"]) == (message_id, SITI, 1)
    baileys.wait("status", id=message_id, status="read")
    (copy,) = [entry for entry in control.mailbox(SITI)["from_own_devices"] if entry["id"] == message_id]
    assert (copy["text"], copy["chat"]) == ("Apa kabar?", BUDI)


def test_it_sees_what_its_own_phone_writes(baileys, control):
    control.write(SITI, BUDI, "from the phone itself")
    assert baileys.text("from the phone itself")["from_me"]


def test_a_session_that_it_lost_heals_through_its_retry_receipt(baileys, control):
    _, before = control.events()
    assert baileys.command("forget-sessions")["sessions"]
    control.write(BUDI, SITI, "can you read me without a session?")
    baileys.text("can you read me without a session?")
    assert control.wait_for_event("receipt", after=before, account=SITI, type="retry")


@pytest.mark.cell("Baileys", "Bad MAC: it asks again")
def test_a_session_that_it_garbled_heals_through_its_retry_receipt(baileys, control):
    _, before = control.events()
    assert baileys.command("corrupt-sessions")["sessions"]
    sent = control.write(BUDI, SITI, "can you read me with a broken session?")
    baileys.text("can you read me with a broken session?")
    retry = control.wait_for_event("receipt", after=before, account=SITI, type="retry")
    assert retry["ids"] == [sent["id"]]
    control.write(BUDI, SITI, "and now at once?")
    baileys.text("and now at once?")
    after = [event for event in control.events(retry["number"])[0] if event.get("type") == "retry"]
    assert all(sent["id"] in event["ids"] for event in after)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("corrupt-session", marks=pytest.mark.cell("Baileys", "Bad MAC: it is asked")),
        "forget-session",
        pytest.param("reinstall", marks=pytest.mark.cell("Baileys", "reinstall")),
    ],
)
def test_a_broken_phone_heals_by_asking_it_again(baileys, control, fault):
    baileys.send(BUDI, f"before {fault}")
    control.wait_for_text(BUDI, f"before {fault}")
    control.break_phone(BUDI, fault)
    message_id = baileys.send(BUDI, f"after {fault}")
    control.wait_for_text(BUDI, f"after {fault}")
    texts = [message["text"] for message in control.messages(BUDI)]
    assert texts.count(f"after {fault}") == 1
    baileys.wait("status", id=message_id, status="read")


@pytest.mark.cell("Baileys", "offline backlog")
def test_what_came_while_it_was_away_is_collected_at_its_return_in_order(baileys, control):
    baileys.command("disconnect")
    control.wait_until(lambda: not control.phone(SITI)["devices"][1]["online"], "Baileys is still there")
    texts = [f"while you were away, {number}" for number in range(5)]
    for text in texts:
        control.write(BUDI, SITI, text)
    baileys.command("connect")
    baileys.text(texts[-1])
    shown = [event["text"] for event in baileys.events if event["event"] == "message" and event["offline"]]
    assert [text for text in shown if text in texts] == texts
    control.wait_until(lambda: control.phone(SITI)["devices"][1]["queued"] == 0, "the queue isn't empty")


def test_it_comes_back_when_the_server_drops_it(baileys, control):
    control.inject("drop", account=SITI)
    baileys.wait("open")
    control.write(BUDI, SITI, "after the drop")
    baileys.text("after the drop")


def test_it_comes_back_after_a_stream_error(baileys, control):
    control.inject("stream-error", code=503, account=SITI)
    assert baileys.wait("closed")["code"] == 503
    baileys.wait("open")


def test_it_finds_who_is_on_whatsapp(baileys):
    found = baileys.command("exists", numbers=[f"+{BUDI}", "+6289999999999"])["found"]
    assert [entry["jid"] for entry in found if entry["exists"]] == [f"{BUDI}@s.whatsapp.net"]


@pytest.mark.cell("Baileys", "prekeys exhausted")
def test_it_brings_more_prekeys_when_its_stock_runs_out(baileys, control):
    control.inject("drain-prekeys", account=SITI, device=1)
    control.wait_until(lambda: control.phone(SITI)["devices"][1]["prekeys"] >= 5, "no new prekeys")


def test_it_writes_to_somebody_new_and_to_a_number_that_nobody_has(baileys, control):
    control.add_phone(DEWI, "Dewi")
    baileys.send(DEWI, "we never met")
    control.wait_for_text(DEWI, "we never met")
    with pytest.raises(ClientFailed):
        baileys.send("6289999999999", "nobody there")


@pytest.mark.cell("Baileys", "1:1")
def test_two_of_them_talk_to_each_other(baileys, whatsapp, control, tmp_path):
    with Baileys.start(whatsapp.url, tmp_path) as other:
        other.link(control, BUDI)
        baileys.send(BUDI, "to phone and companion")
        other.text("to phone and companion")
        other.send(SITI, "and back")
        baileys.text("and back")
        other.command("corrupt-sessions")
        baileys.send(BUDI, "and with a broken session")
        other.text("and with a broken session")


@pytest.mark.cell("Baileys", "pairing by code")
def test_it_can_be_linked_by_a_typed_code(whatsapp, control, tmp_path):
    control.add_phone("6281200000004", "Agus")
    with Baileys.start(whatsapp.url, tmp_path) as client:
        client.wait("qr")
        code = client.command("pairing-code", number="6281200000004")["code"]
        # Baileys returns the code before the server knows of it.
        control.wait_for_event("code-asked", account="6281200000004")
        assert control.link_by_code("6281200000004", code)["device"] == 1
        client.wait("open")


def test_it_is_told_when_it_is_unlinked(whatsapp, control, tmp_path):
    with Baileys.start(whatsapp.url, tmp_path) as client:
        client.link(control, SITI)
        device = int(client.wait("open")["jid"].split(":")[1].split("@")[0])
        control.unlink(SITI, device)
        client.wait("closed", code=401)


def test_no_message_key_was_used_twice_in_all_of_this(linked, control):
    report = control.audit()
    assert report["ciphertexts"] > 40
    assert report["message_keys_reused"] == 0
    assert report["prekeys_handed_out_twice"] == 0


def test_nothing_was_asked_that_the_server_does_not_know(linked, control):
    unknown = {(event["xmlns"], event["child"]) for event in control.events(kind="unknown-iq")[0]}
    assert unknown == set()
    assert control.events(kind="bad-stanza")[0] == []
