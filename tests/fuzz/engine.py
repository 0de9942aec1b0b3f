"""The fuzzer: inputs made of earlier ones, kept where they lead to something new.

An execution returns its outcome in a word (`ok`, or the refusal's name). An input with an outcome not seen
before joins the pool from which further ones are made: so the fuzzer climbs from one check to the next. All
is drawn from a seed; a failure names the bytes that caused it.
"""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

HANG_SECONDS = 5.0
"""An execution that takes so long is a hang, even on a machine under load."""

MAX_SIZE = 4096
MAX_POOL = 512

_TELLING = (0, 1, 2, 0x7F, 0x80, 0xEC, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)
"""Bytes on which readers decide: the codes of the node format, the edges of numbers."""


def _packed(digits: str) -> bytes:
    """Digits as a node writes them, two to a byte."""
    odd = len(digits) & 1
    return bytes((0xFF, odd << 7 | (len(digits) + odd) >> 1)) + bytes.fromhex(digits + "f" * odd)


_EXTREMES = (
    b"\xfe\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x1f",
    b"\xff" * 9 + b"\x01",
    *map(_packed, ("4294967295", "4294967296", "9" * 17, "9" * 18)),
    b"\xfc\x80" + b"A" * 128,
    b"\xfc\x81" + b"A" * 129,
    b"\xfd\x00\x0b\xb8" + b"A" * 3000,
    b"4294967296",
    b"9" * 18,
)
"""Numbers at and beyond the ends of 32 and 64 bits, as protobuf, nodes and text write them; texts of 3,000
characters, and of one more than may be."""


class Fuzzed(AssertionError):
    """An input did what none may do. Its bytes stand in the text, in hex."""


@dataclass(frozen=True)
class Target:
    """`run`: feed it one input and return the outcome's name. Whatever it raises is a finding."""

    name: str
    run: Callable[[bytes], str]
    seeds: tuple[bytes, ...]


@dataclass
class Outcome:
    """What came of one target. `slowest`: seconds of the slowest execution. `new`: made inputs with outcomes
    that no seed had."""

    executions: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    new: list[bytes] = field(default_factory=list)


def resident_megabytes() -> float:
    """The most this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(target: Target, *, seed: int, seconds: float = 1e9, executions: int = 10**12) -> Outcome:
    """Until either is used up. Raises `Fuzzed`."""
    chance = random.Random(seed)
    pool = list(target.seeds)
    report = Outcome()
    began = time.monotonic()
    with _no_hang():
        while report.executions < executions:
            fresh = report.executions < len(target.seeds)
            data = pool[report.executions] if fresh else mutated(chance, pool)
            signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
            start = time.monotonic()
            try:
                outcome = target.run(data)
            except Exception as error:
                raise Fuzzed(f"{target.name}: {type(error).__name__}: {error}; input {data.hex()}") from error
            end = time.monotonic()
            report.executions += 1
            report.slowest = max(report.slowest, end - start)
            if outcome not in report.outcomes and len(pool) < MAX_POOL:
                pool.append(data)
                if not fresh:
                    report.new.append(data)
            report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1
            if end - began > seconds:
                break
    report.seconds = time.monotonic() - began
    return report


class Hang(Exception):
    """Raised within an execution that doesn't end."""


@contextmanager
def _no_hang() -> Any:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"no end after {HANG_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutated(chance: random.Random, pool: list[bytes]) -> bytes:
    """One to four changes to an input of the pool."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.randint(1, 4)):
        chance.choice(_CHANGES)(chance, data, pool)
    return bytes(data[:MAX_SIZE])


def _flip(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(_TELLING)


def _any(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _insert(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = bytes(chance.choice(_TELLING) for _ in range(chance.randint(1, 4)))


def _delete(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    at = chance.randint(0, len(data))
    del data[at : at + chance.randint(1, 8)]


def _cut(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _repeat(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    at = chance.randint(0, len(data))
    part = data[at : at + chance.randint(1, 32)]
    data[at:at] = part * chance.choice((1, 2, 16))


def _splice(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    other = chance.choice(pool)
    start, at = chance.randint(0, len(other)), chance.randint(0, len(data))
    data[at:] = other[start:]


def _extreme(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at : at + chance.choice((0, 1, 2, 6))] = chance.choice(_EXTREMES)


_CHANGES = (_flip, _set, _any, _insert, _delete, _cut, _repeat, _splice, _extreme)
