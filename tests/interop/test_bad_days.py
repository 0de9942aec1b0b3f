"""The official server's bad days, played to Baileys and whatsmeow: each does to a real client what it says.

What a client makes of a day is its own affair, and told here as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import whatsmeow_client
from tests.interop.bad_days import BUDI, DEWI, SITI, is_online, is_well, texts, written
from tests.interop.baileys_client import Baileys, missing
from tests.interop.driven_client import ClientFailed
from tests.interop.whatsmeow_client import WhatsMeow
from tocsin_whatsapp_server.control_client import ControlClient, ControlError, LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[LocalWhatsApp]:
    """Siti has Baileys; Budi and Dewi have phones and a companion each in the server's process."""
    with LocalWhatsApp.start() as server:
        for number, name in ((SITI, "Siti"), (BUDI, "Budi"), (DEWI, "Dewi")):
            server.control.add_phone(number, name)
        for number in (BUDI, DEWI):
            server.control.add_companion(number)
        yield server


@pytest.fixture(scope="module")
def linked(whatsapp: LocalWhatsApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baileys]:
    with Baileys.start(whatsapp.url, tmp_path_factory.mktemp("siti")) as client:
        client.link(whatsapp.control, SITI)
        yield client


@pytest.fixture
def baileys(linked: Baileys, control: ControlClient) -> Iterator[Baileys]:
    """Connected, and nothing is wrong yet."""
    control.wait_until(lambda: is_online(control), "Baileys isn't back")
    linked.forget_events()
    yield linked
    control.clear_faults()


class TestDelivery:
    def test_slow(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("delay", account=SITI, seconds=1.0)
        [text] = written(control, 1)
        with pytest.raises(ClientFailed):
            baileys.text(text, seconds=0.5)
        baileys.text(text)

    def test_out_of_order(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("reorder", account=SITI, device=1, size=3, n=3)
        wrote = written(control, 3)
        for text in wrote:
            baileys.text(text)
        assert [text for text in baileys.texts() if text in wrote] == wrote[::-1]

    def test_duplicates(self, baileys: Baileys, control: ControlClient) -> None:
        """It shows each once: the copy has a counter that was used."""
        control.inject("duplicate", account=SITI, device=1, n=3)
        wrote = written(control, 3)
        for text in wrote:
            baileys.text(text)
        is_well(baileys, control)
        assert [baileys.texts().count(text) for text in wrote] == [1, 1, 1]

    def test_without_a_copy_for_it(self, baileys: Baileys, control: ControlClient) -> None:
        """It asks its own phone, which gives the message on."""
        control.inject("unavailable", account=SITI, device=1)
        [text] = written(control, 1)
        with pytest.raises(ClientFailed):
            baileys.text(text, seconds=1)
        is_well(baileys, control)

    def test_back_from_holidays(self, baileys: Baileys, control: ControlClient) -> None:
        baileys.leave()
        control.wait_until(lambda: not is_online(control), "Baileys is still there")
        control.inject("pile-up", account=SITI, device=1, n=1000, senders=20)
        [text] = written(control, 1)
        baileys.come_back()
        baileys.text(text, seconds=60)
        control.wait_until(lambda: control.phone(SITI)["devices"][1]["queued"] == 0, "it confirms too little")


class TestConnection:
    @pytest.mark.parametrize("code", [515, 503, 500, 429])
    def test_restart_overload_rate_limit(self, baileys: Baileys, control: ControlClient, code: int) -> None:
        control.inject("stream-error", account=SITI, device=1, code=code)
        assert baileys.wait("closed")["code"] == code
        baileys.wait("open")
        is_well(baileys, control)

    def test_the_network_fails_in_the_middle_of_a_message(
        self, baileys: Baileys, control: ControlClient
    ) -> None:
        control.inject("lose-acks", account=SITI, drop=True)
        text = next(texts)
        baileys.send(BUDI, text)
        baileys.wait("closed")
        control.wait_for_text(BUDI, text)
        baileys.wait("open")
        is_well(baileys, control)

    @pytest.mark.parametrize(("reason", "expire"), [(405, 0), (402, 60), (503, 0)])
    def test_login_refused_version_too_old_banned_overload(
        self, baileys: Baileys, control: ControlClient, reason: int, expire: int
    ) -> None:
        control.inject("login-failure", account=SITI, device=1, reason=reason, expire=expire)
        control.inject("drop", account=SITI, device=1)
        baileys.wait("closed", code=reason)
        baileys.wait("open")

    def test_conflict(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("stream-error", account=SITI, device=1, conflict="replaced")
        assert baileys.wait("closed")["code"] == 440
        baileys.come_back()
        baileys.wait("open")

    @pytest.mark.slow
    def test_open_and_deaf(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("deaf", account=SITI, device=1, cured=True)
        assert baileys.wait("closed", seconds=90)["code"] == 408
        baileys.wait("open", seconds=30)
        is_well(baileys, control)


class TestRefusals:
    @pytest.mark.parametrize("code", [429, 463, 475, 479])
    def test_of_a_message_rate_first_contacts_addressing(
        self, baileys: Baileys, control: ControlClient, code: int
    ) -> None:
        """It tells so by a status, its send having been done before."""
        control.inject("ack-error", account=SITI, code=code)
        message_id = baileys.send(BUDI, next(texts))
        baileys.wait("status", id=message_id, status="error")
        is_well(baileys, control)

    def test_of_a_first_contact_without_a_token(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("want-token", account=SITI)
        stranger = "6281200000009"
        control.add_phone(stranger, "Stranger")
        message_id = baileys.send(stranger, next(texts))
        baileys.wait("status", id=message_id, status="error")

    def test_of_a_query(self, baileys: Baileys, control: ControlClient) -> None:
        control.inject("iq-error", account=SITI, code=429, xmlns="usync")
        with pytest.raises(ClientFailed):
            baileys.command("exists", numbers=["+6289999999999"])
        is_well(baileys, control)

    def test_of_linking_for_want_of_a_passkey(self, whatsapp: LocalWhatsApp, tmp_path: Path) -> None:
        whatsapp.control.inject("passkey")
        with Baileys.start(whatsapp.url, tmp_path) as unlinked:
            assert whatsapp.control.link(DEWI, unlinked.wait("qr")["qr"]) == {"passkey": "wanted"}
            assert whatsapp.control.passkey(DEWI)["step"] == "challenged"


class TestAcks:
    @pytest.mark.parametrize("note", ["phash", "refresh-lid"])
    def test_that_its_list_or_its_lid_is_outdated(
        self, baileys: Baileys, control: ControlClient, note: str
    ) -> None:
        control.inject(note, account=SITI)
        message_id = baileys.send(BUDI, text := next(texts))
        control.wait_for_text(BUDI, text)
        baileys.wait("status", id=message_id, status="delivered")
        is_well(baileys, control)


class TestBundles:
    def test_baileys_gives_up_the_whole_message_for_one_device_without_keys(
        self, baileys: Baileys, control: ControlClient
    ) -> None:
        control.inject("bundle", account=DEWI, device=1, what="error")
        with pytest.raises(ClientFailed):
            baileys.send(DEWI, next(texts))
        baileys.send(DEWI, text := next(texts))
        control.wait_for_text(DEWI, text)

    def test_whatsmeow_passes_devices_by_whose_keys_are_no_good(
        self, whatsapp: LocalWhatsApp, tmp_path: Path
    ) -> None:
        if reason := whatsmeow_client.missing():
            pytest.skip(reason)
        control, agus, tuti = whatsapp.control, "6281200000005", "6281200000006"
        for number in (agus, tuti):
            control.add_phone(number, number)
        with WhatsMeow.start(whatsapp, tmp_path) as whatsmeow:
            whatsmeow.link(control, agus)
            for what in ("error", "signature", "low-order"):
                control.inject("bundle", account=tuti, device=control.add_companion(tuti), what=what)
            message_id = whatsmeow.send(tuti, text := next(texts))
            control.wait_for_text(tuti, text)
        sent = control.wait_for_event("message", id=message_id)
        assert [name for name in sent["devices"] if name.startswith(tuti)] == [f"{tuti}:0"]


def test_unlinked(baileys: Baileys, control: ControlClient) -> None:
    """Last: its keys are void from now on."""
    control.unlink(SITI, 1)
    assert baileys.wait("closed")["code"] == 401


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_on_a_whole_bad_day_the_server_loses_nothing_and_nothing_is_shown_twice(
    tmp_path: Path, seed: int
) -> None:
    with LocalWhatsApp.start(bad_day=seed) as server, Baileys.start(server.url, tmp_path) as baileys:
        control = server.control
        for number in (SITI, BUDI):
            control.add_phone(number, number)
        link_in_spite_of_all(control, baileys)
        wrote, seen = [], 0
        for _ in range(12):
            seen = control.wait_for_event("fault", after=seen)["number"]
            wrote += written(control, 3)
        baileys.text(wrote[-1], seconds=60)
        shown = [text for text in baileys.texts() if text in wrote]
        assert len(shown) == len(set(shown))
        # Baileys forgets what it has decrypted and not shown yet when the socket ends between: it had
        # confirmed that before, or acknowledges it, when it comes again, as something it has read.
        aside = [event["id"] for event in control.events(kind="put-aside")[0]]
        taken = {
            message["text"]
            for message in control.mailbox(BUDI)["sent"]
            if f"{SITI}:1" in message["delivered"] or message["id"] in aside
        }
        kept = control.phone(SITI)["devices"][1]["queued"]
        assert len(set(wrote) - set(shown) - taken) <= kept
        assert control.audit()["message_keys_reused"] == 0


def link_in_spite_of_all(control: ControlClient, baileys: Baileys) -> None:
    """Codes die with their sockets: the newest one is tried, until one is taken."""
    for _ in range(20):
        code = [event["qr"] for event in baileys.events if event["event"] == "qr"][-1:]
        try:
            if code:
                control.link(SITI, code[0])
                baileys.wait("open", seconds=60)
                return
            baileys.wait("qr")
        except ControlError:
            baileys.forget_events()
    raise AssertionError("it was never linked")
