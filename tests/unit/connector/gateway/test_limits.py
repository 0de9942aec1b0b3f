"""A limit of WhatsApp's: held to at once, written down before it is told, known after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.leading_keys import GrantedTable
from tocsin.accounts.limits import COLD_REFUSALS, FIRST_CONTACTS, LOGIN, MESSAGES, NEW_CHATS, Limit
from tocsin.connector.gateway.limits import Limits
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.timestamps import iso

HOUR = 3600
NOW = 1_800_000_000


@dataclass
class Aws:
    """Calls at once, or fails as the table does."""

    trouble: Exception | None = None

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.trouble is not None:
            raise self.trouble
        return function(*args, **kwargs)


class LimitedAccount:
    """One account in one process after the other."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.table = GrantedTable()
        self.aws = Aws()

    def process(self) -> Limits:
        keys = KeyStore(self.table, Sealer({"k": bytes(32)}, "k"), "main", clock=lambda: self.now)
        aws: Any = self.aws
        return Limits(aws, keys, "main", clock=lambda: self.now)


@pytest.fixture
def limited() -> LimitedAccount:
    return LimitedAccount()


@pytest.mark.parametrize(
    ("error", "kind", "seconds"),
    [
        ("429", MESSAGES, HOUR // 4),
        ("419", MESSAGES, HOUR),
        ("423", MESSAGES, HOUR),
    ],
)
async def test_a_refusal_that_means_the_account_holds_for_a_while(
    limited: LimitedAccount, error: str, kind: str, seconds: int
) -> None:
    limits = limited.process()
    await limits.refused(error)
    assert limits.active(kind) == Limit(kind, error, NOW + seconds, NOW, guessed=True)
    assert limits.changed.is_set()
    limited.now += seconds
    assert limits.active(kind) is None


@pytest.mark.parametrize("error", ["400", "403", "463", "475", "479", "500", "what"])
async def test_a_refusal_that_means_the_message_holds_nothing(limited: LimitedAccount, error: str) -> None:
    limits = limited.process()
    assert await limits.refused(error) is None
    assert limits.strictest() is None


async def test_the_next_process_knows_it_and_the_one_after_a_move(limited: LimitedAccount) -> None:
    await limited.process().refused("429")
    successor = limited.process()
    await successor.load()
    assert successor.active(MESSAGES) is not None


async def test_the_end_that_the_server_tells_takes_the_place_of_a_guess(limited: LimitedAccount) -> None:
    limits = limited.process()
    await limits.hear(FIRST_CONTACTS, "463", NOW + HOUR, guessed=True)
    await limits.hear(FIRST_CONTACTS, "463", NOW + 60)
    assert limits.active(FIRST_CONTACTS) == Limit(FIRST_CONTACTS, "463", NOW + 60, NOW)


async def test_lifted_it_is_lifted_for_all(limited: LimitedAccount) -> None:
    limits = limited.process()
    await limits.hear(FIRST_CONTACTS, "reachout-lock", NOW + HOUR)
    limits.changed.clear()
    await limits.hear(FIRST_CONTACTS, "notification", 0)
    assert limits.active(FIRST_CONTACTS) is None
    assert limits.changed.is_set()
    other = limited.process()
    await other.load()
    assert other.strictest() is None


async def test_what_another_connector_lifted_meanwhile_is_known_with_the_next_lease(
    limited: LimitedAccount,
) -> None:
    first, other = limited.process(), limited.process()
    await first.hear(FIRST_CONTACTS, "reachout-lock", NOW + HOUR)
    await other.load()
    await other.hear(FIRST_CONTACTS, "notification", 0)
    assert first.active(FIRST_CONTACTS) is not None
    await first.load()
    assert first.active(FIRST_CONTACTS) is None


async def test_what_could_not_be_written_down_is_kept_with_the_next_lease(limited: LimitedAccount) -> None:
    limits = limited.process()
    limited.aws.trouble = OSError("away")
    await limits.hear(FIRST_CONTACTS, "reachout-lock", NOW + HOUR)
    limited.aws.trouble = None
    await limits.load()
    assert limits.active(FIRST_CONTACTS) is not None


async def test_a_second_refusal_does_not_shorten_what_is_known(limited: LimitedAccount) -> None:
    limits = limited.process()
    await limits.hear(FIRST_CONTACTS, "notification", NOW + 72 * HOUR)
    await limits.hear(FIRST_CONTACTS, "reachout-lock", NOW + HOUR, guessed=True)
    active = limits.active(FIRST_CONTACTS)
    assert active is not None
    assert active.until == NOW + 72 * HOUR


async def test_with_the_table_away_this_process_holds_to_it_all_the_same(limited: LimitedAccount) -> None:
    limits = limited.process()
    limited.aws.trouble = OSError("away")
    await limits.refused("429")
    assert limits.active(MESSAGES) is not None


async def test_what_keeps_more_people_away_is_said_first(limited: LimitedAccount) -> None:
    limits = limited.process()
    for kind in (FIRST_CONTACTS, MESSAGES, LOGIN):
        await limits.hear(kind, "x", NOW + 60)
        strictest = limits.strictest()
        assert strictest is not None
        assert strictest.kind == kind


async def test_an_end_that_was_written_down_before_ends_were_bounded_can_be_shown(
    limited: LimitedAccount,
) -> None:
    limit = Limit(FIRST_CONTACTS, "notification", 10**15, NOW)
    await limited.process().hear(limit.kind, limit.cause, limit.until)
    again = limited.process()
    await again.load()
    known = again.active(FIRST_CONTACTS)
    assert known is not None
    assert iso(known.until * 1000) == "2106-02-07T06:28:15.000Z"


@pytest.mark.parametrize("kind", [FIRST_CONTACTS, NEW_CHATS, COLD_REFUSALS])
async def test_each_kind_that_holds_first_contacts_does_so_by_itself(
    limited: LimitedAccount, kind: str
) -> None:
    limits = limited.process()
    assert limits.for_first_contacts() is None
    await limits.hear(kind, "x", NOW + 60)
    await limits.hear(MESSAGES, "x", NOW + HOUR)
    found = limits.for_first_contacts()
    assert found is not None
    assert found.kind == kind


async def test_of_several_the_one_that_ends_last_counts(limited: LimitedAccount) -> None:
    limits = limited.process()
    await limits.hear(FIRST_CONTACTS, "x", NOW + 60)
    await limits.hear(NEW_CHATS, "x", NOW + HOUR)
    found = limits.for_first_contacts()
    assert found is not None
    assert found.kind == NEW_CHATS
