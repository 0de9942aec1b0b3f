"""What operators are told by name, they can look up: every reason and metric stands in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.multidevice.refusals import GROUP_ACK_RULES, QUERY_RULES
from tocsin.notify.content import LOCKED, WITHHELD

ROOT = Path(__file__).resolve().parents[3]
LAYER = ROOT / "layers/core/tocsin"
METRICS = (ROOT / "infra/DIAGNOSTICS.md").read_text()
REASONS = METRICS + "".join((LAYER / "multidevice" / name).read_text() for name in ("GROUPS.md", "KINDS.md"))

FAILURES = re.compile(r'\b(?:Permanent|Retry|Wait|Recover)\(\s*"([a-z-]+)"')
COUNTED = re.compile(
    r'(?:add_metric|count)\(\s*"([A-Z]\w+)"|^ +(?:"\w+"|\("\w+", "[\w-]+"\)): "([A-Z]\w+)",$', re.M
)


def reasons() -> set[str]:
    sources = "".join(
        path.read_text() for room in ("notify", "multidevice") for path in (LAYER / room).rglob("*.py")
    )
    rules = {rule.code for rules in (GROUP_ACK_RULES, QUERY_RULES) for rule in rules.values()}
    return rules | set(FAILURES.findall(sources)) | (set(WITHHELD) - {LOCKED})


def metrics() -> set[str]:
    sources = "".join(path.read_text() for path in (ROOT / "functions").glob("*/app.py"))
    return {name for found in COUNTED.findall(sources) for name in found if name}


def test_there_are_some() -> None:
    assert {"not-connected", "first-contact-restricted", "attachment-missing"} <= reasons()
    assert {"NotificationsSent", "RepliesReceived", "SecondsToHeal", "EventsRefused"} <= metrics()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_is_explained(reason: str) -> None:
    assert f"`{reason}`" in REASONS


@pytest.mark.parametrize("metric", sorted(metrics()))
def test_every_metric_is_explained(metric: str) -> None:
    assert f"`{metric}`" in METRICS
