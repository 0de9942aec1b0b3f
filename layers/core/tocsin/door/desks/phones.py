"""A second request to the help desk, for phones that its webhook doesn't tell (GLPI, FreeScout, Splynx).

    webhook ─▶ ids of people ─▶ token (OAuth, remembered) ─▶ each person ─▶ phone (remembered for a minute)

Only to the address that the operator gave, never to one that a webhook names. The help desk waits for our
answer meanwhile (GLPI: 5 s), so all of it is bound to `TOTAL_SECONDS`; who isn't found by then is told of as
somebody without a phone, which `tocsin explain` shows.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from tocsin.door.desks.expressions import found
from tocsin.guarded_http import PUBLIC, Answer, Policy, Unreachable, UrlRefused, request
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import source_key

if TYPE_CHECKING:
    from tocsin.door.desks.kind import Kind, Lookup
    from tocsin.door.sources import Source
    from tocsin.dynamo.writes import Key

log = logging.getLogger(__name__)

TOTAL_SECONDS: Final = 2.5
REQUEST_SECONDS: Final = 1.5
MAX_PEOPLE: Final = 10
MAX_ANSWER_BYTES: Final = 256 * 1024
FRESH_SECONDS: Final = 60.0
MAX_TOKEN_SECONDS: Final = 300.0
MAX_LIFE_SECONDS: Final = 86_400
MAX_REMEMBERED: Final = 1000

CLIENT: Final = "client"
"""The attribute of a source's record, sealed: what `Client` holds."""

_ID = re.compile(r"(?![.]+\Z)[A-Za-z0-9._@:-]{1,64}")


class Vault(Protocol):
    """What opens sealed words, as `notify.store.texts.Texts` does."""

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]: ...


class NoAnswer(Exception):
    """The help desk tells no phone; `why` is for the log and quotes nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Client:
    """How the help desk is asked. `url`: where it lies; `id`, `secret`: of an OAuth client, or user and
    password of Basic; `user`, `password`: whom OAuth's password grant is for; `key`: of the help desk's
    API."""

    url: str
    id: str = ""
    secret: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


FIELDS: Final = frozenset({"url", "id", "secret", "user", "password", "key"})


def client_findings(told: Any, lookup: Lookup | None) -> list[str]:
    """What is wrong with the file of a client. `lookup`: of the source's kind."""
    if lookup is None:
        return ["client: help desks of this kind aren't asked for phones"]
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        return ["client: is not a JSON object of texts"]
    findings = [
        f"client: has no {name[:40]}; it has {', '.join(sorted(FIELDS))}" for name in set(told) - FIELDS
    ]
    needed = ["url"] + (["key"] if lookup.key_header else ["id", "secret"])
    findings += [f"client.{name}: is missing" for name in needed if not told.get(name)]
    try:
        from tocsin.guarded_http import checked

        checked(str(told.get("url", "")))
    except UrlRefused as refused:
        findings.append(f"client.url: {refused.why}")
    return findings


class AskedPhones:
    """`vault`: opens the clients of sources; `ask`: makes a request, as `guarded_http.request`. For one
    thread."""

    def __init__(
        self,
        vault: Vault,
        *,
        policy: Policy = PUBLIC,
        ask: Callable[..., Answer] = request,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._policy = policy
        self._ask = ask
        self._clock = clock
        self._phones: dict[tuple[str, str], tuple[float, str]] = {}
        self._tokens: dict[bytes, tuple[float, str]] = {}

    def __call__(self, source: Source, kind: Kind, ids: Sequence[str]) -> Mapping[str, str]:
        """The phones of these ids, as far as the help desk tells them in time. Never raises for what it
        says."""
        if kind.lookup is None or not source.client:
            return {}
        deadline = self._clock() + TOTAL_SECONDS
        phones: dict[str, str] = {}
        for one in ids[:MAX_PEOPLE]:
            try:
                phone = self._phone(source, kind.lookup, one, deadline)
            except NoAnswer as error:
                log.warning("a help desk tells no phone", extra={"source": source.name, "why": error.why})
                if error.why in ("timeout", "token"):
                    break
                continue
            if phone:
                phones[one] = phone
        return phones

    def _phone(self, source: Source, lookup: Lookup, identity: str, deadline: float) -> str:
        at, known = self._phones.get((source.name, identity), (0.0, ""))
        if known and self._clock() < at:
            return known
        if not _ID.fullmatch(identity):
            raise NoAnswer("the id has an odd form")
        client = self._client(source)
        headers = self._authorised(source, client, lookup, deadline)
        path = lookup.path.replace("{id}", quote(identity, safe=""))
        document = self._document("GET", client.url.rstrip("/") + path, headers, None, deadline)
        phone = next((one for one in (_text(found(at, document)) for at in lookup.phone) if one), "")
        if len(self._phones) >= MAX_REMEMBERED:
            self._phones.clear()
        self._phones[source.name, identity] = (self._clock() + FRESH_SECONDS, phone)
        return phone

    def _client(self, source: Source) -> Client:
        """Raises NoAnswer."""
        try:
            return Client(**self._vault.open(source.client, source_key(source.name), CLIENT))
        except (TextWithheld, TypeError):
            raise NoAnswer("the client can't be opened") from None

    def _authorised(
        self, source: Source, client: Client, lookup: Lookup, deadline: float
    ) -> Mapping[str, str]:
        if lookup.key_header:
            return {lookup.key_header: client.key}
        if lookup.token_path:
            return {"Authorization": f"Bearer {self._token(source, client, lookup, deadline)}"}
        basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}

    def _token(self, source: Source, client: Client, lookup: Lookup, deadline: float) -> str:
        until, known = self._tokens.get(source.client, (0.0, ""))
        if known and self._clock() < until:
            return known
        grant = {"grant_type": "client_credentials"}
        if client.user:
            grant = {"grant_type": "password", "username": client.user, "password": client.password}
        told = {**grant, "client_id": client.id, "client_secret": client.secret}
        if lookup.scope:
            told["scope"] = lookup.scope
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            document = self._document(
                "POST", client.url.rstrip("/") + lookup.token_path, form, urlencode(told).encode(), deadline
            )
        except NoAnswer as error:
            raise NoAnswer("timeout" if error.why == "timeout" else "token") from error
        token = document.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,8192}", token):
            raise NoAnswer("token")
        seconds = document.get("expires_in")
        told_life = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else 0
        lives = float(min(max(told_life, 0), MAX_LIFE_SECONDS))
        if len(self._tokens) >= MAX_REMEMBERED:
            self._tokens.clear()
        self._tokens[source.client] = (self._clock() + min(lives / 2, MAX_TOKEN_SECONDS), token)
        return token

    def _document(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> dict[str, Any]:
        """The JSON object of an answer. Raises NoAnswer."""
        left = min(REQUEST_SECONDS, deadline - self._clock())
        if left <= 0:
            raise NoAnswer("timeout")
        try:
            answer = self._ask(
                url,
                method=method,
                headers={"Accept": "application/json", **headers},
                body=body,
                seconds=left,
                max_bytes=MAX_ANSWER_BYTES,
                policy=self._policy,
            )
        except (UrlRefused, Unreachable) as error:
            raise NoAnswer(error.why) from None
        if answer.status != 200 or answer.is_cut:
            raise NoAnswer(f"answer {answer.status}")
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise NoAnswer("the answer is not JSON") from None
        if not isinstance(document, dict):
            raise NoAnswer("the answer is not a JSON object")
        return document


def _text(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text.strip()[:40] if isinstance(text, str) else ""
