"""Clients of AWS, with patience fit for a Lambda."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any, NamedTuple


class Patience(NamedTuple):
    """How long a client waits for a connection and for an answer, in seconds, and how often it asks."""

    connect_seconds: float
    read_seconds: float
    tries: int


USUAL = Patience(2, 10, 4)

HEARTBEAT = Patience(1, 1, 1)
"""Of what asks again each second by itself."""

CONNECTIONS = 20
"""Kept open at most. A send of ten lanes takes two numbers each at the same time."""

USER_AGENT = "tocsin"
"""Said to AWS with each request. What botocore would say of itself it puts together anew for each, twice: a
sixth of what a request costs."""

VALIDATE = False
"""Whether botocore holds each request against the service's description before it is sent: a tenth of what
one costs. Our own tests have it done, and AWS does it anyway."""

# A session isn't made for threads; the clients that it makes are.
_making = Lock()


def client(service: str, patience: Patience = USUAL) -> Any:
    """A client that notices within seconds that nobody answers, and tries again. It may be used, and made, by
    several threads at a time."""
    from botocore.config import Config

    with _making:
        return _session().create_client(
            service,
            config=Config(
                connect_timeout=patience.connect_seconds,
                read_timeout=patience.read_seconds,
                max_pool_connections=CONNECTIONS,
                user_agent=USER_AGENT,
                parameter_validation=VALIDATE,
                retries={"mode": "standard", "total_max_attempts": patience.tries},
            ),
        )


@cache
def _session() -> Any:
    """What all clients share: credentials and the descriptions of the services. It is botocore's own, for
    boto3 would only add to it what no function uses, and a twentieth of the cold start."""
    from botocore.session import Session

    return Session()
