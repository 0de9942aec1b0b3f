"""Addresses, device lists and sessions, asked for through the connector.

A send to a known recipient needs none of it: it serves first contacts, stale device lists and recoveries.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tocsin.multidevice.account import Account
from tocsin.multidevice.numbers import NUMBER_DOUBTED, held_back
from tocsin.notify.failure import Permanent, Recover, Retry
from tocsin.notify.transport import UNPROVEN_DEVICE, Address
from tocsin.people.national import spellings_on_whatsapp
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.adv import KeyIndexes, Voucher
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
    from tocsin.signal.errors import SignalError
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
# Codes of our own, where the server's begin at 400: of a bundle that is malformed or wrongly signed, and of a
# companion for which its user's phone doesn't vouch.
UNUSABLE = 0
UNPROVEN = 1
PHONE = 0
PHONE_QUESTIONS_PER_HOUR = 5
"""So often somebody's companion makes us look whether their phone is another one by now."""
# A phone links four companions, a business some more. All sessions are made in one transaction, of 100 items.
MAX_DEVICES = 64
UNANSWERED = BundleError(404, "not in the answer")


@dataclass(frozen=True)
class Need:
    """A user whose device list or sessions must be looked after. `replace`: devices with unusable ones."""

    reservation: Reservation | None = None
    replace: frozenset[int] = frozenset()


@dataclass(frozen=True)
class DeviceList:
    """A user's devices as WhatsApp lists them. `key_indexes`: of companions; `counting`: the phone's word on
    those, unverified."""

    devices: tuple[int, ...] = (PHONE,)
    key_indexes: Mapping[int, int] = field(default_factory=dict)
    counting: KeyIndexes | None = None

    def unlinked(self, phone: bytes | None) -> list[int]:
        """The listed companions that the phone with this identity doesn't count any more. Without a list of
        its own, or while its identity isn't known (`None`), nobody is accused."""
        if phone is None or self.counting is None:
            return []
        return [
            device
            for device in self.devices
            if device != PHONE and not self.counting.hold(self.key_indexes.get(device, 0), phone)
        ]

    def is_foreign(self, phone: bytes) -> bool:
        """Whether another phone than this one signed the list."""
        return self.counting is not None and not self.counting.is_signed_by(phone)

    def vouched(self, bundle: PreKeyBundle) -> PreKeyBundle:
        """A companion's bundle, to be judged by this list as well."""
        voucher = bundle.voucher
        if self.counting is None or not isinstance(voucher, Voucher):
            return bundle
        return replace(bundle, voucher=replace(voucher, counting=self.counting))


@dataclass(frozen=True)
class Bundles:
    """The answer to a bundle request: usable bundles by device, and an error code for each other device, the
    server's or one of ours (`UNUSABLE`, `UNPROVEN`)."""

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


def device_lists(account: Account, users: Sequence[str], *, strict: bool = False) -> dict[str, DeviceList]:
    """Ask for the devices of some users (bare LIDs); without this very device of ours. `strict`: raise
    `Recover` if the answer contradicts whose a number is, so that this is asked before anything is sent to
    the number. What is for a LID goes there whatever number it has.

    A user whose list can't be had counts as having the phone alone. The device that Meta operates for a
    business (`HOSTED_DEVICE`) is among them; groups do without it.
    """
    query = usync_devices([JID.parse(user) for user in users])
    lists = {user: DeviceList() for user in users}
    for found in parse_devices(account.connector.request(account.profile, query)):
        if not account.learn(found.pn, found.lid) and strict:
            raise Recover(NUMBER_DOUBTED, "the list of devices names another number for the recipient")
        user = str(found.user)
        devices = {device.device for device in found.devices}
        if len(devices) > MAX_DEVICES:
            log.error("a giant device list", extra={"user": repr(found.user), "devices": len(devices)})
        if user in lists and devices:
            ours = {account.own_device.device} if user == account.own_user else set()
            listed = tuple(sorted(devices - ours)[:MAX_DEVICES])
            lists[user] = DeviceList(listed, found.key_indexes, found.counting)
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


def prepare(account: Account, needs: Mapping[str, Need], *, strict: bool = True) -> dict[str, Bundles]:
    """Bring device lists up to date and make the sessions that are missing or unusable.

    One query for all lists, one (for up to 100 devices) for all bundles, one turn for each user. Returns
    what came of the bundles. Whoever reserved before must reserve again. `strict`: as in `device_lists`.
    """
    lists = device_lists(account, list(needs), strict=strict)
    phones = {user: account.account_key(user) or _phone_in(need.reservation) for user, need in needs.items()}
    wanted = [
        JID.parse(user).with_device(device)
        for user, listed in lists.items()
        for device in _wanted(listed, needs[user], phones[user])
    ]
    bundles = fetch(account, wanted) if wanted else {}
    credentials = (
        account.keys.account.credentials() if any(found.usable for found in bundles.values()) else None
    )
    made = {}
    for user, listed in lists.items():
        found = bundles.get(user, Bundles())
        phone = found.usable[PHONE].identity if PHONE in found.usable else phones[user]
        unlinked = listed.unlinked(phone)
        counting = [device for device in listed.devices if device not in unlinked]
        usable = {device: listed.vouched(bundle) for device, bundle in found.usable.items()}
        judged = Bundles(
            {device: bundle for device, bundle in usable.items() if device in counting},
            {**found.refused, **dict.fromkeys(unlinked, UNPROVEN)},
        )
        need = replace(needs[user], replace=needs[user].replace | _renewed(phones[user], phone))
        made[user] = equip(account, credentials, user, counting, need, judged, looks_for_phone=True)
    return made


def _phone_in(reservation: Reservation | None) -> bytes | None:
    return reservation.phone_identity if reservation is not None else None


def _wanted(listed: DeviceList, need: Need, phone: bytes | None) -> list[int]:
    """The devices whose bundles are to be asked for. A list that another phone signed than the one we know
    says that there may be another."""
    wanted = _without_session(listed.devices, need)
    if PHONE in wanted or phone is None or not listed.is_foreign(phone):
        return wanted
    return [PHONE, *wanted]


def _renewed(known: bytes | None, present: bytes | None) -> frozenset[int]:
    """The phone, if it has another identity than the one we have a session with."""
    return frozenset({PHONE}) if known is not None and present != known else frozenset()


def equip(
    account: Account,
    credentials: Credentials | None,
    user: str,
    devices: Sequence[int],
    need: Need,
    bundles: Bundles,
    *,
    looks_for_phone: bool = False,
) -> Bundles:
    """Make one user's sessions in a turn. Return the bundles without those that turned out bad.

    `looks_for_phone`: ask whether a companion that nobody vouches for is that of a new phone. It takes one of
    that phone's prekeys, so only where devices are asked for once a day.
    """
    bundles = _without_forged(account, user, bundles)
    devices = [device for device in devices if not _is_hopeless(device, need, bundles)]
    if credentials is None or not bundles.usable:
        if need.reservation is not None:
            account.keys.sending.touch_device_list(account.profile, user, devices)
        return bundles

    def make(
        usable: Mapping[int, PreKeyBundle], replaced: frozenset[int]
    ) -> Mapping[int, SignalError | None]:
        return account.keys.sending.make_sessions(
            account.profile,
            credentials,
            user,
            usable,
            devices=devices,
            replace=replaced & usable.keys(),
            account_key=account.account_key(user),
        )

    bad = dict(make(bundles.usable, need.replace))
    unproven = {device: bundles.usable[device] for device in bad if _is_unproven(bad[device])}
    if looks_for_phone and unproven and PHONE not in {*bundles.usable, *bundles.refused}:
        phone = changed_phone(account, user)
        if phone is not None:
            bad |= dict.fromkeys(unproven)
            bad |= make({PHONE: phone, **unproven}, frozenset({PHONE}))
    refused = {device: error for device, error in bad.items() if error is not None}
    for device, error in refused.items():
        log.warning("bad bundle", extra={"user": mask(user), "device": device, "cause": type(error).__name__})
    if TROUBLE_CODES.intersection(bundles.refused.values()):
        # Not the device's fault: the next send asks for it again instead of leaving it out for a day.
        account.keys.sending.expire_device_list(account.profile, user)
    usable = {device: bundle for device, bundle in bundles.usable.items() if device not in refused}
    codes = {device: UNPROVEN if _is_unproven(error) else UNUSABLE for device, error in refused.items()}
    return Bundles(usable, {**bundles.refused, **codes})


def _without_forged(account: Account, user: str, bundles: Bundles) -> Bundles:
    """The bundles without one that pretends to be our own phone's."""
    phone = bundles.usable.get(PHONE)
    if phone is None or not account.is_forged(user, PHONE, phone.identity):
        return bundles
    log.error("a bundle of our own phone with a foreign identity", extra={"user": mask(user)})
    rest = {device: bundle for device, bundle in bundles.usable.items() if device != PHONE}
    return Bundles(rest, {**bundles.refused, PHONE: UNUSABLE})


def _is_hopeless(device: int, need: Need, bundles: Bundles) -> bool:
    """Whether a device has a session that nobody vouches for, and no bundle that could bring the proof: it
    gets nothing in either case, and the next send needn't ask for it again."""
    from tocsin.keys.errors import Staleness

    code, reservation = bundles.refused.get(device), need.reservation
    if code is None or code in TROUBLE_CODES or reservation is None:
        return False
    return reservation.staleness(device) is Staleness.UNPROVEN


def _is_unproven(error: SignalError | None) -> bool:
    from tocsin.signal.errors import UnprovenDevice

    return isinstance(error, UnprovenDevice)


def changed_phone(account: Account, user: str) -> PreKeyBundle | None:
    """Ask for the bundle of a user's phone, to see whether it is another phone than the one we know; `None`
    if it is the same, or can't be had. Nobody's phone but another person's: our own is known for good."""
    if account.is_own(user):
        return None
    bundle = fetch(account, [JID.parse(user)], replace=True)[user].usable.get(PHONE)
    known = account.keys.sending.phone_identity(account.profile, user)
    return bundle if bundle is not None and bundle.identity != known else None


def pin_phone(account: Account, user: str) -> bool:
    """Look for a user's phone anew, and pin it if it is another one than we know, by a session with it.

    A companion that nobody we know vouches for may be vouched for by a new phone. Returns whether there is
    one. Raises `ConnectorError`, `WireError`.
    """
    phone = changed_phone(account, user)
    if phone is None:
        return False
    refused = account.keys.sending.make_sessions(
        account.profile,
        account.keys.account.credentials(),
        user,
        {PHONE: phone},
        devices=None,
        replace=frozenset({PHONE}),
    )
    return not refused


def _without_session(devices: Sequence[int], need: Need) -> list[int]:
    if need.reservation is None:
        return list(devices)
    return [device for device in devices if device in need.replace or need.reservation.in_need([device])]


def why_left_out(code: int) -> str:
    """Return what a notification's history says of a device without a session. `code`: as in `Bundles`."""
    if code == UNPROVEN:
        return UNPROVEN_DEVICE
    return f"no bundle: error {code}" if code else "no bundle: unusable"


def blame(bundles: Bundles) -> Permanent | Recover | Retry:
    """Return why nobody of a recipient's devices can be written to, from what their bundles said."""
    codes = set(bundles.refused.values())
    detail = f"bundle errors: {', '.join(map(str, sorted(codes)))}" if codes else "no device has a bundle"
    if codes and codes <= GONE_CODES:
        return Permanent(NOT_ON_WHATSAPP, detail)
    if codes & TROUBLE_CODES:
        return Retry(NO_BUNDLES, detail)
    return Recover(NO_BUNDLES, detail)
