"""What the delete of a stack left behind: its tables and secrets, found again by their names and tags.

A table is called `STACK-KeysTable-…`, and says by its tags which stack made it; a secret says it by its
description and its tags. A table that was restored from a backup has whatever name it was given: then the
operator names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tocsin_console.deployment import Deployment
from tocsin_console.errors import NotFound, Usage

KEYS, NOTIFICATIONS = "KeysTable", "NotificationsTable"
SEALING, TEXTS = "SealingSecret", "TextsSecret"

_DESCRIBED = {SEALING: "Seals the key records of {}.", TEXTS: "Seals the texts and replies of {}."}
_OPTION = {
    KEYS: "--keys-table",
    NOTIFICATIONS: "--notifications-table",
    SEALING: "--sealing-secret",
    TEXTS: "--texts-secret",
}
_STACK_TAG, _PART_TAG = "aws:cloudformation:stack-name", "aws:cloudformation:logical-id"


@dataclass(frozen=True)
class Leftovers:
    """Names of the two tables, ARNs of the two secrets. None: to be found, or not there."""

    keys_table: str | None = None
    notifications_table: str | None = None
    sealing_secret: str | None = None
    texts_secret: str | None = None


def find(deployment: Deployment, former: str, named: Leftovers) -> Leftovers:
    """What the stack `former` left, as far as it isn't `named`.

    Raises NotFound if there is nothing, Usage if several are there: the operator chooses.
    """
    tables = _tables(deployment, former) if not (named.keys_table and named.notifications_table) else {}
    found = replace(
        named,
        keys_table=named.keys_table or _only(KEYS, tables.get(KEYS, []), former),
        notifications_table=named.notifications_table
        or _only(NOTIFICATIONS, tables.get(NOTIFICATIONS, []), former),
    )
    if found.keys_table is None and found.notifications_table is None:
        raise NotFound(
            f"no stack called '{former}' left tables here: pass --from with the name of the deleted stack, "
            f"--region, or the names themselves ({', '.join(_OPTION.values())})"
        )
    secrets = _secrets(deployment, former) if not (named.sealing_secret and named.texts_secret) else {}
    return replace(
        found,
        sealing_secret=named.sealing_secret or _only(SEALING, secrets.get(SEALING, []), former),
        texts_secret=named.texts_secret or _only(TEXTS, secrets.get(TEXTS, []), former),
    )


def _only(part: str, found: list[str], former: str) -> str | None:
    if len(found) > 1:
        raise Usage(
            f"several stacks called '{former}' left a {part}: choose one with {_OPTION[part]}: "
            + ", ".join(sorted(found))
        )
    return found[0] if found else None


def _tables(deployment: Deployment, former: str) -> dict[str, list[str]]:
    """The tables by what they are."""
    found: dict[str, list[str]] = {}
    for name in _table_names(deployment.dynamodb):
        for part in (KEYS, NOTIFICATIONS):
            if name.startswith(f"{former}-{part}-"):
                found.setdefault(part, []).append(name)
    return found


def _table_names(dynamodb: Any) -> Iterator[str]:
    start: dict[str, str] = {}
    while True:
        answer = dynamodb.list_tables(**start)
        yield from answer["TableNames"]
        if "LastEvaluatedTableName" not in answer:
            return
        start = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}


def _secrets(deployment: Deployment, former: str) -> dict[str, list[str]]:
    """The ARNs of the secrets by what they are."""
    client, found, start = deployment.client("secretsmanager"), dict[str, list[str]](), dict[str, str]()
    while True:
        answer = client.list_secrets(**start)
        for secret in answer["SecretList"]:
            tags = {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}
            for part, described in _DESCRIBED.items():
                tagged = (tags.get(_STACK_TAG), tags.get(_PART_TAG)) == (former, part)
                if tagged or secret.get("Description", "").startswith(described.format(former)):
                    found.setdefault(part, []).append(secret["ARN"])
        if not answer.get("NextToken"):
            return found
        start = {"NextToken": answer["NextToken"]}
