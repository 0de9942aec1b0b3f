"""The guided deployment: few questions, what they lead to, and nothing lost of a stack that is there."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_cloud import MemoryCloud
from tests.support.fake_deployment import FakeDeployment, Said, Terminal, asked, typing
from tests.support.scripted_aws import refused
from tests.support.templates import template
from tocsin.settings.declared import RETRIES, RETRY_DELAY_SECONDS
from tocsin_console import deploy, doctor
from tocsin_console.caps import SMALL
from tocsin_console.deploy import Wanted
from tocsin_console.deployment import Deployment, Place
from tocsin_console.doctor.checks import FaultsFound
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.former_parameters import FORMER, taken_over
from tocsin_console.output import Output
from tocsin_console.questions import ALARMS, MAX_QUESTIONS, QUESTIONS, parameters_of
from tocsin_console.samconfig import read_samconfig, with_deployment
from tocsin_console.settings import Change, change
from tocsin_console.template_defaults import declared_parameters

ROOT = Path(__file__).parents[3]
SAMCONFIG = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
REGION = "ap-southeast-3"
ENTER = "\n"


@dataclass
class Sam:
    """Notes what it is told to do; the command `fails_at` ends with 1."""

    fails_at: str = ""
    done: list[tuple[list[str], dict[str, str]]] = field(default_factory=list)

    def __call__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
        self.done.append((list(command), dict(environment)))
        return int(command[1] == self.fails_at)

    @property
    def overrides(self) -> list[str]:
        """Of the deployment."""
        command = self.done[-1][0]
        return (
            command[command.index("--parameter-overrides") + 1 :]
            if "--parameter-overrides" in command
            else []
        )


class Scene:
    """A folder with the sources, and an AWS account."""

    def __init__(self, fake: FakeDeployment, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake = fake
        self.folder = folder
        self.sam = Sam()
        self.examined: list[Mapping[str, str]] = []
        self.faults = False
        self.running: dict[str, str] | None = None
        self.status = "UPDATE_COMPLETE"
        self.former: dict[str, str] = {}
        self.executions: int | None = 1000
        shutil.copy(ROOT / "template.yaml", folder)
        self.config = folder / "samconfig.toml"
        self.config.write_text(SAMCONFIG, encoding="utf-8")
        monkeypatch.setattr(doctor, "before_deploy", self._examine)
        monkeypatch.setattr(Place, "look", lambda _: self._found())
        monkeypatch.setattr(Place, "former_defaults", lambda _: self.former)
        monkeypatch.setattr(Place, "free_executions", lambda _: self.executions)
        monkeypatch.setattr(Deployment, "at", lambda _: fake.deployment)

    def _examine(self, place: Place, output: Output, given: Mapping[str, str], folder: Path) -> None:
        self.examined.append(given)
        if self.faults:
            raise FaultsFound("faults found: zones")

    def _found(self) -> dict[str, Any] | None:
        if self.running is None:
            return None
        told = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.running.items()]
        return {"StackStatus": self.status, "Parameters": told}

    def deploy(self, output: Output, *given: str, stack: str = "tocsin", **wanted: bool) -> None:
        place = Place(stack, self.fake.deployment.session, REGION)
        deploy.deploy(place, Wanted(given, **wanted), output, folder=self.folder, run=self.sam)

    @property
    def kept(self) -> dict[str, Any]:
        """What samconfig.toml says for a deployment."""
        told = tomllib.loads(self.config.read_text(encoding="utf-8"))["default"]
        return {**told["global"]["parameters"], **told["deploy"]["parameters"]}


@pytest.fixture
def scene(aws: MemoryCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(FakeDeployment.on(aws), tmp_path, monkeypatch)


# -- asking ------------------------------------------------------------------------------------------------


def test_there_are_at_most_eight_questions_in_one_line_each(scene: Scene) -> None:
    terminal = typing(ENTER * 20)
    scene.deploy(terminal)
    shown = re.findall(r"[^\n]*?\[[^\]]*\]: ", asked(terminal))
    assert len(shown) == len(QUESTIONS) <= MAX_QUESTIONS
    assert all(len(line) < 90 for line in shown)


def test_with_the_return_key_alone_nothing_is_frozen(scene: Scene) -> None:
    scene.deploy(typing(ENTER * 20))
    assert scene.sam.overrides == []
    assert "parameter_overrides" not in scene.kept
    assert (scene.kept["stack_name"], scene.kept["region"]) == ("tocsin", REGION)


def test_a_person_sees_which_step_is_on(scene: Scene, said: Said) -> None:
    terminal = typing(ENTER * 20)
    scene.deploy(terminal)
    steps = [line for line in asked(terminal).splitlines() if line.startswith("step ")]
    assert steps == ["step 1 of 2: sam build", "step 2 of 2: sam deploy"]
    scene.deploy(said.output, yes=True)
    assert "step " not in said.text


def test_what_is_answered_is_deployed_and_kept(scene: Scene) -> None:
    answers = ["desk", "eu-west-1", "GB", "", "en", "", "", "arn:aws:sns:eu-west-1:1:night"]
    scene.deploy(typing("\n".join(answers) + "\n"))
    wanted = ["DefaultRegion=GB", "DefaultLanguage=en", "AlarmTopicArn=arn:aws:sns:eu-west-1:1:night"]
    assert scene.sam.overrides == wanted
    assert scene.kept["parameter_overrides"] == wanted
    assert (scene.kept["stack_name"], scene.kept["region"]) == ("desk", "eu-west-1")


def test_an_answer_that_can_t_be_one_is_asked_for_again_at_once(scene: Scene) -> None:
    terminal = typing("\n\nIndonesia\nID\n" + ENTER * 20)
    scene.deploy(terminal)
    assert "it must be two capital letters (ISO 3166), such as ID, not 'Indonesia'" in asked(terminal)


def test_without_a_valid_answer_nothing_is_deployed(scene: Scene) -> None:
    with pytest.raises(ConsoleError, match="nothing was deployed"):
        scene.deploy(typing("\n\n" + "Indonesia\n" * 20))
    with pytest.raises(ConsoleError, match="nothing was deployed"):
        scene.deploy(typing("desk\n"))
    assert scene.sam.done == []


def test_what_is_given_is_not_asked_for(scene: Scene) -> None:
    terminal = typing(ENTER * 20)
    scene.deploy(terminal, "DefaultRegion=GB")
    assert "country" not in asked(terminal)
    assert scene.sam.overrides == ["DefaultRegion=GB"]


def test_without_a_terminal_it_needs_yes(scene: Scene, said: Said) -> None:
    with pytest.raises(Usage, match="--yes"):
        scene.deploy(said.output)
    scene.deploy(said.output, "DefaultRegion=GB", yes=True)
    assert scene.sam.overrides == ["DefaultRegion=GB"]


def test_the_defaults_of_an_update_are_what_the_stack_has(scene: Scene) -> None:
    scene.running = {"DefaultRegion": "GB", "AlarmTopicArn": "arn:aws:sns:eu-west-1:1:night"}
    terminal = typing(ENTER * 20)
    scene.deploy(terminal)
    assert "[GB]" in asked(terminal)
    assert scene.sam.overrides == ["DefaultRegion=GB", "AlarmTopicArn=arn:aws:sns:eu-west-1:1:night"]


def test_a_better_default_reaches_a_stack_that_had_the_old_one(scene: Scene, said: Said) -> None:
    """SAM keeps the value of each parameter that it isn't given, one that was only a default as well."""
    scene.running = {"SendConcurrency": "2", "ReceiveConcurrency": "9", "DefaultRegion": "GB"}
    scene.former = {"SendConcurrency": "2", "ReceiveConcurrency": "1", "DefaultRegion": "ID"}
    scene.deploy(said.output, yes=True)
    assert scene.sam.overrides == ["SendConcurrency=4"]
    assert "parameter_overrides" not in scene.kept


def test_a_choice_that_equals_the_old_default_is_kept_if_samconfig_says_so(scene: Scene, said: Said) -> None:
    scene.running = scene.former = {"SendConcurrency": "2"}
    scene.deploy(said.output, "SendConcurrency=2", yes=True)
    assert scene.sam.overrides == ["SendConcurrency=2"]
    scene.deploy(said.output, yes=True)
    assert scene.sam.overrides == ["SendConcurrency=2"]


TOLD = {"AlarmEmail": "desk@example.org", "AlarmTopicArn": "arn:aws:sns:eu-west-1:1:night"}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", TOLD),
        ("night@example.org", {"AlarmEmail": "night@example.org", "AlarmTopicArn": ""}),
        ("none", dict.fromkeys(TOLD, "")),
    ],
)
def test_a_stack_that_tells_a_topic_and_an_address_goes_on_unless_somebody_says_otherwise(
    scene: Scene, typed: str, wanted: dict[str, str]
) -> None:
    scene.running = dict(TOLD)
    scene.deploy(typing(f"{ENTER * 7}{typed}\n"))
    deployed = {**scene.running, **deploy.overrides(scene.sam.overrides)}
    assert {name: deployed[name] for name in TOLD} == wanted


def test_a_given_address_for_alarms_is_not_asked_for(scene: Scene) -> None:
    terminal = typing(ENTER * 20)
    scene.deploy(terminal, "AlarmEmail=desk@example.org")
    assert "alarms" not in asked(terminal)
    assert scene.sam.overrides == ["AlarmEmail=desk@example.org"]


def test_back_to_a_default_is_said_once_and_not_frozen(scene: Scene, said: Said) -> None:
    scene.running = {"DefaultRegion": "GB", "DefaultArea": "20"}
    scene.deploy(said.output, "DefaultRegion=ID", "DefaultArea=", yes=True)
    assert scene.sam.overrides == ["DefaultRegion=ID", 'DefaultArea=""']
    assert "parameter_overrides" not in scene.kept


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("DefaultRegion=id", "two capital letters"),
        ("EventSource=tocsin", "not tocsin"),
        ("CustomerRetries=5", "tocsin settings set retries 5 --audience customer"),
        ("nonsense", "NAME=VALUE"),
        ("DefaultReggion=ID", "no parameter DefaultReggion; DefaultRegion?"),
        ("ConnectorMemory=600", "one of 512, 1024, 2048"),
        ("Architecture=arm", "one of arm64, x86_64"),
        ("SendConcurrency=1", "between 2 and 1000"),
        ("SendConcurrency=many", "must be a number"),
        ("Accounts=Sales Desk", "must be one or more names of a-z, 0-9 and -"),
        ("AvailabilityZones=eu-west-1a", "must be the names of two different zones"),
        ("WhatsAppUrl=https://web.whatsapp.com", "must match wss?://"),
        ("LogRetentionDays=31", "one of 1, 3, 5"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    scene: Scene, said: Said, given: str, says: str
) -> None:
    with pytest.raises(Usage, match=re.escape(says)):
        scene.deploy(said.output, given, yes=True)
    assert (scene.sam.done, scene.config.read_text(encoding="utf-8")) == ([], SAMCONFIG)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.about)
def test_a_question_takes_what_the_template_takes(question: Any) -> None:
    declared = template()["Parameters"]
    assert question.problem("\x1b") != ""
    if question.about in declared:
        assert question.pattern == declared[question.about]["AllowedPattern"]
        assert question.default == declared[question.about]["Default"]


def test_every_answer_is_a_parameter_of_the_template() -> None:
    answers = {question.about: question.default for question in QUESTIONS}
    assert parameters_of(answers).keys() <= template()["Parameters"].keys()
    assert parameters_of({ALARMS: "a@b.example"}) == {"AlarmEmail": "a@b.example", "AlarmTopicArn": ""}


# -- the account's concurrency -----------------------------------------------------------------------------


def test_in_an_account_that_runs_few_functions_every_queue_has_a_cap(scene: Scene, said: Said) -> None:
    scene.executions = 10
    scene.deploy(said.output, yes=True)
    deployed = deploy.overrides(scene.sam.overrides)
    # ReceiveConcurrency is 2 by default.
    assert deployed == {"SendConcurrency": "2", "PlanConcurrency": "2", "ReceiptsConcurrency": "2"}
    assert "request-service-quota-increase" in said.text
    assert "parameter_overrides" not in scene.kept


@pytest.mark.parametrize("executions", [1000, 16, None])
def test_in_another_and_where_nobody_may_look_it_has_the_template_s(
    scene: Scene, said: Said, executions: int | None
) -> None:
    scene.executions = executions
    scene.deploy(said.output, yes=True)
    assert scene.sam.overrides == []


def test_what_somebody_chose_is_not_capped(scene: Scene, said: Said) -> None:
    scene.executions = 10
    scene.deploy(said.output, "PlanConcurrency=3", yes=True)
    deployed = deploy.overrides(scene.sam.overrides)
    assert (deployed["PlanConcurrency"], deployed["SendConcurrency"]) == ("3", "2")


def test_the_caps_go_when_the_quota_was_raised(scene: Scene, said: Said) -> None:
    scene.running = dict(SMALL)
    scene.deploy(said.output, yes=True)
    deployed = deploy.overrides(scene.sam.overrides)
    assert deployed == {"SendConcurrency": "4", "PlanConcurrency": "0", "ReceiptsConcurrency": "0"}
    assert "again" in said.text


def test_caps_of_the_operator_s_own_stay_when_it_was_raised(scene: Scene, said: Said) -> None:
    scene.running = {**SMALL, "PlanConcurrency": "3"}
    scene.deploy(said.output, yes=True)
    assert scene.sam.overrides == []


# -- doing -------------------------------------------------------------------------------------------------


def test_it_builds_then_deploys_shows_both_and_says_what_is_next(scene: Scene, said: Said) -> None:
    scene.deploy(said.output, yes=True)
    assert [command[:2] for command, _ in scene.sam.done] == [["sam", "build"], ["sam", "deploy"]]
    assert "$ sam build" in said.lines
    assert f"tocsin doctor --stack tocsin --region {REGION}" in said.text
    assert f"tocsin pair --stack tocsin --region {REGION}" in said.text


def test_another_target_is_named_for_the_build_as_well(scene: Scene, said: Said) -> None:
    scene.deploy(said.output, "Architecture=x86_64", yes=True)
    assert scene.sam.done[0] == (["sam", "build"], {"TOCSIN_ARCHITECTURE": "x86_64"})


def test_a_dry_run_prints_and_changes_nothing(scene: Scene, said: Said) -> None:
    scene.running = {"CustomerRetries": "5"}
    scene.deploy(said.output, "DefaultRegion=GB", yes=True, dry_run=True)
    assert "would keep in samconfig.toml: DefaultRegion=GB" in said.lines
    assert "would set: retries 5 (audience=customer)" in said.lines
    assert (scene.sam.done, scene.config.read_text(encoding="utf-8")) == ([], SAMCONFIG)
    assert scene.fake.deployment.settings().version == 0


def test_a_fault_that_doctor_finds_stops_it(scene: Scene, said: Said) -> None:
    scene.faults = True
    with pytest.raises(ConsoleError, match="zones; nothing was deployed"):
        scene.deploy(said.output, yes=True)
    assert scene.sam.done == []
    scene.deploy(said.output, yes=True, despite_faults=True)
    assert len(scene.sam.done) == 2


def test_a_build_that_fails_is_not_deployed(scene: Scene, said: Said) -> None:
    scene.sam.fails_at = "build"
    with pytest.raises(ConsoleError, match=r"'sam build' ended with exit code 1.* nothing was deployed"):
        scene.deploy(said.output, yes=True)
    assert len(scene.sam.done) == 1


@pytest.mark.parametrize(
    ("status", "said_of_it"),
    [
        (None, "There is no stack: nothing was made"),
        ("UPDATE_COMPLETE", "nothing was changed"),
        ("ROLLBACK_COMPLETE", "nothing runs.*delete-stack --stack-name tocsin.*then tocsin deploy"),
        ("UPDATE_ROLLBACK_COMPLETE", "the version before it runs.*describe-stack-events.*then tocsin deploy"),
        ("UPDATE_ROLLBACK_FAILED", "versions are mixed.*continue-update-rollback --stack-name tocsin"),
        ("UPDATE_FAILED", "versions are mixed.*rollback-stack --stack-name tocsin"),
    ],
)
def test_a_deployment_that_fails_says_what_it_left_and_what_leads_on(
    scene: Scene, said: Said, status: str | None, said_of_it: str
) -> None:
    scene.sam.fails_at = "deploy"
    scene.running, scene.status = ({} if status else None), status or ""
    with pytest.raises(ConsoleError, match=rf"'sam deploy' ended with exit code 1.*{said_of_it}"):
        scene.deploy(said.output, yes=True)


def test_where_it_can_t_be_seen_what_a_failed_deployment_left_that_is_said(
    scene: Scene, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
        monkeypatch.setattr(Place, "look", refused_to_look)
        return int(command[1] == "deploy")

    def refused_to_look(_: Place) -> None:
        raise refused("ExpiredToken")

    scene.sam = fail  # type: ignore[assignment]
    with pytest.raises(ConsoleError, match="What it left can't be seen: "):
        scene.deploy(said.output, yes=True)


def test_elsewhere_than_with_the_sources_it_says_where_to_go(scene: Scene, said: Said) -> None:
    (scene.folder / "template.yaml").unlink()
    with pytest.raises(Usage, match=r"no template\.yaml"):
        scene.deploy(said.output, yes=True)


def test_without_sam_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match="pipx install aws-sam-cli"):
        deploy.run_command([str(tmp_path / "sam"), "build"], {}, tmp_path)


def test_a_command_runs_in_the_folder_with_its_variables(tmp_path: Path) -> None:
    program = tmp_path / "sam"
    program.write_text('#!/bin/sh\necho "$PWD $TOCSIN_RUNTIME $*" > told\nexit 3\n')
    program.chmod(0o755)
    code = deploy.run_command([str(program), "build"], {"TOCSIN_RUNTIME": "python3.12"}, tmp_path)
    assert (code, (tmp_path / "told").read_text()) == (3, f"{tmp_path} python3.12 build\n")


# -- what a stack had --------------------------------------------------------------------------------------


def test_what_a_stack_of_before_had_set_is_in_force_before_the_update(scene: Scene, said: Said) -> None:
    scene.running = {"TechnicianRetries": "5", "CustomerRetryDelaySeconds": "10", "UpdatesAs": "message"}
    scene.sam.fails_at = "build"
    with pytest.raises(ConsoleError):
        scene.deploy(said.output, yes=True)
    read = scene.fake.deployment.settings()
    retries = [read.value(RETRIES, audience=one) for one in ("customer", "technician", "group")]
    assert (retries, read.value(RETRY_DELAY_SECONDS, audience="customer")) == ([3, 5, 5], 10)
    assert "retries 5 for audience=technician" in said.text
    assert "updates-as" not in said.text


def test_what_was_set_since_is_not_overwritten(scene: Scene, said: Said) -> None:
    scene.running = {"CustomerRetries": "5"}
    deployment = scene.fake.deployment
    scene.deploy(said.output, yes=True)
    change(deployment, [Change("retries", "7", next(iter(scopes())))], said.output)
    scene.deploy(said.output, yes=True)
    assert deployment.settings().value(RETRIES, audience="customer") == 7


def scopes() -> list[Any]:
    return [scope for _, _, scope in taken_over({"CustomerRetries": "5"}).changes]


def test_old_overrides_are_taken_along_and_removed_with_a_sentence(scene: Scene, said: Said) -> None:
    old = ["CustomerRetries=5", "DefaultRegion=GB", "ReadReceipts=perhaps", "PlanTimeoutSeconds=30"]
    scene.config.write_text(with_deployment(SAMCONFIG, "tocsin", REGION, dict(one.split("=") for one in old)))
    scene.running = {}
    scene.deploy(said.output, yes=True)
    assert scene.sam.overrides == scene.kept["parameter_overrides"] == ["DefaultRegion=GB"]
    assert "CustomerRetries is the setting retries now: samconfig.toml names it no more" in said.lines
    assert (
        "PlanTimeoutSeconds is a parameter of earlier versions: samconfig.toml names it no more" in said.lines
    )
    assert "ReadReceipts=perhaps means nothing" in said.text
    assert scene.fake.deployment.settings().value(RETRIES, audience="customer") == 5


def test_every_parameter_that_went_has_its_setting() -> None:
    assert not FORMER.keys() & template()["Parameters"].keys()
    assert len(FORMER) == 14
    assert taken_over({"AcknowledgeReplies": "", "SessionIdleDays": "90"}).changes == ()


def test_the_template_s_parameters_are_found_in_its_text() -> None:
    found = declared_parameters((ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert found.keys() == template()["Parameters"].keys()
    for name, declared in template()["Parameters"].items():
        one = found[name]
        assert one.pattern == declared.get("AllowedPattern", "")
        assert one.allowed == tuple(map(str, declared.get("AllowedValues", ())))
        assert (one.least, one.most) == (declared.get("MinValue"), declared.get("MaxValue"))
        assert one.is_number is (declared["Type"] == "Number")
        assert one.problem(str(declared["Default"])) == ""


# -- samconfig.toml ----------------------------------------------------------------------------------------


def test_in_samconfig_everything_else_stays_as_it_is(tmp_path: Path) -> None:
    changed = with_deployment(SAMCONFIG, "desk", "eu-west-1", {"DefaultRegion": "GB", "Text": "a b"})
    lines = set(changed.splitlines())
    assert {line for line in SAMCONFIG.splitlines() if line and not line.startswith("stack_name")} <= lines
    (tmp_path / "samconfig.toml").write_text(changed)
    found = read_samconfig(tmp_path)
    assert (found.stack, found.region, found.parameters) == (
        "desk",
        "eu-west-1",
        {"DefaultRegion": "GB", "Text": "a b"},
    )
    assert read_samconfig(tmp_path, "local").parameters["ConnectorMode"] == "external"


def test_writing_it_twice_changes_nothing_more() -> None:
    once = with_deployment(SAMCONFIG, "desk", "eu-west-1", {"DefaultRegion": "GB"})
    assert with_deployment(once, "desk", "eu-west-1", {"DefaultRegion": "GB"}) == once
    assert "DefaultRegion" not in with_deployment(once, "desk", "eu-west-1", {})


@pytest.mark.parametrize("text", ["[default]\nglobal = {parameters = {stack_name = 'x'}}\n", "not toml ["])
def test_a_file_that_can_t_be_changed_line_by_line_is_left_alone(text: str) -> None:
    with pytest.raises(ConsoleError, match="by hand"):
        with_deployment(text, "desk", "eu-west-1", {})


@pytest.mark.parametrize("written", ['"A=1 B=\\"x y\\""', '["A=1", "B=x y"]', "{A = 1, B = 'x y'}"])
def test_overrides_are_read_in_every_form_that_sam_takes(tmp_path: Path, written: str) -> None:
    text = f"[default.deploy.parameters]\nparameter_overrides = {written}\n"
    (tmp_path / "samconfig.toml").write_text(text)
    assert read_samconfig(tmp_path).parameters == {"A": "1", "B": "x y"}


@pytest.mark.parametrize(
    "text", ["[", "default = 1", "[default.deploy.parameters]\nparameter_overrides = ['A']"]
)
def test_a_file_that_is_none_of_sam_s_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "samconfig.toml").write_text(text)
    with pytest.raises(ConsoleError, match="no configuration of SAM"):
        read_samconfig(tmp_path)


def test_the_terminal_of_these_tests_is_one() -> None:
    assert Output(stream=Terminal(), answers=Terminal()).can_ask
    assert refused("X").response["Error"]["Code"] == "X"
