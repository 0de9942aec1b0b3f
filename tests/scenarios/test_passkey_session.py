"""`tocsin pair` in a real terminal, from the scan to the link: as PASSKEY.md shows it."""

from __future__ import annotations

import pytest

from tests.support import passkey_session
from tests.support.passkey_session import BEGIN, END, PAGE


@pytest.mark.usefixtures("_quick")
def test_the_page_shows_the_session_as_it_runs() -> None:
    session = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert session == passkey_session.as_text(passkey_session.in_window()), (
        "run python -m tests.support.passkey_session"
    )


@pytest.mark.usefixtures("_quick")
def test_codes_are_compared_by_hand() -> None:
    lines = passkey_session.in_window(always_ask_code=True)
    asked = lines.index("Does the phone show the same one? [yes/no]")
    assert lines[asked + 1] == "yes"
    assert lines[-2] == "the account 'default' is linked and connected"


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connector looks more often; the owner presses when the console says so."""
    monkeypatch.setattr("tocsin.connector.passkey.POLL_SECONDS", 0.05)
    monkeypatch.setattr("tocsin_whatsapp_server.passkey_gate.SLOW_SECONDS", 60.0)
    monkeypatch.setattr("tocsin.connector.operator.POLL_SECONDS", 0.05)
    monkeypatch.setattr("tocsin.connector.operator.QUIET_SECONDS", 0.05)
