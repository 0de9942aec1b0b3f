"""The handler of the upkeep: whom it looks after, and that one account's trouble is not another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from tests.support.alarms import datapoints
from tests.support.handlers import Context, load
from tocsin import aws
from tocsin.accounts.served_accounts import add_account
from tocsin.dynamo import table
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.multidevice import key_maintenance
from tocsin.notify.parking import Report
from tocsin.notify.self_test import Result, SelfTest
from tocsin.tables.notifications import settings_key


class Upkeep:
    """Notes what was asked of it, and how many seconds it was given; accounts in `broken` fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[tuple[str, str]] = []
        self.given: list[float] = []

    def sweep(self, account: str, time_left: Callable[[], float]) -> Report:
        self.given.append(time_left())
        return self._work("sweep", account)

    def erase_due_words(self, time_left: Callable[[], float]) -> int:
        return 0

    def resume(self, account: str, time_left: Callable[[], float]) -> Report:
        self.given.append(time_left())
        return self._work("resume", account)

    def _work(self, what: str, account: str) -> Report:
        self.asked.append((what, account))
        if account in self.broken:
            raise ConnectionError(account)
        return Report(account, resumed=2)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "maintain_sessions")
    module = load("maintain_sessions")
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: 120.0))
    stores = SimpleNamespace(notifications_table="notifications", keys_table="keys")
    made = SimpleNamespace(accounts=("default",), stores=stores, self_test="off")
    monkeypatch.setattr(module, "config", lambda: made)
    outside = MemoryTable()
    add_account(outside, "support", 1)  # while the stack runs
    monkeypatch.setattr(table, "DynamoTable", lambda client, name: outside)
    monkeypatch.setattr(aws, "client", lambda service: None)
    return module


def test_the_schedule_looks_after_every_account(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = Upkeep()
    monkeypatch.setattr(app, "maintainer", lambda: upkeep)
    answer = app.lambda_handler({"source": "aws.scheduler"}, Context())
    assert upkeep.asked == [("sweep", "default"), ("sweep", "support")]
    assert [report["resumed"] for report in answer["accounts"]] == [2, 2]


def test_each_minute_tells_who_is_disconnected_and_a_login_does_not(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "maintainer", Upkeep)
    app.lambda_handler({}, Context())
    assert '"AccountsDisconnected":[2.0]' in capsys.readouterr().out
    app.lambda_handler({"resume": "support"}, Context())
    assert "AccountsDisconnected" not in capsys.readouterr().out


def test_another_account_is_the_first_each_minute(app: ModuleType) -> None:
    assert [app.rotated(("a", "b", "c"), turn) for turn in (0, 1, 3)] == [
        ("a", "b", "c"),
        ("b", "c", "a"),
        ("a", "b", "c"),
    ]
    assert app.rotated((), 7) == ()


def test_a_run_of_each_minute_has_no_time_beyond_it(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = Upkeep()
    monkeypatch.setattr(app, "maintainer", lambda: upkeep)
    app.lambda_handler({}, Context())
    app.lambda_handler({"resume": "support"}, Context())
    assert upkeep.given == [60, 60, 300]


def test_what_is_left_is_the_lesser_of_the_minute_and_the_function_s_time(app: ModuleType) -> None:
    left = iter([300.0, 290.0, 290.0, 30.0, 30.0])
    time_left = app.within(60, lambda: next(left))
    assert (time_left(), time_left()) == (50.0, -210.0)


def test_the_connector_asks_for_one_account(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = Upkeep()
    monkeypatch.setattr(app, "maintainer", lambda: upkeep)
    app.lambda_handler({"resume": "support"}, Context())
    assert upkeep.asked == [("resume", "support")]


def test_a_failing_account_takes_no_other_with_it_and_is_raised_at_the_end(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Upkeep("default")
    monkeypatch.setattr(app, "maintainer", lambda: upkeep)
    with pytest.raises(ExceptionGroup) as failure:
        app.lambda_handler({}, Context())
    assert failure.group_contains(ConnectionError, match="default")
    assert upkeep.asked == [("sweep", "default"), ("sweep", "support")]


class Rounds:
    """Notes what the hourly schedule asked for."""

    def __init__(self, run: key_maintenance.Run) -> None:
        self.result = run
        self.asked: list[tuple[tuple[str, ...], float, bool]] = []

    def run(
        self, accounts: tuple[str, ...], time_left: Callable[[], float], *, force: bool
    ) -> key_maintenance.Run:
        self.asked.append((accounts, time_left(), force))
        return self.result


def test_each_hour_the_keys_of_every_account_are_looked_after(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = key_maintenance.Report(
        "default", users=3, renewed={"idle": 2}, rotated=7, troubles=["lists: iq-error"]
    )
    rounds = Rounds(key_maintenance.Run([report], pages=2, read_units=9.5, complete=False))
    monkeypatch.setattr(app, "upkeep", lambda: rounds)
    answer = app.lambda_handler({"upkeep": True}, Context(remaining_millis=250_000))
    assert rounds.asked == [(("default", "support"), 250.0, False)]
    assert (answer["pages"], answer["complete"], answer["failures"]) == (2, False, 0)
    assert answer["accounts"][0]["renewed"] == {"idle": 2}
    (metrics,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    told = {name: metrics[name] for name in ("SessionsRenewed", "SignedPreKeysRotated", "UpkeepTroubles")}
    assert told == {"SessionsRenewed": [2.0], "SignedPreKeysRotated": [1.0], "UpkeepTroubles": [1.0]}


def test_an_operator_may_begin_a_round(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds(key_maintenance.Run())
    monkeypatch.setattr(app, "upkeep", lambda: rounds)
    app.lambda_handler({"upkeep": True, "force": True}, Context())
    assert [force for _, _, force in rounds.asked] == [True]


def test_what_failed_in_the_round_is_raised_after_it_was_told(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds(
        key_maintenance.Run([key_maintenance.Report("default")], failures=[ConnectionError("default")])
    )
    monkeypatch.setattr(app, "upkeep", lambda: rounds)
    with pytest.raises(ExceptionGroup) as failure:
        app.lambda_handler({"upkeep": True}, Context())
    assert failure.group_contains(ConnectionError, match="default")


class InUse(Upkeep):
    def _work(self, what: str, account: str) -> Report:
        return Report(account, in_use=account != "idle")


def test_an_account_in_use_is_kept_for_when_the_parameter_names_it_no_more(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = ("default", "second", "idle")
    named = SimpleNamespace(accounts=accounts, stores=app.config().stores, self_test="off")
    monkeypatch.setattr(app, "config", lambda: named)
    monkeypatch.setattr(app, "maintainer", InUse)
    app.lambda_handler({}, Context())
    shrunk = SimpleNamespace(accounts=("default",), stores=named.stores)
    monkeypatch.setattr(app, "config", lambda: shrunk)
    assert app.accounts() == ("default", "second", "support")


def test_it_says_what_it_reaches_when_the_doctor_asks(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = {"sqs": {"host": "sqs", "family": "IPv6", "failed": ""}}
    monkeypatch.setattr(app.bootstrap, "reached", lambda: met)
    monkeypatch.setattr(app, "maintainer", lambda: pytest.fail("nothing is swept"))
    assert app.lambda_handler({"check": True}, Context()) == {"reached": met}


@pytest.mark.parametrize(("retries", "counted"), [(5, False), (99, True)])
def test_an_invalid_settings_item_is_counted_each_minute(
    app: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    retries: int,
    counted: bool,
) -> None:
    outside = MemoryTable()
    outside.put(Put(settings_key(), {"version": 1, "values": {"retries": {"*": retries}}}))
    monkeypatch.setattr(table, "DynamoTable", lambda client, name: outside)
    monkeypatch.setattr(app, "maintainer", lambda: Upkeep())
    app.lambda_handler({}, Context())
    assert ('"SettingsInvalid"' in capsys.readouterr().out) == counted


class FakeTester:
    """Self-tests that stand as they are told to; of accounts in `broken` none can be looked at."""

    def __init__(self, test: SelfTest | None = None, broken: str = "") -> None:
        self.test, self.broken = test, broken
        self.asked: list[tuple[str, int]] = []

    def look(self, account: str, period: int) -> SelfTest | None:
        self.asked.append((account, period))
        if account == self.broken:
            raise ConnectionError(account)
        return self.test

    def run(self, account: str) -> SelfTest:
        self.asked.append((account, 0))
        return SelfTest("ab" * 9, 1000)


@pytest.fixture
def tested(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, FakeTester], None]:
    """Turn self-tests on or off."""

    def turn(mode: str, tests: FakeTester) -> None:
        made = SimpleNamespace(**{**vars(app.config()), "self_test": mode})
        monkeypatch.setattr(app, "config", lambda: made)
        monkeypatch.setattr(app, "self_tester", lambda: tests)
        monkeypatch.setattr(app, "maintainer", Upkeep)

    return turn


FAILED = SelfTest("ab" * 9, 1000).ended(Result.FAILED, 2000, "no-receipt")


@pytest.mark.parametrize(("mode", "period"), [("hourly", 3_600_000), ("daily", 86_400_000)])
def test_self_tests_of_all_accounts_are_looked_at_each_minute(
    app: ModuleType, tested: Callable[..., None], mode: str, period: int
) -> None:
    tests = FakeTester()
    tested(mode, tests)
    app.lambda_handler({}, Context())
    assert tests.asked == [("default", period), ("support", period)]


def test_while_they_are_off_none_is_looked_at(app: ModuleType, tested: Callable[..., None]) -> None:
    tests = FakeTester()
    tested("off", tests)
    app.lambda_handler({}, Context())
    assert tests.asked == []


def test_after_a_login_none_is_looked_at(app: ModuleType, tested: Callable[..., None]) -> None:
    tests = FakeTester()
    tested("hourly", tests)
    app.lambda_handler({"resume": "support"}, Context())
    assert tests.asked == []


@pytest.mark.parametrize(("test", "counted"), [(FAILED, [2]), (SelfTest("ab" * 9, 1000), []), (None, [])])
def test_accounts_whose_self_test_failed_are_counted(
    app: ModuleType,
    tested: Callable[..., None],
    test: SelfTest | None,
    counted: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tested("hourly", FakeTester(test))
    app.lambda_handler({}, Context())
    points = datapoints(capsys.readouterr().out)
    assert [point.value for point in points if point.name == "SelfTestFailed"] == counted


def test_a_self_test_that_breaks_takes_no_other_with_it(app: ModuleType, tested: Callable[..., None]) -> None:
    tests = FakeTester(broken="default")
    tested("hourly", tests)
    with pytest.raises(ExceptionGroup) as failure:
        app.lambda_handler({}, Context())
    assert failure.group_contains(ConnectionError, match="default")
    assert [account for account, _ in tests.asked] == ["default", "support"]


def test_one_is_made_by_hand_and_told(app: ModuleType, tested: Callable[..., None]) -> None:
    tests = FakeTester()
    tested("off", tests)
    answer = app.lambda_handler({"self_test": "support"}, Context())
    assert (tests.asked, answer["notification"], answer["result"]) == ([("support", 0)], "ab" * 9, "open")
    assert json.loads(json.dumps(answer)) == answer
