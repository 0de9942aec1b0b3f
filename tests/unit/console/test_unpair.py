"""Ending the link to the phone: what is asked, what is waited for, what the operator reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.fake_deployment import ACCOUNT, NOW, Connector, FakeDeployment, Said, Script
from tocsin_console import unpair
from tocsin_console.errors import ConsoleError, NotFound, TimedOut


@pytest.fixture
def connector(fake: FakeDeployment) -> Connector:
    connector = fake.connector()
    connector.says("connected")
    return connector


def unlinked(fake: FakeDeployment, *steps: Callable[[], object], wait_seconds: float = 60) -> Said:
    script, said = Script(list(steps)), Said()
    unpair.unpair(
        fake.deployment,
        ACCOUNT,
        wait_seconds=wait_seconds,
        output=said.output,
        yes=True,
        sleep=script.sleep,
        clock=script.clock,
    )
    return said


def test_it_waits_until_the_connector_has_unlinked_it(fake: FakeDeployment, connector: Connector) -> None:
    def look() -> None:
        assert connector.asked().request == "unpair"
        connector.answers("unpaired")

    assert "is unlinked; link it again: tocsin pair" in unlinked(fake, look).text


def test_what_a_logged_out_account_is_told_is_passed_on(fake: FakeDeployment, connector: Connector) -> None:
    connector.says("logged_out")
    said = unlinked(fake, lambda: connector.answers("unpaired", "nothing was linked here"))
    assert "(nothing was linked here)" in said.text


def test_what_is_not_linked_can_t_be_unlinked(fake: FakeDeployment) -> None:
    with pytest.raises(NotFound):
        unlinked(fake)
    fake.connector().says("unpaired")
    with pytest.raises(NotFound):
        unlinked(fake)


def test_a_connector_that_never_takes_it_up_is_too_late(fake: FakeDeployment, connector: Connector) -> None:
    with pytest.raises(TimedOut, match="once it is logged in"):
        unlinked(fake, wait_seconds=5)


def test_a_server_that_doesn_t_confirm_is_too_late(fake: FakeDeployment, connector: Connector) -> None:
    with pytest.raises(TimedOut, match="has not confirmed"):
        unlinked(fake, lambda: connector.answers("connected"), wait_seconds=5)


def test_without_a_connector_the_way_by_the_phone_is_told(fake: FakeDeployment, connector: Connector) -> None:
    script, said = Script([], now=NOW + 3600), Said()
    with pytest.raises(ConsoleError, match="Linked devices"):
        unpair.unpair(
            fake.deployment,
            ACCOUNT,
            wait_seconds=20,
            output=said.output,
            yes=True,
            sleep=script.sleep,
            clock=script.clock,
        )
    assert "no connector is running" in said.text
