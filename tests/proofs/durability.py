"""One account's keys through all that may befall what is stored: no message key reaches the wire twice.

A life is a row of steps drawn from one seed. At each request to the table anything may come in between: the
Lambda ends there, the request fails, its answer is lost, or another step is done whole, and in that another.
Backups are made and restored. The wire (the connector) takes a message only from a Lambda whose incarnation
is the one it logged in with, and none between a restore and the reset that must follow it.

Violation says that one of these does not hold:

    no index of a sending chain reaches the wire in two messages
    no one-time prekey id is offered with two keys
    what reaches a phone in an order it can follow is read there, and its text comes out once
    what we read comes out with its text, whoever asks again
"""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.support.key_peers import Clock, End, Entropy
from tests.support.key_simulation import LID, PN, US, LambdaEnds, Violation, household
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown
from tocsin.dynamo.writes import Item, Key
from tocsin.keys.account import AccountProfile, Credentials
from tocsin.keys.errors import Contended, KeysBehind, KeyStoreError, NoOutbound, OtherPairing, StaleChain
from tocsin.keys.high_water_mark import record
from tocsin.keys.maintenance import DAY, Limits
from tocsin.keys.reserve import Reservation
from tocsin.keys.store import KeyStore
from tocsin.signal.errors import SignalError
from tocsin.signal.session import Ciphertext, parse
from tocsin.signal.wire import PreKeyMessage, SignalMessage
from tocsin.signal.x3dh import PreKeyBundle

STEPS = {
    "send": 10,
    "phone_reads": 8,
    "phone_writes": 6,
    "receive": 6,
    "rebuild": 0.7,
    "archive": 0.5,
    "clean": 0.4,
    "list_devices": 0.5,
    "remove_device": 0.3,
    "learn": 0.3,
    "tend": 0.5,
    "offer_prekeys": 0.4,
    "phone_meets": 0.5,
    "record": 0.6,
    "back_up": 0.5,
    "restore": 0.25,
    "pair_again": 0.1,
}
# What comes in between a request and the next: all but what an operator does while nothing runs.
AT_ANY_MOMENT = {name: weight for name, weight in STEPS.items() if name not in ("back_up", "restore")}
MISHAPS = {
    "end": 0.01,
    "end after": 0.01,
    "contention": 0.02,
    "lost": 0.01,
    "lost after": 0.01,
    "between": 0.1,
}
DEEPEST = 2
"""How many steps may lie within each other."""
DISORDER = 4
"""How many messages may overtake one on its way: fewer than a session keeps receiving chains."""

T = TypeVar("T")


@dataclass(frozen=True)
class Backup:
    """The keys table as it once was. The notifications table has backups of its own."""

    items: dict[Key, Item]


@dataclass(frozen=True)
class Letter:
    """A message of a phone, as the server delivers it and delivers it again."""

    device: int
    stanza_id: str
    message: Ciphertext
    text: bytes
    incarnation: int


class Machine:
    """An account, a user with two devices, the wire between them, and the dice."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._table, self._outside = MemoryTable(), MemoryTable()
        self._clock, self._entropy = Clock(), Entropy(f"durability {seed}")
        self._end = End(US, device=3, table=self._table, clock=self._clock, entropy=self._entropy)
        self._end.table.before = lambda name, argument: self._disturb(name, after=False)
        self._end.table.after = lambda name, argument: self._disturb(name, after=True)
        self._keys = self._end.keys
        self._phones = household((0, 6), lambda device: Entropy(f"{device} {seed}"))
        self._listed = [0]
        self._backups: list[Backup] = []
        # Lambdas remember the profile between their calls; the connector, what it logged in with.
        self._remembered: list[AccountProfile] = [self._end.profile]
        self._logged_in = self._end.profile.incarnation
        self._paired = self._end.profile.identity_public
        self._to_phones: list[tuple[int, Ciphertext, bytes]] = []
        self._to_us: list[Letter] = []
        self._offered: dict[int, bytes] = {}
        self._on_the_wire: dict[tuple[bytes, int], bytes] = {}
        self._texts = 0
        self._depth = -1  # mishaps begin with the first step
        self.figures: Counter[str] = Counter()

    def run(self, steps: int) -> None:
        """Live so many steps. Raises Violation."""
        for _ in range(steps):
            self._depth = 0
            self._step(STEPS)
        self._depth = -1
        while self._to_phones:
            self.phone_reads()
        if self._end.damages:
            raise Violation(f"{self._end.damages[0]}, and nobody damaged anything")

    # -- what may happen -----------------------------------------------------------------------------------

    def send(self) -> None:
        """A Lambda sends one notification: to each device once, however often it must begin anew."""
        profile = self._remembered[-1] if self._dice.random() < 0.8 else self._dice.choice(self._remembered)
        text, devices = self._text(), list(self._listed)
        user = self._user()
        for _ in range(4):
            try:
                reservation = self._keys.sending.reserve(profile, user)
                needy = reservation.in_need(devices)
            except NoOutbound:
                needy = devices
            if not needy:
                break
            bundles = {device: self._phones[device].bundle() for device in needy}
            self._keys.sending.make_sessions(
                profile,
                self._credentials(),
                user,
                bundles,
                devices=devices,
                account_key=self._phones[0].identity,
            )
        else:
            return
        reached = [
            device for device in devices if self._send_to(device, reservation, profile, text) is not None
        ]
        if reached and self._dice.random() < 0.5:
            self._keys.sending.checkpoint(reservation, reached)

    def phone_reads(self) -> None:
        if not self._to_phones:
            return
        device, message, text = self._drawn(self._to_phones)
        try:
            read = self._phones[device].read(message, int(self._clock.now))
        except SignalError as error:
            raise Violation(f"{type(error).__name__} at the phone for {text!r}") from error
        if read != text:
            raise Violation(f"the phone read {read!r} instead of {text!r}")
        self.figures["read by phones"] += 1

    def phone_writes(self) -> None:
        able = [phone for phone in self._phones.values() if phone.can_send]
        if able:
            phone, text = self._dice.choice(able), self._text()
            letter = Letter(phone.device, f"P{self._texts}", phone.say(text), text, self._logged_in)
            self._to_us.append(letter)

    def receive(self) -> None:
        """A Lambda reads a message. Only then it leaves the queue, and may come again even so."""
        if not self._to_us:
            return
        letter = self._drawn(self._to_us)
        try:
            received = self._keys.receiving.receive(
                letter.incarnation,
                self._credentials(),
                self._user(),
                letter.device,
                letter.stanza_id,
                letter.message.type,
                letter.message.body,
                voucher=self._phones[letter.device].voucher,
                account_key=self._phones[letter.device].account,
            )
        except (Contended, LambdaEnds, Contention, OutcomeUnknown):
            self._to_us.append(letter)
            raise
        except OtherPairing:
            self.figures["of an earlier pairing"] += 1
            return
        except SignalError:
            # After a reset and the like a phone goes on with a session of which we know nothing any more.
            self.figures["unread by us"] += 1
            return
        if received.plaintext is not None and received.plaintext != letter.text:
            raise Violation(f"{received.plaintext!r} instead of {letter.text!r}")
        self.figures["read by us"] += 1
        if self._dice.random() < 0.2:
            self._to_us.append(letter)
        if self._dice.random() < 0.5:
            self._keys.receiving.mark_handled(received)

    def rebuild(self) -> None:
        device = self._device()
        phone = self._phones[device]
        self._keys.sending.rebuild(
            self._profile(),
            self._credentials(),
            self._user(),
            device,
            phone.bundle(),
            account_key=phone.account,
        )

    def archive(self) -> None:
        self._clock.now += 3601
        self._keys.sending.mark_stale(self._profile(), self._user(), self._device())

    def clean(self) -> None:
        self._keys.upkeep.clean(self._profile(), self._user(), self._dice.choice([None, 0, 6]))

    def list_devices(self) -> None:
        self._listed = self._dice.choice([[0], [0, 6], [6]])
        self._keys.sending.touch_device_list(self._profile(), self._user(), self._listed)

    def remove_device(self) -> None:
        """It leaves a tombstone: what its chain had used stays used when the device is back."""
        self._keys.sending.remove_device(self._profile(), self._user(), self._device())

    def learn(self) -> None:
        """The sessions move to the LID."""
        self._keys.contacts.learn(PN, LID)
        self.figures["moves"] += 1

    def tend(self) -> None:
        self._clock.now += self._dice.choice([60, DAY, 8 * DAY])
        self._keys.upkeep.tend(self._profile(), self._user(), Limits())

    def offer_prekeys(self) -> None:
        for prekey in self._keys.account.new_prekeys(2):
            self._offer(prekey.id, prekey.pair.public)

    def phone_meets(self) -> None:
        """A phone makes a session of its own, from a bundle that the server has of us."""
        credentials, prekey = self._credentials(), self._keys.account.new_prekeys(1)[0]
        self._offer(prekey.id, prekey.pair.public)
        signed = credentials.signed_prekey
        bundle = PreKeyBundle(
            credentials.registration_id,
            credentials.identity.public,
            signed.id,
            signed.pair.public,
            signed.signature,
            prekey.id,
            prekey.pair.public,
        )
        self._phones[self._device()].meet(bundle, int(self._clock.now))

    def record(self) -> None:
        """Upkeep writes down how far the keys are."""
        record(self._keys._context, self._outside)

    def back_up(self) -> None:
        """A copy is made; what upkeep wrote down outside since the last copy was written before it."""
        self._quietly(self.record)
        self._backups = [*self._backups[-2:], Backup(deepcopy(self._table._items))]

    def restore(self) -> None:
        """A backup is restored over the table, and the operator does as BACKUPS.md says."""
        if self._backups:
            self._table._items = deepcopy(self._dice.choice(self._backups).items)
            self._quietly(self.after_restore)
            self.figures["restores"] += 1

    def after_restore(self) -> None:
        """A backup of an earlier pairing has been logged out since. By the time that it is paired again, no
        Lambda remembers anything."""
        self._keys.account.reset_sessions(self._outside)
        if self._credentials().identity.public == self._paired:
            self._log_in()
        else:
            self._remembered = []
            self.pair_again()

    def pair_again(self) -> None:
        """A log-out, new keys, another scan. The witness hears of it with the next round of upkeep."""
        self._logged_in = 0  # the server ended the connection; so it begins
        self._keys.account.renew()
        self._keys.account.save_pairing(
            jid="100:3@s.whatsapp.net", lid="100:3@lid", device_identity=b"identity"
        )
        self._paired, self._offered = self._credentials().identity.public, {}
        self._log_in()

    # -- the wire ------------------------------------------------------------------------------------------

    def _send_to(
        self, device: int, reservation: Reservation, profile: AccountProfile, text: bytes
    ) -> Ciphertext | None:
        try:
            message = reservation.encrypt(device, profile, text)
        except StaleChain:
            return None
        if not self.wire_takes(profile):
            self.figures["refused by the connector"] += 1
            return None
        inner, prekey_message = _inner(message)
        index = inner.ratchet_public, inner.counter
        if index in self._on_the_wire:
            raise Violation(f"index {inner.counter} for {self._on_the_wire[index]!r} and {text!r}")
        self._on_the_wire[index] = text
        self.figures["on the wire"] += 1
        self.figures["first messages"] += prekey_message
        self._to_phones.append((device, message, text))
        return message

    def wire_takes(self, profile: AccountProfile) -> bool:
        """The connector refuses whoever read the account before the pairing or reset it logged in after."""
        return profile.incarnation == self._logged_in

    def _log_in(self) -> None:
        self._logged_in = self._credentials().incarnation
        self._remembered = [*self._remembered[-2:], self._profile()]

    def _offer(self, prekey_id: int, public: bytes) -> None:
        if self._offered.setdefault(prekey_id, public) != public:
            raise Violation(f"prekey {prekey_id} offered with two keys")

    # -- mishaps -------------------------------------------------------------------------------------------

    def _step(self, weights: dict[str, float]) -> None:
        name = self._dice.choices(list(weights), list(weights.values()))[0]
        self.figures[name] += 1
        with contextlib.suppress(LambdaEnds, Contention, OutcomeUnknown, KeyStoreError):
            getattr(self, name)()

    def _disturb(self, request: str, *, after: bool) -> None:
        """Called before and after each request of a step."""
        if self._depth < 0:
            return
        writes = request in ("put", "update", "delete", "transact")
        for mishap, chance in MISHAPS.items():
            fits = mishap.endswith("after") == after and (writes or mishap in ("end", "between"))
            if fits and self._dice.random() < chance:
                self.figures[mishap] += 1
                self._befall(mishap)
                return

    def _befall(self, mishap: str) -> None:
        match mishap:
            case "end" | "end after":
                raise LambdaEnds
            case "contention":
                raise Contention
            case "lost" | "lost after":
                raise OutcomeUnknown
            case _ if self._depth < DEEPEST:
                self._depth += 1
                try:
                    self._step(AT_ANY_MOMENT)
                finally:
                    self._depth -= 1

    def _quietly(self, work: Callable[[], Any]) -> None:
        """Without mishaps: whoever does this by hand does it again until it is done."""
        depth, self._depth = self._depth, -1
        try:
            with contextlib.suppress(KeysBehind):
                work()
        finally:
            self._depth = depth

    # -- the dice ------------------------------------------------------------------------------------------

    def _drawn(self, waiting: list[T]) -> T:
        return waiting.pop(self._dice.randrange(min(len(waiting), DISORDER)))

    def _device(self) -> int:
        return self._dice.choice([0, 6])

    def _user(self) -> str:
        """Where we believe the user's sessions lie; an older Lambda may still believe otherwise."""
        return self._dice.choice([PN, LID]) if self.figures["moves"] else PN

    def _text(self) -> bytes:
        self._texts += 1
        return f"text {self._texts}".encode()

    def _credentials(self) -> Credentials:
        return self._keys.account.credentials()

    def _profile(self) -> AccountProfile:
        return self._keys.account.profile()


class Clean(Machine):
    """The same life with a fresh key store for each step: nothing may depend on what one remembers."""

    def _step(self, weights: dict[str, float]) -> None:
        self._keys: KeyStore = self._end.opened()
        super()._step(weights)


def _inner(message: Ciphertext) -> tuple[SignalMessage, bool]:
    parsed = parse(message.type, message.body)
    return (parsed.message, True) if isinstance(parsed, PreKeyMessage) else (parsed, False)
