"""Whose a number is, for those who have nobody to tell."""

from __future__ import annotations

from tocsin.multidevice.numbers import NumberOwners


def silent_numbers() -> NumberOwners:
    return NumberOwners(lambda account, known, to: None, lambda account, at: 1)
