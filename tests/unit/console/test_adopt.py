"""What a deleted stack left is found, examined as a whole, and refused before anything changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.session import Session
from moto import mock_aws

from tests.support.fake_deployment import Said
from tests.support.notifications import a_notification
from tests.support.templates import properties
from tocsin.accounts.lease import LeaseKeeper
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Update
from tocsin.keys.store import KeyStore
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer, Sealer
from tocsin.tables.keys import credentials_key
from tocsin_console import adopt as adopting
from tocsin_console import cli
from tocsin_console.adopt import adopt
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NeedsAttention, NotFound, Usage
from tocsin_console.leftovers import Leftovers

REGION = "ap-southeast-3"
KEYS, NOTIFICATIONS = "gone-KeysTable-1A2B", "gone-NotificationsTable-3C4D"
SECRETS = {
    "sealing": ("Seals the key records of gone. Without it they can't be read.", "k1"),
    "texts": ("Seals the texts and replies of gone. Without it they can't be read.", "t1"),
}


def secret(key_id: str, letter: str = "x") -> str:
    return json.dumps({"id": key_id, "key": letter * 64})


@dataclass
class Cloud:
    """A region after `sam delete`: tables, secrets, and the stacks that live."""

    dynamodb: Any
    secrets: Any
    stacks: list[dict[str, Any]] = field(default_factory=list)
    arns: dict[str, str] = field(default_factory=dict)

    def describe_stacks(self) -> dict[str, Any]:
        return {"Stacks": self.stacks}

    def make_table(self, name: str, **changes: Any) -> None:
        made = dict(properties("NotificationsTable" if "Notifications" in name else "KeysTable"))
        wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        told = {each: made[each] for each in wanted if each in made}
        if "StreamSpecification" in made:
            told["StreamSpecification"] = {"StreamEnabled": True, **made["StreamSpecification"]}
        told |= changes
        self.dynamodb.create_table(
            TableName=name, **{each: value for each, value in told.items() if value is not None}
        )
        self.dynamodb.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, **made["TimeToLiveSpecification"]},
        )

    def make_secret(self, name: str, kind: str, text: str | None = None) -> str:
        described, key_id = SECRETS[kind]
        made = self.secrets.create_secret(
            Name=name, Description=described, SecretString=text or secret(key_id)
        )
        return str(made["ARN"])

    @property
    def keys(self) -> KeyStore:
        return KeyStore(DynamoTable(self.dynamodb, KEYS), Sealer.from_secret(secret("k1")), "default")

    @property
    def notifications(self) -> DynamoTable:
        return DynamoTable(self.dynamodb, NOTIFICATIONS)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The stack `gone` was deleted; its one account is paired, and one notification lies there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        made = Cloud(*(boto3.client(name, region_name=REGION) for name in ("dynamodb", "secretsmanager")))
        made.make_table(KEYS)
        made.make_table(NOTIFICATIONS)
        made.arns = {kind: made.make_secret(f"{kind}-9Z", kind) for kind in SECRETS}
        made.keys.account.create()
        made.keys.account.save_pairing(jid="62811:3@s.whatsapp.net", lid="9999:3@lid", device_identity=b"i")
        made.keys.account.record_high_water_mark(made.notifications)
        texts = Texts(lambda: RecordSealer.from_secret(secret("t1")))
        Stores(made.notifications, None, texts=texts).notifications.put_new(a_notification())  # type: ignore[arg-type]
        real = Deployment.client
        monkeypatch.setattr(
            Deployment,
            "client",
            lambda found, service: made if service == "cloudformation" else real(found, service),
        )
        yield made


def deployment() -> Deployment:
    session = Session()
    session.set_config_variable("region", REGION)
    return Deployment("new", {}, session)


def adopted(named: Leftovers | None = None, **how: Any) -> dict[str, str]:
    """The parameters that it tells."""
    told = Said(as_json=True)
    adopt(deployment(), "gone", named or Leftovers(), told.output, yes=True, **how)
    [record] = [one for one in told.records if "parameters" in one]
    return dict(record["parameters"])


def refused(named: Leftovers | None = None, **how: Any) -> str:
    """Why nothing was changed."""
    with pytest.raises(ConsoleError) as caught:
        adopted(named, **how)
    return str(caught.value)


def test_what_a_stack_left_is_found_and_named_as_parameters(cloud: Cloud) -> None:
    stream = cloud.dynamodb.describe_table(TableName=NOTIFICATIONS)["Table"]["LatestStreamArn"]
    assert adopted() == {
        "KeysTableName": KEYS,
        "SealingSecretArn": cloud.arns["sealing"],
        "NotificationsTableName": NOTIFICATIONS,
        "NotificationsStreamArn": stream,
        "TextsSecretArn": cloud.arns["texts"],
        "Accounts": "default",
    }


def test_the_operator_reads_the_command(cloud: Cloud, said: Said) -> None:
    adopt(deployment(), "gone", Leftovers(), said.output)
    assert f"tocsin deploy --stack new --region {REGION} --set KeysTableName={KEYS} --set " in said.text


def test_it_runs_although_no_stack_is_there(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adopt", "--from", "gone", "--region", REGION, "--json"]) == 0
    assert KEYS in capsys.readouterr().out


def test_where_nothing_was_left_it_says_how_to_name_it(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="pass --from with the name of the deleted stack"):
        adopt(deployment(), "another", Leftovers(), Said().output)


def test_of_two_deleted_stacks_of_one_name_the_operator_chooses(cloud: Cloud) -> None:
    cloud.make_table("gone-KeysTable-OLDER")
    with pytest.raises(Usage, match="--keys-table: gone-KeysTable-1A2B, gone-KeysTable-OLDER"):
        adopt(deployment(), "gone", Leftovers(), Said().output)
    assert adopted(Leftovers(keys_table=KEYS))["KeysTableName"] == KEYS


# -- refused -------------------------------------------------------------------------------------------------


def test_the_keys_alone_are_refused(cloud: Cloud) -> None:
    cloud.dynamodb.delete_table(TableName=NOTIFICATIONS)
    assert "restore it from its point-in-time recovery first" in refused()


def test_the_notifications_alone_are_refused_unless_the_keys_are_given_up(cloud: Cloud) -> None:
    cloud.dynamodb.delete_table(TableName=KEYS)
    assert "pass --without-keys" in refused()
    told = adopted(without_keys=True)
    assert "KeysTableName" not in told
    assert told["NotificationsTableName"] == NOTIFICATIONS


def test_a_table_of_another_schema_is_refused(cloud: Cloud) -> None:
    cloud.dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert "'orders' is none of Tocsin's" in refused(Leftovers(keys_table="orders"))


def test_a_table_that_isn_t_there_is_refused(cloud: Cloud) -> None:
    assert "no table 'nowhere' in this region" in refused(Leftovers(keys_table="nowhere"))


def test_the_tables_the_wrong_way_round_are_refused(cloud: Cloud) -> None:
    assert "no index 'watch'" in refused(Leftovers(NOTIFICATIONS, KEYS))


def test_a_restored_table_without_a_stream_is_refused_with_the_command(cloud: Cloud) -> None:
    cloud.make_table("gone-Notifications-restored", StreamSpecification=None)
    told = refused(Leftovers(notifications_table="gone-Notifications-restored"))
    assert "aws dynamodb update-table --table-name gone-Notifications-restored --stream-spec" in told


def test_a_restored_table_without_a_time_to_live_is_refused_with_the_command(cloud: Cloud) -> None:
    off = {"Enabled": False, "AttributeName": "expire_at"}
    cloud.dynamodb.update_time_to_live(TableName=NOTIFICATIONS, TimeToLiveSpecification=off)
    assert f"aws dynamodb update-time-to-live --table-name {NOTIFICATIONS} " in refused()


def test_a_secret_that_opens_no_key_is_refused(cloud: Cloud) -> None:
    other = cloud.make_secret("other", "sealing", secret("k1", "y"))
    assert "doesn't open the keys of the account 'default'" in refused(Leftovers(sealing_secret=other))


def test_a_secret_that_opens_no_text_is_refused(cloud: Cloud) -> None:
    other = cloud.make_secret("other", "texts", secret("t1", "y"))
    assert "doesn't open the texts" in refused(Leftovers(texts_secret=other))


def test_tables_that_a_stack_lives_on_are_refused(cloud: Cloud) -> None:
    outputs = [{"OutputKey": "KeysTable", "OutputValue": KEYS}]
    cloud.stacks = [{"StackName": "alive", "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}]
    assert "The stack 'alive' (UPDATE_COMPLETE) lives on gone-KeysTable-1A2B: delete it first" in refused()


def test_tables_that_a_connector_lives_on_are_refused(cloud: Cloud) -> None:
    keeper = LeaseKeeper(
        DynamoTable(cloud.dynamodb, KEYS),
        "c-1",
        url="https://x",
        certificate="PEM",
        sealer=Sealer.from_secret(secret("k1")),
        clock=lambda: 1000.0,
    )
    keeper.beat()
    assert "The connector 'c-1' lives on the keys table: stop it first" in refused(clock=lambda: 1010.0)
    assert adopted(clock=lambda: 1016.0)["KeysTableName"] == KEYS


def test_nothing_that_others_named_steers_the_terminal(cloud: Cloud, said: Said) -> None:
    evil = "alive\x1b]0;owned\x07"
    outputs = [{"OutputKey": "KeysTable", "OutputValue": KEYS}]
    cloud.stacks = [{"StackName": evil, "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}]
    said.output.say(refused())
    assert "\x1b" not in said.text


# -- keys of a backup ----------------------------------------------------------------------------------------


def set_back(cloud: Cloud) -> None:
    """The keys table is as it was before the last high-water mark."""
    before = cloud.keys.account.credentials().mark
    cloud.keys.account.record_high_water_mark(cloud.notifications)
    DynamoTable(cloud.dynamodb, KEYS).update(Update(credentials_key("default"), set={"mark": before}))


def test_keys_that_were_set_back_are_only_adopted_with_a_reset(cloud: Cloud) -> None:
    set_back(cloud)
    incarnation = cloud.keys.account.credentials().incarnation
    with pytest.raises(NeedsAttention, match="Run it again with --reset"):
        adopted()
    assert cloud.keys.account.credentials().incarnation == incarnation
    adopted(reset=True)
    assert cloud.keys.account.credentials().incarnation > incarnation


def test_a_restored_keys_table_is_only_adopted_with_a_reset(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB says of a table that it was restored; a backup of the last hour shows by nothing else."""
    real = adopting._described

    def restored(*told: Any) -> Any:
        found = real(*told)
        return found and {**found, "RestoreSummary": {"RestoreDateTime": 0}}

    monkeypatch.setattr(adopting, "_described", restored)
    with pytest.raises(NeedsAttention, match="'default': the keys table was restored from a backup"):
        adopted()
    assert adopted(reset=True)["KeysTableName"] == KEYS


def test_twin_that_forgets_the_generation_rule_adopts_old_keys(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_back(cloud)
    monkeypatch.setattr(adopting, "_examine_account", lambda *_: None)
    assert adopted()["KeysTableName"] == KEYS


def test_the_schema_it_asks_for_is_the_template_s() -> None:
    for table in ("KeysTable", "NotificationsTable"):
        made = properties(table)
        assert {one["AttributeName"]: one["KeyType"] for one in made["KeySchema"]} == adopting.KEY_SCHEMA
        assert made["TimeToLiveSpecification"]["AttributeName"] == adopting.TIME_TO_LIVE
    indexes = properties("NotificationsTable")["GlobalSecondaryIndexes"]
    assert {
        one["IndexName"]: {key["AttributeName"]: key["KeyType"] for key in one["KeySchema"]}
        for one in indexes
    } == adopting.INDEXES
