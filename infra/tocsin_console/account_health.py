"""What WhatsApp told of an account, in words for its operator: restrictions, new chats, refused logins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tocsin.accounts.challenge import Challenge
from tocsin.accounts.limits import (
    COLD_REFUSALS,
    FEW_NEW_CHATS,
    FIRST_CONTACTS,
    LOGIN,
    MESSAGES,
    NEW_CHATS,
    Limit,
)
from tocsin.accounts.login_refusal import LoginRefusal
from tocsin.accounts.quota import CAPPED, SECOND_WARNING, Quota
from tocsin.timestamps import from_seconds
from tocsin_console.output import how_long, json_moment, moment

# Active WhatsApp restrictions, in short. Tocsin does not try to send against one, which would prolong it.
LIMITS = {
    FIRST_CONTACTS: "WhatsApp does not let it write to new contacts",
    NEW_CHATS: "it has used up its new chats",
    COLD_REFUSALS: "several people in a row must write first, so Tocsin writes to no new contacts",
    FEW_NEW_CHATS: "its last new chats are kept for what is urgent",
    MESSAGES: "WhatsApp accepts no messages from it",
    LOGIN: "WhatsApp does not let it log in",
}

# What to do about each.
REMEDIES = {
    FIRST_CONTACTS: "answers and known chats go on; don't try others from here, nothing helps but waiting",
    NEW_CHATS: "answers and known chats go on",
    FEW_NEW_CHATS: "answers and known chats go on; the setting last-new-chats says otherwise",
    COLD_REFUSALS: "send people the link to the chat: tocsin people invite",
    LOGIN: "the phone works, or shows an appeal",
}

# WhatsApp's words for a lock of which more is known.
TYPES = {
    "WEB_COMPANION_ONLY": "the phone itself may still open chats",
    "RESTRICT_ALL_COMPANIONS": "the phone itself may still open chats",
}

# Of which WhatsApp is asked again each hour.
ASKED = (FIRST_CONTACTS, NEW_CHATS)

OPEN_PHONE = "open WhatsApp on the phone and follow its steps; linking again doesn't help before"


def limit_sentence(limit: Limit) -> str:
    """One restriction: what, until when, WhatsApp's word, what to do."""
    said = ", ".join(filter(None, (limit.cause, limit.type)))
    guessed = ", a guess: WhatsApp did not say until when" if limit.guessed else ""
    if limit.guessed and limit.kind in ASKED:
        guessed += ", and is asked each hour"
    told = f"{LIMITS.get(limit.kind, limit.kind)} until {moment(limit.until * 1000)} ({said}){guessed}"
    business = "only the owner can appeal, on the phone" if limit.type.startswith("BIZ_") else ""
    more = filter(None, (REMEDIES.get(limit.kind), TYPES.get(limit.type), business))
    return "; ".join((told, *more))


def limit_json(limit: Limit) -> dict[str, Any]:
    return {
        "limit": limit.kind,
        "cause": limit.cause,
        "until": _json_seconds(limit.until),
        "type": limit.type or None,
        "guessed": limit.guessed,
    }


def quota_sentence(quota: Quota) -> str:
    """How many new chats are used, if that is worth a word."""
    used = "?" if quota.used is None else str(quota.used)
    total = "?" if quota.total is None else str(quota.total)
    until = f" until {moment(quota.cycle_end * 1000)}" if quota.cycle_end is not None else ""
    told = f"{used} of {total} new chats used{until} ({quota.status})"
    if quota.status == CAPPED:
        return (
            f"{told}; no new chats; answers and known chats go on. More is the owner's business, on the phone"
        )
    if quota.status == SECOND_WARNING:
        return f"{told}; keep what is left for what is urgent; people who answer are taken off the count"
    return f"{told}; people who answer are taken off the count"


def challenge_sentence(challenge: Challenge, now: float) -> str:
    """WhatsApp wants to know that it is the owner."""
    said = f" ({challenge.type})" if challenge.type else ""
    since = how_long(max(now - challenge.heard_at, 0))
    return f"WhatsApp asked for a security check{said} {since} ago: open WhatsApp on the phone"


def quota_json(quota: Quota | None) -> dict[str, Any] | None:
    if quota is None:
        return None
    moments = {"cycle_end": _json_seconds(quota.cycle_end), "heard_at": _json_seconds(quota.heard_at)}
    return {**quota._asdict(), **moments}


def challenge_json(challenge: Challenge | None) -> dict[str, Any] | None:
    return (
        None if challenge is None else {**challenge._asdict(), "heard_at": _json_seconds(challenge.heard_at)}
    )


def refusal_lines(refusal: LoginRefusal) -> Iterator[str]:
    """What WhatsApp said when it refused the login, and what to do."""
    if refusal.until is not None:
        guessed = ", a guess: WhatsApp did not say until when" if refusal.guessed else ""
        yield f"banned until {moment(refusal.until * 1000)}{guessed}; the phone works, or shows an appeal"
    else:
        what = "banned" if refusal.code == "406" else "locked"
        appeal = "; an appeal is possible" if refusal.can_appeal else ""
        yield f"WhatsApp {what} the account{appeal}: {OPEN_PHONE}"
    said = {name: value for name, value in refusal.told.items() if name not in ("reason", "location")}
    if said:
        yield "WhatsApp said: " + ", ".join(f"{name} {value}" for name, value in sorted(said.items()))


def refusal_json(refusal: LoginRefusal | None) -> dict[str, Any] | None:
    if refusal is None:
        return None
    return {
        "code": refusal.code,
        "heard_at": _json_seconds(refusal.heard_at),
        "until": _json_seconds(refusal.until),
        "guessed": refusal.guessed,
        "can_appeal": refusal.can_appeal,
        "told": dict(refusal.told),
    }


def _json_seconds(at: int | None) -> str | None:
    return json_moment(from_seconds(at or 0))
