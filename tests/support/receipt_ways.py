"""Receipts come two ways; what they may do is the same on both."""

from __future__ import annotations

import pytest

from tests.support.wired_functions import WiredFunctions


@pytest.fixture(autouse=True, params=[False, True], ids=["with-all-else", "apart"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import this, and every test of the module runs with receipts on either way."""
    monkeypatch.setattr(WiredFunctions, "receipts_apart", request.param)
