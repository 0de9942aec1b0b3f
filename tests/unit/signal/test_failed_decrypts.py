"""What cannot be decrypted has one exact name, and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.signal_peers import NOW, Person, acquainted, strangers, turn
from tocsin.signal import session
from tocsin.signal.curve import encode_point, key_pair
from tocsin.signal.errors import (
    BadMac,
    BadSignature,
    Duplicate,
    FutureMessage,
    InvalidKey,
    InvalidMessage,
    NoPreKey,
    NoSession,
    SignalError,
    StaleIndex,
    UntrustedIdentity,
)
from tocsin.signal.session import Ciphertext
from tocsin.signal.wire import PreKeyMessage, encode_prekey_message, parse_prekey_message
from tocsin.signal.x3dh import initiate


def flipped(message: Ciphertext, bit: int) -> Ciphertext:
    body = bytearray(message.body)
    body[bit // 8] ^= 1 << bit % 8
    return Ciphertext(message.type, bytes(body))


def assert_fails(person: Person, message: Ciphertext, expected: type[SignalError]) -> None:
    before, prekeys = person.record, dict(person.prekeys)
    with pytest.raises(SignalError) as failure:
        person.decrypt(message)
    assert type(failure.value) is expected
    assert person.record == before
    assert person.prekeys == prekeys


def test_bad_mac_leaves_session_unchanged() -> None:
    ada, ben = acquainted()
    message = ada.say("the real one")
    assert_fails(ben, flipped(message, 8 * len(message.body) - 1), BadMac)
    assert ben.hear(message) == "the real one"


def test_a_bit_flipped_anywhere_in_the_mac_is_a_bad_mac() -> None:
    ada, ben = acquainted()
    message = ada.say("text")
    end = 8 * len(message.body)
    for bit in range(end - 64, end):
        assert_fails(ben, flipped(message, bit), BadMac)


def test_a_bit_flipped_anywhere_never_yields_a_plaintext() -> None:
    ada, ben = acquainted()
    message = ada.say("text")
    before = ben.record
    for bit in range(8 * len(message.body)):
        with pytest.raises((BadMac, FutureMessage, InvalidMessage)):
            ben.decrypt(flipped(message, bit))
    assert ben.record is before
    assert ben.hear(message) == "text"


def test_a_bit_flipped_in_a_first_message_changes_the_registration_id_at_most() -> None:
    """Of a pkmsg, only the registration id is covered by nothing."""
    ada, ben = strangers()
    ada.start(ben.bundle())
    message = ada.say("first")
    believed = set()
    for bit in range(8 * len(message.body)):
        forged = flipped(message, bit)
        try:
            parsed = session.parse(forged.type, forged.body)
            prekey = ben.prekeys.get(parsed.prekey_id or 0)
            opened = session.decrypt(None, parsed, ben.local, prekey=prekey, ratchet=bytes(32), now=NOW)
        except (BadMac, FutureMessage, InvalidMessage, NoPreKey):
            continue
        state = opened.record.current
        assert opened.plaintext == b"first"
        assert (state.remote_identity, state.base_key) == (ada.identity, ada.current.base_key)
        believed.add(state.remote_registration_id)
    assert believed - {ada.local.registration_id}


def test_a_first_message_with_another_spelling_of_its_base_key_is_still_a_duplicate() -> None:
    """X25519 ignores the top bit of a public key, and the MAC doesn't cover the base key."""
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=None))
    message = ada.say("once")
    ben.hear(message)
    top_bit = 8 * (message.body.index(ada.current.base_key) + 31) + 7
    assert_fails(ben, flipped(message, top_bit), Duplicate)


def test_the_same_message_twice_is_a_duplicate() -> None:
    ada, ben = acquainted()
    message = ada.say("once")
    ben.hear(message)
    assert_fails(ben, message, Duplicate)


def test_a_first_message_twice_is_a_duplicate() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    first, second = ada.say("one"), ada.say("two")
    ben.hear(second)
    ben.hear(first)
    assert_fails(ben, first, Duplicate)
    assert_fails(ben, second, Duplicate)


def test_a_damaged_duplicate_is_still_a_duplicate() -> None:
    """Its key is gone, so its MAC can't be checked; a forger gains nothing but the loss of his forgery."""
    ada, ben = acquainted()
    message = ada.say("once")
    ben.hear(message)
    assert_fails(ben, flipped(message, 8 * len(message.body) - 1), Duplicate)


def test_a_duplicate_of_an_evicted_chain_is_still_a_duplicate() -> None:
    ada, ben = acquainted()
    old = ada.say("long ago")
    ben.hear(old)
    turn(ada, ben, times=9)
    assert len(ben.current.receiving) == 5
    assert_fails(ben, old, Duplicate)


def test_a_peer_who_restored_a_backup_repeats_what_we_know() -> None:
    ada, ben = acquainted()
    backup = ada.record
    ben.hear(ada.say("said and forgotten"))
    ada.record = backup
    assert_fails(ben, ada.say("under the same index"), Duplicate)


def test_after_we_restored_a_backup_nothing_fits() -> None:
    ada, ben = acquainted()
    backup = ben.record
    turn(ada, ben, times=2)
    ben.record = backup
    assert_fails(ben, ada.say("under a chain that ben forgot"), BadMac)


def test_nobody_we_know_is_no_session() -> None:
    ada, ben = acquainted()
    message = ada.say("to whom?")
    ben.record = None
    assert_fails(ben, message, NoSession)


def test_a_record_without_states_is_no_session() -> None:
    ada, ben = acquainted()
    message = ada.say("to whom?")
    ben.record = replace(ben.record, states=())
    assert_fails(ben, message, NoSession)


def test_sending_without_a_current_session_is_no_session() -> None:
    ada, _ = acquainted()
    assert ada.record is not None
    archived = session.archive_current(ada.record, NOW)
    with pytest.raises(NoSession):
        session.send(archived, local=ada.local, plaintext=b"text")
    with pytest.raises(NoSession):
        session.send(None, local=ada.local, plaintext=b"text")


def test_an_absent_one_time_prekey_is_no_prekey() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=3))
    del ben.prekeys[3]
    assert_fails(ben, ada.say("first"), NoPreKey)


def test_an_absent_signed_prekey_is_no_prekey() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    ben.local = replace(ben.local, signed_prekeys={2: ben.pair()})
    assert_fails(ben, ada.say("first"), NoPreKey)


def test_another_prekey_under_the_same_id_is_a_bad_mac() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=3))
    ben.prekeys[3] = ben.pair()
    assert_fails(ben, ada.say("first"), BadMac)


def test_an_identity_other_than_the_pinned_one_is_untrusted() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    message = ada.say("first")
    parsed = session.parse(message.type, message.body)
    with pytest.raises(UntrustedIdentity) as failure:
        session.decrypt(
            None, parsed, ben.local, prekey=ben.prekeys[1], ratchet=bytes(32), now=NOW, pinned=bytes(32)
        )
    assert (failure.value.pinned, failure.value.offered) == (bytes(32), ada.identity)


def test_a_bundle_with_a_wrong_signature_starts_nothing() -> None:
    ada, ben = strangers()
    bundle = ben.bundle()
    forged = replace(bundle, signed_prekey=ada.pair().public)
    with pytest.raises(BadSignature):
        ada.start(forged)
    with pytest.raises(BadSignature):
        ada.start(replace(bundle, signed_prekey_signature=bytes(64)))
    with pytest.raises(BadSignature):
        ada.start(replace(bundle, identity=ada.identity))
    assert ada.record is None


def test_a_key_of_low_order_is_invalid() -> None:
    ada, ben = strangers()
    with pytest.raises(InvalidKey):
        ada.start(replace(ben.bundle(), prekey=bytes(32)))
    ada.start(ben.bundle())
    inner = parse_prekey_message(ada.say("first").body)
    body = encode_prekey_message(
        1, bytes(32), inner.identity, inner.message.signed + inner.message.mac, 11, 1
    )
    assert_fails(ben, Ciphertext("pkmsg", body), InvalidKey)


def test_a_session_known_by_its_base_key_needs_no_prekey_again() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("one"))
    assert 2 not in ben.prekeys
    again = ada.say("two")
    parsed = session.parse(again.type, again.body)
    assert isinstance(parsed, PreKeyMessage)
    assert parsed.prekey_id == 2
    opened = ben.decrypt(again)
    assert (opened.plaintext, opened.consumed_prekey, opened.new_session) == (b"two", None, False)


def test_our_own_first_message_reflected_is_refused() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    assert_fails(ada, ada.say("mirror"), BadMac)


def test_an_index_behind_the_checkpoint_or_far_ahead_is_stale() -> None:
    ada, _ = acquainted()
    chain = session.advance(ada.current.sending, 10)
    arguments = {"identity": ada.identity, "registration_id": 11, "plaintext": b"text"}
    assert session.encrypt(chain, 10, **arguments) == session.encrypt(ada.current.sending, 10, **arguments)
    for index in (9, 0, 2011):
        with pytest.raises(StaleIndex):
            session.encrypt(chain, index, **arguments)
    with pytest.raises(StaleIndex):
        session.advance(chain, 9)


def test_nothing_shows_key_material() -> None:
    ada, ben = acquainted()
    state = ada.current
    opened = ben.decrypt(ada.say("a secret text"))
    shown = repr((ada.record, state, ada.local, state.sending, state.ratchet, opened, ben.record))
    secrets = [state.root_key, state.sending.chain_key, state.ratchet.private, ada.local.identity.private]
    assert not [secret for secret in secrets if repr(secret)[2:-1] in shown or secret.hex() in shown]
    assert "a secret text" not in shown


@pytest.mark.parametrize("prekey_id", [None, 0])
def test_a_one_time_prekey_without_a_usable_id_is_left_alone(prekey_id: int | None) -> None:
    ada, ben = strangers()
    ada.start(replace(ben.bundle(), prekey_id=prekey_id))
    assert ben.hear(ada.say("without it")) == "without it"
    assert 1 in ben.prekeys


def test_initiating_needs_fresh_keys_only() -> None:
    """Two sessions from the same bundle differ in every key: nothing is remembered between calls."""
    ada, ben = strangers()
    bundle = ben.bundle(prekey_id=None)
    one, two = (
        initiate(
            ada.local, bundle, base=key_pair(bytes([n]) * 32), ratchet=key_pair(bytes([n + 8]) * 32), now=0
        )
        for n in (1, 2)
    )
    assert one.base_key != two.base_key
    assert one.root_key != two.root_key
    assert encode_point(one.base_key)[0] == 5


def test_a_message_under_another_identity_than_the_sessions_is_a_bad_mac() -> None:
    """The MAC covers both identities as the session has them, not as some other table does."""
    ada, ben = acquainted()
    other = Person("mallory", 9).identity
    state = replace(ben.current, remote_identity=other)
    ben.record = replace(ben.record, states=(state, *ben.record.archived))
    with pytest.raises(BadMac):
        ben.decrypt(ada.say("hello"))
