"""Each minute and after each login: resumes what waits, expires what is over, asks after missing receipts.

Each hour (`{"upkeep": true}`): the accounts' keys, and a part of the daily round through all sessions, which
`{"upkeep": true, "force": true}` begins at once.
`tocsin doctor` asks what is reached from here (`{"check": true}`), `tocsin self-test` has an account write to
its own chat (`{"self_test": account}`). With the parameter SelfTest that is done here, when it is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.bootstrap import maintain_sessions as bootstrap
from tocsin.notify.config import MaintainConfig
from tocsin.notify.parking import Maintainer, Report
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from tocsin.multidevice.key_maintenance import KeyMaintenance, Run
    from tocsin.notify.self_tester import SelfTester
    from tocsin.settings.reader import SettingsReader

telemetry = Telemetry()
logger = telemetry.logger

METRICS = {
    "resumed": "NotificationsResumed",
    "expired": "NotificationsExpired",
    "overdue": "NotificationsOverdue",
    "waiting": "NotificationsWaiting",
    "mismatched": "ParkedMismatched",
}
SESSION_METRICS = {
    "pruned": "SessionsPruned",
    "rested": "SessionsRested",
    "lists": "SessionsLists",
    "orphans": "SessionsOrphans",
}


kept: set[str] = set()


SWEEP_SECONDS: Final = 60.0
"""A run of each minute begins nothing that could reach into the next minute's."""


@cache
def config() -> MaintainConfig:
    return MaintainConfig.read()


@cache
def maintainer() -> Maintainer:
    return bootstrap.maintainer(config())


@cache
def upkeep() -> KeyMaintenance:
    return bootstrap.key_maintenance(config())


@cache
def self_tester() -> SelfTester:
    return bootstrap.self_tester(config())


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One account after the other; the failure of one is raised only after all had their turn."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if event.get("check"):
        return {"reached": bootstrap.reached()}
    if event.get("self_test"):
        return asdict(self_tester().run(str(event["self_test"])))
    if event.get("upkeep"):
        run = upkeep().run(accounts(), time_left, force=bool(event.get("force")))
        return report_run(run)
    return looked_after(event.get("resume"), time_left)


def accounts() -> tuple[str, ...]:
    """All that are served now, those that were added since the deployment included."""
    return bootstrap.served_accounts(config())


def looked_after(asked: str | None, time_left: Callable[[], float]) -> dict[str, Any]:
    """What waits, of one account after its login or of all: each minute another one first, so that one with
    much to do doesn't take every other's turn."""
    if asked is None:
        work, whose = maintainer().sweep, rotated(accounts(), int(time.time() // SWEEP_SECONDS))
        time_left = within(SWEEP_SECONDS, time_left)
    else:
        work, whose = maintainer().resume, (asked,)
    reports, failures = [], []
    for account in whose:
        try:
            reports.append(work(account, time_left))
        except Exception as exc:
            logger.exception("upkeep failed", account=account)
            failures.append(exc)
    if asked is None:
        keep(reports)
        failures += erase_words(time_left)
    tell(reports, failures)
    tell_settings()
    if asked is None:
        tell_disconnected(whose)
        failures += look_at_self_tests(whose)
    if failures:
        raise ExceptionGroup("upkeep failed", failures)
    return {"accounts": [asdict(report) for report in reports]}


def erase_words(time_left: Callable[[], float]) -> list[Exception]:
    """Erase the words of sensitive messages that are too late. Return what failed."""
    try:
        erased = maintainer().erase_due_words(time_left)
    except Exception as exc:
        logger.exception("sensitive words were not erased")
        return [exc]
    if erased:
        logger.info("sensitive words erased", messages=erased)
    return []


def keep(reports: list[Report]) -> None:
    """What is in use is served even if a later deployment names it no more. Asked once in a container."""
    in_use = {report.account for report in reports if report.in_use} - kept
    if in_use:
        for account in bootstrap.keep_accounts(config(), in_use):
            logger.info("account kept", account=account)
        kept.update(in_use)


@cache
def settings() -> SettingsReader:
    return bootstrap.settings_reader(config().stores)


def tell_settings() -> None:
    """Count an invalid settings item for the alarm: each minute, here and nowhere else."""
    settings()()
    telemetry.count("SettingsInvalid", int(bool(settings().problems)))


def look_at_self_tests(whose: tuple[str, ...]) -> list[Exception]:
    """Judge the self-test of each account, and ask for the next one where that is due. Return what failed.

    A failure is told each minute until one arrives, so that its alarm lasts as long as the trouble.
    """
    if config().self_test == "off":
        return []
    from tocsin.notify.self_test import PERIODS_MS, Result

    failing, failures = 0, []
    for account in whose:
        try:
            test = self_tester().look(account, PERIODS_MS[config().self_test])
        except Exception as exc:
            logger.exception("self-test failed by itself", account=account)
            failures.append(exc)
            continue
        if test is not None and test.failing:
            failing += 1
            if test.result is Result.FAILED:
                logger.warning("self-test failed", account=account, cause=test.cause, test=test.notification)
    telemetry.count("SelfTestFailed", failing)
    return failures


def tell_disconnected(whose: tuple[str, ...]) -> None:
    """Count the accounts without a connection for the alarm, which hears of a connector that is gone this
    way, too. That this function isn't called shows in Lambda's own metrics."""
    away = bootstrap.disconnected_accounts(config(), whose)
    telemetry.count("AccountsDisconnected", len(away))
    if away:
        logger.warning("accounts disconnected", accounts=away)


def rotated(whose: tuple[str, ...], turn: int) -> tuple[str, ...]:
    first = turn % max(len(whose), 1)
    return whose[first:] + whose[:first]


def within(seconds: float, time_left: Callable[[], float]) -> Callable[[], float]:
    """Return what is left of `seconds` from now, and of `time_left`."""
    begun_with = time_left()
    return lambda: min(time_left(), time_left() - begun_with + seconds)


def tell(reports: list[Report], failures: list[Exception]) -> None:
    telemetry.count("UpkeepFailures", len(failures))
    for field, name in METRICS.items():
        telemetry.count(name, sum(getattr(report, field) for report in reports))
    for report in reports:
        if report != Report(report.account):
            logger.info("upkeep", **asdict(report))


def report_run(run: Run) -> dict[str, Any]:
    """The run as log lines, metrics and answer. Raises what failed."""
    answer: dict[str, Any] = {
        "accounts": [asdict(report) for report in run.accounts],
        "pages": run.pages,
        "read_units": run.read_units,
        "complete": run.complete,
        "failures": len(run.failures),
    }
    counts: dict[str, float] = {
        "UpkeepFailures": len(run.failures),
        "UpkeepTroubles": sum(len(report.troubles) for report in run.accounts),
        "SessionsRenewed": sum(sum(report.renewed.values()) for report in run.accounts),
        "KeysSetBack": sum(report.set_back for report in run.accounts),
        "SignedPreKeysRotated": sum(report.rotated > 0 for report in run.accounts),
        "PreKeysUploaded": sum(report.uploaded for report in run.accounts),
        "DamagedRecords": sum(report.damaged for report in run.accounts),
    }
    for field, name in SESSION_METRICS.items():
        counts[name] = sum(getattr(report, field) for report in run.accounts)
    for name, count in counts.items():
        telemetry.count(name, count)
    logger.info("upkeep of keys", **answer)
    if run.failures:
        raise ExceptionGroup("upkeep failed", run.failures)
    return answer
