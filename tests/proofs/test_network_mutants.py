"""Each rule of the Signal core, and of those who use it, taken away once: the network must notice.

A rule whose absence nobody notices is either superfluous or untested.
"""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.proofs.faulty import stepped
from tests.proofs.network import Device, Letter, Look, Network, Violation, live_up_to_all_limits
from tests.proofs.symbols import Symbols
from tocsin.multidevice import retries
from tocsin.signal import ratchet, session, x3dh
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.signal.errors import BadMac, SignalError
from tocsin.signal.session import Decryption
from tocsin.signal.state import Record, evolve

LIVES = 60
EVENTS = 400

Patch = Callable[[Any, str, Any], None]


# Rules of the core


def any_mac_will_do(patch: Patch) -> None:
    patch(ratchet, "compare_digest", lambda one, other: True)


def failed_tries_leave_their_step(patch: Patch) -> None:
    """libsignal-node: states tried in vain, before the one that fits, have taken the step all the same."""
    original = session._decrypt_known

    def careless(record: Record, message: Any, places: Any, local: Any, fresh: Any, now: int) -> Decryption:
        opened = original(record, message, places, local, fresh, now)
        if not opened.promoted:
            return opened
        damaged = stepped(record.states[0], message, key_pair(bytes(32)))
        states = tuple(
            evolve(damaged, archived=state.archived) if state.base_key == damaged.base_key else state
            for state in opened.record.states
        )
        return opened._replace(record=evolve(opened.record, states=states))

    patch(session, "_decrypt_known", careless)


def archived_states_stay_archived(patch: Patch) -> None:
    def adopt(record: Record, place: int, text: bytes, state: Any, grown: bool, now: int) -> Decryption:
        states = (*record.states[:place], state, *record.states[place + 1 :])
        return Decryption(text, session._bounded(evolve(record, states=states), now))

    patch(session, "_adopt", adopt)


def a_twin_stays_behind(patch: Patch) -> None:
    """The Go port: what was promoted is among the archived ones still, as it was before."""
    original = session._adopt

    def adopt(record: Record, place: int, *arguments: Any) -> Decryption:
        opened = original(record, place, *arguments)
        if not opened.promoted:
            return opened
        return opened._replace(
            record=evolve(opened.record, states=(*opened.record.states, record.states[place]))
        )

    patch(session, "_adopt", adopt)


def old_identities_come_back(patch: Patch) -> None:
    original = session._adopt

    def adopt(record: Record, *arguments: Any) -> Decryption:
        opened = original(evolve(record, superseded=()), *arguments)
        return opened._replace(record=evolve(opened.record, superseded=record.superseded))

    patch(session, "_adopt", adopt)


def dropped_chains_are_forgotten(patch: Patch) -> None:
    patch(session, "MAX_EVICTED", 0)


def a_key_serves_twice(patch: Patch) -> None:
    """Skipped keys stay after their use."""
    original = ratchet._open

    def keep(chain: Any, message: Any, *identities: bytes) -> Any:
        text, opened = original(chain, message, *identities)
        return text, evolve(opened, skipped=chain.skipped) if message.counter < chain.next_index else opened

    patch(ratchet, "_open", keep)


def previous_counter_is_zero(patch: Patch) -> None:
    original = ratchet.turn

    def forgetful(*arguments: Any) -> Any:
        text, state = original(*arguments)
        return text, evolve(state, sending=evolve(state.sending, previous_counter=0))

    patch(ratchet, "turn", forgetful)


def an_answer_ends_nothing(patch: Patch) -> None:
    """Our messages go on as pkmsg after the peer answered."""
    original = ratchet.turn

    def pending(state: Any, *arguments: Any) -> Any:
        text, turned = original(state, *arguments)
        return text, evolve(turned, sending=evolve(turned.sending, pending=state.sending.pending))

    patch(ratchet, "turn", pending)


def indexes_start_anew(patch: Patch) -> None:
    """What was used of a chain is forgotten when its session is archived."""

    def archived(states: Any, now: int) -> Any:
        if not states or states[0].archived is not None:
            return states
        chain = evolve(states[0].sending, index=0)
        return (evolve(states[0], archived=now, used=0, sending=chain), *states[1:])

    patch(session, "_archived", archived)


def known_first_messages_found_again(patch: Patch) -> None:
    """Each pkmsg makes a session, although its base key is known."""
    original = session._found_session

    def decrypt(record: Any, message: Any, local: Any, **options: Any) -> Decryption:
        if isinstance(message, session.PreKeyMessage) and message.prekey_id is None:
            return original(record or Record(), message, local, None, options["ratchet"], options["now"])
        return properly(record, message, local, **options)

    properly = session.decrypt
    patch(session, "decrypt", decrypt)


def one_time_prekeys_are_kept(patch: Patch) -> None:
    patch(session.Decryption, "consumed_prekey", property(lambda self: None))


def another_prekey_is_as_good(patch: Patch) -> None:
    """Baileys: the newest signed prekey, whichever is named."""
    original = x3dh.respond

    def newest(local: Any, message: Any, prekey: KeyPair | None, *, now: int) -> Any:
        signed = local.signed_prekeys[max(local.signed_prekeys)]
        local = x3dh.Local(local.identity, local.registration_id, {message.signed_prekey_id: signed})
        return original(local, message, prekey, now=now)

    patch(session, "respond", newest)


def too_far_is_a_bad_mac(patch: Patch) -> None:
    original = ratchet._open

    def renamed(*arguments: Any) -> Any:
        try:
            return original(*arguments)
        except ratchet.FutureMessage:
            raise BadMac from None

    patch(ratchet, "_open", renamed)


def first_failure_decides(patch: Patch) -> None:
    def decrypt(record: Record, message: Any, places: Any, *arguments: Any) -> Decryption:
        return original(record, message, tuple(places)[:1], *arguments)

    original = session._decrypt_known
    patch(session, "_decrypt_known", decrypt)


def sessions_without_limit(patch: Patch) -> None:
    patch(session, "MAX_ARCHIVED_STATES", 45)


def skipped_keys_without_limit(patch: Patch) -> None:
    patch(session, "_with_bounded_skips", lambda states: states)


def chains_without_limit(patch: Patch) -> None:
    patch(session, "MAX_RECEIVING_CHAINS", 6)


# Rules of who stores what the core returns


def stored_whatever_happened_meanwhile(patch: Patch) -> None:
    patch(Look, "holds", lambda self, disk: True)


def sent_before_it_is_stored(patch: Patch) -> None:
    original = Network._write

    def hasty(self: Network, device: Device, peer: str, number: int, text: str, count: int) -> Iterator[None]:
        look = device.look(peer)
        if look.symbols.current is None:
            yield from original(self, device, peer, number, text, count)
            return
        symbols = deepcopy(look.symbols)
        record, ciphertext = session.send(look.record, local=device.disk.local, plaintext=text.encode())
        sealed = symbols.say(device.disk.public, text)
        self._send(Letter(number, device.name, peer, text, ciphertext, sealed, count))
        yield
        if look.holds(device.disk):
            device.adopt(peer, record, symbols)
            device.disk.sent[peer, number] = 0

    patch(Network, "_write", hasty)


def the_text_stored_after_the_session(patch: Patch) -> None:
    """A crash in between, and the repetition is a duplicate of something nobody read."""
    original = Network._read

    def late(self: Network, device: Device, letter: Letter) -> Iterator[None]:
        for _ in original(self, device, letter):
            text = device.disk.read.pop(letter.digest, None)
            yield
            if text is not None:
                device.disk.read[letter.digest] = text

    patch(Network, "_read", late)


def a_session_given_up_on_an_unproven_first_message(patch: Patch) -> None:
    original = session.decrypt

    def hasty(record: Any, message: Any, local: Any, **options: Any) -> Decryption:
        if record is not None and isinstance(message, session.PreKeyMessage) and record.states:
            known = {state.base_key for state in record.states}
            if message.base_key not in known:
                record = Record((), record.evicted, record.superseded)
        return original(record, message, local, **options)

    patch(session, "decrypt", hasty)


# Rules of healing


def never_asked_again(patch: Patch) -> None:
    patch(retries, "ANSWERS", dict.fromkeys(retries.ANSWERS, retries.confirm_again))


def sent_again_in_the_same_session(patch: Patch) -> None:
    """Only after the second retry receipt a new one is made, and that receipt never comes with keys."""
    original = Network._serve

    def lazy(self: Network, device: Device, receipt: Any) -> Iterator[None]:
        current = device.disk.symbols.get(receipt.sender, Symbols()).current
        if current is not None and (receipt.sender, receipt.number) in device.disk.sent:
            yield
            count = receipt.count
            self._begin_writing(device.name, receipt.sender, receipt.number, receipt.text, count)
            return
        yield from original(self, device, receipt)

    patch(Network, "_serve", lazy)


LONG = (
    dropped_chains_are_forgotten,
    sessions_without_limit,
    skipped_keys_without_limit,
    chains_without_limit,
)
MUTANTS = (
    any_mac_will_do,
    failed_tries_leave_their_step,
    archived_states_stay_archived,
    a_twin_stays_behind,
    old_identities_come_back,
    a_key_serves_twice,
    previous_counter_is_zero,
    an_answer_ends_nothing,
    indexes_start_anew,
    known_first_messages_found_again,
    one_time_prekeys_are_kept,
    another_prekey_is_as_good,
    too_far_is_a_bad_mac,
    first_failure_decides,
    stored_whatever_happened_meanwhile,
    sent_before_it_is_stored,
    the_text_stored_after_the_session,
    a_session_given_up_on_an_unproven_first_message,
    never_asked_again,
    sent_again_in_the_same_session,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_this_rule_something_goes_wrong(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch.setattr)
    assert any(_goes_wrong(seed) for seed in range(LIVES))


@pytest.mark.parametrize("mutant", LONG, ids=lambda mutant: mutant.__name__)
def test_without_this_limit_something_goes_wrong(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch.setattr)
    with pytest.raises(Violation):
        live_up_to_all_limits(0)


def _goes_wrong(seed: int) -> bool:
    network = Network((1, 1) if seed % 2 else (1, 2), random.Random(seed))
    try:
        network.live(EVENTS)
        network.assert_all_heal()
    except (Violation, SignalError, KeyError):
        return True
    return False
