"""Checks before a deployment: what would fail halfway, said before anything is made. They only read."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tocsin_console import trouble
from tocsin_console.deployment import Place
from tocsin_console.doctor.checks import Check, Finding, fault, ok, unknown, warning
from tocsin_console.template_defaults import DEFAULTS

SERVICES: Final = (
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecs",
    "events",
    "lambda",
    "logs",
    "s3",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
)
"""botocore's names of what the template makes and a deployment needs."""

FARGATE_ONLY: Final = {
    "us-west-1": {"usw1-az1", "usw1-az3"},
    "ap-northeast-1": {"apne1-az1", "apne1-az2", "apne1-az4"},
    "cn-north-1": {"cnn1-az1", "cnn1-az2"},
}
"""Regions in which Fargate has some zones only ("Supported Regions for Amazon ECS on AWS Fargate")."""

LAMBDA_LACKS: Final = {"use1-az3", "cac1-az3"}
"""Old zones that lack the machines of newer services; CreateFunction refuses subnets there."""

WITHOUT_FUNCTION_URLS: Final = {"aws-us-gov"}
"""Partitions whose CloudFormation has no `AWS::Lambda::Url`."""

FEW: Final = 10
"""Concurrent executions of a new AWS account."""

UNCAPPED: Final = 2
"""Runs that a queue without a cap wants at least: Lambda's pollers of one that is empty."""

SPARE: Final = 6
"""For the functions without a limit of their own: outcomes, upkeep, and what else runs in the account."""

MIN_SAM: Final = (1, 170)

QUOTA_REQUEST = (
    "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 "
    "--desired-value 1000"
)
_IN_PROGRESS = re.compile(r".*_IN_PROGRESS")
_STUCK = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED", "UPDATE_ROLLBACK_FAILED")


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


# -- who am I ----------------------------------------------------------------------------------------------


def gather_credentials(planned: Planned) -> dict[str, str]:
    try:
        identity = planned.place.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return {"problem": trouble.sentence(error, where=f"region {planned.place.region}")}
    return {"account": identity["Account"], "arn": identity["Arn"], "region": planned.place.region}


def judge_credentials(facts: Mapping[str, str]) -> list[Finding]:
    if "problem" in facts:
        return [
            fault(facts["problem"], "nothing can be deployed", "aws configure, or aws sso login; --profile")
        ]
    return [ok(f"{facts['arn']} in account {facts['account']}, region {facts['region']}")]


# -- the stack that is there -------------------------------------------------------------------------------


def gather_existing(planned: Planned) -> dict[str, Any]:
    return {"stack": planned.place.stack, "found": planned.place.look()}


def judge_existing(facts: Mapping[str, Any]) -> list[Finding]:
    stack, found = facts["stack"], facts["found"]
    if found is None:
        return [ok(f"there is no stack '{stack}' yet: it will be made")]
    status = found["StackStatus"]
    if status in _STUCK:
        mend = f"aws cloudformation delete-stack --stack-name {stack} (keeps tables and secrets), then deploy"
        if status.startswith("UPDATE"):
            mend = f"aws cloudformation continue-update-rollback --stack-name {stack}"
        return [fault(f"the stack '{stack}' is {status}", "CloudFormation refuses to update it", mend)]
    if _IN_PROGRESS.fullmatch(status):
        return [fault(f"the stack '{stack}' is {status}", "another deployment is under way", "wait for it")]
    return [ok(f"the stack '{stack}' is {status}: it will be updated")]


# -- quotas ------------------------------------------------------------------------------------------------


MIN_UNRESERVED: Final = 100
"""Executions that no function may reserve, of an account."""


def gather_concurrency(planned: Planned) -> dict[str, int]:
    limit = planned.place.client("lambda").get_account_settings()["AccountLimit"]
    wanted = ("SendConcurrency", "PlanConcurrency", "ReceiveConcurrency", "ReceiptsConcurrency")
    return {
        "limit": limit["ConcurrentExecutions"],
        "unreserved": limit["UnreservedConcurrentExecutions"],
        # A queue without a cap takes what is free, and wants two runs at least.
        "wanted": sum(int(planned[name]) or UNCAPPED for name in wanted),
        "uncapped": sum(not int(planned[name]) for name in wanted),
        "reserved": int(planned["DoorConcurrency"]),
    }


def judge_concurrency(facts: Mapping[str, int]) -> list[Finding]:
    limit, free, wanted = facts["limit"], facts["unreserved"], facts["wanted"]
    more = " and more" if facts["uncapped"] else ""
    saw = f"{free} of {limit} concurrent executions are free; the queues may use {wanted}{more}"
    reserved = facts.get("reserved", 0)
    if reserved and limit - reserved < MIN_UNRESERVED:
        means = f"AWS leaves {MIN_UNRESERVED} to others and reserves no more, so the deployment fails"
        return [
            fault(f"DoorConcurrency={reserved}, of {limit} concurrent executions", means, "DoorConcurrency=0")
        ]
    if free < wanted:
        means = "Lambda refuses runs, and refused runs count as receives: messages are buried unread"
        return [fault(saw, means, f"{QUOTA_REQUEST} (or lower SendConcurrency)")]
    if free < wanted + SPARE or limit <= FEW:
        capped = " (until then: PlanConcurrency=2 ReceiptsConcurrency=2)" if facts["uncapped"] else ""
        return [
            warning(
                saw, "a storm of tickets leaves nothing for upkeep and outcomes", f"{QUOTA_REQUEST}{capped}"
            )
        ]
    return [ok(saw)]


def gather_networks(planned: Planned) -> dict[str, Any]:
    if not planned.fargate or planned.place.look() is not None:
        return {"needed": False}
    vpcs = len(planned.place.client("ec2").describe_vpcs()["Vpcs"])
    quota = planned.place.client("service-quotas").get_service_quota(
        ServiceCode="vpc", QuotaCode="L-F678F1CE"
    )["Quota"]["Value"]
    return {"needed": True, "vpcs": vpcs, "quota": int(quota)}


def judge_networks(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["needed"]:
        return [ok("no new VPC is made")]
    saw = f"{facts['vpcs']} of {facts['quota']} VPCs of this region are used"
    if facts["vpcs"] >= facts["quota"]:
        mend = (
            "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE "
            f"--desired-value {facts['quota'] + 5}"
        )
        return [fault(saw, "the stack needs one of its own, and would roll back", mend)]
    return [ok(saw)]


# -- what AWS must have ------------------------------------------------------------------------------------


def gather_role(planned: Planned) -> bool | None:
    if not planned.fargate:
        return None
    try:
        planned.place.client("iam").get_role(RoleName="AWSServiceRoleForECS")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return False
    return True


def judge_role(there: bool | None) -> list[Finding]:
    if there is None:
        return [ok("not needed: the connector runs elsewhere")]
    if there:
        return [ok("the service-linked role of ECS is there")]
    return [
        fault(
            "the service-linked role of ECS is missing",
            "the first service of an account may fail before AWS has made it, and the stack rolls back",
            "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
        )
    ]


def gather_zones(planned: Planned) -> dict[str, Any]:
    if not planned.fargate:
        return {"needed": False, "why": "nothing runs in a VPC"}
    if _parameters(planned.place.look()).get("ConnectorMode") == "fargate":
        return {"needed": False, "why": "the stack stays in the zones that it has"}
    answer = planned.place.client("ec2").describe_availability_zones(
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
    )
    zones = {zone["ZoneName"]: zone["ZoneId"] for zone in answer["AvailabilityZones"]}
    chosen = [name for name in planned["AvailabilityZones"].split(",") if name]
    return {"needed": True, "region": planned.place.region, "zones": zones, "chosen": chosen}


def judge_zones(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["needed"]:
        return [ok(f"not needed: {facts['why']}")]
    zones: Mapping[str, str] = facts["zones"]
    good = [name for name, id_ in sorted(zones.items()) if not _lacks(facts["region"], id_)]
    taken = facts["chosen"] or sorted(zones)[:2]
    shown = ", ".join(f"{name} ({zones.get(name, 'not there')})" for name in taken)
    saw = f"the stack would use {shown}"
    bad = [name for name in taken if name not in good]
    if len(taken) == 2 and not bad:
        return [ok(saw)]
    if len(good) < 2:
        return [fault(saw, "fewer than two zones of this region have Fargate and Lambda", "another --region")]
    means = f"{', '.join(bad) or 'one zone alone'} lacks Fargate or Lambda: no task would start"
    return [fault(saw, means, f"set the parameter AvailabilityZones={good[0]},{good[1]}")]


def _lacks(region: str, zone_id: str) -> bool:
    return zone_id in LAMBDA_LACKS or zone_id not in FARGATE_ONLY.get(region, {zone_id})


def gather_services(planned: Planned) -> dict[str, Any]:
    session, region = planned.place.session, planned.place.region
    partition = session.get_partition_for_region(region)
    missing = [
        service
        for service in SERVICES
        if (regions := session.get_available_regions(service, partition)) and region not in regions
    ]
    door = planned["HttpDoor"] == "on"
    return {"region": region, "partition": partition, "missing": missing, "door": door}


def judge_services(facts: Mapping[str, Any]) -> list[Finding]:
    region, missing = facts["region"], facts["missing"]
    if facts["door"] and facts["partition"] in WITHOUT_FUNCTION_URLS:
        return [
            fault(
                f"HttpDoor=on, and {region} has no function URLs",
                "the stack would roll back",
                "leave out HttpDoor, and put events on the bus",
            )
        ]
    if missing:
        return [
            warning(
                f"{region} is not known to have {', '.join(missing)}",
                "AWS may have them by now; else the stack rolls back",
                "another --region, or a newer botocore: pipx upgrade tocsin",
            )
        ]
    return [ok(f"{region} ({facts['partition']}) has all {len(SERVICES)} services")]


# -- what the parameters name ------------------------------------------------------------------------------


def gather_named(planned: Planned) -> dict[str, str]:
    """Parameter → what is wrong with the thing that it names; empty where it is there."""
    asks: dict[str, Callable[[str], object]] = {
        "EventBusName": lambda name: planned.place.client("events").describe_event_bus(Name=name),
        "AttachmentsBucket": lambda name: planned.place.client("s3").head_bucket(Bucket=name),
        "AlarmTopicArn": lambda arn: planned.place.client("sns").get_topic_attributes(TopicArn=arn),
        "SealingSecretArn": lambda arn: planned.place.client("secretsmanager").describe_secret(SecretId=arn),
        "TextsSecretArn": lambda arn: planned.place.client("secretsmanager").describe_secret(SecretId=arn),
    }
    found: dict[str, str] = {}
    for parameter, ask in asks.items():
        name = planned[parameter]
        if not name:
            continue
        try:
            ask(name)
            found[parameter] = ""
        except ClientError as error:
            found[parameter] = f"{name}: {error.response['Error']['Code']}"
    return found


_UNSEEN = (
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
)


def judge_named(facts: Mapping[str, str]) -> list[Finding]:
    bad = {parameter: problem for parameter, problem in facts.items() if problem}
    if not bad:
        return [ok(f"all of it is there: {', '.join(facts)}" if facts else "the parameters name nothing")]
    return [_named(parameter, problem) for parameter, problem in bad.items()]


def _named(parameter: str, problem: str) -> Finding:
    if problem.endswith(tuple(f": {code}" for code in _UNSEEN)):
        # It may be another account's, which lets the stack use it and you not look.
        return unknown(
            f"{parameter} names {problem}, so you can't see whether it is there", f"is {parameter} right?"
        )
    saw = f"{parameter} names {problem}"
    return fault(saw, "the stack could not use it", f"correct {parameter}, or leave it out")


def gather_contradictions(planned: Planned) -> dict[str, Any]:
    running = _parameters(planned.place.look())
    return {"planned": {name: planned[name] for name in DEFAULTS}, "running": running}


def _parameters(found: Mapping[str, Any] | None) -> dict[str, str]:
    """What a stack was deployed with; nothing if there is none."""
    told = (found or {}).get("Parameters", ())
    return {one["ParameterKey"]: one.get("ParameterValue", "") for one in told}


_FARGATE_ALONE = (
    "ConnectorCount",
    "ConnectorMemory",
    "ConnectorCapacity",
    "ConnectorImage",
    "AvailabilityZones",
    "WhatsAppUrl",
    "WhatsAppRootKey",
)


ALONE_ON_SPOT: Final = (
    "one connector on Fargate Spot",
    "when AWS takes it away nobody takes over: the accounts wait for a new task, a minute or two, or for as "
    "long as AWS has no capacity to spare; notifications wait, none is lost",
    "ConnectorCount=2, or ConnectorCapacity=on-demand, if that is too long",
)
"""What was seen, what it means, what mends it."""

_FARGATE = ("ConnectorMode", "fargate")
_FROM_THIS_RELEASE = "PlanConcurrency"
"""A parameter that 0.1.0 didn't have."""


def judge_contradictions(facts: Mapping[str, Any]) -> list[Finding]:
    planned, running, found = facts["planned"], facts["running"], []
    if planned["ConnectorMode"] == "external":
        given = [name for name in _FARGATE_ALONE if planned[name] != DEFAULTS[name]]
        if given:
            saw, means = f"{', '.join(given)} with ConnectorMode=external", "CloudFormation refuses it"
            found.append(fault(saw, means, f"leave out {given[0]}"))
    elif (planned["ConnectorCapacity"], planned["ConnectorCount"]) == ("spot", "1"):
        found.append(warning(*ALONE_ON_SPOT))
    secrets = {planned["SealingSecretArn"], planned["TextsSecretArn"]}
    if len(secrets) == 1 and secrets != {""}:
        means = "texts and keys would be sealed alike"
        found.append(fault("both secrets are one", means, "name the two outputs of the earlier stack"))
    gone = _accounts(running.get("Accounts", "")) - _accounts(planned["Accounts"])
    if gone:
        saw = f"the stack serves {', '.join(sorted(gone))}, the new parameter Accounts doesn't"
        if _FROM_THIS_RELEASE in running:
            means = "an account that is linked, or for which something waits, is served on all the same"
            one = sorted(gone)[0]
            mend = f"to end it: tocsin unpair --account {one}, then tocsin accounts remove {one}"
            found.append(warning(saw, means, mend))
        else:
            means = "0.1.0 wrote down nowhere what is in use: no connector would hold it any more"
            found.append(
                fault(saw, means, "keep it in Accounts in this deployment, and leave it out in the next")
            )
    zones = running.get("AvailabilityZones", "")
    if _FARGATE in running.items() and zones != planned["AvailabilityZones"]:
        saw = "AvailabilityZones differs from the running stack's"
        means = "subnets can't move: the network would be replaced under the running functions"
        found.append(fault(saw, means, f"set AvailabilityZones={zones}" if zones else "leave it out"))
    return found or [ok("no parameter contradicts another or the running stack")]


def _accounts(text: str) -> set[str]:
    return {name for name in text.split(",") if name}


# -- this machine ------------------------------------------------------------------------------------------


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


CHECKS: Final[Sequence[Check[Planned]]] = (
    Check("credentials", gather_credentials, judge_credentials),
    Check("stack", gather_existing, judge_existing),
    Check("sam", gather_sam, judge_sam),
    Check("layer", gather_layer, judge_layer),
    Check("parameters", gather_contradictions, judge_contradictions),
    Check("named", gather_named, judge_named),
    Check("services", gather_services, judge_services),
    Check("zones", gather_zones, judge_zones),
    Check("concurrency", gather_concurrency, judge_concurrency),
    Check("networks", gather_networks, judge_networks),
    Check("ecs role", gather_role, judge_role),
)
