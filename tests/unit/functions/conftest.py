"""Handlers over tables and queues on moto, one set of them for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.wired_functions import WiredFunctions


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def wired(account: AwsAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())
