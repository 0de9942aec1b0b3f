"""The console finds a deployment by the name of its stack, and says where it looked."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.support.fake_cloud import REGION, MemoryCloud
from tests.support.fake_deployment import FakeDeployment
from tests.support.scripted_aws import ScriptedAws, refused
from tocsin.notify.content import LOCKED, Withheld
from tocsin_console.deployment import DOOR_URL, Deployment, Place, with_local_door
from tocsin_console.errors import ConsoleError, NotFound, Usage


def found(stack: str, region: str | None = REGION) -> Deployment:
    return Deployment.find(stack, region=region, endpoint_url=None)


def test_outputs_and_parameters_are_the_stacks_own(fake: FakeDeployment) -> None:
    assert fake.deployment["EventBusName"] == f"{fake.stack}-tickets"
    assert fake.deployment.accounts == ["default"]
    assert fake.deployment.retention_days == 40


def test_the_door_of_an_emulator_s_stack_is_where_the_environment_says() -> None:
    aws, here = "https://a.lambda-url.us-east-1.on.aws", "http://127.0.0.1:4400"
    assert with_local_door({"DoorUrl": aws}, {DOOR_URL: here}) == {"DoorUrl": here}
    assert with_local_door({"DoorUrl": aws}, {}) == {"DoorUrl": aws}
    assert with_local_door({}, {DOOR_URL: here}) == {}


@pytest.mark.parametrize("named", ["by the option", "by the environment"])
def test_an_emulator_is_known_however_it_is_named(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    here = "http://127.0.0.1:4400"
    assert not Place("tocsin", Session(), REGION).is_emulated
    if named == "by the environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL", here)
    assert Place("tocsin", Session(), REGION, here if named == "by the option" else None).is_emulated


def test_a_stack_found_by_the_environment_alone_names_the_door_of_this_machine(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = "http://127.0.0.1:4400"
    monkeypatch.setenv(DOOR_URL, here)
    told = Place(fake.stack, Session(), REGION)
    outputs = [{"OutputKey": "DoorUrl", "OutputValue": "https://a.lambda-url.us-east-1.on.aws"}]
    object.__setattr__(told, "look", lambda: {"Outputs": outputs})
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert Deployment.at(told)["DoorUrl"] != here
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Deployment.at(told)["DoorUrl"] == here


def place(answer: object) -> Place:
    told = Place("tocsin", Session(), REGION)
    object.__setattr__(told, "client", ScriptedAws(cloudformation__get_template_summary=answer).client)
    return told


def test_the_defaults_that_a_stack_was_deployed_with_are_its_own_templates() -> None:
    told = [{"ParameterKey": "SendConcurrency", "DefaultValue": "2"}, {"ParameterKey": "Name"}]
    assert place({"Parameters": told}).former_defaults() == {"SendConcurrency": "2"}


def test_without_the_right_to_ask_for_them_none_are_known() -> None:
    assert place(refused("AccessDenied")).former_defaults() == {}


class Refusing:
    """Secrets Manager as it answers whom IAM doesn't allow it, or who asks for what isn't there."""

    def __init__(self, code: str) -> None:
        self._error = ClientError({"Error": {"Code": code}}, "GetSecretValue")

    def get_secret_value(self, **_: str) -> None:
        raise self._error


def test_texts_are_opened_with_the_operators_own_right(fake: FakeDeployment) -> None:
    planned = fake.planned(text="Halo")
    assert fake.stored(planned).text == "Halo"


def test_without_the_right_to_the_key_texts_stay_locked(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = fake.planned()
    other = found(fake.stack)
    monkeypatch.setattr(Deployment, "client", lambda self, service: Refusing("AccessDeniedException"))
    seen = other.stores.notifications.get(planned.id)
    assert seen is not None
    assert (seen.content, seen.ticket_id) == (Withheld(LOCKED), planned.ticket_id)


def test_a_secret_that_isnt_there_is_no_missing_right(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deployment, "client", lambda self, service: Refusing("ResourceNotFoundException"))
    with pytest.raises(ClientError):
        assert fake.deployment.record_sealer


def test_a_deployment_from_before_texts_were_sealed_has_no_key(aws: MemoryCloud) -> None:
    stack = aws.deploy()
    del aws.stacks[stack][1]["TextsSecretArn"]
    assert found(stack).record_sealer is None


def test_a_stack_that_isnt_there_is_named_with_its_region(aws: MemoryCloud) -> None:
    with pytest.raises(NotFound) as caught:
        found("tocsim")
    assert "'tocsim' in ap-southeast-3" in str(caught.value)
    assert "--stack" in str(caught.value)


def test_a_stack_without_outputs_isnt_deployed(aws: MemoryCloud) -> None:
    aws.stacks["half"] = ("ROLLBACK_COMPLETE", {})
    with pytest.raises(NotFound, match=r"ROLLBACK_COMPLETE.*delete-stack --stack-name half"):
        found("half")


def test_somebody_elses_stack_is_called_so(aws: MemoryCloud) -> None:
    aws.stacks["shop"] = ("CREATE_COMPLETE", {"Url": "https://shop"})
    with pytest.raises(ConsoleError, match="has no output 'KeysTable'"):
        found("shop")["KeysTable"]


def test_without_a_region_the_operator_is_asked_for_one(
    aws: MemoryCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    with pytest.raises(Usage, match="--region"):
        found("tocsin", region=None)


def test_the_only_account_neednt_be_named(fake: FakeDeployment) -> None:
    assert fake.deployment.account(None) == "default"
    assert fake.deployment.account("default") == "default"


def test_among_several_accounts_one_must_be_named(aws: MemoryCloud) -> None:
    deployment = found(aws.deploy(Accounts="default, desk-2"))
    with pytest.raises(Usage, match=r"--account default\|desk-2"):
        deployment.account(None)
    assert deployment.account("desk-2") == "desk-2"


def test_an_account_that_isnt_served_is_not_found(fake: FakeDeployment) -> None:
    with pytest.raises(NotFound, match="tocsin accounts add desk-9"):
        fake.deployment.account("desk-9")


@pytest.mark.parametrize(
    ("parameters", "written", "digits"),
    [({}, "0812 3456 7890", "6281234567890"), ({"DefaultArea": "21"}, "555 1234", "62215551234")],
)
def test_a_number_is_read_as_the_functions_read_it(
    parameters: dict[str, str], written: str, digits: str
) -> None:
    deployment = Deployment("tocsin", {"DefaultRegion": "ID"}, Session(), parameters=parameters)
    assert deployment.phone(written) == digits
