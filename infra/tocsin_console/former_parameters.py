"""Parameters of the template that have become settings: what a stack had set is taken along. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.settings.declared import DECLARED
from tocsin.settings.kinds import InvalidValue
from tocsin.settings.values import Scope

FORMER: Mapping[str, tuple[str, str]] = {
    parameter: (setting.name, audience)
    for setting in DECLARED.values()
    for parameter, audience in setting.parameter.items()
}
"""Parameter of 0.1.0 → the setting, and its audience; empty for all."""

ALIKE = {"technician": ("technician", "group")}
"""What was said of technicians held for groups as well."""


@dataclass(frozen=True)
class TakenOver:
    """`changes`: (setting, value as it is typed, scope). `unreadable`: parameters that mean nothing."""

    changes: tuple[tuple[str, str, Scope], ...] = ()
    unreadable: tuple[str, ...] = ()


def taken_over(parameters: Mapping[str, str]) -> TakenOver:
    """What of these must be set, because it differs from the defaults."""
    changes, unreadable = [], []
    for parameter, (name, audience) in FORMER.items():
        if parameter not in parameters:
            continue
        setting, typed = DECLARED[name], parameters[parameter]
        try:
            value = setting.kind.parse(typed)
        except InvalidValue:
            unreadable.append(f"{parameter}={typed}")
            continue
        for one in ALIKE.get(audience, (audience or None,)):
            if value != setting.default_of(one):
                changes.append((name, setting.kind.show(value), Scope(None, one)))
    return TakenOver(tuple(changes), tuple(unreadable))
