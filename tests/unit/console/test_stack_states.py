"""Every state that CloudFormation knows: what it means, and the command that leads out of it."""

from __future__ import annotations

import re

import pytest
from botocore.session import get_session

from tocsin_console.stack_states import STATES, Kind, mend, state_of

CLOUDFORMATION = get_session().get_service_model("cloudformation")
KNOWN = CLOUDFORMATION.shape_for("StackStatus").enum


def test_every_state_of_cloudformation_is_known() -> None:
    assert set(STATES) == set(KNOWN)


def test_a_state_of_a_later_cloudformation_is_stuck_and_leads_to_the_events() -> None:
    assert state_of("UPDATE_PONDERED").kind is Kind.STUCK
    assert mend("UPDATE_PONDERED", "desk").endswith("describe-stack-events --stack-name desk")


@pytest.mark.parametrize("status", [name for name, state in STATES.items() if state.kind is not Kind.WELL])
def test_what_is_not_well_says_what_it_means_and_what_mends_it(status: str) -> None:
    assert state_of(status).means
    assert (
        "desk" in mend(status, "desk") or "wait" in mend(status, "desk") or "tocsin " in mend(status, "desk")
    )
    assert "{" not in mend(status, "desk")


@pytest.mark.parametrize("status", STATES)
def test_each_command_is_one_of_cloudformation_s(status: str) -> None:
    operations = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() for name in CLOUDFORMATION.operation_names}
    assert set(re.findall(r"aws cloudformation (\S+)", mend(status, "desk"))) <= operations


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_a_first_deployment_that_failed_must_be_deleted(status: str) -> None:
    """CloudFormation updates it no more, and SAM's own words for it name no way out."""
    assert not state_of(status).can_be_deployed
    assert "delete-stack --stack-name desk" in mend(status, "desk")


def test_a_failed_update_that_was_rolled_back_can_be_deployed_again_at_once() -> None:
    assert state_of("UPDATE_ROLLBACK_COMPLETE").can_be_deployed
    assert mend("UPDATE_ROLLBACK_COMPLETE", "desk").endswith("then tocsin deploy")


@pytest.mark.parametrize(
    ("status", "operation"),
    [("UPDATE_FAILED", "RollbackStack"), ("UPDATE_ROLLBACK_FAILED", "ContinueUpdateRollback")],
)
def test_a_rollback_is_asked_of_the_operation_that_takes_the_state(status: str, operation: str) -> None:
    said = CLOUDFORMATION.operation_model(operation).documentation
    assert re.search(rf"\b{status}\b", said), "botocore says of which states it leads out"
    command = re.sub(r"(?<!^)(?=[A-Z])", "-", operation).lower()
    assert f"aws cloudformation {command} --stack-name desk" in mend(status, "desk")


def test_a_change_set_that_was_never_carried_out_is_no_deployment_under_way() -> None:
    """Nothing would come of waiting. SAM goes on from there, as from no stack."""
    assert state_of("REVIEW_IN_PROGRESS").kind is Kind.ABSENT
