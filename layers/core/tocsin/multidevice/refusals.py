"""What a refusal means: the server's ack codes and IQ errors, and the connector's answers.

One table per source. A code that stands in none of them is `refused`, permanently: an unknown answer
is no reason to write to somebody again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tocsin.connector_client.errors import (
    AckTimeout,
    ConnectorAway,
    ConnectorError,
    IncarnationRefused,
    IqError,
    KeyUsed,
    LeaseMoved,
    LeaseUntrusted,
    NotConnected,
    ProtocolRefused,
    Refused,
    RequestTimeout,
    Restricted,
    Resuming,
    UploadFailed,
    UploadRefused,
)
from tocsin.connector_client.protocol import (
    ACCOUNT_LIMIT_SECONDS,
    CAPPED,
    COLD,
    LOCKED,
    NEW_CHAT_QUOTA,
    RATE_LIMIT_SECONDS,
    RESTRICTION_SECONDS,
    UNAUTHORIZED,
    VERDICT,
    VERDICT_UNTIL,
)
from tocsin.notify.cold import refusal
from tocsin.notify.failure import Bug, Failure, Permanent, Recover, Retry, Wait
from tocsin.pace.causes import BY_CONNECTOR
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.node import Node

FORBIDDEN_PAUSE_SECONDS = 5 * 60
"""Before the one try more after a 403. What is for the same person stands behind it meanwhile, so it is no
longer: a refusal of one message says nothing of the next."""


@dataclass(frozen=True)
class Rule:
    """What one error code means the first time, and what it means when it comes back.

    `pause_seconds` is only read for `Wait`; `again` is the class of the second time (`None`: the
    same as the first).
    """

    code: str
    first: type[Failure]
    again: type[Failure] | None = None
    pause_seconds: int = 0


# Error codes in the ack of a message to one person.
ACK_RULES: dict[int, Rule] = {
    400: Rule("malformed", Recover, again=Permanent),
    401: Rule("not-authorized", Permanent),
    403: Rule("forbidden", Wait, again=Permanent, pause_seconds=FORBIDDEN_PAUSE_SECONDS),
    404: Rule("unknown-recipient", Recover, again=Permanent),
    405: Rule("not-allowed", Recover, again=Permanent),
    406: Rule("not-acceptable", Permanent),
    408: Rule("server-timeout", Retry),
    410: Rule("gone", Permanent),
    419: Rule("resource-limit", Wait, pause_seconds=ACCOUNT_LIMIT_SECONDS),
    420: Rule("refused", Permanent),
    421: Rule("stale-addressing", Recover, again=Permanent),
    423: Rule("locked", Wait, pause_seconds=ACCOUNT_LIMIT_SECONDS),
    429: Rule("rate-limited", Wait, pause_seconds=RATE_LIMIT_SECONDS),
    463: Rule("first-contact-restricted", Wait, pause_seconds=RESTRICTION_SECONDS),
    475: Rule("first-contact-quota", Wait, pause_seconds=RESTRICTION_SECONDS),
    479: Rule("stale-devices", Recover, again=Permanent),
    500: Rule("server-error", Retry),
    503: Rule("server-error", Retry),
    530: Rule("server-error", Retry),
}

# A group refuses for reasons of its own: 403 means "not a member" or "admins only", and stays so.
GROUP_ACK_RULES: dict[int, Rule] = {**ACK_RULES, 403: Rule("forbidden", Permanent)}

# Error codes of an IQ (device list, bundles, number check).
QUERY_RULES: dict[int, Rule] = {
    401: Rule("not-authorized", Permanent),
    403: Rule("forbidden", Permanent),
    404: Rule("unknown-recipient", Permanent),
    405: Rule("not-allowed", Permanent),
    406: Rule("not-acceptable", Permanent),
    408: Rule("server-timeout", Retry),
    410: Rule("gone", Permanent),
    419: Rule("resource-limit", Wait, pause_seconds=ACCOUNT_LIMIT_SECONDS),
    423: Rule("locked", Wait, pause_seconds=ACCOUNT_LIMIT_SECONDS),
    429: Rule("rate-limited", Wait, pause_seconds=RATE_LIMIT_SECONDS),
    500: Rule("server-error", Retry),
    503: Rule("server-error", Retry),
    530: Rule("server-error", Retry),
}

# What the connector holds back because of an earlier refusal is named as that one was.
RESTRICTED_CODES = {"first-contacts": "first-contact-restricted", "messages": "rate-limited"}
QUOTA = "first-contact-quota"

# What the connector found out about a refused first contact, by its word on the ack.
VERDICT_CODES = {LOCKED: "first-contact-restricted", CAPPED: QUOTA}

REFUSED = Rule("refused", Permanent)


def failure_of_ack(code: int, *, group: bool, earlier: Collection[str], now: int) -> Failure:
    """Return what the error `code` of a message's ack means.

    `earlier` holds the codes of this notification's earlier attempts, since some refusals are worth one
    repair and no more. `now` is in ms.
    """
    rules = GROUP_ACK_RULES if group else ACK_RULES
    return _apply(rules.get(code, REFUSED), f"the server answered {code}", earlier, now)


def failure_of_verdict(ack: Node) -> Failure | None:
    """Return what a refused message means, by what the connector asked WhatsApp about the account; `None` if
    it asked nothing, as a connector of before does."""
    word, until = ack.attrs.get(VERDICT), ack.attrs.get(VERDICT_UNTIL)
    if word == COLD:
        return refusal("WhatsApp doesn't let the account write to them first")
    code = VERDICT_CODES.get(str(word))
    if code is None or not isinstance(until, str) or not until.isdecimal():
        return None
    return Wait(code, "told by WhatsApp", due_at=from_seconds(int(until)))


def failure_of_query(
    code: int, text: str, *, backoff: int = 0, earlier: Collection[str], now: int
) -> Failure:
    """Return what the error `code` of an IQ means. `backoff` is the delay the server asked for, in s."""
    failure = _apply(
        QUERY_RULES.get(code, REFUSED), f"the query was answered {code} {text}".strip(), earlier, now
    )
    if isinstance(failure, Retry):
        failure.not_before = backoff
    return failure


def failure_of_answer(error: WireError, *, earlier: Collection[str] = (), now: int) -> Failure:
    """Return what an answer means that refuses a part of what was asked, or that can't be read.

    A device query is refused within a result: the limit on such queries is told there and nowhere else.
    """
    from tocsin.whatsapp.iq import IqRefused

    if isinstance(error, IqRefused):
        return failure_of_query(error.code, error.text, backoff=error.backoff or 0, earlier=earlier, now=now)
    return Retry("malformed-answer", str(error))


def _apply(rule: Rule, detail: str, earlier: Collection[str], now: int) -> Failure:
    chosen = rule.again if rule.again is not None and rule.code in earlier else rule.first
    if issubclass(chosen, Wait):
        return chosen(rule.code, detail, due_at=now + rule.pause_seconds * 1000)
    return chosen(rule.code, detail)


# What the connector's client raises. Where nothing was handed over, the account waits; where the outcome is
# unknown, the same message id goes out again, which the recipient's phone folds.
CONNECTOR_RULES: dict[type[ConnectorError], type[Failure]] = {
    ConnectorAway: Wait,
    LeaseUntrusted: Wait,
    ProtocolRefused: Wait,
    NotConnected: Wait,
    LeaseMoved: Wait,
    Resuming: Wait,
    Restricted: Wait,
    IncarnationRefused: Recover,
    KeyUsed: Recover,
    AckTimeout: Retry,
    RequestTimeout: Retry,
    UploadFailed: Retry,
    UploadRefused: Permanent,
}


def failure_of_connector(error: ConnectorError, *, earlier: Collection[str] = (), now: int) -> Failure:
    """Return what an answer of the connector, or its silence, means for a notification."""
    if isinstance(error, IqError):
        return failure_of_query(error.error, error.text, backoff=error.backoff or 0, earlier=earlier, now=now)
    if isinstance(error, Restricted):
        own = error.limit in BY_CONNECTOR
        code = error.limit if own else RESTRICTED_CODES.get(error.limit, error.code)
        code = QUOTA if error.cause == NEW_CHAT_QUOTA else code
        return Wait(code, str(error), due_at=from_seconds(error.until) if error.until else None)
    if isinstance(error, Refused) and error.code == UNAUTHORIZED:
        # The token is as old as the remembered profile: after a new pairing both are read again.
        return Recover(error.code, str(error))
    return CONNECTOR_RULES.get(type(error), Bug)(error.code, str(error))
