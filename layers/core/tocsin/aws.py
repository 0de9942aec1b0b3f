"""Clients of AWS, with patience fit for a Lambda."""

from __future__ import annotations

from typing import Any

CONNECT_SECONDS = 2
READ_SECONDS = 10
TRIES = 4


def client(service: str) -> Any:
    """A boto3 client that notices within seconds that nobody answers, and tries again."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": TRIES},
        ),
    )
