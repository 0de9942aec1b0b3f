"""What the set-up says of a part that it couldn't install. Syntax of Python 3.7 (`bootstrap`)."""

from __future__ import annotations

from pathlib import Path

OFFLINE = (
    "(from versions: none)",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ProxyError",
    "ReadTimeoutError",
    "npm error network",
)
"""What pip and npm write where they don't reach their registry. pip alone calls that a missing package."""

OFFLINE_HINT = (
    "Does this machine reach PyPI and the npm registry? pip and npm heed a proxy (HTTPS_PROXY) and a mirror "
    "(PIP_INDEX_URL, npm_config_registry)."
)


def explain(name: str, log: Path, root: Path) -> str:
    """The message of a failed installation: the last lines of its log, and where below `root` the log is."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    end = "\n  ".join(lines[-12:])
    hint = f"\n{OFFLINE_HINT}" if any(sign in line for line in lines for sign in OFFLINE) else ""
    return f"{name} could not be installed. The end of {log.relative_to(root)}:\n  {end}{hint}"
