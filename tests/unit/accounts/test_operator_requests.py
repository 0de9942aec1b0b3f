"""What the operator asks for and what they are shown: sealed both ways, taken up once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.key_peers import NOW, SEALER
from tocsin.accounts.operator_requests import (
    AHEAD_SECONDS,
    ANSWERED,
    ASKED,
    NOT_OURS,
    REQUEST_SECONDS,
    SHOWN,
    Asked,
    Control,
    Request,
    RequestRefused,
    answer,
    give_passkey_answer,
    open_request,
    read_control,
    read_request,
    request,
    take_passkey_answer,
    take_up,
)
from tocsin.accounts.passkey import LinkedPhone, PasskeyAnswer, PasskeyStep
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Put
from tocsin.sealing import Place, Sealer
from tocsin.tables.keys import control_key

NONCE = bytes(12)


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def ask(table: MemoryTable, what: str, now: int = NOW, **more: Any) -> None:
    request(table, SEALER, "main", what, now, NONCE, **more)


def show(table: MemoryTable, **shown: Any) -> None:
    answer(table, SEALER, "main", NONCE, **shown)


def opened(seen: Request, now: float = NOW, account: str = "main") -> Asked:
    return open_request(seen, account, SEALER, now)


def stored(table: MemoryTable) -> dict[str, Any]:
    found = table.get(control_key("main"))
    assert found is not None
    return {name: value for name, value in found.items() if name not in ("pk", "sk")}


def refusal(seen: Request, now: float = NOW, account: str = "main") -> str:
    with pytest.raises(RequestRefused) as caught:
        opened(seen, now, account)
    return caught.value.reason


# -- requests ---------------------------------------------------------------------------------------------


def test_a_request_is_taken_up_once(table: MemoryTable) -> None:
    ask(table, "pair", phone="628")
    seen = read_request(table, "main")
    asked = opened(seen)
    assert (asked.request, asked.phone, asked.requested_at) == ("pair", "628", NOW)
    assert take_up(table, "main", seen)
    assert not take_up(table, "main", seen)
    assert read_request(table, "main").what is None
    assert read_control(table, "main", SEALER).request is None


def test_a_request_of_meanwhile_is_not_taken_up_by_mistake(table: MemoryTable) -> None:
    ask(table, "pair")
    seen = read_request(table, "main")
    ask(table, "unpair", NOW + 1)
    assert not take_up(table, "main", seen)


def test_the_same_request_in_the_same_second_is_another_one(table: MemoryTable) -> None:
    request(table, SEALER, "main", "pair", NOW, b"a" * 12)
    seen = read_request(table, "main")
    request(table, SEALER, "main", "pair", NOW, b"b" * 12)
    assert not take_up(table, "main", seen)


def test_a_request_in_plain_is_refused_and_can_be_dropped(table: MemoryTable) -> None:
    """As a console of 0.1.0 writes it, and as a stranger could."""
    table.put(Put(control_key("main"), {"request": "unpair", "requested_at": NOW}))
    seen = read_request(table, "main")
    assert refusal(seen) == "unsealed"
    assert take_up(table, "main", seen)
    assert read_request(table, "main").what is None


def test_plain_words_around_the_seal_change_nothing(table: MemoryTable) -> None:
    ask(table, "pair", phone="628")
    forged = {**stored(table), "request": "unpair", "phone": "629", "requested_at": NOW + 9}
    table.put(Put(control_key("main"), forged))
    asked = opened(read_request(table, "main"))
    assert (asked.request, asked.phone, asked.requested_at) == ("pair", "628", NOW)


def test_a_request_for_another_account_is_refused(table: MemoryTable) -> None:
    ask(table, "unpair")
    assert refusal(read_request(table, "main"), account="second") == "damaged"


def test_what_the_operator_was_shown_is_no_request(table: MemoryTable) -> None:
    """The attribute belongs to the place: a seal of ours moved from one to the other doesn't open."""
    show(table, state="connected")
    assert refusal(Request("pair", NOW, stored(table)[SHOWN])) == "damaged"
    ask(table, "pair")
    table.put(Put(control_key("main"), {SHOWN: stored(table)[ASKED]}))
    assert read_control(table, "main", SEALER) == Control(message=NOT_OURS)


@pytest.mark.parametrize(
    ("age", "reason"), [(REQUEST_SECONDS + 1, "stale"), (-AHEAD_SECONDS - 1, "early"), (86_400, "stale")]
)
def test_a_request_out_of_its_time_is_refused(table: MemoryTable, age: int, reason: str) -> None:
    ask(table, "unpair")
    assert refusal(read_request(table, "main"), now=NOW + age) == reason


@pytest.mark.parametrize("age", [0, REQUEST_SECONDS, -AHEAD_SECONDS])
def test_a_request_in_its_time_counts(table: MemoryTable, age: int) -> None:
    ask(table, "unpair")
    assert opened(read_request(table, "main"), now=NOW + age).request == "unpair"


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_changed_bit_of_a_request_is_refused(place: int, bit: int) -> None:
    table = MemoryTable()
    ask(table, "pair")
    seen = read_request(table, "main")
    assert isinstance(seen.sealed, bytes)
    sealed = bytearray(seen.sealed)
    sealed[place % len(sealed)] ^= 1 << bit
    assert refusal(Request("pair", NOW, bytes(sealed))) == "damaged"


@given(
    pk=st.text(max_size=12), sk=st.text(max_size=8), attribute=st.text(max_size=8), tag=st.binary(max_size=4)
)
def test_a_seal_of_any_other_place_is_refused(pk: str, sk: str, attribute: str, tag: bytes) -> None:
    content = json.dumps({"request": "unpair", "requested_at": NOW, "phone": None}).encode()
    place = Place(pk, sk, attribute, tag)
    if place.associated_data() == Place(*control_key("main"), ASKED).associated_data():
        return
    assert refusal(Request("unpair", NOW, SEALER.seal(content, place, NONCE))) == "damaged"


@given(st.one_of(st.text(max_size=9), st.integers(), st.booleans(), st.binary(max_size=40)))
def test_no_value_of_a_stranger_is_a_request(value: Any) -> None:
    assert refusal(Request("unpair", NOW, value)) in ("unsealed", "damaged")


def test_an_unknown_request_is_a_mistake_of_the_caller(table: MemoryTable) -> None:
    with pytest.raises(ValueError, match="dance"):
        ask(table, "dance")


# -- answers ----------------------------------------------------------------------------------------------


def test_the_answer_shows_what_is_given_and_nothing_of_before(table: MemoryTable) -> None:
    show(table, state="pairing", qr="2@abc", qr_expires_at=NOW + 60)
    assert read_control(table, "main", SEALER).qr == "2@abc"
    show(table, state="connected")
    assert read_control(table, "main", SEALER) == Control(state="connected")


def test_a_new_request_takes_the_last_answer_away(table: MemoryTable) -> None:
    show(table, state="unpaired", message="no code was used in time")
    ask(table, "pair")
    assert read_control(table, "main", SEALER) == Control("pair", NOW)


def test_who_may_only_read_sees_neither_codes_nor_numbers(table: MemoryTable) -> None:
    ask(table, "pair", phone="6281100000001")
    show(table, state="pairing", qr="2@abcdef", pairing_code="ABCD1234")
    whole = repr(stored(table))
    for secret in ("2@abcdef", "ABCD1234", "6281100000001"):
        assert secret not in whole


def test_codes_that_an_earlier_version_left_in_plain_go_with_the_next_request(table: MemoryTable) -> None:
    table.put(Put(control_key("main"), {"state": "pairing", "qr": "2@old", "pairing_code": "OLDC0DE1"}))
    assert read_control(table, "main", SEALER) == Control()
    ask(table, "pair")
    assert not {"qr", "pairing_code", "state"} & stored(table).keys()


@pytest.mark.parametrize("forger", [b"2@evil", "2@evil", 7])
def test_a_code_that_somebody_else_wrote_is_never_shown(table: MemoryTable, forger: Any) -> None:
    """Whoever scans a stranger's code links their phone to the stranger."""
    forged: Item = {SHOWN: forger, "qr": "2@evil", "state": "pairing", "pairing_code": "EVIL0000"}
    table.put(Put(control_key("main"), forged))
    assert read_control(table, "main", SEALER) == Control(message=NOT_OURS)


def test_a_code_sealed_with_another_key_is_never_shown(table: MemoryTable) -> None:
    answer(table, Sealer({"k1": bytes(32)}, "k1"), "main", NONCE, state="pairing", qr="2@evil")  # type: ignore[arg-type]
    assert read_control(table, "main", SEALER).qr is None


def test_the_qr_shows_in_no_log() -> None:
    assert "2@abc" not in repr(Control(qr="2@abc", pairing_code="ABCD-EFGH"))


def test_without_an_item_it_is_empty(table: MemoryTable) -> None:
    assert read_control(table, "main", SEALER) == Control()


# -- the passkey ceremony ---------------------------------------------------------------------------------


STEP = PasskeyStep("one", "challenged", NOW + 600, options='{"challenge":"c2VjcmV0"}')


def give(table: MemoryTable, ceremony: str = "one", account: str = "main", **given: Any) -> None:
    give_passkey_answer(table, SEALER, account, PasskeyAnswer(ceremony, **given), NONCE)


def taken(table: MemoryTable, ceremony: str = "one", account: str = "main") -> PasskeyAnswer | None:
    return take_passkey_answer(table, account, SEALER, ceremony)


def test_a_step_is_shown_sealed_and_whole(table: MemoryTable) -> None:
    show(table, state="pairing", passkey=STEP)
    assert read_control(table, "main", SEALER).passkey == STEP
    assert "c2VjcmV0" not in repr(stored(table))
    assert "c2VjcmV0" not in repr(STEP)


def test_the_phone_that_results_is_shown_sealed(table: MemoryTable) -> None:
    linked = LinkedPhone("6281100000001", "6281100000002", ("second",))
    show(table, state="connecting", linked=linked)
    assert read_control(table, "main", SEALER).linked == linked
    assert "6281100000001" not in repr(stored(table)) + repr(linked)


def test_an_answer_is_taken_once_and_lies_there_no_more(table: MemoryTable) -> None:
    give(table, assertion="signed")
    assert b"signed" not in repr(stored(table)).encode()
    assert taken(table) == PasskeyAnswer("one", assertion="signed")
    assert taken(table) is None
    assert ANSWERED not in stored(table)


def test_an_answer_of_another_ceremony_counts_for_nothing_and_goes(table: MemoryTable) -> None:
    give(table, "earlier", same=True)
    assert taken(table) is None
    assert ANSWERED not in stored(table)


def test_an_answer_replaces_no_request(table: MemoryTable) -> None:
    ask(table, "unpair")
    give(table, same=True)
    assert opened(read_request(table, "main")).request == "unpair"


def test_an_answer_moved_from_another_account_or_attribute_counts_for_nothing(table: MemoryTable) -> None:
    give(table, account="second", same=True)
    moved = table.get(control_key("second"))
    assert moved is not None
    table.put(Put(control_key("main"), {ANSWERED: moved[ANSWERED]}))
    assert taken(table) is None
    show(table, state="pairing", passkey=STEP)
    table.put(Put(control_key("main"), {ANSWERED: stored(table)[SHOWN]}))
    assert taken(table) is None


@given(st.one_of(st.text(max_size=9), st.integers(), st.binary(max_size=40)))
def test_no_value_of_a_stranger_is_an_answer(value: Any) -> None:
    table = MemoryTable()
    table.put(Put(control_key("main"), {ANSWERED: value}))
    assert taken(table) is None


@pytest.mark.parametrize(
    "after", [lambda table: ask(table, "pair"), lambda table: show(table, state="pairing")]
)
def test_an_answer_that_nobody_took_goes_with_what_follows(table: MemoryTable, after: Any) -> None:
    give(table, assertion="signed")
    after(table)
    assert ANSWERED not in stored(table)


def test_a_step_leaves_the_answer_to_it_alone(table: MemoryTable) -> None:
    show(table, state="pairing", passkey=STEP)
    give(table, assertion="signed")
    show(table, state="pairing", passkey=STEP)
    assert taken(table) is not None


def test_what_a_connector_of_before_shows_has_no_ceremony(table: MemoryTable) -> None:
    """0.1.0 sealed neither `passkey` nor `linked`."""
    shown = {"state": "pairing", "message": "", "qr": "2@abc", "qr_expires_at": 7, "pairing_code": None}
    sealed = SEALER.seal(json.dumps(shown).encode(), Place(*control_key("main"), SHOWN), NONCE)
    table.put(Put(control_key("main"), {SHOWN: sealed}))
    control = read_control(table, "main", SEALER)
    assert (control.qr, control.passkey, control.linked) == ("2@abc", None, None)


def test_a_request_of_a_console_of_before_asks_for_nothing_new() -> None:
    asked = {"request": "pair", "requested_at": NOW, "phone": None}
    sealed = SEALER.seal(json.dumps(asked).encode(), Place(*control_key("main"), ASKED), NONCE)
    read = opened(Request("pair", NOW, sealed))
    assert (read.always_ask_code, read.shared_phone) == (False, False)
