"""Who may have a message again: only who was written to.

    an id of ours? ── to this person? ── with this device? ──▶ a case for `retries`
      └ no           └ no, a guess      ├ the history names a copy for it
                                        └ WhatsApp lists it now, and the person's phone vouches for it

The person is the one that the history of the notification names, not whoever has the number now: a number
goes to other people, and what was written to its last owner is none of theirs. A device shows nothing by its
keys, since whoever made them signed them; whether its phone vouches for it is judged where a session is made
(`keys.proof`).

Guessing costs: beyond an hourly budget of wrong requests, a sender gets nothing but what was sent to that
very device.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tocsin.multidevice.account import Account
from tocsin.multidevice.directory import device_lists
from tocsin.multidevice.refusals import failure_of_answer
from tocsin.multidevice.retry_case import Case, Ignored, addressees, recovery_of, was_sent_copy
from tocsin.notify.content import Withheld
from tocsin.notify.failure import Permanent
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.notification import Notification, Recovery, State
from tocsin.notify.store.stores import Stores
from tocsin.settings.declared import RECOVERIES_PER_HOUR
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.tables.names import id_of_message, is_lid
from tocsin.timestamps import from_seconds, is_recent, to_seconds
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.receipts import RetryRequest

MAX_PLAUSIBLE_COUNT = 10
REPLAY_SECONDS = 15 * 60
"""For this long a count that was served is a repetition. Later the device has forgotten its counter."""

MAX_DEVICES_AGAIN = 16
"""Devices to which a person's notification goes again: a phone has four companions, a business some more."""

MAX_GROUP_DEVICES_AGAIN = 200
"""Devices of a group's members, likewise. Each has an entry in the notification's item."""

GUESSES_PER_HOUR = 10

GUESSES = frozenset({"unknown-message", "foreign-device", "unknown-device", "unproven-device"})
"""Refusals of requests for what the sender was never sent."""


class RetryRights:
    """Judges the retry receipts of recipients' devices."""

    def __init__(
        self,
        stores: Stores,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock

    def case(self, account: Account, request: RetryRequest, cause: str, asked_at: int) -> Case:
        """Judge a receipt. Raises `Ignored` for one about no message of ours, or from somebody else."""
        if request.count > MAX_PLAUSIBLE_COUNT:
            raise Ignored("absurd-count")
        user = account.canonical(request.requester, request.requester_alt)
        try:
            _demand_present_owner(account, request, user)
            return self._case(account, request, user, cause, asked_at)
        except Ignored as ignored:
            self.note_guess(account, user, ignored.name)
            raise

    def demand_device(self, case: Case) -> None:
        """Raise `Ignored` for a device that was sent no copy and isn't in WhatsApp's list now either, or for
        one too many: whoever is served once gets every later text.

        It is asked for before anything is counted, so that nobody uses up what the recipient's own devices
        may ask; and so often in an hour at most.
        """
        most = MAX_GROUP_DEVICES_AGAIN if case.notification.group else MAX_DEVICES_AGAIN
        if len({*case.notification.recoveries, str(case.jid)}) > most:
            raise Ignored("too-many-devices")
        if was_sent_copy(case.notification, str(case.jid)):
            return
        self._demand_patience(case.account, case.user)
        account, now = case.notification.account, self._now_ms()
        asked = self._stores.people.count_list_question_in_hour(account, case.user, now)
        if asked > self._settings().value(RECOVERIES_PER_HOUR, account=account):
            raise Ignored("unknown-device")
        try:
            listed = device_lists(case.account, [case.user])[case.user]
        except WireError as error:
            raise failure_of_answer(error, now=now) from error
        if case.device not in listed.devices:
            raise Ignored("unknown-device")

    def note_guess(self, account: Account, user: str, refusal: str) -> None:
        """Count a refusal that says: the sender (bare JID) asked for what they were never sent."""
        if refusal in GUESSES:
            self._stores.people.count_guess_in_hour(account.profile.account, user, self._now_ms())

    def _demand_patience(self, account: Account, user: str) -> None:
        """Raise `Ignored` for somebody who asked too often for what they were never sent."""
        guessed = self._stores.people.guesses_in_hour(account.profile.account, user, self._now_ms())
        if guessed >= GUESSES_PER_HOUR:
            raise Ignored("guessing")

    def _case(self, account: Account, request: RetryRequest, user: str, cause: str, asked_at: int) -> Case:
        notification_id = id_of_message(request.id)
        notification = self._stores.notifications.get(notification_id) if notification_id else None
        if notification is None or notification.account != account.profile.account:
            raise Ignored("unknown-message")
        # Any other state is served, `planned` too: a device is sometimes faster than the record of the ack.
        if notification.state is State.SUPPRESSED:
            raise Ignored("suppressed")
        if isinstance(notification.content, Withheld):
            raise Ignored(notification.content.why)
        if not self._was_written_to(account, request, user, notification):
            raise Ignored("foreign-device")
        device = JID.parse(user).with_device(request.requester.device)
        previous = recovery_of(notification, str(device))
        if previous and request.count <= previous.count and self._is_replay(previous):
            raise Ignored("replayed")
        served = previous.served if previous else 0
        since = previous.since if previous and previous.since else asked_at
        return Case(account, request, notification, user, device.device, cause, served, since)

    def _is_replay(self, previous: Recovery) -> bool:
        """Whether a count that was served before can't be that of a device which lost its counter."""
        return is_recent(to_seconds(previous.at), self._clock(), REPLAY_SECONDS)

    def _was_written_to(
        self, account: Account, request: RetryRequest, user: str, notification: Notification
    ) -> bool:
        """Whether the message was for this user: the recipient, a member of the group, or ourselves."""
        group = notification.group
        if group is None:
            return account.is_own(user) or user in self._addressees(account, notification)
        if str(request.to) != group:
            return False
        from tocsin.multidevice.group_resend import is_member

        try:
            return is_member(account, group, user, clock=self._clock)
        except Permanent:  # we are out ourselves
            return False

    @staticmethod
    def _addressees(account: Account, notification: Notification) -> frozenset[str]:
        """To whom it was sent (bare JIDs). Where the history doesn't say so yet, the send is under way, and
        goes to whom the recipient's number belongs now."""
        named = frozenset(user for user in addressees(notification) if not account.is_own(user))
        return named or account.names_of(notification.recipient)

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _demand_present_owner(account: Account, request: RetryRequest, user: str) -> None:
    """Raise `Ignored` where a number alone names the sender, and WhatsApp doesn't say that it is still this
    user's: whoever has it by now would be sent what its last owner was."""
    names = [jid for jid in (request.requester, request.requester_alt) if jid is not None]
    if not is_lid(user) or account.is_own(user) or any(is_lid(str(jid.chat)) for jid in names):
        return
    if account.numbers.ask(account, request.requester.chat) != user:
        raise Ignored(NUMBER_MOVED)
