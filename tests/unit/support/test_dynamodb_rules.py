"""The watch over requests (conftest.py) sees what DynamoDB would refuse."""

from typing import Any

import pytest

from tests.support.dynamodb_rules import refusals

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"ConditionExpression": "attribute_exists(state)"}, "state is a reserved word"),
        ({"ProjectionExpression": "pk, counter"}, "counter is a reserved word"),
        ({"UpdateExpression": "SET 1st = if_not_exists(a, b)"}, "1st needs a placeholder"),
        ({"ConditionExpression": "#a = :b"}, "name #a is used and not given"),
        ({"ExpressionAttributeValues": {":b": {"N": "1"}}}, "value :b is given and not used"),
        ({"UpdateExpression": "SET pk = sk"}, "key attribute pk"),
        ({"UpdateExpression": "SET a.b = c REMOVE a"}, "two paths overlap: a.b and a"),
    ],
)
def test_what_dynamodb_would_refuse_is_named(request_: dict[str, Any], why: str) -> None:
    assert any(why in refusal for refusal in refusals("UpdateItem", request_))


def test_a_transaction_must_not_touch_an_item_twice() -> None:
    touch = {"TableName": "t", "Key": KEY}
    items = [{"Delete": touch}, {"ConditionCheck": touch | {"ConditionExpression": "attribute_exists(pk)"}}]
    assert any("two operations" in one for one in refusals("TransactWriteItems", {"TransactItems": items}))


def test_what_dynamodb_takes_passes() -> None:
    good = {
        "Key": KEY,
        "UpdateExpression": "SET #s = :s, a = if_not_exists(b, :s) ADD n :n REMOVE c",
        "ConditionExpression": "attribute_exists(pk) AND NOT #s IN (:n)",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": {"S": ""}, ":n": {"N": "1"}},
    }
    assert [*refusals("UpdateItem", good)] == []
