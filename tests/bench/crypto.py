"""Signal operations: ours, libsignal-node's, pyaileys', and the floor.

Each library talks to itself: two of its devices, texts of the same length, each call timed alone. For the
first table the session stays in memory. For the second, each call starts from its stored form and ends with
it, as wherever sessions are kept in a store (the store itself is not counted).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median
from typing import TypeVar

from tests.bench import node_scripts, pyaileys_devices
from tests.bench.floor import Floor
from tests.bench.measure import OURS, Aim, Table, microseconds, timed
from tests.bench.surroundings import ConnectorContext, tell
from tocsin.signal import session
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import Record, decode_chain, decode_record, encode_chain, encode_record
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate

Result = TypeVar("Result")

TEXT = b"x" * 200
ROUNDS = 2000

# How far a reserved index lies from the checkpoint on the average: sending moves it every 32.
AHEAD = 16

OPERATIONS = {
    "encrypt": "encrypt, in chain",
    "decrypt": "decrypt, in chain",
    "turn": "decrypt with a turn",
    "start": "session from bundle, first message",
}
PARTIES = ("libsignal-node", "pyaileys", "floor")
AIMS = (Aim("libsignal-node", 2), Aim("pyaileys", 1))
# The floor keeps nothing, so it is the measure of sessions in memory only.
FLOOR_AIM = Aim("floor", 1.5, faster=False)


class Device:
    """One of our devices. With `stored`, its record exists in its stored form only."""

    def __init__(self, *, stored: bool) -> None:
        self.signed_prekey, self.prekey = new_pair(), new_pair()
        self.local = Local(new_pair(), 1, {1: self.signed_prekey})
        self._stored = stored
        self._record: Record | bytes | None = None

    @property
    def record(self) -> Record | None:
        return decode_record(self._record) if isinstance(self._record, bytes) else self._record

    @record.setter
    def record(self, record: Record | None) -> None:
        self._record = encode_record(record) if self._stored and record is not None else record

    def bundle(self) -> PreKeyBundle:
        signed = encode_point(self.signed_prekey.public)
        signature = sign(self.local.identity.private, signed, os.urandom(64))
        identity = self.local.identity.public
        return PreKeyBundle(1, identity, 1, self.signed_prekey.public, signature, 1, self.prekey.public)

    def start(self, bundle: PreKeyBundle) -> None:
        state = initiate(self.local, bundle, base=new_pair(), ratchet=new_pair(), now=0)
        self.record = session.start(self.record, state, 0)

    def say(self) -> Ciphertext:
        self.record, message = session.send(self.record, local=self.local, plaintext=TEXT)
        return message

    def hear(self, message: Ciphertext) -> None:
        self.record = session.decrypt(
            self.record,
            session.parse(message.type, message.body),
            self.local,
            prekey=self.prekey,
            ratchet=os.urandom(32),
            now=0,
        ).record

    def start_and_say(self, bundle: PreKeyBundle) -> None:
        self.record = None
        self.start(bundle)
        self.say()


def new_pair() -> KeyPair:
    return key_pair(os.urandom(32))


def ours(*, stored: bool) -> tuple[dict[str, float], dict[str, float]]:
    """The medians of our operations and of their floors, in microseconds, measured in turn."""
    ada, ben = Device(stored=stored), Device(stored=stored)
    floor = Floor(len(TEXT)).operations()
    bundle = ben.bundle()
    ada.start(bundle)
    ben.hear(ada.say())
    ada.hear(ben.say())
    ben.hear(ada.say())
    times: dict[str, list[float]] = {name: [] for name in OPERATIONS}
    floors: dict[str, list[float]] = {name: [] for name in OPERATIONS}

    def time(name: str, call: Callable[[], Result]) -> Result:
        result, took = timed(call)
        times[name].append(took)
        floors[name].append(timed(floor[name])[1])
        return result

    for _ in range(ROUNDS):
        message = time("encrypt", ada.say)
        time("decrypt", partial(ben.hear, message))
    for _ in range(ROUNDS // 4):
        time("turn", partial(ada.hear, ben.say()))
        time("turn", partial(ben.hear, ada.say()))
    for _ in range(ROUNDS // 10):
        time("start", partial(ada.start_and_say, bundle))
    return medians(times), medians(floors)


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: median(values) for name, values in times.items()}


def reserved() -> float:
    """The median of what sending does: read the stored chain, walk to the reserved index, encrypt."""
    ada, ben = Device(stored=False), Device(stored=False)
    ada.start(ben.bundle())
    ben.hear(ada.say())
    ada.hear(ben.say())
    assert ada.record is not None
    assert ada.record.current is not None
    chain = encode_chain(ada.record.current.sending)
    identity = ada.local.identity.public

    def encrypt() -> Ciphertext:
        return session.encrypt(
            decode_chain(chain), AHEAD, identity=identity, registration_id=1, plaintext=TEXT
        )

    return microseconds(encrypt, ROUNDS)


def measure(bench: ConnectorContext) -> Iterator[Table]:
    tell("Signal operations")
    pyaileys = pyaileys_devices.measure(TEXT, ROUNDS)
    for stored in (False, True):
        options = {"rounds": ROUNDS, "bytes": len(TEXT), "stored": stored}
        libsignal = node_scripts.run("libsignal-bench.mjs", options)
        mine, floor = ours(stored=stored)
        title = "Signal, from stored session to stored session" if stored else "Signal, session in memory"
        table = Table(title, PARTIES, AIMS if stored else (*AIMS, FLOOR_AIM))
        for name, words in OPERATIONS.items():
            # pyaileys knows its stored form only, so it stands in the second table.
            theirs = pyaileys and pyaileys[name] if stored else None
            figures = {OURS: mine[name], "floor": floor[name], "pyaileys": theirs}
            table.add(words, figures | {"libsignal-node": libsignal and libsignal[name]})
        if stored:
            # The others have no such split: their figure is that of a whole session read and written.
            split = {
                OURS: reserved(),
                "floor": floor["encrypt"],
                "pyaileys": pyaileys and pyaileys["encrypt"],
            }
            table.add(
                "encrypt, reserved index", split | {"libsignal-node": libsignal and libsignal["encrypt"]}
            )
        if libsignal is not None and not stored:
            wished = ", ".join(f"{libsignal[name] / 2:.1f}" for name in ("encrypt", "decrypt"))
            table.notes.append(
                f"twice as fast as libsignal-node in chain would be {wished} µs: compare the floor"
            )
        if libsignal is None:
            table.notes.append("libsignal-node: no Node, or no `npm ci` in tests/interop/node")
        if pyaileys is None:
            table.notes.append("pyaileys: not installed here")
        yield table
