"""Notifications on their way, as the demo shows them: from the ticket event to the phones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.notification import Notification, State, derived_id
from tocsin_console.send import put_event
from tocsin_local.view import Row, Shown, View
from tocsin_local.world import World

ACCOUNT = "default"
# It includes a cold start of every function on two busy cores.
ARRIVAL_SECONDS = 60
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Person:
    """Somebody with a phone. `number` in digits; `language` id, es or en. `technician_id`: if one."""

    number: str
    name: str
    language: str
    technician_id: str = ""

    def in_event(self, person_id: str) -> dict[str, str]:
        return {"id": person_id, "name": self.name, "phone": f"+{self.number}", "language": self.language}


@dataclass(frozen=True)
class Told:
    """One notification that an event must bring about. `people`: on whose phones it must show; `group`: in
    which group, where it isn't for one person; `file`: which attachment it brings, if it is one."""

    label: str
    people: tuple[Person, ...]
    audience: str
    group: str = ""
    file: str = ""

    @property
    def recipient(self) -> str:
        return self.group or self.people[0].number


class NotAsExpected(Exception):
    """Something did not happen as the demo expects. The text says what."""


@dataclass
class Following:
    """A notification on its way: which one, since when, and what of it was shown already."""

    told: Told
    identity: str
    event_type: str
    row: Row
    began: float
    shown: set[str] = field(default_factory=set)
    attempts: int = 0
    latest: float = 0.0
    end: str = ""


class Follower:
    """Puts ticket events on the bus and shows what becomes of them. `followed`: all of it."""

    def __init__(self, world: World, view: View) -> None:
        self._world = world
        self._view = view
        self._stores = world.deployment.stores
        self.followed: list[Following] = []

    def event(
        self,
        event_type: str,
        about: Mapping[str, Any],
        customer: Person | None,
        technicians: Iterable[Person],
        made_by: Person | str,
        told: Sequence[Told],
    ) -> list[Following]:
        """Put one ticket event on the bus. Returns the notifications that it must cause."""
        creator = (
            {"role": "technician", "id": made_by.technician_id}
            if isinstance(made_by, Person)
            else {"role": made_by, "id": "U-1"}
        )
        detail = {
            "ticket": about,
            "customer": customer and customer.in_event(f"C-{customer.number[-3:]}"),
            "technicians": [person.in_event(person.technician_id) for person in technicians],
            "groups": [one.group for one in told if one.group],
            "attachments": [{"key": one.file, "caption": "Laporan teknisi"} for one in told if one.file],
            "created_by": creator,
            "account": ACCOUNT,
        }
        began = time.time()
        put_event(self._world.deployment, event_type, detail)
        followed = []
        for one in told:
            identity = self._world.deployment.stores.ids.of(
                ACCOUNT, about["id"], event_type, about["revision"], one.audience, one.recipient
            )
            identity = derived_id(identity, one.file) if one.file else identity
            following = Following(one, identity, event_type, Row(one.label), began)
            self.stage(following, "event", time.time())
            followed.append(following)
        self.followed += followed
        return followed

    def follow(self, followed: list[Following], *, until: State) -> None:
        """Show each stage when it is reached, until all have reached `until`. Raises NotAsExpected."""

        def all_there() -> bool:
            looks = [self._look(following, until) for following in followed]
            return all(looks)

        self.until(all_there, f"all are {until}")

    def _look(self, following: Following, until: State) -> bool:
        stored = self._stores.notifications.get(following.identity)
        if stored is None:
            return False
        if stored.state is State.READ:
            following.row.end = "read"
        if stored.state is State.FAILED:
            following.row.end = "dead"
        self._stage_if_new(following, "planned", stored.created_at)
        self._tell_attempts(following, stored)
        self._stage_if_new(following, "sent", stored.sent_at)
        self._stage_if_new(following, "delivered", stored.delivered_at)
        self._stage_if_new(following, "read", stored.read_at)
        if stored.state is State.READ:
            following.end = f"read after {following.latest:.2f} s"
        if stored.state in (State.FAILED, State.SUPPRESSED) and until is not stored.state:
            raise NotAsExpected(f"{following.told.label} is {stored.state}: {stored.last_error}")
        return stored.state is until

    def _stage_if_new(self, following: Following, stage: str, at: int | None) -> None:
        """`at`: ms. Ignores what happened before the row began, that is before a redrive."""
        if at is not None and at / 1000 >= following.began and stage not in following.shown:
            self.stage(following, stage, at / 1000)

    def stage(self, following: Following, stage: str, at: float) -> None:
        """`at`: seconds. Different processes note the times, so a receipt may be some ms older than its
        send. It is not shown like that."""
        following.shown.add(stage)
        following.latest = max(at - following.began, following.latest)
        self._view.stage(following.row, stage, following.latest)

    def _tell_attempts(self, following: Following, stored: Notification) -> None:
        for attempt in stored.attempts[following.attempts :]:
            if attempt.class_ == "recover":
                cause = attempt.cause.removeprefix("recovered-")
                self._view.note(following.row, f"the phone says {cause} and asks again; {attempt.detail}")
            elif attempt.class_ not in ("", "ok"):
                self._view.note(following.row, f"try {stored.attempts.index(attempt) + 1}: {attempt.cause}")
        following.attempts = len(stored.attempts)

    def show_on_phones(self, followed: Iterable[Following]) -> None:
        """Show each message as the phones show it. Raises NotAsExpected."""
        shown: list[Shown] = []
        for following in followed:
            identity = self.message_id(following)
            for owner in following.told.people:
                messages = self._world.phones.messages(owner.number)
                found = next((message for message in messages if message["id"] == identity), None)
                if found is None:
                    raise NotAsExpected(f"the phone of {owner.name} doesn't show {identity}")
                file = f"📄 {found['media']['file_name']}\n" if found.get("media") else ""
                shown.append(Shown(owner.name, file + found["text"]))
        self._view.phones(shown)

    def message_id(self, following: Following) -> str:
        """WhatsApp's id of the message. Raises NotAsExpected."""
        return self.stored(following.identity).message_id

    def stored(self, identity: str) -> Notification:
        """The notification as it is now. Raises NotAsExpected."""
        stored = self._stores.notifications.get(identity)
        if stored is None:
            raise NotAsExpected(f"the notification {identity} is gone")
        return stored

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait for it, for `what` says what. Raises NotAsExpected."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise NotAsExpected(f"waited {ARRIVAL_SECONDS} s, but this did not happen: {what}")
            time.sleep(POLL_SECONDS)
