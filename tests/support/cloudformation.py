"""A strict CloudFormation: what a template is, once its parameters are given.

Strict where AWS is, and where it may be: an empty key of a mapping, a reference to a resource whose condition
is false, an attribute that a type doesn't have, a `NoValue` inside a `Join`. Both branches of an `If` are
looked into for mappings, because CloudFormation does (aws-cloudformation-templates#271).

    stack = deployed(parameters={"ConnectorMode": "external"})
    stack.resources["KeysTable"].properties["SSESpecification"]
    stack.nested["Observability"].resources
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

from tests.support.published import attributes, transformed

ACCOUNT: Final = "123456789012"
ZONES: Final = ("a", "b", "c")

# Partition → its URL suffix, as CloudFormation's pseudo parameter has it.
SUFFIXES: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
}

RULE_FUNCTIONS: Final = frozenset(
    {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberIn", "Ref"}
)
"""All that `Rules` may use, without those that ask the account."""


class Refused(Exception):
    """CloudFormation wouldn't have this template with these parameters."""


class RuleFailed(Refused):
    """An assertion of the template's `Rules` doesn't hold; its description is the text."""


class _Nothing:
    def __repr__(self) -> str:
        return "AWS::NoValue"


NOTHING: Final = _Nothing()


@dataclass(frozen=True)
class Resource:
    """One resource with its properties resolved. `arn` as other resources see it."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    definition: Mapping[str, Any]


@dataclass
class Stack:
    """One template with its parameters. Everything is resolved at once: an error is raised by `deployed`."""

    name: str
    file: str
    given: Mapping[str, str]
    region: str
    partition: str
    resources: dict[str, Resource] = field(default_factory=dict)
    nested: dict[str, Stack] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def template(self) -> dict[str, Any]:
        return transformed(self.file)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Every parameter's value, checked against its declaration."""
        declared = self.template.get("Parameters", {})
        if unknown := set(self.given) - set(declared):
            raise Refused(f"{self.file} has no parameters {sorted(unknown)}")
        return {name: self._parameter(name, definition) for name, definition in declared.items()}

    def _parameter(self, name: str, definition: Mapping[str, Any]) -> Any:
        value = self.given.get(name, definition.get("Default"))
        if value is None:
            raise Refused(f"{self.file}: {name} has no value")
        text = str(value)
        if "AllowedValues" in definition and text not in map(str, definition["AllowedValues"]):
            raise Refused(f"{self.file}: {name} may not be {text!r}")
        if "AllowedPattern" in definition and not re.fullmatch(definition["AllowedPattern"], text):
            raise Refused(f"{self.file}: {name} {definition.get('ConstraintDescription', '')} ({text!r})")
        if definition["Type"] == "Number":
            low, high = definition.get("MinValue", float("-inf")), definition.get("MaxValue", float("inf"))
            if not low <= float(text) <= high:
                raise Refused(f"{self.file}: {name} must be between {low} and {high}, not {text}")
        if definition["Type"].startswith("List<"):
            return text.split(",")
        return text

    @cached_property
    def conditions(self) -> dict[str, bool]:
        return {name: bool(self.resolve(it)) for name, it in self.template.get("Conditions", {}).items()}

    def exists(self, logical_id: str) -> bool:
        """Whether a resource is made. Raises `Refused` if the template doesn't name it."""
        definition = self.template["Resources"].get(logical_id)
        if definition is None:
            raise Refused(f"{self.file} has no resource {logical_id}")
        return "Condition" not in definition or self._condition(definition["Condition"])

    def _condition(self, name: str) -> bool:
        if name not in self.template.get("Conditions", {}):
            raise Refused(f"{self.file} has no condition {name}")
        return self.conditions[name]

    # -- rules ---------------------------------------------------------------------------------------------

    def obey_rules(self) -> None:
        """Raise `RuleFailed` with the descriptions of all assertions that don't hold."""
        broken = []
        for name, rule in self.template.get("Rules", {}).items():
            for function in _functions(rule):
                if function not in RULE_FUNCTIONS:
                    raise Refused(f"{self.file}: rule {name} uses {function}")
            if "RuleCondition" in rule and not self.resolve(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.resolve(assertion["Assert"]):
                    broken.append(assertion["AssertDescription"])
        if broken:
            raise RuleFailed(" ".join(broken))

    # -- intrinsic functions -------------------------------------------------------------------------------

    def resolve(self, value: Any) -> Any:
        """Return what an expression is here. Raises `Refused`."""
        if isinstance(value, dict):
            if len(value) == 1:
                [(function, argument)] = value.items()
                if function in ("Ref", "Condition") and isinstance(argument, str):
                    return self._ref(argument) if function == "Ref" else self._condition(argument)
                if function.startswith("Fn::"):
                    return self._function(function, argument)
            resolved = {key: self.resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NOTHING}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        return value

    def _function(self, name: str, argument: Any) -> Any:
        if name not in FUNCTIONS:
            raise Refused(f"{self.file}: {name} is none of the functions in use")
        return FUNCTIONS[name](self, argument)

    def _equals(self, argument: Any) -> bool:
        left, right = map(self.resolve, argument)
        if NOTHING in (left, right):
            raise Refused(f"{self.file}: NoValue is compared: {argument}")
        return str(left) == str(right)

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        chosen, other = (then, otherwise) if self._condition(condition) else (otherwise, then)
        for lookup in _lookups(other):
            self._find_in_map(lookup)
        return self.resolve(chosen)

    def _find_in_map(self, argument: Any) -> Any:
        name, *keys = map(self.resolve, argument)
        found: Any = self.template.get("Mappings", {}).get(name)
        for key in keys:
            if key is NOTHING or not isinstance(found, dict) or not key or key not in found:
                raise Refused(f"{self.file}: {name} has no {key!r}")
            found = found[key]
        if not isinstance(found, str | int | list):
            raise Refused(f"{self.file}: {name} {keys} is no value")
        return found

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::NoValue": NOTHING,
            "AWS::Region": self.region,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": SUFFIXES[self.partition],
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": self.name,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.template.get("Parameters", {}):
            return self.parameters[name]
        return self._named(self._made(name), name)[0]

    def _made(self, logical_id: str) -> Mapping[str, Any]:
        if not self.exists(logical_id):
            raise Refused(f"{self.file}: {logical_id} is referred to, and its condition is false")
        definition: Mapping[str, Any] = self.template["Resources"][logical_id]
        return definition

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument
        definition = self._made(logical_id)
        if definition["Type"] == "AWS::CloudFormation::Stack":
            outputs = self._nested(logical_id).outputs
            name = attribute.removeprefix("Outputs.")
            if name not in outputs:
                raise Refused(f"{self.file}: {logical_id} has no output {name}")
            return outputs[name]
        if attribute not in attributes(definition["Type"]):
            raise Refused(f"{self.file}: {logical_id} ({definition['Type']}) has no attribute {attribute}")
        return self._named(definition, logical_id)[1].get(attribute, f"{logical_id}.{attribute}")

    def _sub(self, argument: Any) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                value = self.resolve(variables[name])
            elif "." in name:
                value = self._get_att(name.split(".", 1))
            else:
                value = self._ref(name)
            if not isinstance(value, str | int):
                raise Refused(f"{self.file}: {value!r} for {name} in {text!r}")
            return str(value)

        return re.sub(r"\$\{([^}!]+)\}", fill, text)

    def _join(self, argument: Any) -> str:
        delimiter, parts = argument
        resolved = [self.resolve(part) for part in parts] if isinstance(parts, list) else self.resolve(parts)
        if not all(isinstance(part, str | int) for part in resolved):
            raise Refused(f"{self.file}: joined: {resolved}")
        return str(delimiter.join(map(str, resolved)))

    def _select(self, argument: Any) -> Any:
        index, parts = argument
        resolved = self.resolve(parts)
        if not isinstance(resolved, list) or not 0 <= int(index) < len(resolved):
            raise Refused(f"{self.file}: nothing at {index} of {resolved}")
        return resolved[int(index)]

    def _split(self, argument: Any) -> list[str]:
        delimiter, text = argument[0], self.resolve(argument[1])
        if not isinstance(text, str):
            raise Refused(f"{self.file}: split: {text!r}")
        return text.split(delimiter)

    def _cidr(self, argument: Any) -> list[str]:
        block, count, bits = map(self.resolve, argument)
        network = ipaddress.ip_network(block)
        width = network.max_prefixlen - int(bits)
        blocks = [str(one) for one in itertools.islice(network.subnets(new_prefix=width), int(count))]
        if len(blocks) < int(count):
            raise Refused(f"{self.file}: {block} has no {count} blocks of {bits} bits")
        return blocks

    # -- names ---------------------------------------------------------------------------------------------

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{ACCOUNT}:{resource}"

    def _named(self, definition: Mapping[str, Any], logical_id: str) -> tuple[str, dict[str, Any]]:
        """Return what `Ref` and `Fn::GetAtt` say of a resource, in the form that AWS gives it."""
        properties, type_ = definition.get("Properties", {}), definition["Type"]
        name = f"{self.name}-{logical_id}-1ABCDEFGHIJKL"
        if type_ == "AWS::SQS::Queue":
            name += ".fifo" if properties.get("FifoQueue") else ""
            url = f"https://sqs.{self.region}.{SUFFIXES[self.partition]}/{ACCOUNT}/{name}"
            return url, {"Arn": self.arn("sqs", name), "QueueName": name}
        if type_ == "AWS::DynamoDB::Table":
            arn = self.arn("dynamodb", f"table/{name}")
            return name, {"Arn": arn, "StreamArn": f"{arn}/stream/2026-01-01T00:00:00.000"}
        if type_ == "AWS::Lambda::Function":
            return name, {"Arn": self.arn("lambda", f"function:{name}")}
        if type_ == "AWS::Lambda::LayerVersion":
            return self.arn("lambda", f"layer:{self.resolve(properties['LayerName'])}:7"), {}
        if type_ in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            kind = "role" if type_.endswith("Role") else "policy"
            arn = f"arn:{self.partition}:iam::{ACCOUNT}:{kind}/{name}"
            return (name if kind == "role" else arn), {"Arn": arn, "PolicyArn": arn}
        if type_ == "AWS::SecretsManager::Secret":
            arn = self.arn("secretsmanager", f"secret:{name}-AbCdEf")
            return arn, {"Id": arn}
        if type_ == "AWS::KMS::Key":
            key = "1234abcd-12ab-34cd-56ef-1234567890ab"
            return key, {"Arn": self.arn("kms", f"key/{key}")}
        if type_ == "AWS::Logs::LogGroup":
            group = self.resolve(properties["LogGroupName"])
            return group, {"Arn": self.arn("logs", f"log-group:{group}:*")}
        if type_ == "AWS::Events::EventBus":
            bus = self.resolve(properties["Name"])
            return bus, {"Name": bus, "Arn": self.arn("events", f"event-bus/{bus}")}
        if type_ == "AWS::Events::Rule":
            bus = self.resolve(properties["EventBusName"])
            if bus == "default":
                return name, {"Arn": self.arn("events", f"rule/{name}")}
            return f"{bus}|{name}", {"Arn": self.arn("events", f"rule/{bus}/{name}")}
        if type_ == "AWS::EC2::VPC":
            return name, {"CidrBlock": properties["CidrBlock"], "Ipv6CidrBlocks": ["2600:1f18:4000::/56"]}
        return name, {}

    # -- the whole -----------------------------------------------------------------------------------------

    def _nested(self, logical_id: str) -> Stack:
        if logical_id not in self.nested:
            properties = self._made(logical_id)["Properties"]
            given = {name: self.resolve(it) for name, it in properties.get("Parameters", {}).items()}
            if absent := [name for name, it in given.items() if not isinstance(it, str | int)]:
                raise Refused(f"{self.file}: {logical_id} is given no text for {absent}")
            self.nested[logical_id] = _deployed_once(
                frozenset((name, str(it)) for name, it in given.items()),
                f"{self.name}-{logical_id}-1ABCDEFGHIJKL",
                properties["TemplateURL"],
                self.region,
                self.partition,
            )
        return self.nested[logical_id]

    def build(self) -> None:
        """Resolve everything. Raises `Refused`."""
        self.obey_rules()
        for logical_id, definition in self.template["Resources"].items():
            if not self.exists(logical_id):
                continue
            if definition["Type"] == "AWS::CloudFormation::Stack":
                self._nested(logical_id)
            properties = self.resolve(definition.get("Properties", {}))
            self.resources[logical_id] = Resource(logical_id, definition["Type"], properties, definition)
        for name, output in self.template.get("Outputs", {}).items():
            if "Condition" not in output or self._condition(output["Condition"]):
                self.outputs[name] = self.resolve(output["Value"])
                if not isinstance(self.outputs[name], str | int):
                    raise Refused(f"{self.file}: output {name} is {self.outputs[name]!r}")

    def all(self) -> Iterator[Stack]:
        """This stack, then those within it."""
        yield self
        for inner in self.nested.values():
            yield from inner.all()

    def of_type(self, type_: str) -> dict[str, Resource]:
        """The resources of one type, nested ones too, by logical id."""
        return {key: it for stack in self.all() for key, it in stack.resources.items() if it.type == type_}


def deployed(
    parameters: Mapping[str, str] | None = None,
    *,
    name: str = "tocsin",
    file: str = "template.yaml",
    region: str = "eu-west-1",
    partition: str = "aws",
) -> Stack:
    """Return the stack that CloudFormation would make of these parameters. Raises `Refused`."""
    stack = Stack(name, file, parameters or {}, region, partition)
    stack.build()
    return stack


@cache
def _deployed_once(
    given: frozenset[tuple[str, str]], name: str, file: str, region: str, partition: str
) -> Stack:
    """A nested stack. Most deployments differ in nothing that is handed down, so they share it."""
    return deployed(dict(given), name=name, file=file, region=region, partition=partition)


FUNCTIONS: Final[Mapping[str, Callable[[Stack, Any], Any]]] = {
    "Fn::And": lambda stack, it: all(stack.resolve(one) for one in it),
    "Fn::Or": lambda stack, it: any(stack.resolve(one) for one in it),
    "Fn::Not": lambda stack, it: not stack.resolve(it[0]),
    "Fn::Equals": Stack._equals,
    "Fn::Contains": lambda stack, it: stack.resolve(it[1]) in stack.resolve(it[0]),
    "Fn::EachMemberIn": lambda stack, it: set(stack.resolve(it[0])) <= set(stack.resolve(it[1])),
    "Fn::If": Stack._if,
    "Fn::FindInMap": Stack._find_in_map,
    "Fn::GetAtt": Stack._get_att,
    "Fn::Sub": Stack._sub,
    "Fn::Join": Stack._join,
    "Fn::Select": Stack._select,
    "Fn::Split": Stack._split,
    "Fn::GetAZs": lambda stack, it: [f"{stack.resolve(it) or stack.region}{zone}" for zone in ZONES],
    "Fn::Cidr": Stack._cidr,
}


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref" or key.startswith("Fn::"):
                yield key
            yield from _functions(value)
    elif isinstance(node, list):
        for item in node:
            yield from _functions(item)


def _lookups(node: Any) -> Iterator[Any]:
    """Every `FindInMap` of an expression."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Fn::FindInMap":
                yield value
            yield from _lookups(value)
    elif isinstance(node, list):
        for item in node:
            yield from _lookups(item)
