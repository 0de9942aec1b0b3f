"""Checks of what was deployed: the stack, its versions, functions, connector, logs and alarms."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin_console.deployment import Deployment
from tocsin_console.doctor.checks import Check, Finding, fault, ok, unknown, warning
from tocsin_console.doctor.planned_parameters import ALONE_ON_SPOT
from tocsin_console.output import counted
from tocsin_console.stack_states import Kind, mend, state_of

FUNCTIONS: Final = {
    "plan_notifications": "PlanFunctionName",
    "send_notification": "SendFunctionName",
    "receive_stanza": "ReceiveFunctionName",
    "record_receipts": "RecordReceiptsFunctionName",
    "publish_outcomes": "PublishFunctionName",
    "maintain_sessions": "MaintainFunctionName",
    "deliver_webhooks": "HooksFunctionName",
    "receive_webhook": "DoorFunctionName",
}
"""Each function, and the output of the stack that names it. Some are there only if they are wanted."""

LOOK_BACK_SECONDS: Final = 3600

FAILED: Final = (
    r'?ERROR ?"Task timed out" ?"Runtime exited" '
    r'?"\"status\":\"timeout\"" ?"\"status\":\"error\"" ?"\"status\":\"failure\""'
)
"""Our own errors, and what Lambda tells of a run that ended badly, as text and as JSON."""


@dataclass
class Deployed:
    """The stack that is examined. What several checks ask for is asked once."""

    deployment: Deployment
    now: float = field(default_factory=time.time)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """One for all checks. Two at once may make two, of which one stays."""
        if service not in self._clients:
            self._clients[service] = self.deployment.client(service)
        return self._clients[service]

    @property
    def functions(self) -> dict[str, str]:
        """Our name of each function, and AWS's."""
        outputs = self.deployment.outputs
        return {name: outputs[output] for name, output in FUNCTIONS.items() if output in outputs}

    @cached_property
    def resources(self) -> list[tuple[str, str, str]]:
        """Type, logical id and physical id of everything, of nested stacks too."""
        return list(self._resources(self.deployment.stack))

    def _resources(self, stack: str) -> Iterator[tuple[str, str, str]]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=stack):
            for one in page["StackResourceSummaries"]:
                physical = one.get("PhysicalResourceId", "")
                yield one["ResourceType"], one["LogicalResourceId"], physical
                if one["ResourceType"] == "AWS::CloudFormation::Stack" and physical:
                    yield from self._resources(physical)

    def named(self, kind: str) -> list[str]:
        """The physical ids of all resources of a type."""
        return [physical for type_, _, physical in self.resources if type_ == kind and physical]


# -- the stack ---------------------------------------------------------------------------------------------


def gather_stack(deployed: Deployed) -> dict[str, str]:
    name = deployed.deployment.stack
    found = deployed.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {"name": name, "status": found["StackStatus"], "why": found.get("StackStatusReason", "")}


def judge_stack(facts: Mapping[str, str]) -> list[Finding]:
    name, status = facts["name"], facts["status"]
    saw = f"'{name}' is {status}" + (f": {facts['why']}" if facts["why"] else "")
    state = state_of(status)
    if state.kind is Kind.WELL:
        return [ok(saw)]
    is_running = state.kind in (Kind.BUSY, Kind.UNDONE)
    return [(warning if is_running else fault)(saw, state.means, mend(status, name))]


def gather_versions(deployed: Deployed) -> dict[str, Any]:
    layers = {}
    for name, function in deployed.functions.items():
        made = deployed.client("lambda").get_function_configuration(FunctionName=function)
        layers[name] = [layer["Arn"] for layer in made.get("Layers", ())]
    return {
        "console": metadata.version("tocsin"),
        "stack": deployed.deployment.outputs.get("Version"),
        "layer": deployed.deployment.outputs.get("LayerVersionArn"),
        "layers": layers,
    }


def judge_versions(facts: Mapping[str, Any]) -> list[Finding]:
    console, stack, layer = facts["console"], facts["stack"], facts["layer"]
    found = []
    if stack is None:
        found.append(warning("the stack doesn't say its version", "it is 0.1.0 or older", "tocsin deploy"))
    elif stack != console:
        means = "this console may not know what that version does"
        found.append(
            warning(f"the console is {console}, the stack {stack}", means, "deploy the console's version")
        )
    odd = sorted(name for name, layers in facts["layers"].items() if layer not in layers)
    if layer and odd:
        means = "somebody changed it by hand, or a deployment ended halfway: versions are mixed"
        found.append(fault(f"{', '.join(odd)} runs another layer than the stack's", means, "tocsin deploy"))
    return found or [
        ok(f"console and stack are {console}; all {len(facts['layers'])} functions run its layer")
    ]


# -- functions ---------------------------------------------------------------------------------------------


def gather_functions(deployed: Deployed) -> dict[str, Any]:
    found = {}
    for name, function in deployed.functions.items():
        made = deployed.client("lambda").get_function_configuration(FunctionName=function)
        found[name] = {
            "state": made.get("State", "Active"),
            "update": made.get("LastUpdateStatus", "Successful"),
            "why": made.get("StateReason") or made.get("LastUpdateStatusReason") or "",
        }
    return found


def judge_functions(facts: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    found = []
    for name, made in facts.items():
        if made["state"] in ("Active", "Inactive") and made["update"] == "Successful":
            continue
        saw = f"{name} is {made['state']}, its last update {made['update']}: {made['why']}"
        found.append(fault(saw, "Lambda doesn't run it", "tocsin deploy; if it stays so, the reason above"))
    return found or [ok(f"all {len(facts)} are active")]


def gather_mappings(deployed: Deployed) -> dict[str, Any]:
    found = {}
    for name, function in deployed.functions.items():
        mapped = deployed.client("lambda").list_event_source_mappings(FunctionName=function)
        found[name] = [
            {"id": one["UUID"], "state": one["State"], "result": one.get("LastProcessingResult", "")}
            for one in mapped["EventSourceMappings"]
        ]
    return found


def gather_roles(deployed: Deployed) -> dict[str, Any]:
    """`functions`: our name → the role that it works with; `ours`: the roles that the stack made."""
    functions = {}
    for name, function in deployed.functions.items():
        made = deployed.client("lambda").get_function_configuration(FunctionName=function)
        functions[name] = made.get("Role", "").rpartition("/")[2]
    return {"functions": functions, "ours": deployed.named("AWS::IAM::Role")}


def judge_roles(facts: Mapping[str, Any]) -> list[Finding]:
    roles: Mapping[str, str] = facts["functions"]
    strange = {name: role for name, role in roles.items() if role not in facts["ours"]}
    shared = {role for role in roles.values() if list(roles.values()).count(role) > 1}
    found = [
        fault(
            f"{name} works with the role {role or 'that nobody names'}, which isn't the stack's",
            "it may do more than it should, or less than it needs",
            "somebody changed it by hand: tocsin deploy",
        )
        for name, role in strange.items()
    ]
    for role in sorted(shared - set(strange.values())):
        names = ", ".join(name for name, one in roles.items() if one == role)
        found.append(fault(f"{names} share the role {role}", "each has the other's rights", "tocsin deploy"))
    return found or [ok(f"all {len(roles)} functions work with a role of their own, made by the stack")]


UNMAPPED: Final = {"maintain_sessions", "receive_webhook"}
"""A schedule and the connector invoke the one, its URL the other."""


def judge_mappings(facts: Mapping[str, Sequence[Mapping[str, str]]]) -> list[Finding]:
    found = []
    for name, mappings in facts.items():
        if not mappings and name not in UNMAPPED:
            found.append(
                fault(f"{name} has no event source", "what waits in its queue stays there", "tocsin deploy")
            )
        for one in mappings:
            if one["state"] in ("Disabled", "Disabling"):
                mend = f"aws lambda update-event-source-mapping --uuid {one['id']} --enabled"
                found.append(fault(f"{name}'s event source is {one['state']}", "it gets no messages", mend))
            elif one["result"].startswith("PROBLEM"):
                means = "Lambda can't read its queue or stream"
                found.append(
                    fault(f"{name}: {one['result']}", means, "its role was changed by hand: tocsin deploy")
                )
    return found or [ok("all event sources are enabled")]


# -- the connector's service -------------------------------------------------------------------------------


def gather_service(deployed: Deployed) -> dict[str, Any]:
    if deployed.deployment.parameters.get("ConnectorMode", "fargate") != "fargate":
        return {"fargate": False}
    clusters, services = deployed.named("AWS::ECS::Cluster"), deployed.named("AWS::ECS::Service")
    if not clusters or not services:
        return {"fargate": True, "found": False}
    answer = deployed.client("ecs").describe_services(cluster=clusters[0], services=services[:1])
    told = answer["services"][0] if answer["services"] else None
    if told is None:
        return {"fargate": True, "found": False}
    return {
        "fargate": True,
        "found": True,
        "desired": told["desiredCount"],
        "running": told["runningCount"],
        "said": [event["message"] for event in told.get("events", ())[:1]],
        "spot": deployed.deployment.parameters.get("ConnectorCapacity") == "spot",
    }


def judge_service(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["fargate"]:
        return [ok("the connector runs elsewhere (ConnectorMode=external)")]
    if not facts["found"]:
        return [fault("there is no connector service", "nothing holds the sockets", "tocsin deploy")]
    desired, running = facts["desired"], facts["running"]
    saw = f"{running} of {desired} connectors run" + "".join(f"; ECS says: {one}" for one in facts["said"])
    if running < desired:
        means = "accounts wait for a connector" if running == 0 else "the others hold its accounts"
        mend = "see the connector's log; aws ecs describe-services tells what keeps a task from starting"
        return [(fault if running == 0 else warning)(saw, means, mend)]
    if facts["spot"] and desired == 1:
        return [warning(*ALONE_ON_SPOT)]
    return [ok(f"{running} of {desired} connectors run")]


# -- logs --------------------------------------------------------------------------------------------------


def gather_logs(deployed: Deployed) -> dict[str, int]:
    """Errors of the last hour, by log group; a hundred count as many."""
    since, found = int((deployed.now - LOOK_BACK_SECONDS) * 1000), {}
    for group in deployed.named("AWS::Logs::LogGroup"):
        answer = deployed.client("logs").filter_log_events(
            logGroupName=group,
            startTime=since,
            filterPattern=FAILED,
            limit=100,
        )
        found[group] = len(answer["events"])
    return found


def judge_logs(facts: Mapping[str, int]) -> list[Finding]:
    bad = {group: number for group, number in facts.items() if number}
    if not bad:
        return [ok(f"no errors within the last hour, in {counted(len(facts), 'log groups')}")]
    means = "something failed that nobody foresaw, or that an operator must see"
    return [
        warning(
            f"{counted(number, 'errors')} in {group} within the last hour",
            means,
            f"aws logs tail {group} --since 1h",
        )
        for group, number in bad.items()
    ]


# -- alarms ------------------------------------------------------------------------------------------------


def gather_alarms(deployed: Deployed) -> dict[str, Any]:
    names = deployed.named("AWS::CloudWatch::Alarm")
    answer = deployed.client("cloudwatch").describe_alarms(AlarmNames=names[:100]) if names else {}
    alarms = answer.get("MetricAlarms", [])
    topics = sorted({topic for alarm in alarms for topic in alarm.get("AlarmActions", ())})
    subscribed: dict[str, list[bool]] = {}
    unseen: dict[str, str] = {}
    for topic in topics:
        try:
            told = deployed.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        except ClientError as error:
            # Of another account, perhaps. The alarms themselves can be seen all the same.
            unseen[topic] = error.response["Error"]["Code"]
            continue
        subscribed[topic] = [one["SubscriptionArn"] != "PendingConfirmation" for one in told]
    return {
        "alarms": {
            alarm["AlarmName"]: {
                "state": alarm.get("StateValue", ""),
                "says": alarm.get("AlarmDescription", ""),
                "on": alarm.get("ActionsEnabled", True) and bool(alarm.get("AlarmActions")),
            }
            for alarm in alarms
        },
        "subscribed": subscribed,
        "unseen": unseen,
        "emulated": deployed.deployment.place.is_emulated,
    }


def judge_alarms(facts: Mapping[str, Any]) -> list[Finding]:
    alarms, found = facts["alarms"], []
    if not alarms:
        return [unknown("the stack's alarms can't be found", "tocsin deploy")]
    silent = [name for name, alarm in alarms.items() if not alarm["on"]]
    subscribe = "tocsin deploy, and give an e-mail address or a topic for alarms"
    if silent and facts["emulated"]:
        saw = f"{len(silent)} of {len(alarms)} alarms tell nobody: a local stack sends no e-mails"
        found.append(ok(saw))
    elif silent:
        means = "nobody is told when something breaks at night"
        found.append(warning(f"{len(silent)} of {len(alarms)} alarms tell nobody", means, subscribe))
    for topic, confirmed in facts["subscribed"].items():
        if not any(confirmed):
            saw = "has no subscription" if not confirmed else "has no confirmed subscription"
            means = "the alarms reach a topic, and nobody behind it"
            mend = "confirm it by the link in AWS's e-mail"
            if not confirmed:
                mend = (
                    f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS"
                )
            found.append(warning(f"the topic {topic} {saw}", means, mend))
    for topic, code in facts["unseen"].items():
        found.append(
            unknown(
                f"who hears the topic {topic} can't be seen: {code}",
                "ask whoever owns the topic; if it was deleted: tocsin deploy, and give another one",
            )
        )
    for name, alarm in alarms.items():
        if alarm["state"] == "ALARM":
            found.append(fault(f"{name} rings", alarm["says"] or "see its description", "tocsin status"))
    return found or [ok(f"{len(alarms)} alarms tell a topic with a confirmed subscription, none rings")]


CHECKS: Final[Sequence[Check[Deployed]]] = (
    Check("stack", gather_stack, judge_stack),
    Check("versions", gather_versions, judge_versions),
    Check("functions", gather_functions, judge_functions),
    Check("roles", gather_roles, judge_roles),
    Check("event sources", gather_mappings, judge_mappings),
    Check("connector", gather_service, judge_service),
    Check("logs", gather_logs, judge_logs),
    Check("alarms", gather_alarms, judge_alarms),
)
