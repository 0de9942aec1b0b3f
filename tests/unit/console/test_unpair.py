"""Ending the link to the phone: what is asked, what is waited for, what the operator reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.fake_deployment import ACCOUNT, NOW, Connector, FakeDeployment, Said, Script
from tocsin.accounts import operator_requests
from tocsin_console import unpair
from tocsin_console.errors import ConsoleError, Interrupted, NotFound, TimedOut


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


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [[], [interrupt]], ids=["too late", "Ctrl-C"])
def test_what_nobody_accepted_is_withdrawn(
    fake: FakeDeployment, connector: Connector, steps: list[Callable[[], object]]
) -> None:
    with pytest.raises((TimedOut, Interrupted), match="nothing is unlinked, now or later"):
        unlinked(fake, *steps, wait_seconds=5)
    table = fake.deployment.keys_table
    assert operator_requests.read_request(table, ACCOUNT).what is None
    assert operator_requests.asked_accounts(table) == []


def test_what_a_connector_accepted_is_not_called_withdrawn(
    fake: FakeDeployment, connector: Connector
) -> None:
    with pytest.raises(Interrupted, match="goes on with it"):
        unlinked(fake, lambda: connector.answers("connected"), interrupt)


def test_a_console_that_was_killed_leaves_a_wish_with_an_end(
    fake: FakeDeployment, connector: Connector
) -> None:
    def killed() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        unlinked(fake, killed, wait_seconds=60)
    deployment = fake.deployment
    seen = operator_requests.read_request(deployment.keys_table, ACCOUNT)
    assert operator_requests.open_request(seen, ACCOUNT, deployment.sealer, NOW + 300).request == "unpair"
    with pytest.raises(operator_requests.RequestRefused, match="stale"):
        operator_requests.open_request(seen, ACCOUNT, deployment.sealer, NOW + 361)


def test_another_console_withdraws_what_is_asked(fake: FakeDeployment, connector: Connector) -> None:
    def withdrawn() -> None:
        unpair.take_back(fake.deployment, ACCOUNT, output=said.output)
        raise SystemExit

    said = Said()
    with pytest.raises(SystemExit):
        unlinked(fake, withdrawn)
    assert "is withdrawn" in said.text
    with pytest.raises(NotFound, match="nothing is asked"):
        unpair.take_back(fake.deployment, ACCOUNT, output=said.output)
