"""What the console has to know of the template: defaults, which a test holds to it, and names."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    "ConnectorMode": "fargate",
    "ConnectorCount": "1",
    "ConnectorMemory": "512",
    "ConnectorCapacity": "on-demand",
    "ConnectorImage": "",
    "AvailabilityZones": "",
    "WhatsAppUrl": "wss://web.whatsapp.com/ws/chat",
    "WhatsAppRootKey": "",
    "AlarmTopicArn": "",
    "AlarmEmail": "",
    "SealingSecretArn": "",
    "TextsSecretArn": "",
}


def declared_parameters(template: str) -> frozenset[str]:
    """The names of the parameters of a template's text, which is written as this project's is."""
    _, _, after = template.partition("\nParameters:\n")
    section = re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0]
    return frozenset(re.findall(r"^  ([A-Za-z0-9]+):", section, flags=re.MULTILINE))
