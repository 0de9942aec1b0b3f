"""One record that has another form than Tocsin writes fails alone: every attribute, at every odd value."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from botocore.session import Session

from tests.support.fake_deployment import Said
from tests.support.memory_aws import MemoryAccount
from tests.support.memory_queue import MemoryQueue
from tests.support.wired_functions import WiredFunctions
from tocsin.dynamo.writes import Put
from tocsin.notify.dead_letters import attempt_of
from tocsin.notify.failure import Retry
from tocsin.notify.notification import Problem
from tocsin.notify.queues import Order
from tocsin.notify.redrive import Redriver
from tocsin.notify.store.codec import stored_content
from tocsin.notify.store.texts import SEALED
from tocsin.tables.notifications import notification_key
from tocsin_console.dead_letters import list_letters, show_letter
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NeedsAttention
from tocsin_console.explain import explain

ODD = [
    frozenset({"a"}),
    True,
    -1,
    10**30,
    "",
    "x" * 3000,
    "\x1b]52;c;",
    b"x",
    [],
    [[]],
    [{}],
    {},
    {"a": {"b": [1]}},
]

NOW = 1_795_000_000

Path = tuple[str | int, ...]


class Scene:
    """A stack with a whole record, whose every attribute can be spoilt, and one that stays sound."""

    def __init__(self) -> None:
        functions = WiredFunctions(MemoryAccount().furnish())
        self.sound, self.odd = functions.tell(1), functions.tell(2)
        functions.receipt(self.odd)
        functions.receipt(self.odd, "read")
        functions.stores.notifications.record_attempt(
            self.odd.id, attempt_of(Retry("server-error", "503"), NOW * 1000)
        )
        self._table = functions.aws.notifications_table
        self._key = notification_key(self.odd.id)
        found = self._table.get(self._key) or {}
        # As older versions wrote it: with its words in clear, which have more places to be odd at.
        words = {"content": stored_content(self.odd.content), "recipient_name": self.odd.recipient_name}
        plain = {name: value for name, value in found.items() if name not in ("pk", "sk", SEALED)}
        self._whole = plain | words | {"state": "failed"}
        given_up = Problem("server-error", "retry", "503")
        functions.stores.notifications.fail(self.sound.id, given_up, NOW * 1000)
        letters = MemoryQueue(is_readonly=True)
        for one in (self.sound, self.odd):
            letters.put(json.dumps(Order.of(one).to_json()))
        redriver = Redriver(functions.stores.notifications, letters, functions.queue, clock=lambda: NOW)
        self.deployment = Deployment("tocsin", {"Accounts": "default"}, Session())
        vars(self.deployment).update(
            stores=functions.stores,
            keys_table=functions.aws.keys_table,
            redriver=lambda **_: redriver,
        )

    def places(self) -> list[Path]:
        return [path for path in walk(self._whole) if path]

    def spoil(self, path: Path, value: Any) -> None:
        self._table.put(Put(self._key, replaced(self._whole, path, value)))


def walk(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    inside: Sequence[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, (list, tuple)):
        inside = list(enumerate(value))
    for step, inner in inside:
        yield from walk(inner, (*path, step))


def replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_a_whole_record_has_something_of_each_kind(scene: Scene) -> None:
    names = {path[0] for path in scene.places()}
    assert {"content", "attempts", "receipts", "created_at", "audience"} <= names


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_explain_tells_what_it_can_or_names_the_record(scene: Scene, value: Any) -> None:
    for path in scene.places():
        scene.spoil(path, value)
        said = Said()
        with contextlib.suppress(NeedsAttention):
            explain(scene.deployment, scene.odd.id, output=said.output, text=True, clock=lambda: NOW)
        assert f"notification  {scene.odd.id}" in said.text


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.slow
def test_the_list_of_dead_letters_shows_both(scene: Scene, value: Any) -> None:
    for path in scene.places():
        scene.spoil(path, value)
        said, told = Said(), Said(as_json=True)
        list_letters(scene.deployment, said.output)
        list_letters(scene.deployment, told.output)
        show_letter(scene.deployment, scene.odd.id, text=True, output=said.output)
        assert [one["notification"] for one in told.records] == [scene.sound.id, scene.odd.id]
        assert scene.sound.ticket_id in said.text


def test_twin_that_reads_without_looking_dies_of_one(scene: Scene) -> None:
    scene.spoil(("content", "text"), 7)
    found = scene.deployment.stores.notifications.get(scene.odd.id)
    assert found is not None
    with pytest.raises(AttributeError):
        found.text.split("\n")
