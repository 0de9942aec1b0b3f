"""What the server tells devices by itself: groups, keys, devices and trust that changed."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import stanzas
from tocsin_whatsapp_server.audit import Audit
from tocsin_whatsapp_server.directory import Account, Device, Directory
from tocsin_whatsapp_server.events import EventLog
from tocsin_whatsapp_server.groups import Change

SILENT_WHEN_EMPTY = frozenset({"add", "remove", "leave", "promote", "demote"})
"""Changes of members that are no news if they change nobody."""

LOW_PREKEYS = 5
"""Below this the owner of the keys is asked for more."""


class Announcements:
    """`deliver` takes what must arrive. `now`: Unix seconds. `new_id`: of a stanza."""

    def __init__(
        self,
        directory: Directory,
        audit: Audit,
        events: EventLog,
        *,
        deliver: Callable[[Device, Node], None],
        new_id: Callable[[], str],
        now: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._audit = audit
        self._events = events
        self._deliver = deliver
        self._new_id = new_id
        self._now = now
        self._random = random

    def group_changed(self, change: Change) -> None:
        """Tell the members' devices, and those of whoever is out by it."""
        self._events.add(
            "group",
            group=str(change.group.jid),
            action=change.action,
            author=change.author.number,
            members=[account.number for account in change.accounts],
        )
        if change.action in SILENT_WHEN_EMPTY and not change.accounts:
            return
        for account in change.told:
            for device in account.devices.values():
                self._deliver(device, change.notification(self._new_id(), self._now()))

    def bundle_taken(self, device: Device, prekey: tuple[int, bytes] | None) -> None:
        """A phone of this process took a bundle; the same audit applies to it."""
        if prekey is not None:
            self._audit.prekey_handed_out(device, *prekey)
        self.ask_for_prekeys(device)

    def ask_for_prekeys(self, device: Device) -> None:
        """Ask the owner of keys for more, if there are few and it wasn't asked."""
        if device.account.devices.get(device.number) is not device:
            return
        asked = any(_asks_for_prekeys(letter.stanza) for letter in device.mailbox.waiting())
        if len(device.prekeys) < LOW_PREKEYS and not asked:
            self._deliver(device, stanzas.prekeys_low(len(device.prekeys), self._new_id(), self._now()))

    def linked(self, device: Device) -> None:
        """A companion was linked: tell the account's other devices and its contacts."""
        self._events.add(
            "linked", account=device.account.number, device=device.number, platform=device.platform
        )
        self._devices_changed(device, "add")

    def unlinked(self, device: Device) -> None:
        """A companion is gone: tell the same ones."""
        self._events.add("unlinked", account=device.account.number, device=device.number)
        self._devices_changed(device, "remove")

    def _devices_changed(self, device: Device, change: str) -> None:
        account = device.account
        for own in account.devices.values():
            if own is not device:
                self._deliver(own, stanzas.own_devices_changed(account, self._new_id(), self._now()))
        for other in self._contact_devices(account):
            self._deliver(other, stanzas.devices_changed(device, change, self._new_id(), self._now()))

    def identity_changed(self, account: Account) -> None:
        """The phone was installed anew: tell its contacts."""
        for other in self._contact_devices(account):
            self._deliver(other, stanzas.identity_changed(account, self._new_id(), self._now()))

    def trust(self, issuer: Account, contact: Account) -> None:
        """`issuer` issued a privacy token: from now on `contact` may show it."""
        token = contact.tokens[issuer.number] = self._random(16)
        issuer.trusts.add(contact.number)
        self._events.add("trust", account=issuer.number, to=contact.number)
        for device in contact.devices.values():
            self._deliver(device, stanzas.privacy_token(issuer, contact, token, self._new_id(), self._now()))

    def _contact_devices(self, account: Account) -> list[Device]:
        numbers = sorted(account.contacts - {account.number})
        return [device for number in numbers for device in self._directory.by_number(number).devices.values()]


def _asks_for_prekeys(stanza: Node) -> bool:
    return stanza.tag == "notification" and stanza.child("count") is not None
