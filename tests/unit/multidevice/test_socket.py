"""The one way of a stanza to WhatsApp: what an ack means, whoever sent the message."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions
from tocsin.notify.failure import Retry, Wait


@pytest.fixture
def asking() -> WiredFunctions:
    """Siti's phone couldn't read a message, and asks for it again."""
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    wired.tell(2)
    return wired


def refused(asking: WiredFunctions, code: int) -> Wait:
    """The resend is refused with this code."""
    asking.network.refuse_with = [code]
    with pytest.raises(Wait) as raised:
        asking.receive(asking.network.retries[0])
    return raised.value


@pytest.mark.parametrize(("code", "name"), [(429, "rate-limited"), (419, "resource-limit"), (423, "locked")])
def test_a_limit_told_of_a_resend_holds_for_the_account(asking: WiredFunctions, code: int, name: str) -> None:
    assert refused(asking, code).code == name
    sent = len(asking.network.messages)
    with pytest.raises(Wait, match=name):
        asking.receive(asking.network.retries[0])
    assert len(asking.network.messages) == sent


def test_a_refusal_of_one_resend_holds_nobody_else_up(asking: WiredFunctions) -> None:
    assert refused(asking, 403).code == "forbidden"
    assert asking.receive(asking.network.retries[0]).outcome == "resent"


def test_after_a_limit_the_resend_goes_out(asking: WiredFunctions) -> None:
    asking.paired.now = (refused(asking, 429).due_at or 0) / 1000
    assert asking.receive(asking.network.retries[0]).outcome == "resent"


def test_an_unreadable_ack_of_a_resend_brings_the_request_again(asking: WiredFunctions) -> None:
    asking.network.extra_ack = {"class": "receipt"}
    with pytest.raises(Retry, match="malformed-answer"):
        asking.receive(asking.network.retries[0])


def test_an_unreadable_ack_spends_the_numbers_that_it_was_asked_with(asking: WiredFunctions) -> None:
    asking.network.extra_ack = {"class": "receipt"}
    verdict = asking.deliver(planned := asking.plan(3))
    assert verdict.cause == "malformed-answer"
    assert asking.stored(planned).attempts[-1].numbers


def test_a_limit_told_of_a_question_to_our_phone_holds_for_the_account(asking: WiredFunctions) -> None:
    transport = asking.paired.new_transport()
    asking.network.refuse_with = [429]
    with pytest.raises(Wait):
        transport.tell_phone(transport.account(ACCOUNT), "3EB0AA", b"")
    with pytest.raises(Wait, match="rate-limited"):
        transport.check(ACCOUNT, resumed=True)
