"""The releases that an upgrade goes between: this one, and the one before as git keeps it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

from tocsin_local.paths import ROOT, RUNS
from tocsin_local.stack import build

PREVIOUS = "523abcd381da2e2149c9cd7a2da97aa9d85ca39d"
"""The commit of release 0.1.0. Moved on with each release, and the fixtures with it (RECORDS.md)."""

SHORT_TIMEOUTS = {
    "PlanTimeoutSeconds": "30",
    "TicketEventsVisibilitySeconds": "30",
    "SendTimeoutSeconds": "15",
    "NotificationsVisibilitySeconds": "15",
    "ReceiveTimeoutSeconds": "15",
    "StanzasVisibilitySeconds": "15",
}
"""What this release calls `Timing=trial`. The emulator kills what runs when a function changes, and its
messages come back only after these; AWS lets it end. Its planner gets longer than the ten seconds of its
own local stack: five starts that are too slow, on a busy machine, and it buries an event."""

TELLTALE = Path("tocsin/connector_client/protocol.py")


class NoHistory(Exception):
    """The checkout is too shallow to hold the release before. The text says how to get it."""

    def __init__(self) -> None:
        super().__init__(
            f"the previous release ({PREVIOUS[:7]}) isn't in this checkout: git fetch --unshallow"
        )


@dataclass(frozen=True)
class Release:
    """A release as it is deployed. `root`: its sources; `built`: what `sam build` made of them; `parameters`:
    what its template is given here."""

    name: str
    root: Path
    built: Path
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def layer(self) -> Path:
        """The built layer; its connector runs from there."""
        return self.built / "CoreLayer"

    def is_of(self, layer: Path) -> bool:
        """Whether an unpacked layer is this release's. No two releases speak of their protocol alike."""
        mine, theirs = (folder / "python" / TELLTALE for folder in (self.layer, layer))
        return mine.read_bytes() == theirs.read_bytes()


def this_release(folder: Path) -> Release:
    return Release("new", ROOT, build(folder))


def previous_release(folder: Path) -> Release:
    """Raises NoHistory."""
    root = previous_sources()
    return Release("old", root, build(folder, root), SHORT_TIMEOUTS)


def previous_sources() -> Path:
    """The whole tree of the release before, unpacked below `.run` once. Raises NoHistory."""
    target = RUNS / "releases" / PREVIOUS[:12]
    if not target.exists():
        archive = _archive()
        target.parent.mkdir(parents=True, exist_ok=True)
        # Of its own: several test processes may unpack it beside each other.
        unfinished = Path(mkdtemp(prefix=f"{target.name}-", dir=target.parent))
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(unfinished, filter="data")
        try:
            unfinished.rename(target)
        except OSError:
            # Another one was first.
            shutil.rmtree(unfinished)
            if not target.exists():
                raise
    return target


def _archive() -> bytes:
    try:
        done = subprocess.run(
            ["git", "archive", "--format=tar", PREVIOUS], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise NoHistory from None
    return done.stdout
