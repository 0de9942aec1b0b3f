"""template.yaml by its definition: what no emulator would notice if it went missing."""

import re

import pytest

from tests.support.templates import as_list, properties, resources, statements, template
from tocsin.notify.config import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS, RETENTION_DAYS
from tocsin.notify.lanes import MAX_LANES
from tocsin.notify.outcomes import SOURCE
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin_local.bootstrap import DEPLOYED_PYTHON
from tocsin_local.paths import REQUIREMENTS, ROOT

FUNCTIONS = {
    "PlanNotificationsFunction",
    "SendNotificationFunction",
    "ReceiveStanzaFunction",
    "RecordReceiptsFunction",
    "PublishOutcomesFunction",
    "DeliverWebhooksFunction",
    "MaintainSessionsFunction",
    "ReceiveWebhookFunction",
}
IN_THE_VPC = {"SendNotificationFunction", "ReceiveStanzaFunction", "MaintainSessionsFunction"}

# A queue that something works from, and where its failures go after so many receives.
REDRIVES = {
    "TicketEventsQueue": ("TicketEventsDeadQueue", 60),
    "NotificationsQueue": ("DeadLettersQueue", 100),
    "StanzasQueue": ("StanzasDeadQueue", 50),
    "ReceiptsQueue": ("ReceiptsDeadQueue", 100),
    "HooksQueue": ("HooksDeadQueue", 50),
}
DEAD_LETTERS = {
    "TicketEventsDeadQueue",
    "DeadLettersQueue",
    "StanzasDeadQueue",
    "ReceiptsDeadQueue",
    "OutcomesDeadQueue",
    "HooksDeadQueue",
}
FIFO = {
    *("NotificationsQueue", "DeadLettersQueue"),
    *("StanzasQueue", "StanzasDeadQueue"),
    *("HooksQueue", "HooksDeadQueue"),
}

# The names that the console, the demo and the connector's environment go by.
OUTPUTS = {
    "KeysTable",
    "NotificationsTable",
    "NotificationsQueueUrl",
    "DeadLettersQueueUrl",
    "StanzasQueueUrl",
    "ReceiptsQueueUrl",
    "ReceiptsDeadQueueUrl",
    "RecordReceiptsFunctionName",
    "TicketEventsDeadQueueUrl",
    "TicketEventsQueueUrl",
    "EventBusName",
    "EventSource",
    "SealingSecretArn",
    "TextsSecretArn",
    "MaintainFunctionName",
    "PlanFunctionName",
    "SendFunctionName",
    "ReceiveFunctionName",
    "PublishFunctionName",
    "LayerVersionArn",
    "Accounts",
    "DefaultRegion",
}


class TestParameters:
    def test_the_runtime_is_the_one_that_the_unit_tests_run_under_as_well(self) -> None:
        version = ".".join(map(str, DEPLOYED_PYTHON))
        assert template()["Parameters"]["PythonRuntime"]["Default"] == f"python{version}"

    @pytest.mark.parametrize("name", template()["Parameters"])
    def test_each_says_what_it_is_for(self, name: str) -> None:
        assert len(template()["Parameters"][name]["Description"]) > 20

    def test_all_are_shown_in_groups(self) -> None:
        groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        assert sorted(shown) == sorted(template()["Parameters"])

    @pytest.mark.parametrize(
        ("source", "allowed"),
        [
            ("ticketing", True),
            ("my.app/tickets", True),
            ("tocsin", False),
            ("tocsin-test", True),
            ("", False),
        ],
    )
    def test_ticket_events_never_bear_the_source_of_outcome_events(self, source: str, allowed: bool) -> None:
        pattern = template()["Parameters"]["EventSource"]["AllowedPattern"]
        assert bool(re.fullmatch(pattern, source)) is allowed

    @pytest.mark.parametrize(
        ("accounts", "allowed"),
        [
            ("default", True),
            ("north,south-2", True),
            ("", False),
            ("North", False),
            ("a,,b", False),
            ("a, b", False),
        ],
    )
    def test_accounts_are_names_with_commas_between(self, accounts: str, allowed: bool) -> None:
        assert bool(re.fullmatch(template()["Parameters"]["Accounts"]["AllowedPattern"], accounts)) is allowed

    @pytest.mark.parametrize("language", [*languages(DEFAULTS), "es-mx", "fil"])
    def test_any_language_may_be_the_default(self, language: str) -> None:
        assert re.fullmatch(template()["Parameters"]["DefaultLanguage"]["AllowedPattern"], language)

    def test_everything_has_a_default(self) -> None:
        assert not [name for name, it in template()["Parameters"].items() if "Default" not in it]

    def test_records_are_kept_within_the_bounds_that_the_functions_know(self) -> None:
        days = template()["Parameters"]["RetentionDays"]
        assert (days["MinValue"], days["MaxValue"]) == (MIN_RETENTION_DAYS, MAX_RETENTION_DAYS)
        assert days["Default"] == RETENTION_DAYS

    def test_a_dead_letter_never_outlives_its_record(self) -> None:
        kept = properties("DeadLettersQueue")["MessageRetentionPeriod"]
        assert template()["Parameters"]["RetentionDays"]["MinValue"] * 86_400 > kept

    @pytest.mark.parametrize("secret", ["Sealing", "Texts"])
    def test_the_secret_of_an_earlier_stack_can_be_adopted(self, secret: str) -> None:
        name = f"{secret}SecretArn"
        made = template()["Resources"][f"{secret}Secret"]
        value = template()["Outputs"][name]["Value"]["Fn::If"]
        assert (value[0], value[2]) == (made["Condition"], {"Ref": name})
        assert template()["Conditions"][made["Condition"]] == {"Fn::Equals": [{"Ref": name}, ""]}


class TestFunctions:
    def test_these_and_no_others(self) -> None:
        assert set(resources("AWS::Serverless::Function")) == FUNCTIONS

    @pytest.mark.parametrize("name", sorted(FUNCTIONS))
    def test_each_has_a_role_and_a_log_of_its_own(self, name: str) -> None:
        stem = name.removesuffix("Function")
        assert properties(name)["Role"] == {"Fn::GetAtt": [f"{stem}Role", "Arn"]}
        condition, debugging, otherwise = properties(name)["LoggingConfig"]["Fn::If"]
        assert template()["Conditions"][condition] == {"Fn::Equals": [{"Ref": "LogLevel"}, "DEBUG"]}
        assert debugging["LogGroup"] == otherwise["LogGroup"] == {"Ref": f"{stem}Log"}

    @pytest.mark.parametrize("name", sorted(FUNCTIONS))
    def test_lambda_tells_of_runs_that_ended_badly_only_and_no_library_tells_what_it_sends(
        self, name: str
    ) -> None:
        _, debugging, otherwise = properties(name)["LoggingConfig"]["Fn::If"]
        # In JSON the application's level is that of every library; in text none tells more than warnings.
        assert debugging == {"LogGroup": debugging["LogGroup"], "LogFormat": "Text"}
        assert (otherwise["SystemLogLevel"], otherwise["ApplicationLogLevel"]) == ("WARN", "INFO")

    def test_every_log_ends(self) -> None:
        logs = resources("AWS::Logs::LogGroup")
        assert all("RetentionInDays" in log["Properties"] for log in logs.values())

    def test_none_reserves_concurrency_that_a_new_account_does_not_have(self) -> None:
        reserved = {name: properties(name).get("ReservedConcurrentExecutions") for name in FUNCTIONS}
        asked = ["DoorCapped", {"Ref": "DoorConcurrency"}, {"Ref": "AWS::NoValue"}]
        assert reserved.pop("ReceiveWebhookFunction") == {"Fn::If": asked}
        assert template()["Parameters"]["DoorConcurrency"]["Default"] == 0
        assert set(reserved.values()) == {None}

    def test_nothing_can_be_reached_from_outside_unless_it_is_asked_for(self) -> None:
        assert template()["Parameters"]["HttpDoor"]["Default"] == "off"
        assert template()["Conditions"]["Door"] == {"Fn::Equals": [{"Ref": "HttpDoor"}, "on"]}
        assert not [name for name in FUNCTIONS if "FunctionUrlConfig" in properties(name)]
        assert template()["Resources"]["FrontDoor"]["Condition"] == "Door"
        parts = [name for name in template()["Resources"] if name.startswith("ReceiveWebhook")]
        parts.remove("ReceiveWebhookLog")
        assert {template()["Resources"][name]["Condition"] for name in parts} == {"Door"}

    def test_no_failed_run_of_the_upkeep_is_repeated_beside_the_next_minute_s(self) -> None:
        config = properties("MaintainSessionsFunction")["EventInvokeConfig"]
        assert config == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
        assert properties("MaintainSessionsSchedule")["ScheduleExpression"] == "rate(1 minute)"

    def test_only_those_that_call_the_connector_are_in_the_vpc_and_only_when_there_is_one(self) -> None:
        inside = {name for name in FUNCTIONS if "VpcConfig" in properties(name)}
        assert inside == IN_THE_VPC
        for name in inside:
            condition, config, otherwise = properties(name)["VpcConfig"]["Fn::If"]
            assert condition == "Fargate"
            assert config["Ipv6AllowedForDualStack"] is True
            assert otherwise == {"Ref": "AWS::NoValue"}

    def test_dual_stack_names_only_in_the_vpc(self) -> None:
        variables = template()["Globals"]["Function"]["Environment"]["Variables"]
        named = [name for name in variables if name.startswith("AWS_")]
        assert all(variables[name]["Fn::If"][0] == "Fargate" for name in named)
        assert not [name for name in named if "DYNAMODB" in name]

    @pytest.mark.parametrize("name", ["SendNotificationFunction", "ReceiveStanzaFunction"])
    def test_an_invocation_gets_no_more_records_than_it_has_lanes(self, name: str) -> None:
        (event,) = properties(name)["Events"].values()
        assert event["Properties"]["BatchSize"] == MAX_LANES

    @pytest.mark.parametrize(
        "name", sorted(FUNCTIONS - {"MaintainSessionsFunction", "ReceiveWebhookFunction"})
    )
    def test_every_record_of_a_batch_is_answered_for_itself(self, name: str) -> None:
        (event,) = properties(name)["Events"].values()
        assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_the_stream_shows_outcomes_only_and_gives_up_on_none_silently(self) -> None:
        stream = properties("PublishOutcomesFunction")["Events"]["Outcomes"]["Properties"]
        (only,) = stream["FilterCriteria"]["Filters"]
        assert '"eventName": ["INSERT", "MODIFY"]' in only["Pattern"]
        assert '"outcome"' in only["Pattern"]
        assert stream["DestinationConfig"]["OnFailure"]["Destination"] == {
            "Fn::GetAtt": ["OutcomesDeadQueue", "Arn"]
        }


class TestQueues:
    @pytest.mark.parametrize("name", sorted(resources("AWS::SQS::Queue")))
    def test_each_is_encrypted_and_keeps_its_messages_for_two_weeks(self, name: str) -> None:
        assert properties(name)["SqsManagedSseEnabled"] is True
        assert properties(name)["MessageRetentionPeriod"] == 14 * 24 * 3600

    @pytest.mark.parametrize("name", sorted(REDRIVES))
    def test_what_crashes_again_and_again_is_put_aside(self, name: str) -> None:
        dead, receives = REDRIVES[name]
        assert properties(name)["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]},
            "maxReceiveCount": receives,
        }

    def test_order_holds_where_it_matters(self) -> None:
        queues = resources("AWS::SQS::Queue")
        assert {name for name, queue in queues.items() if queue["Properties"].get("FifoQueue")} == FIFO

    def test_only_rules_of_the_stack_may_put_events_in(self) -> None:
        for policy in resources("AWS::SQS::QueuePolicy").values():
            (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            rules = statement["Condition"]["ArnLike"]["aws:SourceArn"]
            assert rules[0] == {"Fn::GetAtt": ["TicketEventsRule", "Arn"]}
            ours = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"
            assert [one["Fn::Sub"] for one in rules[1:]] == [
                f"{ours}${{AWS::StackName}}-source-*",
                f"{ours}*/${{AWS::StackName}}-source-*",
            ]


class TestTables:
    @pytest.mark.parametrize("name", ["KeysTable", "NotificationsTable"])
    def test_outlive_the_stack_and_bear_no_name_of_their_own(self, name: str) -> None:
        table = template()["Resources"][name]
        assert table["DeletionPolicy"] == "RetainExceptOnCreate"
        assert table["UpdateReplacePolicy"] == "Retain"
        assert "TableName" not in table["Properties"]

    @pytest.mark.parametrize("name", ["KeysTable", "NotificationsTable"])
    def test_pay_for_use_encrypt_and_forget(self, name: str) -> None:
        table = properties(name)
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"]["SSEType"] == "KMS"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expire_at", "Enabled": True}

    def test_keys_have_no_backup_that_could_bring_back_used_ones(self) -> None:
        keys = properties("KeysTable")
        assert keys["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
        assert "StreamSpecification" not in keys

    def test_notifications_have_a_backup_and_a_stream_of_new_images(self) -> None:
        notifications = properties("NotificationsTable")
        assert notifications["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert notifications["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}

    @pytest.mark.parametrize("name", ["SealingSecret", "TextsSecret", "KeysKey"])
    def test_what_unseals_them_outlives_the_stack_too(self, name: str) -> None:
        assert template()["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"


class TestRights:
    def test_no_action_is_a_wildcard_but_for_the_variants_of_two_kms_actions(self) -> None:
        actions = {action for _, statement in statements() for action in as_list(statement["Action"])}
        assert {action for action in actions if "*" in action} == {"kms:GenerateDataKey*", "kms:ReEncrypt*"}

    def test_every_right_is_on_something_named_where_aws_knows_names(self) -> None:
        unbounded = {
            action
            for _, statement in statements()
            if "*" in as_list(statement["Resource"])
            for action in as_list(statement["Action"])
        }
        assert {action for action in unbounded if not action.startswith("ec2:")} == {"dynamodb:ListStreams"}

    def test_network_interfaces_are_for_lambda_and_not_for_the_code_in_a_function(self) -> None:
        allowed, denied = [it for owner, it in statements() if owner == "VpcPolicy"]
        assert (allowed["Effect"], denied["Effect"]) == ("Allow", "Deny")
        assert allowed["Action"] == denied["Action"]
        assert "lambda:SourceFunctionArn" in denied["Condition"]["ArnLike"]
        assert {owner for owner, it in statements() if "ec2:" in str(it["Action"])} == {"VpcPolicy"}

    def test_only_the_sender_reads_attachments_and_only_where_there_is_a_bucket(self) -> None:
        allowed = [(owner, it) for owner, it in statements() if "s3:GetObject" in str(it["Action"])]
        [(owner, statement)] = allowed
        assert (owner, statement["Action"]) == ("AttachmentsPolicy", "s3:GetObject")
        assert "${AttachmentsBucket}/*" in str(statement["Resource"])
        assert template()["Resources"]["AttachmentsPolicy"]["Condition"] == "Attachments"
        roles = resources("AWS::IAM::Role").items()
        having = [name for name, it in roles if "'AttachmentsPolicy'" in str(it)]
        assert having == ["SendNotificationRole"]

    def test_who_talks_to_strangers_reaches_the_records_of_hooks_and_no_network_of_ours(self) -> None:
        assert "VpcConfig" not in properties("DeliverWebhooksFunction")
        reached = [
            it["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for owner, it in statements()
            if owner == "DeliverWebhooksRole" and "dynamodb:" in str(it["Action"])
        ]
        assert reached == [["hooks", "hook#*"], ["hook#*"]]
        orders = properties("DeliverWebhooksFunction")["Events"]["Orders"]["Properties"]
        assert orders["BatchSize"] == 1, "one order must not wait for another one in its batch"

    def test_nothing_of_hooks_is_there_unless_they_are_wanted(self) -> None:
        assert template()["Parameters"]["OutcomeHooks"]["Default"] == "off"
        theirs = [name for name in template()["Resources"] if "Hooks" in name or "Webhooks" in name]
        assert len(theirs) == 9
        assert {template()["Resources"][name].get("Condition") for name in theirs} == {"Hooks"}

    def test_planner_and_door_keep_files_of_requests_and_only_below_a_prefix(self) -> None:
        allowed = [
            (owner, it)
            for owner, it in statements()
            if "s3:PutObject" in str(it["Action"]) and owner != "OperatorPolicy"
        ]
        [(owner, statement)] = allowed
        assert (owner, statement["Action"]) == ("RequestedFilesPolicy", "s3:PutObject")
        assert "${AttachmentsBucket}/tocsin/requested/*" in str(statement["Resource"])
        roles = resources("AWS::IAM::Role").items()
        having = {name for name, it in roles if "RequestedFiles" in str(it)}
        assert having == {"PlanNotificationsRole", "ReceiveWebhookRole"}

    @pytest.mark.parametrize(
        ("owner", "action", "kinds"),
        [
            ("PlanNotificationsRole", "dynamodb:GetItem", ["source-versions", "texts-versions"]),
            ("HookVersionsPolicy", "dynamodb:Query", ["hook-versions"]),
        ],
    )
    def test_who_needs_no_key_reads_versions_of_the_keys_table_and_nothing_else(
        self, owner: str, action: str, kinds: list[str]
    ) -> None:
        of_keys = [
            it
            for policy, it in statements()
            if policy == owner and "KeysTable" in str(it["Resource"]) and "kms:" not in str(it["Action"])
        ]
        [statement] = of_keys
        assert statement["Action"] == action
        assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": kinds}}

    def test_planner_and_publisher_touch_neither_keys_nor_their_secret(self) -> None:
        for role in ("PlanNotificationsRole", "PublishOutcomesRole"):
            assert {"Ref": "KeyStorePolicy"} not in properties(role)["ManagedPolicyArns"]
            theirs = str([statement for owner, statement in statements() if owner == role])
            assert "SealingSecret" not in theirs

    @pytest.mark.parametrize(
        ("policies", "secret", "roles"),
        [
            (["TextsPolicy"], "TextsSecret", {"Plan", "Send", "Receive", "Publish", "Deliver"}),
            (
                # record_receipts has no right on sessions, hence not the policy of those who turn ratchets.
                ["KeyStorePolicy", "ConnectorPolicy", "RecordReceiptsRole"],
                "SealingSecret",
                {"Send", "Receive", "Maintain"},
            ),
        ],
    )
    def test_each_secret_is_read_by_those_who_need_it(
        self, policies: list[str], secret: str, roles: set[str]
    ) -> None:
        readers = {
            owner: it["Action"]
            for owner, it in statements()
            if f"'{secret}'" in str(it["Resource"]) or f"{secret}.Id" in str(it["Resource"])
        }
        assert readers == dict.fromkeys(policies, "secretsmanager:GetSecretValue")
        having = {name for name, it in resources("AWS::IAM::Role").items() if f"'{policies[0]}'" in str(it)}
        assert {re.sub("[A-Z].*", "", name[0].lower() + name[1:]).capitalize() for name in having} == roles

    def test_no_connector_reads_the_secret_of_the_texts(self) -> None:
        assert "Texts" not in str(properties("Connector"))

    def test_who_tells_outcomes_can_make_up_no_ticket_event(self) -> None:
        tellers = {owner: it for owner, it in statements() if it["Action"] == "events:PutEvents"}
        door = tellers.pop("ReceiveWebhookRole")
        assert door["Condition"] == {"ForAllValues:StringEquals": {"events:source": {"Ref": "EventSource"}}}
        assert set(tellers) == {"PublishOutcomesRole", "ConnectorPolicy"}
        for statement in tellers.values():
            assert statement["Condition"] == {"ForAllValues:StringEquals": {"events:source": SOURCE}}

    def test_nobody_reads_another_ones_queue(self) -> None:
        readers = {
            (str(statement["Resource"]["Fn::GetAtt"][0]), owner)
            for owner, statement in statements()
            if "sqs:ReceiveMessage" in as_list(statement["Action"])
        }
        assert readers == {
            ("TicketEventsQueue", "PlanNotificationsRole"),
            ("NotificationsQueue", "SendNotificationRole"),
            ("StanzasQueue", "ReceiveStanzaRole"),
            ("ReceiptsQueue", "RecordReceiptsRole"),
            ("HooksQueue", "DeliverWebhooksRole"),
        }


class TestOutputs:
    def test_the_sam_cli_that_the_readme_asks_for_is_the_one_that_the_tests_use(self) -> None:
        pinned = re.search(r"^aws-sam-cli==(\d+\.\d+)", (REQUIREMENTS / "sam.txt").read_text(), re.MULTILINE)
        assert pinned is not None
        words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
        assert f", {pinned[1]} or newer" in words

    def test_the_concurrency_by_default_is_what_a_new_account_has(self) -> None:
        parameters = template()["Parameters"]
        caps = {name: it["Default"] for name, it in parameters.items() if name.endswith("Concurrency")}
        assert caps.pop("PlanConcurrency") == caps.pop("ReceiptsConcurrency") == 0
        assert sum(caps.values()) == 6  # which leaves four for the queues without a cap

    def test_all_that_others_go_by(self) -> None:
        assert set(template()["Outputs"]) >= OUTPUTS


class TestLayer:
    def test_old_versions_stay_for_tasks_that_start_late(self) -> None:
        assert properties("CoreLayer")["RetentionPolicy"] == "Retain"

    def test_two_stacks_of_a_region_have_a_layer_each(self) -> None:
        assert properties("CoreLayer")["LayerName"] == {"Fn::Sub": "${AWS::StackName}-core"}

    def test_the_connector_runs_the_version_of_the_functions(self) -> None:
        assert template()["Globals"]["Function"]["Layers"] == [{"Ref": "CoreLayer"}]
        assert properties("Connector")["Parameters"]["LayerVersionArn"] == {"Ref": "CoreLayer"}


def test_a_dead_letter_queue_that_only_sqs_fills_is_named_to_an_alarm() -> None:
    """What the functions themselves give up they count: refused events, and dead letters by class."""
    told = properties("Observability")["Parameters"]
    given = [value for name, value in told.items() if name.endswith("DeadQueueName")]
    named = {value.get("Fn::If", [None, value])[1]["Fn::GetAtt"][0] for value in given}
    assert named == DEAD_LETTERS - {"TicketEventsDeadQueue", "DeadLettersQueue"}
