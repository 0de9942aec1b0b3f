"""`tocsin self-test` on a running stack: a message to the account's own chat goes the whole way."""

from __future__ import annotations

import io
import json

import pytest

from tests.support.stack import DeployedStack
from tocsin_console import self_test
from tocsin_console.output import Output

pytestmark = pytest.mark.e2e


def test_the_account_s_own_phone_confirms_it(deployed: DeployedStack) -> None:
    stream = io.StringIO()
    output = Output(as_json=True, stream=stream)
    self_test.run_once(deployed.world.deployment, "default", wait_seconds=120, output=output)
    assert json.loads(stream.getvalue().splitlines()[-1])["result"] == "arrived"
