"""`tocsin status`: the accounts and queues of a stack, and what needs attention."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.accounts.challenge import Challenge, read_challenge
from tocsin.accounts.limits import Limit, read_limits
from tocsin.accounts.login_refusal import LoginRefusal, read_refusal
from tocsin.accounts.quota import Quota, read_quota
from tocsin.accounts.state import HEALTHY, AccountState
from tocsin.notify.self_test import SelfTest
from tocsin.notify.waiting import Waiting, lines_of
from tocsin.timestamps import from_seconds
from tocsin_console import account_health, masking, pace, pause, self_test
from tocsin_console.account_names import Named
from tocsin_console.connection import UNREACHABLE, look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NeedsAttention
from tocsin_console.hook_health import hooks_of
from tocsin_console.look import depth
from tocsin_console.output import Output, how_long, json_moment, moment

SHOWN_LINES = 5
"""Lines of recipients that stand, which are named one by one."""

LETTERS = "dead letters"
MAX_LOOKED_AT = 200
"""Dead letters. Of more, those that ask for nothing are a few, and a look takes long."""

# Each queue, and the output of the stack that holds its URL. Those of webhooks may not be there.
QUEUES = {
    "ticket events": "TicketEventsQueueUrl",
    "notifications": "NotificationsQueueUrl",
    "stanzas": "StanzasQueueUrl",
    "receipts": "ReceiptsQueueUrl",
    "webhooks": "HooksQueueUrl",
    LETTERS: "DeadLettersQueueUrl",
    "dead ticket events": "TicketEventsDeadQueueUrl",
    "dead stanzas": "StanzasDeadQueueUrl",
    "dead receipts": "ReceiptsDeadQueueUrl",
    "dead outcomes": "OutcomesDeadQueueUrl",
    "dead webhooks": "HooksDeadQueueUrl",
}

# What to do about messages in a queue that should be empty.
REMEDIES = {
    LETTERS: "tocsin dead-letters list",
    "dead ticket events": "tocsin dead-letters list --queue events",
    "dead stanzas": "a receipt or a reply may be missing; the log of receive_stanza says why",
    "dead receipts": "a notification's state may lag behind; the log of record_receipts says why",
    "dead outcomes": "outcome events never reached the bus; the log of publish_outcomes says why",
    "dead webhooks": "the log of deliver_webhooks says why; then: tocsin hooks resend --crashed",
}

# What to do about an account that is not connected.
ADVICE: Mapping[str, str] = {
    AccountState.UNPAIRED: "link it: tocsin pair",
    AccountState.PAIRING: "it is being linked; a new 'tocsin pair' takes over",
    AccountState.CONNECTING: "if this lasts, the connector's log says why",
    AccountState.RESUMING: "waiting notifications are sent first; new ones follow",
    AccountState.LOGGED_OUT: "it was unlinked on the phone; link it again: tocsin pair",
    AccountState.REPLACED: "another program uses the same keys; stop it, then: tocsin reconnect",
    AccountState.STOPPED: "no connector holds it; is the service running?",
    AccountState.RESTRICTED: "what may not be sent waits; notifications are sent when the restriction ends",
}


STOPPED_ITSELF = "it doesn't try again for now; once the cause is gone: tocsin reconnect"
"""About an account that is stopped though a connector holds it."""


@dataclass(frozen=True)
class AccountStatus:
    """One account. `last_state`: what its connector last wrote; `since`: when `state` began, in seconds, None
    if unknown; `waiting`: parked notifications by cause; `standing`: those of them that hold up others to the
    same recipient, the longest lines first; `limits`: active WhatsApp restrictions;
    `self_test`: its last self-test; `paused`: what an operator stopped, `pace`: how much it writes and what
    that holds back, in sentences; `quota`: of new chats, as WhatsApp told it last; `refusal`: what WhatsApp
    said when it refused the login, unless it has accepted one since; `challenge`: whether it asked for a
    security check lately; `now`: seconds; `named`: its number and name; `last_receipt`: when
    the last receipt of a delivery or a reading came, in ms, to within some minutes."""

    account: str
    state: str
    last_state: AccountState
    detail: str
    since: int | None
    connector: str | None
    epoch: int
    silent_for: float | None = None
    waiting: Mapping[str, int] = field(default_factory=dict)
    standing: Sequence[Waiting] = ()
    limits: Sequence[Limit] = ()
    self_test: SelfTest | None = None
    paused: Sequence[str] = ()
    pace: Sequence[str] = ()
    quota: Quota | None = None
    refusal: LoginRefusal | None = None
    challenge: Challenge | None = None
    now: float = 0.0
    named: Named | None = None
    last_receipt: int | None = None

    @property
    def label(self) -> str:
        """The account with its number and name."""
        return self.named.label if self.named is not None else self.account

    @property
    def health(self) -> list[str]:
        """What WhatsApp told of the account, a line each."""
        lines = [account_health.limit_sentence(limit) for limit in self.limits]
        if self.quota is not None and self.quota.is_warning(self.now):
            lines.append(account_health.quota_sentence(self.quota))
        if self.challenge is not None:
            lines.append(account_health.challenge_sentence(self.challenge, self.now))
        if self.refusal is not None:
            lines += account_health.refusal_lines(self.refusal)
        return lines

    @property
    def advice(self) -> str:
        """What to print about it; empty if all is well."""
        if self.state == UNREACHABLE:
            return self._unreachable()
        said = self.detail if self.state != AccountState.CONNECTED else ""
        advice = ADVICE.get(self.state, "")
        if self.state == AccountState.STOPPED and self.refusal is not None:
            advice = account_health.OPEN_PHONE
        elif self.state == AccountState.STOPPED and self.connector is not None:
            advice = STOPPED_ITSELF
        return "; ".join(filter(None, (said, advice if advice != said else "")))

    def _unreachable(self) -> str:
        last = f"its last state was {self.last_state}"
        if self.silent_for is None:
            return f"its connector is gone; another takes over as soon as one runs; {last}"
        return (
            f"its connector has been silent for {how_long(self.silent_for)}: is the service running? {last}"
        )

    @property
    def well(self) -> bool:
        return self.state in HEALTHY

    def to_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            **(self.named or Named(self.account)).to_json(),
            "state": self.state,
            "last_state": self.last_state,
            "detail": self.detail,
            "since": json_moment(from_seconds(self.since or 0)),
            "connector": self.connector,
            "epoch": self.epoch,
            "last_receipt": json_moment(self.last_receipt),
            "silent_for": None if self.silent_for is None else round(self.silent_for),
            "waiting": sum(self.waiting.values()),
            "waiting_for": dict(self.waiting),
            "standing": [{"in_front": one.row.notification, "behind": one.behind} for one in self.standing],
            "limits": [account_health.limit_json(one) for one in self.limits],
            "quota": account_health.quota_json(self.quota),
            "refusal": account_health.refusal_json(self.refusal),
            "challenge": account_health.challenge_json(self.challenge),
            "self_test": self_test.to_json(self.self_test) or None,
            "paused": list(self.paused),
            "pace": list(self.pace),
            "well": self.well,
        }


def show(
    deployment: Deployment,
    output: Output,
    *,
    check: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print accounts and queues. With `check`, raises NeedsAttention if one of them needs attention."""
    accounts = [account_status(deployment, name, clock) for name in deployment.accounts]
    queues = depths(deployment, clock)
    hooks = hooks_of(deployment) or []
    output.record(
        {
            "accounts": [account.to_json() for account in accounts],
            "queues": queues,
            "webhooks": [hook.to_json() for hook in hooks],
        }
    )
    _print_accounts(accounts, output)
    output.say()
    output.table(
        ["QUEUE", "MESSAGES", "IN FLIGHT"], [(name, *found.values()) for name, found in queues.items()]
    )
    troubled = [name for name in REMEDIES if any(queues.get(name, {}).values())]
    sick = [hook for hook in hooks if not hook.well]
    if troubled or sick:
        output.say()
    for name in troubled:
        output.say(f"{name}: {REMEDIES[name]}")
    for hook in sick:
        output.say(f"webhooks: {hook.sentence}; {hook.mend}")
    if check:
        _demand(accounts, troubled)


def depths(
    deployment: Deployment,
    clock: Callable[[], float] = time.time,
    open_letters: Callable[[int], int] | None = None,
) -> dict[str, dict[str, int]]:
    """What each queue holds, by its name in `QUEUES`; of the dead letters only those that are open, unless
    they are too many to be looked at. `open_letters`: says how many are open of so many, in place of a
    look."""
    found = {
        name: depth(deployment.sqs, deployment[key])
        for name, key in QUEUES.items()
        if key in deployment.outputs
    }
    letters = sum(found.get(LETTERS, {}).values())
    if 0 < letters <= MAX_LOOKED_AT:
        count = open_letters(letters) if open_letters else deployment.redriver(clock).count_open()
        found[LETTERS] = {"messages": count, "in_flight": 0}
    return found


def _print_accounts(accounts: list[AccountStatus], output: Output) -> None:
    output.table(
        ["ACCOUNT", "STATE", "SINCE", "LAST RECEIPT", "WAITING", "EPOCH", "CONNECTOR"],
        [
            (
                item.label,
                item.state,
                moment((item.since or 0) * 1000),
                moment(item.last_receipt),
                sum(item.waiting.values()),
                item.epoch,
                item.connector or "-",
            )
            for item in accounts
        ],
    )
    for account in accounts:
        if account.advice:
            output.say(f"{account.account}: {account.advice}")
        for sentence in (*account.health, *account.paused, *account.pace):
            output.say(f"{account.account}: {sentence}")
        if account.waiting:
            causes = ", ".join(f"{number} {cause}" for cause, number in account.waiting.items())
            output.say(f"{account.account}: waiting, and sent when the cause ends: {causes}")
        for head in account.standing[:SHOWN_LINES]:
            output.say(f"{account.account}: {_standing(head)}")
        if len(account.standing) > SHOWN_LINES:
            output.say(f"{account.account}: {len(account.standing)} such lines: tocsin waiting list --heads")
        if account.self_test is not None:
            output.say(f"{account.account}: self-test: {self_test.sentence(account.self_test)}")


def _standing(head: Waiting) -> str:
    row = head.row
    until = f" until {moment(row.due_at)}" if row.due_at else ""
    return (
        f"{head.behind} to {masking.phone(row.recipient)} wait behind {row.notification}, which waits for "
        f"{row.cause}{until}"
    )


def _demand(accounts: list[AccountStatus], troubled: list[str]) -> None:
    """Raises NeedsAttention, saying of what."""
    sick = [f"account {account.account} is {account.state}" for account in accounts if not account.well]
    if sick or troubled:
        raise NeedsAttention("; ".join([*sick, *(f"{name} aren't empty" for name in troubled)]))


def account_status(deployment: Deployment, name: str, clock: Callable[[], float]) -> AccountStatus:
    connection = look(deployment.keys_table, name, clock)
    lease = connection.lease
    rows = list(deployment.stores.parking.waiting(name))
    waiting = Counter(row.cause for row in rows).most_common()
    lines = lines_of(rows, from_seconds(clock()))
    return AccountStatus(
        name,
        connection.state,
        connection.last_state,
        lease.detail if lease is not None else "no connector has held it yet",
        connection.since,
        lease.connector if lease is not None else None,
        lease.epoch if lease is not None else 0,
        connection.silent_for,
        dict(waiting),
        sorted((one for one in lines if one.behind), key=lambda one: -one.behind),
        list(read_limits(deployment.keys_table, name, clock()).values()),
        self_test.last_of(deployment, name, clock()),
        pause.sentences(deployment, name),
        pace.sentences(deployment, name, rows, clock()),
        read_quota(deployment.keys_table, name),
        read_refusal(deployment.keys_table, name),
        read_challenge(deployment.keys_table, name, clock()),
        clock(),
        deployment.names.of(name),
        deployment.stores.hours.last_receipt(name),
    )
