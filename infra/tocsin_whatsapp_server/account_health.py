"""What this server lets an account do: a lock for first contacts, a quota of new chats, people who must write
first. Set by faults, told in notifications, answered to queries, and where it is asked for enforced.

A first contact is a message to somebody who never wrote to the account.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCK_QUERY = "23983697327930364"
QUOTA_QUERIES = ("27910975521856601", "24503548349331633")

NEWS = ("challenge", "complaints", "unknown")
"""What else can be told of an account."""


@dataclass
class Health:
    """Of one account. Times in Unix seconds.

    `locked_until`: of the reach-out lock; `is_end_told`: whether anybody hears of it. `quota`: as it is told,
    by WhatsApp's names. `wrote`: numbers of people who wrote to the account; `cold`: of those who must.
    """

    locked_until: int = 0
    lock_type: str = ""
    is_end_told: bool = True
    is_lock_enforced: bool = False
    quota: dict[str, Any] = field(default_factory=dict)
    is_quota_enforced: bool = False
    wrote: set[str] = field(default_factory=set)
    cold: set[str] = field(default_factory=set)

    def heard(self, number: str) -> None:
        """Somebody wrote to the account."""
        self.wrote.add(number)
        self.cold.discard(number)

    def refusal(self, to: str, now: int) -> tuple[int, str] | None:
        """Why a message to `to` (a number) is refused: code and reason; `None` if it is not."""
        if to in self.cold:
            return 463, "must write first"
        if to in self.wrote:
            return None
        if self.is_lock_enforced and self.locked_until > now:
            return 463, "locked for first contacts"
        capped = self.quota.get("capping_status") == "CAPPED" and self.quota.get("cycle_end", 0) > now
        return (475, "new chats used up") if self.is_quota_enforced and capped else None

    # -- told --------------------------------------------------------------------------------------------

    def lock(self, params: Mapping[str, Any], now: int) -> None:
        """Lock or free it, as the fault `reachout-lock` says."""
        self.locked_until = now + params["seconds"] if params["seconds"] else 0
        self.lock_type = params["type"]
        self.is_end_told = params["end"]
        self.is_lock_enforced = params["enforced"]

    def use_up(self, params: Mapping[str, Any], now: int) -> None:
        """Set the quota, as the fault `new-chats` says."""
        self.quota = {
            "used_quota": params["used"],
            "total_quota": str(params["total"]),
            "cycle_end": now + params["seconds"],
            "capping_status": params["status"],
            "ote_status": "NOT_ELIGIBLE",
        }
        self.is_quota_enforced = params["enforced"]

    def told_lock(self, now: int) -> dict[str, Any]:
        """The lock as WhatsApp tells it. Where no end is told it is "0"."""
        ends = str(self.locked_until) if self.is_end_told else "0"
        told: dict[str, Any] = {"is_active": self.locked_until > now, "time_enforcement_ends": ends}
        return {**told, "enforcement_type": self.lock_type} if self.lock_type else told

    def told_quota(self) -> dict[str, Any] | None:
        if not self.quota:
            return None
        told = {name: value for name, value in self.quota.items() if name != "cycle_end"}
        return {**told, "cycle_end_timestamp": str(self.quota["cycle_end"])}

    def answer(self, query_id: str, now: int) -> bytes | None:
        """The JSON that answers a query; `None` for one that nobody knows."""
        if query_id == LOCK_QUERY:
            return _json({"data": {"xwa2_fetch_account_reachout_timelock": self.told_lock(now)}})
        if query_id in QUOTA_QUERIES:
            return _json({"data": {"xwa2_message_capping_info": self.told_quota()}})
        return None


def lock_update(health: Health, now: int) -> Node:
    news = {"xwa2_notify_account_reachout_timelock": health.told_lock(now)}
    return _update("NotificationUserReachoutTimelockUpdate", {"data": news})


def quota_update(health: Health) -> Node:
    news = {"xwa2_notify_new_chat_messages_capping_info_update": health.told_quota()}
    return _update("MessageCappingInfoNotification", {"data": news})


def news_update(what: str) -> Node:
    if what == "challenge":
        news = {"xwa2_notify_integrity_challenge": {"challenge_type": "PASSKEY"}}
        return _update("NotificationIntegrityChallengeRequest", {"data": news})
    if what == "complaints":
        return _update("NotificationUserBrigadingUpdate", {"data": {}})
    return _update("NotificationOfAnotherKind", {"data": {}})


def notification(updates: tuple[Node, ...], identity: str, now: int) -> Node:
    """One stanza with all of them, as WhatsApp tells several."""
    attrs: dict[str, str | JID] = {"from": SERVER, "type": "mex", "id": identity, "t": str(now)}
    return Node("notification", attrs, updates)


CHANGES = frozenset({"reachout-lock", "new-chats", "cold", "account-news"})
"""Faults that change what an account may do, or tell of it."""


def change(
    health: Health, kind: str, params: Mapping[str, Any], to: str | None, now: int
) -> tuple[Node, ...]:
    """Do what one of `CHANGES` says; the updates that are told of it."""
    if kind == "cold":
        (health.cold.discard if params["cured"] else health.cold.add)(str(to))
        return ()
    if kind == "reachout-lock":
        health.lock(params, now)
        return (lock_update(health, now),) if params["told"] else ()
    if kind == "new-chats":
        health.use_up(params, now)
        return (quota_update(health),) if params["told"] else ()
    quota = (quota_update(health),) if health.quota else ()
    return news_update(params["what"]), lock_update(health, now), *quota


ERRORS = b'{"errors":[{"message":"no such query","extensions":{"error_code":404}}],"data":null}'
"""The answer to a query that isn't known (any more)."""


def _update(name: str, body: Any) -> Node:
    return Node("update", {"op_name": name}, _json(body))


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
