"""Accounts come and go without a deployment; a linked one isn't lost by a slip."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import NOW, Rig, Said
from tocsin.accounts.served_accounts import added_accounts
from tocsin_console.accounts import add, list_accounts, remove
from tocsin_console.errors import ConsoleError, NotFound, Usage


def test_one_more_is_served_by_its_name(rig: Rig, said: Said) -> None:
    add(rig.deployment, "support", said.output, clock=lambda: NOW)
    assert rig.deployment.accounts == ["default", "support"]
    assert rig.deployment.account("support") == "support"
    assert "tocsin pair --account support" in said.text


@pytest.mark.parametrize("name", ["default", "support"])
def test_what_is_served_already_is_not_added(rig: Rig, said: Said, name: str) -> None:
    add(rig.deployment, "support", said.output)
    with pytest.raises(ConsoleError, match="served already"):
        add(rig.deployment, name, said.output)


def test_a_name_that_cannot_be_one_is_told_what_it_could_be(rig: Rig, said: Said) -> None:
    with pytest.raises(Usage, match="a-z, 0-9"):
        add(rig.deployment, "Kundendienst!", said.output)


def test_an_account_that_is_not_linked_can_go(rig: Rig, said: Said) -> None:
    add(rig.deployment, "support", said.output)
    remove(rig.deployment, "support", said.output, yes=True)
    assert added_accounts(rig.deployment.outside_table) == []
    with pytest.raises(NotFound):
        remove(rig.deployment, "support", said.output, yes=True)


def test_a_linked_one_is_unlinked_first(rig: Rig, said: Said) -> None:
    add(rig.deployment, "support", said.output)
    keeper = rig.connector().keeper
    keeper.set_state("support", keeper.acquire("support"), "connected")
    with pytest.raises(ConsoleError, match="tocsin unpair --account support"):
        remove(rig.deployment, "support", said.output, yes=True)


def test_what_the_parameter_names_goes_with_the_parameter(rig: Rig, said: Said) -> None:
    with pytest.raises(ConsoleError, match="parameter Accounts"):
        remove(rig.deployment, "default", said.output, yes=True)


def test_the_list_says_who_serves_whom_and_where_the_name_stands(rig: Rig, said: Said) -> None:
    rig.connector().says("connected")
    add(rig.deployment, "support", said.output)
    list_accounts(rig.deployment, said.output, clock=lambda: NOW)
    rows = [line.split()[:3] for line in said.lines[-2:]]
    assert rows == [["default", "connected", "parameter"], ["support", "unpaired", "added"]]


def test_one_whose_connector_is_dead_is_listed_as_unreachable(rig: Rig, said: Said) -> None:
    rig.connector().says("connected")
    list_accounts(rig.deployment, said.output, clock=lambda: NOW + 50)
    assert said.lines[-1].split()[:2] == ["default", "unreachable"]
