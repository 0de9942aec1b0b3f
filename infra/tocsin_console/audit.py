"""Who did what by the command line: a line beside what was done, which the page shows too."""

from __future__ import annotations

import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin.notify.store.audit import AuditLine
from tocsin.timestamps import from_seconds
from tocsin_console.deployment import Deployment
from tocsin_console.output import complain
from tocsin_console.settings import operator


def note(
    deployment: Deployment, what: str, *, count: int = 1, clock: Callable[[], float] = time.time
) -> None:
    """Write down that somebody did something. `what`: without texts and whole numbers; `count`: of how many.

    It is done by then: if it can't be written down, that is said, and the command goes on."""
    line = AuditLine(from_seconds(clock()), operator(deployment), what, count)
    try:
        deployment.stores.audit.add(line)
    except (BotoCoreError, ClientError, TableError) as error:
        complain(f"tocsin: it is done, but who did it could not be written down ({type(error).__name__})")
