"""The groups that an account is in, as far as they told of themselves: their JIDs are what events name."""

from __future__ import annotations

from tocsin.multidevice.group_members import remembered
from tocsin_console.deployment import Deployment
from tocsin_console.output import Output, json_moment, moment


def list_groups(deployment: Deployment, account: str, output: Output) -> None:
    """By name. A group tells of itself when the account is added to it, when anything about it changes, and
    when it is written to."""
    found = []
    for jid, told, at in deployment.key_store(account).groups.all():
        try:
            found.append((remembered(told)[0], at))
        except ValueError:
            output.say(f"{jid}: can't be read; the next message to it asks anew")
    found.sort(key=lambda one: one[0].subject.casefold())
    for info, at in found:
        output.record(
            {
                "group": str(info.group),
                "subject": info.subject,
                "members": len(info.members),
                "admins_only": info.announcement,
                "suspended": info.suspended,
                "checked_at": json_moment(at * 1000),
            }
        )
    if not found:
        output.say("no group is known: add the account to one on a phone, then look again")
        return
    rows = [
        (
            info.subject,
            str(info.group),
            len(info.members),
            _settings(info.announcement, info.suspended),
            moment(at * 1000),
        )
        for info, at in found
    ]
    output.table(["GROUP", "JID FOR EVENTS", "MEMBERS", "WHO WRITES", "CHECKED"], rows)


def _settings(announcement: bool, suspended: bool) -> str:
    return "nobody" if suspended else "admins" if announcement else "all"
