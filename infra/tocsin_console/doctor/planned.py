"""What is to be deployed, for the checks before a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin_console.deployment import Place
from tocsin_console.template_defaults import DEFAULTS


@dataclass(frozen=True)
class Planned:
    """What is to be deployed. `parameters`: those that are given; the template's defaults hold for the rest.
    `folder`: where SAM is run."""

    place: Place
    parameters: Mapping[str, str]
    folder: Path
    sam: str = "sam"

    def __getitem__(self, parameter: str) -> str:
        return self.parameters.get(parameter, DEFAULTS[parameter])

    @property
    def fargate(self) -> bool:
        return self["ConnectorMode"] == "fargate"


def parameters_of(found: Mapping[str, Any] | None) -> dict[str, str]:
    """What a stack was deployed with; nothing if there is none."""
    told = (found or {}).get("Parameters", ())
    return {one["ParameterKey"]: one.get("ParameterValue", "") for one in told}
