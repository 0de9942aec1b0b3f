"""Whatever a life brought: once somebody is erased, nothing names them, and only their opt-out is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proofs.scale import examples
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import garbled
from tocsin.notify.forgetting import Forgetting
from tocsin.people.whose import identify
from tocsin.timestamps import from_seconds

NUMBER, LID = "6281234567890", "1234@lid"
DAY = 86_400


class Life:
    """Siti's, and how often each thing happened to her."""

    def __init__(self) -> None:
        self.wired = WiredFunctions(MemoryAws())
        self.count = 100

    def one_more(self) -> int:
        self.count += 1
        return self.count

    # -- what may happen -------------------------------------------------------------------------------------

    def told(self) -> None:
        self.wired.deliver(self.wired.plan(self.one_more()))

    def told_and_read(self) -> None:
        planned = self.wired.plan(self.one_more())
        if self.wired.deliver(planned).outcome == "sent":
            self.wired.receipt(planned)
            self.wired.receipt(planned, "read", 1)

    def planned(self) -> None:
        self.wired.plan(self.one_more())

    def parked(self) -> None:
        self.wired.stores.parking.park(self.wired.plan(self.one_more()), "away", 1)

    def thread_begun(self) -> None:
        self.wired.stores.threads.follow(self.wired.plan(self.one_more()))

    def writes(self) -> None:
        self._says("Halo")

    def stops(self) -> None:
        self._says("STOP")

    def starts(self) -> None:
        self._says("START")

    def writes_what_nobody_can_read(self) -> None:
        if self._has_session():
            self.wired.receive(garbled(self.wired, f"G{self.one_more()}"))

    def reinstalls(self) -> None:
        self.wired.siti.devices[0].reinstall()
        self.told()
        self.wired.answer_retries()

    def days_pass(self) -> None:
        self.wired.paired.now += 3 * DAY

    def gives_a_token(self) -> None:
        self.wired.paired.keys.contacts.keep_token("9999@lid", LID, b"token", self.one_more())

    def is_erased(self) -> None:
        forget(self.wired)

    def _says(self, text: str) -> None:
        if self._has_session():
            self.wired.reply(text, f"R{self.one_more()}")

    def _has_session(self) -> bool:
        return self.wired.siti.devices[0].record is not None

    @property
    def opted_out(self) -> bool:
        people = self.wired.stores.people
        kept = people.forgotten.of(ACCOUNT, [LID])
        return people.find(ACCOUNT, LID).opted_out_at is not None or bool(kept)


STEPS: list[Callable[[Life], None]] = [
    Life.told,
    Life.told_and_read,
    Life.planned,
    Life.parked,
    Life.thread_begun,
    Life.writes,
    Life.stops,
    Life.starts,
    Life.writes_what_nobody_can_read,
    Life.reinstalls,
    Life.days_pass,
    Life.gives_a_token,
    Life.is_erased,
]


def forget(wired: WiredFunctions, *, without: str = "") -> None:
    """As the console does it, by both names: who was erased before and gave us something since is known to
    have the other one only once we write to it. `without`: the kind of which the broken twin knows nothing.
    """
    for name in (f"{NUMBER}@s.whatsapp.net", LID):
        _forget(wired, name, without)


def _forget(wired: WiredFunctions, name: str, without: str) -> None:
    keys, stores = wired.paired.keys, wired.stores
    person, whose = identify(stores.people, ACCOUNT, [name], keys.upkeep.names)
    at = from_seconds(wired.paired.now)
    held = stores.belongings.of(whose, at)
    if without:
        getattr(held, without).clear()
    forgetting = Forgetting(stores)
    erased = forgetting.forget(whose, person, held, at)
    keys.upkeep.forget(whose.present)
    forgetting.forget_names(whose, erased)


def traces(wired: WiredFunctions) -> list[tuple[str, str]]:
    tables = (wired.aws.notifications_table, wired.aws.keys_table)
    items = [item for table in tables for item in everything_in(table)]
    return [(item["pk"], item["sk"]) for item in items if NUMBER in repr(item) or LID in repr(item)]


@examples(60)
@given(st.lists(st.sampled_from(STEPS), max_size=14))
def test_nothing_names_who_was_erased_and_their_word_still_counts(
    steps: list[Callable[[Life], None]],
) -> None:
    life = Life()
    for step in [Life.told, *steps]:
        step(life)
    opted_out = life.opted_out
    forget(life.wired)
    assert traces(life.wired) == []
    life.wired.restart()
    outcome = life.wired.deliver(life.wired.plan(life.one_more())).outcome
    assert outcome == ("suppressed" if opted_out else "sent")


LONG = [
    Life.told_and_read,
    Life.thread_begun,
    Life.writes,
    Life.reinstalls,
    Life.writes_what_nobody_can_read,
    Life.parked,
]


@pytest.mark.parametrize(
    "kind", ["notifications", "replies", "threads", "identity_changes", "recoveries", "counters"]
)
def test_the_twin_that_forgets_to_erase_a_kind_leaves_traces(kind: str) -> None:
    life = Life()
    for step in LONG:
        step(life)
    forget(life.wired, without=kind)
    assert traces(life.wired)
