"""`tocsin self-test`, and what `tocsin status` and `tocsin doctor` tell of self-tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from tocsin.notify.self_test import (
    NO_RECEIPT,
    NOT_PLANNED,
    NOT_SENT,
    Result,
    SelfTest,
    judged,
)
from tocsin_console.audit import note
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, TimedOut
from tocsin_console.output import Output, moment, with_json_moments

POLL_SECONDS: Final = 0.5

MENDS: Final[Mapping[str, str]] = {
    NOT_PLANNED: "see the log of plan_notifications",
    NOT_SENT: "see the log of send_notification",
    NO_RECEIPT: "is the account's phone on and online? if so, see the logs of the connector and of "
    "record_receipts",
}


def mend(account: str, test: SelfTest) -> str:
    """What to do about one that failed."""
    if test.cause in MENDS:
        return MENDS[test.cause]
    if test.notification is None:
        return "tocsin status says what to do about the account"
    return f"tocsin explain {test.notification}"


def last_of(deployment: Deployment, account: str, now: float) -> SelfTest | None:
    """The account's last self-test as it stands at `now` (seconds)."""
    test = deployment.stores.self_tests.get(account)
    if test is None or test.notification is None:
        return test
    return judged(test, deployment.stores.notifications.get(test.notification), int(now * 1000))


def sentence(test: SelfTest) -> str:
    """What became of it."""
    if test.result is Result.ARRIVED:
        return f"arrived at {moment(test.ended_at or test.asked_at)}"
    arrived = f"; one arrived last at {moment(test.arrived_at)}" if test.arrived_at else ""
    asked = f"of {moment(test.asked_at)}"
    if test.result is Result.FAILED:
        return f"the one {asked} failed: {test.cause}{arrived}"
    if test.result is Result.SKIPPED:
        return f"none could be made at {moment(test.asked_at)}: the account isn't linked{arrived}"
    step = "WhatsApp has it, the phone not yet" if test.sent_at else "not sent yet"
    return f"the one {asked} is under way: {step}{arrived}"


def run_once(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    output: Output,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Have one made now, or take the one that is under way, and wait for its result.

    Raises ConsoleError if it failed or none could be made, TimedOut if that isn't known in time.
    """
    test = _ask(deployment, account)
    note(deployment, f"had the account {account} write to its own chat", clock=clock)
    output.say(f"{account}: {sentence(test)}")
    deadline = clock() + wait_seconds
    with output.progress("waiting for the receipt") as progress:
        while test.result is Result.OPEN and clock() < deadline:
            progress.around(sleep)(POLL_SECONDS)
            seen = last_of(deployment, account, clock()) or test
            if sentence(seen) != sentence(test):
                output.say(f"{account}: {sentence(seen)}")
            test = seen
    output.record({"account": account, **to_json(test)})
    if test.result is Result.ARRIVED or (test.result is Result.OPEN and wait_seconds <= 0):
        return
    if test.result is Result.OPEN:
        raise TimedOut(
            f"no result within {wait_seconds:.0f} s: {sentence(test)}. It goes on; see 'tocsin status'"
        )
    if test.result is Result.SKIPPED:
        raise ConsoleError(f"{sentence(test)}: tocsin pair --account {account}")
    raise ConsoleError(f"the self-test failed: {test.cause}; {mend(account, test)}")


def to_json(test: SelfTest | None) -> dict[str, object]:
    return (
        {}
        if test is None
        else {
            **with_json_moments(vars(test), "asked_at", "ended_at", "arrived_at", "sent_at"),
            "result": str(test.result),
        }
    )


def _ask(deployment: Deployment, account: str) -> SelfTest:
    answer = deployment.client("lambda").invoke(
        FunctionName=deployment["MaintainFunctionName"],
        Payload=json.dumps({"self_test": account}).encode(),
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise ConsoleError(f"maintain_sessions failed: {body.get('errorType', 'unknown')}; its log says why")
    if "result" not in body:
        raise ConsoleError("the stack's version makes no self-tests: update it with 'tocsin deploy'")
    return SelfTest(**{**body, "result": Result(body["result"])})
