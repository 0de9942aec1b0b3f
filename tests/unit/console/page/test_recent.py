"""Lines in order of time: added, looked through with few steps a line, and no more than fit."""

from __future__ import annotations

from tests.support.steps import steps
from tocsin.notify.notification import State
from tocsin_console.feed.line import Line
from tocsin_console.feed.sifting import Sieve
from tocsin_console.page.feed.recent import Recent

STEPS_A_LINE = 8


def line(number: int, state: State = State.SENT) -> Line:
    identity = f"{number:018x}"
    return Line(
        identity, "default", f"TCK-{number}", "TicketCreated", "customer", f"Siti 62…{number % 99}",
        f"62{number}",
        state, "Halo", f"halo siti ticket {number} router", number,
    )  # fmt: skip


def test_lines_come_newest_first_however_they_were_added() -> None:
    recent = Recent()
    recent.put(line(number) for number in (2, 3, 1))
    assert [one.created_at for one in recent.newest(lambda _: True, 9)] == [3, 2, 1]
    assert [one.created_at for one in recent.newest(lambda _: True, 9, before=line(3).place)] == [2, 1]
    assert [one.created_at for one in recent.newest(lambda _: True, 9, since=2)] == [3, 2]


def test_what_is_too_old_is_not_even_looked_at() -> None:
    recent, seen = Recent(), list[int]()
    recent.put(line(number) for number in range(1, 100))
    recent.newest(lambda one: bool(seen.append(one.created_at)), 9, since=98)
    assert seen == [99, 98]


def test_a_line_that_is_known_is_replaced() -> None:
    recent = Recent()
    recent.put([line(1), line(1, State.READ)])
    assert [one.state for one in recent.newest(lambda _: True, 9)] == [State.READ]


def test_the_oldest_goes_where_there_is_no_room() -> None:
    recent = Recent(2)
    recent.put(line(number) for number in (3, 1, 2))
    assert [one.created_at for one in recent.newest(lambda _: True, 9)] == [3, 2]
    assert recent.full


def test_a_filter_that_nothing_passes_takes_few_steps_for_each_line() -> None:
    """There are up to a hundred thousand, and somebody waits."""
    recent = Recent()
    recent.put(line(number) for number in range(1000))
    judge = Sieve(words="router 77 nowhere", state="sent").judge(0)
    assert recent.newest(judge, 50) == []
    assert steps(lambda: recent.newest(judge, 50)) < 1000 * STEPS_A_LINE


def test_a_filter_and_its_address_are_one() -> None:
    from urllib.parse import parse_qsl

    sieve = Sieve(ticket="A&B=1", words="ä ö", state="failed")
    assert Sieve.of(dict(parse_qsl(sieve.query))) == sieve
