"""A ticket event that names a group arrives on the phones of its members, and on what is linked to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing
from tests.support.stack import ACCOUNT, DESK, Bus, DeployedStack, Notice, Person, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e


def with_baileys(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.interop(pytest.mark.skipif(missing() is not None, reason=missing() or "")(test))


@pytest.fixture
def members(deployed: DeployedStack) -> list[Person]:
    return [deployed.person(name) for name in ("Siti", "Budi", "Dewi")]


@pytest.fixture(params=["lid", "pn"])
def group(deployed: DeployedStack, members: list[Person], request: pytest.FixtureRequest) -> str:
    numbers = [DESK, *(member.number for member in members)]
    return deployed.phones.add_group("Technicians", numbers, addressing_mode=request.param)


@pytest.fixture
def baileys(deployed: DeployedStack, members: list[Person], tmp_path: Path) -> Iterator[Baileys]:
    """Siti's phone has scanned the code that Baileys shows."""
    with Baileys.start(deployed.world.whatsapp_url, tmp_path) as client:
        client.link(deployed.phones, members[0].number)
        yield client


def shown_by(deployed: DeployedStack, member: Person, notice: Notice) -> str:
    """The text, once the member's phone shows it; it could read it at once."""
    shown = deployed.phones.wait_until(
        lambda: next(
            (one for one in deployed.phones.messages(member.number) if one["id"] == notice.message_id), None
        ),
        f"{member.name} doesn't show it",
    )
    assert shown["times_received"] == 1
    return str(shown["text"])


def read_by(baileys: Baileys, notice: Notice) -> str:
    event = baileys.wait("message", lambda event: event["text"] is not None, id=notice.message_id)
    return str(event["text"])


def no_key_was_used_twice(deployed: DeployedStack) -> None:
    assert deployed.phones.audit()["message_keys_reused"] == 0


def test_a_ticket_event_reaches_every_member(
    deployed: DeployedStack, members: list[Person], group: str, bus: Bus
) -> None:
    first, second = deployed.tell_group(group), deployed.tell_group(group)
    for member in members:
        for notice in (first, second):
            assert notice.ticket_id in shown_by(deployed, member, notice)
        assert deployed.phones.mailbox(member.number)["waiting"] == []
    deployed.all_until([first, second], State.READ)
    assert bus.wait("NotificationDelivered", notification_id=first.id)["audience"] == "group"
    no_key_was_used_twice(deployed)


def test_who_was_removed_is_told_nothing_more(
    deployed: DeployedStack, members: list[Person], group: str
) -> None:
    _, budi, dewi = members
    before = deployed.tell_group(group)
    deployed.until(before, State.READ)
    deployed.phones.remove_member(group, dewi.number)
    after = deployed.tell_group(group)
    shown_by(deployed, budi, after)
    assert [message["id"] for message in deployed.phones.messages(dewi.number)] == [before.message_id]


def test_a_group_that_the_account_is_not_in_is_a_dead_letter(deployed: DeployedStack) -> None:
    siti = deployed.person("Siti")
    notice = deployed.tell_group(deployed.phones.add_group("Others", [siti.number]))
    assert deployed.letter(notice).reason == "not-in-group"


@pytest.mark.cell("Tocsin", "group")
@with_baileys
def test_baileys_reads_it_and_what_it_answers_becomes_an_event(
    deployed: DeployedStack, members: list[Person], group: str, baileys: Baileys, bus: Bus
) -> None:
    notice = deployed.tell_group(group)
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
    deployed: DeployedStack, members: list[Person], group: str, baileys: Baileys, fault: str
) -> None:
    _, budi, _ = members
    before = deployed.tell_group(group)
    read_by(baileys, before)
    deployed.until(before, State.READ)
    if fault != "forget-sender-keys":
        # A member leaves, so the next message brings a new key, in a session that is broken.
        deployed.phones.remove_member(group, members[2].number)
    assert baileys.command(fault)
    broken, after = deployed.tell_group(group), deployed.tell_group(group)
    read_by(baileys, broken)
    read_by(baileys, after)
    shown_by(deployed, budi, broken)
    no_key_was_used_twice(deployed)


@with_baileys
def test_baileys_that_is_linked_later_reads_the_next_one(
    deployed: DeployedStack, members: list[Person], group: str, tmp_path: Path
) -> None:
    deployed.until(deployed.tell_group(group), State.READ)
    with Baileys.start(deployed.world.whatsapp_url, tmp_path) as baileys:
        baileys.link(deployed.phones, members[0].number)
        read_by(baileys, deployed.tell_group(group))
    no_key_was_used_twice(deployed)


@with_baileys
def test_baileys_that_was_unlinked_can_read_nothing_more_and_the_others_go_on(
    deployed: DeployedStack, members: list[Person], group: str, baileys: Baileys
) -> None:
    read_by(baileys, deployed.tell_group(group))
    deployed.phones.unlink(members[0].number, 1)
    baileys.wait("closed", code=401)
    after = deployed.tell_group(group)
    for member in members:
        shown_by(deployed, member, after)


def test_the_operator_finds_the_jid_of_a_group_that_the_account_was_added_to(
    deployed: DeployedStack, group: str
) -> None:
    keys = deployed.world.deployment.key_store(ACCOUNT)
    eventually(lambda: group in {jid for jid, _, _ in keys.groups.all()}, f"{group} isn't known")
