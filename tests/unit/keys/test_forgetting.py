"""Of an erased person no key is left, and nobody else's is touched."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import reply_of_everybody
from tocsin.dynamo.writes import Update
from tocsin.keys.forgetting import KeysHeld
from tocsin.keys.store import KeyStore
from tocsin.tables.keys import credentials_key

N, LID = "6281234567890@s.whatsapp.net", "1234@lid"
NAMES = {N, LID}


@pytest.fixture
def wired() -> WiredFunctions:
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    reply_of_everybody(wired)
    return wired


@pytest.fixture
def keys(wired: WiredFunctions) -> KeyStore:
    return wired.paired.keys


def named(wired: WiredFunctions) -> list[tuple[str, str]]:
    items = everything_in(wired.aws.keys_table)
    return [(item["pk"], item["sk"]) for item in items if LID in repr(item) or "6281234567890" in repr(item)]


def test_both_names_are_told_by_either(keys: KeyStore) -> None:
    assert keys.upkeep.names(N) == keys.upkeep.names(LID) == NAMES
    assert keys.upkeep.names("4444@lid") == frozenset()


def test_a_number_that_is_somebody_else_s_is_no_name(keys: KeyStore) -> None:
    keys.contacts.learn(N, "5678@lid")
    assert keys.upkeep.names(LID) == {LID}
    assert keys.upkeep.names(N) == {N, "5678@lid"}


def test_what_is_held_is_counted_by_kind(wired: WiredFunctions, keys: KeyStore) -> None:
    keys.contacts.keep_token("9999@lid", LID, b"token", 5)
    keys.receiving.keep_secret(LID, "M1", bytes(32))
    keys.sending.keep_upload("message#3EB0", b"x", replace=False)
    held = keys.upkeep.held(NAMES, ["3EB0"])
    assert (held.sessions, held.secrets, held.tokens, held.uploads) == (2, 1, 2, 1)


def test_nothing_is_left(wired: WiredFunctions, keys: KeyStore) -> None:
    keys.contacts.keep_token("9999@lid", LID, b"token", 5)
    keys.receiving.keep_secret(LID, "M1", bytes(32))
    keys.sending.keep_upload("message#3EB0", b"x", replace=False)
    assert named(wired)
    keys.upkeep.forget(NAMES, ["3EB0"])
    assert named(wired) == []
    assert keys.upkeep.held(NAMES, ["3EB0"]) == KeysHeld()


def test_sessions_of_earlier_pairings_go_too(wired: WiredFunctions, keys: KeyStore) -> None:
    wired.paired.pair(5)
    wired.restart()
    wired.tell(2)
    keys.upkeep.forget(NAMES)
    assert named(wired) == []


def test_an_incarnation_that_somebody_wrote_makes_it_no_endless_walk(wired: WiredFunctions) -> None:
    wired.aws.keys_table.update(Update(credentials_key(ACCOUNT), set={"incarnation": 10**15}))
    wired.paired.keys.upkeep.forget(NAMES)


def test_doing_it_again_is_harmless(wired: WiredFunctions, keys: KeyStore) -> None:
    keys.upkeep.forget(NAMES)
    before = everything_in(wired.aws.keys_table)
    keys.upkeep.forget(NAMES)
    assert everything_in(wired.aws.keys_table) == before


def test_who_has_the_number_now_keeps_everything(wired: WiredFunctions, keys: KeyStore) -> None:
    keys.contacts.learn(N, "5678@lid")
    keys.upkeep.forget(NAMES)
    assert keys.upkeep.names(N) == {N, "5678@lid"}
    assert not keys.upkeep.held({LID}).sessions


def test_who_was_erased_can_be_written_to_and_write_anew(wired: WiredFunctions, keys: KeyStore) -> None:
    keys.upkeep.forget(NAMES)
    wired.restart()
    wired.tell(2)
    wired.answer_retries()
    assert wired.siti.devices[0].shown[-1][1] == "Tiket 2"
