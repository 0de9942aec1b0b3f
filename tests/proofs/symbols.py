"""An executable specification of a session record: the Double Ratchet with names in place of keys.

Here a secret is a term: the text of what went into it. Two parties hold the same secret if they arrive at the
same term, and nobody can decrypt what was encrypted under a term that he doesn't hold. So this says, from the
specification alone, what an honest implementation must answer to each message; the machine compares.

Only public keys come from the implementation, as they are chosen at random there: each is a name here.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import sha256

MAX_SKIP = 2000
RECEIVING_CHAINS = 5
ARCHIVED_STATES = 40
EVICTED_KEYS = 40
ARCHIVED_SECONDS = 30 * 24 * 3600

Term = str


def term(*parts: object) -> Term:
    """A secret made of `parts`; shortened, for terms nest without end."""
    return sha256(repr(parts).encode()).hexdigest()[:24]


def agreement(one: bytes, other: bytes) -> Term:
    """What a Diffie-Hellman agreement between two public keys' owners yields, whoever computes it."""
    return term("agreement", *sorted((one, other)))


@dataclass(frozen=True)
class Setup:
    """How a session was founded: by which base key, from which keys of the responder."""

    base_key: bytes
    initiator: bytes
    responder: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    prekey_id: int | None
    prekey: bytes | None

    @property
    def root(self) -> Term:
        return term("setup", self.base_key, self.initiator, self.responder, self.signed_prekey, self.prekey)


@dataclass(frozen=True)
class Sealed:
    """A ciphertext, as one sees it who knows everything. `setup`: it is a pkmsg. `previous`: the last index
    of the sending chain before this one, 0 if there was none."""

    setup: Setup | None
    ratchet: bytes
    index: int
    previous: int
    chain: Term
    sender: bytes
    receiver: bytes
    text: str

    def opens_with(self, chain: Term, sender: bytes, receiver: bytes) -> bool:
        return (self.chain, self.sender, self.receiver) == (chain, sender, receiver)


@dataclass
class Chain:
    """A receiving chain: what of it was skipped, and where it goes on."""

    ratchet: bytes
    secret: Term
    next: int = 0
    skipped: set[int] = field(default_factory=set)


@dataclass
class Session:
    base_key: bytes
    initiated_by_us: bool
    peer: bytes
    root: Term
    ratchet: bytes
    sending: Term
    used: int = 0
    previous: int = 0
    pending: Setup | None = None
    chains: list[Chain] = field(default_factory=list)
    archived: int | None = None


@dataclass
class Local:
    """Our own public keys. One-time prekeys are given by their ids, as long as they exist."""

    identity: bytes
    signed_prekeys: Mapping[int, bytes]


class Names(Exception):
    """The name of a failure, as `tocsin.signal.errors` has it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Symbols:
    """All sessions with one device. A method that raises `Names` has changed nothing."""

    sessions: list[Session] = field(default_factory=list)
    evicted: list[bytes] = field(default_factory=list)
    superseded: list[bytes] = field(default_factory=list)

    @property
    def current(self) -> Session | None:
        return self.sessions[0] if self.sessions and self.sessions[0].archived is None else None

    @property
    def identity(self) -> bytes | None:
        return next((each.peer for each in self.sessions if each.peer not in self.superseded), None)

    def start(self, setup: Setup, ratchet: bytes, now: int) -> None:
        """Begin a session from a bundle, with a fresh ratchet key."""
        shared = agreement(ratchet, setup.signed_prekey)
        founded = Session(
            setup.base_key,
            True,
            setup.responder,
            term("root", setup.root, shared),
            ratchet,
            term("chain", setup.root, shared),
            pending=setup,
        )
        known = self.identity
        if known is not None and known != setup.responder:
            self.superseded.insert(0, known)
        self.superseded = [key for key in self.superseded if key != setup.responder]
        self._lead(founded, now)

    def archive(self, now: int) -> None:
        if self.current is not None:
            self.current.archived = now
        self._limit(now)

    def say(self, local: Local, text: str) -> Sealed:
        session = self.current
        assert session is not None
        session.used += 1
        return Sealed(
            session.pending,
            session.ratchet,
            session.used - 1,
            session.previous,
            session.sending,
            local.identity,
            session.peer,
            text,
        )

    def hear(self, sealed: Sealed, local: Local, prekey: bytes | None, fresh: bytes, now: int) -> str:
        """The text. `prekey`: the one-time prekey that is named, if it exists; `fresh`: our next ratchet key.

        Raises Names; then nothing has changed.
        """
        attempt = deepcopy(self)
        text = attempt._hear(sealed, local, prekey, fresh, now)
        self.sessions, self.evicted, self.superseded = attempt.sessions, attempt.evicted, attempt.superseded
        return text

    def _hear(self, sealed: Sealed, local: Local, prekey: bytes | None, fresh: bytes, now: int) -> str:
        setup = sealed.setup
        if setup is None:
            if not self.sessions:
                raise Names("NoSession")
            return self._hear_in(self.sessions, sealed, local, fresh, now)
        for session in self.sessions:
            if session.base_key == setup.base_key and not session.initiated_by_us:
                return self._hear_in([session], sealed, local, fresh, now)
        if sealed.ratchet in self.evicted:
            raise Names("Duplicate")
        return self._found(sealed, setup, local, prekey, fresh, now)

    def _hear_in(
        self, candidates: list[Session], sealed: Sealed, local: Local, fresh: bytes, now: int
    ) -> str:
        """Who knows the ratchet key decides; else who can open the message after a ratchet step."""
        for session in candidates:
            for chain in session.chains:
                if chain.ratchet == sealed.ratchet:
                    grows = sealed.index > chain.next
                    _open(chain, sealed, session.peer, local.identity)
                    self._adopt(session, grows, now)
                    return sealed.text
        if sealed.ratchet in self.evicted:
            raise Names("Duplicate")
        failures = []
        for session in candidates:
            try:
                _turn(session, sealed, local.identity, fresh)
            except Names as failure:
                failures.append(failure.name)
                continue
            self._adopt(session, True, now)
            return sealed.text
        raise Names("BadMac" if "BadMac" in failures else "FutureMessage")

    def _adopt(self, session: Session, grows: bool, now: int) -> None:
        """What decrypted becomes current, unless its identity is one of the past."""
        if session.archived is not None and session.peer not in self.superseded:
            self.sessions.remove(session)
            session.archived = None
            self._lead(session, now)
        elif grows:
            self._limit(now)

    def _lead(self, session: Session, now: int) -> None:
        """The session is the current one from now on."""
        if self.current is not None:
            self.current.archived = now
        self.sessions.insert(0, session)
        self._limit(now)

    def _found(
        self, sealed: Sealed, setup: Setup, local: Local, prekey: bytes | None, fresh: bytes, now: int
    ) -> str:
        ours = local.signed_prekeys.get(setup.signed_prekey_id)
        if ours is None or (setup.prekey_id is not None and prekey is None):
            raise Names("NoPreKey")
        understood = replace(
            setup,
            responder=local.identity,
            signed_prekey=ours,
            prekey=prekey if setup.prekey_id is not None else None,
        )
        founded = Session(setup.base_key, False, setup.initiator, understood.root, ours, "")
        _turn(founded, sealed, local.identity, fresh)
        if setup.initiator in self.superseded:
            founded.archived = now
            self.sessions.insert(0 if self.current is None else 1, founded)
            self._limit(now)
            return sealed.text
        known = self.identity
        if known is not None and known != setup.initiator:
            self.superseded.insert(0, known)
        self._lead(founded, now)
        return sealed.text

    def _limit(self, now: int) -> None:
        """Forty archived sessions for thirty days, five chains each, two thousand skipped keys in all."""
        kept: list[Session] = []
        dropped: list[Chain] = []
        for session in self.sessions:
            archived = sum(each.archived is not None for each in kept)
            old = session.archived is not None and session.archived < now - ARCHIVED_SECONDS
            if old or (session.archived is not None and archived >= ARCHIVED_STATES):
                dropped += session.chains
                continue
            dropped += session.chains[RECEIVING_CHAINS:]
            session.chains = session.chains[:RECEIVING_CHAINS]
            kept.append(session)
        self.sessions = kept
        self.evicted = [*(chain.ratchet for chain in dropped), *self.evicted][:EVICTED_KEYS]
        self.superseded = self.superseded[:ARCHIVED_STATES]
        room = MAX_SKIP
        for chain in (chain for session in self.sessions for chain in session.chains):
            chain.skipped = set(sorted(chain.skipped, reverse=True)[:room])
            room -= len(chain.skipped)


def _turn(session: Session, sealed: Sealed, identity: bytes, fresh: bytes) -> None:
    """Open under a ratchet key that is new to the session, and step both ways."""
    shared = agreement(session.ratchet, sealed.ratchet)
    chain = Chain(sealed.ratchet, term("chain", session.root, shared))
    _open(chain, sealed, session.peer, identity)
    root = term("root", session.root, shared)
    shared = agreement(fresh, sealed.ratchet)
    session.root, session.sending = term("root", root, shared), term("chain", root, shared)
    session.previous, session.used = max(session.used - 1, 0), 0
    session.ratchet, session.pending = fresh, None
    session.chains.insert(0, chain)


def _open(chain: Chain, sealed: Sealed, sender: bytes, receiver: bytes) -> None:
    """Take the message's key out of the chain. Raises Names, the chain unchanged."""
    if sealed.index < chain.next and sealed.index not in chain.skipped:
        raise Names("Duplicate")
    if sealed.index - chain.next > MAX_SKIP:
        raise Names("FutureMessage")
    if not sealed.opens_with(chain.secret, sender, receiver):
        raise Names("BadMac")
    if sealed.index < chain.next:
        chain.skipped.remove(sealed.index)
        return
    chain.skipped |= set(range(chain.next, sealed.index))
    chain.next = sealed.index + 1
