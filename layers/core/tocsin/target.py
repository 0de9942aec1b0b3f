"""What the layer was built for, held against what runs it.

A layer holds compiled packages. On another runtime or processor the first import of one fails, with an error
that names neither. So the build writes its target beside this file, and whoever enters the package reads it.
Imports nothing that isn't loaded already: every cold start comes through here.
"""

from __future__ import annotations

import os
import sys

FILE = os.path.join(os.path.dirname(__file__), "TARGET")
"""Written by the layer's Makefile: runtime and architecture, as in `python3.13 arm64`. Sources have none."""


class WrongLayer(ImportError):
    """The layer was built for another target than the one it runs on. Build it for that one and deploy it.

    An `ImportError`, because Lambda tells the text of those as the reason why a function doesn't start.
    """

    def __init__(self, built: str, running: str) -> None:
        super().__init__(built, running)
        self.built = built
        self.running = running

    def __str__(self) -> str:
        runtime, architecture = self.running.split(" ", 1)
        command = f"TOCSIN_RUNTIME={runtime} TOCSIN_ARCHITECTURE={architecture} sam build && sam deploy"
        return f"the layer was built for {self.built}, but runs on {self.running}: {command}"


def refuse_wrong_layer(file: str = FILE) -> None:
    """Return if this was built for what runs it, or wasn't built at all. Raises `WrongLayer`."""
    try:
        with open(file, encoding="ascii") as stamp:
            built = stamp.read().strip()
    except FileNotFoundError:
        return
    if built != running():
        raise WrongLayer(built, running())


def running() -> str:
    """Return the runtime and the architecture of this process, named as AWS Lambda names them."""
    machine = os.uname().machine
    architecture = "arm64" if machine == "aarch64" else machine
    return f"python{sys.version_info.major}.{sys.version_info.minor} {architecture}"
