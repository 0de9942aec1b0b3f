"""How consent changed is shown for as long as somebody's record is kept."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import Said
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tocsin.dynamo.writes import Delete
from tocsin.tables.notifications import reply_key
from tocsin_console import opt_outs
from tocsin_console.forget import forget_person
from tocsin_console.people import People
from tocsin_console.person_view import show_person

LID_OF_SITI = "1234@lid"
TYPED = "0812-3456-7890"


@pytest.fixture
def functions() -> WiredFunctions:
    """Siti has read one message."""
    functions = WiredFunctions(MemoryAws())
    functions.receipt(functions.tell(1))
    return functions


def people_of(functions: WiredFunctions) -> People:
    return People(deployment_of(functions), ACCOUNT)


def show(functions: WiredFunctions, wanted: str = TYPED) -> Said:
    said = Said()
    show_person(people_of(functions), wanted, output=said.output, clock=lambda: functions.paired.now)
    return said


def test_consent_comes_with_each_time_that_they_wrote_of_it(functions: WiredFunctions) -> None:
    phone = functions.siti.devices[0]
    functions.reply("STOP", "stop1", phone)
    functions.reply("START", "start1", phone)
    lines = show(functions).lines
    at = next(place for place, line in enumerate(lines) if line.startswith("consent "))
    assert lines[at] == "consent       no opt-out"
    # Both of one moment, as their phone's clock stands still.
    assert {line.split(" they ")[1] for line in lines[at + 1 : at + 3]} == {
        "took it back (message stop1)",
        "gave it again (message start1)",
    }


def test_how_consent_changed_is_known_longer_than_the_replies_that_said_so(functions: WiredFunctions) -> None:
    functions.reply("STOP", "stop1", functions.siti.devices[0])
    functions.reply("START", "start1", functions.siti.devices[0])
    later = functions.paired.now + 60
    opt_outs.add(people_of(functions), LID_OF_SITI, output=Said().output, clock=lambda: later)
    table = functions.stores.people._table
    for item in table.query(reply_key(ACCOUNT, LID_OF_SITI, "")[0]):
        table.delete(Delete((str(item["pk"]), str(item["sk"]))))
    lines = show(functions).lines
    at = next(place for place, line in enumerate(lines) if line.startswith("consent "))
    assert [line.split(" they ")[1] for line in lines[at + 1 : at + 4]] == [
        "took it back (message stop1)",
        "gave it again (message start1)",
        "took it back (an operator noted it)",
    ]


def test_of_somebody_who_was_erased_no_change_of_consent_is_known(functions: WiredFunctions) -> None:
    functions.reply("STOP", "stop1", functions.siti.devices[0])
    forget_person(people_of(functions), LID_OF_SITI, dry_run=False, output=Said().output, yes=True)
    assert functions.stores.people.find(ACCOUNT, LID_OF_SITI).consents == ()
    assert functions.stores.people.recalled(ACCOUNT, LID_OF_SITI).consents == ()
    assert functions.stores.people.recalled(ACCOUNT, LID_OF_SITI).opted_out_at is not None
