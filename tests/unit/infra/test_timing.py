"""How long functions may run and when a message comes back, held against what Lambda asks of a queue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.templates import properties, resources, template
from tocsin.bootstrap.receive_stanza import ANSWER_SECONDS_OF_STANZAS
from tocsin.connector_client.client import CONNECT_SECONDS, GRACE_SECONDS
from tocsin.connector_client.protocol import MESSAGE_TIMEOUT
from tocsin.notify.redelivery import MAX_RECEIVES, RECEIVES_BEFORE_RENEWAL

TIMINGS = template()["Mappings"]["Seconds"]
STAGES = sorted({name.removesuffix("Timeout").removesuffix("Visibility") for name in TIMINGS["aws"]})

SIX = 6
"""Lambda's own advice: it tries for so long to have a run for what it received."""

HARMLESS_TWICE = {"Plan", "Send", "Receive", "Receipts"}
"""Stages whose messages may come back while Lambda still tries to have a run for them. What two runs plan has
one id (`test_planning.py`), what both send is one message (`test_transport_threads.py`), what both receive is
told once (`test_inbound_threads.py`), and a state only moves forward (`test_receipts_in_any_order.py`). What
was left by a run that was killed shall not wait for so long."""

ENOUGH_SECONDS = 90 * 60
"""For so long a stage may get no run at all: each poll that was refused for want of concurrency counts as a
receive, and brings its messages again when the queue's own time is over."""


def too_short(timing: dict[str, int], factor: int) -> list[str]:
    """Return the stages whose messages may come back while their function still has them."""
    return [stage for stage in STAGES if timing[f"{stage}Visibility"] < factor * timing[f"{stage}Timeout"]]


def looked_up(value: Any) -> str:
    """Return the key that an expression looks up in the timing that was chosen."""
    map_, chosen, key = value["Fn::FindInMap"]
    assert (map_, chosen) == ("Seconds", {"Ref": "Timing"})
    return str(key)


def test_each_choice_has_its_timing() -> None:
    assert list(TIMINGS) == template()["Parameters"]["Timing"]["AllowedValues"]
    assert all(timing.keys() == TIMINGS["aws"].keys() for timing in TIMINGS.values())


def test_on_aws_a_message_comes_back_after_six_timeouts() -> None:
    assert set(too_short(TIMINGS["aws"], SIX)) <= HARMLESS_TWICE
    assert too_short(TIMINGS["aws"], 2) == []


def test_a_stanza_that_is_begun_in_time_ends_in_time_however_slow_the_answers_are() -> None:
    """One for keys and one for an ack. Of an invocation half is left when the last stanza is begun."""
    answers = 2 * (ANSWER_SECONDS_OF_STANZAS + GRACE_SECONDS)
    assert answers <= TIMINGS["aws"]["ReceiveTimeout"] / 2


def test_an_order_that_is_begun_in_time_ends_in_time_though_its_ack_never_comes() -> None:
    """Else Lambda ends the function, and the order counts as one that crashed it."""
    answer = CONNECT_SECONDS + MESSAGE_TIMEOUT + GRACE_SECONDS
    assert answer <= TIMINGS["aws"]["SendTimeout"] / 2


def test_in_a_trial_it_comes_back_when_its_function_has_ended() -> None:
    assert too_short(TIMINGS["trial"], 1) == []


def test_a_shorter_one_is_found_out() -> None:
    assert "Hooks" in too_short(TIMINGS["aws"] | {"HooksVisibility": 300}, SIX)


@pytest.mark.parametrize("function", sorted(resources("AWS::Serverless::Function")))
def test_a_queue_and_the_function_that_works_from_it_have_the_timing_of_one_stage(function: str) -> None:
    for event in properties(function).get("Events", {}).values():
        if event["Type"] == "SQS":
            queue = event["Properties"]["Queue"]["Fn::GetAtt"][0]
            stage = looked_up(properties(function)["Timeout"]).removesuffix("Timeout")
            assert looked_up(properties(queue)["VisibilityTimeout"]) == f"{stage}Visibility"


@pytest.mark.parametrize("name", sorted(resources("AWS::SQS::Queue")))
def test_refused_polls_bury_nothing(name: str) -> None:
    redrive = properties(name).get("RedrivePolicy")
    if redrive:
        hidden = TIMINGS["aws"][looked_up(properties(name)["VisibilityTimeout"])]
        assert redrive["maxReceiveCount"] * hidden >= ENOUGH_SECONDS


def test_the_stanza_queue_buries_what_its_function_takes_for_buried() -> None:
    assert properties("StanzasQueue")["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    assert RECEIVES_BEFORE_RENEWAL <= MAX_RECEIVES / 2
