"""The sessions with somebody's devices, on their page: counters and ages, and nothing of a key."""

from __future__ import annotations

import re

from botocore.session import Session

from tests.support.console_page import served
from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import reply_of_everybody


def test_each_device_has_a_line() -> None:
    functions = WiredFunctions(MemoryAws())
    functions.tell(1)
    reply_of_everybody(functions)
    deployment = deployment_of(functions)
    vars(deployment)["session"] = Session()
    with served(deployment) as stranger:
        answer = stranger.comes_in().post("/people", wanted="1234@lid")
    assert "Sessions with their devices" in answer.text
    assert re.findall(r"<tr><td>(\d+)</td><td>", answer.raw) == ["0", "1"]
