"""The quicker transactions of moto undo what they must, like those of DynamoDB."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.support.fake_aws import KEYS, cloud


def act(kind: str, key: str, **more: Any) -> dict[str, Any]:
    what = {"Item" if kind == "Put" else "Key": {"pk": {"S": "p"}, "sk": {"S": key}}}
    return {kind: {"TableName": KEYS, **what, **more}}


def put(key: str, **attributes: Any) -> dict[str, Any]:
    made = act("Put", key)
    made["Put"]["Item"] |= attributes
    return made


FAILS = act("ConditionCheck", "none", ConditionExpression="attribute_exists(pk)")
CHANGES = act(
    "Update",
    "old",
    UpdateExpression="SET n = :n",
    ExpressionAttributeValues={":n": {"N": "2"}},
)


def after(*actions: dict[str, Any]) -> dict[str, Any]:
    """The items by their sort keys, after an item was put and then this transaction."""
    with cloud() as aws:
        aws.dynamodb.transact_write_items(TransactItems=[put("old", n={"N": "1"})])
        with suppress(aws.dynamodb.exceptions.TransactionCanceledException):
            aws.dynamodb.transact_write_items(TransactItems=list(actions))
        items = aws.dynamodb.scan(TableName=KEYS)["Items"]
    return {item["sk"]["S"]: int(item["n"]["N"]) if "n" in item else None for item in items}


def test_a_whole_transaction_is_carried_out() -> None:
    assert after(CHANGES, put("new")) == {"old": 2, "new": None}


@pytest.mark.parametrize("action", [CHANGES, put("new"), put("old", n={"N": "3"}), act("Delete", "old")])
@pytest.mark.parametrize("place", [0, 1])
def test_of_one_that_fails_nothing_stays(action: dict[str, Any], place: int) -> None:
    actions = [FAILS]
    actions.insert(place, action)
    assert after(*actions) == {"old": 1}
