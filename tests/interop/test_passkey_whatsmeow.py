"""whatsmeow at the passkey gate of the local server, as far as its build for Python goes: it takes the
challenge, fetches options that are missing, and has thrown the scanned secret away. It can't bring an
assertion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import whatsmeow_client
from tests.interop.whatsmeow_client import WhatsMeow
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

MISSING = whatsmeow_client.missing()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(MISSING is not None, reason=MISSING or "")]

SITI = "6281200000001"


@pytest.fixture
def whatsapp() -> Iterator[LocalWhatsApp]:
    with LocalWhatsApp.start() as server:
        server.control.add_phone(SITI, "Siti", passkey=True)
        yield server


@pytest.fixture
def client(whatsapp: LocalWhatsApp, tmp_path: Path) -> Iterator[WhatsMeow]:
    with WhatsMeow.start(whatsapp, tmp_path) as started:
        yield started


def scanned(control: ControlClient, client: WhatsMeow, fault: str = "") -> None:
    if fault:
        control.inject("passkey-fault", what=fault)
    assert control.link(SITI, client.wait("qr")["qr"]) == {"passkey": "wanted"}


def test_it_acknowledges_the_challenge(control: ControlClient, client: WhatsMeow) -> None:
    scanned(control, client)
    control.wait_for_event("passkey-acked", notification="passkey_prologue_request")


def test_it_acknowledges_a_half_that_comes_too_early_and_sends_no_nonce(
    control: ControlClient, client: WhatsMeow
) -> None:
    scanned(control, client, "early-half")
    control.wait_for_event("passkey-acked", notification="crsc_continuation")
    asked, _ = control.events(kind="passkey-asked")
    assert asked == []


@pytest.mark.parametrize("fault", ["options-missing", "options-garbled"])
def test_it_fetches_options_that_are_of_no_use(control: ControlClient, client: WhatsMeow, fault: str) -> None:
    scanned(control, client, fault)
    control.wait_for_event("passkey-asked", what="options")


def test_it_refuses_a_pairing_under_the_scanned_secret(control: ControlClient, client: WhatsMeow) -> None:
    scanned(control, client, "old-secret")
    refused = control.wait_for_event("passkey", step="refused")
    assert refused["why"] == "the companion refuses to be linked: 401 hmac-mismatch"
