"""The environment of `deliver_webhooks`."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.notify.config import Environment


@dataclass(frozen=True)
class HooksConfig:
    """What it needs. `stack`: whose outcomes they are; `loopback`: whether endpoints on this machine count,
    for a stack that runs on it."""

    notifications_table: str
    keys_table: str
    texts_secret_arn: str
    queue_url: str
    stack: str
    loopback: bool = False

    @classmethod
    def read(cls, environment: Environment | None = None) -> HooksConfig:
        """Read the environment of the function. Raises `MissingVariable`, `InvalidVariable`."""
        environment = environment or Environment()
        return cls(
            notifications_table=environment.text("NOTIFICATIONS_TABLE"),
            keys_table=environment.text("KEYS_TABLE"),
            texts_secret_arn=environment.text("TEXTS_SECRET_ARN"),
            queue_url=environment.text("HOOKS_QUEUE_URL"),
            stack=environment.text("STACK_NAME", "tocsin"),
            loopback=environment.choice("TIMING", "aws", "trial") == "trial",
        )
