"""Requests of help desks and tools to the function URL become events on the bus, and are answered then.

Most starts are cold ones, and callers give up after some seconds, so only what every request needs is
imported here."""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.bootstrap import receive_webhook as bootstrap
from tocsin.door.answer import Answer, json_answer
from tocsin.door.door import Door, Told
from tocsin.door.request import BadRequest, request_of
from tocsin.notify.config import DoorConfig
from tocsin.telemetry import Telemetry
from tocsin.timestamps import from_seconds

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

WEBHOOK_REFUSED = "webhook-refused"
PLANNER = {"service": "plan_notifications"}

telemetry = Telemetry()
logger = telemetry.logger


@cache
def door() -> Door:
    return bootstrap.door(DoorConfig.read())


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request. Nothing that a caller sent makes it raise; what nobody foresaw is a 500, so that
    the caller tries again, and a bug."""
    try:
        answer, told = answered(event)
    except Exception as error:  # noqa: BLE001 - callers of HTTP are answered, whatever it was
        # Its text is not logged: it may hold what a caller sent.
        logger.error("unforeseen", extra={"error": type(error).__name__, "where": place_of(error)})
        telemetry.bug()
        answer, told = json_answer(500, {"error": "unforeseen"}), Told(status=500, code="unforeseen")
    tell(told)
    return answer.for_lambda()


def answered(event: Mapping[str, Any]) -> tuple[Answer, Told]:
    try:
        request = request_of(event)
    except BadRequest as bad:
        return json_answer(400, {"error": str(bad)}), Told(status=400, code="invalid")
    return door().answer(request, from_seconds(time.time()))


def tell(told: Told) -> None:
    """One line for a request. It holds no path and no query, for secrets stand in some of them."""
    facts = {name: value for name, value in vars(told).items() if value}
    # One alarm watches refused events, whoever refuses them.
    telemetry.count("EventsRefused", int(told.code == WEBHOOK_REFUSED), PLANNER)
    logger.info("request answered", extra={**facts, "took_ms": telemetry.took_ms})


def place_of(error: BaseException) -> str:
    """File and line where an error arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""


gc.freeze()
gc.enable()
