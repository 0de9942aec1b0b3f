"""`tocsin sessions`: show the sessions with recipients' devices, archive some, or reset all.

No byte of a key is ever printed.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tocsin.accounts.operator_requests import request
from tocsin.keys.errors import Contended, NoAccount, NotPaired
from tocsin.keys.maintenance import Cleaned
from tocsin.keys.profile import AccountProfile
from tocsin.keys.store import KeyStore
from tocsin.keys.views import DeviceView, UserSummary, UserView
from tocsin.people.numbers import InvalidPhone
from tocsin.tables.names import user_of
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import InvalidJid
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted, how_long, json_moment, moment


@dataclass(frozen=True)
class History:
    """`recoveries`: messages sent to a user again since their last receipt; `identity_changed_at`: when one
    of their devices last had other keys than before, in seconds; 0 if never."""

    recoveries: int
    identity_changed_at: int


@dataclass(frozen=True)
class Sessions:
    """The sessions of one account of a deployment."""

    deployment: Deployment
    account: str
    keys: KeyStore
    profile: AccountProfile

    @classmethod
    def of(cls, deployment: Deployment, account: str) -> Sessions:
        """Raises NotFound if the account has none, because it was never linked."""
        # The views report damage themselves.
        keys = KeyStore(deployment.keys_table, deployment.sealer, account, on_damage=lambda damaged: None)
        try:
            return cls(deployment, account, keys, keys.account.profile())
        except (NoAccount, NotPaired) as error:
            raise NotFound(f"{error}: there are no sessions yet; link it with 'tocsin pair'") from error

    def user(self, wanted: str) -> str:
        """Return the JID under which the sessions with a user are stored. `wanted`: their phone number in any
        form, or a JID. Raises Usage."""
        if "@" not in wanted:
            try:
                phone = self.deployment.phone(wanted)
            except InvalidPhone as refusal:
                raise Usage(f"the number {refusal}: give a phone number, or a JID such as 1234@lid") from None
            jid = user_of(phone)
        else:
            jid = _jid(wanted)
        known = self.keys.contacts.address(jid)
        return known["lid"] if known else jid

    def history(self, user: str) -> History:
        stores, names = self.deployment.stores, self.keys.contacts.address(user) or {}
        changes = stores.identity_changes.of(self.account, user)
        return History(
            stores.people.find(self.account, names.get("lid", user)).recoveries,
            changes[-1]["changed_at"] // 1000 if changes else 0,
        )

    def view(self, wanted: str) -> UserView:
        """Raises NotFound if there is nothing."""
        user = self.user(wanted)
        view = self.keys.upkeep.view(self.profile, user)
        if view.next is None and not view.devices:
            raise NotFound(
                f"there are no sessions with {shown(user)}: the next notification creates them; "
                "'tocsin sessions list' shows all users with sessions"
            )
        return view


def _jid(text: str) -> str:
    try:
        jid = JID.parse(text)
    except InvalidJid:
        raise Usage("not a valid JID: give one such as 1234@lid, or a phone number") from None
    if jid.server not in (LID, PN) or jid.device:
        raise Usage("give the JID of a person, such as 1234@lid, without a device (use --device)")
    return str(jid)


def shown(user: str) -> str:
    """A user for people: LIDs are printed whole, because 'sessions show' takes them; numbers are masked."""
    return user if user.endswith(f"@{LID}") else masking.phone(user)


# -- looking -----------------------------------------------------------------------------------------------


def list_sessions(sessions: Sessions, *, most: int, output: Output) -> None:
    """Print the users with sessions, `most` at most (0: all)."""
    listing = sessions.keys.upkeep.sessions(sessions.profile)
    # Sessions that moved to a LID left a tombstone under the phone number.
    users = (one for one in listing if one.moved is None)
    with output.progress("users looked at") as progress:
        found = sorted(progress.over(itertools.islice(users, most) if most else users))
    for one in found:
        output.record(_summary_json(one))
    if not found:
        output.say("no sessions yet: the first notification to a recipient creates them")
        return
    output.table(
        ["USER", "DEVICES", "NEXT", "UNANSWERED", "DAMAGED", "USED", "LIST CHECKED", "BYTES"],
        [_row(one) for one in found],
    )
    more = most and len(found) == most and next(users, None) is not None
    tail = "; there are more: --limit 0 shows all" if more else ""
    output.say()
    # What the listing cost; an emulator bills none.
    cost = f", {counted(round(listing.read_units), 'read units')}" if round(listing.read_units) else ""
    output.say(f"{counted(len(found), 'users')}{cost}{tail}")


def _row(one: UserSummary) -> tuple[object, ...]:
    return (
        shown(one.user),
        _numbers(one.devices),
        one.next if one.next is not None else "-",
        _numbers(one.unanswered),
        _numbers(one.damaged),
        moment(one.used_at * 1000),
        moment(one.checked_at * 1000),
        one.bytes,
    )


def _numbers(devices: tuple[int, ...]) -> str:
    return ",".join(map(str, devices)) or "-"


def _summary_json(one: UserSummary) -> dict[str, Any]:
    told = {name: value for name, value in one._asdict().items() if name != "moved"}
    return {**told, "user": shown(one.user), **_json_moments(told, "used_at", "checked_at")}


def show_sessions(
    sessions: Sessions, wanted: str, *, output: Output, clock: Callable[[], float] = time.time
) -> None:
    """Print the sessions with one user, by device. Raises NotFound, Usage."""
    view = sessions.view(wanted)
    history = sessions.history(view.user)
    output.record(
        {
            **asdict(view),
            **_json_moments(asdict(view), "used_at", "checked_at"),
            "user": shown(view.user),
            "account": sessions.account,
            "devices": [_device_json(device) for device in view.devices],
            **asdict(history),
            **_json_moments(asdict(history), "identity_changed_at"),
        }
    )
    now = clock()
    output.say(f"user          {shown(view.user)}  (account {sessions.account})")
    output.say(f"next number   {view.next}")
    output.say(f"last used     {_ago(view.used_at, now)}")
    checked = _ago(view.checked_at, now) if view.checked_at else "at the next send"
    output.say(f"device list   checked {checked}")
    output.say(f"recoveries    {history.recoveries} since the last receipt")
    if history.identity_changed_at:
        output.say(f"new identity  {_ago(history.identity_changed_at, now)}: a new phone, or another person")
    output.say()
    output.table(
        ["DEVICE", "INDEX", "CHECKPOINT", "BORN", "MADE", "HEARD", "REBUILT", "ARCHIVED", "SKIPPED", "BYTES"],
        [_device_row(device, now) for device in view.devices],
    )
    for device in view.devices:
        for word in _words(device):
            output.say(f"device {device.device}: {word}")


def _device_json(device: DeviceView) -> dict[str, Any]:
    told = asdict(device)
    moments = _json_moments(told, "created", "oldest_archived", "rebuilt", "heard_at")
    return {**told, **moments, "staleness": device.staleness.name.lower() if device.staleness else None}


def _json_moments(told: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those of these names, which are in seconds, for programs."""
    return {name: json_moment(from_seconds(told[name] or 0)) for name in names}


def _device_row(device: DeviceView, now: float) -> tuple[object, ...]:
    oldest = f" (oldest {_ago(device.oldest_archived, now)})" if device.oldest_archived else ""
    return (
        device.device,
        *("-" if number is None else number for number in (device.index, device.checkpoint, device.born)),
        _ago(device.created or 0, now),
        _ago(device.heard_at, now),
        _ago(device.rebuilt, now),
        f"{device.archived}{oldest}",
        device.skipped,
        device.bytes,
    )


def _words(device: DeviceView) -> Iterator[str]:
    if device.damage:
        yield f"damaged: {device.damage}; the next send or message creates a new session"
    elif device.index is None:
        yield "no current session; the next send creates one"
    elif device.staleness is not None:
        yield device.staleness.value
    elif device.pending:
        yield "has not answered yet, so it gets prekey messages (pkmsg) until it does"


def _ago(at: int, now: float) -> str:
    return f"{how_long(max(now - at, 0))} ago" if at else "-"


# -- cleaning ----------------------------------------------------------------------------------------------


def clean_sessions(
    sessions: Sessions, wanted: str | None, *, device: int | None, dry_run: bool, output: Output, yes: bool
) -> None:
    """Archive the sessions with one device, one user, or (`wanted` None) all users; the next send creates new
    ones. Raises NotFound if the named user or device has none. `yes`: do not ask before archiving all."""
    if wanted is None:
        _clean_all(sessions, dry_run=dry_run, output=output, yes=yes)
        return
    view = sessions.view(wanted)
    devices = [one.device for one in view.devices]
    if device is not None and device not in devices:
        raise NotFound(f"there is no session with device {device}, only with {_numbers(tuple(devices))}")
    if dry_run:
        chosen = devices if device is None else [device]
        output.record({"user": shown(view.user), "would_clean": chosen})
        output.say(f"{shown(view.user)}: would clean device {_numbers(tuple(chosen))}")
        return
    try:
        cleaned = sessions.keys.upkeep.clean(sessions.profile, view.user, device)
    except Contended as error:
        raise ConsoleError("these sessions are in use; try again in a moment") from error
    if count := len(cleaned.archived) + len(cleaned.deleted):
        note(sessions.deployment, f"replaced somebody's sessions of {sessions.account}", count=count)
    _tell(cleaned, output)


def _clean_all(sessions: Sessions, *, dry_run: bool, output: Output, yes: bool) -> None:
    if dry_run:
        users, devices = _counted(sessions, output)
        output.record({"would_clean_users": users, "would_clean_devices": devices})
        output.say(f"would clean {_many(devices, users)}")
        return
    confirm(lambda: _cleaning(sessions, output), yes=yes, output=output)
    users = devices = 0
    try:
        with output.progress("users cleaned") as progress:
            for cleaned in progress.over(sessions.keys.upkeep.clean_all(sessions.profile)):
                _tell(cleaned, output)
                users, devices = users + 1, devices + len(cleaned.archived) + len(cleaned.deleted)
    finally:
        # What was done is written down, however it ended.
        if devices:
            note(sessions.deployment, f"replaced all sessions of {sessions.account}", count=devices)
    output.say(f"cleaned {_many(devices, users)}")


def _counted(sessions: Sessions, output: Output) -> tuple[int, int]:
    """The numbers of users and of devices with sessions."""
    users = devices = 0
    with output.progress("users counted") as progress:
        for one in progress.over(iter(sessions.keys.upkeep.sessions(sessions.profile))):
            users, devices = users + (one.moved is None), devices + len(one.devices)
    return users, devices


def _many(devices: int, users: int) -> str:
    return f"{counted(devices, 'devices')} of {counted(users, 'users')}"


def _cleaning(sessions: Sessions, output: Output) -> str:
    users, devices = _counted(sessions, output)
    if not users:
        return ""
    return (
        f"the sessions of the account '{sessions.account}' with {_many(devices, users)} will be "
        "archived, and the next send to each creates new ones"
    )


def _tell(cleaned: Cleaned, output: Output) -> None:
    output.record(
        {"user": shown(cleaned.user), "archived": list(cleaned.archived), "deleted": list(cleaned.deleted)}
    )
    parts = [
        f"{what} {'device' if len(devices) == 1 else 'devices'} {_numbers(devices)}"
        for what, devices in (("archived", cleaned.archived), ("deleted (unreadable)", cleaned.deleted))
        if devices
    ]
    said = "; ".join(parts) or "nothing to clean"
    output.say(f"{shown(cleaned.user)}: {said}")


# -- reset -------------------------------------------------------------------------------------------------


def reset_sessions(
    sessions: Sessions,
    *,
    dry_run: bool,
    output: Output,
    yes: bool,
    clock: Callable[[], float] = time.time,
) -> None:
    """Abandon all sessions of an account, as after a restored backup. The link to the phone stays. `yes`: do
    not ask first."""
    before = sessions.profile.incarnation
    if dry_run:
        output.record({"account": sessions.account, "incarnation": before, "reset": False})
        output.say(
            f"would abandon all sessions of {sessions.account} (incarnation {before}), delete its one-time "
            "prekeys and have the connector log in again"
        )
        return
    confirm(lambda: _resetting(sessions, output), yes=yes, output=output)
    after = sessions.keys.account.reset_sessions(sessions.deployment.outside_table)
    deployment = sessions.deployment
    note(deployment, f"abandoned all sessions of {sessions.account}", clock=clock)
    # The connector uploads the new keys when it logs in.
    request(
        deployment.keys_table,
        deployment.sealer,
        sessions.account,
        "reconnect",
        int(clock()),
        os.urandom(12),
    )
    output.record({"account": sessions.account, "incarnation": after.incarnation, "reset": True})
    output.say(
        f"all sessions of {sessions.account} are abandoned (incarnation {after.incarnation}, was {before})"
    )
    output.say(
        "the connector logs in again and uploads new keys; the next send to each recipient creates a session"
    )


def _resetting(sessions: Sessions, output: Output) -> str:
    users, devices = _counted(sessions, output)
    return (
        f"all sessions of the account '{sessions.account}' ({_many(devices, users)}) will be "
        "abandoned for good and its one-time prekeys deleted; the connector logs in again"
    )
