"""The Double Ratchet over one state: open a message, take the steps that it stands for.

Spec: Signal, "The Double Ratchet Algorithm", sections 3.4 and 3.5. Whatever fails here fails before a new
state exists; the caller still holds the old one.
"""

from __future__ import annotations

from bisect import bisect_left
from hmac import compare_digest

from tocsin.signal import cipher
from tocsin.signal.curve import PREFIX, KeyPair, agree, key_pair
from tocsin.signal.errors import BadMac, Duplicate, FutureMessage
from tocsin.signal.kdf import advance, chain_step, hmac_sha256, message_keys, root_step
from tocsin.signal.state import ReceivingChain, SendingChain, State, evolve
from tocsin.signal.wire import MAC_LENGTH, SignalMessage

MAX_SKIP = 2000
"""How many messages one jump may leave out, and how many skipped keys a record keeps in all."""

MAX_RECEIVING_CHAINS = 5


def receive(state: State, place: int, message: SignalMessage, identity: bytes) -> tuple[bytes, State, bool]:
    """Open `message` with the receiving chain at `place`, which has its ratchet key.

    Returns the plaintext, the state after it, and whether that state has more skipped keys than before.
    `identity`: our own, 32 bytes. Raises Duplicate, FutureMessage, BadMac; InvalidMessage if the authentic
    content can't be deciphered.
    """
    chain = state.receiving[place]
    plaintext, opened = _open(chain, message, state.remote_identity, identity)
    receiving = (*state.receiving[:place], opened, *state.receiving[place + 1 :])
    return plaintext, evolve(state, receiving=receiving), message.counter > chain.next_index


def turn(
    state: State, message: SignalMessage, identity: bytes, ratchet: KeyPair | bytes
) -> tuple[bytes, State]:
    """Open `message`, whose ratchet key is new to `state`, and take a Diffie-Hellman step each way.

    `ratchet`: our next ratchet pair, or 32 bytes of entropy for it. Our old pair opens the message on trial;
    the new one is made once the MAC fits. That something was decrypted ends the pkmsg phase: the new sending
    chain has no pending prekey. The receiving side may exceed its five chains by one; who holds the record
    drops the last and remembers it. Raises as `receive` does, but never Duplicate, and InvalidKey if the
    ratchet key is of low order.
    """
    their_key = message.ratchet_public
    root_key, chain_key = root_step(state.root_key, agree(state.ratchet.private, their_key))
    fresh = ReceivingChain(their_key, chain_key, 0)
    plaintext, opened = _open(fresh, message, state.remote_identity, identity)
    pair = ratchet if isinstance(ratchet, KeyPair) else key_pair(ratchet)
    root_key, chain_key = root_step(root_key, agree(pair.private, their_key))
    previous_counter = max(state.used - 1, 0)
    sending = SendingChain(chain_key, 0, pair.public, previous_counter, state.remote_identity, None)
    receiving = (opened, *state.receiving)
    return plaintext, evolve(
        state, root_key=root_key, ratchet=pair, sending=sending, used=0, receiving=receiving
    )


def message_mac(mac_key: bytes, sender: bytes, receiver: bytes, signed: bytes) -> bytes:
    """The 8 bytes behind a `msg`. Both identities are 32 bytes here and enter with their type byte.

    They come from the session, never from another table: the MAC binds the session to its two ends.
    """
    covered = b"".join((PREFIX, sender, PREFIX, receiver, signed))
    return hmac_sha256(mac_key, covered)[:MAC_LENGTH]


def _open(
    chain: ReceivingChain, message: SignalMessage, sender: bytes, receiver: bytes
) -> tuple[bytes, ReceivingChain]:
    """The plaintext, and the chain without the key that opened it."""
    ahead = message.counter - chain.next_index
    if ahead < 0:
        place = bisect_left(chain.skipped, (message.counter,))
        if place == len(chain.skipped) or chain.skipped[place][0] != message.counter:
            raise Duplicate
        plaintext = _decipher(chain.skipped[place][1], message, sender, receiver)
        skipped = chain.skipped[:place] + chain.skipped[place + 1 :]
        return plaintext, evolve(chain, skipped=skipped)
    if ahead > MAX_SKIP:
        raise FutureMessage
    chain_key = advance(chain.chain_key, ahead) if ahead else chain.chain_key
    seed, following = chain_step(chain_key)
    plaintext = _decipher(seed, message, sender, receiver)
    skipped = chain.skipped + _seeds(chain, message.counter) if ahead else chain.skipped
    return plaintext, evolve(chain, chain_key=following, next_index=message.counter + 1, skipped=skipped)


def _decipher(seed: bytes, message: SignalMessage, sender: bytes, receiver: bytes) -> bytes:
    cipher_key, mac_key, iv = message_keys(seed)
    if not compare_digest(message.mac, message_mac(mac_key, sender, receiver, message.signed)):
        raise BadMac
    return cipher.decrypt(cipher_key, iv, message.ciphertext)


def _seeds(chain: ReceivingChain, end: int) -> tuple[tuple[int, bytes], ...]:
    """(index, message seed) of every message from the chain's next one up to, not including, `end`."""
    seeds = []
    chain_key = chain.chain_key
    for index in range(chain.next_index, end):
        seed, chain_key = chain_step(chain_key)
        seeds.append((index, seed))
    return tuple(seeds)
