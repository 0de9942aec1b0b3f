"""`tocsin recoveries` tells causes, success and time to heal, and names what did not heal."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import deaf
from tocsin.notify.config import RETENTION_DAYS
from tocsin.notify.store.recoveries import OURS, THEIRS, RecoveryRecord
from tocsin_console.errors import Usage
from tocsin_console.recoveries import Tally, show_recoveries, tallies


@pytest.fixture
def functions() -> WiredFunctions:
    functions = WiredFunctions(MemoryAws())
    functions.tell(1)
    return functions


def show(functions: WiredFunctions, said, days: int = 7) -> None:
    show_recoveries(
        deployment_of(functions), "default", days=days, output=said.output, clock=lambda: functions.paired.now
    )


def healed_one(functions: WiredFunctions, number: int, seconds: float) -> None:
    functions.siti.devices[0].corrupt()
    notification = functions.tell(number)
    functions.answer_retries()
    functions.paired.now += seconds
    functions.receipt(notification)


def test_a_quiet_week_is_said_to_be_one(functions, said):
    show(functions, said)
    assert said.text == "no recoveries in 7 days: every message could be read the first time\n"


def test_a_healed_break_counts_by_its_cause_with_its_time(functions, told):
    healed_one(functions, 2, 0.5)
    show(functions, told)
    [cause, total] = told.records[0]["recoveries"]
    assert (cause["side"], cause["cause"], total["cause"]) == ("theirs", "bad-mac", "all")
    assert (cause["recoveries"], cause["healed"], cause["success"]) == (1, 1, 1.0)
    assert (cause["new_sessions"], cause["seconds_p50"]) == (1, 0.5)


def test_what_was_given_up_is_named_with_the_way_to_its_story(functions, said):
    notification, _ = deaf(functions)
    functions.answer_retries()
    show(functions, said)
    assert said.lines[1].split()[-8:] == ["1", "0", "1", "0", "1", "0.0%", "-", "-"]
    assert said.lines[-1].endswith(f"1234@lid  bad-mac  exhausted  tocsin explain {notification.id}")


def test_what_we_could_not_read_is_told_apart(functions, told):
    from tests.support.wired_steps import garbled

    functions.receive(garbled(functions))
    show(functions, told)
    [cause, _] = told.records[0]["recoveries"]
    assert (cause["side"], cause["cause"], cause["open"], cause["success"]) == ("ours", "BadMac", 1, None)


def test_a_resend_that_we_can_read_heals_it(functions, told):
    from tests.support.fake_whatsapp import message_from
    from tests.support.wired_steps import garbled

    functions.receive(garbled(functions, "B1"))
    functions.paired.now += 2
    functions.receive(message_from(functions.siti.devices[0], functions.siti, "B1", "utuh", count=1))
    show(functions, told)
    [cause, _] = told.records[0]["recoveries"]
    assert (cause["healed"], cause["seconds_p50"]) == (1, 2.0)


def test_yesterday_is_another_day(functions, told):
    healed_one(functions, 2, 0.1)
    functions.paired.now += 86_400
    show(functions, told, days=1)
    assert told.records[0]["recoveries"] == []


@pytest.mark.parametrize("days", [0, RETENTION_DAYS + 1])
def test_days_that_nobody_kept_are_refused(functions, said, days):
    with pytest.raises(Usage, match=f"1 to {RETENTION_DAYS}"):
        show(functions, said, days=days)


def episode(cause: str, side: str = THEIRS, **changes) -> RecoveryRecord:
    return RecoveryRecord(side, "default", "u", "d", "n", cause, first_at=0, last_at=0, **changes)


def test_causes_come_by_frequency_and_sides_are_summed_up():
    found = tallies(
        [episode("a"), episode("b"), episode("b"), episode("c", side=OURS), episode("c", side=OURS)]
    )
    assert [(one.side, one.cause, one.total) for one in found] == [
        (THEIRS, "b", 2),
        (THEIRS, "a", 1),
        (OURS, "c", 2),
        (THEIRS, "", 3),
        (OURS, "", 2),
    ]


def test_percentiles_are_times_that_were_measured():
    tally = Tally.of(THEIRS, "", [episode("a", healed_at=ms) for ms in range(10, 1010, 10)])
    assert (tally.percentile(0.5), tally.percentile(0.99), tally.percentile(1)) == (0.5, 0.99, 1.0)


def test_what_is_still_open_says_nothing_of_success():
    assert Tally.of(THEIRS, "", [episode("a")]).success is None
    assert Tally.of(THEIRS, "", [episode("a"), episode("a", healed_at=1)]).success == 1.0
