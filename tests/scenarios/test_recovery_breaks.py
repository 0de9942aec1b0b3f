"""The hourly budget of recoveries counts breaks, sessions that had to be replaced, and not messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.paired_account import ACCOUNT
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import deaf, reply_of_everybody
from tocsin.connector_client.errors import ConnectorAway
from tocsin.keys.establish import SessionFacts
from tocsin.multidevice.retries import RetryReceiptHandler
from tocsin.multidevice.retry_case import Case, must_rebuild
from tocsin.notify.failure import Wait
from tocsin.whatsapp.node import Node


@pytest.fixture
def wired() -> WiredFunctions:
    wired = WiredFunctions(MemoryAccount().furnish())
    wired.tell(0)
    reply_of_everybody(wired)
    wired.restart(recoveries_per_hour=2)
    return wired


def breaks(wired: WiredFunctions) -> int:
    user = "6281234567890@s.whatsapp.net"
    return wired.stores.people.recoveries_in_hour("default", user, int(wired.paired.now * 1000))


def thirty_in_flight(wired: WiredFunctions) -> list[str]:
    """Siti's phone loses its session while thirty tickets are under way; what its requests lead to."""
    wired.siti.devices[0].corrupt()
    for number in range(1, 31):
        wired.tell(number)
    return [report.outcome for report in wired.answer_retries()]


def test_thirty_tickets_over_one_broken_session_are_one_illness(wired: WiredFunctions) -> None:
    assert thirty_in_flight(wired) == ["resent"] * 30
    assert breaks(wired) == 1
    assert texts(wired.siti.devices[0]) == [f"Tiket {number}" for number in range(31)]


def breaks_again(wired: WiredFunctions) -> list[str]:
    """Siti's phone loses its session while thirty tickets are under way, and the new one as well, when ten of
    them were sent again. What the requests lead to."""
    wired.siti.devices[0].corrupt()
    for number in range(1, 31):
        wired.tell(number)
    first = [wired.receive(wired.network.retries.pop(0)).outcome for _ in range(10)]
    wired.siti.devices[0].corrupt()
    return first + [report.outcome for report in wired.answer_retries()]


def test_a_session_that_breaks_again_meanwhile_is_replaced_once_more_and_not_for_each_message(
    wired: WiredFunctions,
) -> None:
    assert set(breaks_again(wired)) == {"resent"}
    assert breaks(wired) == 2
    assert sorted(texts(wired.siti.devices[0])) == sorted(f"Tiket {number}" for number in range(31))


def test_twin_that_replaces_it_for_each_second_request_uses_up_the_budget(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always_at_count_two(case: Case, facts: SessionFacts | None) -> bool:
        return case.request.count > 1 or must_rebuild(case, facts)

    monkeypatch.setattr("tocsin.multidevice.retries.must_rebuild", always_at_count_two)
    assert "over-budget" in breaks_again(wired)


def test_twin_that_counts_messages_loses_copies(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    retries_left = RetryReceiptHandler._demand_retries_left

    def counting(self: RetryReceiptHandler, case: object) -> None:
        retries_left(self, case)  # type: ignore[arg-type]
        self._demand_budget(case)  # type: ignore[arg-type]
        wired.stores.people.count_recovery_in_hour(
            "default", "6281234567890@s.whatsapp.net", int(wired.paired.now * 1000)
        )

    monkeypatch.setattr(RetryReceiptHandler, "_demand_retries_left", counting)
    assert "over-budget" in thirty_in_flight(wired)


def test_a_receipt_that_is_put_off_and_comes_again_counts_once(wired: WiredFunctions) -> None:
    wired.siti.devices[0].corrupt()
    wired.tell(1)
    [receipt] = wired.network.retries
    send = wired.network.send_message
    for _ in range(5):
        wired.network.send_message = _away  # type: ignore[method-assign]
        with pytest.raises(Wait):
            wired.receive(receipt)
    wired.network.send_message = send  # type: ignore[method-assign]
    assert wired.receive(receipt).outcome == "resent"
    assert breaks(wired) == 1


def _away(*_: object, **__: object) -> None:
    raise ConnectorAway("on its way to another task")


def test_a_device_that_never_heals_ends_after_so_many_breaks(wired: WiredFunctions) -> None:
    """However many messages it can't read: no more than two new sessions an hour, and each message by itself
    comes to an end."""
    deaf(wired, 1)
    for number in range(2, 12):
        wired.tell(number)
    reports = wired.answer_retries()
    rebuilt = [report for report in reports if report.facts.get("rebuilt")]
    assert len(rebuilt) == 2
    assert {report.outcome for report in reports} == {"resent", "over-budget"}
    assert len(reports) < 40


def test_a_device_that_confirms_before_its_recovery_is_recorded_counts_as_healed(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receipts come another way than requests to send again, and may be quicker."""
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    notification = wired.tell(2)
    send = wired.network.send_message

    def send_and_confirm(*given: Any, **more: Any) -> Node:
        ack = send(*given, **more)
        wired.receipt(notification)
        return ack

    monkeypatch.setattr(wired.network, "send_message", send_and_confirm)
    [report] = wired.answer_retries()
    assert report.facts["healed"] == (("bad-mac", 0.0),)
    [record] = wired.stores.recoveries.of_days(ACCOUNT, 1, int(wired.paired.now * 1000))
    assert record.healed
