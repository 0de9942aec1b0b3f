"""The values of the settings at one moment, and how they are read from the stored item. Pure.

    values: {setting: {scope: value}}      of what differs from the defaults

A scope is `*` for the whole stack, `account=A`, `audience=U`, or `account=A,audience=U`. The narrowest one
counts; an account is narrower than an audience.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tocsin.settings.declared import ACCOUNT, AUDIENCE, AUDIENCES, DECLARED, Setting
from tocsin.settings.kinds import InvalidValue

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Value

T = TypeVar("T")

EVERYWHERE: Final = "*"
UNKNOWN: Final = object()

Values = Mapping[str, Mapping[str, Any]]


class Scope(NamedTuple):
    """What a value holds for. None: for all."""

    account: str | None = None
    audience: str | None = None

    def __str__(self) -> str:
        named = ((ACCOUNT, self.account), (AUDIENCE, self.audience))
        return ",".join(f"{what}={name}" for what, name in named if name is not None) or EVERYWHERE

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Raises ValueError for what is no scope of this version."""
        if text == EVERYWHERE:
            return cls()
        parts = [part.partition("=") for part in text.split(",")]
        named = {what: name for what, _, name in parts}
        if len(named) != len(parts) or not named.keys() <= {ACCOUNT, AUDIENCE} or not all(named.values()):
            raise ValueError(f"no scope: {text}")
        scope = cls(named.get(ACCOUNT), named.get(AUDIENCE))
        if str(scope) != text or scope.audience not in (None, *AUDIENCES):
            raise ValueError(f"no scope: {text}")
        return scope

    @classmethod
    def known(cls, text: str) -> Scope | None:
        """A stored scope; None for one that only a later version may know, which is left alone."""
        try:
            return cls.parse(text)
        except ValueError:
            return None

    def fits(self, setting: Setting[Any]) -> bool:
        """Whether this setting may be set for it."""
        named = {ACCOUNT: self.account, AUDIENCE: self.audience}
        return all(what in setting.per for what, name in named.items() if name is not None)


STACK: Final = Scope()


class Settings:
    """The values in force. `version`: how often they were changed; 0: never."""

    __slots__ = ("_values", "version")

    def __init__(self, values: Values | None = None, version: int = 0) -> None:
        self._values = values or {}
        self.version = version

    def value(self, setting: Setting[T], *, account: str | None = None, audience: str | None = None) -> T:
        """Return the value for an account and an audience, of the narrowest scope that has one."""
        found = self._values.get(setting.name)
        if found:
            for scope in (Scope(account, audience), Scope(account), Scope(None, audience), Scope()):
                if str(scope) in found:
                    value: T = found[str(scope)]
                    return value
        return setting.default_of(audience)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and (self._values, self.version) == (other._values, other.version)

    def __hash__(self) -> int:
        return hash(self.version)


DEFAULTS: Final = Settings()


class Reading(NamedTuple):
    """What a stored item says. `settings`: of what is valid. `problems`: each invalid value, in a sentence.
    `unknown`: names and scopes that a later version may know; they are left alone."""

    settings: Settings
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def read_item(item: Item | None) -> Reading:
    """Read what the table holds; None (nothing was ever changed) means the defaults. Never raises."""
    if item is None:
        return Reading(DEFAULTS)
    version, stored = item.get("version"), item.get("values")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return Reading(DEFAULTS, (f"the version is {_quoted(version)}, not a number of 1 or more",))
    if not isinstance(stored, Mapping):
        return Reading(Settings(version=version), (f"the values are {_quoted(stored)}, not a map",))
    values: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    unknown: list[str] = []
    for name, scoped in stored.items():
        setting = DECLARED.get(name)
        if setting is None:
            unknown.append(_short(name))
        elif not isinstance(scoped, Mapping):
            problems.append(f"{name} is {_quoted(scoped)}, not a map of scopes")
        else:
            values[name] = _scoped(setting, scoped, problems, unknown)
    return Reading(Settings(values, version), tuple(problems), tuple(unknown))


def without_invalid(stored: Mapping[str, Value]) -> dict[str, Mapping[str, Value]]:
    """Return stored values without those that are invalid; what a later version may know stays."""
    kept: dict[str, Mapping[str, Value]] = {}
    for name, scoped in stored.items():
        if not isinstance(scoped, Mapping):
            continue
        setting = DECLARED.get(name)
        good = {
            text: value
            for text, value in scoped.items()
            if setting is None or not isinstance(_judged(setting, text, value), InvalidValue)
        }
        if good:
            kept[name] = good
    return kept


def _scoped(
    setting: Setting[Any], scoped: Mapping[str, Value], problems: list[str], unknown: list[str]
) -> dict[str, Any]:
    good: dict[str, Any] = {}
    for text, stored in scoped.items():
        judged = _judged(setting, text, stored)
        if isinstance(judged, InvalidValue):
            where = "" if text == EVERYWHERE else f" for {_short(text)}"
            problems.append(f"{setting.name}{where} is {_quoted(stored)}: {judged}")
        elif judged is UNKNOWN:
            unknown.append(f"{setting.name} for {_short(text)}")
        else:
            good[text] = judged
    return good


def _judged(setting: Setting[Any], text: str, stored: Value) -> Any:
    """Return the value of a scope, InvalidValue, or UNKNOWN where only a later version may know the scope."""
    scope = Scope.known(text)
    if scope is None:
        return UNKNOWN
    if not scope.fits(setting):
        return InvalidValue("it can't be set for that")
    try:
        return setting.kind.check(stored)
    except InvalidValue as refusal:
        return refusal


def _quoted(value: object) -> str:
    return _short(repr(value))


def _short(text: str) -> str:
    """What stands there is nobody's secret, but it may be long."""
    return text if len(text) <= 60 else f"{text[:60]}…"
