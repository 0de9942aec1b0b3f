"""Whatever goes wrong with a notification is one of five things, and the class decides what happens.

    Failure
    ├── Wait        the account can't send now: parked, no retry spent
    │   └── Unknown  no answer came: parked as well, and settled by what is heard later
    ├── Recover     a session or device list is stale: repaired, sent again at once, spends a retry
    ├── Retry       nobody knows why it failed: again after the audience's delay, spends a retry
    ├── Permanent   it can never arrive: dead letter or suppressed, at once
    └── Bug         unforeseen: the queue delivers again, and its redrive policy is the backstop

Where a failure happened doesn't matter. Code that can fail raises one of these, or something that the
transport translates into one (`multidevice.refusals` for what the connector and WhatsApp's server answer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class Failure(Exception):
    """A named reason why a notification wasn't delivered by this attempt.

    `code` is stable, lower-case and hyphenated: it is stored, counted in metrics and shown to
    operators. `detail` is for people and holds neither keys nor whole phone numbers. `numbers` maps each
    user to the message number that the failed attempt had reserved, `copies` each device to what was made for
    it, as far as it came to that.
    """

    kind: ClassVar[str] = "bug"
    spends_retry: ClassVar[bool] = False

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.numbers: Mapping[str, int] = {}
        self.copies: Mapping[str, str] = {}

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class Wait(Failure):
    """The account can't send now. Park the notification until the cause ends, or until it expires.

    `due_at` (ms) is when to try again; `None` means "when the account is connected again".
    """

    kind = "wait"

    def __init__(self, code: str, detail: str = "", *, due_at: int | None = None) -> None:
        super().__init__(code, detail)
        self.due_at = due_at


OUTCOME_UNKNOWN = "outcome-unknown"


class Unknown(Wait):
    """No answer came, and the same message sent again may be a double: the other side knows no id of ours.

    Parked until `due_at` (ms), no retry spent; what follows to the same person waits behind it. A report
    (`receipts.Receipts`) settles it. If none came until then it is tried again, with this code in
    `Outgoing.earlier`: whether a double is better than silence, the transport says by sending it or by
    `Permanent`. Not for a transport whose repeats fold: that one says `Retry`.
    """

    def __init__(self, detail: str = "", *, due_at: int) -> None:
        super().__init__(OUTCOME_UNKNOWN, detail, due_at=due_at)


class Recover(Failure):
    """A session, an address or a device list is stale. Repair it and send again under the same id.

    Needs no delay: the repair asks for what is missing and has it.
    """

    kind = "recover"
    spends_retry = True


class Retry(Failure):
    """Failed for a reason that may pass by itself. Send again after the audience's delay.

    `not_before` is an additional delay in seconds that the other side asked for.
    """

    kind = "retry"
    spends_retry = True

    def __init__(self, code: str, detail: str = "", *, not_before: int = 0) -> None:
        super().__init__(code, detail)
        self.not_before = not_before


class Permanent(Failure):
    """Can never arrive. Put it into the dead letters with its reason."""

    kind = "permanent"


class Bug(Failure):
    """Unforeseen. Let the queue deliver it again; after its receives it lies in the dead letters."""

    kind = "bug"
