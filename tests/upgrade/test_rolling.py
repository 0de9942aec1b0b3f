"""To this release and back, in short; at length and with a second upgrade: make upgrade."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.processes import PROC
from tests.upgrade.releases import NoHistory, previous_sources
from tests.upgrade.rolling import Upgrade, furnished, invite, roll
from tocsin_local.emulator import interpreter

# The whole way there and back takes minutes.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def upgrade() -> Iterator[Upgrade]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    if not PROC.is_dir():
        pytest.skip("processes are found by /proc, which this system doesn't have")
    with furnished(print, "upgrade-test") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _history() -> None:
    try:
        previous_sources()
    except NoHistory as missing:
        pytest.skip(str(missing))


def test_nothing_is_lost_doubled_or_broken_on_the_way_there_and_back(upgrade: Upgrade) -> None:
    people = invite(upgrade.deployed(), 6, seed=1)
    account = roll(upgrade, people, notifications=6, seconds=2, seed=1, again=False)
    print(account.text())
    assert account.good, account.text()
    assert [phase["phase"] for phase in account.phases] == [
        "before",
        "upgrade the functions",
        "upgrade the connector",
        "roll the functions back",
        "roll the connector back",
    ]
    assert sum(phase["healed"] for phase in account.phases) > 0
