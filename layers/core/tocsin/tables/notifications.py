"""Where things lie in the notifications table: the one place that spells its keys and its indexes.

| pk                 | sk                   | holds                                                        |
| ------------------ | -------------------- | ------------------------------------------------------------ |
| `notification#N`   | `state`              | the notification                                             |
| `waiting#A`        | `planned_at#N`       | a parked one: cause, due time, expiry, tag                   |
| `recipient#A#U`    | `conduct`            | a person: names, opt-out, parked ones; or whose name U is    |
| `recipient#A#U`    | `recoveries#H`       | sessions that broke and were replaced in hour H              |
| `recipient#A#U`    | `questions#H`        | questions for their device list in hour H                    |
| `recipient#A#U`    | `phones#H`           | questions whether they have another phone, in hour H         |
| `recipient#A#U`    | `guesses#H`          | messages that they asked for and weren't sent, in hour H     |
| `recipient#A#`     | `numbers#H`          | questions whose a number is that a stanza names, in hour H   |
| `recipient#A#U`    | `unreadable#H`       | questions for what we can't read of theirs, in hour H        |
| `reply#A#U`        | message id           | what a recipient answered                                    |
| `thread#A#U`       | ticket id            | the first and the last message to them about a ticket        |
| `identity#A#U`     | `D#key#H`            | device D of theirs got a new identity, in hour H             |
| `recoveries#A#DAY` | `theirs#N#device`    | their device couldn't read our notification N                |
| `recoveries#A#DAY` | `ours#hash#device`   | we couldn't read a message of theirs                         |
| `forgotten#A`      | `key`                | the key of the hashes below, sealed                          |
| `forgotten#A#H`    | `opt-out`            | somebody who was erased had opted out; H: hash of their name |
| `accounts`         | A                    | an account that no parameter names                           |
| `generation#A`     | `witness`            | how far the account's keys had got                           |
| `ids`              | `secret`             | what ids of notifications are made with                      |
| `settings`         | `current`            | the settings that differ from their defaults                 |
| `settings`         | `version#V`          | the same, as version V was written                           |
| `watched#A`        | `progress`           | until when each part of the index `watch` was looked through |
| `hooks`            | H                    | an endpoint of outcome webhooks: state, health; sealed: URL  |
| `hook#H`           | `delivery#AT-NAME`   | an outcome for it: attempts, when it is due; sealed its body |
| `hook#H`           | `lane#L`             | which of its deliveries about one ticket wait                |
| `sensitive#N`      | `erase`              | when the words of a sensitive notification are erased        |
| `self-test#A`      | `last`               | the last self-test of an account, and what came of it        |
| `sources`          | S                    | who may put events in by HTTP, and whom they may reach       |
| `source-use`       | S                    | how often a source was heard and refused, and when           |
| `hours#A`          | H                    | how many were sent, delivered … in hour H                    |
| `texts`            | `current`            | texts that an operator wrote while the stack runs            |
| `texts`            | `version#V`          | the same, as version V was written                           |
| `audit`            | `at#tag`             | what an operator changed, when, of how many, and of which    |

`sealed` holds what people wrote, of a notification and of a reply (`notify/store/texts.py`): whoever takes it
away erases their words and nothing else.

A is an account, U a bare JID, N a notification's id, S the name of a source. H counts hours since 1970, DAY
is a date (UTC).

`expire_at` (seconds) is the table's time to live. `watching` and `watch_due` (milliseconds) are the keys of
the index `watch`: under `A#0` to `A#3` what was sent, by when its receipt is due; under `A#replies` what
somebody wrote and we couldn't read yet; under `#sensitive` whose words are to be erased; under `hook#H`
which deliveries of an endpoint are due. Release 0.1.0 wrote what was sent under A alone. `ticket_id` is the
key of the index `ticket`: whatever belongs to a ticket, or to a request for a message (`message:SOURCE:KEY`).

What ended without being sent stands in `watch` under `#ended`, by when: so the index holds, in order of time,
all that got past the queue, which is what the operator's feed reads.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from tocsin.dynamo.writes import Index, Key

WATCH = Index("watch", "watching", "watch_due")
TICKET = Index("ticket", "ticket_id")

WATCH_PARTS = 4
"""Partitions of an account's notifications in the index `watch`. Each takes 1,000 a second, as much as the
account's own counter."""

WATCH_ENDED = "#ended"
"""The partition of the index `watch` of what ended without being sent, of all accounts: few do."""

ROSTER = "accounts"
SETTINGS = "settings"
SOURCES = "sources"
SOURCE_USE = "source-use"
AUDIT = "audit"
TEXTS = "texts"
_NOTIFICATION = "notification#"
_MS_PER_HOUR = 3_600_000


def notification_key(notification_id: str) -> Key:
    return f"{_NOTIFICATION}{notification_id}", "state"


def notification_of(key: Key) -> str | None:
    """The notification whose key it is; None for other items."""
    pk, _ = key
    return pk.removeprefix(_NOTIFICATION) if pk.startswith(_NOTIFICATION) else None


def watch_part(account: str, notification_id: str) -> str:
    """The partition of a sent notification in the index `watch`."""
    return f"{account}#{int(notification_id[-4:], 16) % WATCH_PARTS}"


def watch_parts(account: str) -> list[str]:
    return [f"{account}#{part}" for part in range(WATCH_PARTS)]


def watch_progress_key(account: str) -> Key:
    return f"watched#{account}", "progress"


def self_test_key(account: str) -> Key:
    return f"self-test#{account}", "last"


def hours_pk(account: str) -> str:
    return f"hours#{account}"


def hour_key(account: str, at: int) -> Key:
    """`at`: ms. Six digits hold hours until the year 2084, so text order is the order of time."""
    return hours_pk(account), f"{at // _MS_PER_HOUR:06d}"


def audit_key(at: int, tag: str) -> Key:
    """`at`: ms."""
    return AUDIT, f"{at:013d}#{tag}"


HOOKS = "hooks"


def hook_key(hook: str) -> Key:
    return HOOKS, hook


def delivery_key(hook: str, turn: str = "") -> Key:
    """Without `turn`: where they begin, in the order of their outcomes."""
    return f"hook#{hook}", f"delivery#{turn}"


def lane_key(hook: str, lane: str) -> Key:
    return f"hook#{hook}", f"lane#{lane}"


def hook_watch_part(hook: str) -> str:
    """In the index `watch`. Parts of an account are numbers and words, which no hook is called."""
    return f"hook#{hook}"


SENSITIVE_PART = "#sensitive"
"""In the index `watch`. No account has such a name."""

_SENSITIVE = "sensitive#"


def sensitive_key(notification_id: str) -> Key:
    return f"{_SENSITIVE}{notification_id}", "erase"


def sensitive_of(key: Key) -> str | None:
    """The notification whose note it is; None for other items."""
    pk, _ = key
    return pk.removeprefix(_SENSITIVE) if pk.startswith(_SENSITIVE) else None


def waiting_key(account: str, turn: str = "") -> Key:
    return f"waiting#{account}", turn


def person_key(account: str, name: str) -> Key:
    """Where the record of a person lies, or the pointer to it. The sort key is as old as the table."""
    return f"recipient#{account}#{name}", "conduct"


def count_in_hour_key(account: str, user: str, what: str, hour: int) -> Key:
    """`what`: `recoveries`, `questions`, `phones`, `guesses`, `numbers` or `unreadable`."""
    return f"recipient#{account}#{user}", f"{what}#{hour}"


def reply_key(account: str, user: str, message_id: str = "") -> Key:
    return f"reply#{account}#{user}", message_id


def thread_key(account: str, user: str, ticket_id: str) -> Key:
    return f"thread#{account}#{user}", ticket_id


def identity_change_key(account: str, user: str, device: int, fingerprint: str, at: int) -> Key:
    """`at`: ms. One item an hour: told again within it, it is the same news."""
    return identity_changes_pk(account, user), f"{device}#{fingerprint}#{at // _MS_PER_HOUR}"


def identity_changes_pk(account: str, user: str) -> str:
    return f"identity#{account}#{user}"


def recoveries_pk(account: str, at: int) -> str:
    """`at`: ms; all that began on one day share a partition."""
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return f"recoveries#{account}#{day:%Y-%m-%d}"


def recovery_sk(side: str, about: str, device: str = "") -> str:
    """`side`: `theirs` (`about` a notification) or `ours` (`about` a stanza id)."""
    return f"{side}#{about}#{device}"


def stanza_name(stanza_id: str) -> str:
    """What stands for a stanza id in a sort key: it comes from outside and may hold anything."""
    return hashlib.sha256(stanza_id.encode()).hexdigest()[:18]


def forgotten_names_key(account: str) -> Key:
    """Where the key lies under which names of erased people are hashed."""
    return f"forgotten#{account}", "key"


def forgotten_key(account: str, digest: str) -> Key:
    """`digest`: of a name of theirs."""
    return f"forgotten#{account}#{digest}", "opt-out"


def ids_secret_key() -> Key:
    return "ids", "secret"


def texts_key() -> Key:
    return TEXTS, "current"


def texts_version_key(version: int | None = None) -> Key:
    """None: where the versions begin, in the order of their numbers."""
    return TEXTS, "version#" if version is None else f"version#{version:08d}"


def settings_key() -> Key:
    return SETTINGS, "current"


def settings_version_key(version: int | None = None) -> Key:
    """None: where the versions begin, in the order of their numbers."""
    return SETTINGS, "version#" if version is None else f"version#{version:08d}"


def source_key(source: str) -> Key:
    """All in one partition: an operator lists them with one query."""
    return SOURCES, source


def source_use_key(source: str) -> Key:
    """Apart from the source itself, which the door may only read."""
    return SOURCE_USE, source


def roster_key(account: str) -> Key:
    return ROSTER, account


def high_water_mark_key(account: str) -> Key:
    """What must not be restored together with the keys."""
    return f"generation#{account}", "witness"
