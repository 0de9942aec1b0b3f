"""`tocsin tail`: a line for each change as it happens, one request a second, and Ctrl-C is its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.fake_cloud import ACCOUNT, MemoryCloud
from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tests.support.memory_streams import MemoryStreams
from tocsin.notify.notification import Attempt, Notification, State
from tocsin.notify.redrive import Selection
from tocsin.tables.notifications import notification_key
from tocsin_console import cli
from tocsin_console.commands.tail import STATES
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.feed.sifting import Sieve
from tocsin_console.tail import AGAIN_SECONDS, EACH_SECONDS, tail

BUDI = "628111222333"
TIME = "2026-11-18 11:06:40 UTC"
EVIL = "\x1b]0;owned\x07\rforged\nforged"


@dataclass
class Night:
    """What happens while it runs: one step each time that it waits, then Ctrl-C."""

    fake: FakeDeployment
    streams: MemoryStreams

    def tail(self, said: Said, *steps: Callable[[], object], sieve: Sieve | None = None) -> list[float]:
        """Returns how long it waited each time."""
        naps, rest = [], list(steps)

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            if not rest:
                raise KeyboardInterrupt
            rest.pop(0)()

        tail(self.fake.deployment, sieve or Sieve(), said.output, sleep=sleep, clock=lambda: NOW)
        return naps

    def stored(self, one: Notification) -> None:
        """The stream tells how it stands."""
        self.streams.changed(self.fake.deployment.outside_table.get(notification_key(one.id)))

    def sent(self, one: Notification) -> None:
        self.fake.deployment.stores.notifications.mark_sent(
            one.id, {}, at=NOW * 1000 + 1000, account=ACCOUNT, receipt_deadline=NOW * 1000 + 60_000
        )
        self.stored(one)

    def arrived(self, one: Notification) -> None:
        self.fake.arrives(one)
        self.stored(one)


@pytest.fixture
def night(aws: MemoryCloud, fake: FakeDeployment) -> Night:
    aws.streams = MemoryStreams()
    return Night(fake, aws.streams)


def test_each_change_is_a_line(night: Night, said: Said) -> None:
    one = night.fake.planned()
    night.tail(said, lambda: night.stored(one), lambda: night.sent(one), lambda: night.arrived(one))
    assert said.lines == [
        f"2026-11-18 11:06:{second} UTC  {what}  TCK-1  TicketCreated  customer {whom}  {one.id}"
        for whom in [said.lines[0].split("  ")[4].removeprefix("customer ")]
        for second, what in (("40", "planned"), ("41", "sent"), ("45", "delivered"))
    ]
    assert SITI not in said.text


def test_programs_get_a_document_for_each_with_its_zone(night: Night, told: Said) -> None:
    one = night.fake.planned()
    night.tail(told, lambda: night.sent(one))
    [record] = told.records
    assert record["at"] == "2026-11-18T11:06:41.000Z"
    assert (record["notification"], record["ticket"], record["state"]) == (one.id, "TCK-1", "sent")
    assert SITI not in told.text


def test_a_write_that_changes_nothing_that_is_told_is_no_line(night: Night, said: Said) -> None:
    one = night.fake.planned()
    night.tail(said, lambda: night.stored(one), lambda: night.stored(one))
    assert len(said.lines) == 1


def test_a_try_that_failed_is_a_line_with_its_cause(night: Night, said: Said) -> None:
    one = night.fake.planned()

    def tried() -> None:
        attempt = Attempt("ack-timeout", NOW * 1000, "retry", "no ack in 75 s")
        night.fake.deployment.stores.notifications.record_attempt(one.id, attempt, spends_retry=True)
        night.stored(one)

    night.tail(said, lambda: night.stored(one), tried)
    assert ["tried: ack-timeout" in line for line in said.lines] == [False, True]


def test_what_failed_and_is_sent_again_is_told(night: Night, said: Said) -> None:
    one = night.fake.failed()

    def again() -> None:
        list(night.fake.deployment.redriver(lambda: NOW).redrive(Selection()))
        night.stored(one)

    night.tail(said, lambda: night.stored(one), again)
    assert ["given up: server-error" in line for line in said.lines] == [True, False]
    assert "  sent again  " in said.lines[1]


def test_what_was_before_is_not_told(night: Night, said: Said) -> None:
    night.stored(night.fake.planned())
    night.tail(said)
    assert said.lines == []


@pytest.mark.parametrize(
    ("sieve", "tickets"),
    [
        (Sieve(), ["TCK-1", "TCK-2"]),
        (Sieve(ticket="tck-2"), ["TCK-2"]),
        (Sieve(person="0811-1222-333"), ["TCK-2"]),
        (Sieve(state="sent"), ["TCK-1"]),
        (Sieve(account="other"), []),
        (Sieve(source="zammad"), []),
        (Sieve(ticket="TCK-3"), []),
    ],
)
def test_a_filter_lets_through_what_it_names(
    night: Night, told: Said, sieve: Sieve, tickets: list[str]
) -> None:
    siti, budi = night.fake.planned(), night.fake.planned(BUDI)
    night.tail(told, lambda: night.sent(siti), lambda: night.stored(budi), sieve=sieve)
    assert [record["ticket"] for record in told.records] == tickets


def test_at_most_one_request_a_second(night: Night, said: Said) -> None:
    naps = night.tail(said, *[lambda: None] * 5)
    assert naps == [EACH_SECONDS] * 6
    assert night.streams.asked == 6


def test_it_ends_by_itself_where_asked(night: Night, said: Said) -> None:
    times = iter(range(NOW, NOW + 100))
    tail(
        night.fake.deployment,
        Sieve(),
        said.output,
        seconds=3,
        sleep=lambda _: None,
        clock=lambda: next(times),
    )
    assert night.streams.asked <= 3


def test_an_unreadable_record_is_named_and_hides_no_other(night: Night, said: Said) -> None:
    odd, one = night.fake.planned(), night.fake.planned()
    night.fake.spoil(odd)
    night.tail(said, lambda: (night.stored(odd), night.stored(one)))
    assert said.lines[0] == f"{odd.id}  its record can't be read"
    assert one.id in said.lines[1]


def test_what_was_missed_is_said_and_it_goes_on(night: Night, said: Said) -> None:
    one = night.fake.planned()
    night.tail(
        said, lambda: night.streams.fails.append("TrimmedDataAccessException"), lambda: night.stored(one)
    )
    assert "some changes were missed" in said.lines[0]
    assert one.id in said.lines[1]


def test_a_network_that_fails_is_said_and_nothing_is_lost(
    night: Night, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, asking = night.fake.planned(), night.streams.get_records

    def down(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://streams")

    def fails() -> None:
        night.streams.get_records = down  # type: ignore[method-assign,assignment]
        night.stored(one)

    def works() -> None:
        night.streams.get_records = asking  # type: ignore[method-assign]

    naps = night.tail(said, fails, works)
    assert naps == [EACH_SECONDS, AGAIN_SECONDS, EACH_SECONDS]
    assert "tried again in 10 s" in said.lines[0]
    assert one.id in said.lines[1]


def test_a_table_without_a_stream_is_an_error_that_says_what_to_do(night: Night, said: Said) -> None:
    night.streams.streams = []
    with pytest.raises(ConsoleError, match="deploy the stack again"):
        night.tail(said)


def test_hostile_words_do_not_steer_the_terminal(night: Night, said: Said, told: Said) -> None:
    one = night.fake.planned()
    item = night.fake.deployment.outside_table.get(notification_key(one.id))
    assert item is not None

    def evil() -> None:
        night.streams.changed({**item, "ticket_id": EVIL, "recipient_name": EVIL, "event_type": EVIL})

    night.tail(said, evil)
    night.tail(told, evil)
    assert len(said.lines) == 1
    assert "\x1b" not in said.text
    assert "\\x1b]0;owned\\x07\\rforged\\nforged" in said.text
    assert told.records[0]["ticket"] == EVIL


def test_the_states_of_the_option_are_all_there_are() -> None:
    assert set(STATES) == {str(state) for state in State}


def test_a_state_that_isnt_one_is_refused_with_the_nearest() -> None:
    with pytest.raises(Usage, match="did you mean 'delivered'"):
        cli.read(["tail", "--state", "deliverd"])
