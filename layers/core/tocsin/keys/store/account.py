"""The account itself: its credentials, its prekeys, and what WhatsApp keeps it from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.keys.context import KeyContext
from tocsin.keys.profile import AccountProfile, read_profile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.accounts.challenge import Challenge
    from tocsin.accounts.halts import Halt
    from tocsin.accounts.limits import Limit
    from tocsin.accounts.login_refusal import LoginRefusal
    from tocsin.accounts.quota import Quota
    from tocsin.dynamo.table import Table
    from tocsin.keys.account import Credentials, DatedPreKey
    from tocsin.keys.prekeys import Offer, PreKey

# A restored backup may hold prekeys that were spent, and a counter that was counted on from.
SKIPPED_PREKEY_IDS = 10_000


class AccountKeys:
    """The part `KeyStore.account`."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context

    @property
    def name(self) -> str:
        return self._context.account

    def profile(self) -> AccountProfile:
        """What sending needs; may be remembered. Raises NoAccount, NotPaired, DamagedRecord."""
        return read_profile(self._context)

    def credentials(self) -> Credentials:
        """All there is; never to be remembered. Raises NoAccount, DamagedRecord."""
        from tocsin.keys.account import read_credentials

        return read_credentials(self._context)

    def create(self) -> Credentials:
        """Return the credentials; make keys to pair with if there are none."""
        from tocsin.keys.account import create_account

        return create_account(self._context)

    def renew(self) -> Credentials:
        """Make fresh keys, unpaired, after a log-out. The connector's token and the prekey counter stay.

        Deletes the one-time prekeys of the old identity. Raises the incarnation.
        """
        from tocsin.keys.account import renew_account
        from tocsin.keys.prekeys import delete_prekeys

        delete_prekeys(self._context)
        return renew_account(self._context)

    def save_pairing(
        self,
        *,
        jid: str,
        lid: str | None,
        device_identity: bytes,
        push_name: str = "",
        platform: str = "",
        adv_secret: bytes | None = None,
    ) -> Credentials:
        """Store what pair-success told, before it is confirmed. Raises the incarnation.

        `adv_secret`: the one derived by link-code pairing, if that way was taken.
        """
        from tocsin.keys.account import save_pairing

        return save_pairing(
            self._context,
            jid=jid,
            lid=lid,
            device_identity=device_identity,
            push_name=push_name,
            platform=platform,
            adv_secret=adv_secret,
        )

    def take_over(self, number: str) -> bool:
        """Note the number (a bare JID) that the account is linked to; what holds for another one before is
        forgotten. Whether there was one."""
        from tocsin.keys.number_change import take_over

        return take_over(self._context, number)

    def number_before(self) -> str | None:
        """The number (a bare JID) that the account was linked to last, linked or not."""
        from tocsin.keys.number_change import number_before

        return number_before(self._context)

    def others_linked_to(self, number: str, accounts: Iterable[str]) -> list[str]:
        """Which of the other `accounts` are linked to this number (a bare JID) now."""
        from tocsin.keys.number_change import linked_to

        return linked_to(self._context, number, accounts)

    def save_lid(self, lid: str) -> Credentials:
        """Store the account's own LID, where a login told it first."""
        from tocsin.keys.account import save_lid

        return save_lid(self._context, lid)

    def save_login_counter(self, incarnation: int, counter: int) -> None:
        """Raises OtherPairing if the account was paired anew."""
        from tocsin.keys.account import save_login

        save_login(self._context, incarnation, login_counter=counter)

    def save_routing_info(self, incarnation: int, routing_info: bytes) -> None:
        """Raises OtherPairing if the account was paired anew."""
        from tocsin.keys.account import save_login

        save_login(self._context, incarnation, routing_info=routing_info)

    def reset_sessions(self, notifications_table: Table | None = None) -> Credentials:
        """Leave all sessions behind: after a backup was restored, before the connector connects again.

        Raises the incarnation, deletes the one-time prekeys, makes a signed one, and skips ids. The connector
        uploads new ones at its next login (the operator's request `reconnect` has it log in again).
        `notifications_table`: its high-water mark tells how far the account had got, and is raised at once,
        because the same backup may be restored again.
        """
        from tocsin.keys.account import raise_incarnation, read_credentials
        from tocsin.keys.high_water_mark import reached, read_high_water_mark, record
        from tocsin.keys.prekeys import delete_prekeys

        before = (
            read_high_water_mark(notifications_table, self.name) if notifications_table is not None else None
        )
        beyond = reached(read_credentials(self._context), before)
        raise_incarnation(self._context, skip_prekey_ids=SKIPPED_PREKEY_IDS, beyond=beyond)
        delete_prekeys(self._context)
        if notifications_table is not None:
            record(self._context, notifications_table)
        return read_credentials(self._context)

    def record_high_water_mark(self, notifications_table: Table) -> None:
        """Write into the notifications table how far these keys are, so that a restored backup is noticed.

        Raises KeysBehind if one was.
        """
        from tocsin.keys.high_water_mark import record

        record(self._context, notifications_table)

    def new_prekeys(self, count: int) -> list[PreKey]:
        """Make and store one-time prekeys, to be uploaded next."""
        from tocsin.keys.prekeys import new_prekeys

        return new_prekeys(self._context, count)

    def prekeys_to_offer(self, wanted: int) -> Offer:
        """What to upload so that the server has `wanted` more: first those that it never took. The rest is
        made; all are stored."""
        from tocsin.keys.prekeys import prekeys_to_offer

        return prekeys_to_offer(self._context, wanted)

    def note_offered(self, offer: Offer, incarnation: int) -> int:
        """The server took them; the oldest of too many are deleted. How many were. Raises OtherPairing."""
        from tocsin.keys.prekeys import note_offered

        return note_offered(self._context, offer, incarnation)

    def retry_prekey(self) -> PreKey:
        """Make and store one prekey, for one retry receipt."""
        from tocsin.keys.prekeys import retry_prekey

        return retry_prekey(self._context)

    def prekey_count(self) -> int:
        """How many prekeys are unspent on our side."""
        from tocsin.keys.prekeys import prekey_count

        return prekey_count(self._context)

    def new_signed_prekey(self) -> DatedPreKey:
        """Make and store the next signed prekey. Upload it, then call `adopt_signed_prekey`.

        The current one stays until then; those replaced more than 60 days ago are deleted.
        """
        from tocsin.keys.account import new_signed_prekey

        return new_signed_prekey(self._context)

    def adopt_signed_prekey(self, prekey_id: int) -> None:
        """The server has it: it is the current one."""
        from tocsin.keys.account import adopt_signed_prekey

        adopt_signed_prekey(self._context, prekey_id)

    def limits(self) -> dict[str, Limit]:
        """The limits that hold now, by kind."""
        from tocsin.accounts.limits import read_limits

        return read_limits(self._context.table, self.name, self._context.clock())

    def limit(self, kind: str) -> Limit | None:
        """The limit of this kind, if it holds now."""
        from tocsin.accounts.limits import read_limit

        return read_limit(self._context.table, self.name, kind, self._context.clock())

    def halt(self) -> Halt | None:
        """Why the account doesn't connect by itself, as far as that was written down."""
        from tocsin.accounts.halts import read_halt

        return read_halt(self._context.table, self.name)

    def note_halt(self, halt: Halt) -> None:
        """Write down why the account doesn't connect by itself."""
        from tocsin.accounts.halts import note_halt

        note_halt(self._context.table, self.name, halt)

    def clear_halt(self) -> None:
        """It may connect again."""
        from tocsin.accounts.halts import clear_halt

        clear_halt(self._context.table, self.name)

    def was_deaf(self) -> bool:
        """Whether a process ended within the last hour because the account's sockets were deaf."""
        from tocsin.accounts.halts import was_deaf

        return was_deaf(self._context.table, self.name, self._context.clock())

    def note_deaf(self) -> None:
        """This process ends because the account's sockets are deaf."""
        from tocsin.accounts.halts import note_deaf

        note_deaf(self._context.table, self.name, self._context.clock())

    def note_limit(self, limit: Limit, *, guessed: bool = False) -> Limit:
        """Write down a limit that was heard of; what counts then. See `limits.note_limit`."""
        from tocsin.accounts.limits import note_limit

        return note_limit(self._context.table, self.name, limit, guessed=guessed)

    def first_contacts_limit(self, *, urgent: bool = False) -> Limit | None:
        """What keeps the account from (`urgent`) first contacts now; `None`: nothing does."""
        from tocsin.accounts.limits import first_contacts_limit

        return first_contacts_limit(self._context.table, self.name, self._context.clock(), urgent=urgent)

    def quota(self) -> Quota | None:
        """The quota of new chats, as WhatsApp told it last."""
        from tocsin.accounts.quota import read_quota

        return read_quota(self._context.table, self.name)

    def note_quota(self, quota: Quota) -> Quota | None:
        """Write it down; what stood there before."""
        from tocsin.accounts.quota import note_quota

        return note_quota(self._context.table, self.name, quota)

    def note_challenge(self, challenge: Challenge) -> None:
        """WhatsApp asks the owner for a security check."""
        from tocsin.accounts.challenge import note_challenge

        note_challenge(self._context.table, self.name, challenge)

    def login_refusal(self) -> LoginRefusal | None:
        """What WhatsApp said when it last refused the login; `None` if it has accepted one since."""
        from tocsin.accounts.login_refusal import read_refusal

        return read_refusal(self._context.table, self.name)

    def note_login_refusal(self, refusal: LoginRefusal, stanza: bytes) -> None:
        """Keep it. `stanza`: all of it, which is sealed."""
        from tocsin.accounts.login_refusal import note_refusal

        context = self._context
        note_refusal(context.table, context.sealer, self.name, refusal, stanza, context.random(12))

    def forget_login_refusal(self) -> None:
        from tocsin.accounts.login_refusal import forget_refusal

        forget_refusal(self._context.table, self.name)
