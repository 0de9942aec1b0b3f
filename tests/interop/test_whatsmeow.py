"""whatsmeow in groups and with files, beside Baileys and phones of the server.

It checks what Baileys does not: certificates up to their root, every signature, each file by its hash.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.interop import baileys_client, whatsmeow_client
from tests.interop.baileys_client import Baileys
from tests.interop.whatsmeow_client import WhatsMeow
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

MISSING = whatsmeow_client.missing() or baileys_client.missing()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(MISSING is not None, reason=MISSING or "")]

SITI, BUDI, DEWI = "6281200000001", "6281200000002", "6281200000003"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 300


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[LocalWhatsApp]:
    with LocalWhatsApp.start() as server:
        for number, name in ((SITI, "Siti"), (BUDI, "Budi"), (DEWI, "Dewi")):
            server.control.add_phone(number, name)
        yield server


@pytest.fixture(scope="module")
def clients(
    whatsapp: LocalWhatsApp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[WhatsMeow, Baileys]]:
    """Siti has whatsmeow, Budi has Baileys, Dewi has her phone alone."""
    certificate = whatsapp.media_certificate
    with (
        WhatsMeow.start(whatsapp, tmp_path_factory.mktemp("siti")) as siti,
        Baileys.start(whatsapp.url, tmp_path_factory.mktemp("budi"), media_certificate=certificate) as budi,
    ):
        siti.link(whatsapp.control, SITI)
        budi.link(whatsapp.control, BUDI)
        yield siti, budi


@pytest.fixture
def siti(clients: tuple[WhatsMeow, Baileys]) -> WhatsMeow:
    clients[0].forget_events()
    return clients[0]


@pytest.fixture
def budi(clients: tuple[WhatsMeow, Baileys]) -> Baileys:
    clients[1].forget_events()
    return clients[1]


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "ticket.pdf"
    path.write_bytes(PDF)
    return path


@pytest.mark.cell("whatsmeow", "group")
@pytest.mark.parametrize("mode", ["lid", "pn"])
def test_it_writes_to_a_group_and_reads_phones_and_baileys_there(
    siti: WhatsMeow, budi: Baileys, control: ControlClient, mode: str
) -> None:
    group = control.add_group("Technicians", [SITI, BUDI, DEWI], addressing_mode=mode)
    siti.send(group, f"from whatsmeow, {mode}")
    assert budi.text(f"from whatsmeow, {mode}")["chat"] == group
    for number in (BUDI, DEWI):
        assert control.wait_for_text(number, f"from whatsmeow, {mode}")["chat"] == group
    control.write(DEWI, group, f"from a phone, {mode}")
    assert siti.text(f"from a phone, {mode}")["chat"] == group
    budi.send(group, f"from Baileys, {mode}")
    assert siti.text(f"from Baileys, {mode}")["chat"] == group


@pytest.mark.cell("whatsmeow", "group")
def test_who_was_removed_from_its_group_reads_nothing_more(siti: WhatsMeow, control: ControlClient) -> None:
    group = control.add_group("Field", [SITI, BUDI, DEWI])
    siti.send(group, "to the three of us")
    control.wait_for_text(BUDI, "to the three of us")
    control.remove_member(group, BUDI)
    siti.send(group, "to the two of us")
    control.wait_for_text(DEWI, "to the two of us")
    assert "to the two of us" not in [message["text"] for message in control.messages(BUDI)]


@pytest.mark.cell("whatsmeow", "media")
def test_its_file_is_the_same_to_the_byte_for_baileys_and_a_phone(
    siti: WhatsMeow, budi: Baileys, control: ControlClient, pdf: Path
) -> None:
    sent = siti.command(
        "send-file", to=BUDI, path=str(pdf), caption="ticket", file_name=pdf.name, mimetype="application/pdf"
    )
    assert budi.wait("message", id=sent["id"])["caption"] == "ticket"
    got = budi.command("download", id=sent["id"])
    assert (got["sha256"], got["length"]) == (sha256(PDF).hexdigest(), len(PDF))
    shown = control.wait_until(
        lambda: [message for message in control.messages(BUDI) if message["id"] == sent["id"]], "no file"
    )
    assert shown[0]["media"]["verified"]


@pytest.mark.cell("whatsmeow", "media")
def test_it_downloads_the_file_of_another(siti: WhatsMeow, budi: Baileys, pdf: Path) -> None:
    sent = budi.command(
        "send-file",
        to=SITI,
        kind="document",
        path=str(pdf),
        caption="look",
        file_name=pdf.name,
        mimetype="application/pdf",
    )
    assert siti.wait("message", id=sent["id"])["caption"] == "look"
    got = siti.command("download", id=sent["id"])
    assert (got["sha256"], got["length"]) == (sha256(PDF).hexdigest(), len(PDF))


@pytest.mark.cell("whatsmeow", "pairing by QR")
def test_it_refuses_a_server_whose_certificates_another_root_signed(
    whatsapp: LocalWhatsApp, tmp_path: Path
) -> None:
    stranger = WhatsMeow(whatsapp.url, bytes(32).hex(), tmp_path, whatsapp.media_certificate)
    with stranger, pytest.raises(AssertionError, match="no qr"):
        stranger.wait("qr", seconds=3)


def test_no_message_key_was_used_twice_in_all_of_this(
    clients: tuple[WhatsMeow, Baileys], control: ControlClient
) -> None:
    report = control.audit()
    assert report["message_keys_reused"] == 0
    assert report["prekeys_handed_out_twice"] == 0
    assert control.events(kind="unknown-iq")[0] == []
    assert control.events(kind="bad-stanza")[0] == []
