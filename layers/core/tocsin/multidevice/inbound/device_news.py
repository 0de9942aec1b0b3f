"""WhatsApp's notifications: new identities, device lists, groups, privacy tokens, limits; and calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.connector_client.errors import ConnectorError
from tocsin.connector_client.protocol import RESTRICTION_SECONDS
from tocsin.multidevice.account import Account
from tocsin.multidevice.chat_timers import ChatTimers
from tocsin.multidevice.group_members import GroupView
from tocsin.multidevice.inbound.envelope import Envelope, Report
from tocsin.multidevice.privacy_tokens import issue_token
from tocsin.notify.failure import Permanent
from tocsin.timestamps import to_seconds
from tocsin.whatsapp.account_health import ReachoutLock
from tocsin.whatsapp.call import parse_call
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, mask, phash
from tocsin.whatsapp.notifications import (
    AccountNotice,
    DevicesChanged,
    GroupChanged,
    IdentityChanged,
    OwnDevices,
    PrivacyToken,
    parse_notification,
)

log = logging.getLogger(__name__)

# A token of later than that would keep every true one away.
CLOCKS_APART_SECONDS = 24 * 3600


class DeviceNews:
    """Handles `<notification>`. `may_write_to`: hears whom the account may write to (account, bare JID)."""

    def __init__(
        self,
        clock: Callable[[], float],
        may_write_to: Callable[[str, str], int],
        timers: ChatTimers | None = None,
    ) -> None:
        self._clock = clock
        self._may_write_to = may_write_to
        self._timers = timers or ChatTimers(clock)
        self._handlers: Mapping[type, Callable[[Account, Any, Envelope], Report]] = {
            IdentityChanged: self._identity_changed,
            DevicesChanged: self._devices_changed,
            OwnDevices: self._own_devices,
            GroupChanged: self._group_changed,
            PrivacyToken: self._token,
            AccountNotice: self._account_news,
        }

    def handle(self, account: Account, envelope: Envelope) -> Report:
        """Put news into effect. Raises `ConnectorError`; `WireError` for malformed ones."""
        news = parse_notification(envelope.stanza)
        handler = self._handlers.get(type(news))
        if handler is None:
            return Report("notification", "ignored", envelope.stanza.attr_str("type"))
        return handler(account, news, envelope)

    def _token(self, account: Account, news: PrivacyToken, _: Envelope) -> Report:
        """A contact entrusts us with a token: it goes along with our next messages."""
        user = _named(account, news.user, news.other)
        if account.is_own(user) or not user.endswith("@lid"):
            return Report("notification", "ignored", "a token of nobody we could write to")
        if news.timestamp > self._clock() + CLOCKS_APART_SECONDS:
            return Report("notification", "ignored", "a token of the future")
        kept = account.keys.contacts.keep_token(account.own_user, user, news.token, news.timestamp)
        if kept:
            self._may_write_to(account.profile.account, user)
        return Report("notification", "privacy-token", facts={"kept": kept})

    def _account_news(self, account: Account, notice: AccountNotice, envelope: Envelope) -> Report:
        """WhatsApp tells of the account itself. The connector has overheard it; should it have died just
        then, a lock counts all the same."""
        from tocsin.accounts.limits import FIRST_CONTACTS, REACHOUT_LOCK, Limit

        told: dict[str, object] = {}
        for news in notice.news:
            if not isinstance(news, ReachoutLock):
                continue
            log.warning("first contacts are restricted", extra={"active": news.active, "until": news.until})
            heard_at = to_seconds(envelope.received_at)  # as limits are stored
            is_told = news.until is not None and news.until > heard_at
            guess = heard_at + RESTRICTION_SECONDS
            until = 0 if not news.active else (news.until or 0) if is_told else guess
            limit = Limit(FIRST_CONTACTS, REACHOUT_LOCK, until, heard_at, type=news.type)
            account.keys.account.note_limit(limit, guessed=news.active and not is_told)
            told = {"active": news.active, "until": news.until}
        if told:
            return Report("notification", "reachout-lock", facts=told)
        facts = {"news": len(notice.news), "unreadable": notice.unreadable}
        return Report("notification", "account-news", facts=facts)

    def _identity_changed(self, account: Account, news: IdentityChanged, _: Envelope) -> Report:
        """Somebody reinstalled. The server says so, no message has proved it yet: archive, don't delete."""
        user = _named(account, news.user, news.lid)
        if account.is_own(user):
            return Report("notification", "ignored", "own identity")
        archived = account.keys.upkeep.clean(account.profile, user).archived
        account.keys.sending.expire_device_list(account.profile, user)
        account.keys.groups.note_new_keys(user)
        issued_at = account.keys.contacts.trust(account.own_user, user).issued_at
        if issued_at:
            issue_token(account, user, issued_at)  # the new phone knows nothing of the one that it was given
        log.warning("identity changed", extra={"device": repr(news.user), "by": "notification"})
        return Report("notification", "identity-changed", facts={"archived": len(archived)})

    def _devices_changed(self, account: Account, news: DevicesChanged, _: Envelope) -> Report:
        """A companion was linked or removed: the next send asks for the list; a removed one is forgotten."""
        user = _named(account, news.user, news.lid)
        for device, lid in news.pairs:
            account.compare(device, lid)
        if news.action == "remove":
            ours = account.own_device.device if account.is_own(user) else 0
            for number in sorted({device.device for device in news.devices} - {0, ours}):
                account.keys.sending.remove_device(account.profile, user, number)
        facts = {"devices": len(news.devices)}
        if news.action == "remove" and _is_whole_list(account, user, news):
            return Report("notification", "devices-changed", "remove", {**facts, "list_holds": True})
        account.keys.sending.expire_device_list(account.profile, user)
        return Report("notification", "devices-changed", news.action, facts)

    def _own_devices(self, account: Account, news: OwnDevices, _: Envelope) -> Report:
        """The list of our own devices after a change. If its hash is right, and we have sessions with all, it
        is taken as it is; else the next send asks."""
        user, ours = account.own_user, account.own_device.device
        listed = {device.device for device in news.devices}
        if 0 in listed and phash(news.devices) == news.device_hash:
            in_session = _in_session(account, user)
            if in_session is not None and listed - {ours} <= in_session:
                account.keys.sending.touch_device_list(account.profile, user, sorted(listed - {ours}))
                _keep_group_list(account, user, listed)
                return Report("notification", "own-devices", facts={"list_holds": True})
        account.keys.sending.expire_device_list(account.profile, user)
        return Report("notification", "own-devices")

    def _group_changed(self, account: Account, news: GroupChanged, _: Envelope) -> Report:
        """Who is out can't read on: a new key is due. Who is in is asked anew, if that can be had now: the
        next send would ask as well, but the operator looks for a new group's JID (`tocsin groups`)."""
        for pn, lid in news.pairs:
            account.compare(pn, lid)
        group = str(news.group)
        if news.timer is not None:
            self._timers.of_group(account, news.group, news.timer)
        account.keys.groups.forget(group)
        if news.removed and account.keys.groups.discard_sender_key(account.profile, group):
            log.info("a new sender key is due: somebody left", extra={"group": mask(group)})
        try:
            GroupView(account, news.group, clock=self._clock).info()
        except (Permanent, ConnectorError, WireError) as failure:
            log.info("a group can't be asked for now", extra={"group": mask(group), "error": repr(failure)})
        return Report("notification", "group", ", ".join(news.changes)[:100], {"removed": len(news.removed)})


def note_call(account: Account, envelope: Envelope) -> Report:
    """Nobody takes it (the connector may have declined it); it tells who has the number that calls."""
    call = parse_call(envelope.stanza)
    account.sender(call.caller, call.caller_pn)
    return Report("call", "ignored", call.kind)


def _named(account: Account, user: JID, lid: JID | None) -> str:
    """Return the canonical name of a user, learning the pair if both names are told. Raises
    `StanzaRefused` if they aren't one person's."""
    return account.sender(user, lid)


def _in_session(account: Account, user: str) -> set[int] | None:
    """The devices of a user that we can write to now; None if there is one with which a session must be made
    first, as after a reinstall."""
    devices = account.keys.upkeep.view(account.profile, user).devices
    if any(device.index is None for device in devices):
        return None
    return {device.device for device in devices}


def _is_whole_list(account: Account, user: str, news: DevicesChanged) -> bool:
    """Whether the devices we have sessions with are, after a removal, all there are: then nothing is to be
    asked, and the list that groups use is brought up to date."""
    numbers = _in_session(account, user)
    if numbers is None or 0 not in numbers:
        return False
    if account.is_own(user):
        numbers.add(account.own_device.device)
    hashes = {phash(form.with_device(each) for each in numbers) for form in (news.user, JID.parse(user))}
    if not hashes & {news.device_hash, news.lid_hash}:
        return False
    _keep_group_list(account, user, numbers)
    return True


def _keep_group_list(account: Account, user: str, numbers: set[int]) -> None:
    """Write down a list that groups use, if they use one."""
    if account.keys.groups.device_lists([user])[user].devices:
        account.keys.groups.save_device_list(user, sorted(numbers - {HOSTED_DEVICE}))
