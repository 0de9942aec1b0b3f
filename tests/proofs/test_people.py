"""Whoever moves, writes, lies and withdraws consent, in any order: nobody reads what was meant for somebody
else, and STOP holds under every number. Twins with one rule broken are noticed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.proofs.people import SPELLINGS, Neighbours
from tests.proofs.scale import examples
from tests.support import paired_account
from tocsin.keys.addresses import KnownAddress
from tocsin.multidevice.account import Account
from tocsin.multidevice.numbers import NumberOwners
from tocsin.multidevice.retry_rights import RetryRights
from tocsin.notify.delivery import Delivery
from tocsin.people.person import Person

choices = st.integers(0, 11)
spellings = st.sampled_from(tuple(SPELLINGS))


class Living(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.neighbours = Neighbours()

    @rule(spelling=spellings)
    def ticket(self, spelling: str) -> None:
        self.neighbours.ticket(spelling)

    @rule(spelling=spellings)
    def ticket_at_once(self, spelling: str) -> None:
        self.neighbours.ticket(spelling)
        self.neighbours.deliver_all()

    @rule(spelling=spellings)
    def ticket_while_closed(self, spelling: str) -> None:
        self.neighbours.close(True)
        self.neighbours.ticket(spelling)
        self.neighbours.deliver_all()
        self.neighbours.close(False)

    @rule(spelling=spellings)
    def ticket_before_a_parked_one_is_released(self, spelling: str) -> None:
        self.ticket_while_closed(spelling)
        self.neighbours.ticket(spelling)
        self.neighbours.sweep()
        self.neighbours.deliver_all()

    @rule(which=choices, twice=st.booleans())
    def deliver(self, which: int, twice: bool) -> None:
        self.neighbours.deliver(which, twice=twice)

    @rule(who=choices, number=choices)
    def move(self, who: int, number: int) -> None:
        self.neighbours.move(who, number)

    @rule(who=choices, number=st.integers(0, 3), days=st.sampled_from((0, 31)))
    def take_over(self, who: int, number: int, days: int) -> None:
        spelling = tuple(SPELLINGS.values())[number]
        self.ticket_at_once(spelling)
        self.neighbours.move(who, number)
        self.neighbours.wait(days)
        for _ in range(2):
            self.ticket_at_once(spelling)

    @rule(who=choices, text=st.sampled_from(("STOP", "START", "halo")), named=st.booleans())
    def write(self, who: int, text: str, named: bool) -> None:
        self.neighbours.write(who, text, named=named)

    @rule(who=choices, claimed=st.one_of(st.just(""), spellings))
    def receipt(self, who: int, claimed: str) -> None:
        self.neighbours.receipt(who, claimed)

    @rule(who=choices, which=choices)
    def ask_again(self, who: int, which: int) -> None:
        self.neighbours.ask_again(who, which)

    @rule(days=st.sampled_from((1, 31)))
    def wait(self, days: int) -> None:
        self.neighbours.wait(days)

    @rule(spelling=spellings)
    def confirm(self, spelling: str) -> None:
        self.neighbours.confirm(spelling)

    @rule(closed=st.booleans())
    def close(self, closed: bool) -> None:
        self.neighbours.close(closed)

    @rule()
    def sweep(self) -> None:
        self.neighbours.sweep()

    @invariant()
    def numbers_belong_to_whom_whatsapp_named(self) -> None:
        self.neighbours.check()


TestLiving = Living.TestCase
TestLiving.settings = examples(40, steps=30)

# The first failure is enough: nobody reads a smaller one.
UNTIL_NOTICED = settings(examples(2400, steps=40), phases=(Phase.generate,))


def send_to_the_new_owner(owners: NumberOwners, account: Account, pn: str, lid: str) -> bool:
    account.keys.contacts.learn(pn, lid)
    return True


def believe_stanzas(account: Account, *names: Any) -> str:
    users = [jid.chat for jid in names if jid is not None]
    pn = next((str(user) for user in users if user.server != "lid"), None)
    lid = next((str(user) for user in users if user.server == "lid"), None)
    if pn is not None and lid is not None:
        account.keys.contacts.learn(pn, lid)
    return lid or account.lid_of(str(pn))


class Careless(NumberOwners):
    """Believes for ever what WhatsApp said once."""

    def is_held(self, known: KnownAddress) -> bool:
        return False

    def is_due(self, known: KnownAddress) -> bool:
        return False


def never_join(delivery: Delivery, notification: Any, person: Person, user: str) -> Person:
    return person


def serve_anybody(rights: RetryRights, *request: Any) -> bool:
    return True


def overtake(delivery: Delivery, notification: Any, person: Person) -> None:
    return None


TWINS: dict[str, tuple[object, str, Any]] = {
    "what moved is sent at once": (NumberOwners, "_heed", send_to_the_new_owner),
    "what a stanza says is learnt": (Account, "sender", believe_stanzas),
    "what is held is sent": (paired_account, "NumberOwners", Careless),
    "a number stays a person of its own": (Delivery, "_joined", never_join),
    "a parked one is overtaken": (Delivery, "_one_before", overtake),
    "whoever asks has it again": (RetryRights, "_was_written_to", serve_anybody),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_rule_is_noticed(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*TWINS[twin])
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        run_state_machine_as_test(Living, settings=UNTIL_NOTICED)
