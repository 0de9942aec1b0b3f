"""The first container of the Fargate task: it fetches the very layer version, or nothing.

Run as the task runs it, by a Python with boto3, against a stand-in for the Lambda API. Where the connector
has no IPv4, the archive comes in parts from a function, which is run as the template has it.
"""

import base64
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cloudformation import deployed
from tests.support.iam import rights_of
from tests.support.lambda_api import FUNCTION, LambdaApi, lambda_api
from tests.support.templates import container
from tocsin_local.processes import clean_environment

ARN = "arn:aws:lambda:eu-west-1:123456789012:layer:CoreLayer:7"
THROTTLED = (
    429,
    "TooManyRequestsException",
    b'{"Reason":"ConcurrentInvocationLimitExceeded","message":"Rate"}',
)


def layer(module: str, ballast: int = 0) -> bytes:
    """A layer whose connector is `module`, with so many bytes more that can't be packed."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("python/tocsin/__init__.py", "")
        content.writestr("python/tocsin/connector/__init__.py", "")
        content.writestr("python/tocsin/connector/__main__.py", module)
        content.writestr("python/ballast", os.urandom(ballast))
    return archive.getvalue()


def sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def start(api: LambdaApi, root: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the task's command with the layer unpacked to `root` instead of /opt."""
    assert container("layer")["EntryPoint"] == ["/var/lang/bin/python3", "-c"]
    scratch = root.parent / "scratch"
    scratch.mkdir()
    root.mkdir()
    environment = clean_environment(
        LAYER_VERSION_ARN=ARN,
        LAYER_ROOT=str(root),
        SCRATCH=str(scratch),
        AWS_ENDPOINT_URL=api.url,
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        **more,
    )
    command = [sys.executable, "-c", *container("layer")["Command"]]
    return subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, timeout=120, check=False
    )


def start_without_ipv4(api: LambdaApi, root: Path) -> subprocess.CompletedProcess[str]:
    return start(api, root, FETCH_LAYER_FUNCTION=FUNCTION)


Start = Callable[[LambdaApi, Path], subprocess.CompletedProcess[str]]
EITHER_WAY = pytest.mark.parametrize("start", [start, start_without_ipv4], ids=["link", "parts"])


@EITHER_WAY
def test_fetches_that_layer_version_for_the_connector_to_run(tmp_path: Path, start: Start) -> None:
    root, content = tmp_path / "opt", layer("import sys; print('connector'); sys.exit(7)")
    with lambda_api(content, sha256(content)) as api:
        fetched = start(api, root)
    assert fetched.returncode == 0, fetched.stderr
    assert f"fetched {ARN}" in fetched.stdout
    assert container("connector")["EntryPoint"] == ["/var/lang/bin/python3", "-m"]
    command = [sys.executable, "-m", *container("connector")["Command"]]
    environment = clean_environment(PYTHONPATH=str(root / "python"))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (7, "connector\n")


def test_the_connector_may_write_where_it_makes_its_certificate(tmp_path: Path) -> None:
    content = layer("")
    with lambda_api(content, sha256(content)) as api:
        start(api, tmp_path / "opt")
    assert stat.S_IMODE((tmp_path / "scratch").stat().st_mode) == 0o1777


@EITHER_WAY
def test_refuses_a_layer_that_is_not_the_one_and_unpacks_nothing(tmp_path: Path, start: Start) -> None:
    root = tmp_path / "opt"
    with lambda_api(layer("print('never')"), sha256(b"another")) as api:
        ended = start(api, root)
    assert ended.returncode == 1
    assert "not started" in ended.stderr
    assert "never" not in ended.stdout
    assert not list(root.iterdir())


def test_a_link_that_cannot_be_followed_is_told_without_a_stack_of_calls(tmp_path: Path) -> None:
    content = layer("")
    with lambda_api(content, sha256(content)) as api:
        api.part = lambda wanted: (403, b"Request has expired")  # type: ignore[method-assign]
        ended = start(api, tmp_path / "opt")
    [line] = ended.stderr.splitlines()
    assert line == f"layer {ARN} could not be fetched: HTTP Error 403: Forbidden: not started"


class TestWithoutIpv4:
    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_large_layer_comes_in_parts_that_lambda_can_answer(self, tmp_path: Path, ranges: bool) -> None:
        root, content = tmp_path / "opt", layer("", ballast=9 * 1024 * 1024)
        with lambda_api(content, sha256(content), ranges=ranges) as api:
            fetched = start_without_ipv4(api, root)
        assert fetched.returncode == 0, fetched.stderr
        asked = [(event["start"], event["end"]) for event, _ in api.invocations]
        assert [start for start, _ in asked] == [0, *(end + 1 for _, end in asked[:-1])]
        assert (len(asked), asked[-1][1]) == (3, len(content) - 1)
        assert (root / "python" / "ballast").stat().st_size == 9 * 1024 * 1024

    def test_asks_for_nothing_that_its_roles_do_not_allow(self, tmp_path: Path) -> None:
        content = layer("")
        with lambda_api(content, sha256(content)) as api:
            start_without_ipv4(api, tmp_path / "opt")
        assert api.actions == ["lambda:GetLayerVersion", "lambda:InvokeFunction", "lambda:GetLayerVersion"]
        stack = deployed({"ConnectorNetwork": "ipv6"}).nested["Connector"]
        version = stack.given["LayerVersionArn"]
        function = stack.resolve({"Fn::GetAtt": ["FetchLayerFunction", "Arn"]})
        task, fetch = rights_of(stack, "TaskRole"), rights_of(stack, "FetchLayerRole")
        assert [it.covers("lambda:GetLayerVersion", version) for it in task + fetch].count(True) == 2
        assert any(it.covers("lambda:InvokeFunction", function) for it in task)
        mine = {action for it in fetch for action in it.actions if not action.startswith("logs:")}
        assert mine == {"lambda:GetLayerVersion"}
        other = version.replace("tocsin-core", "another-core")
        assert not any(it.covers("lambda:GetLayerVersion", other) for it in task + fetch)

    def test_with_ipv4_there_is_no_function_and_nobody_may_call_one(self) -> None:
        stack = deployed().nested["Connector"]
        assert not stack.of_type("AWS::Lambda::Function")
        assert not [it for it in rights_of(stack, "TaskRole") if "lambda:InvokeFunction" in it.actions]
        [task] = stack.of_type("AWS::ECS::TaskDefinition").values()
        variables = [
            pair["Name"] for one in task.properties["ContainerDefinitions"] for pair in one["Environment"]
        ]
        assert "FETCH_LAYER_FUNCTION" not in variables

    def test_a_function_that_is_busy_is_asked_again(self, tmp_path: Path) -> None:
        content = layer("")
        with lambda_api(content, sha256(content), before=lambda n: THROTTLED if n < 3 else None) as api:
            fetched = start_without_ipv4(api, tmp_path / "opt")
        assert fetched.returncode == 0, fetched.stderr
        assert len(api.invocations) == 3

    @pytest.mark.slow
    def test_one_that_stays_busy_ends_the_task_with_its_reason(self, tmp_path: Path) -> None:
        content = layer("")
        with lambda_api(content, sha256(content), before=lambda _: THROTTLED) as api:
            ended = start_without_ipv4(api, tmp_path / "opt")
        assert self.told(ended).startswith("An error occurred (TooManyRequestsException)")
        assert len(api.invocations) == 6

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            pytest.param(
                b'"UEsDBA=="', f"{FUNCTION} answered bytes 0 to", id="an older one: a part is missing"
            ),
            pytest.param(b'{"ok": true}', "with 0 bytes", id="another function"),
            pytest.param(b'"AAAAA"', "base64-encoded", id="no Base64"),
            pytest.param(b"<html>", "Expecting value", id="no JSON"),
        ],
    )
    def test_an_answer_that_is_not_the_part_ends_the_task_and_nothing_is_unpacked(
        self, tmp_path: Path, answer: bytes, told: str
    ) -> None:
        root, content = tmp_path / "opt", layer("")
        with lambda_api(content, sha256(content), before=lambda _: (200, "", answer)) as api:
            ended = start_without_ipv4(api, root)
        assert told in self.told(ended)
        assert not list(root.iterdir())

    def test_a_function_that_fails_is_told_with_what_it_says(self, tmp_path: Path) -> None:
        content = layer("")
        failed = json.dumps({"errorMessage": "AccessDenied", "errorType": "ClientError"}).encode()
        with lambda_api(content, sha256(content), before=lambda _: (200, "Unhandled", failed)) as api:
            ended = start_without_ipv4(api, tmp_path / "opt")
        assert "failed at bytes 0 to" in self.told(ended)
        assert "AccessDenied" in self.told(ended)

    def test_a_part_that_was_changed_on_the_way_is_noticed_by_the_checksum(self, tmp_path: Path) -> None:
        root, content = tmp_path / "opt", layer("print('never')")
        changed = bytes([content[0] ^ 1]) + content[1:]
        with lambda_api(changed, sha256(content)) as api:
            ended = start_without_ipv4(api, root)
        assert f"arrived with SHA-256 {sha256(changed)}, not {sha256(content)}: not started" in ended.stderr
        assert not list(root.iterdir())

    def told(self, ended: subprocess.CompletedProcess[str]) -> str:
        """Why it ended: one line for the log of the task."""
        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert line.endswith(": not started")
        return line.removeprefix(f"layer {ARN} could not be fetched: ")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("layer", "LAYER_VERSION_ARN"),
        ("connector", "PYTHONPATH"),
        ("connector", "CONNECTOR_PORT"),
        ("connector", "AWS_ACCOUNT_ID_ENDPOINT_MODE"),
    ],
)
def test_has_what_it_needs_in_its_environment(name: str, variable: str) -> None:
    assert variable in [pair.get("Name") for pair in container(name)["Environment"]]
