"""What waits is listed with who is in front; a head is released, or ended; status and explain name it."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tocsin.notify.notification import Notification, State
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.explain import explain
from tocsin_console.status import show
from tocsin_console.waiting import cancel, list_waiting, release

DUE = (NOW + 7200) * 1000


@pytest.fixture
def line(fake: FakeDeployment) -> list[Notification]:
    """One that WhatsApp refused, and one behind it."""
    parking = fake.deployment.stores.parking
    first, second = fake.planned(), fake.planned()
    parking.park(first, "forbidden", NOW * 1000, due_at=DUE)
    parking.park(second, "behind", NOW * 1000, behind=first)
    return [first, second]


def listed(fake: FakeDeployment, said: Said, **options: bool) -> str:
    list_waiting(fake.deployment, ["default"], said.output, clock=lambda: NOW, **options)
    return said.text


def test_the_list_says_who_is_in_front_and_until_when_but_no_number(
    fake: FakeDeployment, line: list[Notification], said: Said
) -> None:
    text = listed(fake, said)
    first, second = said.lines[1].split(), said.lines[2].split()
    assert (first[0], first[2], first[-2:]) == (line[0].id, "forbidden", ["-", "1"])
    assert (second[0], second[-2:]) == (line[1].id, [line[0].id, "-"])
    assert SITI not in text


def test_only_the_heads(fake: FakeDeployment, line: list[Notification], told: Said) -> None:
    listed(fake, told, heads=True)
    assert [one["notification"] for one in told.records] == [line[0].id]


def test_nothing_waits(fake: FakeDeployment, said: Said) -> None:
    assert listed(fake, said) == "nothing waits\n"


def test_a_head_is_released(fake: FakeDeployment, line: list[Notification], said: Said) -> None:
    release(fake.deployment, [line[0].id], said.output)
    assert said.lines == [
        f"{line[0].id}: released",
        "what is released goes with the next sweep, within a minute",
    ]


def test_one_behind_it_is_not(fake: FakeDeployment, line: list[Notification], said: Said) -> None:
    with pytest.raises(ConsoleError, match="nothing was done"):
        release(fake.deployment, [line[1].id], said.output)
    assert f"it waits behind {line[0].id}" in said.text


def test_one_that_is_nowhere_is_not_found(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(NotFound, match="tocsin waiting list"):
        release(fake.deployment, ["ab" * 9], said.output)


def test_a_cancelled_one_is_never_sent(fake: FakeDeployment, line: list[Notification], said: Said) -> None:
    cancel(fake.deployment, [line[0].id], said.output, yes=True)
    assert fake.stored(line[0]).state is State.SUPPRESSED
    explain(fake.deployment, line[0].id, output=said.output, clock=lambda: NOW)
    assert "not sent: an operator cancelled it while it waited" in said.text


def test_nobody_cancels_without_being_asked(
    fake: FakeDeployment, line: list[Notification], said: Said
) -> None:
    with pytest.raises(Usage):
        cancel(fake.deployment, [line[0].id], said.output, yes=False)
    assert fake.stored(line[0]).state is State.WAITING


def test_what_is_no_id_is_refused(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(Usage, match="18 hex digits"):
        release(fake.deployment, ["all"], said.output)


def test_explain_names_who_is_in_front(fake: FakeDeployment, line: list[Notification], said: Said) -> None:
    explain(fake.deployment, line[1].id, output=said.output, clock=lambda: NOW)
    assert f"waits behind {line[0].id}, which waits for forbidden" in said.text
    assert f"tocsin waiting release {line[0].id}" in said.text


def test_status_names_the_lines_that_stand(
    fake: FakeDeployment, line: list[Notification], said: Said
) -> None:
    show(fake.deployment, said.output, clock=lambda: NOW)
    assert f"1 to 6281…90 wait behind {line[0].id}, which waits for forbidden until" in said.text
