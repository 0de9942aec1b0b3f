"""Which value is in force, and what a stored item says."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.settings.declared import DECLINE_CALLS, RETRIES, SESSION_IDLE_DAYS
from tocsin.settings.values import DEFAULTS, Reading, Scope, Settings, read_item, without_invalid


def item(version: Any = 1, **values: Any) -> dict[str, Any]:
    return {"version": version, "values": {name.replace("_", "-"): value for name, value in values.items()}}


def test_without_an_item_the_defaults_are_in_force() -> None:
    assert read_item(None) == Reading(DEFAULTS)
    assert DEFAULTS.value(DECLINE_CALLS, account="default") is False


@pytest.mark.parametrize(
    ("audience", "retries"), [("customer", 3), ("technician", 2), ("group", 2), (None, 2)]
)
def test_an_audience_may_have_a_default_of_its_own(audience: str | None, retries: int) -> None:
    assert DEFAULTS.value(RETRIES, account="default", audience=audience) == retries


@pytest.mark.parametrize(
    ("account", "audience", "retries"),
    [
        ("two", "customer", 4),
        ("two", "technician", 3),
        ("one", "customer", 2),
        ("one", "group", 1),
        (None, None, 1),
    ],
)
def test_the_narrowest_scope_counts_and_an_account_is_narrower_than_an_audience(
    account: str | None, audience: str | None, retries: int
) -> None:
    scoped = {"*": 1, "audience=customer": 2, "account=two": 3, "account=two,audience=customer": 4}
    settings = Settings({"retries": scoped})
    assert settings.value(RETRIES, account=account, audience=audience) == retries


@pytest.mark.parametrize("scope", [Scope(), Scope("a"), Scope(None, "group"), Scope("a", "group")])
def test_a_scope_is_stored_as_it_is_read(scope: Scope) -> None:
    assert Scope.parse(str(scope)) == scope


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "account=",
        "audience=all",
        "region=ID",
        "audience=group,account=a",
        "account=a,account=b",
        "*,account=a",
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no scope"):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (item(retries={"*": 9}), "retries is 9: must be a whole number of 0 to 8"),
        (item(retries={"account=two": "many"}), "retries for account=two is 'many'"),
        (item(retries=3), "retries is 3, not a map of scopes"),
        (item(decline_calls={"audience=customer": True}), "it can't be set for that"),
        (item(session_idle_days={"account=two": 30}), "it can't be set for that"),
        (item(version="new"), "the version is 'new'"),
        (item(version=0), "the version is 0"),
        (item(version=True), "the version is True"),
        ({"version": 2}, "the values are None"),
        ({"version": 2, "values": "x" * 10_000}, "the values are 'xxx"),
    ],
)
def test_what_is_invalid_is_named_and_never_heeded(stored: dict[str, Any], problem: str) -> None:
    reading = read_item(stored)
    [said] = reading.problems
    assert problem in said
    assert len(said) < 200
    assert reading.settings.value(RETRIES) == RETRIES.default
    assert reading.settings.value(SESSION_IDLE_DAYS) == SESSION_IDLE_DAYS.default


def test_what_a_later_version_may_know_is_ignored_and_named() -> None:
    reading = read_item(item(retries={"*": 1, "weekday=1": 5}, moon_phases={"*": "22-6"}))
    assert reading.unknown == ("retries for weekday=1", "moon-phases")
    assert reading.problems == ()
    assert reading.settings.value(RETRIES) == 1


def test_what_is_invalid_goes_with_the_next_change_and_what_is_unknown_stays() -> None:
    values = {"retries": {"*": 99, "weekday=1": 5}, "moon-phases": {"*": "22-6"}, "decline-calls": 7}
    assert without_invalid(values) == {"retries": {"weekday=1": 5}, "moon-phases": {"*": "22-6"}}
