"""How long silence is borne: by default, and where it is told."""

from __future__ import annotations

from tests.support.noise_peer import ROOT, device_keys, entropy
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.keepalive import Keepalive


def shortest(low: float, high: float) -> float:
    return low


def test_silence_is_asked_about_and_as_much_again_is_deafness() -> None:
    alive = Keepalive(100, shortest, silence=3)
    assert [alive.wants_ping(102.9), alive.wants_ping(103)] == [False, True]
    assert [alive.is_deaf(105.9), alive.is_deaf(106)] == [False, True]


def test_by_default_it_is_twenty_seconds() -> None:
    alive = Keepalive(100, shortest)
    assert [alive.wants_ping(119.9), alive.wants_ping(120)] == [False, True]
    assert [alive.is_deaf(139.9), alive.is_deaf(140)] == [False, True]


def test_questions_come_at_most_half_as_much_again_apart() -> None:
    alive = Keepalive(100, lambda low, high: high, silence=4)
    assert [alive.wants_ping(105.9), alive.wants_ping(106)] == [False, True]


def test_a_handshake_gets_as_long_as_silence_is_borne() -> None:
    client = Connection(device_keys(None), Config(root_key=ROOT.public, silence=3), random=entropy())
    client.start(100)
    client.tick(102.9)
    assert not client.is_ended
    client.tick(103)
    assert client.is_ended
