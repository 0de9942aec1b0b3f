"""Whatever other people wrote into ids, names and groups, no command lets it steer the terminal."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.support.command_line import commands
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.notifications import an_id
from tests.support.scripted_aws import ScriptedAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tocsin.accounts import operator_requests
from tocsin.accounts.lease import LeaseKeeper
from tocsin.door.proofs import proven_item
from tocsin.door.sources import Source
from tocsin.dynamo.writes import Put
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.store import HookStore
from tocsin.notify.content import Attachment, File
from tocsin.notify.notification import Attempt, Notification, Problem
from tocsin.notify.queues import TicketEventsDeadQueue
from tocsin.notify.store.recoveries import THEIRS, UnreadableMessage
from tocsin.people.person import Name
from tocsin.tables.notifications import (
    AUDIT,
    roster_key,
    settings_key,
    settings_version_key,
    source_key,
    source_use_key,
)
from tocsin.versions import hook_versions
from tocsin.whatsapp.group import GroupInfo, Member
from tocsin.whatsapp.jid import JID
from tocsin_console import cli, pair, send, unpair
from tocsin_console.deployment import Deployment, Place
from tocsin_console.errors import ConsoleError

# A title (OSC), a cleared screen (CSI in both forms), a line turned round, lines forged in four ways.
EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2066\u200f\u061c\ufeff\rforged\nforged\u2028forged\x85forged"
)
LONE = EVIL + "\ud800"
"""As only JSON can carry it."""

OTHER = f"other {EVIL}"

STEERS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
GROUP = JID("120363000000000001", "g.us")
DEAD = an_id("default", "TCK-9", "TicketCreated", 1, "customer", "6281234567890")
MESSAGE = "3EB0" + DEAD.upper()


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """A stack in which everything that comes from outside is hostile."""
    functions = WiredFunctions(MemoryAws())
    functions.tell(1)
    poisoned = deployment_of(functions)
    vars(poisoned)["client"] = Identity
    poisoned.outputs["HooksQueueUrl"] = "hooks.fifo"  # type: ignore[index]
    endpoint = Endpoint(EVIL, f"https://desk.example.com/{EVIL}", "whsec_AAAA", (EVIL,), (EVIL,))
    versions = hook_versions(poisoned.keys_table)
    HookStore(poisoned.outside_table, poisoned.stores.texts, versions).add(endpoint)
    _poison_tables(functions, poisoned)
    _poison_queues(functions, poisoned)
    return poisoned


class Identity:
    """What is asked besides: who am I? What does the planner's log say of an event?"""

    def __init__(self, service: str) -> None:
        assert service in ("sts", "logs"), f"{service} isn't needed"

    def filter_log_events(self, filterPattern: str, **_: object) -> dict[str, Any]:
        if "e-hostile" not in filterPattern:
            return {"events": []}
        facts = {"event": "e-hostile", "ticket_id": LONE, "event_type": LONE, "untold": LONE}
        return {"events": [{"timestamp": 1, "message": json.dumps(facts)}]}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": f"arn:aws:sts::1:assumed-role/{EVIL}"}


def _poison_tables(functions: WiredFunctions, deployment: Deployment) -> None:
    now, table = int(functions.paired.now), deployment.keys_table
    dead = hostile_notification(DEAD, now * 1000)
    attempts = [
        Attempt(EVIL, now * 1000, "retry", EVIL, {EVIL: 1}, {}, {EVIL: EVIL}),
        Attempt(f"retry-{EVIL}", now * 1000, "refused", EVIL, device=EVIL, count=1),
    ]
    deployment.stores.notifications.put_new(dead)
    for attempt in attempts:
        deployment.stores.notifications.record_attempt(DEAD, attempt)
    deployment.stores.notifications.fail(DEAD, Problem(EVIL, EVIL, EVIL), now * 1000)
    waiting = hostile_notification("f" * 18, now * 1000)
    deployment.stores.notifications.put_new(waiting)
    deployment.stores.parking.park(waiting, EVIL, now * 1000)
    illness = UnreadableMessage(THEIRS, "default", "1234@lid", EVIL, DEAD)
    lately = int(time.time() * 1000)
    deployment.stores.recoveries.failed(illness, since=lately, at=lately, cause=EVIL, failure=EVIL)
    deployment.stores.people.opt_out("default", "1234@lid", EVIL, now * 1000)
    deployment.stores.people.join(
        "default", "6281234567891@s.whatsapp.net", "1234@lid", [Name(EVIL, EVIL, now * 1000)]
    )
    members = (Member(JID("100", "lid"), None, admin=False),)
    told = GroupInfo(GROUP, "lid", members, announcement=True, subject=EVIL)
    functions.paired.keys.groups.save(str(GROUP), f"2:hash {told.to_text()}")
    keeper = LeaseKeeper(table, EVIL, url="https://10.0.0.1", certificate="PEM", sealer=deployment.sealer)
    keeper.beat()
    keeper.set_state("default", keeper.acquire("default"), "logged_out", EVIL)
    deployment.outside_table.put(Put(roster_key(EVIL), {"added_at": now}))
    source = Source(EVIL, EVIL, (EVIL,), language=EVIL, recipients=(EVIL,), options={EVIL: EVIL})
    deployment.outside_table.put(Put(source_key(EVIL), proven_item(source, deployment.stores.texts)))
    deployment.outside_table.put(Put(source_use_key(EVIL), {"refused_at": now * 1000, "refusal": EVIL}))
    scoped: dict[str, Any] = {"*": 5, "audience=group": EVIL, EVIL: 1}
    changed = {"version": 1, "by": EVIL, "what": EVIL, "values": {"retries": scoped, EVIL: EVIL}}
    deployment.outside_table.put(Put(settings_key(), changed))
    deployment.outside_table.put(Put(settings_version_key(1), changed))


def _poison_queues(functions: WiredFunctions, deployment: Deployment) -> None:
    names = ("account", "recipient", "audience", "reason", "class", "detail", "failed_at")
    letter: dict[str, Any] = dict.fromkeys(names, LONE)
    letter |= {"attempts": [{"cause": LONE, "detail": LONE, "at": 1, LONE: LONE, "numbers": {LONE: 1}}]}
    for number, body in enumerate((json.dumps(letter | {"notification": DEAD}), "hello?")):
        functions.aws.sqs.send_message(
            QueueUrl=deployment["DeadLettersQueueUrl"],
            MessageBody=body,
            MessageGroupId="g",
            MessageDeduplicationId=str(number),
        )
    event = {"id": EVIL, "detail-type": LONE, "detail": {"ticket": {"id": LONE}, LONE: LONE}}
    queue = TicketEventsDeadQueue(functions.aws.sqs, deployment["TicketEventsDeadQueueUrl"])
    queue.send(json.dumps(event), [EVIL], int(functions.paired.now * 1000), reason=EVIL)
    named = {"id": "e-2", "detail-type": LONE, "detail": {"ticket": {"id": "TCK-2"}}}
    queue.send(json.dumps(named), [EVIL], int(functions.paired.now * 1000), reason=EVIL)


def hostile_notification(identity: str, at: int) -> Notification:
    return Notification(
        id=identity,
        account="default",
        ticket_id=EVIL,
        event_type=EVIL,
        revision=1,
        audience=EVIL,  # type: ignore[arg-type]
        recipient="6281234567890",
        recipient_name=EVIL,
        language=EVIL,
        content=File(Attachment(EVIL, EVIL, EVIL), EVIL),
        created_at=at,
        expires_at=at + 86_400_000,
        event_id=EVIL,
        event_at=at,
    )


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the poisoned stack; what it wrote, to whichever stream."""
    for way in ("find", "at", "without_stack"):
        monkeypatch.setattr(Deployment, way, lambda *_, **__: deployment)
    known = ScriptedAws(sts__get_caller_identity={"Account": "1", "Arn": f"arn:aws:iam::1:user/{EVIL}"})
    place = Place(EVIL, deployment.session, "eu-west-1")
    monkeypatch.setattr(Deployment, "place", place)
    monkeypatch.setattr(Place, "client", lambda _, service: known.client(service))
    table = deployment.keys_table

    asking = operator_requests.request

    def refused(*asked: Any, **how: Any) -> operator_requests.Request:
        wish = asking(*asked, **how)
        operator_requests.take_up(table, "default", operator_requests.read_request(table, "default"))
        operator_requests.answer(
            table, deployment.sealer, "default", bytes(12), state="unpaired", message=EVIL
        )
        return wish

    def fails(_: object, event_type: str, detail: dict[str, Any]) -> None:
        ticket, recipient = detail["ticket"]["id"], "6281234567890"
        identity = deployment.stores.ids.of("default", ticket, event_type, 1, "customer", recipient)
        deployment.stores.notifications.put_new(hostile_notification(identity, 1_795_000_000_000))
        deployment.stores.notifications.fail(identity, Problem(EVIL, EVIL, EVIL), 1_795_000_000_001)

    for module in (pair, unpair):
        monkeypatch.setattr(module, "request", refused)
    monkeypatch.setattr(send, "put_event", fails)

    def command(*words: str) -> str:
        cli.main(words)
        heard = capsys.readouterr()
        return heard.out + heard.err

    return command


# What comes last changes what the others see.
COMMANDS: list[tuple[str, ...]] = [
    ("status",),
    ("status", "--check"),
    ("status", "--reveal"),
    ("doctor",),
    ("doctor", "--before-deploy"),
    ("accounts", "list"),
    ("accounts", "add", EVIL),
    ("accounts", "add", OTHER),
    ("groups", "--account", "default"),
    ("recoveries", "--account", "default", "--days", "35"),
    ("explain", DEAD, "--text"),
    ("explain", DEAD, "--reveal"),
    ("explain", MESSAGE),
    ("explain", "f" * 18),
    ("explain", "TCK-2"),
    ("explain", "e-hostile"),
    ("waiting", "list"),
    ("waiting", "list", "--reveal"),
    ("waiting", "release", EVIL),
    ("waiting", "cancel", EVIL, "--yes"),
    ("dead-letters", "list"),
    ("dead-letters", "list", "--reveal"),
    ("dead-letters", "show", DEAD, "--text"),
    ("dead-letters", "redrive", "--all", "--dry-run"),
    ("dead-letters", "list", "--queue", "events"),
    ("dead-letters", "show", EVIL, "--queue", "events", "--text"),
    ("dead-letters", "redrive", "--all", "--dry-run", "--queue", "events"),
    ("pair", "--account", "default"),
    ("unpair", "--account", "default", "--yes"),
    ("send", "--account", "default", "--to", "0812-3456-7890"),
    ("self-test", "--account", EVIL),
    ("sessions", "list"),
    ("sessions", "list", "--account", "default"),
    ("sessions", "show", "1234@lid", "--account", "default"),
    ("sessions", "show", "1234@lid", "--account", EVIL),
    ("sessions", "clean", "--all", "--account", EVIL),
    ("sessions", "reset", "--account", EVIL),
    ("people", "show", "1234@lid", "--account", "default"),
    ("people", "show", f"{EVIL}@lid", "--account", "default"),
    ("people", "confirm", EVIL, "--account", "default"),
    ("people", "invite", "--account", "default", "--text", EVIL),
    ("people", "opt-outs", "list", "--account", "default"),
    ("people", "opt-outs", "add", "0812-3456-7890", "--account", OTHER),
    ("people", "opt-outs", "remove", "1234@lid", "--account", OTHER, "--yes"),
    ("people", "forget", "0812-3456-7890", "--account", OTHER),
    ("people", "forget", "1234@lid", "--account", "default", "--dry-run"),
    ("sources", "list"),
    ("sources", "show", EVIL),
    ("sources", "kinds", EVIL),
    ("sources", "pause", EVIL),
    ("sources", "resume", EVIL),
    ("sources", "test", EVIL, "--sample", EVIL),
    ("sources", "add", EVIL, "--kind", EVIL),
    ("sources", "change", EVIL, "--option", EVIL),
    ("sources", "rotate", EVIL),
    ("sources", "remove", EVIL, "--yes"),
    ("hooks", "list"),
    ("hooks", "list", "--reveal"),
    ("hooks", "add", EVIL),
    *(("hooks", action, EVIL) for action in ("deliveries", "rotate", "pause", "resume")),
    ("hooks", "resend", EVIL),
    ("hooks", "remove", EVIL, "--yes"),
    ("reconnect", "--account", EVIL),
    ("settings", "list"),
    ("settings", "show", "retries"),
    ("settings", "history"),
    # Errors that name what was typed or found.
    ("deploy", "--set", f"DefaultRegion={EVIL}"),
    ("settings", "show", EVIL),
    ("settings", "set", "retries", EVIL),
    ("settings", "set", "retries", "3", "--audience", EVIL),
    ("settings", "reset", EVIL),
    ("settings", "restore", "1"),
    ("settings", "restore", EVIL),
    ("pair",),
    ("explain", OTHER),
    ("dead-letters", "show", EVIL),
    ("dead-letters", "redrive", EVIL),
    ("groups", "--account", OTHER),
    (EVIL,),
    ("dead-letters", "drop", "--all", "--yes", "--queue", "events"),
    ("dead-letters", "drop", "--all", "--yes"),
    ("accounts", "remove", EVIL, "--yes"),
    ("settings", "set", "retries", "4"),
    ("settings", "undo"),
    ("audit",),
]
# These tell nothing of other people's.
SILENT = {
    ("hooks", "add", EVIL),
    ("hooks", "deliveries", EVIL),
    ("hooks", "rotate", EVIL),
    ("hooks", "resend", EVIL),
    ("sources", "add", EVIL, "--kind", EVIL),
    ("sources", "rotate", EVIL),
    ("people", "invite", "--account", "default", "--text", EVIL),
    ("waiting", "release", EVIL),
    ("waiting", "cancel", EVIL, "--yes"),
    ("people", "confirm", EVIL, "--account", "default"),
    ("people", "show", f"{EVIL}@lid", "--account", "default"),
    ("people", "forget", "1234@lid", "--account", "default", "--dry-run"),
    ("accounts", "add", EVIL),
    ("accounts", "add", OTHER),
    ("explain", OTHER),
    ("sessions", "list"),
    ("sessions", "list", "--account", "default"),
    ("sessions", "show", "1234@lid", "--account", "default"),
}


def words_of(command: tuple[str, ...]) -> str:
    return " ".join(command).replace(EVIL, "EVIL")


@pytest.mark.parametrize("command", COMMANDS, ids=words_of)
def test_nothing_in_what_people_read_steers_the_terminal(run: Any, command: tuple[str, ...]) -> None:
    written = run(*command)
    assert not STEERS.search(written)
    assert not any(line.startswith("forged") for line in written.splitlines())
    assert ("\\x1b]0;owned\\x07" in written) == (command not in SILENT)


@pytest.mark.parametrize("command", [one for one in COMMANDS if "--yes" not in one], ids=words_of)
def test_neither_does_anything_that_programs_read_and_all_of_it_is_json(
    run: Any, command: tuple[str, ...]
) -> None:
    written = run(*command, "--json")
    assert not STEERS.search(written)
    for line in written.splitlines():
        assert isinstance(json.loads(line), dict)


ELSEWHERE = {"adopt", "check", "completion", "console", "hooks test", "pause", "resume", "tail"}
"""Runs where no stack is (test_adopt.py, test_check.py, test_completion.py), shows all on a page
(page/test_hostile.py), changes settings as `settings set` does (test_pause.py), waits for an answer
(test_hooks.py), or follows a stream (test_tail.py)."""


def test_no_command_is_left_out() -> None:
    tried = {" ".join(command[:words]) for command in COMMANDS for words in (1, 2, 3)}
    assert {name for name, _ in commands(cli.parser())} <= tried | ELSEWHERE


def changes(command: tuple[str, ...]) -> bool:
    """Whether it is declared to change anything, or can't even be read."""
    try:
        return bool(cli.read(command).changes)
    except ConsoleError:
        return True


def stored(deployment: Deployment) -> list[list[dict[str, Any]]]:
    """Both tables, but for who looked."""
    tables = (deployment.keys_table, deployment.outside_table)
    return [[item for item in everything_in(table) if item["pk"] != AUDIT] for table in tables]  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [one for one in COMMANDS if not changes(one)], ids=words_of)
def test_what_is_declared_to_change_nothing_writes_nothing(
    run: Any, deployment: Deployment, command: tuple[str, ...]
) -> None:
    before = stored(deployment)
    run(*command)
    assert stored(deployment) == before


def test_what_writes_is_noticed(run: Any, deployment: Deployment) -> None:
    before = stored(deployment)
    run("settings", "set", "retries", "6")
    assert changes(("settings", "set", "retries", "6"))
    assert stored(deployment) != before
