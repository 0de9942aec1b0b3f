"""What the templates say that has a price."""

from __future__ import annotations

from typing import Any

from tests.cost.model import POLLERS, Facts
from tests.support.templates import properties, resources, template

OBSERVABILITY = "infra/observability.yaml"
CONNECTOR = "infra/connector.yaml"


def facts() -> Facts:
    """With the defaults of all parameters."""
    functions = {
        name: one for name, one in resources("AWS::Serverless::Function").items() if kept_by_default(one)
    }
    memory = {service(one): int(one["Properties"]["MemorySize"]) for one in functions.values()}
    queues = {}
    for function in functions.values():
        for event in function["Properties"].get("Events", {}).values():
            if event["Type"] == "SQS":
                queues[service(function)] = polled(event["Properties"])
    return Facts(
        memory=memory,
        alarm_metrics=sum(
            metrics_of(one)
            for one in resources("AWS::CloudWatch::Alarm", OBSERVABILITY).values()
            if kept_by_default(one, OBSERVABILITY)
        ),
        dashboards=dashboards(),
        secrets=len(resources("AWS::SecretsManager::Secret")),
        own_keys=sum(kept_by_default(one) for one in resources("AWS::KMS::Key").values()),
        queues=queues,
        fargate_vcpu=0.25,
        fargate_gb=int(template()["Parameters"]["ConnectorMemory"]["Default"]) / 1024,
        platform_lines=any(logging_of(one).get("SystemLogLevel") != "WARN" for one in functions.values()),
    )


def logging_of(function: Any) -> Any:
    """How a function logs unless somebody looks for a fault."""
    debugging, _, otherwise = function["Properties"]["LoggingConfig"]["Fn::If"]
    assert not holds({"Condition": debugging}, "template.yaml")
    return otherwise


def service(function: Any) -> str:
    return str(function["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"])


def polled(event: Any) -> tuple[str, int]:
    """Kind of a queue, and how many pollers read it while it is empty."""
    queue = properties(event["Queue"]["Fn::GetAtt"][0])
    fifo = bool(queue.get("FifoQueue"))
    adaptive = not fifo and not is_capped(event.get("ScalingConfig"))
    return ("fifo" if fifo else "standard", POLLERS["adaptive" if adaptive else "fixed"])


def is_capped(scaling: Any) -> bool:
    """Whether a queue's function has a maximum concurrency, with every parameter at its default."""
    if scaling is not None and "Fn::If" in scaling:
        condition, then, otherwise = scaling["Fn::If"]
        scaling = then if holds(template()["Conditions"][condition], "template.yaml") else otherwise
    return bool(scaling) and scaling != {"Ref": "AWS::NoValue"}


def metrics_of(alarm: Any) -> int:
    """How many metrics an alarm reads: that is what is billed."""
    wanted = alarm["Properties"].get("Metrics")
    return sum("MetricStat" in one for one in wanted) if wanted else 1


def dashboards() -> int:
    name = OBSERVABILITY
    return sum(kept_by_default(one, name) for one in resources("AWS::CloudWatch::Dashboard", name).values())


def kept_by_default(resource: Any, name: str = "template.yaml") -> bool:
    """Whether a resource exists with every parameter at its default."""
    condition = resource.get("Condition")
    return condition is None or holds(template(name)["Conditions"][condition], name)


def holds(rule: Any, name: str) -> bool:
    [(function, argument)] = rule.items()
    if function == "Fn::Not":
        return not holds(argument[0], name)
    if function == "Fn::And":
        return all(holds(one, name) for one in argument)
    if function == "Fn::Or":
        return any(holds(one, name) for one in argument)
    if function == "Condition":
        return holds(template(name)["Conditions"][argument], name)
    assert function == "Fn::Equals", function
    left, right = (value_of(one, name) for one in argument)
    return left == right


def value_of(part: Any, name: str) -> str:
    if not isinstance(part, dict):
        return str(part)
    declared = template(name)["Parameters"][part["Ref"]]
    # A nested stack is given the main template's parameter of the same name.
    return str(
        declared["Default"] if "Default" in declared else template()["Parameters"][part["Ref"]]["Default"]
    )
