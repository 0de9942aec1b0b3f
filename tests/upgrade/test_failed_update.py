"""An update that fails halfway: CloudFormation rolls it back by itself, while messages go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.faults.processes import PROC
from tests.upgrade.releases import NoHistory, Release, previous_sources
from tests.upgrade.rolling import Traffic, Upgrade, account_of, furnished, invite
from tocsin_console.doctor import before, checks, stack
from tocsin_console.doctor.planned import Planned
from tocsin_local.emulator import interpreter
from tocsin_local.stack import CommandFailed

REFUSED = "RefusedByTheService"


@pytest.fixture
def upgrade() -> Iterator[Upgrade]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    if not PROC.is_dir():
        pytest.skip("processes are found by /proc, which this system doesn't have")
    try:
        previous_sources()
    except NoHistory as missing:
        pytest.skip(str(missing))
    with furnished(print, "failed-update") as running:
        yield running


def failing(release: Release, folder: Path) -> Release:
    """The same, and a resource more: its properties are in order, but the service refuses it, once all
    functions are updated."""
    folder.mkdir()
    for part in release.built.iterdir():
        if part.name != "template.yaml":
            (folder / part.name).symlink_to(part)
    # As SAM leaves it, without tags of its own.
    template = yaml.safe_load((release.built / "template.yaml").read_text(encoding="utf-8"))
    resources = template["Resources"]
    functions = [name for name, one in resources.items() if one["Type"] == "AWS::Serverless::Function"]
    always = [name for name in functions if "Condition" not in resources[name]]
    resources[REFUSED] = {
        "Type": "AWS::Lambda::Url",
        "DependsOn": always,
        "Properties": {"TargetFunctionArn": "nobody-made-this", "AuthType": "AWS_IAM"},
    }
    (folder / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False), encoding="utf-8")
    return replace(release, built=folder)


def test_an_update_that_fails_is_rolled_back_while_messages_go_on(upgrade: Upgrade, tmp_path: Path) -> None:
    people = invite(upgrade.deployed(), 6, seed=3)
    old, new = upgrade.old, upgrade.new
    with Traffic(upgrade.deployed, people, 3) as traffic:
        traffic.enter("before", "old", "old")
        traffic.until(6, 2)
        traffic.enter("an update that fails", "old, new and old again", "old")
        with pytest.raises(CommandFailed):
            upgrade.deploy(failing(new, tmp_path / "failing"))
        assert says_doctor(upgrade) == (checks.Level.WARNING, "describe-stack-events")
        assert says_doctor_before_deploy(upgrade, tmp_path) is checks.Level.OK
        traffic.until(6, 2)
        upgrade.check_running(old, old)
        traffic.enter("an update that succeeds", "new", "old")
        upgrade.deploy(new)
        traffic.until(6, 2)
        upgrade.check_running(new, old)
        traffic.end()
        upgrade.settle(traffic)
        account = account_of(upgrade, traffic, people)
    print(account.text())
    assert account.good, account.text()


def says_doctor(upgrade: Upgrade) -> tuple[checks.Level, str]:
    """Its level of the stack, and the command that it names."""
    [check] = [one for one in stack.CHECKS if one.name == "stack"]
    [finding] = checks.examined(check, stack.Deployed(upgrade.world.deployment))
    assert "UPDATE_ROLLBACK_COMPLETE" in finding.saw
    return finding.level, finding.mend.split()[2]


def says_doctor_before_deploy(upgrade: Upgrade, folder: Path) -> checks.Level:
    [check] = [one for one in before.CHECKS if one.name == "stack"]
    [finding] = checks.examined(check, Planned(upgrade.world.deployment.place, {}, folder, "sam"))
    return finding.level
