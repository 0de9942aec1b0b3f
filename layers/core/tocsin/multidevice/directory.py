"""Addresses, device lists and sessions, asked for through the connector.

A send to a known recipient needs none of it: it serves first contacts, stale device lists and recoveries.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.multidevice.account import Account
from tocsin.multidevice.numbers import NUMBER_DOUBTED, held_back
from tocsin.notify.failure import Permanent, Recover, Retry
from tocsin.notify.transport import Address
from tocsin.people.national import spellings_on_whatsapp
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.bundles import MAX_PER_REQUEST, BundleError, fetch_bundles, parse_bundles
from tocsin.whatsapp.jid import JID, PN, mask
from tocsin.whatsapp.usync import (
    Contact,
    parse_contacts,
    parse_devices,
    usync_contacts,
    usync_devices,
    usync_lids,
)

if TYPE_CHECKING:
    from tocsin.keys.account import Credentials
    from tocsin.keys.reserve import Reservation
    from tocsin.signal.x3dh import PreKeyBundle

log = logging.getLogger(__name__)

NOT_ON_WHATSAPP = "not-on-whatsapp"
# For how long a number stays unknown without being asked for again.
ABSENT_SECONDS = 24 * 3600
NO_LID = "no-lid"
NO_BUNDLES = "no-bundles"

# What a bundle request answers for a device that doesn't exist (any more), and when the server is in trouble.
GONE_CODES = frozenset({404, 406, 410})
TROUBLE_CODES = frozenset({408, 500, 503, 530})
# Code of a bundle that is malformed or wrongly signed.
UNUSABLE = 0
# A phone links four companions, a business some more. All sessions are made in one transaction, of 100 items.
MAX_DEVICES = 64
UNANSWERED = BundleError(404, "not in the answer")


@dataclass(frozen=True)
class Need:
    """A user whose device list or sessions must be looked after. `replace`: devices with unusable ones."""

    reservation: Reservation | None = None
    replace: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Bundles:
    """The answer to a bundle request: usable bundles by device, and an error code for each other device."""

    usable: Mapping[int, PreKeyBundle] = field(default_factory=dict)
    refused: Mapping[int, int] = field(default_factory=dict)


def locate(account: Account, phone: str, *, now: int, recheck: bool = False) -> Address:
    """Ask whether a number (digits) is on WhatsApp and who it is there, and remember the answer.

    A number that isn't there is asked for once a day, for WhatsApp watches the volume of such questions; more
    often only to `recheck` it. `now`: ms. Raises `Permanent` for it; `Recover` if it is and the server names
    no LID.
    """
    asked = JID(phone, PN)
    absent_since = from_seconds(account.keys.contacts.absent_since(str(asked)))
    if absent_since > now - ABSENT_SECONDS * 1000 and not recheck:
        minutes = (now - absent_since) // 60_000
        raise Permanent(NOT_ON_WHATSAPP, f"WhatsApp didn't know the number {minutes} min ago")
    contact = _contact_of(account, phone)
    if contact is None or not contact.registered:
        if contact is not None:
            account.numbers.lost(account, str(asked))
            account.keys.contacts.note_absent(str(asked))
        raise Permanent(NOT_ON_WHATSAPP, "WhatsApp doesn't know the number")
    lid = contact.lid or _lid_of(account, contact.pn or asked)
    if not account.numbers.heed(account, asked, contact.pn, str(lid)):
        raise held_back(now)
    return Address(str(lid), str(contact.pn or asked), trust=account.keys.contacts.address_item(str(lid)))


def _contact_of(account: Account, phone: str) -> Contact | None:
    """What WhatsApp says of a number, asked under all of its spellings at once; `None`: nothing."""
    spellings = spellings_on_whatsapp(phone)
    answers = parse_contacts(account.connector.request(account.profile, usync_contacts(spellings)))
    found = [answers[one] for one in spellings if one in answers]
    return next((one for one in found if one.registered), found[0] if found else None)


def _lid_of(account: Account, phone_number: JID) -> JID:
    """Ask for the LID alone, where the number check didn't bring it."""
    for found in parse_devices(account.connector.request(account.profile, usync_lids([phone_number]))):
        if found.lid is not None and found.user == phone_number:
            return found.lid
    raise Recover(NO_LID, "WhatsApp names no LID for the number")


def device_lists(account: Account, users: Sequence[str], *, strict: bool = False) -> dict[str, list[int]]:
    """Ask for the devices of some users (bare LIDs); without this very device of ours. `strict`: raise
    `Recover` if the answer contradicts whose a number is, so that this is asked before anything is sent.

    A user whose list can't be had counts as having the phone alone. The device that Meta operates for a
    business (`HOSTED_DEVICE`) is among them; groups do without it.
    """
    query = usync_devices([JID.parse(user) for user in users])
    lists = {user: [0] for user in users}
    for found in parse_devices(account.connector.request(account.profile, query)):
        if not account.learn(found.pn, found.lid) and strict:
            raise Recover(NUMBER_DOUBTED, "the list of devices names another number for the recipient")
        devices = {device.device for device in found.devices}
        if len(devices) > MAX_DEVICES:
            log.error("a giant device list", extra={"user": repr(found.user), "devices": len(devices)})
        if str(found.user) in lists and devices:
            lists[str(found.user)] = sorted(devices)[:MAX_DEVICES]
    if account.own_user in lists:
        lists[account.own_user] = [
            device for device in lists[account.own_user] if device != account.own_device.device
        ]
    return lists


def fetch(account: Account, devices: Sequence[JID], *, replace: bool = False) -> dict[str, Bundles]:
    """Ask for bundles; by user. Their signatures are verified where sessions are made of them.

    `replace`: a session exists and shall be replaced.
    """
    usable: dict[str, dict[int, PreKeyBundle]] = {str(jid.chat): {} for jid in devices}
    refused: dict[str, dict[int, int]] = {str(jid.chat): {} for jid in devices}
    for start in range(0, len(devices), MAX_PER_REQUEST):
        some = devices[start : start + MAX_PER_REQUEST]
        query = fetch_bundles(some, replace=replace)
        found = parse_bundles(account.connector.request(account.profile, query))
        for jid in some:
            bundle = found.get(jid, UNANSWERED)
            if isinstance(bundle, BundleError):
                refused[str(jid.chat)][jid.device] = bundle.code
            else:
                usable[str(jid.chat)][jid.device] = bundle
    return {user: Bundles(usable[user], refused[user]) for user in usable}


def prepare(account: Account, needs: Mapping[str, Need]) -> dict[str, Bundles]:
    """Bring device lists up to date and make the sessions that are missing or unusable.

    One query for all lists, one (for up to 100 devices) for all bundles, one turn for each user. Returns
    what came of the bundles. Whoever reserved before must reserve again.
    """
    lists = device_lists(account, list(needs), strict=True)
    wanted = [
        JID.parse(user).with_device(device)
        for user, devices in lists.items()
        for device in _without_session(devices, needs[user])
    ]
    bundles = fetch(account, wanted) if wanted else {}
    credentials = (
        account.keys.account.credentials() if any(found.usable for found in bundles.values()) else None
    )
    return {
        user: equip(account, credentials, user, lists[user], needs[user], bundles.get(user, Bundles()))
        for user in lists
    }


def equip(
    account: Account,
    credentials: Credentials | None,
    user: str,
    devices: list[int],
    need: Need,
    bundles: Bundles,
) -> Bundles:
    """Make one user's sessions in a turn. Return the bundles without those that turned out bad."""
    for device in [
        one for one, bundle in bundles.usable.items() if account.is_forged(user, one, bundle.identity)
    ]:
        log.error("a bundle of our own phone with a foreign identity", extra={"user": mask(user)})
        rest = {one: bundle for one, bundle in bundles.usable.items() if one != device}
        bundles = Bundles(rest, {**bundles.refused, device: UNUSABLE})
    if credentials is None or not bundles.usable:
        if need.reservation is not None:
            account.keys.sending.touch_device_list(account.profile, user, devices)
        return bundles
    bad = account.keys.sending.make_sessions(
        account.profile,
        credentials,
        user,
        bundles.usable,
        devices=devices,
        replace=need.replace & bundles.usable.keys(),
    )
    for device, error in bad.items():
        log.warning("bad bundle", extra={"device": device, "cause": type(error).__name__})
    if TROUBLE_CODES.intersection(bundles.refused.values()):
        # Not the device's fault: the next send asks for it again instead of leaving it out for a day.
        account.keys.sending.expire_device_list(account.profile, user)
    usable = {device: bundle for device, bundle in bundles.usable.items() if device not in bad}
    return Bundles(usable, {**bundles.refused, **dict.fromkeys(bad, UNUSABLE)})


def _without_session(devices: Sequence[int], need: Need) -> list[int]:
    if need.reservation is None:
        return list(devices)
    return [device for device in devices if device in need.replace or need.reservation.in_need([device])]


def blame(bundles: Bundles) -> Permanent | Recover | Retry:
    """Return why nobody of a recipient's devices can be written to, from what their bundles said."""
    codes = set(bundles.refused.values())
    detail = f"bundle errors: {', '.join(map(str, sorted(codes)))}" if codes else "no device has a bundle"
    if codes and codes <= GONE_CODES:
        return Permanent(NOT_ON_WHATSAPP, detail)
    if codes & TROUBLE_CODES:
        return Retry(NO_BUNDLES, detail)
    return Recover(NO_BUNDLES, detail)
