"""The template, built by `sam build` and deployed by `sam deploy --config-env local` to a local emulator.

The same `template.yaml` and commands deploy to AWS, with other parameters.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tocsin_local.emulator import REGION, ROOT_USER, Emulator, emulator, run_folder
from tocsin_local.paths import ROOT, RUNS, SAM, VENV
from tocsin_local.ports import Port, any_port
from tocsin_local.processes import clean_environment, tail

STACK_NAME = "tocsin"
BUILDS = RUNS / "builds"
BUILDS_KEPT = 3

# What `sam build` reads. A build is reused until one of these changes. Releases differ in their templates.
TEMPLATES = ("template.yaml", "infra/*.yaml")
SOURCE_FOLDERS = ("functions", "layers/core")

# The environment variable of a function or the connector, and the output of the template that fills it.
VARIABLES = {
    "KEYS_TABLE": "KeysTable",
    "NOTIFICATIONS_TABLE": "NotificationsTable",
    "NOTIFICATIONS_QUEUE_URL": "NotificationsQueueUrl",
    "DEAD_LETTERS_QUEUE_URL": "DeadLettersQueueUrl",
    "STANZAS_QUEUE_URL": "StanzasQueueUrl",
    "RECEIPTS_QUEUE_URL": "ReceiptsQueueUrl",
    "TICKET_EVENTS_DEAD_QUEUE_URL": "TicketEventsDeadQueueUrl",
    "SEALING_SECRET_ARN": "SealingSecretArn",
    "TEXTS_SECRET_ARN": "TextsSecretArn",
    "EVENT_BUS_NAME": "EventBusName",
    "EVENT_SOURCE": "EventSource",
    "MAINTAIN_FUNCTION": "MaintainFunctionName",
    "ACCOUNTS": "Accounts",
    "DEFAULT_REGION": "DefaultRegion",
}

Progress = Callable[[str], None]


class CommandFailed(Exception):
    """A command of the SAM CLI failed. The end of its output is part of the text."""

    def __init__(self, what: str, log: Path) -> None:
        super().__init__(what, log)
        self.what = what
        self.log = log

    def __str__(self) -> str:
        return f"{self.what} failed. The end of {self.log}:\n{tail(self.log, 30)}"


@dataclass(frozen=True)
class Stack:
    """The deployed template. `outputs`: those of `template.yaml`, by name; `built`: what `build` made."""

    aws: Emulator
    name: str
    built: Path
    outputs: Mapping[str, str]

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of the emulator, as its root user."""
        return self.aws.client(service, **options)

    def connector_environment(self, **more: str) -> dict[str, str]:
        """The whole environment of a connector beside this stack: AWS, the template's names, and `more`.

        Where IAM is enforced it comes with credentials that have a connector's rights and no others.
        """
        # A release of before an output was there doesn't know the variable either.
        named = {name: self.outputs[output] for name, output in VARIABLES.items() if output in self.outputs}
        return (
            self.aws.environment(self._connector_credentials)
            | named
            | {
                "STACK_NAME": self.name,
                "POWERTOOLS_SERVICE_NAME": "connector",
                "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                "PYTHONUNBUFFERED": "1",
            }
            | more
        )

    @cached_property
    def _connector_credentials(self) -> Mapping[str, str]:
        """Where IAM is enforced, those of a user with the connector's policy; else the root user's."""
        if not self.aws.iam:
            return ROOT_USER
        iam = self.client("iam")
        iam.create_user(UserName="connector")
        iam.attach_user_policy(UserName="connector", PolicyArn=self.outputs["ConnectorPolicyArn"])
        key = iam.create_access_key(UserName="connector")["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def function_logs(self, function: str) -> str:
        """What a function logged, oldest first; `function` is named as in `functions/`."""
        logs = self.client("logs")
        group = f"/tocsin/{self.name}/{function}"
        events = logs.filter_log_events(logGroupName=group, limit=10000).get("events", [])
        return "\n".join(event["message"].rstrip() for event in events)


@contextlib.contextmanager
def deployed(
    name: str,
    *,
    iam: bool = False,
    parameters: Mapping[str, str] | None = None,
    ports: Port = any_port,
    progress: Progress = lambda text: None,
) -> Iterator[Stack]:
    """An emulator with the template deployed, while the block lasts. `name` is that of the run's folder.

    `parameters` go before those of `samconfig.toml`. Raises `ProcessFailed` and `CommandFailed`.
    """
    with run_folder(name) as folder:
        progress("building the template")
        built = build(folder)
        progress("starting the emulator")
        with emulator(folder, iam=iam, ports=ports) as aws:
            progress("deploying the template")
            running = deploy(aws, built, parameters or {})
            if iam:
                _allow_batches(aws)
            yield running


def build(folder: Path, root: Path = ROOT) -> Path:
    """Build the template for this machine, unless that was done already. Returns the built template's folder.

    `root`: the sources, this release's or another's. Raises `CommandFailed`; the log is in `folder`.
    """
    BUILDS.mkdir(parents=True, exist_ok=True)
    target = BUILDS / _fingerprint(root)
    with (BUILDS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "template.yaml").exists():
            unfinished = BUILDS / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _sam(
                [
                    "build",
                    "--config-env",
                    "local",
                    "--build-dir",
                    str(unfinished),
                    *_overrides("build", {}, root),
                ],
                root=root,
                environment=clean_environment(
                    # Where pip looks for its settings.
                    HOME=os.environ.get("HOME", str(folder)),
                    PATH=f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    AWS_DEFAULT_REGION=REGION,
                    TOCSIN_RUNTIME=_runtime(),
                    TOCSIN_ARCHITECTURE=_architecture(),
                    TOCSIN_LAYER_PLATFORM="host",
                    **_package_settings(),
                ),
                log=folder / "sam-build.log",
            )
            unfinished.rename(target)
        os.utime(target)
        _forget_old_builds()
    return target


def deploy(
    aws: Emulator, built: Path, parameters: Mapping[str, str], *extra: str, root: Path = ROOT
) -> Stack:
    """Deploy what `build` made of the same `root`. `extra` are further arguments of `sam deploy`.

    Raises `CommandFailed`.
    """
    _sam(
        [
            "deploy",
            "--config-env",
            "local",
            "--config-file",
            str(root / "samconfig.toml"),
            "--template-file",
            str(built / "template.yaml"),
            *_overrides("deploy", parameters, root),
            *extra,
        ],
        root=root,
        environment=aws.environment(),
        log=aws.folder / "sam-deploy.log",
    )
    return Stack(aws=aws, name=STACK_NAME, built=built, outputs=_outputs(aws))


def _allow_batches(aws: Emulator) -> None:
    """To AWS a batch is the same action as a single message; the emulator asks for a right of its own.

    So whoever may send, delete or change one message gets that right too, here and not in the template.
    """
    iam = aws.client("iam")
    for role in iam.list_roles()["Roles"]:
        owner = {"RoleName": role["RoleName"]}
        for name in iam.list_role_policies(**owner)["PolicyNames"]:
            document = _with_batches(iam.get_role_policy(**owner, PolicyName=name)["PolicyDocument"])
            iam.put_role_policy(**owner, PolicyName=name, PolicyDocument=document)
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        version = {"PolicyArn": policy["Arn"], "VersionId": policy["DefaultVersionId"]}
        document = _with_batches(iam.get_policy_version(**version)["PolicyVersion"]["Document"])
        iam.create_policy_version(PolicyArn=policy["Arn"], PolicyDocument=document, SetAsDefault=True)


def _with_batches(document: dict[str, Any]) -> str:
    """A policy in which each right on one SQS message is a right on batches of them too."""
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        single = ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
        statement["Action"] = actions + [f"{action}Batch" for action in actions if action in single]
    return json.dumps(document)


def _outputs(aws: Emulator) -> dict[str, str]:
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _sam(arguments: Sequence[str], *, root: Path, environment: Mapping[str, str], log: Path) -> None:
    """Run the SAM CLI in `root`. Raises `CommandFailed`."""
    with log.open("wb") as output:
        done = subprocess.run(
            [str(SAM / "bin" / "sam"), *arguments],
            cwd=root,
            # An emulator is done at once; AWS is asked every five seconds.
            env={**environment, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise CommandFailed(f"sam {arguments[0]}", log)


def _overrides(command: str, parameters: Mapping[str, str], root: Path) -> list[str]:
    """The parameters of one SAM command: samconfig's local ones, this machine's, then `parameters`.

    Given on the command line they replace those of samconfig.toml as a whole, so they are all given.
    """
    config = tomllib.loads((root / "samconfig.toml").read_text(encoding="utf-8"))
    written = config["local"][command]["parameters"]["parameter_overrides"]
    values = dict(pair.split("=", 1) for pair in written)
    values |= {"PythonRuntime": _runtime(), "Architecture": _architecture()}
    values |= parameters
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in values.items())]


def _runtime() -> str:
    """The runtime of our interpreter: the emulator runs functions with it, whatever the template says."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _architecture() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def _package_settings() -> dict[str, str]:
    """What pip needs to know about this machine: where the packages are, and whom to trust."""
    wanted = (
        "PIP_",
        "SSL_CERT_",
        "REQUESTS_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "XDG_CONFIG_HOME",
    )
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(wanted) and name not in ("PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    }


def _fingerprint(root: Path) -> str:
    """A hash over everything a build is made from."""
    total = hashlib.sha256(f"{sys.version} {platform.machine()}".encode())
    files = [file for pattern in TEMPLATES for file in sorted(root.glob(pattern))]
    for name in SOURCE_FOLDERS:
        files += sorted(file for file in (root / name).rglob("*") if _is_source(file))
    for file in files:
        total.update(f"\n{file.relative_to(root)}\n".encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def _is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def _forget_old_builds() -> None:
    builds = sorted(
        (folder for folder in BUILDS.iterdir() if folder.is_dir()), key=lambda folder: folder.stat().st_mtime
    )
    for folder in builds[:-BUILDS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
