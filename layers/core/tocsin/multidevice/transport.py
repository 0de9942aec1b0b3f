"""WhatsApp multi-device as a transport: a ciphertext for each device of the recipient and of our own account.

    address ── reserve (recipient and own account, in parallel) ── encrypt ── hand over ── ack
       └ usync        └ device list, bundles, turn, reserve again

Nothing leaves before the numbers it uses are durably taken; no key material outlives a call.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tocsin.connector_client.errors import ConnectorError
from tocsin.keys.errors import Contended, NoAccount, NoOutbound, NotPaired, OtherPairing
from tocsin.multidevice.account import Account, Connector
from tocsin.multidevice.compose import compose, plaintext_for
from tocsin.multidevice.numbers import NUMBER_DOUBTED, NumberOwners, held_back
from tocsin.multidevice.privacy_tokens import Tokens
from tocsin.multidevice.refusals import failure_of_answer, failure_of_connector
from tocsin.multidevice.socket import RememberedLeases, Socket, pace_of
from tocsin.notify.content import Content, File
from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.transport import Address, Outgoing, Sent
from tocsin.sealing import DamagedRecord
from tocsin.signal.padding import pad
from tocsin.tables.names import is_group, is_lid, message_id_of, user_of
from tocsin.timestamps import from_seconds, is_recent
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.message import message_stanza, peer_message_stanza

if TYPE_CHECKING:
    from tocsin.keys.account import AccountProfile
    from tocsin.keys.privacy_tokens import Trust
    from tocsin.keys.reserve import Reservation
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.uploads import Uploads
    from tocsin.signal.session import Ciphertext
    from tocsin.whatsapp.media import Upload
    from tocsin.whatsapp.message import MessageAck
    from tocsin.whatsapp.outgoing import OutgoingMessage

log = logging.getLogger(__name__)

DEVICE_LIST_SECONDS = 24 * 3600
# Every send reserves with our own account: one in so many asks for its list in time, others an hour later.
SENDS_PER_ASKER = 16
MAX_PREPARATIONS = 3
# Second reservations at a time: one for each lane of an invocation.
MAX_SIDE_BY_SIDE = 10
PHONE = 0

# Refusals after which the device lists are asked for anew, and those after which the address is.
STALE_DEVICES = frozenset({"malformed", "not-allowed", "stale-devices", "unknown-recipient", "no-bundles"})
STALE_ADDRESS = frozenset({"malformed", "not-allowed", "unknown-recipient", "no-lid", NUMBER_DOUBTED})


@dataclass(frozen=True)
class Parcel:
    """Ciphertexts for one message, and the reservations they were made with (by user).

    `copies`: for each device (full JID) its ciphertext's type and index. `left_out`: who got none, and why.
    """

    message: OutgoingMessage
    recipients: tuple[tuple[JID, Ciphertext], ...]
    reservations: Mapping[str, Reservation]
    copies: Mapping[str, str]
    left_out: Mapping[str, str]

    @property
    def numbers(self) -> dict[str, int]:
        return {reservation.user: reservation.number for reservation in self.reservations.values()}


class MultiDevice:
    """The transport. One object per Lambda container, for several threads at a time: what belongs to one
    message lives in its call; what is remembered (profiles, leases, salts) is replaced whole, and read again
    after a refusal."""

    def __init__(
        self,
        open_keys: Callable[[str], KeyStore],
        connector: Connector,
        leases: RememberedLeases,
        numbers: NumberOwners,
        *,
        uploads: Callable[[], Uploads] | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        beside: Executor | None = None,
    ) -> None:
        """`beside`: where the second of two reservations is taken; a thread, if nothing else is said."""
        self._open_keys = open_keys
        self._connector = connector
        self._leases = leases
        self._numbers = numbers
        self.socket = Socket(open_keys, leases, self.forget, clock=clock)
        self._uploads = cache(uploads or _no_uploads)
        self._clock = clock
        self._random = random
        self._profiles: dict[str, AccountProfile] = {}
        self._beside = beside or ThreadPoolExecutor(
            max_workers=MAX_SIDE_BY_SIDE, thread_name_prefix="reserve"
        )
        self._tokens = Tokens(clock)

    def address_of(self, account: str, recipient: str, known: Mapping[str, Any] | None) -> Address | None:
        """Return the remembered address of `recipient`, `None` for a first contact. A LID is one itself, and
        so is a group of which anything is remembered."""
        if known is None and not is_lid(recipient):
            return None
        if is_group(recipient):
            return Address(recipient, trust=known or {})
        number = user_of(recipient)
        told = self._open_keys(account).contacts.open_known(number, known)
        if is_lid(recipient):
            return Address(recipient, told.pn if told is not None else None, trust=known or {})
        if told is None or known is None:
            return None
        is_due, is_held = self._numbers.is_due(told), self._numbers.is_held(told)
        return Address(told.lid, number, is_due, is_held, trust=known)

    def takes(self, account: str, recipient: str, content: Content) -> bool:
        return True

    def check(self, account: str, *, resumed: bool) -> None:
        self.socket.check(account, resumed=resumed)

    def account(self, name: str) -> Account:
        """Return the account as this call shall see it. Raises `Wait`, `Permanent`."""
        keys = self._open_keys(name)
        profile = self._profiles.get(name)
        if profile is None:
            try:
                profile = self._profiles[name] = keys.account.profile()
            except NotPaired as error:
                raise Wait("unpaired", str(error)) from error
            except NoAccount as error:
                raise Permanent("unknown-account", str(error)) from error
            except DamagedRecord as error:
                raise damaged_account(error) from error
        return Account(keys, profile, self._connector, self._numbers)

    def forget(self, name: str) -> None:
        """Drop what is remembered of an account, after somebody refused it."""
        self._profiles.pop(name, None)
        self._leases.forget(name)
        self._tokens.forget(name)

    def send(self, outgoing: Outgoing) -> Sent:
        """Deliver one message to every device; return once the server accepted it. Raises `Failure`."""
        try:
            account = self.account(outgoing.account)
            if is_group(outgoing.recipient):
                return self._send_to_group(account, outgoing)
            return self._send(account, outgoing)
        except ConnectorError as error:
            self.forget(outgoing.account)
            failure = failure_of_connector(error, earlier=outgoing.earlier, now=self._now_ms())
            raise self.socket.heed(outgoing.account, failure) from error
        except OtherPairing as error:
            self.forget(outgoing.account)
            raise Recover("incarnation", str(error)) from error
        except Contended as error:
            raise Retry("contended", str(error)) from error
        except DamagedRecord as error:
            raise damaged_account(error) from error
        except WireError as error:
            failure = failure_of_answer(error, earlier=outgoing.earlier, now=self._now_ms())
            raise self.socket.heed(outgoing.account, failure) from error

    def _send_to_group(self, account: Account, outgoing: Outgoing) -> Sent:
        from tocsin.multidevice.group_send import GroupPost

        upload = self._uploaded(account, outgoing)
        hand_over = self._hand_over_of(account, outgoing)
        post = GroupPost(account, outgoing, hand_over, upload, clock=self._clock, random=self._random)
        return replace(post.send(), settle=post.settle)

    def _send(self, account: Account, outgoing: Outgoing) -> Sent:
        address = self._address(account, outgoing)
        refresh = bool(STALE_DEVICES.intersection(outgoing.earlier))
        # A number that is taken and not used is a gap, so whatever can fail comes before.
        upload = self._uploaded(account, outgoing)
        reservations, unreachable = self._reservations(
            account, address, refresh=refresh, strict=not is_lid(outgoing.recipient)
        )
        timer = account.keys.contacts.open_timer(account.own_user, address.user, address.trust)
        message = compose(outgoing.content, address.user, account.own_device, upload, timer)
        parcel = self._pack(account, address, message, reservations)
        trust = self._tokens.trust(account, address)
        ack = self._hand_over(account, address, outgoing, parcel, trust)

        def settle() -> None:
            """Move the checkpoints where they lag, and introduce us to whom it was sent."""
            for reservation in reservations.values():
                account.keys.sending.checkpoint(reservation, reservation.chains)
            self._tokens.issue(account, address.user, trust)

        rest = self._complete(account, address, outgoing, parcel) if ack.phash else {}
        if ack.refresh_lid:
            self._relocate(account, outgoing)
        copies = {**parcel.copies, **rest}
        return Sent(
            numbers=parcel.numbers,
            devices=len(parcel.recipients),
            copies=copies,
            left_out={**parcel.left_out, **_named(unreachable, besides=copies)},
            recipient_lid=address.lid,
            settle=settle,
        )

    def _address(self, account: Account, outgoing: Outgoing) -> Address:
        """Where the recipient lives; asked for, where that isn't known or no longer right."""
        address = outgoing.address
        if outgoing.first_contact and address is None:
            # Of those whose address is known already the connector takes care, which costs no read.
            self.socket.check_first_contacts(account, urgent=outgoing.urgent)
        if is_lid(outgoing.recipient):  # WhatsApp is asked about numbers, and here is none
            return address or Address(outgoing.recipient)
        if address is not None and address.is_held:
            raise held_back(self._now_ms())
        is_stale = address is None or address.is_due or STALE_ADDRESS.intersection(outgoing.earlier)
        if address is not None and not is_stale:
            return address
        from tocsin.multidevice.directory import locate

        address = locate(account, outgoing.recipient, now=self._now_ms(), recheck=outgoing.recheck)
        outgoing.on_located(address.user)
        return address

    def tell_phone(self, account: Account, message_id: str, message: bytes) -> None:
        """Send a control message (a serialised Message) to our own phone alone. Raises `Failure`."""
        own = Address(account.own_user)
        reservations, _ = self._reservations(account, own, refresh=False)
        reservation = reservations.get(own.user)
        if reservation is None or reservation.staleness(PHONE) is not None:
            raise Recover("no-session", "there is no session with our own phone")
        ciphertext = reservation.encrypt(PHONE, account.profile, pad(message, self._random(1)))
        stanza = peer_message_stanza(
            message_id,
            JID.parse(account.profile.jid).bare,
            ciphertext,
            device_identity=account.profile.device_identity,
        )
        self.socket.hand_over(account, stanza)

    def _uploaded(self, account: Account, outgoing: Outgoing) -> Upload | None:
        """What is uploaded of an attachment, now or at an earlier try; `None` for other contents."""
        if not isinstance(outgoing.content, File):
            return None
        return self._uploads().of_message(
            account, message_id_of(outgoing.notification), outgoing.content.attachment
        )

    # -- reserving --------------------------------------------------------------------------------------

    def _reservations(
        self, account: Account, address: Address, *, refresh: bool, strict: bool = True
    ) -> tuple[dict[str, Reservation], dict[tuple[str, int], int]]:
        """Reserve for the recipient and for our own account, making sessions where they are missing.

        Also returns the devices that no session could be made with, each with the error of its bundle.
        `strict`: as in `directory.device_lists`.
        """
        users = list(dict.fromkeys((address.user, account.own_user)))
        found = self._reserve(account, users)
        asked: set[str] = set()
        unreachable: dict[tuple[str, int], int] = {}
        for _ in range(MAX_PREPARATIONS):
            needy = {
                user: stale
                for user in users
                if (stale := self._need(user, found[user], unreachable, refresh=refresh, asked=asked))
                is not None
            }
            if not needy:
                break
            unreachable.update(self._prepare(account, address, found, needy, strict))
            asked.update(needy)
        taken = {user: reservation for user, reservation in found.items() if reservation is not None}
        return taken, unreachable

    def _need(
        self,
        user: str,
        reservation: Reservation | None,
        unreachable: Mapping[tuple[str, int], int],
        *,
        refresh: bool,
        asked: set[str],
    ) -> frozenset[int] | None:
        """Return the devices of a user that need another session, `None` if nothing is to be asked.

        An empty set: the device list alone is missing or out of date.
        """
        if reservation is None:
            return None if user in asked else frozenset()
        stale = {
            device for device in reservation.in_need(reservation.chains) if (user, device) not in unreachable
        }
        lasts = list_lifetime(reservation.number)
        outdated = refresh or not is_recent(reservation.checked_at, self._clock(), lasts)
        return frozenset(stale) if stale or (outdated and user not in asked) else None

    def _prepare(
        self,
        account: Account,
        address: Address,
        found: dict[str, Reservation | None],
        needy: Mapping[str, frozenset[int]],
        strict: bool,
    ) -> dict[tuple[str, int], int]:
        """Ask for lists and bundles, make sessions, and reserve again, into `found`. Return who has none,
        with the error of its bundle."""
        from tocsin.multidevice.directory import Bundles, Need, blame, prepare

        needs = {user: Need(found[user], stale) for user, stale in needy.items()}
        bundles = prepare(account, needs, strict=strict)
        found.update(self._reserve(account, list(needy)))
        if found[address.user] is None:
            raise blame(bundles.get(address.user, Bundles()))
        refused = {user: found_bundles.refused for user, found_bundles in bundles.items()}
        return {(user, device): code for user in refused for device, code in refused[user].items()}

    def _reserve(self, account: Account, users: list[str]) -> dict[str, Reservation | None]:
        """Take a number of each user (at most two) at the same time: they are two round trips."""
        if len(users) == 1:
            return {users[0]: _reserve_one(account, users[0])}
        first, second = users
        beside = self._beside.submit(_reserve_one, account, second)
        try:
            taken = _reserve_one(account, first)
        finally:
            other = beside.result()
        return {first: taken, second: other}

    # -- encrypting and handing over --------------------------------------------------------------------

    def _pack(
        self,
        account: Account,
        address: Address,
        message: OutgoingMessage,
        reservations: Mapping[str, Reservation],
        only: Mapping[str, Iterable[int]] | None = None,
    ) -> Parcel:
        """Encrypt for every device, or `only` for some. Raises `Recover` if none is the recipient's."""
        recipients: list[tuple[JID, Ciphertext]] = []
        copies: dict[str, str] = {}
        left_out: dict[str, str] = {}
        for asked, reservation in reservations.items():
            devices = reservation.chains if only is None else only.get(asked, ())
            plaintext = plaintext_for(account, address.user, reservation.user, message, self._random)
            for device in sorted(devices):
                jid = JID.parse(reservation.user).with_device(device)
                stale = reservation.staleness(device)
                if stale is not None:
                    left_out[str(jid)] = stale.value.partition(":")[0]
                    continue
                ciphertext = reservation.encrypt(device, account.profile, plaintext)
                recipients.append((jid, ciphertext))
                index = reservation.chains[device].index_of(reservation.number)
                copies[str(jid)] = f"{ciphertext.type} {index}"
        to_recipient = reservations.get(address.user)
        if only is None and not any(
            to_recipient is not None and str(jid.chat) == to_recipient.user for jid, _ in recipients
        ):
            raise Recover("no-session", "no device of the recipient has a usable session")
        return Parcel(message, tuple(recipients), reservations, copies, left_out)

    def _hand_over(
        self,
        account: Account,
        address: Address,
        outgoing: Outgoing,
        parcel: Parcel,
        trust: Trust | None = None,
    ) -> MessageAck:
        """Give the stanza to the connector and read the server's ack. Raises `Failure`, with its numbers.

        `trust`: `None` for devices that were missed, which the message itself has gone before.
        """
        token = secret = None
        if trust is not None:
            token, secret = self._tokens.attached(account, address.user, trust)
        stanza = message_stanza(
            message_id_of(outgoing.notification),
            JID.parse(parcel.reservations[address.user].user),
            parcel.recipients,
            kind=parcel.message.kind,
            device_identity=account.profile.device_identity,
            peer_recipient_pn=JID.parse(address.phone) if address.phone else None,
            privacy_token=token,
            contact_secret=secret,
            device_fanout=trust is not None,
        )
        return self._hand_over_of(account, outgoing)(stanza, parcel.numbers, parcel.copies)

    def _hand_over_of(self, account: Account, outgoing: Outgoing) -> Callable[..., MessageAck]:
        """Return `Socket.hand_over` for the stanzas of one message."""
        return partial(
            self.socket.hand_over,
            account,
            earlier=outgoing.earlier,
            resumed=outgoing.resumed,
            first_contact=outgoing.first_contact,
            pace=pace_of(outgoing),
        )

    # -- what an ack may ask for ------------------------------------------------------------------------

    def _complete(
        self, account: Account, address: Address, outgoing: Outgoing, parcel: Parcel
    ) -> Mapping[str, str]:
        """The server knows other devices than we: send the same message once more, to the missing ones alone.
        Return their copies.

        The message is accepted already, so whatever fails here is told and left; the next send asks again.
        """
        from tocsin.multidevice.directory import Need, prepare

        try:
            addressed = {(str(jid.chat), jid.device) for jid, _ in parcel.recipients}
            prepare(account, {user: Need(found) for user, found in parcel.reservations.items()})
            again = self._reserve(account, list(parcel.reservations))
            found = {user: reservation for user, reservation in again.items() if reservation is not None}
            missing = {
                user: [device for device in found[user].chains if (found[user].user, device) not in addressed]
                for user in found
            }
            if any(missing.values()):
                rest = self._pack(account, address, parcel.message, found, only=missing)
                self._hand_over(account, address, outgoing, rest)
                return rest.copies
        except (Failure, ConnectorError, Contended, WireError) as error:
            log.warning("devices were missed", extra={"cause": getattr(error, "code", str(error))})
        return {}

    def _relocate(self, account: Account, outgoing: Outgoing) -> None:
        """The LID that was used is outdated: ask for the number's present one, for the next time."""
        if is_lid(outgoing.recipient):
            return
        from tocsin.multidevice.directory import locate

        try:
            locate(account, outgoing.recipient, now=self._now_ms())
        except (Failure, ConnectorError, Contended, WireError) as error:
            log.warning("the LID could not be refreshed", extra={"cause": getattr(error, "code", str(error))})

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _no_uploads() -> Uploads:
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.attachments import Bucket

    return Uploads(Bucket(None, ""))


def damaged_account(error: DamagedRecord) -> Wait:
    """Return the failure of an account whose secrets are damaged. Nothing replaces them, so everything waits
    until an operator has looked. Damaged sessions are replaced and never come here."""
    log.error("%s", error)
    return Wait("damaged-account", str(error))


def list_lifetime(number: int) -> int:
    """Return for how many seconds a device list holds, for the holder of this number.

    Not the same for all, or a day after a burst every sender of it would ask for one and the same list.
    """
    return DEVICE_LIST_SECONDS + (3600 if number % SENDS_PER_ASKER else 0)


def _named(unreachable: Mapping[tuple[str, int], int], besides: Collection[str]) -> dict[str, str]:
    """Return the devices that got nothing for want of a bundle, by full JID, each with why."""
    from tocsin.multidevice.directory import why_left_out

    named = {
        str(JID.parse(user).with_device(device)): why_left_out(code)
        for (user, device), code in unreachable.items()
    }
    return {jid: why for jid, why in named.items() if jid not in besides}


def _reserve_one(account: Account, user: str) -> Reservation | None:
    try:
        return account.keys.sending.reserve(account.profile, user)
    except NoOutbound:
        return None
