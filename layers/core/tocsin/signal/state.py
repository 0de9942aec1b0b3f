"""What is remembered about the sessions with one device.

All public keys are 32 bytes here; the type byte exists on the wire only. A `Record` holds the states of one
device, a `State` one session, a `SendingChain` all that encrypting needs. The chain of the current state may
be stored apart from the rest (`encode_chain`), because sending takes its indexes without reading the rest.
"""

from dataclasses import dataclass, field

from .curve import KeyPair


@dataclass(frozen=True, slots=True)
class Pending:
    """What makes each of our messages a pkmsg until the peer answered: the prekeys that we started from."""

    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes


@dataclass(frozen=True, slots=True)
class SendingChain:
    """`chain_key` is the key at `index`, the checkpoint; keys of later indexes are derived from it.

    `previous_counter`: index of the last message of the sending chain before this one, 0 if there was none.
    """

    chain_key: bytes = field(repr=False)
    index: int
    ratchet_public: bytes = field(repr=False)
    previous_counter: int
    remote_identity: bytes = field(repr=False)
    pending: Pending | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivingChain:
    """`chain_key` is the key at `next_index`; `skipped` holds (index, message seed) of what did not arrive."""

    ratchet_public: bytes = field(repr=False)
    chain_key: bytes = field(repr=False)
    next_index: int
    skipped: tuple[tuple[int, bytes], ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class State:
    """One session. Its name is `base_key`, the initiator's.

    `used`: how many indexes of `sending` were handed out. `receiving`: at most 5 chains, newest first.
    `created`, `archived`: seconds since the epoch; `archived` is None while this is the current state.
    """

    base_key: bytes = field(repr=False)
    initiated_by_us: bool
    remote_identity: bytes = field(repr=False)
    remote_registration_id: int
    root_key: bytes = field(repr=False)
    ratchet: KeyPair = field(repr=False)
    sending: SendingChain = field(repr=False)
    used: int
    receiving: tuple[ReceivingChain, ...] = field(repr=False)
    created: int
    archived: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All sessions with one device: the current one first (if there is one), then archived ones, newest first.

    `evicted`: ratchet keys of receiving chains that were dropped, newest first; a message under one of them
    is a duplicate, not a bad MAC. `superseded`: identities that this device had before; a session with one of
    them may still decrypt a late message, and never becomes current again.
    """

    states: tuple[State, ...] = ()
    evicted: tuple[bytes, ...] = field(repr=False, default=())
    superseded: tuple[bytes, ...] = field(repr=False, default=())

    @property
    def current(self) -> State | None:
        """The state that sends, or None if the record holds archived ones only."""
        return self.states[0] if self.states and self.states[0].archived is None else None

    @property
    def archived(self) -> tuple[State, ...]:
        return self.states if self.current is None else self.states[1:]
