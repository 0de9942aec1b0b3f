"""The alarms on new dead letters, fed with what the functions really count: each rings for its class."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NoReturn

import pytest

from tests.support.alarms import ALARM, STACK, Datapoint, alarms, datapoints
from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.handlers import Context, load
from tests.support.sealed_texts import TEXTS
from tests.support.streams import as_handed_over
from tests.support.templates import properties, template
from tests.support.wired_functions import WiredFunctions
from tocsin.notify.config import PublishConfig
from tocsin.notify.failure import Bug, Failure, Permanent, Recover, Retry
from tocsin.notify.outcomes import Publisher
from tocsin.notify.redelivery import Redelivery

BY_CLASS = {
    failure.kind: f"NewDeadLetters{failure.kind.capitalize()}" for failure in (Permanent, Recover, Retry)
}
WATCHING = [*BY_CLASS.values(), "Bugs"]


def rings(name: str, points: list[Datapoint], at: float) -> bool:
    """Whether an alarm rings at `at`, seconds."""
    alarm = alarms()[name]
    # The period that `at` lies in is over only then.
    return alarm.state(points, (at // alarm.period + 1) * alarm.period, extra=0) == ALARM


def ringing(points: list[Datapoint], at: float) -> list[str]:
    return [name for name in alarms() if name in WATCHING and rings(name, points, at)]


class Bus:
    """Takes every event."""

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:
        return {"FailedEntryCount": 0, "Entries": [{} for _ in Entries]}


class Closed:
    """Takes none."""

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:
        return {"FailedEntryCount": len(Entries), "Entries": [{"ErrorCode": "Throttled"} for _ in Entries]}


class Crashing:
    """Carries out nothing."""

    def refuse(self, body: str, lane: str | None, message_id: str) -> NoReturn:
        raise RuntimeError("a bug")


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def wired(account: AwsAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables that the template gives to every function."""
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}
    monkeypatch.setenv("STACK_NAME", STACK)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", variables["POWERTOOLS_METRICS_NAMESPACE"])
    return monkeypatch


def load_function(environment: pytest.MonkeyPatch, logical_id: str) -> ModuleType:
    variables = properties(logical_id)["Environment"]["Variables"]
    environment.setenv("POWERTOOLS_SERVICE_NAME", variables["POWERTOOLS_SERVICE_NAME"])
    return load(properties(logical_id)["CodeUri"].removeprefix("functions/"))


def published(environment: pytest.MonkeyPatch, image: Mapping[str, Any], bus: Bus | Closed) -> None:
    """Run publish_outcomes on a stream record with the item as it stands in the table."""
    app = load_function(environment, "PublishOutcomesFunction")
    publisher = Publisher(bus, PublishConfig("tickets", "arn:texts"), TEXTS, sleep=lambda _: None)
    environment.setattr(app, "publisher", lambda: publisher)
    record = {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": as_handed_over(image)}}
    app.lambda_handler({"Records": [record]}, Context())


def buried(wired: WiredFunctions, failure: Failure) -> Mapping[str, Any]:
    """Make a dead letter. Return its notification as the table's stream shows it."""
    planned = wired.plan()
    wired.dead_letters.bury(planned, failure, int(time.time() * 1000))
    items = wired.aws.dynamodb.scan(TableName=wired.aws.notifications)["Items"]
    [image] = [item for item in items if item.get("outcome", {}).get("S") == "Failed"]
    return dict(image)


@pytest.mark.parametrize("kind", [Permanent, Recover, Retry])
def test_a_new_dead_letter_rings_the_alarm_of_its_class_until_no_new_one_comes(
    kind: type[Failure],
    wired: WiredFunctions,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    published(environment, buried(wired, kind("not-on-whatsapp")), Bus())
    points = datapoints(capsys.readouterr().out)
    soon, later = points[-1].at, points[-1].at + 300
    assert ringing(points, soon) == [BY_CLASS[kind.kind]]
    assert ringing(points, later) == []


def test_it_rings_while_the_bus_takes_no_event(
    wired: WiredFunctions, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published(environment, buried(wired, Permanent("gone")), Closed())
    points = datapoints(capsys.readouterr().out)
    assert ringing(points, points[-1].at) == [BY_CLASS["permanent"]]


def test_what_another_stack_counts_rings_nothing(
    wired: WiredFunctions, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("STACK_NAME", "another")
    published(environment, buried(wired, Permanent("gone")), Bus())
    points = datapoints(capsys.readouterr().out)
    assert "DeadLetters" in {point.name for point in points}
    assert ringing(points, points[-1].at) == []


def test_a_sent_notification_rings_nothing(
    wired: WiredFunctions, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.tell()
    items = wired.aws.dynamodb.scan(TableName=wired.aws.notifications)["Items"]
    [image] = [item for item in items if item.get("outcome", {}).get("S") == "Sent"]
    published(environment, image, Bus())
    points = datapoints(capsys.readouterr().out)
    assert ringing(points, time.time() + 1) == []


def test_an_order_that_the_queue_will_bury_rings_the_alarm_of_bugs(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = load_function(environment, "SendNotificationFunction")
    environment.setattr(app, "sender", lambda: (Crashing(), Redelivery(None, "notifications")))
    attributes = {"MessageGroupId": "g", "ApproximateReceiveCount": "1"}
    order = {"messageId": "1", "receiptHandle": "h", "body": "not json", "attributes": attributes}
    app.lambda_handler({"Records": [order]}, Context())
    points = datapoints(capsys.readouterr().out)
    assert ringing(points, points[-1].at) == ["Bugs"]
    assert ringing(points, points[-1].at + 300) == []


def test_one_that_expired_rings_with_what_can_be_sent_again_as_it_is(
    wired: WiredFunctions, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published(environment, buried(wired, Permanent("expired")), Bus())
    points = datapoints(capsys.readouterr().out)
    assert ringing(points, points[-1].at) == [BY_CLASS["retry"]]


def test_one_that_crashed_until_it_was_given_up_rings_as_a_bug(
    wired: WiredFunctions, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published(environment, buried(wired, Bug("crashed")), Bus())
    points = datapoints(capsys.readouterr().out)
    assert ringing(points, points[-1].at) == ["Bugs"]


def test_every_class_that_ends_as_a_dead_letter_has_its_alarm() -> None:
    # A Wait is parked; what waits too long expires, for good. A Bug's dead letter is made by the queue.
    classes = {kind.kind for kind in Failure.__subclasses__()} - {"wait", "bug"}
    assert classes == set(BY_CLASS)
