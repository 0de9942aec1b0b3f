"""Two operators link one account at the same time: both see what counts, and neither undoes the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_deployment import ACCOUNT, NOW, FakeDeployment, Script
from tocsin.accounts import operator_requests
from tocsin_console import pair
from tocsin_console.errors import ConsoleError, TimedOut
from tocsin_console.pair import Offer


class Consoles:
    """Two operators run `tocsin pair` for one account; a connector carries out what was asked last."""

    def __init__(self, fake: FakeDeployment) -> None:
        self.fake = fake
        self.connector = fake.connector()
        self.connector.says("unpaired", "link it: tocsin pair")

    def start(self, wait_seconds: float = 60, *steps: Callable[[], object]) -> Iterator[Offer]:
        script = Script(list(steps), NOW)
        return pair.codes(
            self.fake.deployment, ACCOUNT, wait_seconds=wait_seconds, sleep=script.sleep, clock=script.clock
        )

    @property
    def open_request(self) -> str | None:
        return operator_requests.read_request(self.fake.deployment.keys_table, ACCOUNT).what


@pytest.fixture
def consoles(fake: FakeDeployment) -> Consoles:
    return Consoles(fake)


def test_both_see_the_code_that_counts_and_hear_that_it_was_used(consoles: Consoles) -> None:
    answers = consoles.connector.answers
    first = consoles.start(60, lambda: answers(qr="A", qr_expires_at=NOW + 60))
    assert next(first) == pair.Code("A", NOW + 60)
    second = consoles.start(60, lambda: answers(qr="B", qr_expires_at=NOW + 60))
    assert next(second) == pair.Code("B", NOW + 60)
    assert next(first) == pair.Code("B", NOW + 60)
    answers("connecting", "linked; logging in")
    assert [list(first), list(second)] == [[], []]


def test_who_gives_up_takes_nobody_else_s_request_back(consoles: Consoles) -> None:
    """The first one's time is over; what the second asked since stays."""

    def asks_too() -> None:
        deployment = consoles.fake.deployment
        operator_requests.request(
            deployment.keys_table, deployment.sealer, ACCOUNT, "pair", NOW + 1, os.urandom(12)
        )

    with pytest.raises(TimedOut):
        list(consoles.start(5, asks_too))
    assert consoles.open_request == "pair"


def test_twin_alone_it_takes_its_own_back(consoles: Consoles) -> None:
    with pytest.raises(TimedOut):
        list(consoles.start(5))
    assert consoles.open_request is None


def test_the_second_who_comes_after_the_link_is_told_so(consoles: Consoles) -> None:
    consoles.connector.says("connected")
    with pytest.raises(ConsoleError, match="is linked already"):
        list(consoles.start())
