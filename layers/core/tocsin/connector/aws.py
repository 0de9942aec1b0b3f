"""The AWS services the connector calls, each client made when first needed, each call in a thread.

botocore alone: boto3 adds nothing here but memory. Every call has a short timeout; who calls decides whether
to try again.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from sys import intern
from typing import Any, ParamSpec, TypeVar

import botocore.session
from botocore.config import Config as ClientConfig
from botocore.loaders import JSONFileLoader, Loader

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8

CONNECT_SECONDS = 2
READ_SECONDS = 5


SERVICES = ("dynamodb", "events", "lambda", "secretsmanager", "sqs")
"""All that are called. To find out by itself what else there is, botocore would look into 400 folders."""

PROSE = frozenset({"documentation", "examples"})
"""What a description of a service holds for people: more than half of it, kept in memory for good."""


class WithoutProse(JSONFileLoader):  # type: ignore[misc]
    """Loads descriptions of services without their documentation."""

    def load_file(self, file_path: str) -> Any:
        """The content of `file_path`, a name without its `.json`, packed or not; None: there is none."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            if os.path.isfile(file_path + ending):
                with opened(file_path + ending, "rb") as file:
                    is_service = os.path.basename(file_path).startswith("service-")
                    hook = _without_prose if is_service else None
                    return json.loads(file.read(), object_pairs_hook=hook)
        return None


class FewServices(Loader):  # type: ignore[misc]
    """Knows by itself what there is."""

    def list_available_services(self, type_name: str) -> list[str]:
        return list(SERVICES)


def _without_prose(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {intern(name): value for name, value in pairs if name not in PROSE}


class Aws:
    """Clients by service name, shared between threads, as botocore allows."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()
        self._session.register_component("data_loader", FewServices(file_loader=WithoutProse()))
        self._clients: dict[str, Any] = {}
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")

    def client(self, service: str) -> Any:
        """Make or return a client. Call it from one thread: making one is not thread-safe."""
        if service not in self._clients:
            settings = ClientConfig(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=THREADS + 2,
            )
            self._clients[service] = self._session.create_client(service, config=settings)
        return self._clients[service]

    def impatient_client(self, service: str) -> Any:
        """A client of its own, whose calls fail early and once: for the heartbeat, late is never."""
        settings = ClientConfig(
            connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1}
        )
        return self._session.create_client(service, config=settings)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, lambda: function(*args, **kwargs))

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
