"""A record counts, and that no earlier one does could not be noted: said, and the command goes on."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin_console import trouble
from tocsin_console.output import complain


def tell_unnoted(error: Exception) -> None:
    """For `Versions.note_written`. Raises what isn't AWS's refusal."""
    if not isinstance(error, BotoCoreError | ClientError | TableError):
        raise error
    why = trouble.sentence(error, where="the keys table")
    complain(
        f"tocsin: it is done, but which version is the last one could not be noted: {why}. Until it is "
        "changed again, an earlier one could be put back by who writes the notifications table"
    )
