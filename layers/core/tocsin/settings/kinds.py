"""What a setting may hold: how it is typed, checked, stored and shown. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Value

T = TypeVar("T", covariant=True)


class InvalidValue(Exception):
    """The value can't be meant. The text says what it must be."""


class Kind(Protocol[T]):
    """`wanted` says what a value must be, for people."""

    wanted: str

    def parse(self, typed: str) -> T:
        """Return the value of what an operator typed. Raises InvalidValue."""
        ...

    def check(self, stored: object) -> T:
        """Return the value of what the table holds. Raises InvalidValue."""
        ...

    def store(self, value: Any) -> Value:
        """Return the form of a value that the table holds."""
        ...

    def show(self, value: Any) -> str:
        """Return a value as it is typed."""
        ...


class Number:
    """A whole number within bounds. `unit`: for people, such as `seconds`; empty for a plain count."""

    def __init__(self, at_least: int, at_most: int, unit: str = "") -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.unit = unit
        self.wanted = f"a whole number of {at_least} to {at_most}" + (f" ({unit})" if unit else "")

    def parse(self, typed: str) -> int:
        text = typed.strip()
        if not (text.isascii() and text.isdecimal() and len(text) <= 12):
            raise InvalidValue(f"must be {self.wanted}")
        return self.check(int(text))

    def check(self, stored: object) -> int:
        # True is a number to Python.
        if isinstance(stored, bool) or not isinstance(stored, int):
            raise InvalidValue(f"must be {self.wanted}")
        if not self.at_least <= stored <= self.at_most:
            raise InvalidValue(f"must be {self.wanted}")
        return stored

    def store(self, value: int) -> Value:
        return value

    def show(self, value: int) -> str:
        return str(value)


class Switch:
    """On or off."""

    wanted = "true or false"

    def parse(self, typed: str) -> bool:
        text = typed.strip().lower()
        if text not in ("true", "false"):
            raise InvalidValue(f"must be {self.wanted}")
        return text == "true"

    def check(self, stored: object) -> bool:
        if not isinstance(stored, bool):
            raise InvalidValue(f"must be {self.wanted}")
        return stored

    def store(self, value: bool) -> Value:
        return value

    def show(self, value: bool) -> str:
        return "true" if value else "false"


class Choice:
    """One of some words."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.wanted = f"{', '.join(choices[:-1])} or {choices[-1]}"

    def parse(self, typed: str) -> str:
        return self.check(typed.strip())

    def check(self, stored: object) -> str:
        if not isinstance(stored, str) or stored not in self.choices:
            raise InvalidValue(f"must be {self.wanted}")
        return stored

    def store(self, value: str) -> Value:
        return value

    def show(self, value: str) -> str:
        return value


class Subset:
    """Some of these words, each once, in the order of `choices`; typed with commas between them, `none` for
    none of them."""

    NONE = "none"

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.wanted = f"some of {', '.join(choices)}, with commas between them, or {self.NONE}"

    def parse(self, typed: str) -> tuple[str, ...]:
        words = [word.strip() for word in typed.split(",")]
        return self.check([] if words == [self.NONE] else words)

    def check(self, stored: object) -> tuple[str, ...]:
        if not isinstance(stored, list) or any(word not in self.choices for word in stored):
            raise InvalidValue(f"must be {self.wanted}")
        return tuple(word for word in self.choices if word in stored)

    def store(self, value: Collection[str]) -> Value:
        return list(value)

    def show(self, value: Collection[str]) -> str:
        return ",".join(value) or self.NONE


class Sign:
    """An emoji, or nothing; typed `none` for nothing."""

    MOST_CHARACTERS = 12
    NONE = "none"
    wanted = "an emoji, or none"

    def parse(self, typed: str) -> str:
        text = typed.strip()
        return self.check("" if text == self.NONE else text)

    def check(self, stored: object) -> str:
        if not isinstance(stored, str) or len(stored) > self.MOST_CHARACTERS:
            raise InvalidValue(f"must be {self.wanted}")
        if not all(_is_sign(character) for character in stored):
            raise InvalidValue(f"must be {self.wanted}")
        return stored

    def store(self, value: str) -> Value:
        return value

    def show(self, value: str) -> str:
        return value or self.NONE


def _is_sign(character: str) -> bool:
    """False for what makes words, in whatever script, and for what can't be encoded."""
    if character <= "\u009f" or "\ud800" <= character <= "\udfff":
        return False
    return not (character.isalnum() or character.isspace())
