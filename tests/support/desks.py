"""Recorded webhooks of help desks, built by what is known of each, and who sends them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tocsin.door.desks.kind import Kind, built_in
from tocsin.door.desks.translate import Options, Refusal, Translation, translate

FOLDER = Path(__file__).parents[1] / "unit" / "door" / "data"
NOW = 1_796_094_000
"""A moment (s), an hour after the first of the recorded webhooks."""

SECRET = "s3cret"


@dataclass(frozen=True)
class Recorded:
    """One file of the folder. `change`: what happened, or `note` for what nobody is told."""

    name: str
    told: dict[str, Any]

    @property
    def kind(self) -> Kind:
        return built_in(self.told["kind"], tuple(sorted(self.told.get("parameters", {}).items())))

    @property
    def change(self) -> str:
        return self.name.rpartition("-")[2]

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.told["headers"])

    @property
    def query(self) -> str:
        return str(self.told.get("query", ""))

    @property
    def body(self) -> bytes:
        return json.dumps(self.told["body"], ensure_ascii=False).encode()


@cache
def recorded() -> dict[str, Recorded]:
    return {
        path.stem: Recorded(path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.json"))
    }


def translated(
    one: Recorded, body: bytes | None = None, query: str | None = None, **options: Any
) -> Translation:
    """What becomes of a recorded webhook, or of another body in its place."""
    result = attempted(one, body, query, **options)
    assert isinstance(result, Translation), result
    return result


def attempted(
    one: Recorded, body: bytes | None = None, query: str | None = None, **options: Any
) -> Translation | Refusal:
    raw = one.body if body is None else body
    told = one.query if query is None else query
    result = translate(one.kind, one.headers, raw, told, NOW, Options(**options))
    assert isinstance(result, Translation | Refusal), result
    return result


def changed(one: Recorded, **changes: Any) -> bytes:
    """The body with fields set, named by their path with `__` between the steps; None removes one."""
    body = json.loads(one.body)
    for path, value in changes.items():
        *steps, last = path.split("__")
        place = body
        for step in steps:
            place = place[int(step)] if step.isdigit() else place[step]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return json.dumps(body, ensure_ascii=False).encode()


def signed(name: str, body: bytes, headers: dict[str, str], secret: str = SECRET) -> dict[str, str]:
    """The headers with the signature that this help desk makes, computed here a second time."""

    def digest(algorithm: str, message: bytes, key: str = secret) -> bytes:
        return hmac.new(key.encode(), message, getattr(hashlib, algorithm)).digest()

    def base64_of(value: bytes) -> str:
        return base64.b64encode(value).decode()

    stamp = headers.get("x-glpi-timestamp") or headers.get("x-zendesk-webhook-signature-timestamp") or ""
    made = {
        "zammad": lambda: {"x-hub-signature": "sha1=" + digest("sha1", body).hex()},
        "glpi": lambda: {"x-glpi-signature": digest("sha256", body + stamp.encode()).hex()},
        "redmine": lambda: {"x-redmine-signature-256": "sha256=" + digest("sha256", body).hex()},
        "freescout": lambda: {"x-freescout-signature": base64_of(digest("sha1", body))},
        "zendesk": lambda: {
            "x-zendesk-webhook-signature": base64_of(digest("sha256", stamp.encode() + body))
        },
        "jira": lambda: {"x-hub-signature": "sha256=" + digest("sha256", body).hex()},
        "splynx": lambda: {"x-splynx-signature": digest("sha1", body).hex()},
        "generic": lambda: {"x-hub-signature-256": "sha256=" + digest("sha256", body).hex()},
    }[name]()
    return {**headers, **made}
