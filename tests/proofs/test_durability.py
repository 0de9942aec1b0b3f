"""No message key reaches the wire twice: random lives with crashes, lost answers, backups and overtaking.

`make proofs` lives longer: 128 seeds, 256 steps each.
"""

import pytest

from tests.proofs.durability import Clean, Machine, Violation
from tests.proofs.scale import scaled
from tests.support import key_mutants as mutants
from tocsin.keys import account, reserve
from tocsin.keys.account import AccountProfile

SEEDS = scaled(16)
STEPS = 256


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_message_key_reaches_the_wire_twice(seed: int) -> None:
    machine = (Machine, Clean)[seed % 2](seed)
    machine.run(STEPS)
    assert machine.figures["on the wire"] > 0
    assert machine.figures["read by phones"] == machine.figures["on the wire"]


def test_the_lives_are_hard_enough() -> None:
    """Every mishap and every step came, and mostly messages got through."""
    figures = Machine(0).figures
    for seed in range(6):
        machine = Machine(seed)
        machine.run(STEPS)
        figures += machine.figures
    for what in ("restores", "refused by the connector", "first messages", "moves", "between", "lost after"):
        assert figures[what] >= 5, (what, figures)
    assert figures["read by us"] > figures["unread by us"]


# Twins that run the faulty way: each must be caught.


def lives_end_badly(machine: type[Machine]) -> None:
    def live() -> None:
        for seed in range(40):
            machine(seed).run(STEPS)

    with pytest.raises(Violation):
        live()


def test_a_backup_restored_without_a_reset_repeats_keys() -> None:
    class Careless(Machine):
        def after_restore(self) -> None:
            pass

    lives_end_badly(Careless)


def test_a_reset_that_forgets_how_far_the_account_was_repeats_keys() -> None:
    class Forgetful(Machine):
        def after_restore(self) -> None:
            self._keys.account.reset_sessions(None)
            self._log_in()

    lives_end_badly(Forgetful)


def test_a_connector_that_takes_messages_from_any_incarnation_repeats_keys() -> None:
    class Lax(Machine):
        def wire_takes(self, profile: AccountProfile) -> bool:
            return True

    lives_end_badly(Lax)


def test_a_number_taken_from_a_read_repeats_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants.a_number_from_a_read(monkeypatch.setattr)
    lives_end_badly(Machine)


def test_a_number_remembered_for_the_next_send_repeats_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a key cache does."""
    cache: dict[object, dict[str, object]] = {}
    properly = reserve.take_number

    def cached(context, key):
        item = cache.get((id(context.table), key)) or properly(context, key)
        cache[id(context.table), key] = {**item, "next": int(str(item["next"])) + 1}
        return item

    monkeypatch.setattr(reserve, "take_number", cached)
    lives_end_badly(Machine)


def test_a_reset_that_skips_no_prekey_ids_offers_them_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = account.raise_incarnation
    monkeypatch.setattr(
        account,
        "raise_incarnation",
        lambda context, *, skip_prekey_ids, beyond: raised(context, skip_prekey_ids=0, beyond=beyond),
    )
    lives_end_badly(Machine)
