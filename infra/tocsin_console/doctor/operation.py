"""Checks of how it goes: accounts, restrictions, keys, clocks, queues, settings, rights, and the way out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin.accounts.lease import clock_offsets
from tocsin.accounts.state import LOGGED_IN, AccountState
from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import ITEM_EXISTS, Delete
from tocsin.notify.self_test import AGAIN_AFTER_MS, ARRIVE_WITHIN_MS, PERIODS_MS, Result, SelfTest
from tocsin.settings.changes import Version, read_current
from tocsin_console import account_health, pace, pause, self_test, status
from tocsin_console.connection import UNREACHABLE
from tocsin_console.doctor.checks import Check, Finding, fault, ok, unknown, warning
from tocsin_console.doctor.stack import Deployed
from tocsin_console.look import depth
from tocsin_console.output import counted, how_long, moment
from tocsin_console.status import AccountStatus

FEW_PREKEYS: Final = 20
"""Each new contact takes one away. The connector uploads more long before."""

MAX_CLOCK_SECONDS: Final = 60
"""AWS refuses signatures that are five minutes off; the state of a connector is judged by less."""

MAX_AGE_SECONDS: Final = 900
"""An order or a stanza that has lain for so long isn't being worked on."""

WORKING: Final = ("ticket events", "notifications", "stanzas", "receipts", "webhooks")


# -- accounts ----------------------------------------------------------------------------------------------


def gather_accounts(deployed: Deployed) -> list[AccountStatus]:
    deployment = deployed.deployment
    return [status.account_status(deployment, name, lambda: deployed.now) for name in deployment.accounts]


def judge_accounts(facts: Sequence[AccountStatus]) -> list[Finding]:
    return [_judged(account) for account in facts] or [
        fault("no account is served", "nothing can be sent", "tocsin accounts add NAME")
    ]


_MENDS: Final[Mapping[str, str]] = {
    AccountState.UNPAIRED: "tocsin pair --account {}",
    AccountState.LOGGED_OUT: "tocsin pair --account {}",
    AccountState.REPLACED: "stop the other program with these keys, then: tocsin reconnect --account {}",
    AccountState.STOPPED: "start a connector, or see its log",
    UNREACHABLE: "start a connector, or see its log",
}


def _judged(account: AccountStatus) -> Finding:
    saw = f"{account.label} is {account.state}, since {moment((account.since or 0) * 1000)}"
    waiting = sum(account.waiting.values())
    if waiting:
        saw += f"; waiting: {counted(waiting, 'notifications')}"
    if account.well:
        return ok(saw)
    mend = _MENDS.get(account.state, "see the connector's log if it lasts").format(account.account)
    if account.state == AccountState.STOPPED and account.connector is not None:
        mend = f"remove the cause, then: tocsin reconnect --account {account.account}"
    means = account.advice or "nothing is sent for it meanwhile; notifications wait"
    passing = (AccountState.CONNECTING, AccountState.RESUMING, AccountState.PAIRING, AccountState.RESTRICTED)
    return (warning if account.state in passing else fault)(saw, means, mend)


def judge_restrictions(facts: Sequence[AccountStatus]) -> list[Finding]:
    found = [
        warning(
            f"{account.account}: {account_health.limit_sentence(limit)}",
            "what may not be sent waits, and is sent when the restriction ends",
            "wait; let customers write first (tocsin people invite); send less to strangers",
        )
        for account in facts
        for limit in account.limits
    ]
    for account in facts:
        if account.quota is not None and account.quota.is_warning(account.now):
            saw = f"{account.account}: {account_health.quota_sentence(account.quota)}"
            means = "once they are used up, people who never wrote get nothing until the cycle ends"
            found.append(warning(saw, means, "let customers write first: tocsin people invite"))
        if account.challenge is not None:
            saw = f"{account.account}: {account_health.challenge_sentence(account.challenge, account.now)}"
            means = "a linked device can't answer it; WhatsApp may restrict the account until the owner does"
            found.append(warning(saw, means, "open WhatsApp on the phone and follow its steps"))
        if account.refusal is not None:
            said = "; ".join(account_health.refusal_lines(account.refusal))
            means = "nothing is sent for it; notifications wait"
            found.append(fault(f"{account.account}: {said}", means, account_health.OPEN_PHONE))
    return found or [ok("WhatsApp restricts no account, as far as is known")]


def gather_sending(deployed: Deployed) -> dict[str, list[str]]:
    """Account → what an operator stopped or narrowed, in sentences."""
    deployment = deployed.deployment
    return {
        name: [*pause.sentences(deployment, name), *pace.sentences(deployment, name, (), deployed.now)]
        for name in deployment.accounts
    }


def judge_sending(facts: Mapping[str, Sequence[str]]) -> list[Finding]:
    found = [
        warning(
            f"{account}: {sentence}", "what isn't sent now waits, or was recorded instead", _mend(sentence)
        )
        for account, sentences in facts.items()
        for sentence in sentences
        if any(word in sentence for word in _STOPPED)
    ]
    told = "; ".join(f"{account}: {one}" for account, sentences in facts.items() for one in sentences)
    return found or [ok(told or "nothing is paused, and no budget is half used")]


_STOPPED: Final = ("is paused", "sandbox", "full until")


def _mend(sentence: str) -> str:
    if "is paused" in sentence:
        return "tocsin resume"
    if "sandbox" in sentence:
        return "tocsin settings reset sandbox"
    return "wait, or raise the budget: tocsin settings"


# -- keys --------------------------------------------------------------------------------------------------


def gather_prekeys(deployed: Deployed) -> dict[str, int]:
    """How many one-time prekeys of each linked account are stored."""
    deployment = deployed.deployment
    return {
        account.account: len(deployment.keys_table.keys(f"prekey#{account.account}"))
        for account in gather_accounts(deployed)
        if account.last_state in LOGGED_IN
    }


def judge_prekeys(facts: Mapping[str, int]) -> list[Finding]:
    found = [
        warning(
            f"{account} has {counted(left, 'one-time prekeys')} left",
            "new contacts get sessions without one, and at none left some can't write at all",
            "the connector uploads more at its next login: see its log for 'prekeys'",
        )
        for account, left in facts.items()
        if left < FEW_PREKEYS
    ]
    told = ", ".join(f"{account} has {left}" for account, left in facts.items())
    return found or [ok(told or "no account is logged in")]


# -- clocks ------------------------------------------------------------------------------------------------


def gather_clock(deployed: Deployed) -> dict[str, Any]:
    """`here`: seconds by which this machine is ahead of AWS; `whatsapp`: connector → seconds by which
    WhatsApp is ahead of it."""
    before = time.time()
    answer = deployed.client("sts").get_caller_identity()
    middle = (before + time.time()) / 2
    told = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    return {"here": middle - told - 0.5, "whatsapp": clock_offsets(deployed.deployment.keys_table)}


def judge_clock(facts: Mapping[str, Any]) -> list[Finding]:
    saw = f"this machine's clock is {_off(facts['here'])} AWS's"
    found = []
    if abs(facts["here"]) > MAX_CLOCK_SECONDS:
        means = "connectors are misjudged, pairing requests refused, and at five minutes all requests"
        found.append(fault(saw, means, "set the clock by NTP: timedatectl set-ntp true"))
    for connector, ahead in facts["whatsapp"].items():
        told = f"the clock of connector {connector} is {_off(-ahead)} WhatsApp's"
        saw += f"; {told}"
        if abs(ahead) > MAX_CLOCK_SECONDS:
            means = "times of messages and receipts are wrong by that, and codes to link may be refused"
            mend = "set its machine's clock by NTP (timedatectl set-ntp true); on Fargate, stop its task"
            found.append(fault(told, means, mend))
    return found or [ok(saw)]


def _off(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"


# -- queues ------------------------------------------------------------------------------------------------


def gather_queues(deployed: Deployed) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, counts in status.depths(deployed.deployment, lambda: deployed.now).items():
        url = deployed.deployment[status.QUEUES[name]]
        found[name] = {**counts, "age": _age(deployed, url) if name in WORKING else None}
    return found


def _age(deployed: Deployed, url: str) -> float | None:
    """Of the oldest message, in seconds, as CloudWatch saw it in the last five minutes; None if it didn't."""
    points = deployed.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
        StartTime=deployed.now - 300,
        EndTime=deployed.now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max((float(point["Maximum"]) for point in points), default=None)


def judge_queues(facts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    found = []
    for name in WORKING:
        queue = facts.get(name)
        if queue is None:
            continue
        age = queue["age"]
        if age is not None and age > MAX_AGE_SECONDS:
            saw = f"{name}: {counted(queue['messages'], 'messages')}, the oldest for {how_long(age)}"
            means = "its function can't keep up, or fails on each of them"
            found.append(fault(saw, means, "its log says why; raise its concurrency if it is only busy"))
    told = ", ".join(f"{name} {facts[name]['messages']}" for name in WORKING if name in facts)
    return found or [ok(f"messages: {told}")]


def judge_dead_letters(facts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    found = []
    for name, remedy in status.REMEDIES.items():
        queue = facts.get(name)
        dead = queue["messages"] + queue["in_flight"] if queue is not None else 0
        if dead:
            found.append(warning(f"{name}: {dead}", "something could not be delivered or recorded", remedy))
    return found or [ok("all dead-letter queues are empty")]


# -- settings ----------------------------------------------------------------------------------------------


def gather_settings(deployed: Deployed) -> Version:
    return read_current(deployed.deployment.outside_table)


def judge_settings(current: Version) -> list[Finding]:
    if current.reading.problems:
        saw = f"the stored settings are invalid: {'; '.join(current.reading.problems)}"
        means = "functions and connector go on with the last valid ones"
        return [fault(saw, means, "tocsin settings history, then tocsin settings restore VERSION")]
    own = sum(map(len, current.values.values()))
    found = [ok(f"version {current.number}, {counted(own, 'values')} other than the defaults")]
    if current.reading.unknown:
        saw = f"this version doesn't know {', '.join(current.reading.unknown)}"
        found.append(warning(saw, "they are ignored", "update the console and the stack, or leave them"))
    return found


# -- self-tests --------------------------------------------------------------------------------------------


def gather_self_tests(deployed: Deployed) -> dict[str, Any]:
    """`mode`: the parameter; `now`: ms; `tests`: account → its last one."""
    deployment = deployed.deployment
    return {
        "mode": deployment.parameters.get("SelfTest", "off"),
        "now": int(deployed.now * 1000),
        "tests": {name: self_test.last_of(deployment, name, deployed.now) for name in deployment.accounts},
    }


def judge_self_tests(facts: Mapping[str, Any]) -> list[Finding]:
    period = PERIODS_MS.get(facts["mode"])
    found = [_judged_test(name, test, period, facts["now"]) for name, test in facts["tests"].items()]
    known = [one for one in found if one is not None]
    return known or [ok("off: the parameter SelfTest=hourly has each account write to its own chat")]


def _judged_test(account: str, test: SelfTest | None, period: int | None, now: int) -> Finding | None:
    """`period`: ms between two; `None`: they are made by hand only, and none is missed."""
    again = f"tocsin self-test --account {account}"
    if test is None:
        saw = f"{account}: none was made yet"
        return None if period is None else warning(saw, "nobody knows whether its messages arrive", again)
    saw = f"{account}: {self_test.sentence(test)} ({how_long((now - test.asked_at) / 1000)} ago)"
    if test.result is Result.FAILED:
        means = "notifications of this account may not arrive either"
        return fault(saw, means, f"{self_test.mend(account, test)}; then {again}")
    if test.result is Result.SKIPPED:
        return warning(saw, "nothing can be sent for it", f"tocsin pair --account {account}")
    if period is not None and now - test.asked_at > period + AGAIN_AFTER_MS + ARRIVE_WITHIN_MS:
        return warning(saw, "the next one is overdue", "see the log of maintain_sessions")
    return ok(saw)


# -- rights ------------------------------------------------------------------------------------------------

PROBE: Final = ("doctor#probe", "doctor")
"""An item that is never there."""

_NO_RIGHT = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)


def gather_rights(deployed: Deployed) -> dict[str, str]:
    """Harmless calls with the operator's own rights: what → AWS's refusal, or nothing."""
    deployment = deployed.deployment
    probe = Delete(PROBE, when=(ITEM_EXISTS,))
    function = deployment["MaintainFunctionName"]
    tries: dict[str, Callable[[], object]] = {
        "read the keys table": lambda: deployment.keys_table.get(PROBE),
        "write the keys table": lambda: deployment.keys_table.delete(probe),
        "read the notifications table": lambda: deployment.outside_table.get(PROBE),
        "query the notifications table": lambda: deployment.outside_table.keys(PROBE[0]),
        "write the notifications table": lambda: deployment.outside_table.delete(probe),
        "read the sealing secret": lambda: deployment.sealer,
        "read the queues": lambda: depth(deployment.sqs, deployment["DeadLettersQueueUrl"]),
        "invoke maintain_sessions": lambda: deployed.client("lambda").invoke(
            FunctionName=function, InvocationType="DryRun"
        ),
    }
    return {what: _refusal(attempt) for what, attempt in tries.items()}


def _refusal(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ConditionFailed:
        return ""
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NO_RIGHT:
            raise
        return str(error.response["Error"].get("Message") or error.response["Error"]["Code"])
    return ""


def judge_rights(facts: Mapping[str, str]) -> list[Finding]:
    refused = [what for what, refusal in facts.items() if refusal]
    if not refused:
        return [ok(f"you may {', '.join(facts)}")]
    return [
        warning(
            f"you may not {', '.join(refused)}: {facts[refused[0]][:160]}",
            "some commands of the console will be refused",
            "to operate it, have both policies attached: the outputs OperatorPolicyArn and ViewerPolicyArn",
        )
    ]


# -- from inside -------------------------------------------------------------------------------------------


def gather_inside(deployed: Deployed) -> dict[str, Any]:
    """What maintain_sessions, in the stack's network, reaches: service → what it met."""
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.deployment["MaintainFunctionName"], Payload=json.dumps({"check": True}).encode()
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        return {"failed": str(body.get("errorType", "unknown"))}
    return dict(body)


def judge_inside(facts: Mapping[str, Any]) -> list[Finding]:
    if "failed" in facts:
        saw = f"maintain_sessions fails by itself: {facts['failed']}"
        return [fault(saw, "nothing is resumed or tended", "see the log of maintain_sessions")]
    if "reached" not in facts:
        return [unknown("the stack's version can't look out of its network", "tocsin deploy")]
    found = []
    for service, met in facts["reached"].items():
        if met["failed"]:
            saw = f"{service} ({met['host']}) is not reached: {met['failed']}"
            means = "functions in the VPC can't work"
            found.append(fault(saw, means, "was the network changed by hand? tocsin deploy puts it back"))
    told = ", ".join(f"{service} over {met['family']}" for service, met in facts["reached"].items())
    return found or [ok(f"functions reach {told}")]


CHECKS: Final[Sequence[Check[Deployed]]] = (
    Check("accounts", gather_accounts, judge_accounts),
    Check("restrictions", gather_accounts, judge_restrictions),
    Check("sending", gather_sending, judge_sending),
    Check("prekeys", gather_prekeys, judge_prekeys),
    Check("clock", gather_clock, judge_clock),
    Check("queues", gather_queues, judge_queues),
    Check("dead letters", gather_queues, judge_dead_letters),
    Check("settings", gather_settings, judge_settings),
    Check("self-test", gather_self_tests, judge_self_tests),
    Check("rights", gather_rights, judge_rights),
    Check("from inside", gather_inside, judge_inside),
)
