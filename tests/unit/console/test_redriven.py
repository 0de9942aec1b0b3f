"""What became of each that was sent again: told as it happens, and summed up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said, Script
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.redrive import Selection
from tocsin_console.dead_letters import redrive_letters
from tocsin_console.errors import NeedsAttention
from tocsin_console.redriven import tell_what_became

Step = Callable[[], object]


@pytest.fixture
def again(fake: FakeDeployment) -> list[Notification]:
    """Three that are in the queue again."""
    sent = [fake.failed(f"628123456789{number}") for number in range(3)]
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=Said().output)
    return sent


def watch(
    fake: FakeDeployment, again: list[Notification], said: Said, *steps: Step, wait: float = 10
) -> None:
    """Watch while `steps` happen, one at each look, and hear of what failed again."""
    script = Script(list(steps), NOW)
    with contextlib.suppress(NeedsAttention):
        watched(fake, again, said, script, wait)


def watched(
    fake: FakeDeployment, again: list[Notification], said: Said, script: Script, wait: float = 10
) -> None:
    tell_what_became(
        fake.deployment.stores.notifications,
        [one.id for one in again],
        said.output,
        wait_seconds=wait,
        sleep=script.sleep,
        clock=script.clock,
    )


def fail(fake: FakeDeployment, notification: Notification, code: str) -> None:
    fake.deployment.stores.notifications.fail(notification.id, Problem(code, "permanent", ""), NOW * 1000 + 1)


def test_each_is_told_once_as_it_ends(fake: FakeDeployment, again: list[Notification], said: Said) -> None:
    first, second, third = again
    watch(
        fake,
        again,
        said,
        lambda: fake.arrives(second),
        lambda: fail(fake, first, "not-on-whatsapp"),
        lambda: fake.arrives(third, State.READ),
    )
    assert said.lines == [
        f"{second.id}  delivered",
        f"{first.id}  failed again: not-on-whatsapp",
        f"{third.id}  read",
        "1 delivered, 1 failed again, 1 read",
    ]


def test_what_does_not_end_in_time_is_still_in_the_queue(
    fake: FakeDeployment, again: list[Notification], said: Said
) -> None:
    watch(fake, again, said, lambda: fake.arrives(again[0]), lambda: None, wait=1)
    assert said.lines[-1] == "1 delivered, 2 still in the queue"


def test_programs_read_it_too(fake: FakeDeployment, again: list[Notification], told: Said) -> None:
    watch(fake, again[:1], told, lambda: fail(fake, again[0], "not-on-whatsapp"))
    assert told.records == [
        {"notification": again[0].id, "became": "failed again", "why": "not-on-whatsapp"},
    ]


def test_whoever_does_not_wait_is_told_nothing(
    fake: FakeDeployment, again: list[Notification], said: Said
) -> None:
    watch(fake, again, said, wait=0)
    assert said.lines == []


def test_a_redrive_tells_it_of_those_that_it_sent(fake: FakeDeployment, said: Said) -> None:
    arrived = fake.failed()
    fake.arrives(arrived)
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output, wait_seconds=0.01)
    assert not any("still in the queue" in line for line in said.lines)
    fake.failed()
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output, wait_seconds=0.01)
    assert said.lines[-1] == "1 still in the queue"


def test_what_failed_again_ends_with_an_exit_code_of_its_own(
    fake: FakeDeployment, again: list[Notification], said: Said
) -> None:
    first, *others = again
    steps = [
        lambda: fail(fake, first, "not-on-whatsapp"),
        *(lambda one=one: fake.arrives(one) for one in others),
    ]
    with pytest.raises(NeedsAttention, match="1 of 3 failed again: tocsin dead-letters list") as ended:
        watched(fake, again, said, Script(steps, NOW))
    assert ended.value.exit_code == 5


def test_what_arrives_or_is_still_under_way_is_no_fault(
    fake: FakeDeployment, again: list[Notification], said: Said
) -> None:
    watched(fake, again, said, Script([lambda: fake.arrives(again[0]), lambda: None], NOW), wait=1)
    assert said.lines[-1] == "1 delivered, 2 still in the queue"
