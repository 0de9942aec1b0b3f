"""The table from a Signal error to what the sender gets."""

from __future__ import annotations

import pytest

from tests.support.questions import question_for
from tocsin.multidevice.retries import (
    ANSWERS,
    ASK_AGAIN,
    ASK_IN_THIS_SESSION,
    MAX_RETRY_RECEIPTS,
    AskAgain,
    answer_to,
    confirm_again,
    refuse_unproven,
)
from tocsin.signal import errors
from tocsin.signal.errors import BadMac, Duplicate, InvalidMessage, NoSession, SignalError, UnprovenDevice

ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, SignalError)]


def an(error: type[SignalError]) -> SignalError:
    if error is errors.UnprovenDevice:
        return error(phone_known=True)
    return error(b"", b"") if error is errors.UntrustedIdentity else error()


NEVER_ASKED = {Duplicate, UnprovenDevice}


@pytest.mark.parametrize("error", sorted(set(ERRORS) - NEVER_ASKED, key=lambda one: one.__name__))
def test_every_other_error_is_asked_about(error: type[SignalError]) -> None:
    assert isinstance(answer_to(an(error)), AskAgain)


def test_an_unproven_device_is_refused_and_never_asked() -> None:
    assert answer_to(an(UnprovenDevice)) is refuse_unproven


def test_a_duplicate_is_confirmed_again_and_never_asked_about() -> None:
    assert answer_to(Duplicate()) is confirm_again
    assert question_for(Duplicate(), 1) is None


@pytest.mark.parametrize("error", [one for one in ERRORS if issubclass(one, InvalidMessage)])
def test_invalid_bytes_never_blame_the_session(error: type[SignalError]) -> None:
    assert answer_to(error()) is ASK_IN_THIS_SESSION
    assert not any(
        question.session_is_stale for count in range(1, 9) if (question := question_for(error(), count))
    )


def test_an_error_without_an_entry_is_answered_like_its_base() -> None:
    assert errors.TornRecord not in ANSWERS
    assert answer_to(errors.TornRecord()) is ASK_AGAIN


def test_keys_go_along_at_once_without_a_session_and_else_from_the_second_time() -> None:
    assert [question_for(NoSession(), count).with_keys for count in (1, 2)] == [True, True]  # type: ignore[union-attr]
    assert [question_for(BadMac(), count).with_keys for count in (1, 2)] == [False, True]  # type: ignore[union-attr]


def test_after_the_last_count_nothing_is_asked() -> None:
    assert question_for(BadMac(), MAX_RETRY_RECEIPTS) is not None
    assert question_for(BadMac(), MAX_RETRY_RECEIPTS + 1) is None
