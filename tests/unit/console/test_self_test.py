"""`tocsin self-test`: one is made at once, and its result is waited for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tests.support.scripted_aws import ScriptedAws
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.self_test import Result, SelfTest
from tocsin_console.errors import ConsoleError, TimedOut
from tocsin_console.self_test import run_once, to_json


class Scene:
    """A stack whose maintain_sessions answers, and in which time passes while somebody waits."""

    def __init__(self, fake: FakeDeployment, said: Said) -> None:
        self.fake, self.said, self.now = fake, said, float(NOW)
        self.then: Callable[[], object] = lambda: None

    def answers(self, body: Any, **more: Any) -> None:
        payload = io.BytesIO(json.dumps(body).encode())
        aws = ScriptedAws(lambda__invoke={"Payload": payload, **more})
        vars(self.fake.deployment)["client"] = aws.client
        vars(self.fake.deployment)["outputs"] = {**self.fake.deployment.outputs, "MaintainFunctionName": "m"}

    def begun(self) -> Notification:
        """One that is under way: planned, and sent by nobody yet."""
        planned = self.fake.planned()
        test = SelfTest(planned.id, NOW * 1000)
        assert self.fake.deployment.stores.self_tests.put("default", test, after=None)
        self.answers(to_json(test))
        return planned

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.then()

    def run(self, wait_seconds: float = 60) -> str:
        run_once(
            self.fake.deployment,
            "default",
            wait_seconds=wait_seconds,
            output=self.said.output,
            sleep=self.pass_time,
            clock=lambda: self.now,
        )
        return self.said.text


@pytest.fixture
def scene(fake: FakeDeployment, said: Said) -> Scene:
    return Scene(fake, said)


def test_it_waits_until_the_phone_has_it(scene: Scene) -> None:
    planned = scene.begun()
    scene.then = lambda: scene.fake.arrives(planned)
    text = scene.run()
    assert "not sent yet" in text
    assert "arrived at" in text


def test_without_a_receipt_the_wait_ends_and_says_how_far_it_got(scene: Scene) -> None:
    planned = scene.begun()
    notifications = scene.fake.deployment.stores.notifications
    scene.then = lambda: notifications.mark_sent(planned.id, {}, at=NOW * 1000 + 500, account="default")
    with pytest.raises(TimedOut, match="WhatsApp has it, the phone not yet"):
        scene.run()


def test_without_a_wait_it_is_only_asked_for(scene: Scene) -> None:
    scene.begun()
    assert "under way" in scene.run(wait_seconds=0)


@pytest.mark.parametrize(
    ("result", "cause", "advice"),
    [
        (Result.FAILED, "logged_out", "tocsin status"),
        (Result.SKIPPED, "unpaired", "tocsin pair --account default"),
    ],
)
def test_where_none_can_be_made_it_says_what_to_do(
    scene: Scene, result: Result, cause: str, advice: str
) -> None:
    scene.answers(to_json(SelfTest(None, NOW * 1000).ended(result, NOW * 1000, cause)))
    with pytest.raises(ConsoleError, match=advice):
        scene.run()


def test_one_that_failed_is_explained(scene: Scene) -> None:
    planned = scene.begun()
    scene.then = lambda: scene.fake.deployment.stores.notifications.fail(
        planned.id, Problem("server-error", "retry"), NOW * 1000
    )
    with pytest.raises(ConsoleError, match=f"server-error; tocsin explain {planned.id}"):
        scene.run()
    assert scene.fake.stored(planned).state is State.FAILED


def test_a_stack_of_before_says_that_it_must_be_updated(scene: Scene) -> None:
    scene.answers({"accounts": []})
    with pytest.raises(ConsoleError, match="tocsin deploy"):
        scene.run()


def test_a_function_that_fails_is_told(scene: Scene) -> None:
    scene.answers({"errorType": "MissingVariable"}, FunctionError="Unhandled")
    with pytest.raises(ConsoleError, match="MissingVariable"):
        scene.run()
