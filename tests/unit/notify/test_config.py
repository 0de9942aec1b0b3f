"""The environment of the functions: typed, and refused with the name of what is wrong."""

import pytest

from tocsin.notify.config import (
    MAX_RETENTION_DAYS,
    MIN_RETENTION_DAYS,
    RETENTION_DAYS,
    Environment,
    InvalidVariable,
    MissingVariable,
    SendConfig,
)

COMPLETE = {
    "KEYS_TABLE": "keys",
    "NOTIFICATIONS_TABLE": "notifications",
    "SEALING_SECRET_ARN": "arn:secret",
    "TEXTS_SECRET_ARN": "arn:secret",
    "NOTIFICATIONS_QUEUE_URL": "https://queue/notifications.fifo",
    "DEAD_LETTERS_QUEUE_URL": "https://queue/dead.fifo",
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_missing_variable_is_named(name):
    variables = {key: value for key, value in COMPLETE.items() if key != name}
    with pytest.raises(MissingVariable) as refused:
        SendConfig.read(Environment(variables))
    assert refused.value.name == name
    assert name in str(refused.value)


def test_an_empty_variable_counts_as_missing():
    with pytest.raises(MissingVariable):
        SendConfig.read(Environment({**COMPLETE, "KEYS_TABLE": ""}))


@pytest.mark.parametrize("value", ["many", "-1", "2.5"])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(InvalidVariable) as refused:
        SendConfig.read(Environment({**COMPLETE, "RETENTION_DAYS": value}))
    assert refused.value.name == "RETENTION_DAYS"


def test_records_are_kept_as_long_as_the_deployment_says() -> None:
    days = SendConfig.read(Environment({**COMPLETE, "RETENTION_DAYS": "20"})).stores.retention_days
    assert (days, SendConfig.read(Environment(COMPLETE)).stores.retention_days) == (20, RETENTION_DAYS)


@pytest.mark.parametrize("days", [MIN_RETENTION_DAYS - 1, MAX_RETENTION_DAYS + 1])
def test_a_retention_out_of_bounds_is_refused(days: int) -> None:
    with pytest.raises(InvalidVariable, match=f"{MIN_RETENTION_DAYS} to {MAX_RETENTION_DAYS}"):
        SendConfig.read(Environment({**COMPLETE, "RETENTION_DAYS": str(days)}))
