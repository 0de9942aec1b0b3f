"""What CloudFormation's states of a stack mean for Tocsin, and the command that mends each.

    create ──┬─▶ CREATE_COMPLETE ──▶ update ──┬─▶ UPDATE_COMPLETE
             └─▶ ROLLBACK_COMPLETE            ├─▶ UPDATE_ROLLBACK_COMPLETE   the version before goes on
                 nothing runs: delete it      └─▶ UPDATE_ROLLBACK_FAILED     both versions, mixed

Which states CloudFormation updates, and what leads out of the others, is from its user guide ("Stack status
codes", "Continue rolling back an update", "Choose how to handle failures when provisioning resources"). A
test holds the list of states to botocore's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """`WELL`: deployed. `UNDONE`: the last update failed, and the version before it runs. `ABSENT`: there is
    nothing yet, or nothing any more. `BUSY`: something is under way. `STUCK`: CloudFormation refuses to
    update it. `EMPTY`: so, and nothing of it runs."""

    WELL = "well"
    UNDONE = "undone"
    ABSENT = "absent"
    BUSY = "busy"
    STUCK = "stuck"
    EMPTY = "empty"


@dataclass(frozen=True)
class StackState:
    """`mend`: the command, with `{stack}`; empty if there is nothing to mend."""

    kind: Kind
    means: str = ""
    mend: str = ""

    @property
    def can_be_deployed(self) -> bool:
        return self.kind in (Kind.WELL, Kind.UNDONE, Kind.ABSENT)


_WHY = "aws cloudformation describe-stack-events --stack-name {stack}"
_DELETE = (
    "aws cloudformation delete-stack --stack-name {stack} (keeps tables and secrets), then tocsin deploy"
)
_THEN = ", then tocsin deploy"

_WELL = StackState(Kind.WELL)
_BUSY = StackState(Kind.BUSY, "a deployment is under way; two versions run beside each other", "wait for it")
_GOING = StackState(Kind.BUSY, "the stack is being deleted", "wait for it, then tocsin deploy")
_NEVER_MADE = StackState(
    Kind.EMPTY, "its first deployment failed: nothing runs, nothing can be updated", _DELETE
)
_UNDONE = StackState(
    Kind.UNDONE,
    "the last update failed and was rolled back: the version before it runs, and nothing is lost",
    f"{_WHY} (the first FAILED says why){_THEN}",
)

STATES: Final[Mapping[str, StackState]] = MappingProxyType(
    {
        "CREATE_COMPLETE": _WELL,
        "UPDATE_COMPLETE": _WELL,
        "IMPORT_COMPLETE": _WELL,
        "CREATE_IN_PROGRESS": _BUSY,
        "UPDATE_IN_PROGRESS": _BUSY,
        "IMPORT_IN_PROGRESS": _BUSY,
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": _BUSY,
        "ROLLBACK_IN_PROGRESS": StackState(
            Kind.BUSY, "its first deployment failed and is being taken back", f"wait for it; {_WHY} says why"
        ),
        "UPDATE_ROLLBACK_IN_PROGRESS": StackState(
            Kind.BUSY,
            "an update failed and is being rolled back; messages go on",
            f"wait for it; {_WHY} says why",
        ),
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": StackState(
            Kind.BUSY, "the version before runs again; what was new is being deleted", "wait for it"
        ),
        "IMPORT_ROLLBACK_IN_PROGRESS": _BUSY,
        "DELETE_IN_PROGRESS": _GOING,
        # A change set that was never carried out. SAM goes on from there, as from no stack.
        "REVIEW_IN_PROGRESS": StackState(
            Kind.ABSENT, "a first deployment was begun and not carried out: nothing runs", "tocsin deploy"
        ),
        "UPDATE_ROLLBACK_COMPLETE": _UNDONE,
        "IMPORT_ROLLBACK_COMPLETE": _UNDONE,
        "CREATE_FAILED": _NEVER_MADE,
        "ROLLBACK_COMPLETE": _NEVER_MADE,
        "ROLLBACK_FAILED": _NEVER_MADE,
        "DELETE_COMPLETE": StackState(Kind.ABSENT, "the stack is deleted", "tocsin deploy, or tocsin adopt"),
        "DELETE_FAILED": StackState(
            Kind.STUCK,
            "it is half deleted: what is left may not work",
            f"{_WHY} (what could not be deleted, and why), then {_DELETE}",
        ),
        "UPDATE_FAILED": StackState(
            Kind.STUCK,
            "an update failed and was not rolled back: versions are mixed",
            f"aws cloudformation rollback-stack --stack-name {{stack}}{_THEN}",
        ),
        "UPDATE_ROLLBACK_FAILED": StackState(
            Kind.STUCK,
            "an update failed, and so did its rollback: versions are mixed",
            f"{_WHY} (mend what it names), then "
            f"aws cloudformation continue-update-rollback --stack-name {{stack}}{_THEN}",
        ),
        "IMPORT_ROLLBACK_FAILED": StackState(Kind.STUCK, "an import failed, and so did its rollback", _WHY),
    }
)


def state_of(status: str) -> StackState:
    """What a status means. One that is not known here is stuck: CloudFormation's events say more."""
    return STATES.get(status) or StackState(Kind.STUCK, "a state that this version doesn't know", _WHY)


def mend(status: str, stack: str) -> str:
    """The command that leads out of it; empty if there is nothing to mend."""
    return state_of(status).mend.replace("{stack}", stack)
