"""What a refusal means: one row per error code that a message's ack or a query can bear."""

import pytest

from tocsin.connector_client.errors import (
    AckTimeout,
    ConnectorAway,
    IncarnationRefused,
    IqError,
    KeyUsed,
    LeaseMoved,
    LeaseUntrusted,
    NotConnected,
    ProtocolRefused,
    Refused,
    RequestTimeout,
    Restricted,
    Resuming,
)
from tocsin.multidevice.refusals import ACK_RULES, failure_of_ack, failure_of_connector, failure_of_query
from tocsin.notify.failure import Bug, Failure, Permanent, Recover, Retry, Wait

NOW = 1_800_000_000

FIRST_TIME = [
    (400, Recover, "malformed"),
    (401, Permanent, "not-authorized"),
    (403, Wait, "forbidden"),
    (404, Recover, "unknown-recipient"),
    (405, Recover, "not-allowed"),
    (406, Permanent, "not-acceptable"),
    (408, Retry, "server-timeout"),
    (410, Permanent, "gone"),
    (419, Wait, "resource-limit"),
    (420, Permanent, "refused"),
    (421, Recover, "stale-addressing"),
    (423, Wait, "locked"),
    (429, Wait, "rate-limited"),
    (463, Wait, "first-contact-restricted"),
    (475, Wait, "first-contact-quota"),
    (479, Recover, "stale-devices"),
    (480, Permanent, "refused"),
    (487, Permanent, "refused"),
    (500, Retry, "server-error"),
    (503, Retry, "server-error"),
    (530, Retry, "server-error"),
    (999, Permanent, "refused"),
]


def ack(code: int, *, group: bool = False, earlier: tuple[str, ...] = ()) -> Failure:
    return failure_of_ack(code, group=group, earlier=earlier, now=NOW * 1000)


@pytest.mark.parametrize(("code", "kind", "name"), FIRST_TIME)
def test_the_first_refusal_of_each_code(code, kind, name):
    failure = ack(code)
    assert type(failure) is kind
    assert failure.code == name
    assert str(code) in failure.detail


@pytest.mark.parametrize("code", [400, 403, 404, 405, 421, 479])
def test_what_one_repair_did_not_cure_is_permanent(code):
    assert type(ack(code, earlier=(ACK_RULES[code].code,))) is Permanent


@pytest.mark.parametrize("code", [429, 463, 475, 500])
def test_a_limit_or_server_trouble_stays_what_it_is(code):
    assert type(ack(code, earlier=(ACK_RULES[code].code,))) is type(ack(code))


def test_a_rate_limit_pauses_for_a_quarter_of_an_hour():
    failure = ack(429)
    assert isinstance(failure, Wait)
    assert failure.due_at == (NOW + 15 * 60) * 1000


def test_a_group_that_forbids_writing_will_not_change_its_mind():
    assert type(ack(403, group=True)) is Permanent


def test_a_query_honours_the_delay_the_server_asks_for():
    failure = failure_of_query(503, "service-unavailable", backoff=40, earlier=(), now=NOW * 1000)
    assert isinstance(failure, Retry)
    assert failure.not_before == 40


def test_only_recoveries_and_retries_spend_a_retry():
    assert [cls.spends_retry for cls in (Wait, Recover, Retry, Permanent)] == [False, True, True, False]


CONNECTOR = [
    (ConnectorAway("nobody"), Wait, "connector-away"),
    (NotConnected("logged_out"), Wait, "not-connected"),
    (LeaseMoved(""), Wait, "lease"),
    (LeaseUntrusted("the lease of default is unsealed"), Wait, "lease-untrusted"),
    (ProtocolRefused("too old"), Wait, "protocol"),
    (KeyUsed(""), Recover, "key-used"),
    (Resuming(""), Wait, "resuming"),
    (Restricted(NOW + 60.5), Wait, "restricted"),
    (IncarnationRefused(""), Recover, "incarnation"),
    (AckTimeout(""), Retry, "ack-timeout"),
    (RequestTimeout(""), Retry, "request-timeout"),
    (IqError(429, "rate-overlimit", None), Wait, "rate-limited"),
    (IqError(500, "internal-server-error", None), Retry, "server-error"),
    (Refused(401, "unauthorized", ""), Recover, "unauthorized"),
    (Refused(400, "malformed", ""), Bug, "malformed"),
]


@pytest.mark.parametrize(("error", "kind", "name"), CONNECTOR)
def test_what_the_connector_says(error, kind, name):
    failure = failure_of_connector(error, now=NOW * 1000)
    assert type(failure) is kind
    assert failure.code == name


def test_a_restriction_ends_when_the_server_said_it_would():
    failure = failure_of_connector(Restricted(NOW + 60.5), now=NOW * 1000)
    assert isinstance(failure, Wait)
    assert failure.due_at == NOW * 1000 + 60_500
