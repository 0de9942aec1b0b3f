"""The templates as they are written, and the questions that tests ask about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from tocsin_local.paths import ROOT

Resource = Mapping[str, Any]

FOR_PEOPLE = ("OperatorPolicy", "HooksOperatorPolicy", "ViewerPolicy")

MAIN = "template.yaml"
TEMPLATES = (MAIN, *(f"infra/{name}.yaml" for name in ("network", "connector", "observability", "door")))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads the short forms of CloudFormation's functions as the long ones: `!Ref X` is `{"Ref": "X"}`."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


@cache
def template(name: str = "template.yaml") -> dict[str, Any]:
    """One template, read."""
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    return loaded


def resources(type_: str, name: str = "template.yaml") -> dict[str, Resource]:
    """The resources of one type, by logical id."""
    return {key: found for key, found in template(name)["Resources"].items() if found["Type"] == type_}


def properties(logical_id: str, name: str = "template.yaml") -> dict[str, Any]:
    """The properties of one resource."""
    found: dict[str, Any] = template(name)["Resources"][logical_id]["Properties"]
    return found


def container(name: str) -> dict[str, Any]:
    """A container of the connector's task."""
    found = {one["Name"]: one for one in properties("Task", "infra/connector.yaml")["ContainerDefinitions"]}
    return dict(found[name])


def statements(name: str = "template.yaml") -> Iterator[tuple[str, Resource]]:
    """Every statement of every role and managed policy, with the logical id it belongs to.

    Without those for people: what they may do has a test of its own.
    """
    for key, role in resources("AWS::IAM::Role", name).items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield key, statement
    for key, policy in resources("AWS::IAM::ManagedPolicy", name).items():
        if key in FOR_PEOPLE:
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield key, statement


def as_list(value: Any) -> list[Any]:
    """IAM lets a single action or resource stand without its list."""
    return value if isinstance(value, list) else [value]


def written(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, and every `Name` with its `Value`, at whatever depth of a template."""
    if isinstance(node, dict):
        if "Name" in node and "Value" in node:
            yield str(node["Name"]), node["Value"]
        for key, value in node.items():
            yield str(key), value
            yield from written(value)
    elif isinstance(node, list):
        for item in node:
            yield from written(item)
