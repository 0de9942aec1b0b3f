"""Delays before connecting again."""

from itertools import islice

from tocsin.whatsapp.backoff import delays


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_delays_grow_to_a_cap() -> None:
    assert list(islice(delays(middle), 9)) == [1, 1, 2, 3, 5, 8, 13, 21, 34]
    assert list(islice(delays(middle), 40))[-1] == 900


def test_each_delay_has_jitter() -> None:
    assert list(islice(delays(min), 3)) == [0.9, 0.9, 1.8]
    assert list(islice(delays(max), 3)) == [1.1, 1.1, 2.2]
