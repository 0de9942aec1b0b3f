"""Every request to DynamoDB that a unit test makes must be one that DynamoDB itself would take."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.support.dynamodb_rules import refusals


@pytest.fixture(scope="session", autouse=True)
def _as_strict_as_dynamodb() -> Iterator[None]:
    """Clients are made in many places, so it is the class that is watched."""
    call = BaseClient._make_api_call

    def checked(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            assert [*refusals(operation, request)] == [], operation
        return call(client, operation, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", checked)
        yield
