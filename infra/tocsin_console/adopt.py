"""`tocsin adopt`: bring a new stack onto the tables and secrets that a deleted one left.

find ── examine ── reset where a backup was restored ── print what to deploy with

Nothing is changed before everything was examined, and nothing at all but by the reset, which asks first.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from tocsin.accounts.lease import HEARTBEAT_LIFETIME, TERMS
from tocsin.dynamo.table import Table
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import CONNECTORS
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NeedsAttention
from tocsin_console.leftovers import Leftovers, find
from tocsin_console.output import Output

KEY_SCHEMA = {"pk": "HASH", "sk": "RANGE"}
INDEXES: Mapping[str, Mapping[str, str]] = {
    "watch": {"watching": "HASH", "watch_due": "RANGE"},
    "ticket": {"ticket_id": "HASH"},
}
"""Of the notifications table, as template.yaml has them."""

TIME_TO_LIVE = "expire_at"
_NEW = "NEW_IMAGE"
_SCANS = 50
"""Requests spent on finding a sealed text to try the secret on; an empty table has none."""


@dataclass(frozen=True)
class Findings:
    """What was examined. `objections`: why it can't be adopted, each with its remedy. `accounts`: those with
    keys in the table. `to_reset`: those of them whose keys were set back, each with how that shows.
    `stream`: the ARN of the notifications table's latest stream."""

    objections: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    to_reset: Mapping[str, str] = field(default_factory=dict)
    stream: str | None = None


def adopt(
    deployment: Deployment,
    former: str,
    named: Leftovers,
    output: Output,
    *,
    without_keys: bool = False,
    reset: bool = False,
    yes: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print the parameters with which the stack `deployment.stack` takes over what `former` left.

    `without_keys`: the keys table is lost, a new one is made. `reset`: abandon the sessions of accounts whose
    keys were set back. Raises ConsoleError with all objections, NeedsAttention where a reset is due.
    """
    with output.progress(f"looking for what '{former}' left"):
        left = find(deployment, former, named)
    with output.progress("examining it"):
        seen = examine(deployment, left, without_keys=without_keys, clock=clock)
    _tell_left(left, seen, output)
    if seen.objections:
        raise ConsoleError("nothing was changed. " + " ".join(seen.objections))
    if seen.to_reset:
        _reset(_opened(deployment, left), seen.to_reset, output, asked=reset, yes=yes)
    parameters = parameters_of(left, seen, without_keys=without_keys)
    output.record({"parameters": parameters, "accounts": list(seen.accounts)})
    output.say("deploy with these; samconfig.toml keeps them for later deployments:")
    region = deployment.session.get_config_variable("region")
    words = [word for name, value in parameters.items() for word in ("--set", f"{name}={value}")]
    output.say(
        "  " + shlex.join(["tocsin", "deploy", "--stack", deployment.stack, "--region", region, *words])
    )
    if without_keys:
        output.say("then link each account again: tocsin pair")


def parameters_of(left: Leftovers, seen: Findings, *, without_keys: bool) -> dict[str, str]:
    """The template's parameters that name what is adopted."""
    told = {
        "KeysTableName": None if without_keys else left.keys_table,
        "SealingSecretArn": left.sealing_secret,
        "NotificationsTableName": left.notifications_table,
        "NotificationsStreamArn": seen.stream,
        "TextsSecretArn": left.texts_secret,
        "Accounts": ",".join(seen.accounts) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def examine(
    deployment: Deployment, left: Leftovers, *, without_keys: bool, clock: Callable[[], float]
) -> Findings:
    """Look at all of it; change nothing."""
    objections = list(_missing(left, without_keys=without_keys))
    if objections:
        return Findings(tuple(objections))
    keys = None if without_keys else _described(deployment, left.keys_table, objections)
    notifications = _described(deployment, left.notifications_table, objections)
    if objections:
        return Findings(tuple(objections))
    if keys is not None:
        objections += _schema(keys)
    assert notifications is not None  # noqa: S101  its absence is an objection
    objections += _schema(notifications)
    objections += _as_notifications(notifications)
    for table in filter(None, (keys, notifications)):
        objections += _time_to_live(deployment, table["TableName"])
    objections += _in_use(deployment, left)
    opened = _opened(deployment, left)
    accounts: tuple[str, ...] = ()
    to_reset: dict[str, str] = {}
    if keys is not None and not objections:
        objections += _alive(opened.keys_table, clock())
        accounts = tuple(_accounts(opened.keys_table))
        restored = "RestoreSummary" in keys
        for account in accounts:
            _examine_account(opened, account, restored, objections, to_reset)
    if not objections:
        objections += _texts(opened)
    stream = notifications.get("LatestStreamArn")
    return Findings(tuple(objections), accounts, to_reset, stream)


# -- what there is -------------------------------------------------------------------------------------------


def _missing(left: Leftovers, *, without_keys: bool) -> Iterator[str]:
    if left.notifications_table is None:
        yield (
            "The keys table is there, but not the notifications table, which knows how far the keys had got: "
            "name it with --notifications-table, or restore it from its point-in-time recovery first."
        )
    if left.keys_table is None and not without_keys:
        yield (
            "The notifications table is there, but not the keys table: name it with --keys-table. If it is "
            "lost, pass --without-keys: a new one is made, and you link the accounts again."
        )
    if left.sealing_secret is None and not without_keys:
        yield "The secret that the keys are sealed with wasn't found: name it with --sealing-secret ARN."
    if left.texts_secret is None:
        yield "The secret that the texts are sealed with wasn't found: name it with --texts-secret ARN."


def _described(deployment: Deployment, table: str | None, objections: list[str]) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = deployment.dynamodb.describe_table(TableName=table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        objections.append(f"There is no table '{table}' in this region: correct its name, or --region.")
        return None
    if found["TableStatus"] != "ACTIVE":
        objections.append(f"The table '{table}' is {found['TableStatus']}: wait until it is ACTIVE.")
    return found


def _schema(table: Mapping[str, Any]) -> Iterator[str]:
    if _key_schema(table) != KEY_SCHEMA:
        yield (
            f"The table '{table['TableName']}' is none of Tocsin's: its key is {_key_schema(table)}, not "
            f"{KEY_SCHEMA}. Name the right one."
        )


def _as_notifications(table: Mapping[str, Any]) -> Iterator[str]:
    name = table["TableName"]
    found = {one["IndexName"]: _key_schema(one) for one in table.get("GlobalSecondaryIndexes", [])}
    for index, schema in INDEXES.items():
        if found.get(index) != schema:
            yield (
                f"The table '{name}' has no index '{index}' on {', '.join(schema)}: it is no notifications "
                "table, or was restored without its indexes. Restore it with all of them."
            )
    stream = table.get("StreamSpecification", {})
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") != _NEW:
        yield (
            f"The table '{name}' has no stream of new images, so nobody would tell outcomes (a restored "
            f"table has none): aws dynamodb update-table --table-name {name} "
            f"--stream-specification StreamEnabled=true,StreamViewType={_NEW}"
        )


def _time_to_live(deployment: Deployment, table: str) -> Iterator[str]:
    told = deployment.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if (
        told.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING")
        or told.get("AttributeName") != TIME_TO_LIVE
    ):
        yield (
            f"The table '{table}' has no time to live, so nothing in it would ever be deleted (a restored "
            f"table has none): aws dynamodb update-time-to-live --table-name {table} "
            f"--time-to-live-specification Enabled=true,AttributeName={TIME_TO_LIVE}"
        )


def _key_schema(of: Mapping[str, Any]) -> dict[str, str]:
    return {one["AttributeName"]: one["KeyType"] for one in of["KeySchema"]}


# -- who uses it ---------------------------------------------------------------------------------------------


def _in_use(deployment: Deployment, left: Leftovers) -> Iterator[str]:
    """A stack that lives on these tables. Two on one pair of tables would both answer for the account."""
    tables = {left.keys_table, left.notifications_table} - {None}
    for stack in _stacks(deployment.client("cloudformation")):
        used = {one["OutputValue"] for one in stack.get("Outputs", [])} & tables
        if used:
            yield (
                f"The stack '{stack['StackName']}' ({stack['StackStatus']}) lives on "
                f"{', '.join(sorted(used))}: delete it first (sam delete keeps tables and secrets)."
            )


def _stacks(cloudformation: Any) -> Iterator[Mapping[str, Any]]:
    start: dict[str, str] = {}
    while True:
        answer = cloudformation.describe_stacks(**start)
        yield from (one for one in answer["Stacks"] if one["StackStatus"] != "DELETE_COMPLETE")
        if not answer.get("NextToken"):
            return
        start = {"NextToken": answer["NextToken"]}


def _alive(keys_table: Table, now: float) -> Iterator[str]:
    """A connector that still beats."""
    for heartbeat in keys_table.query(CONNECTORS):
        expiry = heartbeat.get("expire_at")
        if isinstance(expiry, int) and now - (expiry - HEARTBEAT_LIFETIME) < TERMS.dead:
            yield (
                f"The connector '{heartbeat['sk']!s}' lives on the keys table: stop it first, wherever it "
                f"runs. It counts as gone {TERMS.dead:.0f} seconds after its last beat."
            )


# -- what it holds -------------------------------------------------------------------------------------------


def _opened(deployment: Deployment, left: Leftovers) -> Deployment:
    """The tables and secrets as if the stack stood."""
    told = {
        "KeysTable": left.keys_table,
        "NotificationsTable": left.notifications_table,
        "SealingSecretArn": left.sealing_secret,
        "TextsSecretArn": left.texts_secret,
    }
    return replace(deployment, outputs={name: value for name, value in told.items() if value is not None})


def _accounts(keys_table: Table) -> list[str]:
    """Those with credentials, in order."""
    found, after = [], None
    while True:
        page = keys_table.scan(after, prefix="account#", sk="credentials")
        found += [str(item["pk"]).removeprefix("account#") for item in page.items]
        after = page.following
        if after is None:
            return sorted(found)


def _examine_account(
    opened: Deployment, account: str, restored: bool, objections: list[str], to_reset: dict[str, str]
) -> None:
    from tocsin.keys.high_water_mark import is_behind, read_high_water_mark

    reached_before = read_high_water_mark(opened.outside_table, account)
    try:
        credentials = opened.key_store(account).account.credentials()
    except (DamagedRecord, ValueError):
        objections.append(
            f"The secret {opened['SealingSecretArn']} doesn't open the keys of the account '{account}': name "
            "the secret of that stack with --sealing-secret ARN."
        )
        return
    if is_behind(credentials, reached_before):
        to_reset[account] = "its keys are older than the notifications table says they were"
    elif restored:
        to_reset[account] = "the keys table was restored from a backup"


def _texts(opened: Deployment) -> Iterator[str]:
    """Whether the secret opens a text, as far as one is found."""
    from tocsin.notify.content import DAMAGED, Withheld
    from tocsin.notify.store.stores import Stores
    from tocsin.notify.store.texts import Texts
    from tocsin.tables.notifications import notification_of

    table, after = opened.outside_table, None
    # The keys table may be lost; what is read here lies in the other.
    stores = Stores(table, table, texts=Texts(lambda: opened.record_sealer))
    for _ in range(_SCANS):
        page = table.scan(after, prefix="notification#", sk="state")
        for item in page.items:
            name = notification_of((str(item["pk"]), str(item["sk"])))
            if name is None or "sealed" not in item:
                continue
            notification = stores.notifications.get(name)
            if notification is not None and notification.content == Withheld(DAMAGED):
                yield (
                    f"The secret {opened['TextsSecretArn']} doesn't open the texts of "
                    f"'{opened['NotificationsTable']}': name the right one with --texts-secret ARN."
                )
            return
        after = page.following
        if after is None:
            return


# -- reset and report ----------------------------------------------------------------------------------------


def _reset(
    opened: Deployment, to_reset: Mapping[str, str], output: Output, *, asked: bool, yes: bool
) -> None:
    """Abandon the sessions of accounts whose keys were set back, before any connector uses one."""
    told = "; ".join(f"'{account}': {why}" for account, why in to_reset.items())
    if not asked:
        raise NeedsAttention(
            f"nothing was changed. Message keys would be used twice: {told}. Run it again with --reset, "
            "which abandons the sessions of these accounts; the link to the phone stays (BACKUPS.md)"
        )
    confirm(lambda: f"all sessions will be abandoned for good ({told})", yes=yes, output=output)
    for account in to_reset:
        after = opened.key_store(account).account.reset_sessions(opened.outside_table)
        note(opened, f"abandoned all sessions of {account}, whose keys were set back")
        output.record({"account": account, "incarnation": after.incarnation, "reset": True})
        output.say(f"all sessions of {account} are abandoned (incarnation {after.incarnation})")


def _tell_left(left: Leftovers, seen: Findings, output: Output) -> None:
    output.table(
        ["WHAT", "NAME"],
        [
            ("keys table", left.keys_table or "-"),
            ("notifications table", left.notifications_table or "-"),
            ("sealing secret", left.sealing_secret or "-"),
            ("texts secret", left.texts_secret or "-"),
            ("accounts", ", ".join(seen.accounts) or "-"),
        ],
    )
