"""The events that the page about outcomes shows are events that Tocsin may put on the bus."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.contracts import validator_of
from tocsin_local.paths import ROOT

PAGE = (ROOT / "infra/site/pages/receiving.md").read_text(encoding="utf-8")
SHOWN = [json.loads(block) for block in re.findall(r"^```json\n(.+?)^```", PAGE, re.M | re.S)]
EVENTS = [event for event in SHOWN if isinstance(event["detail-type"], str)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["detail-type"])
def test_an_event_is_of_its_schema(event: dict[str, Any]) -> None:
    assert list(validator_of(event["detail-type"]).iter_errors(event["detail"])) == []


def test_twin_one_that_lacks_a_field_is_not() -> None:
    [delivered, _] = EVENTS
    detail = {name: value for name, value in delivered["detail"].items() if name != "delivered_at"}
    assert list(validator_of(delivered["detail-type"]).iter_errors(detail))


def test_the_rule_asks_for_events_that_there_are() -> None:
    [pattern] = [event for event in SHOWN if event not in EVENTS]
    assert all(validator_of(name) for name in pattern["detail-type"])
