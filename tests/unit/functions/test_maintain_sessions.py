"""The handler of the upkeep: whom it looks after, and that one account's trouble is not another's."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from tests.unit.functions.handlers import Context, load
from tocsin.notify.maintain import Report


class Upkeep:
    """Notes what was asked of it; accounts in `broken` fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[tuple[str, str]] = []

    def sweep(self, account: str, time_left: object) -> Report:
        return self._work("sweep", account)

    def resume(self, account: str, time_left: object) -> Report:
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
    monkeypatch.setattr(module, "config", lambda: SimpleNamespace(accounts=("default", "support")))
    return module


def test_the_schedule_looks_after_every_account(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = Upkeep()
    monkeypatch.setattr(app, "maintainer", lambda: upkeep)
    answer = app.lambda_handler({"source": "aws.scheduler"}, Context())
    assert upkeep.asked == [("sweep", "default"), ("sweep", "support")]
    assert [report["resumed"] for report in answer["accounts"]] == [2, 2]


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
