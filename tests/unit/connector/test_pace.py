"""How fast it connects again, and when it gives up on itself."""

from __future__ import annotations

import pytest

from tocsin.connector.pace import DEAF_MEMORY, VERSION_SECONDS, Pace, Unhealable
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
