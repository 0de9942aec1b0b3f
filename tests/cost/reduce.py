"""From the lines of the counter to averages, as they are recorded in `measured.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

CHUNK = 65536
OF_A_WINDOW = "hours/"
"""Items that are written at the end of a window."""

Line = Mapping[str, Any]


def reduced(counted: Mapping[str, Any]) -> dict[str, Any]:
    """The recording: averages for one notification one at a time and in a burst, and for one idle minute."""
    found: dict[str, Any] = {}
    # The connector counts only what isn't zero, so what it tells in a quiet run it tells always.
    always = {"log": counted["connector_log"]}
    for name in ("in_turn", "at_once"):
        phase = counted[name]
        found[name] = {
            "functions": averages(phase["lines"], phase["notifications"]),
            "metrics": len(series([*phase["lines"], always])),
        }
    minutes = counted["idle_seconds"] / 60
    found["idle"] = {
        "functions": averages(counted["idle"]["lines"], minutes),
        "metrics": len(series([*counted["idle"]["lines"], always])),
    }
    # One that nothing came to leaves no line.
    found["counted"] = sorted(counted["counted"])
    found["stored_bytes"] = counted["stored"]["bytes"]
    found["cold"] = {
        line["function"]: {"cpu_ms": round(line["cpu_ms"]), "calls": line["calls"]}
        for line in counted["cold"]
    }
    return found


def averages(lines: Iterable[Line], times: float) -> dict[str, Any]:
    """By function: what one notification, or one minute, takes of each."""
    found: dict[str, Any] = {}
    by_function: dict[str, list[Line]] = {}
    for line in lines:
        if not line["ready"]:
            by_function.setdefault(line["function"], []).append(line)
    for function, found_lines in sorted(by_function.items()):
        mine = [without_windows(line) for line in found_lines]
        calls: Counter[str] = Counter()
        units: Counter[str] = Counter()
        for line in mine:
            calls.update(line["calls"])
            units.update(line.get("units_of", {}))
        text = "".join(line["log"] for line in mine)
        events = sum(-(-length // CHUNK) for line in mine for length in line["event_bytes"])
        found[function] = {
            "invocations": 0 if function == "connector" else round(len(mine) / times, 4),
            "records": round(sum(line["records"] for line in mine) / times, 4),
            "cpu_ms": round(sum(line["cpu_ms"] for line in mine) / times, 3),
            "calls": {name: round(count / times, 4) for name, count in sorted(calls.items())},
            "read_units": round(sum(line["read_units"] for line in mine) / times, 4),
            "write_units": round(sum(line["write_units"] for line in mine) / times, 4),
            "write_units_of": {name: round(count / times, 3) for name, count in sorted(units.items())},
            "events": round(events / times, 4),
            "log_bytes": round(len(text.encode()) / times, 1),
            "log_lines": round(text.count("\n") / times, 3),
        }
        if function == "send_notification":
            # Orders of one invocation wait for their acks beside each other.
            found[function]["ack_waits"] = found[function]["invocations"]
    return found


def without_windows(line: Line) -> Line:
    """A line without what Lambda has done at the end of a stream's window, a few times an hour: the emulator
    knows no windows, and has it done with each batch."""
    units = line.get("units_of", {})
    counts = [kind for kind in units if kind.startswith(OF_A_WINDOW)]
    if not counts:
        return line
    calls = Counter(line["calls"])
    calls["dynamodb:UpdateItem"] -= len(counts)
    return {
        **line,
        "calls": {name: count for name, count in calls.items() if count > 0},
        "write_units": line["write_units"] - sum(units[kind] for kind in counts),
        "units_of": {kind: units[kind] for kind in units if kind not in counts},
    }


def series(lines: Iterable[Line]) -> set[tuple[str, ...]]:
    """The custom metrics that a log holds: name and dimensions."""
    found = set()
    for line in lines:
        for text in line["log"].splitlines():
            if '"_aws"' not in text or not text.startswith("{"):
                continue
            value = json.loads(text)
            for group in value["_aws"]["CloudWatchMetrics"]:
                for names in group["Dimensions"]:
                    dimensions = tuple(f"{name}={value[name]}" for name in sorted(names))
                    found |= {(metric["Name"], *dimensions) for metric in group["Metrics"]}
    return found
