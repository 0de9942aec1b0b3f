"""The rule of a source of kind `bus`: what it listens to on a bus, handed to the planner with the source's
name.

A rule for each source is made here and not in the template, since a pattern is data of any form, which a
parameter can't hold, and the bus may be a partner's, which the stack doesn't own. A stack whose own bus still
has such a rule can't be deleted: `tocsin sources remove` comes first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tocsin.notify.events.foreign import SOURCE
from tocsin_console.errors import ConsoleError, Usage

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment

TARGET: Final = "ticket-events"
MAX_PATTERN_CHARACTERS: Final = 4096
_FIELDS: Final = frozenset(
    "source detail-type detail account region resources id time version $or".split()  # noqa: SIM905
)


def pattern_of(text: str, deployment: Deployment) -> str:
    """The event pattern of a file, as EventBridge takes it. Raises Usage with what is wrong with it."""
    findings = pattern_findings(text, deployment["EventSource"])
    if findings:
        raise Usage("; ".join(findings))
    return json.dumps(json.loads(text), separators=(",", ":"))


def pattern_findings(text: str, event_source: str) -> list[str]:
    """What is wrong with a pattern. EventBridge says the rest when the rule is made."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        return [f"pattern: is not JSON: {error}"]
    if not isinstance(pattern, dict) or not pattern:
        return ["pattern: is not a JSON object with at least one field"]
    findings = [
        f"pattern: an event has no {name[:40]}; it has {', '.join(sorted(_FIELDS))}"
        for name in pattern
        if name not in _FIELDS
    ]
    if len(json.dumps(pattern)) > MAX_PATTERN_CHARACTERS:
        findings.append(f"pattern: is longer than {MAX_PATTERN_CHARACTERS} characters")
    sources, kinds = pattern.get("source"), pattern.get("detail-type")
    if "source" not in pattern and "detail-type" not in pattern:
        findings.append(
            "pattern: names neither source nor detail-type, so it would hear everything on the bus"
        )
    # What Tocsin tells would come back as something to be told, and so on without an end.
    if isinstance(sources, list) and "tocsin" in sources:
        findings.append("pattern: listens to tocsin, whose events are Tocsin's own outcomes")
    own = isinstance(sources, list) and event_source in sources
    if own and (kinds is None or any(str(kind).startswith("Ticket") for kind in kinds)):
        findings.append(
            f"pattern: listens to {event_source}, whose ticket events are planned already; "
            "name other detail-types"
        )
    return findings


def rule_name(deployment: Deployment, source: str) -> str:
    return f"{deployment.stack}-source-{source}"


def make_rule(deployment: Deployment, source: str, pattern: str, bus: str = "") -> None:
    """Make the rule of a source, or change it. `bus`: its name, that of the stack by default. Raises
    ConsoleError."""
    name, events = rule_name(deployment, source), deployment.client("events")
    where = {"EventBusName": bus or deployment["EventBusName"]}
    events.put_rule(
        Name=name,
        EventPattern=pattern,
        State="ENABLED",
        Description=f"Events that the source {source} makes ticket events of",
        **where,
    )
    answer = events.put_targets(Rule=name, Targets=[_target(deployment, source)], **where)
    failed = answer.get("FailedEntries", [])
    if failed:
        raise ConsoleError(f"the rule '{name}' has no target: {failed[0].get('ErrorCode', 'unknown')}")


def switch_rule(deployment: Deployment, source: str, bus: str = "", *, on: bool) -> None:
    """Let the rule of a source hear events again, or no more. Events meanwhile are nobody's."""
    events = deployment.client("events")
    where = {"Name": rule_name(deployment, source), "EventBusName": bus or deployment["EventBusName"]}
    if on:
        events.enable_rule(**where)
    else:
        events.disable_rule(**where)


def remove_rule(deployment: Deployment, source: str, bus: str = "") -> None:
    """Remove the rule of a source. One that is gone is none."""
    name, events = rule_name(deployment, source), deployment.client("events")
    where = {"EventBusName": bus or deployment["EventBusName"]}
    try:
        events.remove_targets(Rule=name, Ids=[TARGET], **where)
        events.delete_rule(Name=name, **where)
    except events.exceptions.ResourceNotFoundException:
        return


def _target(deployment: Deployment, source: str) -> Mapping[str, Any]:
    return {
        "Id": TARGET,
        "Arn": _arn(deployment, "TicketEventsQueueUrl"),
        "DeadLetterConfig": {"Arn": _arn(deployment, "TicketEventsDeadQueueUrl")},
        "InputTransformer": {
            "InputPathsMap": {},
            "InputTemplate": f'{{"{SOURCE}": "{source}", "event": <aws.events.event.json>}}',
        },
    }


def _arn(deployment: Deployment, output: str) -> str:
    """Of a queue."""
    answer = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment[output], AttributeNames=["QueueArn"]
    )
    return str(answer["Attributes"]["QueueArn"])
