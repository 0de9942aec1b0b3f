"""What the console has to know of the template: defaults, which a test holds to it, and names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEFAULTS: Final[Mapping[str, str]] = {
    "PythonRuntime": "python3.13",
    "Architecture": "arm64",
    "EventBusName": "",
    "EventSource": "ticketing",
    "Accounts": "default",
    "DefaultRegion": "ID",
    "DefaultArea": "",
    "DefaultLanguage": "id",
    "AttachmentsBucket": "",
    "SendConcurrency": "4",
    "PlanConcurrency": "0",
    "ReceiveConcurrency": "2",
    "ReceiptsConcurrency": "0",
    "HttpDoor": "off",
    "DoorConcurrency": "0",
    "ConnectorMode": "fargate",
    "ConnectorCount": "1",
    "ConnectorMemory": "512",
    "ConnectorCapacity": "on-demand",
    "ConnectorNetwork": "ipv4",
    "ConnectorImage": "",
    "AvailabilityZones": "",
    "WhatsAppUrl": "wss://web.whatsapp.com/ws/chat",
    "WhatsAppRootKey": "",
    "AlarmTopicArn": "",
    "AlarmEmail": "",
    "SealingSecretArn": "",
    "TextsSecretArn": "",
}


@dataclass(frozen=True)
class Parameter:
    """What the template says of a parameter, as far as a value can be held against it. `pattern`: of the
    whole value; `says`: in words what it must be; `least`, `most`: of a number."""

    name: str
    pattern: str = ""
    says: str = ""
    allowed: tuple[str, ...] = ()
    is_number: bool = False
    least: float | None = None
    most: float | None = None

    def problem(self, value: str) -> str:
        """Why CloudFormation would refuse a value; empty if it wouldn't."""
        if self.allowed and value not in self.allowed:
            return f"it must be one of {', '.join(self.allowed)}, not '{value}'"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"it {self.says or f'must match {self.pattern}'}, not '{value}'"
        if not self.is_number:
            return ""
        try:
            number = float(value)
        except ValueError:
            return f"it must be a number, not '{value}'"
        if (self.least is not None and number < self.least) or (self.most is not None and number > self.most):
            return f"it must be between {self.least:g} and {self.most:g}, not {value}"
        return ""


def declared_parameters(template: str) -> dict[str, Parameter]:
    """The parameters of a template's text, which is written as ours is: a line for each attribute."""
    _, _, after = template.partition("\nParameters:\n")
    section = re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.split(r"^  ([A-Za-z0-9]+):$", section, flags=re.MULTILINE)[1:]
    return {name: _declared(name, text) for name, text in zip(blocks[::2], blocks[1::2], strict=True)}


def _declared(name: str, block: str) -> Parameter:
    told = dict(re.findall(r"^    ([A-Za-z]+): (.+)$", block, flags=re.MULTILINE))
    listed = told.get("AllowedValues", "[]").strip("[]")
    return Parameter(
        name,
        pattern=_text(told.get("AllowedPattern", "")),
        says=_text(told.get("ConstraintDescription", "")).rstrip("."),
        allowed=tuple(_text(one.strip()) for one in listed.split(",") if one.strip()),
        is_number=told.get("Type") == "Number",
        least=float(told["MinValue"]) if "MinValue" in told else None,
        most=float(told["MaxValue"]) if "MaxValue" in told else None,
    )


def _text(written: str) -> str:
    """A scalar of YAML, plain or in double quotes, whose escapes are those of JSON as far as they occur."""
    return str(json.loads(written)) if written.startswith('"') else written
