"""Outcome webhooks for the operator: added, looked at, tested, and told again what they missed.

A URL may hold a secret in its path or query, so only its host is shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from tocsin.dynamo.errors import ConditionFailed
from tocsin.guarded_http import Policy, UrlRefused, checked
from tocsin.hooks.delivery import DEAD, DELIVERED, Delivery
from tocsin.hooks.endpoint import ACTIVE, PAUSED, Endpoint
from tocsin.hooks.outcome import TEST, Told
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.signing import new_secret
from tocsin.hooks.store import HookStore
from tocsin.notify.cloud_events import TYPES
from tocsin.notify.store.texts import TextWithheld
from tocsin.timestamps import from_seconds
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, TimedOut, Usage
from tocsin_console.hook_health import ODD, store_of
from tocsin_console.look import Look
from tocsin_console.output import Output, counted, moment, with_json_moments

MAX_HOOKS = 20
_SAID = {
    "connection": "nothing answers there, or it hangs up",
    "timeout": "no answer within 15 seconds",
    "dns": "its host has no address",
    "tls": "its certificate isn't valid for that host",
    "refused": "its host leads to an address that isn't public",
    "crashed": "the function itself failed: see the log of deliver_webhooks",
}
"""What an attempt came to, if no status came, in other words."""
_LOOK_SECONDS = 0.5


def add(
    deployment: Deployment,
    url: str,
    *,
    events: tuple[str, ...],
    accounts: tuple[str, ...],
    form: str,
    output: Output,
    random: Callable[[int], bytes] = os.urandom,
    clock: Callable[[], float] = time.time,
) -> None:
    """Raises Usage, NotFound, ConsoleError."""
    store = _store(deployment)
    _demand_sense(deployment, url, events, accounts)
    found, odd = store.endpoints()
    if len(found) + len(odd) >= MAX_HOOKS:
        raise ConsoleError(f"there are {MAX_HOOKS} webhooks already: remove one (tocsin hooks list)")
    endpoint = Endpoint(
        f"h-{random(4).hex()}",
        url,
        new_secret(random),
        events,
        accounts,
        form,
        added_at=from_seconds(clock()),
    )
    _written(endpoint.id, store.demand_versions)
    _written(endpoint.id, lambda: store.add(endpoint))
    note(deployment, f"added the webhook {endpoint.id}", clock=clock)
    output.record({"hook": endpoint.id, "secret": endpoint.secret})
    output.say(f"hook    {endpoint.id}")
    output.say(f"secret  {endpoint.secret}")
    output.say()
    output.say("The secret isn't shown again. Outcomes are told within half a minute; try it:")
    output.say(f"    tocsin hooks test {endpoint.id}")


def _demand_sense(
    deployment: Deployment, url: str, events: tuple[str, ...], accounts: tuple[str, ...]
) -> None:
    """Raises Usage, NotFound for what a webhook can't be."""
    try:
        checked(url, _policy(deployment))
    except UrlRefused as refusal:
        raise Usage(f"the URL {refusal.why}") from None
    if strange := [one for one in events if one not in TYPES.values()]:
        raise Usage(f"unknown event {strange[0]}; there are {', '.join(TYPES.values())}")
    for account in accounts:
        deployment.account(account)


def list_hooks(deployment: Deployment, output: Output) -> None:
    found, odd = _store(deployment).endpoints()
    for endpoint in sorted(found, key=lambda one: one.added_at):
        output.record(_json(endpoint))
        asked = ", ".join(endpoint.events) or "all events"
        whose = deployment.names.labels(endpoint.accounts) or "all accounts"
        output.say(
            f"{endpoint.id}  {endpoint.state:<7}  {_host(endpoint)}  {asked}; {whose}; {endpoint.form}"
        )
        health = endpoint.health
        if health.failures:
            last = f"{moment(health.last_at)}: {health.last_said}"
            output.say(f"    failed {counted(health.failures, 'times')} in a row; last at {last}")
    for identity, why in odd.items():
        output.record({"hook": identity, "state": "unreadable", "why": why})
        output.say(f"{identity}  {ODD[why]}")
    if not found and not odd:
        output.say("no webhooks; tocsin hooks add URL")


def list_deliveries(deployment: Deployment, hook: str, *, dead: bool, output: Output) -> None:
    """The last of them that are kept, the oldest first. Raises NotFound."""
    store = _store(deployment)
    _endpoint(store, hook)
    shown = 0
    for delivery in store.deliveries(hook):
        if dead and delivery.state != DEAD:
            continue
        shown += 1
        output.record(_delivery_json(delivery))
        why = f" ({delivery.reason})" if delivery.reason else ""
        account = deployment.names.label(delivery.account)
        output.say(f"{delivery.turn}  {delivery.type}  {account}  {delivery.state}{why}")
        for attempt in delivery.attempts:
            output.say(f"    {moment(attempt.at)}  {attempt.said}  {attempt.took} ms")
        if delivery.due_at and delivery.state not in (DEAD, DELIVERED):
            output.say(f"    next not before {moment(delivery.due_at)}")
    if not shown:
        output.say("no deliveries")


def resend(
    deployment: Deployment,
    hook: str,
    turn: str | None,
    *,
    dead: bool,
    output: Output,
    clock: Callable[[], float] = time.time,
) -> None:
    """Raises Usage, NotFound."""
    if (turn is None) is not dead:
        raise Usage("name a delivery, or --dead for all that were given up")
    store, queue = _store(deployment), _queue(deployment)
    _endpoint(store, hook)
    turns = (
        [turn]
        if turn
        else [one.turn for one in store.deliveries(hook) if one.state == DEAD and not one.is_damaged]
    )
    resent = 0
    try:
        for one in turns:
            _resend(store, queue, hook, one, from_seconds(clock()))
            resent += 1
            output.record({"delivery": one, "result": "resent"})
            output.say(f"{one}  is told again")
    finally:
        # What was done is written down, however it ended.
        if resent:
            note(deployment, f"told the webhook {hook} deliveries again", count=resent, clock=clock)
    output.say(f"{resent} resent")


def resend_crashed(
    deployment: Deployment,
    hook: str | None,
    *,
    output: Output,
    clock: Callable[[], float] = time.time,
) -> None:
    """Put orders that the function crashed on again and again, and could not even put aside, back into the
    queue, in their order; `hook`: of this webhook alone. One that can't be read stays. Raises NotFound,
    ConsoleError."""
    store, queue = _store(deployment), _queue(deployment)
    if hook is not None:
        _endpoint(store, hook)
    resent = odd = 0
    number = 1000 * from_seconds(clock())
    try:
        with Look(deployment.sqs, deployment["HooksDeadQueueUrl"]) as crashed:
            for message in crashed.messages():
                order = _order(message["Body"])
                odd += order is None
                if order is None or hook not in (None, order.endpoint):
                    continue
                queue.send(replace(order, number=number))
                crashed.remove(message["MessageId"])
                resent += 1
                output.record({"hook": order.endpoint, "delivery": order.turn, "result": "resent"})
                output.say(f"{order.endpoint}  {order.turn}  is told again")
    finally:
        # What was done is written down, however it ended.
        if resent:
            whose = f"the webhook {hook}" if hook else "webhooks"
            note(deployment, f"told {whose} again what crashed", count=resent, clock=clock)
    if odd:
        output.say(f"{odd} stay in the queue: they are no orders of this version")
    output.say(f"{resent} resent")


def _order(body: str) -> Order | None:
    """None of what can't be read."""
    try:
        return Order.parse(body)
    except (ValueError, KeyError, TypeError):
        return None


def _resend(store: HookStore, queue: HooksQueue, hook: str, turn: str, now: int) -> None:
    """`now`: ms. Raises NotFound, ConsoleError."""
    delivery = store.get(hook, turn)
    if delivery is None:
        raise NotFound(f"{hook} has no delivery {turn}: see 'tocsin hooks deliveries {hook}'")
    if delivery.is_damaged:
        raise ConsoleError(f"{turn} can't be told again: its record is damaged, and what it told is lost")
    again = delivery.again(now)
    store.note(again, now)
    # As many parkings and attempts as no order before it had.
    number = again.parkings + len(again.attempts) + 1000 * now
    queue.send(Order(hook, turn, again.lane, number=number))


def rotate(
    deployment: Deployment,
    hook: str,
    *,
    output: Output,
    random: Callable[[int], bytes] = os.urandom,
    clock: Callable[[], float] = time.time,
) -> None:
    store = _store(deployment)
    _written(hook, store.demand_versions)
    rotated = _endpoint(store, hook).rotated(new_secret(random), from_seconds(clock()))
    _written(hook, lambda: store.change(rotated))
    note(deployment, f"gave the webhook {hook} a new secret", clock=clock)
    output.record({"hook": hook, "secret": rotated.secret})
    output.say(f"secret  {rotated.secret}")
    output.say()
    output.say("It isn't shown again. For a day everything is signed with the former one as well.")


def ping(
    deployment: Deployment,
    hook: str,
    *,
    wait: float,
    output: Output,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send a test and wait for what came of it. Raises NotFound, ConsoleError, TimedOut."""
    store = _store(deployment)
    _endpoint(store, hook)
    now = from_seconds(clock())
    told = Told(TEST, f"{hook}.test.{now}", now, "", f"test-{now}", {"id": f"{hook}.test.{now}"})
    _queue(deployment).send(Order.of(hook, told))
    note(deployment, f"sent the webhook {hook} a test")
    until = clock() + wait
    with output.progress("waiting for the answer") as progress:
        while clock() < until:
            delivery = store.get(hook, told.turn)
            if delivery is not None and delivery.is_done and delivery.attempts:
                _tell_answer(delivery, output)
                return
            progress.around(sleep)(_LOOK_SECONDS)
    raise TimedOut(f"nothing was heard within {wait:.0f} seconds; see 'tocsin hooks deliveries {hook}'")


def _tell_answer(delivery: Delivery, output: Output) -> None:
    """Raises ConsoleError if it was none."""
    last = delivery.attempts[-1]
    output.record(_delivery_json(delivery))
    if delivery.state != DELIVERED:
        meaning = _SAID.get(last.said, "")
        raise ConsoleError(f"it did not take the test: {last.said}{f' ({meaning})' if meaning else ''}")
    output.say(f"it answered {last.said} after {last.took} ms")


def pause(deployment: Deployment, hook: str, *, output: Output) -> None:
    _enter(deployment, hook, PAUSED, "paused: what comes now waits until it is resumed", output)


def resume(deployment: Deployment, hook: str, *, output: Output) -> None:
    _enter(deployment, hook, ACTIVE, "active: what waits is told within some minutes", output)


def remove(deployment: Deployment, hook: str, *, yes: bool, output: Output) -> None:
    """Raises NotFound."""
    store = _store(deployment)
    _, odd = store.endpoints()
    if hook not in odd:
        _endpoint(store, hook)
    confirm(lambda: f"{hook} will hear of nothing any more", yes=yes, output=output)
    _written(hook, lambda: store.remove(hook))
    note(deployment, f"removed the webhook {hook}")
    output.record({"hook": hook, "result": "removed"})
    output.say(f"{hook}  removed")


def words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _enter(deployment: Deployment, hook: str, state: str, says: str, output: Output) -> None:
    store = _store(deployment)
    _written(hook, store.demand_versions)
    changed = replace(_endpoint(store, hook), state=state)
    _written(hook, lambda: store.change(changed))
    note(deployment, f"{'paused' if state == PAUSED else 'resumed'} the webhook {hook}")
    output.record({"hook": hook, "state": state})
    output.say(f"{hook}  {says}")


def _endpoint(store: HookStore, hook: str) -> Endpoint:
    """Raises NotFound, ConsoleError."""
    found, odd = store.endpoints()
    for one in found:
        if one.id == hook:
            return one
    if hook in odd:
        raise ConsoleError(f"{hook} {ODD[odd[hook]]}")
    raise NotFound(f"there is no webhook {hook}: see 'tocsin hooks list'")


def _written(hook: str, write: Callable[[], None]) -> None:
    """Raises ConsoleError for who may not seal, and if somebody else was faster: what they did would be
    undone."""
    try:
        write()
    except ConditionFailed:
        raise ConsoleError(
            "somebody changed or removed a webhook at this moment, and what they did stands: look with "
            f"'tocsin hooks list', then do yours to {hook} again"
        ) from None
    except TextWithheld as refusal:
        raise ConsoleError(
            f"a webhook's URL and secret are kept sealed ({refusal.why}). Your AWS permissions must allow "
            "what this command does: secretsmanager:GetSecretValue on the stack's output TextsSecretArn"
        ) from None


def _store(deployment: Deployment) -> HookStore:
    if "HooksQueueUrl" not in deployment.outputs:
        raise ConsoleError(
            "this stack has no outcome webhooks: deploy it with the parameter OutcomeHooks=on "
            "(tocsin deploy --set OutcomeHooks=on)"
        )
    return store_of(deployment)


def _queue(deployment: Deployment) -> HooksQueue:
    return HooksQueue(deployment.sqs, deployment["HooksQueueUrl"])


def _policy(deployment: Deployment) -> Policy:
    """What the stack's own function goes by."""
    return Policy(loopback=deployment.parameters.get("Timing") == "trial")


def _host(endpoint: Endpoint) -> str:
    return masking.either(urlsplit(endpoint.url).hostname or "?", endpoint.url)


def _json(endpoint: Endpoint) -> dict[str, Any]:
    health = endpoint.health
    return {
        "hook": endpoint.id,
        "state": endpoint.state,
        "host": _host(endpoint),
        "events": list(endpoint.events),
        "accounts": list(endpoint.accounts),
        "form": endpoint.form,
        "failures": health.failures,
        "last_said": health.last_said or None,
    }


def _delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "hook": delivery.endpoint,
        "delivery": delivery.turn,
        "webhook_id": delivery.message_id,
        "type": delivery.type,
        "account": delivery.account,
        "state": delivery.state,
        "reason": delivery.reason or None,
        "attempts": [with_json_moments(one.to_json(), "at") for one in delivery.attempts],
    }
