"""Who may come in: only a browser on this machine that was given the one-time address.

Other programs of this machine reach a loopback port, and so does every site that this browser shows.
Therefore:

- the Host must be this very address, or a name of another site would be resolved to it (DNS rebinding);
- whoever has no session gets nothing but the way in; a session begins with an invitation, which serves once;
- the session's cookie isn't sent by requests that other sites cause, and is no script's to read;
- what changes anything comes by POST, from this very origin, with the session's own word in the form.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

INVITATION_SECONDS: Final = 3600
SESSION_SECONDS: Final = 12 * 3600
_MAX_INVITATIONS = 8
_MAX_SESSIONS = 32

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: then a browser sends "null" as the origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""On every answer."""

WRONG_HOST: Final = "This page answers only under the address that 'tocsin console' printed."
WRONG_ORIGIN: Final = "Another site asked for this. Nothing was done. Close that site."
STALE_FORM: Final = (
    "This form belongs to a console that was started before, or is too old. Nothing was done. Go back, "
    "reload the "
    "page, and do it again."
)
NO_SESSION: Final = (
    "This browser has no session here. Take the address that 'tocsin console' printed; if that was used "
    "already, "
    "press Enter in its terminal for a new one, or start it again."
)
BAD_INVITATION: Final = (
    "This address isn't valid (any more): each serves once, within an hour. Press Enter in the terminal "
    "where "
    "'tocsin console' runs for a new one, or start it again."
)


@dataclass
class Session:
    """One browser that came in. `csrf`: stands in each of its forms. `news`: what to tell with the next
    page."""

    identity: str = field(repr=False)
    csrf: str = field(repr=False)
    ends_at: float
    news: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, kind: str, text: str) -> None:
        """`kind`: `done` or `trouble`."""
        self.news = [*self.news[-4:], (kind, text)]

    def told(self) -> list[tuple[str, str]]:
        """What there is to tell, once."""
        told, self.news = self.news, []
        return told


class Door:
    """`port`: where it listens; the cookie is named after it, for cookies don't know ports. `clock`:
    seconds."""

    def __init__(self, port: int, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._invitations: dict[str, float] = {}
        self._sessions: dict[str, Session] = {}
        self.port = port
        self.cookie = f"tocsin_{port}"
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    def invitation(self) -> str:
        """A new address that lets one browser in, once."""
        word = secrets.token_urlsafe(32)
        kept = list(self._invitations.items())[-_MAX_INVITATIONS + 1 :]
        self._invitations = {**dict(kept), word: self._clock() + INVITATION_SECONDS}
        return f"http://127.0.0.1:{self.port}/enter?token={word}"

    def enter(self, word: str) -> Session | None:
        """A session for whoever brings an invitation; None if it isn't valid."""
        found = next((one for one in self._invitations if _same(one, word)), None)
        if found is None or self._invitations.pop(found) < self._clock():
            return None
        session = Session(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock() + SESSION_SECONDS
        )
        kept = list(self._sessions.items())[-_MAX_SESSIONS + 1 :]
        self._sessions = {**dict(kept), session.identity: session}
        return session

    def session(self, cookie: str) -> Session | None:
        """The session that a cookie names, if it goes on."""
        found = next((one for name, one in self._sessions.items() if _same(name, cookie)), None)
        return found if found is not None and found.ends_at > self._clock() else None

    def leave(self, session: Session) -> None:
        self._sessions.pop(session.identity, None)

    def misplaced(self, method: str, headers: Mapping[str, str], *, enters: bool = False) -> str:
        """Why a request isn't even looked at; empty: it is. `headers`: by their usual names. `enters`: it
        brings an invitation, so it may come from the file that opens the browser, which is another site."""
        if headers.get("Host", "") not in self.hosts:
            return WRONG_HOST
        own = f"http://{headers['Host']}"
        if headers.get("Origin", own) != own:
            return WRONG_ORIGIN
        if method not in ("GET", "HEAD") and "Origin" not in headers:
            return WRONG_ORIGIN
        # "none": typed, or opened from another program.
        if not enters and headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return WRONG_ORIGIN
        return ""

    def may_change(self, session: Session, word: str) -> bool:
        """Whether a form comes from a page of this session."""
        return _same(session.csrf, word)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))
