"""`tocsin doctor`: checks before a deployment (`before`) and of a deployed stack (`stack`, `operation`,
`doors`).

Each check gathers facts from AWS, in a thread of its own and within a bound, and a pure function judges them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tocsin_console.deployment import Deployment, Place
from tocsin_console.doctor import before, checks, doors, operation, stack
from tocsin_console.doctor.planned import Planned
from tocsin_console.output import Output
from tocsin_console.samconfig import read_samconfig
from tocsin_console.template_defaults import DEFAULTS

S = TypeVar("S")

OF_STACK: Final[Sequence[checks.Check[stack.Deployed]]] = (*stack.CHECKS, *operation.CHECKS, *doors.CHECKS)
"""All checks of a deployed stack."""


def before_deploy(
    place: Place, output: Output, given: Mapping[str, str] | None = None, folder: Path | None = None
) -> None:
    """Check what a deployment from `folder` (default: the current one) would meet. `given`: parameters, if
    not those of its samconfig.toml. Raises FaultsFound, ConsoleError."""
    folder = folder or Path.cwd()
    parameters = read_samconfig(folder).parameters if given is None else given
    planned = Planned(place, {**_kept(place), **parameters}, folder)
    _tell_all(before.CHECKS, planned, output)


def _kept(place: Place) -> dict[str, str]:
    """What a stack that is there was deployed with: SAM keeps what nobody gives. Without the right to ask, or
    without credentials, nothing: the checks tell of that."""
    try:
        found = place.look() or {}
    except (BotoCoreError, ClientError):
        return {}
    kept = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())}
    return {name: value for name, value in kept.items() if name in DEFAULTS}


def examine(place: Place, output: Output) -> None:
    """Check a deployed stack. Raises FaultsFound, NotFound, ConsoleError."""
    deployed = stack.Deployed(Deployment.at(place))
    _tell_all(OF_STACK, deployed, output)


def _tell_all(all_checks: Sequence[checks.Check[S]], source: S, output: Output) -> None:
    with output.progress("checked", len(all_checks)) as progress:
        found = checks.carry_out(all_checks, source, done=progress.step)
    checks.tell(found, output)
