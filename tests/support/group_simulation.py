"""A group in the world of `simulation`: several Lambdas send and read, members come, leave and write.

Each operation stops before every request to the table, and meets contention, lost answers and crashes there.
Messages reach each device in the order in which they were handed over, as WhatsApp delivers them.

    no iteration of a sender key is used for two messages
    who was a member when a message was handed over can read it, and keeps what he reads to himself
    who left before a send began can't read what it sent
    whatever a member writes is read by us, and yields its text to whoever asks again
"""

from dataclasses import dataclass, field

from tests.support.key_peers import Entropy
from tests.support.key_simulation import KeySimulation, LambdaEnds, Violation
from tocsin.keys.errors import Contended, NoOutbound
from tocsin.keys.sender_keys import GroupReservation
from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import NoSession, SignalError
from tocsin.signal.sender_key import SenderKeyRecord
from tocsin.signal.wire import parse_sender_key_message

GROUP = "120363000000000001@g.us"


@dataclass
class Member:
    """A member's device. `ours`: our keys as it has them. `theirs`: its own key."""

    name: tuple[str, int]
    entropy: Entropy
    ours: SenderKeyRecord | None = None
    inbox: list[tuple[bytes | None, bytes, bytes]] = field(default_factory=list)
    theirs: sender_key.SenderKey | None = None
    distribution: bytes = b""

    def read(self) -> None:
        """The next stanza: the key first, if one came along, then the message."""
        distribution, message, text = self.inbox.pop(0)
        if distribution is not None:
            self.ours = sender_key.process(self.ours, distribution)
        try:
            found, self.ours = sender_key.decrypt(self.ours, message)
        except SignalError as error:
            raise Violation(f"{self.name} can't read a message: {error!r}") from error
        if found != text:
            raise Violation("another text than was sent")

    def say(self, text: bytes) -> tuple[bytes, bytes]:
        """What distributed its key when it was new, and a message under it."""
        if self.theirs is None:
            self.theirs = sender_key.create(
                int.from_bytes(self.entropy(3), "big"), self.entropy(32), key_pair(self.entropy(32))
            )
            self.distribution = sender_key.distribution(self.theirs)
        key = self.theirs
        message = sender_key.encrypt(key, key.iteration, plaintext=text, entropy=self.entropy(64))
        self.theirs = sender_key.advance(key, key.iteration + 1)
        return self.distribution, message


class GroupSimulation(KeySimulation):
    """Our account in one group. `members`: who is in it now; `gone`: who left."""

    def __init__(self, seed: int, *, hostility: float = 1) -> None:
        super().__init__(seed, hostility=hostility)
        self.seed = seed
        self.members: list[Member] = []
        self.gone: list[Member] = []
        self.counted_members = 0
        self.places: dict[tuple[int, int], bytes] = {}
        self.letters: list[tuple[Member, bytes, bytes, bytes]] = []
        self.unheard: dict[bytes, tuple[Member, bytes, bytes, bytes]] = {}
        for _ in range(3):
            self.join()

    def _begin(self) -> None:
        operations = {
            self.send: 6,
            self.member_reads: 8,
            self.member_writes: 3,
            self.receive: 4,
            self.join: 0.4,
            self.leave: 0.4,
            self.asks_again: 0.5,
        }
        self.dice.choices(list(operations), list(operations.values()))[0]()

    def _settle(self) -> None:
        while self.tasks:
            self._step(self.dice.choice(self.tasks))
        while self.later:
            self._arrive_late()
        self.letters.extend(self.unheard.values())
        while self.letters:
            self.receive()
            while self.tasks:
                self._step(self.tasks[0])
        self.send()
        while self.tasks:
            self._step(self.tasks[0])
        while any(member.inbox for member in self.members):
            self.member_reads()
        if self.unheard:
            raise Violation("a member's message was not read")
        if self.end.damages:
            raise Violation(f"{self.end.damages[0]}, and nobody damaged anything")

    # The members

    def join(self) -> None:
        self.counted_members += 1
        name = (f"{self.counted_members}@lid", self.counted_members % 3)
        self.members.append(Member(name, Entropy(f"{name} {self.seed}")))

    def leave(self) -> None:
        """The server takes him out, then tells us; when we have heard of it, the key is discarded."""
        if len(self.members) < 2:
            return
        member = self.members.pop(self.dice.randrange(len(self.members)))
        member.inbox.clear()

        def leaving() -> None:
            while True:
                try:
                    self.store.groups.discard_sender_key(self.end.profile, GROUP)
                    break
                except (Contended, LambdaEnds):
                    continue  # the queue brings the notification again
            self.gone.append(member)

        self._task(leaving)

    def member_reads(self) -> None:
        waiting = [member for member in self.members if member.inbox]
        if waiting:
            self.dice.choice(waiting).read()

    def member_writes(self) -> None:
        member = self.dice.choice(self.members)
        if self.dice.random() < 0.2:
            member.theirs = None  # somebody left whom we needn't know
        text = self._text()
        letter = (member, *member.say(text), text)
        self.letters.append(letter)
        self.unheard[text] = letter

    def asks_again(self) -> None:
        """A device lost our key, and said so."""
        member = self.dice.choice(self.members)
        if member.inbox or self.tasks:
            return
        member.ours = None

        def clearing() -> None:
            while True:
                try:
                    self.store.groups.hand_out_key(self.end.profile, GROUP, *member.name)
                    return
                except (Contended, LambdaEnds):
                    continue

        self._task(clearing)
        while self.tasks:
            self._step(self.tasks[0])

    # Our side

    def send(self) -> None:
        text, gone = self._text(), list(self.gone)

        def sending() -> None:
            try:
                self._send_to_group(text, gone)
            except Contended:
                return

        self._task(sending)

    def _send_to_group(self, text: bytes, gone: list[Member]) -> None:
        """As `multidevice.group_send` does it."""
        keys, profile = self.store, self.end.profile
        reservation, seen = None, None
        for _ in range(6):
            try:
                reservation = keys.groups.reserve(profile, GROUP)
                if reservation.staleness is None and not self._strangers(reservation):
                    break
                seen = reservation.tag
            except NoOutbound:
                seen = None
            keys.groups.make_sender_key(profile, GROUP, seen=seen)
        else:
            raise Contended
        had = keys.groups.holders(reservation)
        needy = [member.name for member in self.members if not had.get(member.name)]
        if needy:
            keys.groups.offer_key(reservation, needy)
        message = self._encrypted(reservation, text)
        # Handed over: whoever is in the group now gets it, the key only who was thought to need it.
        distribution = reservation.distribution()
        told = {*needy, *(name for name, at in had.items() if at)}
        for member in self.members:
            if member.name in told:
                key = distribution if member.name in needy else None
                member.inbox.append((key, message, text))
        for member in gone:
            self._assert_unreadable(member, message)
        keys.groups.confirm_key(reservation, needy)
        keys.groups.checkpoint(reservation)

    def _strangers(self, reservation: GroupReservation) -> bool:
        """Whether somebody may have the key who is not in the group."""
        present = {member.name for member in self.members}
        return bool(self.store.groups.holders(reservation).keys() - present)

    def _encrypted(self, reservation: GroupReservation, text: bytes) -> bytes:
        message = reservation.encrypt(text, self.end.entropy(64))
        parsed = parse_sender_key_message(message)
        place = parsed.key_id, parsed.iteration
        if place in self.places:
            raise Violation(f"iteration {parsed.iteration} used twice")
        self.places[place] = text
        return message

    def _assert_unreadable(self, member: Member, message: bytes) -> None:
        try:
            sender_key.decrypt(member.ours, message)
        except NoSession:
            return
        raise Violation(f"{member.name} left, and can read on")

    def receive(self) -> None:
        if not self.letters:
            return
        letter = self._drawn(self.letters)
        member, distribution, message, text = letter
        if self.dice.random() < 0.1:
            self.letters.append(letter)

        def receiving() -> None:
            incarnation, (user, device) = self.end.profile.incarnation, member.name
            try:
                self.store.groups.take_sender_key(incarnation, GROUP, user, device, distribution)
                received = self.store.groups.receive(incarnation, GROUP, user, device, text.hex(), message)
            except (Contended, LambdaEnds):
                self.letters.append(letter)
                raise
            if received.plaintext is not None and received.plaintext != text:
                raise Violation("another text than was written")
            self.unheard.pop(text, None)

        self._task(lambda: self._unless_contended(receiving))
