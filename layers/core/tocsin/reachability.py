"""Which of AWS's services a function reaches from where it runs. Asked for by `tocsin doctor`.

A function in the VPC reaches DynamoDB through the gateway endpoint and the others over IPv6, so a wrong route
or host shows there and nowhere else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 2.0
"""For each address of a name."""

_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

Connect = Callable[[tuple[str, int], float], Any]


def reached(endpoints: Mapping[str, str], connect: Connect = socket.create_connection) -> dict[str, Any]:
    """Connect to each of `endpoints` (service → URL) and hang up. Never raises.

    Return for each service `host`, the `family` of the address that answered, and what `failed`, if anything.
    """
    return {service: _met(url, connect) for service, url in endpoints.items()}


def _met(url: str, connect: Connect) -> dict[str, str]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with connect((host, port), CONNECT_SECONDS) as line:
            family = _FAMILIES.get(line.family, "another family")
    except OSError as error:
        return {"host": host, "family": "", "failed": str(error) or type(error).__name__}
    return {"host": host, "family": family, "failed": ""}
