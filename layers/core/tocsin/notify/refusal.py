"""What a refusal means: the server's ack codes and IQ errors, and the connector's answers.

One table per source. A code that stands in none of them is `refused`, permanently: an unknown answer
is no reason to write to somebody again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait

MINUTE = 60
HOUR = 3600

RATE_LIMIT_PAUSE_SECONDS = 15 * MINUTE
FORBIDDEN_PAUSE_SECONDS = 2 * HOUR
LIMIT_PAUSE_SECONDS = HOUR
# The block on new chats is counted in days, and every attempt while it lasts makes it worse.
RESTRICTION_PAUSE_SECONDS = 24 * HOUR


@dataclass(frozen=True)
class Rule:
    """What one error code means the first time, and what it means when it comes back.

    `pause` is in seconds and only read for `Wait`; `again` is the class of the second time (`None`: the
    same as the first).
    """

    code: str
    first: type[Failure]
    again: type[Failure] | None = None
    pause: int = 0


# Error codes in the ack of a message to one person.
ACK_RULES: dict[int, Rule] = {
    400: Rule("malformed", Recover, again=Permanent),
    401: Rule("not-authorized", Permanent),
    403: Rule("forbidden", Wait, again=Permanent, pause=FORBIDDEN_PAUSE_SECONDS),
    404: Rule("unknown-recipient", Recover, again=Permanent),
    405: Rule("not-allowed", Recover, again=Permanent),
    406: Rule("not-acceptable", Permanent),
    408: Rule("server-timeout", Retry),
    410: Rule("gone", Permanent),
    419: Rule("resource-limit", Wait, pause=LIMIT_PAUSE_SECONDS),
    420: Rule("refused", Permanent),
    421: Rule("stale-addressing", Recover, again=Permanent),
    423: Rule("locked", Wait, pause=LIMIT_PAUSE_SECONDS),
    429: Rule("rate-limited", Wait, pause=RATE_LIMIT_PAUSE_SECONDS),
    463: Rule("first-contact-restricted", Wait, pause=RESTRICTION_PAUSE_SECONDS),
    475: Rule("first-contact-quota", Wait, pause=RESTRICTION_PAUSE_SECONDS),
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
    419: Rule("resource-limit", Wait, pause=LIMIT_PAUSE_SECONDS),
    423: Rule("locked", Wait, pause=LIMIT_PAUSE_SECONDS),
    429: Rule("rate-limited", Wait, pause=RATE_LIMIT_PAUSE_SECONDS),
    500: Rule("server-error", Retry),
    503: Rule("server-error", Retry),
    530: Rule("server-error", Retry),
}

REFUSED = Rule("refused", Permanent)


def failure_of_ack(code: int, *, group: bool, earlier: Collection[str], now: int) -> Failure:
    """Return what the error `code` of a message's ack means.

    `earlier` holds the codes of this notification's earlier attempts, since some refusals are worth one
    repair and no more. `now` is in Unix seconds.
    """
    rules = GROUP_ACK_RULES if group else ACK_RULES
    return _apply(rules.get(code, REFUSED), f"the server answered {code}", earlier, now)


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


def _apply(rule: Rule, detail: str, earlier: Collection[str], now: int) -> Failure:
    chosen = rule.again if rule.again is not None and rule.code in earlier else rule.first
    if issubclass(chosen, Wait):
        return chosen(rule.code, detail, due=now + rule.pause)
    return chosen(rule.code, detail)


# Answers of the connector, by the names its client gives them (`tocsin.connector.client`).
CONNECTOR_RULES: dict[str, Callable[[str], Failure]] = {
    "ConnectorAway": lambda detail: Wait("connector-away", detail),
    "NotConnected": lambda detail: Wait("not-connected", detail),
    "LeaseMoved": lambda detail: Wait("lease-moved", detail),
    "Resuming": lambda detail: Wait("resuming", detail),
    "IncarnationRefused": lambda detail: Retry("incarnation-refused", detail),
    "AckTimeout": lambda detail: Retry("ack-timeout", detail),
    "RequestTimeout": lambda detail: Retry("query-timeout", detail),
}
