"""PROTOCOL.md says what the code does: its numbers and its codes are the code's."""

from __future__ import annotations

import re

import pytest

from tocsin.keys.prekeys import FIRST_PREKEYS, MIN_PREKEYS, MORE_PREKEYS
from tocsin.signal import errors, ratchet, session
from tocsin.whatsapp import backoff, frames, keepalive, link_code
from tocsin_local.paths import ROOT

PING = keepalive.SILENCE_SECONDS
PAGE = " ".join(
    (ROOT / "layers/core/tocsin/whatsapp/PROTOCOL.md").read_text(encoding="utf-8").replace(",", "").split()
)


def test_the_codes_of_a_retry_receipt() -> None:
    told = {name: int(code) for code, name in re.findall(r"\| (\d+) \| `(\w+)` \|", PAGE)}
    assert told == {name: getattr(errors, name).retry_code for name in told}
    assert set(range(1, 8)) == set(told.values())


def test_which_of_them_bring_keys_at_once() -> None:
    told = dict(re.findall(r"\| \d+ \| `(\w+)` \| ([a-z ]+) \|", PAGE))
    assert {name for name, when in told.items() if when == "at once"} == {
        name for name in told if getattr(errors, name).keys_at_once
    }


@pytest.mark.parametrize(
    "words",
    [
        f"{FIRST_PREKEYS} at first {MORE_PREKEYS} more where the server has {MIN_PREKEYS} or fewer",
        f"at most {backoff.CAP_SECONDS:.0f} s; from the start again after {backoff.STABLE_SECONDS:.0f} s",
        f"after {PING:.0f} to {PING * keepalive.MAX_INTERVAL:.0f} s",
        f"valid for {link_code.VALID_SECONDS} s",
        f"{ratchet.MAX_SKIP} messages ahead {ratchet.MAX_RECEIVING_CHAINS} receiving chains",
        f"{session.MAX_ARCHIVED_STATES} archived states {session.ARCHIVED_LIFETIME // 86400} days",
        f"`{frames.INTRO.hex(' ')}`",
    ],
)
def test_its_numbers(words: str) -> None:
    assert words in PAGE
