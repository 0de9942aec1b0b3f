"""An account that is linked to another number than before: people with open tickets are told of it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin.settings.declared import NEW_NUMBER_SINCE
from tocsin.settings.values import Scope
from tocsin_console import settings
from tocsin_console.errors import ConsoleError
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment


def introduce(deployment: Deployment, account: str, output: Output, clock: Callable[[], float]) -> None:
    """Have the next message about each open ticket tell of the new number. The account is linked already, so
    whatever fails here is told, with the command that does it."""
    since = NEW_NUMBER_SINCE.kind.show(int(clock()))
    output.say("people with open tickets are told of the new number, once, with the next message about each")
    change = settings.Change(NEW_NUMBER_SINCE.name, since, Scope(account))
    try:
        settings.change(deployment, [change], output, clock=clock)
    except (ConsoleError, TableError, BotoCoreError, ClientError) as problem:
        output.say(
            f"that couldn't be set ({problem}); to do it: "
            f"tocsin settings set {NEW_NUMBER_SINCE.name} {since} --account {account}"
        )
