"""The account is linked to another phone number than before: what was the old number's alone goes.

Sessions, stanzas and sender keys lie under the incarnation and are out of reach anyway. What belongs to the
ticketing system's account (opt-outs, notifications, who has which LID) stays; what WhatsApp told of the old
number (limits, the salt for contact secrets) doesn't hold for the new one.
"""

from __future__ import annotations

from tocsin.dynamo.writes import Delete, Put
from tocsin.keys.context import KeyContext
from tocsin.tables.keys import LIMIT, limit_key, number_key, privacy_key


def take_over(context: KeyContext, number: str) -> bool:
    """Note the number (a bare JID) that the account is linked to now; whether it was another one before."""
    before = (context.table.get(number_key(context.account)) or {}).get("pn")
    changed = before is not None and before != number
    if changed:
        for item in context.table.query(limit_key(context.account, "")[0], LIMIT):
            context.table.delete(Delete((str(item["pk"]), str(item["sk"]))))
        context.table.delete(Delete(privacy_key(context.account)))
    # Last, so that whoever is cut off before does all of it again.
    context.patiently(lambda: context.table.put(Put(number_key(context.account), {"pn": number})))
    return changed
