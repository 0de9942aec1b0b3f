"""What is remembered of recipients: consent, what reached them, how often they needed a recovery, and that a
device of theirs has a new identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.patient_table import PatientTable
from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Absent, Exists, Item, Put, Update
from tocsin.notify.notification import IDENTITY_CHANGED
from tocsin.notify.store.codec import KEPT_SECONDS, present
from tocsin.tables.notifications import (
    conduct_key,
    count_in_hour_key,
    identity_change_key,
    identity_changes_pk,
)
from tocsin.timestamps import to_seconds

_MS_PER_HOUR = 3_600_000

# A second opt-out, or a second confirmation, changes nothing.
NOT_OPTED_OUT = (Absent("opted_out_at"),)
OPTED_OUT = (Exists("opted_out_at"),)
OPTED_OUT_UNCONFIRMED = (Exists("opted_out_at"), Absent("confirmed_at"))


@dataclass(frozen=True)
class Conduct:
    """How to behave towards one recipient of one account.

    `parked`: turns of notifications that were parked and not yet seen to come to an end. `heard_at`: when
    they first wrote to us (ms), of somebody whom no notification had reached before. `lid`: of a number, the
    LID whose own conduct was looked at.
    """

    opted_out_at: int | None = None
    opt_out_word: str | None = None
    confirmed_at: int | None = None
    recoveries: int = 0
    last_notification: str | None = None
    parked: frozenset[str] = frozenset()
    heard_at: int | None = None
    lid: str | None = None


class Recipients:
    """What is kept of recipients. `user` is a bare JID everywhere, `at` is in milliseconds."""

    def __init__(self, table: PatientTable) -> None:
        self._table = table

    def conduct(self, account: str, user: str) -> Conduct:
        return conduct_of_item(self._table.get(conduct_key(account, user)))

    # -- consent -------------------------------------------------------------------------------------------

    def opt_out(self, account: str, user: str, word: str, at: int) -> bool:
        """Remember the opt-out; whether it is news."""
        said: Item = {"opted_out_at": at, "opt_out_word": word}
        return self._change(
            Update(conduct_key(account, user), set=said, remove=("confirmed_at",), when=NOT_OPTED_OUT)
        )

    def confirm_opt_out(self, account: str, user: str, at: int) -> bool:
        """Claim the one confirmation of an opt-out; whether it is still to be said."""
        return self._change(
            Update(conduct_key(account, user), set={"confirmed_at": at}, when=OPTED_OUT_UNCONFIRMED)
        )

    def opt_in(self, account: str, user: str) -> bool:
        """Take an opt-out back; whether there was one."""
        gone = ("opted_out_at", "opt_out_word", "confirmed_at")
        return self._change(Update(conduct_key(account, user), remove=gone, when=OPTED_OUT))

    def adopt_conduct(self, account: str, user: str, lid: str) -> Conduct:
        """What was said under a LID holds for a number (`user`) that turned out to be the same person's: an
        opt-out. Remember that this was looked for; the conduct as it is then."""
        said = self.conduct(account, lid)
        consent = {
            "opted_out_at": said.opted_out_at,
            "opt_out_word": said.opt_out_word,
            "confirmed_at": said.confirmed_at,
        }
        adopted = present(consent) if said.opted_out_at is not None else {}
        update = Update(conduct_key(account, user), set={"lid": lid}, set_first=adopted)
        return conduct_of_item(self._table.update(update))

    def _change(self, update: Update) -> bool:
        try:
            self._table.update(update)
        except ConditionFailed:
            return False
        return True

    # -- what reached them, and what they wrote --------------------------------------------------------------

    def note_delivery(self, account: str, user: str, notification_id: str) -> None:
        """A device of `user` confirmed a notification: a reply without a quote is taken to be about it, and
        the count of recoveries starts again."""
        last: Item = {"last_notification": notification_id}
        self._table.update(Update(conduct_key(account, user), set=last, remove=("recoveries",)))

    def note_heard(self, account: str, user: str, at: int) -> None:
        """`user` wrote to us before any notification reached them: they know us from now on."""
        self._table.update(Update(conduct_key(account, user), set={"heard_at": at}))

    # -- counts --------------------------------------------------------------------------------------------

    def count_recovery(self, account: str, user: str) -> int:
        """One more recovery since the last success; how many."""
        return self._count("recoveries", Update(conduct_key(account, user)))

    def count_recovery_in_hour(self, account: str, user: str, at: int) -> int:
        """One more recovery in the hour of `at`; how many."""
        return self._count_in_hour("recoveries", account, user, at)

    def count_list_question_in_hour(self, account: str, user: str, at: int) -> int:
        """One more question in the hour of `at` whether a device is one of `user`'s; how many."""
        return self._count_in_hour("questions", account, user, at)

    def count_phone_question_in_hour(self, account: str, user: str, at: int) -> int:
        """One more question in the hour of `at` whether `user` has another phone by now; how many."""
        return self._count_in_hour("phones", account, user, at)

    def count_guess_in_hour(self, account: str, user: str, at: int) -> int:
        """One more thing in the hour of `at` that `user` asked for and wasn't sent; how many."""
        return self._count_in_hour("guesses", account, user, at)

    def guesses_in_hour(self, account: str, user: str, at: int) -> int:
        """How many there were in the hour of `at`."""
        return self._counted_in_hour("guesses", account, user, at)

    def recoveries_in_hour(self, account: str, user: str, at: int) -> int:
        """How many recoveries there were in the hour of `at`."""
        return self._counted_in_hour("recoveries", account, user, at)

    def _counted_in_hour(self, what: str, account: str, user: str, at: int) -> int:
        item = self._table.get(count_in_hour_key(account, user, what, at // _MS_PER_HOUR)) or {}
        counted = item.get(what, 0)
        return counted if isinstance(counted, int) else 0

    def _count_in_hour(self, what: str, account: str, user: str, at: int) -> int:
        """Each hour has an item of its own, which expires two days later."""
        hour = at // _MS_PER_HOUR
        expiry: Item = {"expire_at": (hour + 48) * 3600}
        return self._count(what, Update(count_in_hour_key(account, user, what, hour), set=expiry))

    def _count(self, what: str, update: Update) -> int:
        counted = self._table.update(update._replace(add={what: 1}))[what]
        assert isinstance(counted, int)  # noqa: S101  it was just added to
        return counted

    # -- identities ----------------------------------------------------------------------------------------

    def put_identity_change(
        self, account: str, user: str, device: int, change: Mapping[str, Any], fingerprint: str, at: int
    ) -> bool:
        """Keep that a device of `user` has a new identity, and tell the world; whether it is news.

        Told again within the hour, it is the same news. `change`: what the event shall say; `fingerprint`: of
        the new identity.
        """
        kept = {
            **change,
            "account": account,
            "user": user,
            "device": device,
            "changed_at": at,
            "outcome": IDENTITY_CHANGED,
            "outcome_at": at,
            "expire_at": to_seconds(at) + KEPT_SECONDS,
        }
        key = identity_change_key(account, user, device, fingerprint, at)
        try:
            self._table.put(Put(key, present(kept), when=(ITEM_ABSENT,)))
        except ConditionFailed:
            return False
        return True

    def identity_changes(self, account: str, user: str) -> list[dict[str, Any]]:
        """The kept changes of identity of `user`, oldest first."""
        found: list[dict[str, Any]] = [
            dict(item) for item in self._table.query(identity_changes_pk(account, user))
        ]
        return sorted(found, key=lambda values: values["changed_at"])


def conduct_of_item(item: Item | None) -> Conduct:
    """The conduct that an item holds, the usual one where there is none."""
    values: Mapping[str, Any] = item or {}
    return Conduct(
        opted_out_at=values.get("opted_out_at"),
        opt_out_word=values.get("opt_out_word"),
        confirmed_at=values.get("confirmed_at"),
        recoveries=values.get("recoveries", 0),
        last_notification=values.get("last_notification"),
        parked=values.get("parked", frozenset()),
        heard_at=values.get("heard_at"),
        lid=values.get("lid"),
    )
