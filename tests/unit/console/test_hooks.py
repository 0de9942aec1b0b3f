"""Webhooks are added with a secret that is shown once, tested, and told again what they missed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_cloud import MemoryCloud
from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tests.support.memory_queues import take_all
from tocsin.dynamo.writes import Put, Update, Value
from tocsin.guarded_http import Answer
from tocsin.hooks.deliver import Deliveries
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.store import EARLIER, HookStore
from tocsin.notify.cloud_events import TYPES
from tocsin.notify.store.texts import SEALED, Texts
from tocsin.tables.notifications import hook_key
from tocsin.versions import hook_versions
from tocsin_console import cli, hook_health, hooks
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, TimedOut, Usage

NUMBERS = itertools.count(1)
"""Of deployments: a queue remembers what it was sent."""
URL = "https://desk.example.com/tocsin?token=s3cret"


@pytest.fixture
def deployment(aws: MemoryCloud) -> Deployment:
    number = next(NUMBERS)
    queues = {"HooksQueueUrl": f"hooks-{number}.fifo", "HooksDeadQueueUrl": f"hooks-dead-{number}.fifo"}
    return aws.deployment(aws.deploy(**queues))


def added(deployment: Deployment, told: Said, url: str = URL, **options: tuple[str, ...]) -> dict[str, str]:
    asked = {"events": (), "accounts": (), **options}
    hooks.add(deployment, url, form="standard", output=told.output, clock=lambda: NOW, **asked)
    return told.records[-1]


def store(deployment: Deployment) -> HookStore:
    return HookStore(deployment.outside_table, deployment.stores.texts, hook_versions(deployment.keys_table))


def endpoint(deployment: Deployment, hook: str) -> Endpoint:
    [found] = [one for one in store(deployment).endpoints()[0] if one.id == hook]
    return found


def worker(deployment: Deployment, status: int = 200) -> Deliveries:
    queue = HooksQueue(deployment.sqs, deployment["HooksQueueUrl"])
    return Deliveries(store(deployment), queue, lambda *_: Answer(status, {}, b""), clock=lambda: NOW)


def outcome(number: int = 1) -> Told:
    return Told.of("NotificationFailed", {"id": f"o-{number}", "ticket_id": "T-1"}, NOW * 1000)


def test_what_is_added_has_a_secret_that_is_shown_once(
    deployment: Deployment, told: Said, said: Said
) -> None:
    made = added(deployment, told, events=("notification.failed",))
    assert endpoint(deployment, made["hook"]).secret == made["secret"]
    hooks.list_hooks(deployment, said.output)
    assert "desk.example.com" in said.text
    assert "notification.failed" in said.text
    assert made["secret"] not in said.text
    assert "s3cret" not in said.text


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("http://desk.example.com/", {}, "must begin with https"),
        ("https://user:pw@desk.example.com/", {}, "user or a password"),
        (URL, {"events": ("notification.lost",)}, "unknown event notification.lost"),
        (URL, {"accounts": ("elsewhere",)}, "doesn't serve the account 'elsewhere'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    deployment: Deployment, told: Said, url: str, options: dict[str, tuple[str, ...]], why: str
) -> None:
    with pytest.raises(ConsoleError, match=why):
        added(deployment, told, url, **options)
    assert store(deployment).endpoints() == ([], {})


def test_who_may_not_seal_is_told_which_right_is_missing(
    deployment: Deployment, told: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless = HookStore(deployment.outside_table, Texts(), hook_versions(deployment.keys_table))
    monkeypatch.setattr(hooks, "store_of", lambda _: keyless)
    with pytest.raises(ConsoleError, match=r"must allow what this command does.*TextsSecretArn"):
        added(deployment, told)


def test_a_stack_without_webhooks_says_how_to_get_them(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(ConsoleError, match="OutcomeHooks=on"):
        hooks.list_hooks(fake.deployment, said.output)


def test_deliveries_show_each_attempt_with_status_and_time(
    deployment: Deployment, told: Said, said: Said
) -> None:
    hook = added(deployment, told)["hook"]
    worker(deployment, 500).carry_out(Order.of(hook, outcome()))
    hooks.list_deliveries(deployment, hook, dead=False, output=said.output)
    assert [line for line in said.lines if "500" in line and "2026-11-18" in line]
    hooks.list_deliveries(deployment, hook, dead=False, output=told.output)
    assert told.records[-1]["attempts"][0]["status"] == 500


def test_what_was_given_up_is_told_again(deployment: Deployment, told: Said, said: Said) -> None:
    hook = added(deployment, told)["hook"]
    worker(deployment, 410).carry_out(Order.of(hook, outcome()))
    assert endpoint(deployment, hook).state == "gone"
    hooks.resume(deployment, hook, output=said.output)
    hooks.resend(deployment, hook, None, dead=True, output=said.output, clock=lambda: NOW)
    [order] = take_all(deployment.sqs, deployment["HooksQueueUrl"])
    assert worker(deployment).carry_out(Order.parse(json.dumps(order))).outcome == "delivered"


def test_a_resend_names_something(deployment: Deployment, told: Said, said: Said) -> None:
    hook = added(deployment, told)["hook"]
    with pytest.raises(Usage):
        hooks.resend(deployment, hook, None, dead=False, output=said.output)
    with pytest.raises(NotFound):
        hooks.resend(deployment, hook, "0-none", dead=False, output=said.output)
    with pytest.raises(NotFound):
        hooks.resend(deployment, "h-none", None, dead=True, output=said.output)


@pytest.mark.parametrize("status", [200, 500])
def test_a_test_tells_what_the_endpoint_answered(
    deployment: Deployment, told: Said, said: Said, status: int
) -> None:
    hook = added(deployment, told)["hook"]

    def carry_out(seconds: float) -> None:
        for order in take_all(deployment.sqs, deployment["HooksQueueUrl"]):
            worker(deployment, status).carry_out(Order.parse(json.dumps(order)))

    def ask() -> None:
        hooks.ping(deployment, hook, wait=5, output=said.output, clock=lambda: NOW, sleep=carry_out)

    if status == 200:
        ask()
        assert "it answered 200" in said.text
        return
    with pytest.raises(ConsoleError, match="did not take the test: 500"):
        ask()


def test_a_test_that_nobody_carries_out_ends(deployment: Deployment, told: Said, said: Said) -> None:
    hook = added(deployment, told)["hook"]
    moments = iter([NOW, NOW, NOW + 10, NOW + 10])
    with pytest.raises(TimedOut):
        hooks.ping(
            deployment, hook, wait=5, output=said.output, clock=lambda: next(moments), sleep=lambda _: None
        )


def test_a_new_secret_leaves_the_old_one_for_a_day(deployment: Deployment, told: Said) -> None:
    made = added(deployment, told)
    hooks.rotate(deployment, made["hook"], output=told.output, clock=lambda: NOW)
    now = endpoint(deployment, made["hook"])
    assert now.secrets(NOW * 1000) == (told.records[-1]["secret"], made["secret"])
    assert now.secrets((NOW + 86_400) * 1000) == (told.records[-1]["secret"],)


def test_paused_resumed_and_removed(deployment: Deployment, told: Said, said: Said) -> None:
    hook = added(deployment, told)["hook"]
    hooks.pause(deployment, hook, output=said.output)
    assert endpoint(deployment, hook).state == "paused"
    hooks.resume(deployment, hook, output=said.output)
    assert endpoint(deployment, hook).state == "active"
    with pytest.raises(Usage, match="--yes"):
        hooks.remove(deployment, hook, yes=False, output=said.output)
    hooks.remove(deployment, hook, yes=True, output=said.output)
    assert store(deployment).endpoints() == ([], {})


def put_back(deployment: Deployment, hook: str, item: Mapping[str, Value]) -> None:
    kept = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    deployment.outside_table.put(Put(hook_key(hook), kept))


def test_a_secret_whose_version_cannot_be_noted_is_shown_all_the_same(
    deployment: Deployment, told: Said, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is signed with by then, and nobody could ever see it again."""
    made = added(deployment, told)

    def refused(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "UpdateItem")

    monkeypatch.setattr(deployment.keys_table, "update", refused)
    hooks.rotate(deployment, made["hook"], output=told.output, clock=lambda: NOW + 1)
    assert endpoint(deployment, made["hook"]).secret == told.records[-1]["secret"]
    assert "an earlier one could be put back" in " ".join(capsys.readouterr().err.split())
    assert next(deployment.stores.audit.lines()).what == f"gave the webhook {made['hook']} a new secret"


def test_odd_words_in_a_record_keep_no_list_from_being_shown(
    deployment: Deployment, told: Said, said: Said
) -> None:
    added(deployment, told)
    made = added(deployment, told)
    odd: dict[str, Value] = {"state": ["x"], "added_at": "x", "last_at": 10**30, "failures": 9}
    deployment.outside_table.update(Update(hook_key(made["hook"]), set=odd))
    hooks.list_hooks(deployment, said.output)
    assert made["hook"] in said.text


def test_a_record_of_earlier_is_named_and_can_only_be_removed(
    deployment: Deployment, told: Said, said: Said
) -> None:
    hook = added(deployment, told)["hook"]
    before = deployment.outside_table.get(hook_key(hook)) or {}
    hooks.remove(deployment, hook, yes=True, output=said.output)
    put_back(deployment, hook, before)
    hooks.list_hooks(deployment, said.output)
    assert f"{hook}  is a record of earlier" in said.text
    [health] = hook_health.hooks_of(deployment) or []
    assert not health.well
    assert health.sentence.startswith(f"{hook} is a record of earlier")
    with pytest.raises(ConsoleError, match=r"record of earlier.*remove it"):
        hooks.resume(deployment, hook, output=said.output)
    hooks.remove(deployment, hook, yes=True, output=said.output)
    assert store(deployment).endpoints() == ([], {})


def test_of_two_who_change_one_webhook_the_later_is_told_and_undoes_nothing(
    deployment: Deployment, told: Said, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = added(deployment, told)["hook"]
    find = hooks._endpoint

    def find_late(*asked: Any) -> Endpoint:
        """Somebody else rotates its secret after it was read."""
        found = find(*asked)
        monkeypatch.setattr(hooks, "_endpoint", find)
        hooks.rotate(deployment, hook, output=told.output, clock=lambda: NOW)
        return found

    monkeypatch.setattr(hooks, "_endpoint", find_late)
    with pytest.raises(ConsoleError, match="what they did stands"):
        hooks.pause(deployment, hook, output=said.output)
    assert endpoint(deployment, hook).secret == told.records[-1]["secret"]
    assert endpoint(deployment, hook).state == "active"


def test_the_first_change_gives_webhooks_of_before_versions_one(deployment: Deployment, told: Said) -> None:
    words = Endpoint("h-old", URL, "whsec_" + "A" * 44).sealed
    del words["version"]
    sealed = deployment.stores.texts.seal(words, hook_key("h-old"))
    put_back(deployment, "h-old", {"state": "active", SEALED: sealed})
    before = deployment.outside_table.get(hook_key("h-old")) or {}
    added(deployment, told)
    assert endpoint(deployment, "h-old").version == 1
    put_back(deployment, "h-old", before)
    assert store(deployment).endpoints()[1] == {"h-old": EARLIER}


def test_there_are_no_more_than_twenty(deployment: Deployment, told: Said) -> None:
    made = added(deployment, told)
    one = endpoint(deployment, made["hook"])
    for number in range(hooks.MAX_HOOKS - 1):
        store(deployment).add(replace(one, id=f"h-{number}"))
    with pytest.raises(ConsoleError, match="20 webhooks already"):
        added(deployment, told)


def test_every_event_can_be_asked_for(deployment: Deployment, told: Said) -> None:
    assert added(deployment, told, events=tuple(TYPES.values()))


@pytest.fixture
def crashed(deployment: Deployment) -> list[Order]:
    """Twelve orders of one webhook's ticket and one of another's, and what nobody here wrote."""
    orders = [*(Order.of("h-1", outcome(number)) for number in range(12)), Order.of("h-2", outcome())]
    dead = HooksQueue(deployment.sqs, deployment["HooksDeadQueueUrl"])
    for order in orders:
        dead.send(order)
    deployment.sqs.send_message(
        QueueUrl=deployment["HooksDeadQueueUrl"],
        MessageBody="{}",
        MessageGroupId="odd",
        MessageDeduplicationId="odd",
    )
    return orders


def in_queue(deployment: Deployment, output: str = "HooksQueueUrl") -> list[str]:
    return [json.dumps(body) for body in take_all(deployment.sqs, deployment[output])]


def test_what_crashed_is_told_again_in_its_order(
    deployment: Deployment, crashed: list[Order], said: Said
) -> None:
    hooks.resend_crashed(deployment, None, output=said.output, clock=lambda: NOW)
    again = [Order.parse(body) for body in in_queue(deployment)]
    assert [replace(one, number=0) for one in again if one.endpoint == "h-1"] == crashed[:12]
    assert [one.endpoint for one in again].count("h-2") == 1
    assert said.lines[-2:] == ["1 stay in the queue: they are no orders of this version", "13 resent"]
    assert in_queue(deployment, "HooksDeadQueueUrl") == ["{}"]


def test_what_crashed_is_no_repeat_of_what_the_queue_has_seen(
    deployment: Deployment, crashed: list[Order], said: Said
) -> None:
    queue = HooksQueue(deployment.sqs, deployment["HooksQueueUrl"])
    queue.send(crashed[0])
    hooks.resend_crashed(deployment, None, output=said.output, clock=lambda: NOW)
    assert len(in_queue(deployment)) == 1 + len(crashed)


def test_of_one_webhook_alone_the_others_stay(
    deployment: Deployment, crashed: list[Order], told: Said
) -> None:
    made = added(deployment, told)
    mine = replace(endpoint(deployment, made["hook"]), id="h-2")
    store(deployment).add(mine)
    hooks.resend_crashed(deployment, "h-2", output=Said().output, clock=lambda: NOW)
    assert [Order.parse(body).endpoint for body in in_queue(deployment)] == ["h-2"]
    assert len(in_queue(deployment, "HooksDeadQueueUrl")) == len(crashed)


def test_of_a_webhook_that_is_not_there_nothing_is_told(deployment: Deployment, said: Said) -> None:
    with pytest.raises(NotFound):
        hooks.resend_crashed(deployment, "h-none", output=said.output)


@pytest.mark.parametrize(
    "typed", ["hooks resend", "hooks resend --dead", "hooks resend h-1 turn --crashed", "hooks resend h-1"]
)
def test_who_does_not_say_what_to_tell_again_is_asked(
    deployment: Deployment, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    assert cli.main(typed.split()) == Usage.exit_code
