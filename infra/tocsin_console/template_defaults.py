"""Defaults of the template's parameters that the console has to know; a test holds them to the template."""

from __future__ import annotations

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
    "PlanConcurrency": "2",
    "ReceiveConcurrency": "2",
    "ReceiptsConcurrency": "2",
    "ConnectorMode": "fargate",
    "ConnectorCount": "1",
    "ConnectorMemory": "512",
    "ConnectorCapacity": "on-demand",
    "ConnectorImage": "",
    "AvailabilityZones": "",
    "WhatsAppUrl": "wss://web.whatsapp.com/ws/chat",
    "WhatsAppRootKey": "",
    "AlarmTopicArn": "",
    "SealingSecretArn": "",
    "TextsSecretArn": "",
}
