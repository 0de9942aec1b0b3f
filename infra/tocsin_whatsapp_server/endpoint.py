"""A plain Signal endpoint: keys, sessions, encrypt, decrypt. A phone is one of these with a person in front.

It keeps everything in memory and has its records to itself, so none of a server-side key store's rules
are needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tocsin.signal import session
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.errors import NoSession
from tocsin.signal.padding import pad, unpad
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import ReceivingChain, Record, State
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate
from tocsin_whatsapp_server.directory import SignedPreKey

Random = Callable[[int], bytes]

MAX_KEY_ID = 0xFFFFFF


@dataclass(frozen=True, order=True)
class Address:
    """Whose session: LID user and device number, whichever form a stanza was addressed in."""

    user: str
    device: int

    def __str__(self) -> str:
        return f"{self.user}:{self.device}"


@dataclass
class Keys:
    """One installation's keys. `prekeys`: private halves, by id, until they are used."""

    identity: KeyPair
    registration_id: int
    signed_prekey: SignedPreKey
    signed_prekey_pair: KeyPair = field(repr=False)
    prekeys: dict[int, KeyPair] = field(repr=False, default_factory=dict)
    last_prekey_id: int = 0

    @classmethod
    def generate(cls, random: Random) -> Keys:
        """A new installation. Key ids start anywhere: an id of the one before must not name a key of this."""
        identity, signed_prekey = key_pair(random(32)), key_pair(random(32))
        signature = sign(identity.private, encode_point(signed_prekey.public), random(64))
        return cls(
            identity=identity,
            registration_id=int.from_bytes(random(2), "big") % 16380 + 1,
            signed_prekey=SignedPreKey(_some_id(random), signed_prekey.public, signature),
            signed_prekey_pair=signed_prekey,
            last_prekey_id=_some_id(random),
        )

    @property
    def local(self) -> Local:
        return Local(self.identity, self.registration_id, {self.signed_prekey.id: self.signed_prekey_pair})

    def new_prekeys(self, count: int, random: Random) -> dict[int, bytes]:
        """Make one-time keys, keep them, and return their public halves by id."""
        made = {}
        for _ in range(count):
            self.last_prekey_id = self.last_prekey_id % MAX_KEY_ID + 1
            pair = key_pair(random(32))
            self.prekeys[self.last_prekey_id] = pair
            made[self.last_prekey_id] = pair.public
        return made


class Endpoint:
    """Sessions with other devices, under one set of keys."""

    def __init__(self, random: Random, clock: Callable[[], float]) -> None:
        self._random = random
        self._clock = clock
        self.keys = Keys.generate(random)
        self._records: dict[Address, Record] = {}

    def reinstall(self) -> None:
        """Forget everything; new identity, new registration id."""
        self.keys = Keys.generate(self._random)
        self._records.clear()

    @property
    def peers(self) -> tuple[Address, ...]:
        return tuple(self._records)

    def has_session(self, peer: Address) -> bool:
        record = self._records.get(peer)
        return record is not None and record.current is not None

    def remote_registration_id(self, peer: Address) -> int | None:
        record = self._records.get(peer)
        return record.current.remote_registration_id if record and record.current else None

    def start_session(self, peer: Address, bundle: PreKeyBundle) -> None:
        """Begin a new session, the old one archived. Raises BadSignature or InvalidKey."""
        state = initiate(
            self.keys.local,
            bundle,
            base=key_pair(self._random(32)),
            ratchet=key_pair(self._random(32)),
            now=self._now,
        )
        self._records[peer] = session.start(self._records.get(peer), state, self._now)

    def encrypt(self, peer: Address, message: bytes) -> Ciphertext:
        """`message` is a serialised Message; the padding is put on here. Raises NoSession."""
        if peer not in self._records:
            raise NoSession("no session with this device")
        padded = pad(message, self._random(1))
        self._records[peer], ciphertext = session.send(
            self._records[peer], local=self.keys.local, plaintext=padded
        )
        return ciphertext

    def decrypt(self, peer: Address, kind: str, body: bytes) -> bytes:
        """The serialised Message. Raises the errors of `tocsin.signal`; nothing has changed then."""
        message = session.parse(kind, body)
        prekey_id = message.prekey_id if isinstance(message, PreKeyMessage) else None
        prekey = None if prekey_id is None else self.keys.prekeys.get(prekey_id)
        outcome = session.decrypt(
            self._records.get(peer),
            message,
            self.keys.local,
            prekey=prekey,
            ratchet=self._random(32),
            now=self._now,
        )
        plaintext = unpad(outcome.plaintext)
        self._records[peer] = outcome.record
        if outcome.consumed_prekey is not None:
            self.keys.prekeys.pop(outcome.consumed_prekey, None)
        return plaintext

    def archive_session(self, peer: Address) -> None:
        """The next message to this device needs a new session; late ones of the old can still be read."""
        if peer in self._records:
            self._records[peer] = session.archive_current(self._records[peer], self._now)

    def forget_session(self, peer: Address) -> None:
        self._records.pop(peer, None)

    def corrupt_session(self, peer: Address) -> None:
        """Garble the secrets of every state, as a half-restored backup would. The next message either way
        fails its MAC, until a new session is made."""
        record = self._records.get(peer)
        if record is not None:
            states = tuple(_garbled(state) for state in record.states)
            self._records[peer] = replace(record, states=states)

    @property
    def _now(self) -> int:
        return int(self._clock())


def _some_id(random: Random) -> int:
    return int.from_bytes(random(3), "big") % MAX_KEY_ID + 1


def _garbled(state: State) -> State:
    return replace(
        state,
        root_key=_flipped(state.root_key),
        sending=replace(state.sending, chain_key=_flipped(state.sending.chain_key)),
        receiving=tuple(_garbled_chain(chain) for chain in state.receiving),
    )


def _garbled_chain(chain: ReceivingChain) -> ReceivingChain:
    skipped = tuple((index, _flipped(seed)) for index, seed in chain.skipped)
    return replace(chain, chain_key=_flipped(chain.chain_key), skipped=skipped)


def _flipped(secret: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in secret)
