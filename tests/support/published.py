"""What AWS publishes, as far as the test set-up holds it: SAM's transform and CloudFormation's schemas.

Both lie in the SAM CLI's environment, which `make setup` installs; its packages run in its own interpreter.
"""

from __future__ import annotations

import copy
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.templates import template
from tocsin_local.paths import SAM

# Prints the CloudFormation template that SAM makes of the one it reads.
TRANSFORM = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
json.dump(Translator({}, Parser()).translate(json.load(sys.stdin), {}), sys.stdout)
"""


def _packages() -> Path:
    found = list((SAM / "lib").glob("python3*/site-packages"))
    if not found:
        pytest.skip("the SAM CLI isn't installed: make setup")
    return found[0]


@cache
def transformed(name: str = "template.yaml") -> dict[str, Any]:
    """Return a template as SAM's transform hands it to CloudFormation."""
    source = template(name)
    if "Transform" not in source:
        return source
    _packages()
    uploaded = copy.deepcopy(source)
    for resource in uploaded["Resources"].values():
        for where in ("CodeUri", "ContentUri"):
            if where in resource["Properties"]:
                resource["Properties"][where] = "s3://bucket/key"
    done = subprocess.run(
        [str(SAM / "bin" / "python"), "-c", TRANSFORM],
        input=json.dumps(uploaded),
        capture_output=True,
        text=True,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
    )
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@cache
def resource_types(region: str = "us-east-1") -> dict[str, str]:
    """Return the resource types that CloudFormation knows in a region, each with the id of its schema."""
    providers = _packages() / "cfnlint" / "data" / "schemas" / "providers"
    known: dict[str, str] = json.loads((providers / f"{region}.json").read_text(encoding="utf-8"))
    return known


@cache
def schema(type_: str, region: str = "us-east-1") -> dict[str, Any]:
    """Return CloudFormation's schema of a resource type. Raises `KeyError` if the region doesn't have it."""
    folder = _packages() / "cfnlint" / "data" / "schemas" / "resources"
    found: dict[str, Any] = json.loads(
        (folder / f"{resource_types(region)[type_]}.json").read_text(encoding="utf-8")
    )
    return found


def regions() -> list[str]:
    """Return the regions whose resource types are known."""
    providers = _packages() / "cfnlint" / "data" / "schemas" / "providers"
    return sorted(file.stem for file in providers.glob("*.json") if file.stem != "sam")


@cache
def attributes(type_: str) -> set[str]:
    """Return what `Fn::GetAtt` may ask a resource of this type for."""
    found = schema(type_)
    read_only = {path.removeprefix("/properties/") for path in found.get("readOnlyProperties", [])}
    return read_only | set(found["properties"])


@cache
def replacing(type_: str) -> set[str]:
    """Return the properties whose change makes another resource in the place of the old one."""
    found = schema(type_)
    paths = (found.get("createOnlyProperties") or []) + (found.get("conditionalCreateOnlyProperties") or [])
    return {path.removeprefix("/properties/").split("/")[0] for path in paths}
