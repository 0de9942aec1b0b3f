"""Endpoints and deliveries in the notifications table. URLs, secrets and bodies lie there sealed. Which
record of an endpoint is the last one, the keys table knows (`tocsin.versions`).

A delivery that waits stands in the index `watch`, by when it is due, in a partition of its endpoint; and in
the lane of its ticket, where later ones wait behind it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tocsin.dynamo.table import ConditionFailed, IndexedTable
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Equals, Item, Put, Update, as_read
from tocsin.hooks.delivery import DAMAGED, DEAD, WAITING, Attempt, Delivery
from tocsin.hooks.endpoint import Endpoint, Health, health_of
from tocsin.notify.store.texts import SEALED, Texts, TextWithheld
from tocsin.tables.notifications import (
    HOOKS,
    WATCH,
    delivery_key,
    hook_key,
    hook_watch_part,
    lane_key,
)
from tocsin.timestamps import to_seconds

if TYPE_CHECKING:
    from tocsin.versions import Versions

LOCKED, EARLIER = "locked", "earlier"
"""Why the record of an endpoint doesn't count, besides `DAMAGED`: who reads it has no key; or it was an
operator's once, and the endpoint was changed or removed since."""

KEEP_DAYS = 14
"""A delivery, from its last attempt on."""

_MS_PER_DAY = 86_400_000


@dataclass(frozen=True)
class View:
    """What one attempt has to know, from one read. `health`, `state`: of the endpoint; None: it was removed.
    `waiting`: the turns in the lane that wait."""

    state: str | None
    health: Health
    delivery: Delivery | None
    waiting: frozenset[str]


class HookStore:
    """The records of all endpoints of a deployment. `versions`: of endpoints."""

    def __init__(self, table: IndexedTable, texts: Texts, versions: Versions) -> None:
        self._table = table
        self._texts = texts
        self._versions = versions

    # -- endpoints -----------------------------------------------------------------------------------------

    def endpoints(self) -> tuple[list[Endpoint], dict[str, str]]:
        """All endpoints that count; of the others the ids, and why each doesn't: `LOCKED`, `DAMAGED` or
        `EARLIER`."""
        found: list[Endpoint] = []
        odd: dict[str, str] = {}
        # Before the records, so that one that is changed meanwhile counts.
        since = self._versions.all()
        for item in self._table.query(HOOKS):
            identity = str(item["sk"])
            try:
                endpoint = self._opened(identity, item)
            except TextWithheld as refusal:
                odd[identity] = DAMAGED if refusal.is_damage else LOCKED
            except (KeyError, TypeError):
                odd[identity] = DAMAGED
            else:
                if endpoint.version < since(identity):
                    odd[identity] = EARLIER
                else:
                    found.append(endpoint)
        return found, odd

    def _opened(self, identity: str, item: Item) -> Endpoint:
        """Raises TextWithheld, KeyError, TypeError."""
        sealed = item.get(SEALED)
        words = self._texts.open(sealed, hook_key(identity))
        return Endpoint.of(identity, item, words, sealed if isinstance(sealed, bytes) else b"")

    def add(self, endpoint: Endpoint) -> None:
        """Raises ConditionFailed if there is one with this id."""
        added = replace(endpoint, version=self._versions.last(endpoint.id) + 1)
        self._table.put(
            Put(
                hook_key(added.id),
                {"state": added.state, "added_at": added.added_at, SEALED: self._sealed(added)},
                when=(ITEM_ABSENT,),
            )
        )
        self._versions.note_written(added.id, added.version)

    def change(self, endpoint: Endpoint) -> None:
        """Write what the operator changed; it counts as healthy from now on. Raises ConditionFailed if
        somebody else changed or removed it since it was read."""
        self._rewrite(endpoint, {"state": endpoint.state}, gone=("failures", "closed_until"))

    def _rewrite(self, endpoint: Endpoint, changes: Item, gone: tuple[str, ...] = ()) -> None:
        changed = replace(endpoint, version=endpoint.version + 1)
        self._table.update(
            Update(
                hook_key(changed.id),
                set={**changes, SEALED: self._sealed(changed)},
                remove=gone,
                when=(Equals(SEALED, endpoint.stands),),
            )
        )
        self._versions.note_written(changed.id, changed.version)

    def remove(self, identity: str) -> None:
        """Put back, it counts no more. Raises ConditionFailed if somebody changed it at this moment."""
        item = self._table.get(hook_key(identity))
        if item is None:
            return
        # Noted first, because what is gone can't be removed again if noting fails.
        self._versions.note(identity, self._version_of(identity, item) + 1)
        self._table.delete(Delete(hook_key(identity), when=(as_read(SEALED, item),)))

    def _version_of(self, identity: str, item: Item) -> int:
        """The last version of an endpoint. One that can't be opened may bear any number."""
        noted = self._versions.last(identity)
        try:
            return max(noted, self._opened(identity, item).version)
        except (TextWithheld, KeyError, TypeError):
            return noted

    def demand_versions(self) -> None:
        """Give the endpoints of before there were versions one each, as they stand; then one without counts
        no more, so that none that was removed in that time can be put back. Done once, and by whoever has
        the key. Raises ConditionFailed if somebody changes one at this moment."""
        if self._versions.are_demanded:
            return
        found, odd = self.endpoints()
        if LOCKED in odd.values():
            return
        for endpoint in found:
            if not endpoint.version:
                self._rewrite(endpoint, {})
        self._versions.demand()

    def _sealed(self, endpoint: Endpoint) -> bytes:
        return self._texts.seal(endpoint.sealed, hook_key(endpoint.id))

    def note_failure(
        self,
        identity: str,
        failures: int,
        closed_until: int | None,
        attempt: Attempt,
        *,
        state: str | None = None,
    ) -> None:
        """`state`: the one that it enters by this."""
        changes: dict[str, Any] = {"failures": failures, "last_at": attempt.at, "last_said": attempt.said}
        if state is not None:
            changes["state"] = state
        if closed_until is not None:
            changes["closed_until"] = closed_until
        self._of_existing(Update(hook_key(identity), set=changes, when=(ITEM_EXISTS,)))

    def note_success(self, identity: str, attempt: Attempt) -> None:
        """It is well again."""
        self._of_existing(
            Update(
                hook_key(identity),
                set={"last_at": attempt.at, "last_said": attempt.said},
                remove=("failures", "closed_until"),
                when=(ITEM_EXISTS,),
            )
        )

    def _of_existing(self, update: Update) -> None:
        with suppress(ConditionFailed):  # it was removed meanwhile
            self._table.update(update)

    # -- deliveries ----------------------------------------------------------------------------------------

    def view(self, identity: str, turn: str, lane: str) -> View:
        hook, delivery, beside = hook_key(identity), delivery_key(identity, turn), lane_key(identity, lane)
        found = self._table.get_many([hook, delivery, beside])
        item = found.get(hook)
        waiting = found.get(beside, {}).get("waiting", frozenset())
        return View(
            None if item is None else str(item.get("state", "active")),
            health_of(item or {}),
            self._delivery(identity, found[delivery]) if delivery in found else None,
            frozenset(map(str, waiting)) if isinstance(waiting, (set, frozenset)) else frozenset(),
        )

    def get(self, identity: str, turn: str) -> Delivery | None:
        item = self._table.get(delivery_key(identity, turn))
        return None if item is None else self._delivery(identity, item)

    def deliveries(self, identity: str) -> Iterator[Delivery]:
        """All that are kept, the oldest first, without their bodies."""
        pk, prefix = delivery_key(identity)
        for item in self._table.walk(pk, prefix):
            yield self._delivery(identity, item, with_body=False)

    def note(self, delivery: Delivery, now: int) -> None:
        """Write how a delivery stands."""
        self._table.put(Put(delivery_key(delivery.endpoint, delivery.turn), self._item(delivery, now)))

    def park(self, delivery: Delivery, now: int) -> None:
        """Let it wait until it is due, in its lane. First the lane: a crash in between leaves one there that
        nobody waits behind for longer than the lane's record lives."""
        self._table.update(
            Update(
                lane_key(delivery.endpoint, delivery.lane),
                set={"expire_at": _expire_at(now)},
                add={"waiting": frozenset({delivery.turn})},
            )
        )
        self.note(delivery, now)

    def leave_lane(self, delivery: Delivery) -> None:
        self._table.update(
            Update(
                lane_key(delivery.endpoint, delivery.lane), discard={"waiting": frozenset({delivery.turn})}
            )
        )

    def due(self, identity: str, now: int, limit: int) -> list[str]:
        """Turns of those that are due, the longest first."""
        keys = self._table.indexed(WATCH, hook_watch_part(identity), at_most=now, limit=limit)
        _, prefix = delivery_key(identity)
        return [sk.removeprefix(prefix) for _, sk in keys]

    def taken_up(self, delivery: Delivery, until: int) -> Delivery:
        """It lies in the queue now: it is not due again before `until` (ms)."""
        self._of_existing(
            Update(
                delivery_key(delivery.endpoint, delivery.turn),
                set={"watch_due": until},
                add={"parkings": 1},
                when=(ITEM_EXISTS,),
            )
        )
        return replace(delivery, parkings=delivery.parkings + 1)

    def _item(self, delivery: Delivery, now: int) -> Item:
        plain: dict[str, Any] = {
            "type": delivery.type,
            "account": delivery.account,
            "lane": delivery.lane,
            "begun_at": delivery.begun_at,
            "state": delivery.state,
            "attempts": [one.to_json() for one in delivery.attempts],
            "parkings": delivery.parkings,
            "earlier": delivery.earlier,
            "expire_at": _expire_at(now),
            SEALED: self._sealed_body(delivery),
        }
        if delivery.reason:
            plain["reason"] = delivery.reason
        if delivery.state == WAITING and delivery.due_at is not None:
            plain |= {"watching": hook_watch_part(delivery.endpoint), "watch_due": delivery.due_at}
        return plain

    def _sealed_body(self, delivery: Delivery) -> bytes:
        body = {"body": base64.b64encode(delivery.body).decode()}
        return self._texts.seal(body, delivery_key(delivery.endpoint, delivery.turn))

    def _delivery(self, identity: str, item: Mapping[str, Any], *, with_body: bool = True) -> Delivery:
        """A damaged one is dead: one record must not keep back all others. Raises TextWithheld for who has no
        key."""
        _, prefix = delivery_key(identity)
        turn = str(item["sk"]).removeprefix(prefix)
        try:
            return self._read(identity, turn, item, with_body=with_body)
        except TextWithheld as refusal:
            if not refusal.is_damage:
                raise
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        return Delivery(
            identity, turn, "?", "", str(item.get("lane", "")), begun_at=0, state=DEAD, reason=DAMAGED
        )

    def _read(self, identity: str, turn: str, item: Mapping[str, Any], *, with_body: bool) -> Delivery:
        body = b""
        if with_body:
            words = self._texts.open(item.get(SEALED), delivery_key(identity, turn))
            body = base64.b64decode(words["body"])
        return Delivery(
            endpoint=identity,
            turn=turn,
            type=item["type"],
            account=item.get("account", ""),
            lane=item["lane"],
            begun_at=item["begun_at"],
            state=item["state"],
            attempts=tuple(Attempt.from_json(one) for one in item.get("attempts", ())),
            due_at=item.get("watch_due"),
            reason=item.get("reason", ""),
            parkings=item.get("parkings", 0),
            earlier=item.get("earlier", 0),
            body=body,
        )


def _expire_at(now: int) -> int:
    return to_seconds(now + KEEP_DAYS * _MS_PER_DAY)
