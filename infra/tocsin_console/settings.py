"""`tocsin settings`: list, explain and change what a running stack heeds within seconds."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tocsin.settings import changes
from tocsin.settings.changes import ChangedMeanwhile, Version
from tocsin.settings.declared import AUDIENCES, DECLARED, Setting
from tocsin.settings.kinds import InvalidValue
from tocsin.settings.lists import Addressees
from tocsin.settings.reader import FRESH_SECONDS
from tocsin.settings.values import STACK, Scope
from tocsin.timestamps import from_seconds
from tocsin_console import masking
from tocsin_console.audit import note, operator
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, json_moment, moment

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Value
    from tocsin_console.deployment import Deployment

Stored = Mapping[str, Mapping[str, "Value"]]

IN_FORCE = f"functions and connectors heed it within {FRESH_SECONDS:.0f} seconds"


@dataclass(frozen=True)
class Change:
    """One setting as it is typed. `value` None: back to the default, for `scope`, or everywhere if that is
    None, too."""

    name: str
    value: str | None
    scope: Scope | None = STACK


def list_settings(deployment: Deployment, output: Output) -> None:
    """Print every setting, its default, and who changed what differs."""
    current, history = changes.read_current(deployment.outside_table), None
    rows: list[tuple[str, ...]] = []
    for setting in DECLARED.values():
        scoped = current.values.get(setting.name, {})
        output.record(_told(setting, scoped))
        if not scoped:
            rows.append((setting.name, "", default_of(setting), "default", ""))
            continue
        history = changes.read_history(deployment.outside_table) if history is None else history
        for scope, value in scoped.items():
            by = changed_by(history, setting.name, scope)
            rows.append(
                (setting.name, _where(scope, deployment), _shown(setting, value), default_of(setting), by)
            )
    output.record({"version": current.number, "at": json_moment(current.at), "by": current.by})
    output.table(["SETTING", "FOR", "VALUE", "DEFAULT", "CHANGED"], rows)
    _tell_invalid(current, output)
    for unknown in current.reading.unknown:
        output.say(f"not known to this version, left alone: {unknown}")


def show_setting(deployment: Deployment, name: str, output: Output) -> None:
    """Explain one setting. Raises NotFound."""
    setting = find(name)
    scoped = changes.read_current(deployment.outside_table).values.get(name, {})
    output.record(_told(setting, scoped))
    output.say(f"{name}: {setting.says}")
    output.say(f"value    {setting.kind.wanted}")
    output.say(f"default  {default_of(setting)}")
    output.say(f"set for  the stack{''.join(f', or --{what}' for what in setting.per)}")
    for scope, value in scoped.items():
        output.say(f"is       {_shown(setting, value)}  {_where(scope, deployment)}".rstrip())


def change(
    deployment: Deployment,
    wanted: Sequence[Change],
    output: Output,
    *,
    what: str = "",
    heeded: str = IN_FORCE,
    clock: Callable[[], float] = time.time,
) -> None:
    """Carry changes out, as one version. `what`: the change in words, `heeded`: when it is.

    Raises Usage, NotFound for what can't be meant, and ConsoleError if somebody else changed the settings
    meanwhile; nothing is changed then."""
    before = changes.read_current(deployment.outside_table)
    values: Stored = before.values
    for one in wanted:
        values = _applied(values, one)
    what = what or "; ".join(_sentence(one) for one in wanted)
    _write(deployment, before, values, what, output, heeded=heeded, clock=clock)


def list_history(deployment: Deployment, output: Output) -> None:
    """Print the last changes, the newest first."""
    found = changes.read_history(deployment.outside_table)
    for one in found:
        output.record(
            {
                "version": one.number,
                "at": json_moment(one.at),
                "by": one.by,
                "what": one.what,
                "values": {name: _plain(name, scoped) for name, scoped in one.values.items()},
            }
        )
    if not found:
        output.say("the settings were never changed: all defaults are in force")
        return
    output.table(
        ["VERSION", "AT", "BY", "WHAT"],
        [(one.number, moment(one.at), one.by or "-", one.what or "-") for one in found],
    )


def undo(deployment: Deployment, output: Output, *, clock: Callable[[], float] = time.time) -> None:
    """Set all settings back to how they were before the last change. Raises NotFound."""
    current = changes.read_current(deployment.outside_table)
    if current.stored is None:
        raise NotFound("the settings were never changed: there is nothing to take back")
    earlier = [one for one in changes.read_history(deployment.outside_table) if one.number < current.number]
    target = earlier[0].number if earlier else 0
    if not earlier and current.number > 1:
        raise NotFound(
            "the version before this one is no longer kept; 'tocsin settings history' lists those that are"
        )
    restore(deployment, target, output, clock=clock)


def restore(
    deployment: Deployment, number: int, output: Output, *, clock: Callable[[], float] = time.time
) -> None:
    """Set all settings back to how they were in a version; 0: all defaults. Raises NotFound, ConsoleError."""
    before = changes.read_current(deployment.outside_table)
    values: Stored = {}
    if number:
        kept = {one.number: one for one in changes.read_history(deployment.outside_table)}
        if number not in kept:
            raise NotFound(
                f"no version {number} of the settings is kept; 'tocsin settings history' lists those that are"
            )
        if kept[number].reading.problems:
            raise ConsoleError(f"version {number} is invalid: {'; '.join(kept[number].reading.problems)}")
        values = kept[number].values
    _write(deployment, before, values, f"back to version {number}", output, clock=clock)


def find(name: str) -> Setting[Any]:
    """Raises NotFound, with the name that may be meant."""
    if name in DECLARED:
        return DECLARED[name]
    close = difflib.get_close_matches(name, DECLARED, 1)
    hint = f"; did you mean '{close[0]}'?" if close else "; 'tocsin settings' lists them"
    raise NotFound(f"there is no setting '{name}'{hint}")


def changed_by(history: Iterable[Version], name: str, scope: str) -> str:
    """Who gave a setting the value that it has now, and when; `history` from the newest on."""
    found: Version | None = None
    for version in history:
        value = version.values.get(name, {}).get(scope)
        if found is not None and value != found.values.get(name, {}).get(scope):
            break
        found = version
    return f"{moment(found.at)} by {found.by or '-'}" if found is not None else "-"


def default_of(setting: Setting[Any]) -> str:
    """The default for people, with those of audiences that have another."""
    shown = setting.kind.show(setting.default)
    others = [f"{audience} {setting.kind.show(value)}" for audience, value in setting.defaults.items()]
    return f"{shown} ({', '.join(others)})" if others else shown


def _applied(values: Stored, wanted: Change) -> Stored:
    """Raises Usage, NotFound."""
    setting, scope = find(wanted.name), wanted.scope
    if scope is not None:
        demand_scope(setting, scope)
    if wanted.value is None:
        return changes.without_value(values, wanted.name, scope)
    try:
        value = setting.kind.parse(wanted.value)
    except InvalidValue as refusal:
        raise Usage(f"{wanted.name} {refusal}, not '{wanted.value}'") from None
    return changes.with_value(values, setting, scope or STACK, value)


def demand_scope(setting: Setting[Any], scope: Scope) -> None:
    """Raises Usage for a scope that the setting doesn't have."""
    if scope.audience not in (None, *AUDIENCES):
        raise Usage(f"there is no audience '{scope.audience}': {', '.join(AUDIENCES)}")
    if not scope.fits(setting):
        allowed = " or ".join(f"--{what}" for what in setting.per) or "the whole stack only"
        raise Usage(f"{setting.name} can't be set for that: {allowed}")


def _sentence(wanted: Change) -> str:
    where = "" if wanted.scope in (None, STACK) else f" for {wanted.scope}"
    if wanted.value is None:
        return f"{wanted.name} reset{where}"
    kind = find(wanted.name).kind
    # As it is shown: the history holds no whole number of anybody.
    return f"{wanted.name} {kind.show(kind.parse(wanted.value))}{where}"


def _write(
    deployment: Deployment,
    before: Version,
    values: Stored,
    what: str,
    output: Output,
    *,
    heeded: str = IN_FORCE,
    clock: Callable[[], float],
) -> None:
    if values == before.values and not before.reading.problems:
        output.say("nothing to change: it is so already")
        output.record({"version": before.number, "changed": False})
        return
    try:
        written = changes.write(
            deployment.outside_table,
            before,
            values,
            at=from_seconds(clock()),
            by=operator(deployment),
            what=what,
            token=os.urandom(16).hex(),
        )
    except ChangedMeanwhile as conflict:
        _refuse(conflict)
    note(deployment, f"settings: {what}", clock=clock)
    for problem in before.reading.problems:
        output.say(f"dropped, it was invalid: {problem}")
    output.say(f"version {written.number}: {what}; {heeded}")
    output.record({"version": written.number, "changed": True, "what": what})


def _refuse(conflict: ChangedMeanwhile) -> NoReturn:
    now = conflict.now
    who = (
        "somebody removed the settings"
        if now is None
        else f"{now.by or 'somebody'} wrote version {now.number}"
    )
    did = f" ({now.what})" if now is not None and now.what else ""
    raise ConsoleError(
        f"{who}{did} at the same moment, so nothing was changed: look at 'tocsin settings', then repeat"
    ) from None


def _tell_invalid(current: Version, output: Output) -> None:
    if not current.reading.problems:
        return
    output.say()
    for problem in current.reading.problems:
        output.say(f"invalid: {problem}")
    output.say(
        "the stored settings are invalid, so the last valid ones stay in force: "
        "'tocsin settings restore VERSION' (tocsin settings history), or 'set' or 'reset' what is invalid"
    )


def _told(setting: Setting[Any], scoped: Mapping[str, Value]) -> dict[str, Any]:
    return {
        "setting": setting.name,
        "says": setting.says,
        "wanted": setting.kind.wanted,
        "per": list(setting.per),
        "default": setting.default,
        "defaults": dict(setting.defaults),
        "values": _plain(setting.name, scoped),
    }


def _shown(setting: Setting[Any], stored: object) -> str:
    try:
        value = setting.kind.check(stored)
    except InvalidValue:
        return str(stored)
    shown: str = setting.kind.show(value)
    return masking.either(shown, ",".join(value)) if isinstance(setting.kind, Addressees) else shown


def _plain(name: str, scoped: Mapping[str, Value]) -> dict[str, Any]:
    """The values of a setting for programs: as they are stored, but for whole numbers."""
    setting = DECLARED.get(name)
    if setting is None or not isinstance(setting.kind, Addressees):
        return dict(scoped)
    return {scope: _shown(setting, value) for scope, value in scoped.items()}


def _where(scope: str, deployment: Deployment) -> str:
    """For whom a value holds; an account with its number and name."""
    if scope == str(STACK):
        return ""
    known = Scope.known(scope)
    account = known.account if known is not None else None
    label = deployment.names.label(account) if account is not None else ""
    return scope.replace(f"account={account}", f"account={label}") if label else scope
