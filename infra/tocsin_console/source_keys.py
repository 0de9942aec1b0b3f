"""The key of a source: what is stored of it, and the one time that it is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.door.sources import SECRET, SECRET_BYTES, Source, hash_of, new_token
from tocsin.tables.notifications import source_key
from tocsin_console import source_urls
from tocsin_console.errors import Usage
from tocsin_console.output import Output
from tocsin_console.source_view import told_source

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment

MAX_SECRET_CHARACTERS: Final = 512


def with_key(
    deployment: Deployment, source: Source, secret_from: str | None, random: Callable[[int], bytes]
) -> tuple[Source, str]:
    """The source with a new key, and that key. Of a key that callers send, a hash is stored; the secret with
    which a help desk signs is sealed. A kind may take either: then the same key is stored both ways,
    unless somebody else made it, for a hash hides only what is as random as ours."""
    signs, sends = ways_of(source)
    if secret_from is not None and not signs:
        raise Usage(f"the kind {source.kind} signs nothing: leave out --secret-from")
    key = new_token(source.name, random(SECRET_BYTES)) if secret_from is None else _read_secret(secret_from)
    sealed = b""
    if signs:
        sealed = deployment.stores.texts.seal({"secret": key}, source_key(source.name), SECRET)
    hashed = hash_of(key) if sends and secret_from is None else ""
    return replace(source, hash=hashed, secret=sealed), key


def ways_of(source: Source) -> tuple[bool, bool]:
    """Whether its kind signs, or answers a challenge, with its secret; and whether callers send the key."""
    if source_urls.is_dialect(source.kind):
        return False, True
    from tocsin.door.desks.of_source import kind_of_source
    from tocsin.door.signatures import TokenScheme

    kind = kind_of_source(source)
    by_token = [isinstance(scheme, TokenScheme) for scheme in kind.schemes]
    return not all(by_token) or kind.challenge is not None, any(by_token)


def _read_secret(place: str) -> str:
    """`place`: a file, or `-`. Raises Usage."""
    try:
        text = sys.stdin.readline() if place == "-" else Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{place} can't be read: {type(error).__name__}") from None
    secret = text.strip()
    if not 8 <= len(secret) <= MAX_SECRET_CHARACTERS:
        raise Usage(f"a secret has 8 to {MAX_SECRET_CHARACTERS} characters")
    return secret


def tell_key(source: Source, url: str, key: str, output: Output) -> None:
    """The only time that the key is seen."""
    for line in source_urls.lines(source.kind, url, source.name, source.account, key):
        output.say(line)
    output.say(f"It is shown once; 'tocsin sources rotate {source.name}' makes another.")
    output.record({**told_source(source), "url": url, "key": key})
