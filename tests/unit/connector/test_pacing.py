"""How fast it connects again, and when it gives up on itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.connector.pacing import DEAF_MEMORY, VERSION_SECONDS, Pace, Unhealable
from tocsin.whatsapp import reaction
from tocsin.whatsapp.reaction import Kind, Reaction

OUTDATED = Reaction(Kind.REFRESH_VERSION, "version-too-old")
RATE_LIMITED = reaction.STREAM_ERRORS["429"]


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def delays(pace: Pace, ended: Reaction, count: int, lasted: float | None = None) -> list[float]:
    return [pace.delay(ended, lasted) for _ in range(count)]


def test_lost_connections_are_followed_ever_more_slowly() -> None:
    assert delays(Pace(middle), reaction.LOST, 7) == [1, 1, 2, 3, 5, 8, 13]


def test_half_a_minute_of_service_makes_the_delays_start_over() -> None:
    pace = Pace(middle)
    delays(pace, reaction.LOST, 5)
    assert pace.delay(reaction.LOST, 29) == 8
    assert pace.delay(reaction.LOST, 30) == 1


def test_a_restart_asked_for_by_the_server_is_immediate_but_no_storm() -> None:
    assert delays(Pace(middle), reaction.RESTART, 6) == [0, 0, 0, 1, 1, 2]


def test_a_rate_limit_skips_the_short_delays() -> None:
    assert Pace(middle).delay(RATE_LIMITED, 0.1) == 8


def test_each_further_rate_limit_slows_it_down_more() -> None:
    assert delays(Pace(middle), RATE_LIMITED, 4, lasted=0.1) == [8, 144, 900, 900]


def test_a_version_too_old_is_tried_once_more_then_every_half_hour() -> None:
    assert delays(Pace(middle), OUTDATED, 3) == [0, VERSION_SECONDS, VERSION_SECONDS]


def test_a_login_in_between_makes_the_version_fresh_again() -> None:
    pace = Pace(middle)
    pace.delay(OUTDATED, None)
    pace.delay(reaction.LOST, 60)
    assert pace.delay(OUTDATED, None) == 0


def test_deaf_sockets_are_replaced_at_once_and_the_third_ends_the_process() -> None:
    pace = Pace(middle)
    assert delays(pace, reaction.DEAF, 2, lasted=50) == [0, 0]
    with pytest.raises(Unhealable):
        pace.delay(reaction.DEAF, 50)


def test_a_fresh_socket_that_answers_no_handshake_is_deaf_too() -> None:
    pace = Pace(middle)
    pace.delay(reaction.DEAF, 50)
    pace.delay(reaction.HANDSHAKE_TIMEOUT, None)
    with pytest.raises(Unhealable):
        pace.delay(reaction.HANDSHAKE_TIMEOUT, None)


def test_handshakes_that_fail_without_deafness_before_only_slow_it_down() -> None:
    assert delays(Pace(middle), reaction.HANDSHAKE_TIMEOUT, 4) == [1, 1, 2, 3]


def test_deafness_long_ago_is_forgotten() -> None:
    pace = Pace(middle)
    for _ in range(5):
        assert pace.delay(reaction.DEAF, DEAF_MEMORY) == 0


# Whatever the server does

ENDINGS = [
    reaction.LOST,
    reaction.RESTART,
    reaction.STREAM_END,
    reaction.UNDECRYPTABLE,
    reaction.HANDSHAKE_FAILED,
    OUTDATED,
    *(each for each in reaction.STREAM_ERRORS.values() if each.kind is not Kind.STOP),
]


def connects_in_an_hour(endings: list[tuple[Reaction, float | None]]) -> int:
    """With these endings over and over. Reaching the server takes no time at all."""
    pace, clock, connects = Pace(min), 0.0, 0
    while clock < 3600:
        ended, lasted = endings[connects % len(endings)]
        clock += (lasted or 0.0) + pace.delay(ended, lasted)
        connects += 1
        assert connects < 10_000
    return connects


@given(st.lists(st.tuples(st.sampled_from(ENDINGS), st.sampled_from([None, 0.0, 5.0, 29.0])), min_size=1))
@settings(max_examples=100, deadline=None)
def test_a_server_that_never_serves_is_hardly_bothered(endings: list[tuple[Reaction, float | None]]) -> None:
    assert connects_in_an_hour(endings) <= 50


@given(st.lists(st.tuples(st.sampled_from(ENDINGS), st.sampled_from([None, 0.0, 5.0, 31.0])), min_size=1))
@settings(max_examples=100, deadline=None)
def test_no_ending_and_no_order_of_them_makes_a_storm(endings: list[tuple[Reaction, float | None]]) -> None:
    """Each half minute of service buys three connects at once and a few more soon after."""
    assert connects_in_an_hour(endings) <= 800
