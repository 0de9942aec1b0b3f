"""The metrics that Tocsin tells, as they stand in its code, and those of AWS that it watches."""

from __future__ import annotations

import re

from tocsin_local.paths import ROOT

COUNTED = re.compile(
    r'(?:count|measure)\(\s*"([A-Z]\w+)"'  # told by name
    r'|^ +(?:"\w+"|\("\w+", "[\w-]+"\)): "([A-Z]\w+)",$'  # what became of it → the name
    r'|^ +"([A-Z]\w+)": (?:len|sum|run)\b',  # the name → how many
    re.M,
)

# As the services' documents name them ("monitoring … with CloudWatch").
OF_AWS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfEmptyReceives",
        "NumberOfMessagesDeleted",
        "NumberOfMessagesSent",
    },
    "AWS/Lambda": {"Errors", "Invocations", "IteratorAge", "Throttles", "Url5xxCount", "UrlRequestCount"},
    "AWS/DynamoDB": {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
    "AWS/ECS": {"CPUUtilization", "MemoryUtilization"},
}
DIMENSIONS_OF_AWS = {
    "AWS/SQS": {"QueueName"},
    "AWS/Lambda": {"FunctionName"},
    "AWS/DynamoDB": {"TableName"},
    "AWS/ECS": {"ClusterName", "ServiceName"},
}


def told_metrics() -> set[str]:
    """The names of all metrics that functions and connector tell."""
    paths = [
        *(ROOT / "functions").glob("*/app.py"),
        ROOT / "layers/core/tocsin/connector/process.py",
        ROOT / "layers/core/tocsin/telemetry.py",
    ]
    source = "".join(path.read_text(encoding="utf-8") for path in paths)
    return {name for found in COUNTED.findall(source) for name in found if name}
