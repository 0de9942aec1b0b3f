"""Two people with one device each, for tests that read as conversations.

`Person` keeps its record as a plain endpoint would: what an operation returns replaces what was there, and an
exception replaces nothing. Keys come from a counter, so a failing test fails the same way again.
"""

from hashlib import sha512

from tocsin.signal import session
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.session import Ciphertext, Decryption
from tocsin.signal.state import Record, State
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate

NOW = 1_700_000_000
DAY = 24 * 3600


class Entropy:
    """Bytes that no two calls share, the same in each run."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._count = 0

    def __call__(self, length: int) -> bytes:
        self._count += 1
        return sha512(self._name + self._count.to_bytes(4, "big")).digest()[:length]


class Person:
    def __init__(self, name: str, registration_id: int) -> None:
        self.entropy = Entropy(name)
        self.signed_prekey = self.pair()
        self.local = Local(self.pair(), registration_id, {1: self.signed_prekey})
        self.prekeys = {id: self.pair() for id in range(1, 6)}
        self.record: Record | None = None
        self.now = NOW
        self._offered = 100

    def pair(self) -> KeyPair:
        return key_pair(self.entropy(32))

    @property
    def identity(self) -> bytes:
        return self.local.identity.public

    @property
    def current(self) -> State:
        assert self.record is not None
        assert self.record.current is not None
        return self.record.current

    def bundle(self, prekey_id: int | None = 1) -> PreKeyBundle:
        signed = encode_point(self.signed_prekey.public)
        return PreKeyBundle(
            registration_id=self.local.registration_id,
            identity=self.identity,
            signed_prekey_id=1,
            signed_prekey=self.signed_prekey.public,
            signed_prekey_signature=sign(self.local.identity.private, signed, self.entropy(64)),
            prekey_id=prekey_id,
            prekey=None if prekey_id is None else self.prekeys[prekey_id].public,
        )

    def offer(self) -> PreKeyBundle:
        """A bundle with a one-time prekey that was never offered before."""
        self._offered += 1
        self.prekeys[self._offered] = self.pair()
        return self.bundle(self._offered)

    def start(self, bundle: PreKeyBundle) -> None:
        state = initiate(self.local, bundle, base=self.pair(), ratchet=self.pair(), now=self.now)
        self.record = session.start(self.record, state, self.now)

    def say(self, text: str) -> Ciphertext:
        self.record, message = session.send(self.record, local=self.local, plaintext=text.encode())
        return message

    def decrypt(self, message: Ciphertext) -> Decryption:
        """Decrypt and store."""
        parsed = session.parse(message.type, message.body)
        prekey = None
        if isinstance(parsed, PreKeyMessage) and parsed.prekey_id is not None:
            prekey = self.prekeys.get(parsed.prekey_id)
        opened = session.decrypt(
            self.record, parsed, self.local, prekey=prekey, ratchet=self.entropy(32), now=self.now
        )
        self.record = opened.record
        if opened.consumed_prekey is not None:
            del self.prekeys[opened.consumed_prekey]
        return opened

    def hear(self, message: Ciphertext) -> str:
        return self.decrypt(message).plaintext.decode()

    def reinstall(self) -> None:
        """A new identity and new prekeys under the same address; no memory of any session."""
        self.signed_prekey = self.pair()
        self.local = Local(self.pair(), self.local.registration_id + 1, {1: self.signed_prekey})
        self.prekeys = {id: self.pair() for id in range(1, 6)}
        self.record = None


def strangers() -> tuple[Person, Person]:
    """Ada and Ben, who never wrote to each other."""
    return Person("ada", 11), Person("ben", 22)


def acquainted() -> tuple[Person, Person]:
    """Ada and Ben after one message each way, in a session that Ada began."""
    ada, ben = strangers()
    ada.start(ben.bundle())
    assert ben.hear(ada.say("hello")) == "hello"
    assert ada.hear(ben.say("hi")) == "hi"
    return ada, ben


def turn(ada: Person, ben: Person, times: int = 1) -> None:
    """One message each way, `times` over: each brings a new ratchet key."""
    for _ in range(times):
        ben.hear(ada.say("ping"))
        ada.hear(ben.say("pong"))


LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""Public keys with which every agreement is the same, whoever makes it (RFC 7748, section 6.1)."""
