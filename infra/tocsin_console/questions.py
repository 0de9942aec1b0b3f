"""The questions of the guided deployment, each with how its answer is checked. Pure.

Everything else has a default that a later version may change: it is a setting, or a parameter that few need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STACK: Final = "stack"
REGION: Final = "region"
ALARMS: Final = "alarms"
"""Not parameters themselves: the last becomes `AlarmEmail` or `AlarmTopicArn`."""


@dataclass(frozen=True)
class Question:
    """`about`: the parameter, or one of the above. `text`: one line. `pattern`: of a valid answer; `wanted`
    says it in words. `default`: of the template; an empty answer means the default."""

    about: str
    text: str
    pattern: str
    wanted: str
    default: str = ""

    def problem(self, answer: str) -> str:
        """What is wrong with an answer; empty if nothing is."""
        return "" if re.fullmatch(self.pattern, answer) else f"it must be {self.wanted}, not '{answer}'"


_EMAIL = r"[^@\s,]+@[^@\s,]+\.[^@\s,]+"
_TOPIC = r"arn:[^:]+:sns:[^:]+:[^:]+:.+"

QUESTIONS: Final = (
    Question(
        STACK,
        "name of the stack",
        r"[a-zA-Z][a-zA-Z0-9-]{0,62}",
        "letters, digits and -, 63 at most",
        "tocsin",
    ),
    Question(
        REGION, "AWS region", r"[a-z]+(-[a-z]+)+-[0-9]+", "the name of a region, such as ap-southeast-3"
    ),
    Question(
        "DefaultRegion",
        "country of phone numbers without a country code",
        r"[A-Z]{2}",
        "two capital letters (ISO 3166), such as ID",
        "ID",
    ),
    Question(
        "DefaultArea",
        "area code of phone numbers without one; empty refuses them",
        r"[0-9]{0,6}",
        "digits, or nothing",
    ),
    Question(
        "DefaultLanguage",
        "language of people whose event names none",
        r"[a-z]{2,3}(-[a-z0-9]{2,8})*",
        "the tag of a language, such as id, en or es",
        "id",
    ),
    Question(
        "EventSource",
        "the source of your ticket events",
        r"(?!tocsin$)[A-Za-z0-9._/-]{1,256}",
        "A-Z a-z 0-9 . _ / -, and not tocsin",
        "ticketing",
    ),
    Question(
        "EventBusName",
        "name of the event bus that carries them; empty makes one",
        r"[A-Za-z0-9._/-]{0,256}",
        "the name of an event bus, or nothing",
    ),
    Question(
        ALARMS,
        "e-mail address or SNS topic for alarms; empty leaves them silent",
        rf"({_EMAIL}|{_TOPIC})?",
        "an e-mail address or the ARN of an SNS topic, or nothing",
    ),
)
MAX_QUESTIONS: Final = 8


def parameters_of(answers: Mapping[str, str], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """The template's parameters that answers mean. `before`: the stack's: it may tell a topic and an address,
    and whoever leaves the answer as it was keeps both."""
    found = {name: value for name, value in answers.items() if name not in (STACK, REGION, ALARMS)}
    if ALARMS in answers:
        told, before = answers[ALARMS], before or {}
        found["AlarmEmail"] = told if "@" in told else ""
        found["AlarmTopicArn"] = told if told.startswith("arn:") else ""
        if told and told == kept_by_default(before).get(ALARMS):
            found |= {name: before.get(name, "") for name in ("AlarmEmail", "AlarmTopicArn")}
    return found


def kept_by_default(parameters: Mapping[str, str]) -> dict[str, str]:
    """What is asked for, as it stands in a stack's parameters: for the defaults of the questions."""
    found = {one.about: parameters[one.about] for one in QUESTIONS if one.about in parameters}
    alarms = parameters.get("AlarmEmail") or parameters.get("AlarmTopicArn")
    return {**found, ALARMS: alarms} if alarms else found
