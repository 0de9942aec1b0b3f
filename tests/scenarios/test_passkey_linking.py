"""An account under the passkey gate is linked: connector, local WhatsApp server and phone, and all that can
go wrong between them. The operator sees only what the table shows."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tests.support.passkey_world import OWNER, World, at_the_gate
from tocsin.accounts.passkey import CHALLENGED, COMPARE, CONTINUE, FETCHING, PAIRING, PasskeyStep
from tocsin.accounts.state import AccountState
from tocsin.connector import passkey as connector_passkey
from tocsin.connector.passkey import BUSY, ENDS
from tocsin.tables.keys import control_key
from tocsin.whatsapp import ceremony
from tocsin.whatsapp.assertion import REFUSALS
from tocsin_whatsapp_server import passkey_gate
from tocsin_whatsapp_server.passkey_gate import FAULTS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connector looks for the operator's answers more often than once a second."""
    monkeypatch.setattr(connector_passkey, "POLL_SECONDS", 0.002)
    monkeypatch.setattr(passkey_gate, "SLOW_SECONDS", 0.05)


async def linked(world: World, pairing: asyncio.Task[bool]) -> None:
    async with asyncio.timeout(60):
        assert await pairing
    control = world.control()
    assert control.state == AccountState.CONNECTING
    assert control.linked is not None
    assert control.linked.number == OWNER
    assert control.passkey is None
    assert world.keys().account.credentials().jid == f"{OWNER}:1@s.whatsapp.net"


@at_the_gate
async def test_the_owner_brings_the_passkey_and_the_account_is_linked(world: World) -> None:
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)
    gate = world.server.phone(OWNER).at_gate
    assert gate is not None
    assert gate.shown.proven


@at_the_gate
async def test_the_code_is_hidden_as_soon_as_the_passkey_is_wanted(world: World) -> None:
    async with world.pairing():
        await world.scans()
        await world.sees_step(CHALLENGED)
        control = world.control()
        assert (control.qr, control.pairing_code) == (None, None)


@at_the_gate
async def test_the_code_is_hidden_even_while_the_question_itself_must_be_asked_for(world: World) -> None:
    """Its secret is dead already: whoever scanned it then would wait for nothing."""
    world.fault("silent-options")
    async with world.pairing():
        await world.scans()
        await world.sees_step(FETCHING)
        control = world.control()
        assert (control.qr, control.pairing_code) == (None, None)


@at_the_gate
async def test_the_codes_are_compared_where_the_operator_wants_it(world: World) -> None:
    async with world.pairing(always_ask_code=True) as pairing:
        await world.scans()
        await world.uses_the_passkey()
        step = await world.sees_step(COMPARE)
        gate = world.server.phone(OWNER).at_gate
        assert gate is not None
        assert step.code == gate.shown.code
        assert not gate.shown.proven
        world.brings(step, same=True)
        await linked(world, pairing)


@pytest.mark.parametrize("same", [True, False])
@at_the_gate
async def test_a_passkey_that_took_more_than_five_minutes_has_the_codes_compared(
    world: World, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceremony, "HANDOFF_SECONDS", 0.0)
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        world.brings(await world.sees_step(COMPARE), same=same)
        if same:
            await linked(world, pairing)
        else:
            assert not await pairing
    gate = world.server.phone(OWNER).at_gate
    assert gate is not None
    assert not gate.shown.proven
    assert (world.keys().account.credentials().jid is not None) is same


@at_the_gate
async def test_codes_that_differ_link_nothing_and_no_new_code_follows(world: World) -> None:
    world.fault("other-code")
    async with world.pairing(always_ask_code=True) as pairing:
        await world.scans()
        await world.uses_the_passkey()
        step = await world.sees_step(COMPARE)
        gate = world.server.phone(OWNER).at_gate
        assert gate is not None
        assert step.code != gate.shown.code
        world.brings(step, same=False)
        assert not await pairing
    assert world.control().message == ENDS["codes-differ"]
    assert world.keys().account.credentials().jid is None


@at_the_gate
async def test_the_operator_may_stop_it(world: World) -> None:
    """Nobody meant to scan: somebody else read the code."""
    async with world.pairing() as pairing:
        await world.scans()
        world.brings(await world.sees_step(CHALLENGED))
        assert not await pairing
    assert (world.control().state, world.control().message) == (AccountState.UNPAIRED, ENDS["stopped"])


@at_the_gate
async def test_a_paste_that_is_no_answer_keeps_the_challenge_and_says_why(world: World) -> None:
    async with world.pairing() as pairing:
        await world.scans()
        step = await world.sees_step(CHALLENGED)
        world.brings(step, world.answer(step, origin="https://evil.example"))
        seen = await world.sees(lambda seen: seen.passkey is not None and seen.passkey.refusal)
        assert seen.passkey is not None
        assert (seen.passkey.refusal, seen.passkey.options) == (REFUSALS["another-origin"], step.options)
        world.brings(step, world.answer(step))
        await linked(world, pairing)


@at_the_gate
async def test_a_second_paste_is_refused_while_the_first_is_on_its_way(world: World) -> None:
    world.fault("no-half")
    async with world.pairing():
        await world.scans()
        await world.uses_the_passkey()
        step = await world.sees_step(CONTINUE)
        world.brings(step, "{}")
        seen = await world.sees(lambda seen: seen.passkey is not None and seen.passkey.refusal)
        assert seen.passkey is not None
        assert (seen.passkey.refusal, seen.passkey.step) == (BUSY, CONTINUE)


@at_the_gate
async def test_an_answer_to_an_earlier_challenge_counts_for_nothing(world: World) -> None:
    world.fault("second-late")
    async with world.pairing() as pairing:
        await world.scans()
        first = await world.sees_step(CHALLENGED)
        world.brings(first, world.answer(first))
        await world.sees(lambda seen: seen.passkey is not None and seen.passkey.ceremony != first.ceremony)
        world.brings(first, world.answer(first))
        await world.uses_the_passkey()
        await linked(world, pairing)


# What the server may do otherwise without harm

HARMLESS = [
    "options-missing",
    "options-garbled",
    "refresh-early",
    "refresh-late",
    "early-success",
    "slow-half",
]


@pytest.mark.parametrize("what", HARMLESS)
@at_the_gate
async def test_what_the_server_may_do_otherwise_the_account_is_linked(world: World, what: str) -> None:
    world.fault(what)
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)


@at_the_gate
async def test_the_second_of_two_challenges_counts(world: World) -> None:
    world.fault("second-challenge")
    async with world.pairing() as pairing:
        await world.scans()
        gate = world.server.phone(OWNER).at_gate
        assert gate is not None
        current = json.loads(gate.options)["challenge"]
        await world.sees(lambda seen: seen.passkey is not None and current in str(seen.passkey.options))
        await world.uses_the_passkey()
        await linked(world, pairing)


@pytest.mark.parametrize("what", ["bare-before", "bare-after"])
@at_the_gate
async def test_a_typed_code_that_the_gate_stops_is_linked_by_comparing(world: World, what: str) -> None:
    world.fault(what)
    async with world.pairing(phone=OWNER) as pairing:
        code = (await world.sees(lambda seen: seen.pairing_code)).pairing_code
        assert await world.server.link_by_code(OWNER, str(code)) is None
        await world.uses_the_passkey()
        step = await world.sees_step(COMPARE)
        world.brings(step, same=True)
        await linked(world, pairing)


@at_the_gate
async def test_a_typed_code_that_was_answered_proves_itself(world: World) -> None:
    async with world.pairing(phone=OWNER) as pairing:
        code = (await world.sees(lambda seen: seen.pairing_code)).pairing_code
        assert await world.server.link_by_code(OWNER, str(code)) is None
        await world.uses_the_passkey()
        await linked(world, pairing)
    gate = world.server.phone(OWNER).at_gate
    assert gate is not None
    assert gate.shown.proven


@at_the_gate
async def test_a_typed_code_that_died_with_its_connection_is_followed_by_another(world: World) -> None:
    world.fault("close-ref")
    async with world.pairing(phone=OWNER) as pairing:
        first = (await world.sees(lambda seen: seen.pairing_code)).pairing_code
        await world.server.link_by_code(OWNER, str(first))
        await world.uses_the_passkey()
        seen = await world.sees(lambda seen: seen.pairing_code and seen.pairing_code != first)
        assert seen.message.startswith(ENDS["connection"])
        await world.server.link_by_code(OWNER, str(seen.pairing_code))
        await world.uses_the_passkey()
        await linked(world, pairing)


# Ends: each with its words, and a new code that then links

ENDINGS = {
    "error-options": "refused",
    "error-ref": "refused",
    "error-prologue": "refused",
    "error-nonce": "refused",
    "error-request": "refused",
    "close-options": "connection",
    "close-ref": "connection",
    "close-prologue": "connection",
    "close-nonce": "connection",
    "close-request": "connection",
    "restart-options": "connection",
    "restart-ref": "connection",
    "restart-prologue": "connection",
    "restart-nonce": "connection",
    "restart-request": "connection",
    "silent-options": "no-options",
    "silent-ref": "no-answer",
    "silent-prologue": "no-answer",
    "silent-nonce": "no-answer",
    "silent-request": "no-answer",
    "short-challenge": "too-late",
    "early-half": "unexpected-continuation",
    "other-half": "unexpected-continuation",
    "no-half": "no-continuation",
    "no-success": "not-vouched",
    **{
        f"half-{name}": "bad-continuation"
        for name in ("key-31", "key-33", "nonce-16", "no-nonce", "empty", "truncated", "low-order")
    },
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks of the ceremony that a test can wait for; unit tests hold the true ones."""
    for name in ("ANSWER_SECONDS", "PHONE_SECONDS", "VOUCH_SECONDS"):
        monkeypatch.setattr(ceremony, name, 0.2)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("what", "end"), ENDINGS.items())
@at_the_gate
async def test_each_end_is_told_in_words_and_a_new_code_links(world: World, what: str, end: str) -> None:
    world.fault(what)
    async with world.pairing() as pairing:
        first = await world.scans()
        bringing = asyncio.create_task(bring_when_asked(world, late=what == "short-challenge"))
        seen = await world.sees(lambda seen: seen.qr and seen.qr != first)
        bringing.cancel()
        assert seen.message == f"{ENDS[end]}; to try again, use the new code"
        assert seen.passkey is None
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)


async def bring_when_asked(world: World, *, late: bool) -> None:
    """The operator, where the attempt gets so far."""
    if not late:
        await world.uses_the_passkey()


def test_every_fault_of_the_server_is_tried_here() -> None:
    others = {"other-code", "second-challenge", "old-secret", "second-late", "bare-before", "bare-after"}
    assert set(FAULTS) == {*ENDINGS, *HARMLESS, *others}


@at_the_gate
async def test_a_pairing_under_the_scanned_secret_is_refused(world: World) -> None:
    world.fault("old-secret")
    async with world.pairing() as pairing:
        await world.scans()
        assert not await pairing
    assert "401 hmac-mismatch" in world.control().message
    gate = world.server.phone(OWNER).at_gate
    assert gate is not None
    assert gate.shown.why == "the companion refuses to be linked: 401 hmac-mismatch"


@at_the_gate
async def test_an_attempt_too_many_is_the_last_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.connector.pairing.MAX_CEREMONIES", 2)
    world.server.switchboard.faults.make({"kind": "passkey-fault", "what": "error-ref", "n": 2})
    async with world.pairing() as pairing:
        first = await world.scans()
        await world.uses_the_passkey()
        await world.sees(lambda seen: seen.qr and seen.qr != first)
        await world.scans()
        await world.uses_the_passkey()
        assert not await pairing
    assert "wait before the next one" in world.control().message


# Secrets


@at_the_gate
async def test_nothing_of_the_ceremony_is_logged_or_left_in_the_table(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tocsin")
    async with world.pairing(always_ask_code=True) as pairing:
        await world.scans()
        step = await world.sees_step(CHALLENGED)
        assertion = world.answer(step)
        whole = repr(world.table.get(control_key(world.account)))
        world.brings(step, assertion)
        whole += repr(world.table.get(control_key(world.account)))
        compare = await world.sees_step(COMPARE)
        whole += repr(world.table.get(control_key(world.account)))
        world.brings(compare, same=True)
        await linked(world, pairing)
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for secret in secrets_of(step, assertion, compare):
        assert secret not in whole
        assert secret not in told
    assert "answered" not in (world.table.get(control_key(world.account)) or {})
    assert world.control().passkey is None


def secrets_of(step: PasskeyStep, assertion: str, compare: PasskeyStep) -> list[str]:
    read = json.loads(assertion)
    return [
        json.loads(step.options or "")["challenge"],
        read["id"],
        read["response"]["signature"],
        read["response"]["userHandle"],
        compare.code or "",
        step.ceremony,
    ]


# Which account results


@at_the_gate
async def test_a_phone_that_another_account_has_is_told_and_refused(world: World) -> None:
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)
    async with world.pairing("second") as pairing:
        await world.scans()
        await world.uses_the_passkey()
        assert not await pairing
    assert "linked to Tocsin already, as the account 'default'" in world.control().message
    assert world.keys("second").account.credentials().jid is None


@at_the_gate
async def test_a_phone_may_be_shared_if_it_is_meant(world: World) -> None:
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)
    async with world.pairing("second", shared_phone=True) as pairing:
        await world.scans()
        await world.uses_the_passkey()
        assert await pairing
    told = world.control().linked
    assert told is not None
    assert told.also == ("default",)


@at_the_gate
async def test_the_phone_of_before_is_told_beside_the_one_of_now(world: World) -> None:
    world.keys().account.create()
    world.keys().account.take_over("6281100000009@s.whatsapp.net")
    async with world.pairing() as pairing:
        await world.scans()
        await world.uses_the_passkey()
        await linked(world, pairing)
    told = world.control().linked
    assert told is not None
    assert (told.number, told.before) == (OWNER, "6281100000009")


@at_the_gate
async def test_an_account_without_the_gate_is_linked_as_before(world: World) -> None:
    world.server.phone(OWNER).account.gated = False
    async with world.pairing() as pairing:
        await world.scans()
        await linked(world, pairing)


@at_the_gate
async def test_with_a_proof_the_operator_sees_the_code_and_is_not_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fault("no-success")
    monkeypatch.setattr(ceremony, "VOUCH_SECONDS", 1.0)
    async with world.pairing():
        await world.scans()
        await world.uses_the_passkey()
        step = await world.sees_step(PAIRING)
        gate = world.server.phone(OWNER).at_gate
        assert gate is not None
        assert step.code == gate.shown.code
