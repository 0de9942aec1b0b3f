"""The templates as they are written, and the questions that tests ask about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import yaml

from tocsin_local.bootstrap import ROOT

Resource = Mapping[str, Any]

MAIN = "template.yaml"
TEMPLATES = (MAIN, "infra/network.yaml", "infra/connector.yaml", "infra/observability.yaml")

# Where the template can be deployed. The isolated partitions have no public image for the connector.
REGIONS = {
    "us-east-1": "aws",
    "eu-west-1": "aws",
    "ap-southeast-3": "aws",
    "cn-north-1": "aws-cn",
    "cn-northwest-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
}

ANY_TEXT = "any text"
"""Stands for what a parameter without `AllowedValues` may hold besides its default."""


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
    """Every statement of every role and managed policy, with the logical id it belongs to."""
    for key, role in resources("AWS::IAM::Role", name).items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield key, statement
    for key, policy in resources("AWS::IAM::ManagedPolicy", name).items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield key, statement


def as_list(value: Any) -> list[Any]:
    """IAM lets a single action or resource stand without its list."""
    return value if isinstance(value, list) else [value]


class UnknownKey(Exception):
    """A `FindInMap` looks for what isn't in its map. CloudFormation refuses the stack then."""


def possible(value: Any, name: str = MAIN, region: str | None = None) -> set[str]:
    """Return every value that an expression of the template `name` may have, in `region` or in any.

    Whatever the parameters and conditions are: both branches of an `If` count, because CloudFormation looks
    into both. `NoValue` is none. Raises `UnknownKey`.
    """
    if not isinstance(value, dict):
        return {str(value)}
    [(function, argument)] = value.items()
    if function == "Ref":
        return _referred(argument, name, region)
    if function == "Fn::If":
        return possible(argument[1], name, region) | possible(argument[2], name, region)
    if function == "Fn::FindInMap":
        return _looked_up(name, *(possible(part, name, region) for part in argument))
    if function == "Fn::Sub":
        return _substituted(argument, name, region)
    raise NotImplementedError(function)


def _referred(parameter: str, name: str, region: str | None) -> set[str]:
    if parameter == "AWS::NoValue":
        return set()
    if parameter == "AWS::Region":
        return {region} if region else set(REGIONS)
    if parameter == "AWS::Partition":
        return {REGIONS[region]} if region else set(REGIONS.values())
    for stack in resources("AWS::CloudFormation::Stack").values():
        given = stack["Properties"].get("Parameters", {})
        if stack["Properties"]["TemplateURL"] == name and parameter in given:
            return possible(given[parameter], MAIN, region)
    declared = template(name)["Parameters"][parameter]
    return {str(allowed) for allowed in declared.get("AllowedValues", [declared["Default"], ANY_TEXT])}


def _looked_up(name: str, *parts: set[str]) -> set[str]:
    found = set()
    for map_, key, second in product(*parts):
        try:
            found.add(str(template(name)["Mappings"][map_][key][second]))
        except KeyError as exc:
            raise UnknownKey(f"{name}: {map_} has no {key!r}, {second!r}") from exc
    return found


def _substituted(argument: Any, name: str, region: str | None) -> set[str]:
    text, variables = argument if isinstance(argument, list) else (argument, {})
    filled = {text}
    for place in set(re.findall(r"\$\{([^}!]+)\}", text)):
        choices = possible(variables.get(place, {"Ref": place}), name, region)
        filled = {one.replace(f"${{{place}}}", choice) for one in filled for choice in choices}
    return filled


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
