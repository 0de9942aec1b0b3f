"""Asking for another login: what is waited for, what is told, and that nothing strikes later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.fake_deployment import ACCOUNT, Connector, FakeDeployment, Said, Script
from tocsin.accounts import operator_requests
from tocsin_console import reconnect
from tocsin_console.errors import ConsoleError, Interrupted, NotFound, TimedOut


@pytest.fixture
def connector(fake: FakeDeployment) -> Connector:
    connector = fake.connector()
    connector.says("replaced", "replaced")
    return connector


def asked(fake: FakeDeployment, *steps: Callable[[], object], wait_seconds: float = 30) -> Said:
    script, said = Script(list(steps)), Said()
    reconnect.reconnect(
        fake.deployment,
        ACCOUNT,
        wait_seconds=wait_seconds,
        output=said.output,
        sleep=script.sleep,
        clock=script.clock,
    )
    return said


def test_it_waits_until_the_account_is_logged_in(fake: FakeDeployment, connector: Connector) -> None:
    def takes_it_up() -> None:
        assert connector.asked().request == "reconnect"
        connector.answers("connecting")
        connector.says("connecting")

    said = asked(fake, takes_it_up, lambda: connector.says("resuming"), lambda: connector.says("connected"))
    assert said.lines[-1] == f"the account '{ACCOUNT}' is connected"


def test_an_end_of_the_try_is_told_with_its_reason(fake: FakeDeployment, connector: Connector) -> None:
    with pytest.raises(ConsoleError, match="is replaced: replaced"):
        asked(fake, lambda: connector.answers("connecting"))


def test_what_is_not_linked_is_to_be_paired(fake: FakeDeployment) -> None:
    with pytest.raises(NotFound, match="tocsin pair"):
        asked(fake)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [[], [interrupt]], ids=["too late", "Ctrl-C"])
def test_what_nobody_took_up_is_withdrawn(
    fake: FakeDeployment, connector: Connector, steps: list[Callable[[], object]]
) -> None:
    with pytest.raises((ConsoleError, Interrupted)):
        asked(fake, *steps, wait_seconds=5)
    assert operator_requests.read_request(fake.deployment.keys_table, ACCOUNT).what is None


def test_a_login_that_takes_long_is_too_late(fake: FakeDeployment, connector: Connector) -> None:
    def takes_it_up() -> None:
        connector.answers("connecting")
        connector.says("connecting")

    with pytest.raises(TimedOut, match="still connecting"):
        asked(fake, takes_it_up, wait_seconds=10)
