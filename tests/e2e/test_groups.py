"""A ticket event that names a group arrives on the phones of its members, and on what is linked to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing
from tests.support.stack import ACCOUNT, DESK, Bus, Notice, Person, Stage, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e


def with_baileys(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.interop(pytest.mark.skipif(missing() is not None, reason=missing() or "")(test))


@pytest.fixture
def members(stage: Stage) -> list[Person]:
    return [stage.person(name) for name in ("Siti", "Budi", "Dewi")]


@pytest.fixture(params=["lid", "pn"])
def group(stage: Stage, members: list[Person], request: pytest.FixtureRequest) -> str:
    numbers = [DESK, *(member.number for member in members)]
    return stage.phones.add_group("Technicians", numbers, addressing_mode=request.param)


@pytest.fixture
def baileys(stage: Stage, members: list[Person], tmp_path: Path) -> Iterator[Baileys]:
    """Siti's phone has scanned the code that Baileys shows."""
    with Baileys.start(stage.world.whatsapp_url, tmp_path) as client:
        client.link(stage.phones, members[0].number)
        yield client


def shown_by(stage: Stage, member: Person, notice: Notice) -> str:
    """The text, once the member's phone shows it; it could read it at once."""
    shown = stage.phones.wait_until(
        lambda: next(
            (one for one in stage.phones.messages(member.number) if one["id"] == notice.message_id), None
        ),
        f"{member.name} doesn't show it",
    )
    assert shown["times_received"] == 1
    return str(shown["text"])


def read_by(baileys: Baileys, notice: Notice) -> str:
    event = baileys.wait("message", lambda event: event["text"] is not None, id=notice.message_id)
    return str(event["text"])


def no_key_was_used_twice(stage: Stage) -> None:
    assert stage.phones.audit()["message_keys_reused"] == 0


def test_a_ticket_event_reaches_every_member(
    stage: Stage, members: list[Person], group: str, bus: Bus
) -> None:
    first, second = stage.tell_group(group), stage.tell_group(group)
    for member in members:
        for notice in (first, second):
            assert notice.ticket_id in shown_by(stage, member, notice)
        assert stage.phones.mailbox(member.number)["waiting"] == []
    stage.all_until([first, second], State.READ)
    assert bus.wait("NotificationDelivered", notification_id=first.id)["audience"] == "group"
    no_key_was_used_twice(stage)


def test_who_was_removed_is_told_nothing_more(stage: Stage, members: list[Person], group: str) -> None:
    _, budi, dewi = members
    before = stage.tell_group(group)
    stage.until(before, State.READ)
    stage.phones.remove_member(group, dewi.number)
    after = stage.tell_group(group)
    shown_by(stage, budi, after)
    assert [message["id"] for message in stage.phones.messages(dewi.number)] == [before.message_id]


def test_a_group_that_the_account_is_not_in_is_a_dead_letter(stage: Stage) -> None:
    siti = stage.person("Siti")
    notice = stage.tell_group(stage.phones.add_group("Others", [siti.number]))
    assert stage.letter(notice).reason == "not-in-group"


@pytest.mark.cell("Tocsin", "group")
@with_baileys
def test_baileys_reads_it_and_what_it_answers_becomes_an_event(
    stage: Stage, members: list[Person], group: str, baileys: Baileys, bus: Bus
) -> None:
    notice = stage.tell_group(group)
    assert notice.ticket_id in read_by(baileys, notice)
    shown = baileys.wait("message", id=notice.message_id)
    baileys.command("send", to=group, text="never mind me")
    quoted = {"key": shown["key"], "message": {"conversation": shown["text"]}}
    answer = baileys.command("send", to=group, text="I go there", quoted=quoted)["id"]
    reply = bus.wait("ReplyReceived", message_id=answer)
    assert (reply["text"], reply["ticket_id"], reply["group"]) == ("I go there", notice.ticket_id, group)
    assert reply["recipient"] == members[0].number
    assert bus.all("ReplyReceived", text="never mind me") == []
    assert baileys.text("I go there")["chat"] == group


@pytest.mark.cell("Tocsin", "group")
@with_baileys
@pytest.mark.parametrize("fault", ["forget-sender-keys", "corrupt-sessions", "forget-sessions"])
def test_baileys_that_lost_something_heals_through_its_retry_receipt(
    stage: Stage, members: list[Person], group: str, baileys: Baileys, fault: str
) -> None:
    _, budi, _ = members
    before = stage.tell_group(group)
    read_by(baileys, before)
    stage.until(before, State.READ)
    if fault != "forget-sender-keys":
        # A member leaves, so the next message brings a new key, in a session that is broken.
        stage.phones.remove_member(group, members[2].number)
    assert baileys.command(fault)
    broken, after = stage.tell_group(group), stage.tell_group(group)
    read_by(baileys, broken)
    read_by(baileys, after)
    shown_by(stage, budi, broken)
    no_key_was_used_twice(stage)


@with_baileys
def test_baileys_that_is_linked_later_reads_the_next_one(
    stage: Stage, members: list[Person], group: str, tmp_path: Path
) -> None:
    stage.until(stage.tell_group(group), State.READ)
    with Baileys.start(stage.world.whatsapp_url, tmp_path) as baileys:
        baileys.link(stage.phones, members[0].number)
        read_by(baileys, stage.tell_group(group))
    no_key_was_used_twice(stage)


@with_baileys
def test_baileys_that_was_unlinked_can_read_nothing_more_and_the_others_go_on(
    stage: Stage, members: list[Person], group: str, baileys: Baileys
) -> None:
    read_by(baileys, stage.tell_group(group))
    stage.phones.unlink(members[0].number, 1)
    baileys.wait("closed", code=401)
    after = stage.tell_group(group)
    for member in members:
        shown_by(stage, member, after)


def test_the_operator_finds_the_jid_of_a_group_that_the_account_was_added_to(
    stage: Stage, group: str
) -> None:
    keys = stage.world.deployment.key_store(ACCOUNT)
    eventually(lambda: group in {jid for jid, _, _ in keys.groups.all()}, f"{group} isn't known")
