"""The official server's bad days, played to whatsmeow: what it makes of them, which is often not what Baileys
does (`test_bad_days.py`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.bad_days import BUDI, SITI, is_online, is_well, texts, written
from tests.interop.driven_client import ClientFailed
from tests.interop.whatsmeow_client import WhatsMeow, missing
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[LocalWhatsApp]:
    """Siti has whatsmeow, Budi his phone alone."""
    with LocalWhatsApp.start() as server:
        for number, name in ((SITI, "Siti"), (BUDI, "Budi")):
            server.control.add_phone(number, name)
        yield server


@pytest.fixture(scope="module")
def linked(whatsapp: LocalWhatsApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhatsMeow]:
    with WhatsMeow.start(whatsapp, tmp_path_factory.mktemp("siti")) as client:
        client.link(whatsapp.control, SITI)
        yield client


@pytest.fixture
def whatsmeow(linked: WhatsMeow, control: ControlClient) -> Iterator[WhatsMeow]:
    """Connected, and nothing is wrong yet."""
    control.wait_until(lambda: is_online(control), "whatsmeow isn't back")
    linked.forget_events()
    yield linked
    control.clear_faults()


def stays_down_until_started_again(whatsmeow: WhatsMeow) -> None:
    with pytest.raises(ClientFailed):
        whatsmeow.wait("open", seconds=5)
    whatsmeow.leave()
    whatsmeow.come_back()
    whatsmeow.wait("open")


def test_out_of_order(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    control.inject("reorder", account=SITI, device=1, size=3, n=3)
    wrote = written(control, 3)
    for text in wrote:
        whatsmeow.text(text)
    assert [text for text in whatsmeow.texts() if text in wrote] == wrote[::-1]


def test_duplicates(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    """It shows each once: the copy has a counter that was used."""
    control.inject("duplicate", account=SITI, device=1, n=3)
    wrote = written(control, 3)
    for text in wrote:
        whatsmeow.text(text)
    is_well(whatsmeow, control)
    assert [whatsmeow.texts().count(text) for text in wrote] == [1, 1, 1]


def test_slow(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    control.inject("delay", account=SITI, seconds=1.0)
    [text] = written(control, 1)
    with pytest.raises(ClientFailed):
        whatsmeow.text(text, seconds=0.5)
    whatsmeow.text(text)


@pytest.mark.parametrize("code", [515, 503])
def test_restart_and_overload(whatsmeow: WhatsMeow, control: ControlClient, code: int) -> None:
    control.inject("stream-error", account=SITI, device=1, code=code)
    whatsmeow.wait("open", seconds=40)
    is_well(whatsmeow, control)


def test_the_network_fails(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    control.inject("drop", account=SITI, device=1)
    whatsmeow.wait("closed")
    whatsmeow.wait("open", seconds=40)
    is_well(whatsmeow, control)


def test_the_network_fails_in_the_middle_of_a_message(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    """It sends the very bytes once more, and its send is done when those are acknowledged."""
    before = control.audit()["accounts"][SITI]["identical_resends"]
    control.inject("lose-acks", account=SITI, drop=True)
    message_id = whatsmeow.send(BUDI, next(texts))
    assert control.wait_for_message(BUDI, message_id)["times_received"] == 2
    assert control.audit()["accounts"][SITI]["identical_resends"] > before
    whatsmeow.wait("open")
    is_well(whatsmeow, control)


def test_login_refused_for_overload(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    control.inject("login-failure", account=SITI, device=1, reason=503)
    control.inject("drop", account=SITI, device=1)
    whatsmeow.wait("open", seconds=40)
    is_well(whatsmeow, control)


@pytest.mark.parametrize(("reason", "expire"), [(405, 0), (402, 60)], ids=["too old", "banned"])
def test_login_refused_for_what_waiting_does_not_cure_it_stays_down_until_it_is_started_again(
    whatsmeow: WhatsMeow, control: ControlClient, reason: int, expire: int
) -> None:
    control.inject("login-failure", account=SITI, device=1, reason=reason, expire=expire)
    control.inject("drop", account=SITI, device=1)
    whatsmeow.wait("closed", code=reason)
    stays_down_until_started_again(whatsmeow)
    is_well(whatsmeow, control)


@pytest.mark.parametrize("code", [429, 463, 475, 479])
def test_a_refused_message_makes_its_send_fail_by_that_code(
    whatsmeow: WhatsMeow, control: ControlClient, code: int
) -> None:
    control.inject("ack-error", account=SITI, code=code)
    with pytest.raises(ClientFailed, match=f"error {code}"):
        whatsmeow.send(BUDI, next(texts))
    is_well(whatsmeow, control)


def test_replaced_it_stays_down_until_it_is_started_again(
    whatsmeow: WhatsMeow, control: ControlClient
) -> None:
    control.inject("stream-error", account=SITI, device=1, conflict="replaced")
    whatsmeow.wait("closed", code=440)
    stays_down_until_started_again(whatsmeow)
    is_well(whatsmeow, control)


def test_no_message_key_was_used_twice_in_all_of_this(linked: WhatsMeow, control: ControlClient) -> None:
    assert control.audit()["message_keys_reused"] == 0


def test_unlinked(whatsmeow: WhatsMeow, control: ControlClient) -> None:
    """Last: its keys are void from now on."""
    control.unlink(SITI, 1)
    whatsmeow.wait("closed", code=401)
