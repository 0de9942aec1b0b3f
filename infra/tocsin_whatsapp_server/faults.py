"""What is broken on purpose. The table names every fault of the server; phones have theirs in `phone`.

A fault is aimed at an account (by number), maybe at one of its devices, maybe at messages to one number, and
lasts for `n` occurrences or until it is cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from tocsin_whatsapp_server.account_health import NEWS
from tocsin_whatsapp_server.passkey_gate import FAULTS as PASSKEY_FAULTS


class InvalidFault(ValueError):
    """The fault can't be injected as described; the text says what is missing or wrong."""


@dataclass(frozen=True)
class Kind:
    """`defaults`: its parameters; one whose default is its type must be given. `at_once`: happens now and is
    over, instead of lying in wait. `meaning`: shown by GET /faults."""

    meaning: str
    defaults: Mapping[str, Any]
    at_once: bool = False


SPOILT_BUNDLES = ("error", "signature", "low-order", "unvouched", "foreign")

KINDS: dict[str, Kind] = {
    "drop": Kind("cut the connections, as a failing network would", {}, at_once=True),
    "drop-linking": Kind("cut the connections of all clients that wait to be linked", {}, at_once=True),
    "stream-error": Kind(
        "send <stream:error> and close: code 503, 515, 500 …, or conflict replaced or device_removed",
        {"code": 0, "conflict": "", "text": ""},
        at_once=True,
    ),
    "drain-prekeys": Kind("throw away the one-time prekeys and tell the device", {}, at_once=True),
    "ask-prekeys": Kind(
        "ask the device for one-time prekeys, as if so many were left, whatever is true",
        {"count": int},
        at_once=True,
    ),
    "prekey-count": Kind(
        "say at the next n questions that so many one-time prekeys are left, whatever is true",
        {"count": int, "n": 1},
    ),
    "endless-queue": Kind(
        "don't say at the next n logins that what waited for the device is delivered", {"n": 1}
    ),
    "trickle": Kind("send the device one more stanza as of the queue of its absence", {}, at_once=True),
    "reachout-lock": Kind(
        "lock the account for first contacts, for so many seconds, 0: free it; type: WhatsApp's word for it;"
        " end: say until when; told: in a notification, too; enforced: refuse first contacts (463)",
        {"seconds": 0, "type": "", "end": True, "told": True, "enforced": False},
        at_once=True,
    ),
    "new-chats": Kind(
        "set the account's quota of new chats; status: NONE, FIRST_WARNING, SECOND_WARNING or CAPPED;"
        " seconds: until the cycle ends; told: in a notification, too; enforced: refuse first contacts (475)"
        " if CAPPED",
        {"used": 0, "total": 30, "status": "NONE", "seconds": 86400, "told": True, "enforced": True},
        at_once=True,
    ),
    "cold": Kind(
        "refuse what the account writes to this number (to) with 463 until that person writes to it, or the"
        " owner to them; cured: from now on not any more",
        {"cured": False},
        at_once=True,
    ),
    "account-news": Kind(
        "tell the device of a security challenge, of complaints, or of something unknown, beside its lock and"
        " quota in one stanza; what: challenge, complaints, unknown",
        {"what": str},
        at_once=True,
    ),
    "mex-errors": Kind("answer the next n questions about the account with errors", {"n": 1}),
    "passkey": Kind("ask the next n clients to be linked for the account's passkey first", {"n": 1}),
    "passkey-fault": Kind(
        "let one thing go wrong in the next n passkey ceremonies; what: one of those of the README",
        {"what": str, "n": 1},
    ),
    "pile-up": Kind(
        "put n notifications into the mailboxes, of so many senders, as after days of absence",
        {"n": int, "senders": 10},
        at_once=True,
    ),
    "duplicate": Kind("send each of the next n stanzas to the device twice", {"n": 1}),
    "reorder": Kind(
        "hold messages and receipts to the device back until so many wait, then send the last one first",
        {"size": 2, "n": 2},
    ),
    "delay": Kind("hold back everything to the device by so many seconds", {"seconds": float}),
    "forge-certificate": Kind("answer the next n handshakes with a certificate that nobody signed", {"n": 1}),
    "spoil-handshake": Kind("answer the next n handshakes with bytes that no key opens", {"n": 1}),
    "forge-pairing": Kind(
        "vouch for the next n clients to be linked with a wrong hmac, signature or key", {"what": str, "n": 1}
    ),
    "say": Kind(
        "send the device this very frame, whatever it is: its plaintext, flag byte first, in base64; not"
        " sealed: as it is, so that no key opens it",
        {"plain": str, "sealed": True},
        at_once=True,
    ),
    "want-token": Kind(
        "refuse messages (463) that show neither the recipient's privacy token nor a contact secret", {}
    ),
    "unavailable": Kind("hand the next n messages to the device without a copy for it", {"n": 1}),
    "ack-error": Kind("refuse the next n messages with this error code", {"code": int, "n": 1}),
    "bundle": Kind(
        "hand out the next n key bundles of the device with something wrong: error (there is none),"
        " signature (of the signed prekey), low-order (a key that makes every secret zero), unvouched"
        " (without the phone's word for a companion), foreign (with that of another phone)",
        {"what": str, "n": 1},
    ),
    "phash": Kind("tell the sender of the next n messages that its list of devices isn't ours", {"n": 1}),
    "refresh-lid": Kind("tell the sender of the next n messages that the LID it used is outdated", {"n": 1}),
    "lose-acks": Kind("deliver the next n messages and say nothing to their sender", {"n": 1, "drop": False}),
    "lose-messages": Kind("neither deliver nor acknowledge the next n messages", {"n": 1, "drop": False}),
    "iq-error": Kind("answer the next n requests with an error", {"code": int, "n": 1, "xmlns": ""}),
    "iq-silence": Kind("leave the next n requests unanswered", {"n": 1, "xmlns": ""}),
    "login-failure": Kind(
        "refuse the next n logins with <failure>; violation, appeal (a token), message, url: said along",
        {"reason": int, "n": 1, "expire": 0, "violation": "", "appeal": "", "message": "", "url": ""},
    ),
    "upload-error": Kind("refuse the next n uploads of files with this HTTP status", {"code": int, "n": 1}),
    "upload-slow": Kind("answer the next n uploads after so many seconds", {"seconds": float, "n": 1}),
    "download-error": Kind(
        "refuse the next n downloads of files with this HTTP status: 404 or 410 when they are gone",
        {"code": int, "n": 1},
    ),
    "deaf": Kind(
        "keep the socket open and answer nothing at all; cured: a fresh socket is heard", {"cured": False}
    ),
}


@dataclass(frozen=True)
class Aim:
    """Who is meant. None means everybody. `to` is the number of a message's recipient."""

    account: str | None = None
    device: int | None = None
    to: str | None = None

    def meets(self, account: str, device: int, to: str | None = None) -> bool:
        return (
            self.account in (None, account)
            and self.device in (None, device)
            and (self.to is None or self.to == to)
        )


@dataclass
class Fault:
    """`left`: how many more times; None while it lasts until cleared."""

    id: int
    kind: str
    aim: Aim
    params: Mapping[str, Any]
    left: int | None

    def as_json(self) -> dict[str, Any]:
        aim = {"account": self.aim.account, "device": self.aim.device, "to": self.aim.to}
        named = {name: value for name, value in aim.items() if value is not None}
        return {"id": self.id, "kind": self.kind, **named, **self.params, "left": self.left}


class Faults:
    """The faults lying in wait, oldest first. `digits` turns a number as it was given into the account's."""

    def __init__(self, digits: Callable[[str], str] = lambda text: text.lstrip("+")) -> None:
        self._digits = digits
        self._ids = count(1)
        self._waiting: list[Fault] = []

    def make(self, description: Mapping[str, Any]) -> Fault:
        """Check a description such as {"kind": "ack-error", "code": 463, "n": 2} and make the fault of it.
        It lies in wait from now on, unless its kind happens at once. Raises InvalidFault."""
        given = dict(description)
        name = given.pop("kind", None)
        kind = KINDS.get(name) if isinstance(name, str) else None
        if kind is None or not isinstance(name, str):
            raise InvalidFault(f"unknown kind {name!r}; known: {', '.join(KINDS)}")
        aim = self._aim(given)
        params = _parameters(name, kind, given)
        left = params["n"] if kind.at_once and "n" in params else params.pop("n", None)
        if left is not None and left < 1:
            raise InvalidFault(f"{name}: n must be 1 or more")
        if min(params.get("size", 1), params.get("senders", 1)) < 1:
            raise InvalidFault(f"{name}: size and senders must be 1 or more")
        if name == "passkey-fault" and params["what"] not in PASSKEY_FAULTS:
            raise InvalidFault(f"passkey-fault: what must be one of {', '.join(PASSKEY_FAULTS)}")
        if name == "account-news" and params["what"] not in NEWS:
            raise InvalidFault(f"account-news: what must be one of {', '.join(NEWS)}")
        if name == "cold" and aim.to is None:
            raise InvalidFault("cold needs to: the number of who must write first")
        if name == "bundle" and params["what"] not in SPOILT_BUNDLES:
            raise InvalidFault(f"bundle: what must be one of {', '.join(SPOILT_BUNDLES)}")
        if name == "stream-error" and not (params["code"] or params["conflict"] or params["text"]):
            raise InvalidFault("stream-error needs code, conflict or text")
        fault = Fault(next(self._ids), name, aim, params, left)
        if not kind.at_once:
            self._waiting.append(fault)
        return fault

    def _aim(self, given: dict[str, Any]) -> Aim:
        account, device, to = (given.pop(key, None) for key in ("account", "device", "to"))
        account = given.pop("number", None) or account
        if device is not None and not isinstance(device, int):
            raise InvalidFault("device is a number: 0 the phone, 1 the first companion")
        return Aim(
            None if account is None else self._digits(str(account)),
            device,
            None if to is None else self._digits(str(to)),
        )

    def take(
        self, kind: str, account: str, device: int, *, to: str | None = None, xmlns: str | None = None
    ) -> Fault | None:
        """The first waiting fault that applies, counted down; None if nothing is to go wrong."""
        for fault in self._waiting:
            wanted = fault.params.get("xmlns") or xmlns
            if fault.kind != kind or not fault.aim.meets(account, device, to) or wanted != xmlns:
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left == 0:
                    self._waiting.remove(fault)
            return fault
        return None

    def freshly_connected(self, account: str, device: int) -> None:
        """What a fresh socket cures is over."""
        self._waiting = [
            fault
            for fault in self._waiting
            if not (fault.params.get("cured") and fault.aim.meets(account, device))
        ]

    def waiting(self) -> tuple[Fault, ...]:
        return tuple(self._waiting)

    def clear(self, fault_id: int | None = None) -> int:
        """Remove one fault or all; how many were removed."""
        kept = [fault for fault in self._waiting if fault_id is not None and fault.id != fault_id]
        removed = len(self._waiting) - len(kept)
        self._waiting = kept
        return removed


def _parameters(name: str, kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(given) - set(kind.defaults)
    if unknown:
        known = ", ".join(("account", "device", "to", *kind.defaults))
        raise InvalidFault(f"{name} has no {', '.join(sorted(unknown))}; it takes {known}")
    params = {}
    for key, default in kind.defaults.items():
        required = isinstance(default, type)
        wanted = default if required else type(default)
        if required and key not in given:
            raise InvalidFault(f"{name} needs {key}")
        value = given.get(key, default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise InvalidFault(f"{name}: {key} must be {wanted.__name__}, not {value!r}")
        params[key] = value
    return params
