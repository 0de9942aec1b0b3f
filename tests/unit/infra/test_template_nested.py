"""infra/*.yaml by their definition: network, connector and alarms."""

import re

import botocore.session
import pytest

from tests.support.cloudformation import deployed
from tests.support.templates import container, properties, resources, statements, template

NETWORK, CONNECTOR, ALARMS = "infra/network.yaml", "infra/connector.yaml", "infra/observability.yaml"

PUBLIC, PRIVATE = {"Ref": "PublicRoutes"}, {"Ref": "PrivateRoutes"}


class TestNestedStacks:
    @pytest.mark.parametrize("name", ["Network", "Connector"])
    def test_only_with_fargate(self, name: str) -> None:
        assert template()["Resources"][name]["Condition"] == "Fargate"

    @pytest.mark.parametrize("name", ["Network", "Connector", "Observability", "FrontDoor"])
    def test_get_every_parameter_they_ask_for_and_no_other(self, name: str) -> None:
        stack = properties(name)
        asked = template(stack["TemplateURL"])["Parameters"]
        given = set(stack.get("Parameters", {}))
        assert given <= set(asked)
        assert {key for key, it in asked.items() if "Default" not in it} <= given

    @pytest.mark.parametrize("output", ["ConnectorSubnetIds", "PrivateSubnetIds", "ConnectorPort"])
    def test_the_network_says_what_the_others_need(self, output: str) -> None:
        assert output in template(NETWORK)["Outputs"]


class TestNetwork:
    def routes(self, table: dict[str, str]) -> list[dict[str, object]]:
        found = resources("AWS::EC2::Route", NETWORK).values()
        return [route["Properties"] for route in found if route["Properties"]["RouteTableId"] == table]

    def test_there_is_no_nat_gateway(self) -> None:
        assert not resources("AWS::EC2::NatGateway", NETWORK)

    def test_functions_leave_over_ipv6_only(self) -> None:
        (route,) = self.routes(PRIVATE)
        assert route["DestinationIpv6CidrBlock"] == "::/0"
        assert route["EgressOnlyInternetGatewayId"] == {"Ref": "EgressOnlyGateway"}

    def test_the_connector_leaves_over_both(self) -> None:
        assert len(self.routes(PUBLIC)) == 2

    def test_no_subnet_shares_a_route_table_with_the_other_kind(self) -> None:
        for association in resources("AWS::EC2::SubnetRouteTableAssociation", NETWORK).values():
            subnet = association["Properties"]["SubnetId"]["Ref"]
            [kind] = [kind for kind in ("Public", "Private", "Connector") if subnet.startswith(kind)]
            assert association["Properties"]["RouteTableId"] == {"Ref": f"{kind}Routes"}

    def test_without_ipv4_the_connector_leaves_by_a_gateway_that_lets_nothing_in(self) -> None:
        [route] = self.routes({"Ref": "ConnectorRoutes"})
        assert route["DestinationIpv6CidrBlock"] == "::/0"
        assert route["EgressOnlyInternetGatewayId"] == {"Ref": "EgressOnlyGateway"}

    @pytest.mark.parametrize(("network", "kind"), [("ipv4", "Public"), ("ipv6", "Connector")])
    def test_the_connectors_subnets_are_those_of_its_network(self, network: str, kind: str) -> None:
        stack = deployed({"ConnectorNetwork": network}).nested["Network"]
        subnets = stack.of_type("AWS::EC2::Subnet")
        assert {key for key in subnets if key.startswith("Connector")} == (
            {"ConnectorSubnetA", "ConnectorSubnetB"} if network == "ipv6" else set()
        )
        expected = [stack.resolve({"Ref": f"{kind}Subnet{zone}"}) for zone in "AB"]
        assert stack.outputs["ConnectorSubnetIds"] == ",".join(expected)

    def test_a_subnet_of_ipv6_alone_has_no_range_of_ipv4_and_shares_none_of_ipv6(self) -> None:
        """Fargate pulls over IPv4 where a subnet has it, whether or not the task has an address to do so."""
        subnets = deployed({"ConnectorNetwork": "ipv6"}).nested["Network"].of_type("AWS::EC2::Subnet")
        for name in ("ConnectorSubnetA", "ConnectorSubnetB"):
            its = subnets[name].properties
            assert (its["Ipv6Native"], its["AssignIpv6AddressOnCreation"]) == (True, True)
            assert "CidrBlock" not in its
        ranges = [it.properties["Ipv6CidrBlock"] for it in subnets.values()]
        assert len(set(ranges)) == len(ranges) == 6

    def test_dynamodb_has_a_gateway_endpoint_for_the_private_subnets(self) -> None:
        endpoint = properties("DynamoDbEndpoint", NETWORK)
        assert endpoint["VpcEndpointType"] == "Gateway"
        assert PRIVATE in endpoint["RouteTableIds"]

    def test_s3_has_one_too_so_attachments_cost_no_way_out(self) -> None:
        endpoint = properties("S3Endpoint", NETWORK)
        assert endpoint["VpcEndpointType"] == "Gateway"
        assert endpoint["RouteTableIds"] == [PRIVATE]

    def test_the_only_way_in_leads_from_the_functions_to_the_connector(self) -> None:
        (way,) = resources("AWS::EC2::SecurityGroupIngress", NETWORK).values()
        assert way["Properties"]["GroupId"] == {"Ref": "ConnectorSecurityGroup"}
        assert way["Properties"]["SourceSecurityGroupId"] == {"Ref": "FunctionsSecurityGroup"}
        groups = resources("AWS::EC2::SecurityGroup", NETWORK).values()
        assert not [group for group in groups if "SecurityGroupIngress" in group["Properties"]]

    def test_ipv6_egress_is_stated_for_it_is_not_implied(self) -> None:
        for group in resources("AWS::EC2::SecurityGroup", NETWORK).values():
            rules = group["Properties"]["SecurityGroupEgress"]
            assert "::/0" in [rule.get("CidrIpv6") for rule in rules]
            assert {rule["FromPort"] for rule in rules} == {443}


class TestConnector:
    def test_one_that_stands_by_before_the_old_one_goes(self) -> None:
        service = properties("Service", CONNECTOR)
        assert service["DesiredCount"] == {"Ref": "ConnectorCount"}
        assert template()["Parameters"]["ConnectorCount"]["Default"] == 1
        assert service["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
        assert service["DeploymentConfiguration"]["MaximumPercent"] == 200

    def test_has_time_to_hand_over(self) -> None:
        assert container("connector")["StopTimeout"] == 60

    @pytest.mark.parametrize("name", ["layer", "connector"])
    def test_runs_the_stock_image_of_the_functions_runtime_by_a_dated_tag(self, name: str) -> None:
        _, own, stock = container(name)["Image"]["Fn::If"]
        assert own == {"Ref": "ConnectorImage"}
        assert stock["Fn::Sub"][0] == "${Registry}/lambda/python:${Version}-${Architecture}"
        versions = template(CONNECTOR)["Mappings"]["Image"]
        runtimes = template()["Parameters"]["PythonRuntime"]["AllowedValues"]
        assert set(versions) == set(runtimes)
        for runtime, image in versions.items():
            dated = rf"{runtime.removeprefix('python')}\.20\d\d\.\d\d\.\d\d\.\d\d"
            assert re.fullmatch(dated, image["Version"])

    @pytest.mark.parametrize(
        ("network", "registry", "public_address", "dual_stack"),
        [("ipv4", "public.ecr.aws", "ENABLED", "false"), ("ipv6", "ecr-public.aws.com", "DISABLED", "true")],
    )
    def test_without_ipv4_image_and_services_have_the_names_that_answer_over_ipv6(
        self, network: str, registry: str, public_address: str, dual_stack: str
    ) -> None:
        stack = deployed({"ConnectorNetwork": network}).nested["Connector"]
        [task] = stack.of_type("AWS::ECS::TaskDefinition").values()
        for one in task.properties["ContainerDefinitions"]:
            assert one["Image"].startswith(f"{registry}/lambda/python:3.13.")
            variables = {pair["Name"]: pair["Value"] for pair in one["Environment"]}
            assert variables["AWS_USE_DUALSTACK_ENDPOINT"] == dual_stack
        [service] = stack.of_type("AWS::ECS::Service").values()
        its = service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert its["AssignPublicIp"] == public_address

    @pytest.mark.parametrize(
        ("image", "allowed"),
        [
            ("", True),
            ("public.ecr.aws/lambda/python:3.13.2026.06.05.14-arm64", True),
            ("1.dkr.ecr.eu-west-1.amazonaws.com/mirror/python@sha256:" + "ab" * 32, True),
            ("public.ecr.aws/lambda/python:3.13", False),
            ("public.ecr.aws/lambda/python:3.13-arm64", False),
            ("public.ecr.aws/lambda/python", False),
            ("python:latest", False),
        ],
    )
    def test_an_image_of_ones_own_is_named_so_that_it_stays_the_same(self, image: str, allowed: bool) -> None:
        pattern = template()["Parameters"]["ConnectorImage"]["AllowedPattern"]
        assert bool(re.fullmatch(pattern, image)) is allowed

    @pytest.mark.parametrize("name", ["layer", "connector"])
    def test_no_container_writes_its_own_image_or_has_rights_of_the_kernel(self, name: str) -> None:
        assert container(name)["ReadonlyRootFilesystem"] is True
        assert container(name)["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}

    def test_who_talks_to_the_world_is_nobody_and_cannot_write_its_own_code(self) -> None:
        assert container("connector")["User"] == "65534:65534"
        mounts = {
            one["ContainerPath"]: one.get("ReadOnly", False) for one in container("connector")["MountPoints"]
        }
        assert mounts == {"/opt": True, "/tmp": False}  # noqa: S108

    def test_it_starts_once_its_code_is_there_and_checked(self) -> None:
        assert container("connector")["DependsOn"] == [{"ContainerName": "layer", "Condition": "SUCCESS"}]
        assert (container("layer")["Essential"], container("connector")["Essential"]) == (False, True)

    def test_a_task_of_an_older_version_may_fetch_its_layer_too_and_no_other_layer(self) -> None:
        own, _ = [it for owner, it in statements(CONNECTOR) if owner == "TaskRole"]
        named, earlier = own["Resource"]
        assert earlier["Fn::Sub"].endswith(":layer:CoreLayer:*")
        arn, variables = named["Fn::Sub"]
        assert own["Action"] == "lambda:GetLayerVersion"
        assert arn.endswith(":layer:${Name}:*")
        assert variables == {"Name": {"Fn::Select": [6, {"Fn::Split": [":", {"Ref": "LayerVersionArn"}]}]}}

    def test_has_its_cpu_with_its_memory_in_pairs_that_fargate_has(self) -> None:
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
        pairs = {"256": {"512", "1024", "2048"}, "512": {"1024", "2048"}, "1024": {"2048"}}
        sizes = template(CONNECTOR)["Mappings"]["Size"]
        assert set(sizes) == set(template()["Parameters"]["ConnectorMemory"]["AllowedValues"])
        assert all(memory in pairs[size["Cpu"]] for memory, size in sizes.items())
        cpus = [int(size["Cpu"]) for _, size in sorted(sizes.items(), key=lambda pair: int(pair[0]))]
        assert cpus == sorted(set(cpus))

    @pytest.mark.parametrize(("capacity", "provider"), [("on-demand", "FARGATE"), ("spot", "FARGATE_SPOT")])
    def test_runs_where_it_is_asked_to_in_a_cluster_that_knows_the_place(
        self, capacity: str, provider: str
    ) -> None:
        service = template(CONNECTOR)["Resources"]["Service"]
        assert "LaunchType" not in service["Properties"]
        assert service["DependsOn"] == "ClusterCapacity"
        assert template(CONNECTOR)["Mappings"]["Capacity"][capacity] == {"Provider": provider}
        assert provider in properties("ClusterCapacity", CONNECTOR)["CapacityProviders"]

    def test_spot_has_both_processors_on_the_platform_that_fargate_takes_by_itself(self) -> None:
        ecs = botocore.session.get_session().get_service_model("ecs")
        said = ecs.shape_for("CapacityProviderStrategyItem").documentation
        for processor in ("X86_64", "ARM64"):
            assert f"Linux tasks with the {processor} architecture on platform version 1." in said
        assert properties("Service", CONNECTOR).get("PlatformVersion", "LATEST") in ("1.4.0", "LATEST")

    def test_has_time_to_start_while_many_accounts_log_in(self) -> None:
        check = container("connector")["HealthCheck"]
        assert check["Timeout"] < check["Interval"]
        assert 120 <= check["StartPeriod"] <= 300

    def test_ecs_may_only_write_the_log(self) -> None:
        (only,) = [it for owner, it in statements(CONNECTOR) if owner == "ExecutionRole"]
        assert only["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]

    def test_no_secret_stands_in_the_environment(self) -> None:
        names = [pair["Name"] for pair in container("connector")["Environment"] if "Name" in pair]
        assert "SEALING_SECRET_ARN" in names
        assert not [name for name in names if "TOKEN" in name or name.endswith("_KEY")]


class TestAlarms:
    alarms = resources("AWS::CloudWatch::Alarm", ALARMS)

    @pytest.mark.parametrize(
        ("name", "metric"),
        [
            ("TicketEventsAge", "ApproximateAgeOfOldestMessage"),
            ("NotificationsAge", "ApproximateAgeOfOldestMessage"),
            ("StanzasAge", "ApproximateAgeOfOldestMessage"),
            ("ReceiptsAge", "ApproximateAgeOfOldestMessage"),
            ("OutcomesAge", "IteratorAge"),
        ],
    )
    def test_whatever_works_off_a_backlog_is_watched_for_falling_behind(self, name: str, metric: str) -> None:
        assert properties(f"{name}Alarm", ALARMS)["MetricName"] == metric

    def test_disconnected_accounts_are_told_by_who_reads_the_leases(self) -> None:
        """A connector that is silent can't tell it."""
        alarm = properties("AccountDisconnectedAlarm", ALARMS)
        assert alarm["Dimensions"] == [
            {"Name": "service", "Value": "maintain_sessions"},
            {"Name": "stack", "Value": {"Ref": "SystemName"}},
        ]

    def test_whoever_tells_of_the_silent_may_not_be_silent(self) -> None:
        assert properties("MaintainErrorsAlarm", ALARMS)["TreatMissingData"] == "breaching"

    def test_one_disconnected_account_counts_whichever_of_the_connectors_has_it(self) -> None:
        assert properties("AccountDisconnectedAlarm", ALARMS)["Statistic"] == "Maximum"

    def test_the_memory_of_a_connector_of_the_stack_is_watched(self) -> None:
        """In percent of the task's, so that each size has its limit."""
        alarm = properties("ConnectorMemoryAlarm", ALARMS)
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ECS", "MemoryUtilization")
        assert template(ALARMS)["Resources"]["ConnectorMemoryAlarm"]["Condition"] == "Fargate"

    def test_all_others_take_no_data_for_a_good_sign(self) -> None:
        silence_counts = {"MaintainErrorsAlarm", "SelfTestSilentAlarm"}
        others = [it for name, it in self.alarms.items() if name not in silence_counts]
        assert {alarm["Properties"]["TreatMissingData"] for alarm in others} == {"notBreaching"}
