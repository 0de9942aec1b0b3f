"""What operators are told by name, they can look up: every reason and metric stands in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.metrics import told_metrics
from tocsin.multidevice.refusals import GROUP_ACK_RULES, QUERY_RULES
from tocsin.notify.content import LOCKED, WITHHELD

ROOT = Path(__file__).resolve().parents[3]
LAYER = ROOT / "layers/core/tocsin"
METRICS = (ROOT / "infra/DIAGNOSTICS.md").read_text()
PAGES = ("multidevice/GROUPS.md", "multidevice/KINDS.md", "notify/MESSAGES.md")
REASONS = METRICS + "".join((LAYER / name).read_text() for name in PAGES)

FAILURES = re.compile(r'\b(?:Permanent|Retry|Wait|Recover)\(\s*"([a-z-]+)"')


def reasons() -> set[str]:
    sources = "".join(
        path.read_text() for room in ("notify", "multidevice") for path in (LAYER / room).rglob("*.py")
    )
    rules = {rule.code for rules in (GROUP_ACK_RULES, QUERY_RULES) for rule in rules.values()}
    return rules | set(FAILURES.findall(sources)) | (set(WITHHELD) - {LOCKED})


def explained_metrics() -> set[str]:
    """The names in the first column of the tables of metrics."""
    section = METRICS.split("## Metrics\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row)}


def test_there_are_some() -> None:
    assert {"not-connected", "first-contact-restricted", "attachment-missing"} <= reasons()
    assert {"NotificationsSent", "RepliesReceived", "SecondsToHeal", "AccountsDisconnected"} <= told_metrics()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_is_explained(reason: str) -> None:
    assert f"`{reason}`" in REASONS


def test_the_metrics_that_are_told_are_those_that_are_explained() -> None:
    assert explained_metrics() == told_metrics()
