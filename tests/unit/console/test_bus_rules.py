"""The rule of a source of kind bus: what it hears, and where it hands that."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import pytest

from tests.support.event_rules import Events, Queues
from tests.support.templates import as_list, properties
from tocsin.notify.events.foreign import SOURCE
from tocsin_console import bus_rules
from tocsin_console.bus_rules import make_rule, pattern_findings, pattern_of, remove_rule
from tocsin_console.errors import ConsoleError, Usage

PATTERN = json.dumps(
    {"source": [{"prefix": "aws.partner/pagers.example/"}], "detail-type": ["incident.triggered"]}
)


class Stack:
    """What `Deployment` offers."""

    stack = "tocsin"

    def __init__(self) -> None:
        self.events = Events()

    def __getitem__(self, output: str) -> str:
        return {"EventBusName": "tocsin-tickets", "EventSource": "ticketing"}.get(output, output)

    def client(self, service: str) -> Any:
        return {"events": self.events, "sqs": Queues()}[service]


@pytest.fixture
def stack() -> Any:
    return Stack()


def rendered(template: str, event: dict[str, Any]) -> Any:
    """What EventBridge makes of an input template."""
    assert template.count("<aws.events.event.json>") == 1
    return json.loads(template.replace("<aws.events.event.json>", json.dumps(event)))


def test_a_rule_hands_events_to_the_planner_with_the_sources_name(stack: Any) -> None:
    make_rule(stack, "pagers", pattern_of(PATTERN, stack))
    ((place, rule),) = stack.events.rules.items()
    assert place == ("tocsin-tickets", "tocsin-source-pagers")
    assert json.loads(rule["EventPattern"]) == json.loads(PATTERN)
    (target,) = rule["targets"].values()
    assert target["Arn"].endswith(":TicketEventsQueueUrl")
    assert target["DeadLetterConfig"]["Arn"].endswith(":TicketEventsDeadQueueUrl")
    event = {"id": "1", "detail": {"text": 'a "quoted" <word>'}}
    assert rendered(target["InputTransformer"]["InputTemplate"], event) == {SOURCE: "pagers", "event": event}


def test_a_source_may_listen_to_a_partners_bus(stack: Any) -> None:
    make_rule(stack, "pagers", PATTERN, "aws.partner/pagers.example/main")
    assert list(stack.events.rules) == [("aws.partner/pagers.example/main", "tocsin-source-pagers")]
    remove_rule(stack, "pagers", "aws.partner/pagers.example/main")
    assert stack.events.rules == {}


def test_a_rule_that_is_made_twice_is_one_with_the_last_pattern(stack: Any) -> None:
    make_rule(stack, "pagers", PATTERN)
    make_rule(stack, "pagers", '{"source":["shop"],"detail-type":["OrderLate"]}')
    (rule,) = stack.events.rules.values()
    assert "shop" in rule["EventPattern"]


def test_removing_what_is_gone_is_no_error(stack: Any) -> None:
    remove_rule(stack, "pagers")


def test_a_rule_without_its_target_is_an_error(stack: Any) -> None:
    stack.events.failed = [{"ErrorCode": "ConcurrentModificationException"}]
    with pytest.raises(ConsoleError, match="ConcurrentModification"):
        make_rule(stack, "pagers", PATTERN)


@pytest.mark.parametrize(
    ("pattern", "finding"),
    [
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is not a JSON object"),
        ('{"sorce": ["x"], "source": ["y"]}', "an event has no sorce"),
        ('{"account": ["123"]}', "names neither source nor detail-type"),
        ('{"source": ["tocsin"]}', "listens to tocsin"),
        ('{"source": ["ticketing"]}', "whose ticket events are planned already"),
        ('{"source": ["ticketing"], "detail-type": ["TicketCreated"]}', "are planned already"),
        (json.dumps({"source": ["x" * 5000]}), "is longer than"),
    ],
)
def test_a_pattern_that_cannot_be_meant(stack: Any, pattern: str, finding: str) -> None:
    assert any(finding in one for one in pattern_findings(pattern, "ticketing"))
    with pytest.raises(Usage, match="pattern: "):
        pattern_of(pattern, stack)


@pytest.mark.parametrize(
    "pattern",
    [PATTERN, '{"detail-type": ["OrderLate"]}', '{"source": ["ticketing"], "detail-type": ["OrderLate"]}'],
)
def test_a_pattern_that_can(pattern: str) -> None:
    assert pattern_findings(pattern, "ticketing") == []


def test_a_sources_name_needs_no_escaping_in_the_template() -> None:
    from tocsin.door.sources import NAME

    assert not any(
        NAME.fullmatch(sign) for sign in set(string.printable) - set(string.ascii_lowercase + string.digits)
    )


# -- rights ------------------------------------------------------------------------------------------------


def test_an_operator_may_do_what_the_console_does_with_rules_and_hand_events_to_nobody_else() -> None:
    """The emulator asks for these rights of another resource than AWS, so they are held together here."""
    source = Path(bus_rules.__file__).read_text(encoding="utf-8")
    made = {"".join(map(str.capitalize, call.split("_"))) for call in re.findall(r"events[.](\w+)\(", source)}
    statements = properties("OperatorPolicy")["PolicyDocument"]["Statement"]
    about = [
        one
        for one in statements
        if "rule/" in str(one.get("Resource")) and "events:Put" in str(one["Action"])
    ]
    assert {action.removeprefix("events:") for one in about for action in as_list(one["Action"])} == made
    for one in about:
        assert all("${AWS::StackName}-source-*" in resource["Fn::Sub"] for resource in one["Resource"])
    [targets] = [one for one in about if one["Action"] == "events:PutTargets"]
    queue = {"Fn::GetAtt": ["TicketEventsQueue", "Arn"]}
    assert targets["Condition"] == {"ForAllValues:ArnEquals": {"events:TargetArn": queue}}
