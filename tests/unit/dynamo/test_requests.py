"""What DynamoDB's refusals mean."""

import pytest

from tocsin.dynamo.errors import Conflict, Contention, InvalidWrite, TableError
from tocsin.dynamo.requests import cancelled


@pytest.mark.parametrize(
    ("codes", "meaning"),
    [
        (["None", "TransactionConflict"], Contention),
        (["ThrottlingError", "None"], Contention),
        (["ConditionalCheckFailed", "TransactionConflict"], Conflict),
        (["ValidationError", "None"], InvalidWrite),
        (["None", "SomethingNew"], InvalidWrite),
    ],
)
def test_a_cancelled_transaction_has_a_named_outcome(codes: list[str], meaning: type[TableError]) -> None:
    assert type(cancelled([{"Code": code} for code in codes])) is meaning
