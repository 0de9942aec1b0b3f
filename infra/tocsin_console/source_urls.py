"""What to type into a tool or a help desk, so that it reaches the door: one line or two for each kind."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.door.routing import DIALECTS, HOOKS


def lines(kind: str, url: str, name: str, account: str, key: str) -> Sequence[str]:
    """`url`: of the door. `key`: the token, or a word in its place."""
    base = url.rstrip("/")
    host = base.removeprefix("https://").removeprefix("http://")
    told = {
        "api": [
            f"URL      {base}/v1/messages, {base}/v1/tickets",
            f"header   Authorization: Bearer {key}",
        ],
        "evolution": [
            f"URL      {base}",
            f"instance {account}",
            f"header   apikey: {key}",
            f"Apprise  evolution{'s' if url.startswith('https') else ''}://{key}@{host}/{account}/+62…",
        ],
        "waha": [f"URL      {base}", f"session  {account}", f"header   X-Api-Key: {key}"],
        "gowa": [f"URL      {base}", f"user     {name}", f"password {key}"],
        "fonnte": [f"URL      {base}/send", f"header   Authorization: {key}"],
        "phpnuxbill": [f"wa_url   {base}/wa_url?number=[number]&text=[text]&secret={key}"],
    }
    return told.get(kind) or [f"URL      {base}/{HOOKS}/{name}", f"secret   {key}"]


def is_dialect(kind: str) -> bool:
    return kind in DIALECTS
