"""The environment of the functions, read once, typed, and refused with the name of what is missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


class MissingVariable(Exception):
    """An environment variable that this function needs isn't set. Set it in the template."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the environment variable {self.name} is not set"


class InvalidVariable(Exception):
    """An environment variable holds something that can't be meant. `wanted` says what it should hold."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(name, value, wanted)
        self.name = name
        self.value = value
        self.wanted = wanted

    def __str__(self) -> str:
        return f"the environment variable {self.name} is {self.value!r}, not {self.wanted}"


@dataclass(frozen=True)
class Environment:
    """Typed access to environment variables."""

    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def text(self, name: str, default: str | None = None) -> str:
        """Return the variable, or `default` if it is unset or empty. Raises `MissingVariable`."""
        value = self.variables.get(name, "") or default
        if value is None:
            raise MissingVariable(name)
        return value

    def number(
        self, name: str, default: int | None = None, *, at_least: int = 0, at_most: int | None = None
    ) -> int:
        """Return the variable as a whole number within these bounds. Raises `InvalidVariable`."""
        text = self.text(name, None if default is None else str(default))
        wanted = f"{at_least} or more" if at_most is None else f"{at_least} to {at_most}"
        try:
            value = int(text)
        except ValueError:
            value = at_least - 1
        if value < at_least or (at_most is not None and value > at_most):
            raise InvalidVariable(name, text, f"a whole number of {wanted}")
        return value

    def choice(self, name: str, *choices: str) -> str:
        """Return the variable, one of `choices`; unset is the first. Raises `InvalidVariable`."""
        text = self.text(name, choices[0])
        if text not in choices:
            raise InvalidVariable(name, text, " or ".join(choices))
        return text

    def words(self, name: str, default: str | None = None) -> tuple[str, ...]:
        """Return a comma-separated list, without blanks and empty entries."""
        return tuple(word.strip() for word in self.text(name, default).split(",") if word.strip())


RETENTION_DAYS = 35
"""How long a notification is kept after its last start or failure, and what else is kept of it: replies,
threads, recoveries, changes of identity. Unless the deployment says otherwise."""

MIN_RETENTION_DAYS = 15
"""A dead letter lies 14 days in its queue from its move, and needs its record for as long. What is kept less
than WhatsApp keeps messages for an offline phone (30 days) can't be sent again to one that can't read it."""

MAX_RETENTION_DAYS = 365


@dataclass(frozen=True)
class StoreConfig:
    """Where keys and notifications lie, what unseals the keys, and how long notifications are kept.
    `on_number_moved`: `hold` what is for a number that belongs to somebody else by now, or `send` it."""

    keys_table: str
    notifications_table: str
    sealing_secret_arn: str
    retention_days: int = RETENTION_DAYS
    on_number_moved: str = "hold"

    @classmethod
    def read(cls, environment: Environment) -> StoreConfig:
        """Read what every function with rights on the keys table needs."""
        return cls(
            keys_table=environment.text("KEYS_TABLE"),
            notifications_table=environment.text("NOTIFICATIONS_TABLE"),
            sealing_secret_arn=environment.text("SEALING_SECRET_ARN"),
            retention_days=retention_days(environment),
            on_number_moved=environment.choice("ON_NUMBER_MOVED", "hold", "send"),
        )


def retention_days(environment: Environment) -> int:
    """Return for how many days records are kept. Raises `InvalidVariable`."""
    return environment.number(
        "RETENTION_DAYS", RETENTION_DAYS, at_least=MIN_RETENTION_DAYS, at_most=MAX_RETENTION_DAYS
    )


@dataclass(frozen=True)
class SendConfig:
    """What `send_notification` needs."""

    stores: StoreConfig
    texts_secret_arn: str
    notifications_queue_url: str
    dead_letters_queue_url: str
    attachments_bucket: str = ""

    @classmethod
    def read(cls, environment: Environment | None = None) -> SendConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            stores=StoreConfig.read(environment),
            texts_secret_arn=environment.text("TEXTS_SECRET_ARN"),
            notifications_queue_url=environment.text("NOTIFICATIONS_QUEUE_URL"),
            dead_letters_queue_url=environment.text("DEAD_LETTERS_QUEUE_URL"),
            attachments_bucket=environment.text("ATTACHMENTS_BUCKET", ""),
        )


@dataclass(frozen=True)
class ReceiveConfig:
    """What `receive_stanza` needs."""

    stores: StoreConfig
    texts_secret_arn: str
    stanzas_queue_url: str
    notifications_queue_url: str
    dead_letters_queue_url: str

    @classmethod
    def read(cls, environment: Environment | None = None) -> ReceiveConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            stores=StoreConfig.read(environment),
            texts_secret_arn=environment.text("TEXTS_SECRET_ARN"),
            stanzas_queue_url=environment.text("STANZAS_QUEUE_URL"),
            notifications_queue_url=environment.text("NOTIFICATIONS_QUEUE_URL"),
            dead_letters_queue_url=environment.text("DEAD_LETTERS_QUEUE_URL"),
        )


@dataclass(frozen=True)
class ReceiptsConfig:
    """What `record_receipts` needs."""

    stores: StoreConfig
    receipts_queue_url: str
    stanzas_queue_url: str

    @classmethod
    def read(cls, environment: Environment | None = None) -> ReceiptsConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            stores=StoreConfig.read(environment),
            receipts_queue_url=environment.text("RECEIPTS_QUEUE_URL"),
            stanzas_queue_url=environment.text("STANZAS_QUEUE_URL"),
        )


@dataclass(frozen=True)
class PlanConfig:
    """What `plan_notifications` needs. `file_hosts`: whose files may be fetched; `loopback`: those of this
    machine as well, for a stack that runs on it."""

    notifications_table: str
    texts_secret_arn: str
    notifications_queue_url: str
    ticket_events_dead_queue_url: str
    dead_letters_queue_url: str
    accounts: tuple[str, ...]
    default_region: str
    default_language: str
    default_area: str = ""
    attachments_bucket: str = ""
    clickable_customer_links: bool = False
    retention_days: int = RETENTION_DAYS
    file_hosts: tuple[str, ...] = ()
    loopback: bool = False
    keys_table: str = ""

    @classmethod
    def read(cls, environment: Environment | None = None) -> PlanConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            notifications_table=environment.text("NOTIFICATIONS_TABLE"),
            texts_secret_arn=environment.text("TEXTS_SECRET_ARN"),
            notifications_queue_url=environment.text("NOTIFICATIONS_QUEUE_URL"),
            ticket_events_dead_queue_url=environment.text("TICKET_EVENTS_DEAD_QUEUE_URL"),
            dead_letters_queue_url=environment.text("DEAD_LETTERS_QUEUE_URL"),
            accounts=environment.words("ACCOUNTS", "default"),
            default_region=environment.text("DEFAULT_REGION", "ID"),
            default_language=environment.text("DEFAULT_LANGUAGE", "id"),
            default_area=environment.text("DEFAULT_AREA", ""),
            attachments_bucket=environment.text("ATTACHMENTS_BUCKET", ""),
            clickable_customer_links=environment.choice("CUSTOMER_LINKS", "plain", "clickable")
            == "clickable",
            retention_days=retention_days(environment),
            file_hosts=environment.words("FILE_HOSTS", ","),
            loopback=environment.choice("TIMING", "aws", "trial") == "trial",
            keys_table=environment.text("KEYS_TABLE"),
        )


@dataclass(frozen=True)
class PublishConfig:
    """What `publish_outcomes` needs. `hooks_queue_url`: empty where the stack has no outcome webhooks;
    `form`: of the outcomes on the bus, `plain` or `cloudevents`."""

    event_bus_name: str
    texts_secret_arn: str
    notifications_table: str = ""
    keys_table: str = ""
    retention_days: int = RETENTION_DAYS
    hooks_queue_url: str = ""
    stack: str = "tocsin"
    form: str = "plain"

    @classmethod
    def read(cls, environment: Environment | None = None) -> PublishConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            environment.text("EVENT_BUS_NAME"),
            environment.text("TEXTS_SECRET_ARN"),
            environment.text("NOTIFICATIONS_TABLE"),
            environment.text("KEYS_TABLE"),
            retention_days(environment),
            environment.text("HOOKS_QUEUE_URL", ""),
            environment.text("STACK_NAME", "tocsin"),
            environment.choice("OUTCOME_FORM", "plain", "cloudevents"),
        )


@dataclass(frozen=True)
class DoorConfig:
    """What `receive_webhook` needs."""

    keys_table: str
    notifications_table: str
    texts_secret_arn: str
    event_bus_name: str
    event_source: str
    ticket_events_dead_queue_url: str
    default_region: str = "ID"
    default_area: str = ""
    attachments_bucket: str = ""

    @classmethod
    def read(cls, environment: Environment | None = None) -> DoorConfig:
        """Read the environment of the function. Raises `MissingVariable`."""
        environment = environment or Environment()
        return cls(
            keys_table=environment.text("KEYS_TABLE"),
            notifications_table=environment.text("NOTIFICATIONS_TABLE"),
            texts_secret_arn=environment.text("TEXTS_SECRET_ARN"),
            event_bus_name=environment.text("EVENT_BUS_NAME"),
            event_source=environment.text("EVENT_SOURCE"),
            ticket_events_dead_queue_url=environment.text("TICKET_EVENTS_DEAD_QUEUE_URL"),
            default_region=environment.text("DEFAULT_REGION", "ID"),
            default_area=environment.text("DEFAULT_AREA", ""),
            attachments_bucket=environment.text("ATTACHMENTS_BUCKET", ""),
        )


@dataclass(frozen=True)
class MaintainConfig:
    """What `maintain_sessions` needs."""

    stores: StoreConfig
    notifications_queue_url: str
    dead_letters_queue_url: str
    accounts: tuple[str, ...]
    ticket_events_queue_url: str = ""
    self_test: str = "off"

    @classmethod
    def read(cls, environment: Environment | None = None) -> MaintainConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            stores=StoreConfig.read(environment),
            notifications_queue_url=environment.text("NOTIFICATIONS_QUEUE_URL"),
            dead_letters_queue_url=environment.text("DEAD_LETTERS_QUEUE_URL"),
            accounts=environment.words("ACCOUNTS", "default"),
            ticket_events_queue_url=environment.text("TICKET_EVENTS_QUEUE_URL"),
            self_test=environment.choice("SELF_TEST", "off", "hourly", "daily"),
        )
