"""The connector's environment, read once, typed, and refused with the name of what is wrong."""

from __future__ import annotations

import json
import math
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.accounts.lease import TERMS, Terms
from tocsin.connector_client.protocol import ACCOUNT
from tocsin.whatsapp.keepalive import SILENCE_SECONDS

PRODUCTION_URL = "wss://web.whatsapp.com/ws/chat"
METADATA = "ECS_CONTAINER_METADATA_URI_V4"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class BadEnvironment(Exception):
    """A variable is missing or invalid. The process doesn't start; correct the environment."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"the environment variable {name} {problem}")
        self.name = name


@dataclass(frozen=True)
class Config:
    """`host`: the IP address that Lambdas call and the certificate names; `bind`: the one listened on.

    `root_key`: 32 bytes, None for WhatsApp's own. `version`: to present, None for the built-in one.
    `receipts_queue_url`: None sends receipts through the stanza queue, as before there was another.
    `maintain_function`, `event_bus`: None switches off the resume after a login and the disconnect events
    (a connector without a deployed stack).
    `lease_terms`: the same in all connectors of a stack. `silence`: seconds, see `whatsapp.keepalive`.
    """

    accounts: tuple[str, ...]
    keys_table: str
    notifications_table: str | None
    stanzas_queue_url: str
    receipts_queue_url: str | None
    sealing_secret_arn: str
    event_bus: str | None
    maintain_function: str | None
    whatsapp_url: str
    root_key: bytes | None
    version: tuple[int, int, int] | None
    host: str
    bind: str
    port: int
    service: str
    namespace: str
    stack: str
    log_level: str
    lease_terms: Terms = TERMS
    silence: float = SILENCE_SECONDS

    def url(self, port: int) -> str:
        """Where Lambdas find the connector that listens at `port`; an IPv6 address in brackets (RFC 3986)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{port}"


def read_config(environment: Mapping[str, str] | None = None) -> Config:
    """Raises `BadEnvironment`."""
    variables = _Variables(os.environ if environment is None else environment)
    host, bind = _addresses(variables)
    return Config(
        accounts=variables.accounts("ACCOUNTS", "default"),
        keys_table=variables.text("KEYS_TABLE"),
        notifications_table=variables.optional("NOTIFICATIONS_TABLE"),
        stanzas_queue_url=variables.text("STANZAS_QUEUE_URL"),
        receipts_queue_url=variables.optional("RECEIPTS_QUEUE_URL"),
        sealing_secret_arn=variables.text("SEALING_SECRET_ARN"),
        event_bus=variables.optional("EVENT_BUS_NAME"),
        maintain_function=variables.optional("MAINTAIN_FUNCTION"),
        whatsapp_url=variables.text("WHATSAPP_URL", PRODUCTION_URL),
        root_key=variables.key("WHATSAPP_ROOT_KEY"),
        version=variables.version("WHATSAPP_VERSION"),
        host=host,
        bind=bind,
        port=variables.port("CONNECTOR_PORT", 0),
        service=variables.text("POWERTOOLS_SERVICE_NAME", "connector"),
        namespace=variables.text("POWERTOOLS_METRICS_NAMESPACE", "Tocsin"),
        stack=variables.text("STACK_NAME", "local"),
        log_level=variables.level("POWERTOOLS_LOG_LEVEL", "INFO"),
        lease_terms=variables.lease_terms("LEASE_SECONDS"),
        silence=variables.seconds("SILENCE_SECONDS", SILENCE_SECONDS),
    )


def _addresses(variables: _Variables) -> tuple[str, str]:
    """Advertised and bound address: as told, else the task's private one, else the loopback."""
    told = variables.optional("CONNECTOR_HOST")
    if told:
        return told, told
    metadata = variables.optional(METADATA)
    if metadata:
        # All interfaces: the task's own health check comes in over IPv4's loopback.
        # The security group lets in only the Lambdas.
        address = private_address(metadata)
        return address, "::" if ":" in address else "0.0.0.0"  # noqa: S104
    return "127.0.0.1", "127.0.0.1"


def private_address(metadata_url: str) -> str:
    """The task's address in its VPC, from the ECS task metadata endpoint, version 4.

    IPv4 where there is any. In a subnet without it, the list of IPv4 addresses isn't told.
    """
    if not metadata_url.startswith("http://"):
        raise BadEnvironment(METADATA, "is no http URL")
    try:
        with urllib.request.urlopen(metadata_url, timeout=5) as answer:  # noqa: S310  checked above
            container = json.load(answer)
        network = container["Networks"][0]
        address: str = (network.get("IPv4Addresses") or network["IPv6Addresses"])[0]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise BadEnvironment(METADATA, f"leads to no private address: {exc}") from exc
    return address


class _Variables:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def optional(self, name: str) -> str | None:
        return self._environment.get(name) or None

    def text(self, name: str, default: str | None = None) -> str:
        value = self.optional(name) or default
        if value is None:
            raise BadEnvironment(name, "is not set")
        return value

    def accounts(self, name: str, default: str) -> tuple[str, ...]:
        accounts = tuple(word.strip() for word in self.text(name, default).split(",") if word.strip())
        if not accounts:
            raise BadEnvironment(name, "names no account")
        for account in accounts:
            if not ACCOUNT.fullmatch(account):
                raise BadEnvironment(
                    name, f"holds {account!r}: letters, digits, point, dash, underscore; 64 at most"
                )
        return accounts

    def level(self, name: str, default: str) -> str:
        level = self.text(name, default).upper()
        if level not in LEVELS:
            raise BadEnvironment(name, f"is {level!r}, not one of {', '.join(LEVELS)}")
        return level

    def port(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if not text.isascii() or not text.isdecimal() or int(text) > 65535:
            raise BadEnvironment(name, f"is {text!r}, not a port")
        return int(text)

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name, f"{default:g}")
        seconds = _positive(text)
        if seconds is None:
            raise BadEnvironment(name, f"is {text!r}, not a number of seconds above 0")
        return seconds

    def lease_terms(self, name: str) -> Terms:
        """Beat, hold and dead, in seconds, with commas between."""
        text = self.text(name, f"{TERMS.beat:g},{TERMS.hold:g},{TERMS.dead:g}")
        beat, hold, dead = (*map(_positive, text.split(",")), None, None, None)[:3]
        if beat is None or hold is None or dead is None or text.count(",") != 2:
            raise BadEnvironment(name, f"is {text!r}, not three numbers of seconds with commas between")
        try:
            return Terms(beat, hold, dead)
        except ValueError as exc:
            raise BadEnvironment(name, f"is {text!r}: {exc}") from exc

    def key(self, name: str) -> bytes | None:
        text = self.optional(name)
        if text is None:
            return None
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise BadEnvironment(name, "is not 64 hexadecimal digits")
        return key

    def version(self, name: str) -> tuple[int, int, int] | None:
        text = self.optional(name)
        if text is None:
            return None
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
            raise BadEnvironment(name, f"is {text!r}, not three numbers with points between")
        first, second, third = map(int, parts)
        return first, second, third


def _positive(text: str) -> float | None:
    """A finite number above 0, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
