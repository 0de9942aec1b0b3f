"""Functions beside a connector of a release too far from theirs: nothing is used up, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT, Lease
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.connector_client import protocol
from tocsin.notify.notification import State
from tocsin.notify.verdict import Verdict


@pytest.fixture
def wired() -> WiredFunctions:
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    return wired


def beside_a_later_release(wired: WiredFunctions) -> None:
    wired.paired.lease = Lease(protocol=protocol.VERSION + 2)
    wired.paired.leases.forget(ACCOUNT)


def reserved(wired: WiredFunctions) -> dict[str, int]:
    """The next number of each person."""
    page = wired.paired.table.scan(prefix="session#", sk="outbound")
    return {str(item["pk"]): int(str(item["next"])) for item in page.items if "next" in item}


def test_a_message_waits_before_anything_is_reserved(wired: WiredFunctions) -> None:
    before = reserved(wired)
    beside_a_later_release(wired)
    planned = wired.plan(2)
    assert wired.deliver(planned) == Verdict("parked", "protocol")
    assert (reserved(wired), before != {}) == (before, True)
    assert wired.stored(planned).state is State.WAITING


def test_it_goes_out_once_both_are_of_one_release_and_no_retry_was_spent(wired: WiredFunctions) -> None:
    beside_a_later_release(wired)
    planned = wired.plan(2)
    wired.deliver(planned)
    wired.paired.lease = Lease()
    [row] = wired.stores.parking.waiting(ACCOUNT)
    wired.stores.parking.requeue(row.notification, row=row)
    assert wired.deliver(wired.stored(planned), resumed=True).outcome == "sent"
    assert [attempt.cause for attempt in wired.stored(planned).attempts] == ["protocol", "sent"]
    assert texts(wired.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


def test_what_is_wrong_and_what_helps_stands_in_the_history(wired: WiredFunctions) -> None:
    beside_a_later_release(wired)
    planned = wired.plan(2)
    wired.deliver(planned)
    assert "the functions are too old" in str(wired.stored(planned).attempts[-1].detail)


def test_twin_that_asks_no_version_reserves(wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "objection", lambda connector, functions: None)
    before = reserved(wired)
    beside_a_later_release(wired)
    wired.deliver(wired.plan(2))
    assert reserved(wired) != before
