"""Accounts come and go without a deployment; a linked one isn't lost by a slip."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tocsin.accounts.served_accounts import added_accounts, keep_account
from tocsin_console.accounts import add, list_accounts, remove
from tocsin_console.errors import ConsoleError, NotFound, Usage


def test_one_more_is_served_by_its_name(fake: FakeDeployment, said: Said) -> None:
    add(fake.deployment, "support", said.output, clock=lambda: NOW)
    assert fake.deployment.accounts == ["default", "support"]
    assert fake.deployment.account("support") == "support"
    assert "tocsin pair --account support" in said.text


@pytest.mark.parametrize("name", ["default", "support"])
def test_what_is_served_already_is_not_added(fake: FakeDeployment, said: Said, name: str) -> None:
    add(fake.deployment, "support", said.output)
    with pytest.raises(ConsoleError, match="already served"):
        add(fake.deployment, name, said.output)


def test_a_name_that_cannot_be_one_is_told_what_it_could_be(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(Usage, match="a-z, 0-9"):
        add(fake.deployment, "Kundendienst!", said.output)


def test_an_account_that_is_not_linked_can_go(fake: FakeDeployment, said: Said) -> None:
    add(fake.deployment, "support", said.output)
    remove(fake.deployment, "support", said.output, yes=True)
    assert added_accounts(fake.deployment.outside_table) == []
    with pytest.raises(NotFound):
        remove(fake.deployment, "support", said.output, yes=True)


def test_a_linked_one_is_unlinked_first(fake: FakeDeployment, said: Said) -> None:
    add(fake.deployment, "support", said.output)
    keeper = fake.connector().keeper
    keeper.set_state("support", keeper.acquire("support"), "connected")
    with pytest.raises(ConsoleError, match="tocsin unpair --account support"):
        remove(fake.deployment, "support", said.output, yes=True)


def test_what_the_parameter_names_goes_with_the_parameter(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(ConsoleError, match="parameter Accounts"):
        remove(fake.deployment, "default", said.output, yes=True)


def test_the_list_says_who_serves_whom_and_where_the_name_stands(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("connected")
    add(fake.deployment, "support", said.output)
    list_accounts(fake.deployment, said.output, clock=lambda: NOW)
    rows = [line.replace(" (not linked)", "").split()[:3] for line in said.lines[-2:]]
    assert rows == [["default", "connected", "parameter"], ["support", "unpaired", "added"]]


def test_one_whose_connector_is_dead_is_listed_as_unreachable(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("connected")
    list_accounts(fake.deployment, said.output, clock=lambda: NOW + 50)
    assert said.lines[-1].replace(" (not linked)", "").split()[:2] == ["default", "unreachable"]


def test_one_that_the_parameter_names_no_more_is_listed_with_what_ends_it(
    fake: FakeDeployment, said: Said
) -> None:
    keep_account(fake.deployment.outside_table, "support", NOW)
    list_accounts(fake.deployment, said.output, clock=lambda: NOW)
    assert [line.replace(" (not linked)", "").split()[:3] for line in said.lines[-3:-1]] == [
        ["default", "unpaired", "parameter"],
        ["support", "unpaired", "kept"],
    ]
    assert "names support no more" in said.lines[-1]
    assert "tocsin accounts remove" in said.lines[-1]
