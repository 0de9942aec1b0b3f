"""Fifty threads take ten numbers each: the counter ends at five hundred, and its unsafe twin's doesn't.

After the stress test of the DynamoDB lock client (ConsistentLockDataStressTest), whose twin shows that the
test can fail.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.support import key_mutants as mutants
from tests.support.key_peers import End

THREADS = 50
ROUNDS = 10


def stress() -> tuple[Counter[int], int]:
    """How often each number was taken, and what the counter says in the end."""
    ann, bob = End("100@lid"), End("200@lid")
    ann.meet(bob)
    together = Barrier(THREADS)

    def work(_: int) -> list[int]:
        keys = ann.opened()
        together.wait()
        numbers = []
        for _ in range(ROUNDS):
            numbers.append(keys.sending.reserve(ann.profile, bob.user).number)
            time.sleep(0.001)
        return numbers

    # Between a request and the next the others have their turn.
    ann.table.before = lambda name, argument: time.sleep(0.0002)
    with ThreadPoolExecutor(THREADS) as pool:
        taken = Counter(number for numbers in pool.map(work, range(THREADS)) for number in numbers)
    return taken, int(str(ann.outbound(bob)["next"]))


def test_every_number_is_taken_once() -> None:
    taken, following = stress()
    assert (len(taken), following) == (THREADS * ROUNDS, THREADS * ROUNDS)


def test_the_unsafe_twin_loses_count(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants.a_number_from_a_read(monkeypatch.setattr)
    taken, following = stress()
    assert max(taken.values()) > 1
    assert following < THREADS * ROUNDS
