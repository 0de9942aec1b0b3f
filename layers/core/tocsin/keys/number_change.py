"""The account is linked to another phone number than before: what was the old number's alone goes.

Sessions, stanzas and sender keys lie under the incarnation and are out of reach anyway. What belongs to the
ticketing system's account (opt-outs, notifications, who has which LID) stays; what WhatsApp told of the old
number (limits, the salt for contact secrets) doesn't hold for the new one.
"""

from __future__ import annotations

from collections.abc import Iterable

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


def number_before(context: KeyContext) -> str | None:
    """The number (a bare JID) that the account was linked to last."""
    before = (context.table.get(number_key(context.account)) or {}).get("pn")
    return before if isinstance(before, str) else None


def linked_to(context: KeyContext, number: str, accounts: Iterable[str]) -> list[str]:
    """Which of `accounts`, ours left out, are linked to this number (a bare JID) now. One that can't be
    read counts as none: it keeps nobody else from being linked."""
    from tocsin.keys.account import read_credentials
    from tocsin.keys.errors import NoAccount
    from tocsin.sealing import DamagedRecord

    by_key = {number_key(name): name for name in accounts if name != context.account}
    noted = context.table.get_many(list(by_key))
    found = []
    for name in sorted(by_key[key] for key, item in noted.items() if item.get("pn") == number):
        try:
            jid = read_credentials(context._replace(account=name)).jid
        except (NoAccount, DamagedRecord):
            continue
        if jid is not None:  # the number stays noted after the link is gone
            found.append(name)
    return found
