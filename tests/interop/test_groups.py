"""Groups with clients that nobody here wrote: Baileys among phones, Baileys among its like, and Tocsin."""

from collections.abc import Iterator

import pytest

from tests.interop.baileys_client import Baileys, missing
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

DESK, SITI, BUDI, DEWI = "6281100000001", "6281200000001", "6281200000002", "6281200000003"


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[LocalWhatsApp]:
    """Siti and Budi have Baileys as companions; Dewi has her phone alone."""
    with LocalWhatsApp.start() as server:
        for number, name in ((DESK, "Desk"), (SITI, "Siti"), (BUDI, "Budi"), (DEWI, "Dewi")):
            server.control.add_phone(number, name)
        yield server


@pytest.fixture(scope="module")
def clients(whatsapp, tmp_path_factory) -> Iterator[tuple[Baileys, Baileys]]:
    siti, budi = (Baileys.start(whatsapp.url, tmp_path_factory.mktemp(name)) for name in ("siti", "budi"))
    with siti, budi:
        siti.link(whatsapp.control, SITI)
        budi.link(whatsapp.control, BUDI)
        yield siti, budi


@pytest.fixture
def siti(clients) -> Baileys:
    clients[0].forget_events()
    return clients[0]


@pytest.fixture
def budi(clients) -> Baileys:
    clients[1].forget_events()
    return clients[1]


@pytest.fixture(params=["lid", "pn"])
def group(control, request) -> str:
    return control.add_group("Technicians", [SITI, BUDI, DEWI], addressing_mode=request.param)


def texts(control: ControlClient, number: str) -> list[str]:
    return [message["text"] for message in control.messages(number)]


@pytest.mark.cell("Baileys", "group")
def test_baileys_writes_to_a_group_and_reads_what_phones_and_baileys_write_there(siti, budi, control, group):
    siti.send(group, f"hello from Baileys, {group}")
    assert budi.text(f"hello from Baileys, {group}")["chat"] == group
    for number in (BUDI, DEWI):
        assert control.wait_for_text(number, f"hello from Baileys, {group}")["chat"] == group
    control.write(DEWI, group, f"hello from a phone, {group}")
    assert siti.text(f"hello from a phone, {group}")["chat"] == group
    budi.text(f"hello from a phone, {group}")
    budi.send(group, f"hello from the other Baileys, {group}")
    siti.text(f"hello from the other Baileys, {group}")


@pytest.mark.cell("Baileys", "group")
def test_baileys_makes_a_group_and_changes_who_is_in_it(siti, budi, control):
    group = siti.command("create-group", subject="Field", members=[BUDI])["group"]
    siti.send(group, "to the two of us")
    budi.text("to the two of us")
    siti.command("change-group", group=group, action="add", members=[DEWI])
    siti.send(group, "to the three of us")
    control.wait_for_text(DEWI, "to the three of us")
    siti.command("change-group", group=group, action="remove", members=[BUDI])
    siti.send(group, "without Budi")
    control.wait_for_text(DEWI, "without Budi")
    assert control.group(group)["members"] == [SITI, DEWI]
    assert "without Budi" not in texts(control, BUDI)


@pytest.mark.cell("Baileys", "group")
def test_baileys_that_lost_its_sender_keys_heals_through_its_retry_receipt(siti, budi, control, group):
    budi.send(group, f"before, {group}")
    siti.text(f"before, {group}")
    _, before = control.events()
    assert siti.command("forget-sender-keys")["keys"]
    budi.send(group, f"after, {group}")
    siti.text(f"after, {group}")
    assert control.wait_for_event("receipt", after=before, account=SITI, type="retry", group=group)
    control.wait_for_text(DEWI, f"after, {group}")
    assert texts(control, DEWI).count(f"after, {group}") == 1


@pytest.mark.cell("Baileys", "group")
def test_a_phone_that_lost_its_sender_keys_heals_by_asking_baileys(siti, control, group):
    siti.send(group, f"before, {group}")
    control.wait_for_text(DEWI, f"before, {group}")
    control.break_phone(DEWI, "forget-sender-keys")
    siti.send(group, f"after, {group}")
    assert control.wait_for_text(DEWI, f"after, {group}")["failures"]


def test_no_message_key_was_used_twice_in_all_of_this(clients, control):
    report = control.audit()
    assert sum(account["group_ciphertexts"] for account in report["accounts"].values()) > 10
    assert report["message_keys_reused"] == 0
    assert control.events(kind="unknown-iq")[0] == []
    assert control.events(kind="bad-stanza")[0] == []
