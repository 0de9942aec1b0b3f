"""The two faults from the field, as they are made: for twins of tests, which must fail where ours pass.

Both are faults of handling, not of arithmetic: the same key derivations as ours, in the wrong order.
"""

from collections.abc import Callable

from tests.support.signal_peers import Person
from tocsin.signal import session
from tocsin.signal.curve import KeyPair, agree, key_pair
from tocsin.signal.errors import BadMac, SignalError
from tocsin.signal.kdf import root_step
from tocsin.signal.ratchet import receive
from tocsin.signal.session import Ciphertext, Decryption
from tocsin.signal.state import ReceivingChain, SendingChain, State, evolve
from tocsin.signal.wire import PreKeyMessage, SignalMessage


class AdvancesBeforeTheMac(Person):
    """As libsignal-node: every session that is tried takes its ratchet step first and checks the MAC then.

    When a later one fits, the record is stored with all that the failed ones became. A session that fits
    isn't promoted.
    """

    def decrypt(self, message: Ciphertext) -> Decryption:
        parsed = session.parse(*message)
        if isinstance(parsed, PreKeyMessage):
            known = [state for state in self._states if state.base_key == parsed.base_key]
            if not known or known[0].initiated_by_us:
                return super().decrypt(message)
            parsed = parsed.message
        tried = list(self._states)
        for place, state in enumerate(tried):
            tried[place] = state = stepped(state, parsed, self.pair())
            try:
                opened = receive(state, _place(state, parsed.ratchet_public), parsed, self.identity)
            except SignalError:
                continue
            tried[place] = opened[1]
            assert self.record is not None
            self.record = evolve(self.record, states=tuple(tried))
            return Decryption(opened[0], self.record)
        raise BadMac("no matching sessions")

    @property
    def _states(self) -> tuple[State, ...]:
        return self.record.states if self.record is not None else ()


def stepped(state: State, message: SignalMessage, fresh: KeyPair) -> State:
    """The state after the ratchet step that the message asks for, whoever sent it."""
    theirs = message.ratchet_public
    if any(chain.ratchet_public == theirs for chain in state.receiving):
        return state
    root_key, receiving = root_step(state.root_key, agree(state.ratchet.private, theirs))
    root_key, sending = root_step(root_key, agree(fresh.private, theirs))
    return evolve(
        state,
        root_key=root_key,
        ratchet=fresh,
        sending=SendingChain(sending, 0, fresh.public, max(state.used - 1, 0), state.remote_identity, None),
        used=0,
        receiving=(ReceivingChain(theirs, receiving, 0), *state.receiving),
    )


def _place(state: State, ratchet_public: bytes) -> int:
    return [chain.ratchet_public for chain in state.receiving].index(ratchet_public)


class WritesBackWhatItRead(Person):
    """As Baileys: send and receive each read the record, work on it, and write it back; the last one wins.

    `meanwhile` runs between the reading and the writing.
    """

    def hear_while(self, message: Ciphertext, meanwhile: Callable[[], None]) -> str:
        read = self.record
        parsed = session.parse(*message)
        prekey = None
        if isinstance(parsed, PreKeyMessage) and parsed.prekey_id is not None:
            prekey = self.prekeys.get(parsed.prekey_id)
        opened = session.decrypt(
            read, parsed, self.local, prekey=prekey, ratchet=key_pair(self.entropy(32)), now=self.now
        )
        meanwhile()
        self.record = opened.record
        return opened.plaintext.decode()

    def say_while(self, text: str, meanwhile: Callable[[], None]) -> Ciphertext:
        record, message = session.send(self.record, local=self.local, plaintext=text.encode())
        meanwhile()
        self.record = record
        return message
