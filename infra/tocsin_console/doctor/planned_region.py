"""Before a deployment: has the region, and the account in it, what the stack needs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin_console.doctor.checks import Finding, fault, ok, warning
from tocsin_console.doctor.planned import Planned, parameters_of

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
    if parameters_of(planned.place.look()).get("ConnectorMode") == "fargate":
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
