"""Before a deployment: can this machine build it?"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Final

from tocsin_console.doctor.checks import Finding, fault, ok, unknown, warning
from tocsin_console.doctor.planned import Planned

MIN_SAM: Final = (1, 170)


def gather_layer(planned: Planned) -> dict[str, str | None]:
    stamps = planned.folder.glob(".aws-sam/build/CoreLayer/**/tocsin/TARGET")
    stamp = next(iter(stamps), None)
    built = stamp.read_text(encoding="ascii").strip() if stamp is not None else None
    return {"built": built, "wanted": f"{planned['PythonRuntime']} {planned['Architecture']}"}


def judge_layer(facts: Mapping[str, str | None]) -> list[Finding]:
    built, wanted = facts["built"], facts["wanted"] or ""
    if built is None:
        return [ok(f"not built yet; it will be for {wanted}")]
    if built == wanted:
        return [ok(f"the layer is built for {built}")]
    runtime, architecture = wanted.split(" ")
    return [
        fault(
            f"the layer is built for {built}, the functions are {wanted}",
            "no function would start",
            f"TOCSIN_RUNTIME={runtime} TOCSIN_ARCHITECTURE={architecture} sam build",
        )
    ]


def gather_sam(planned: Planned) -> str | None:
    try:
        done = subprocess.run(
            [planned.sam, "--version"], capture_output=True, text=True, timeout=15, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip()


def judge_sam(version: str | None) -> list[Finding]:
    if version is None:
        return [
            fault(
                "the SAM CLI is not on the PATH",
                "nothing can be built or deployed",
                "pipx install aws-sam-cli, or see docs.aws.amazon.com, 'Install the AWS SAM CLI'",
            )
        ]
    numbers = re.search(r"(\d+)\.(\d+)\.\d+", version)
    if numbers is None:
        return [unknown(f"the SAM CLI says {json.dumps(version)[:80]} of its version")]
    if (int(numbers[1]), int(numbers[2])) < MIN_SAM:
        mend = "pipx upgrade aws-sam-cli"
        return [warning(f"the SAM CLI is {numbers[0]}", f"it is older than {MIN_SAM[0]}.{MIN_SAM[1]}", mend)]
    return [ok(f"the SAM CLI is {numbers[0]}")]
