"""What a check is, and how all of them are carried out and told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin_console import trouble
from tocsin_console.errors import ConsoleError
from tocsin_console.output import Output

S = TypeVar("S")

CHECK_SECONDS: Final = 20.0
"""How long one check may take. It then counts as unknown, and nobody waits for it any more."""


class Level(StrEnum):
    """How a check ended. `UNKNOWN`: it could not be carried out, which is no fault of the stack."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """`saw`: what was found. `means`: what follows from it. `mend`: the command that mends it, or what to do.
    Both are empty where all is well."""

    level: Level
    saw: str
    means: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Check(Generic[S]):
    """`name`: as it is printed. `gather`: asks AWS and returns the facts; it may raise. `judge`: pure."""

    name: str
    gather: Callable[[S], Any]
    judge: Callable[[Any], Sequence[Finding]]


class FaultsFound(ConsoleError):
    """The checks were carried out, and at least one found a fault."""

    exit_code = 1


def ok(saw: str) -> Finding:
    return Finding(Level.OK, saw)


def warning(saw: str, means: str, mend: str) -> Finding:
    return Finding(Level.WARNING, saw, means, mend)


def fault(saw: str, means: str, mend: str) -> Finding:
    return Finding(Level.FAULT, saw, means, mend)


def unknown(saw: str, mend: str = "") -> Finding:
    return Finding(Level.UNKNOWN, saw, "", mend)


def carry_out(
    checks: Sequence[Check[S]],
    source: S,
    *,
    seconds: float = CHECK_SECONDS,
    done: Callable[[], None] = lambda: None,
) -> list[tuple[str, Finding]]:
    """Carry out all checks beside each other; return their findings in the order of the checks. `done`: is
    called as many times as there are checks."""
    found: dict[str, list[Finding]] = {}

    def examine(check: Check[S]) -> None:
        found[check.name] = examined(check, source)

    threads = [threading.Thread(target=examine, args=(check,), daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        done()
    late = [unknown(f"no answer within {seconds:.0f} seconds", "repeat it; is AWS reachable from here?")]
    # A copy: one that is late may still come.
    in_time = dict(found)
    return [(check.name, finding) for check in checks for finding in in_time.get(check.name, late)]


def examined(check: Check[S], source: S) -> list[Finding]:
    """The findings of one check. One that fails itself is unknown, with its reason."""
    try:
        return list(check.judge(check.gather(source)))
    except (BotoCoreError, ClientError, TableError) as error:
        return [unknown(trouble.sentence(error, where="this check"))]
    except ConsoleError as error:
        return [unknown(str(error))]
    except Exception as error:  # noqa: BLE001  the others go on; its text may hold anything
        return [unknown(f"the check failed: {type(error).__name__}")]


def tell(findings: Sequence[tuple[str, Finding]], output: Output) -> None:
    """Print all findings and their sum. Raises FaultsFound if one is a fault."""
    width = max(len(name) for name, _ in findings)
    for name, finding in findings:
        output.record({"check": name, **finding.__dict__, "level": str(finding.level)})
    for name, finding in _said_once(findings):
        output.say(f"{finding.level.upper():<8} {name:<{width}}  {finding.saw}")
        for label, text in (("means", finding.means), ("mend", finding.mend)):
            if text:
                output.say(f"{'':<8} {'':<{width}}  {label}: {text}")
    counts = Counter(finding.level for _, finding in findings)
    output.record({str(level): counts[level] for level in Level})
    output.say()
    output.say(", ".join(_counted(level, counts[level]) for level in Level if counts[level]))
    if counts[Level.FAULT]:
        named = dict.fromkeys(name for name, finding in findings if finding.level is Level.FAULT)
        raise FaultsFound(f"faults found: {', '.join(named)}")


def _said_once(findings: Sequence[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    """What could not be carried out for one and the same reason (no credentials, no network) as one finding,
    with the names of all its checks; the rest as it is."""
    same = Counter(finding for _, finding in findings if finding.level is Level.UNKNOWN)
    faults = {finding.saw for _, finding in findings if finding.level is Level.FAULT}
    told: list[tuple[str, Finding]] = []
    for name, finding in findings:
        if same[finding] < 2:
            told.append((name, finding))
            continue
        names = [other for other, found in findings if found == finding]
        why = "for the fault above" if finding.saw in faults else finding.saw
        if name == names[0]:
            told.append((name, replace(finding, saw=f"{', '.join(names)} could not be looked at: {why}")))
    return told


def _counted(level: Level, number: int) -> str:
    several = number > 1 and level in (Level.WARNING, Level.FAULT)
    return f"{number} {level}{'s' if several else ''}"
