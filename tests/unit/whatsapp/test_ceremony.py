"""The passkey ceremony: its seven stanzas, both ways to trust the phone, every clock, and every end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.noise_peer import NOW, from_server
from tests.support.pairing_stanzas import (
    KEYS,
    code_offered,
    pair_success,
    primary_hello,
    refresh,
    secret_behind,
)
from tests.support.passkey_ceremony import CHALLENGE, PASSKEY, REF, Gate, requested
from tocsin.whatsapp.ceremony import MAX_CHALLENGES, PasskeyBusy
from tocsin.whatsapp.events import (
    Event,
    PairingFailed,
    PairingSucceeded,
    PasskeyAccepted,
    PasskeyCode,
    PasskeyEnded,
    PasskeyRequested,
    PasskeySent,
    PasskeyWanted,
    QrOffered,
    StreamEnded,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.passkey import CeremonyRefused, options


def end_of(events: list[Event]) -> PasskeyEnded:
    """The attempt ended, and the connection with it: a new scan is needed."""
    ended, stream = events[-2:]
    assert isinstance(ended, PasskeyEnded)
    assert isinstance(stream, StreamEnded)
    assert stream.reaction.reason == "passkey-ended"
    return ended


@pytest.fixture
def gate() -> Gate:
    return Gate()


# The course


def test_the_challenge_is_acknowledged_and_told_with_its_end(gate: Gate) -> None:
    event = requested(gate.challenges())
    assert (event.options.challenge, event.expires_at) == (CHALLENGE, NOW + 600)
    [ack] = gate.talk.says()
    assert (ack.tag, ack.attrs["type"], ack.attrs["id"]) == ("ack", "passkey_prologue_request", "80")


def test_the_whole_course_ends_with_a_pairing_under_the_new_secret(gate: Gate) -> None:
    secret = gate.to_vouching()
    [event] = gate.hears(pair_success(secret))
    assert isinstance(event, PairingSucceeded)
    assert event.pairing.adv_secret == secret != gate.scanned
    kinds = [type(event) for event in gate.told]
    assert kinds == [PasskeyRequested, PasskeySent, PasskeyAccepted, PasskeyCode, PairingSucceeded]


def test_the_prologue_holds_the_four_parts_in_their_order(gate: Gate) -> None:
    prologue = gate.to_prologue().require_child("passkey_prologue")
    assert [child.tag for child in prologue.children()] == [
        "credential_id",
        "webauthn_assertion",
        "prologue_payload",
        "pairing_handoff_proof",
    ]
    PASSKEY.verified(
        prologue.require_child("credential_id").bytes(),
        prologue.require_child("webauthn_assertion").bytes(),
        CHALLENGE,
    )


def test_the_server_takes_the_proof_of_the_scanned_code_and_no_other(gate: Gate) -> None:
    gate.to_half()
    assert gate.phone.skipped
    other = Gate()
    other.phone.scanned = b"x" * 32
    with pytest.raises(CeremonyRefused, match="another code"):
        other.to_half()


def test_with_a_proof_the_code_is_only_told(gate: Gate) -> None:
    assert gate.to_code() == [PasskeyCode(gate.phone.code, must_compare=False, expires_at=NOW + 30)]
    assert gate.asked().child("encrypted_pairing_request") is not None


def test_a_phone_that_answers_before_the_server_does_is_heard(gate: Gate) -> None:
    request = gate.to_prologue()
    prologue = request.require_child("passkey_prologue")
    proof = prologue.require_child("pairing_handoff_proof").bytes()
    half = gate.phone.begin(prologue.require_child("prologue_payload").bytes(), proof, REF)
    assert gate.continues(half) == []
    nonce = gate.asked()
    assert gate.answers(request) == []
    gate.phone.open_nonce(nonce.require_child("companion_nonce").bytes(32))
    [code] = gate.answers(nonce)
    assert isinstance(code, PasskeyCode)


# Codes to compare


def test_after_five_minutes_there_is_no_proof_and_the_codes_are_compared(gate: Gate) -> None:
    gate.challenges()
    gate.talk.says()
    gate.waits(301)
    gate.pastes()
    gate.gives_ref()
    prologue = gate.asked().require_child("passkey_prologue")
    assert prologue.child("pairing_handoff_proof") is None


def test_the_proof_counts_for_five_minutes(gate: Gate) -> None:
    gate.challenges()
    gate.talk.says()
    gate.waits(299)
    gate.pastes()
    gate.gives_ref()
    assert gate.asked().require_child("passkey_prologue").child("pairing_handoff_proof") is not None


def test_nothing_goes_on_before_the_operator_says_that_the_codes_are_the_same(gate: Gate) -> None:
    [code] = gate.to_code(always_ask=True)
    assert code == PasskeyCode(gate.phone.code, must_compare=True, expires_at=NOW + 300)
    assert not gate.phone.skipped
    assert gate.talk.says() == []
    assert gate.compares(same=True) == []
    secret = gate.phone.open_request(gate.asked().require_child("encrypted_pairing_request").bytes())
    [event] = gate.hears(pair_success(secret))
    assert isinstance(event, PairingSucceeded)


def test_codes_that_differ_end_the_attempt_and_nothing_was_told(gate: Gate) -> None:
    gate.to_code(always_ask=True)
    assert end_of(gate.compares(same=False)).reason == "codes-differ"
    assert gate.talk.says() == []


def test_a_comparison_that_nobody_asked_for_is_refused(gate: Gate) -> None:
    gate.to_code()
    with pytest.raises(PasskeyBusy):
        gate.talk.client.compare_codes(True, gate.talk.now)


# What the operator hands over


def test_a_second_assertion_is_refused_while_one_is_on_its_way(gate: Gate) -> None:
    gate.to_ref()
    with pytest.raises(PasskeyBusy):
        gate.pastes()


def test_an_assertion_without_a_challenge_is_refused() -> None:
    with pytest.raises(PasskeyBusy):
        Gate().pastes()


# Options that are fetched


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[]",
        b'{"challenge":"AAAA","rpId":"whatsapp.com"}',
        options(CHALLENGE).replace(b"whatsapp.com", b"evil.example"),
        options(CHALLENGE).replace(b'"timeout":600000', b'"timeout":1e999'),
    ],
)
def test_options_that_are_no_use_are_fetched(gate: Gate, content: bytes) -> None:
    assert gate.challenges(content=content) == [PasskeyWanted(NOW + 30)]
    request = gate.asked()
    assert (request.attrs["type"], request.attrs["xmlns"]) == ("get", "md")
    told = gate.answers(request, Node("passkey_request_options", {}, options(CHALLENGE)))
    assert requested(told).options.challenge == CHALLENGE


def test_a_server_without_options_ends_the_attempt(gate: Gate) -> None:
    gate.challenges(content=b"")
    assert end_of(gate.refuses(gate.asked())).detail == "400 bad-request"


# Refs, secrets, refresh


def test_from_the_challenge_on_no_code_is_shown_and_refs_that_run_out_end_nothing(gate: Gate) -> None:
    gate.challenges()
    events = gate.waits(599)
    assert not any(isinstance(event, (QrOffered, StreamEnded)) for event in events)


def test_a_pairing_under_the_scanned_secret_is_refused_from_the_challenge_on(gate: Gate) -> None:
    gate.challenges()
    gate.talk.says()
    failed, stream = gate.hears(pair_success(KEYS.adv_secret))
    assert failed == PairingFailed(401, "hmac-mismatch")
    assert isinstance(stream, StreamEnded)
    [told] = gate.talk.says()
    assert told.require_child("error").attrs == {"code": "401", "text": "hmac-mismatch"}


def test_a_second_challenge_starts_anew_with_the_proof_of_the_scanned_code(gate: Gate) -> None:
    gate.challenges()
    second = bytes(reversed(CHALLENGE))
    assert requested(gate.challenges(second)).options.challenge == second
    gate.talk.says()
    gate.pastes(second)
    gate.gives_ref()
    prologue = gate.asked().require_child("passkey_prologue")
    proof = prologue.require_child("pairing_handoff_proof").bytes()
    gate.phone.begin(prologue.require_child("prologue_payload").bytes(), proof, REF)
    assert gate.phone.skipped


def test_the_proof_is_five_minutes_old_whenever_the_second_challenge_came(gate: Gate) -> None:
    gate.challenges()
    gate.waits(200)
    gate.challenges()
    gate.talk.says()
    gate.waits(101)
    gate.pastes()
    gate.gives_ref()
    assert gate.asked().require_child("passkey_prologue").child("pairing_handoff_proof") is None


def test_what_was_on_its_way_before_a_second_challenge_counts_no_more(gate: Gate) -> None:
    request = gate.to_prologue()
    requested(gate.challenges())
    gate.talk.says()
    assert gate.answers(request) == []
    assert gate.refuses(request) == []
    gate.pastes()
    assert gate.asked().child("ref") is not None


def test_challenges_without_end_end(gate: Gate) -> None:
    for _ in range(MAX_CHALLENGES):
        requested(gate.challenges())
    assert end_of(gate.challenges()).reason == "too-many-challenges"


def test_a_secret_that_is_retired_early_is_replaced_and_no_code_shown(gate: Gate) -> None:
    gate.challenges()
    assert gate.hears(refresh("companion_reg_refresh")) == []
    gate.talk.says()
    gate.pastes()
    gate.gives_ref()
    prologue = gate.asked().require_child("passkey_prologue")
    proof = prologue.require_child("pairing_handoff_proof").bytes()
    gate.phone.begin(prologue.require_child("prologue_payload").bytes(), proof, REF)
    assert gate.phone.skipped, "the proof is still of the code that was scanned"


def test_a_refresh_is_only_acknowledged_once_the_prologue_is_sent(gate: Gate) -> None:
    secret = gate.to_vouching()
    gate.talk.says()
    assert gate.hears(refresh("companion_reg_refresh")) == []
    assert [node.tag for node in gate.talk.says()] == ["ack"]
    [event] = gate.hears(pair_success(secret))
    assert isinstance(event, PairingSucceeded)


def test_a_success_before_the_pairing_is_complete_is_ignored(gate: Gate) -> None:
    gate.to_half()
    assert gate.hears(Node("success", {"t": "1"})) == []
    assert gate.talk.client.is_pairing


@pytest.mark.parametrize("kind", ["passkey_prologue_request", "crsc_continuation"])
def test_what_another_than_the_server_says_is_only_acknowledged(gate: Gate, kind: str) -> None:
    stranger = JID.parse("6281200000001@s.whatsapp.net")
    note = Node("notification", {"from": stranger, "type": kind, "id": "9"})
    assert gate.hears(note) == []
    assert [node.tag for node in gate.talk.says()] == ["ack"]


# Typed codes


def test_a_typed_code_that_was_answered_proves_itself_by_the_derived_secret() -> None:
    """The first order: companion_finish, then the challenge in place of pair-success."""
    talk, code, asked = code_offered()
    talk.hears(primary_hello(code))
    _, finish = talk.says()
    gate = Gate(talk, secret_behind(code, asked, finish))
    gate.to_half()
    assert gate.phone.skipped
    assert not any(isinstance(event, StreamEnded) for event in gate.waits(170))


def bare_hello() -> Node:
    reg = Node("link_code_companion_reg", {"stage": "primary_hello"})
    return from_server("notification", {"type": "link_code_companion_reg", "id": "9"}, reg)


@pytest.mark.parametrize("before", [True, False])
def test_a_typed_code_that_the_gate_stops_needs_the_codes_compared(before: bool) -> None:
    """The second order: a hello without the phone's key, before or after the challenge."""
    talk, _, _ = code_offered()
    gate = Gate(talk, None)
    if before:
        assert gate.hears(bare_hello()) == []
    requested(gate.challenges())
    if not before:
        assert gate.hears(bare_hello()) == []
    gate.talk.says()
    assert gate.waits(400) == [], "neither the code's time nor the phone's ends it"
    gate.pastes()
    gate.gives_ref()
    assert gate.asked().require_child("passkey_prologue").child("pairing_handoff_proof") is None


def test_a_code_refused_or_withdrawn_after_the_challenge_changes_nothing() -> None:
    talk, code, _ = code_offered()
    talk.hears(primary_hello(code))
    _, finish = talk.says()
    gate = Gate(talk, None)
    gate.challenges()
    assert gate.refuses(finish) == []
    ref = Node("link_code_pairing_ref", {}, b"ref")
    reg = Node("link_code_companion_reg", {"stage": "refresh_code"}, (ref,))
    assert gate.hears(from_server("notification", {"type": "link_code_companion_reg", "id": "9"}, reg)) == []


# Clocks and ends


def to_comparing(gate: Gate) -> None:
    gate.to_code(always_ask=True)


CLOCKS: list[tuple[Callable[[Gate], object], float, str]] = [
    (lambda gate: gate.challenges(content=b""), 30, "no-options"),
    (lambda gate: gate.challenges(), 600, "too-late"),
    (Gate.to_ref, 30, "no-answer"),
    (Gate.to_prologue, 30, "no-answer"),
    (Gate.to_half, 180, "no-continuation"),
    (Gate.to_nonce, 30, "no-answer"),
    (to_comparing, 300, "not-compared"),
    (Gate.to_pairing, 30, "no-answer"),
    (Gate.to_vouching, 60, "not-vouched"),
]


@pytest.mark.parametrize(("way", "seconds", "reason"), CLOCKS)
def test_each_step_has_its_time(
    gate: Gate, way: Callable[[Gate], object], seconds: float, reason: str
) -> None:
    way(gate)
    assert not any(isinstance(event, StreamEnded) for event in gate.waits(seconds - 1))
    assert end_of(gate.waits(2)).reason == reason


def test_the_options_may_shorten_their_time_and_not_lengthen_it(gate: Gate) -> None:
    short = json.loads(options(CHALLENGE)) | {"timeout": 90_000}
    assert requested(gate.challenges(content=json.dumps(short).encode())).expires_at == NOW + 90
    long = short | {"timeout": 10**30}
    assert requested(gate.challenges(content=json.dumps(long).encode())).expires_at == NOW + 600


REQUESTS: list[Callable[[Gate], Node]] = [Gate.to_ref, Gate.to_prologue, Gate.to_nonce, Gate.to_pairing]


@pytest.mark.parametrize("way", REQUESTS)
def test_an_error_at_any_step_ends_the_attempt_with_code_and_text(
    gate: Gate, way: Callable[[Gate], Node]
) -> None:
    ended = end_of(gate.refuses(way(gate)))
    assert (ended.reason, ended.detail) == ("refused", "400 bad-request")
    assert gate.talk.says() == [], "an assertion is used once"


def test_a_ref_that_is_none_ends_the_attempt(gate: Gate) -> None:
    assert end_of(gate.answers(gate.to_ref())).reason == "unreadable-answer"


@pytest.mark.parametrize(
    "way", [lambda gate: gate.challenges(), Gate.to_ref, lambda gate: None], ids=["asked", "ref", "offering"]
)
def test_a_continuation_before_the_prologue_ends_the_attempt(
    gate: Gate, way: Callable[[Gate], object]
) -> None:
    way(gate)
    gate.talk.says()
    assert end_of(gate.continues(b"\x0a\x20" + bytes(32))).reason == "unexpected-continuation"
    assert [node.tag for node in gate.talk.says()] == ["ack"]


def test_a_half_that_is_no_use_ends_the_attempt_and_our_nonce_stays_secret(gate: Gate) -> None:
    half = gate.to_half()
    gate.talk.says()
    assert end_of(gate.continues(half[:-1])).reason == "bad-continuation"
    assert [node.tag for node in gate.talk.says()] == ["ack"]


def test_the_same_half_once_more_is_ignored_and_another_one_ends_the_attempt(gate: Gate) -> None:
    """Whoever has seen our nonce must not choose a half after it."""
    half = gate.to_half()
    gate.continues(half)
    gate.talk.says()
    assert gate.continues(half) == []
    other = half[:2] + bytes(31) + b"\x09" + half[34:]
    assert end_of(gate.continues(other)).reason == "unexpected-continuation"


@pytest.mark.parametrize(
    ("last", "reason"),
    [(Node("stream:error", {"code": "515"}), "restart-required"), (None, "connection-lost")],
)
def test_a_connection_that_ends_meanwhile_ends_the_attempt(
    gate: Gate, last: Node | None, reason: str
) -> None:
    gate.to_half()
    if last is None:
        gate.talk.client.connection_lost()
        [event] = gate.talk.client.events()
    else:
        [event] = gate.hears(last)
    assert isinstance(event, StreamEnded)
    assert event.reaction.reason == reason
    with pytest.raises(PasskeyBusy):
        gate.pastes()


def test_nothing_of_the_ceremony_shows_in_a_log(gate: Gate) -> None:
    gate.to_code(always_ask=True)
    assert gate.talk.client._unpaired.ceremony is not None
    whole = repr(gate.told) + repr(gate.talk.client) + repr(gate.talk.client._unpaired.ceremony)
    for secret in (gate.phone.code, "challenge", REF):
        assert secret not in whole
